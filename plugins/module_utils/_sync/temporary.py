# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The temporary files of downloads: how they are named, and how those of a killed run are told from those at work.

Whoever writes one holds a lock on it, which ends with the process however it ends. So nobody has to guess by age.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import secrets
import stat

#: How their names begin.
TEMPORARY = b".selfhosted-media-"
#: How the names of objects begin with which a service is tried out, s3_preflight's too; they never take part either.
PROBE = TEMPORARY + b"probe-"
_NAME = re.compile(re.escape(TEMPORARY) + rb"(probe-)?[0-9a-f]{16}")


def is_temporary(name: bytes) -> bool:
    """Whether a file's name, without its folder, is one of ours: of create()'s or of a probe."""
    return bool(_NAME.fullmatch(name))


def create(folder: bytes) -> tuple[bytes, int]:
    """Make an empty file in a folder, for its owner only; its path and a descriptor that holds the lock."""
    while True:
        path = os.path.join(folder, TEMPORARY + secrets.token_hex(8).encode())
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with contextlib.suppress(OSError):  # a file system without locks: then no other run removes anything either
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(descriptor).st_nlink:
            return path, descriptor
        os.close(descriptor)  # another run took it for a dead one before it was locked


def remove_dead(path: bytes) -> None:
    """Remove a temporary file unless a process holds its lock, or it cannot be told."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.unlink(path)
    except OSError:
        pass
    finally:
        os.close(descriptor)
