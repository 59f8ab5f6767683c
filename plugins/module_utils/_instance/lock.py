# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One change at a time: a lock on the target that dies with the process that holds it."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError

_FOLDERS = ("/run/lock", "/var/lock")
#: Seconds.
_PATIENCE = 2
#: Seconds after which a holder that nobody looks at any more has ended: it is interrupted after 30, and killed after 10 more.
_END_OF_UNWATCHED = 45


class Locked(MediaError):
    """Another run is changing the same instance."""


@contextmanager
def instance_lock(folder: str, what: str, looked: str = "") -> Iterator[None]:
    """Hold the lock of the instance in a folder while the block runs. Raises Locked with who holds it and since when.

    The kernel releases it when the process ends, however it ends, so there is no stale lock.

    A process that goes on after its ansible-playbook was killed notices that after a while, by a file that is touched as long
    as somebody looks. Whoever comes meanwhile waits for it: while that file is not touched, it is about to end.
    """
    path = path_of_lock(folder)
    try:
        descriptor = _opened(path)
    except OSError as exc:
        raise MediaError(f"the lock {path} cannot be opened: {exc.strerror}; nothing was changed") from exc
    try:
        if not _take(descriptor):
            raise Locked(
                f"another run is changing {folder}: {_holder(descriptor)}; wait for its end. Nothing was changed"
            )
        with contextlib.suppress(OSError):  # another user's file, which can be locked but not written
            os.ftruncate(descriptor, 0)
            since = time.strftime("%Y-%m-%d %H:%M:%S %Z")
            holder = {"what": what, "pid": os.getpid(), "since": since, "looked": looked}
            os.pwrite(descriptor, json.dumps(holder).encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _opened(path: str) -> int:
    flags = os.O_CLOEXEC | os.O_NOFOLLOW
    # Without O_CREAT if it is there: the kernel refuses that for other users' files in /run/lock (fs.protected_regular).
    try:
        return os.open(path, os.O_RDWR | flags)
    except FileNotFoundError:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | flags, 0o644)
        with contextlib.suppress(OSError):  # somebody else's by now
            os.fchmod(descriptor, 0o644)  # whatever the umask is: another user must be able to lock it too
        return descriptor
    except PermissionError:
        return os.open(path, os.O_RDONLY | flags)


def _take(descriptor: int) -> bool:
    """Take the lock; whether that worked. Worker processes of a killed run hold it for a moment, so not only once."""
    begun = time.monotonic()
    looked = _looked(descriptor)
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except OSError:
            is_watched = not looked or _looked(descriptor) != looked
            if time.monotonic() - begun > (_PATIENCE if is_watched else _END_OF_UNWATCHED):
                return False
            time.sleep(0.1)


def _looked(descriptor: int) -> int:
    """When somebody last looked at the holder; 0 for one that nobody looks at, or who cannot be asked."""
    try:
        return os.stat(_told(descriptor)["looked"]).st_mtime_ns
    except (ValueError, KeyError, TypeError, OSError):
        return 0


def path_of_lock(folder: str) -> str:
    """Which file it is."""
    name = hashlib.sha256(os.path.realpath(folder).encode("utf-8", "surrogateescape")).hexdigest()[:16]
    place = next((path for path in _FOLDERS if os.path.isdir(path) and os.access(path, os.W_OK)), folder)
    return os.path.join(place, f".selfhosted-media-{name}.lock")


def _told(descriptor: int) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(os.pread(descriptor, 1000, 0))
    return told


def _holder(descriptor: int) -> str:
    try:
        holder = _told(descriptor)
        return f"{holder['what']}, process {holder['pid']}, since {holder['since']}"
    except (ValueError, KeyError, TypeError, OSError):
        return "its name is not known yet"
