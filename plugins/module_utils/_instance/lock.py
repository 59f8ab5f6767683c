# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One change at a time: a lock on the target that dies with the process that holds it."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError

_FOLDERS = ("/run/lock", "/var/lock")


class Locked(MediaError):
    """Another run is changing the same instance."""


@contextmanager
def instance_lock(folder: str, what: str) -> Iterator[None]:
    """Hold the lock of the instance in a folder while the block runs. Raises Locked with who holds it and since when.

    The kernel releases it when the process ends, however it ends, so there is no stale lock.
    """
    descriptor = os.open(_path(folder), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Locked(f"another run is changing {folder}: {_holder(descriptor)}; wait for its end") from None
        os.ftruncate(descriptor, 0)
        since = time.strftime("%Y-%m-%d %H:%M:%S %Z")
        os.pwrite(descriptor, json.dumps({"what": what, "pid": os.getpid(), "since": since}).encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _path(folder: str) -> str:
    name = hashlib.sha256(os.path.realpath(folder).encode("utf-8", "surrogateescape")).hexdigest()[:16]
    place = next((path for path in _FOLDERS if os.path.isdir(path) and os.access(path, os.W_OK)), folder)
    return os.path.join(place, f".selfhosted-media-{name}.lock")


def _holder(descriptor: int) -> str:
    try:
        holder = json.loads(os.pread(descriptor, 1000, 0))
        return f"{holder['what']}, process {holder['pid']}, since {holder['since']}"
    except (ValueError, KeyError, TypeError, OSError):
        return "its name is not known yet"
