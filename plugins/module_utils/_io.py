# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading, replacing and copying a file that holds secrets, so that nothing is lost and nobody sees it meanwhile."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import tempfile
from collections.abc import Iterator
from typing import Optional

from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError

_SUFFIX = ".selfhosted-media.tmp"


def read_file(path: str) -> Optional[bytes]:
    """The content of a regular file; None if there is none."""
    try:
        # A named pipe would otherwise block the open until somebody writes to it.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise MediaError(f"{path} is not a regular file.")
            return file.read()
    except FileNotFoundError:
        return None
    except IsADirectoryError as exc:
        raise MediaError(f"{path} is a directory, not a file.") from exc
    except OSError as exc:
        raise MediaError(f"Cannot read {path}: {_reason(exc)}") from exc


def write_atomically(
    path: str, data: bytes, mode: Optional[int] = None, uid: Optional[int] = None, gid: Optional[int] = None
) -> None:
    """Replace the content of a file, or create it, in one step: whoever looks sees the old content or the new one.

    Mode, owner, group and extended attributes stay the old file's unless they are given; a new file is 0600 and
    belongs to the caller. A symlink stays, and what it points to is written. Other hard links keep the old content, as a
    backup by hard links must. On failure the file is as it was.
    """
    target = os.path.realpath(path)
    with _explained(f"Cannot write {path}", f"{path} is as it was."), _temporary(target) as fd_and_name:
        fd, temporary = fd_and_name
        _write(fd, data)
        _dress(fd, target, mode, uid, gid)
        os.fsync(fd)
        os.replace(temporary, target)
        _sync_directory(target)


def keep_copy(path: str, copy: str) -> None:
    """Copy a file with its owner and mode to a name that must be free; the copy appears whole or not at all."""
    data = read_file(path)
    if data is None:
        raise MediaError(f"Cannot copy {path}: there is no such file.")
    with _explained(f"Cannot copy {path} to {copy}", "Nothing was changed."), _temporary(copy, path) as fd_and_name:
        fd, temporary = fd_and_name
        _write(fd, data)
        _dress(fd, path)
        os.fsync(fd)
        try:
            os.link(temporary, copy)  # unlike a rename, never onto something that is there
        except FileExistsError as exc:
            raise MediaError(f"Cannot copy {path} to {copy}: there is a file of that name already.") from exc
        _sync_directory(copy)


@contextlib.contextmanager
def _temporary(target: str, base: Optional[str] = None) -> Iterator[tuple[int, str]]:
    """A file beside the target that only its owner can read, gone at the end, whatever happens."""
    folder = os.path.dirname(os.path.abspath(target))
    prefix = f".{os.path.basename(base or target)}."
    _sweep(folder, prefix)
    fd, name = _locked_temporary(prefix, folder)
    try:
        yield fd, name
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
        os.close(fd)


def _locked_temporary(prefix: str, folder: str) -> tuple[int, str]:
    while True:
        fd, name = tempfile.mkstemp(prefix=prefix, suffix=_SUFFIX, dir=folder)
        fcntl.flock(fd, fcntl.LOCK_EX)
        if os.fstat(fd).st_nlink:
            return fd, name
        os.close(fd)  # another writer's sweep took it, before it was locked, for what a killed process left


def _sweep(folder: str, prefix: str) -> None:
    """Remove what a killed process left: its lock died with it, a living one still holds its own."""
    with contextlib.suppress(OSError):
        for name in os.listdir(folder):
            if name.startswith(prefix) and name.endswith(_SUFFIX):
                _remove_unless_locked(os.path.join(folder, name))


def _remove_unless_locked(path: str) -> None:
    with contextlib.suppress(OSError):
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.unlink(path)
        finally:
            os.close(fd)


def _write(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _dress(
    fd: int, like: str, mode: Optional[int] = None, uid: Optional[int] = None, gid: Optional[int] = None
) -> None:
    """Give the new file the owner, attributes and mode of the file `like`, if there is one, or those given."""
    now = os.fstat(fd)
    try:
        old: Optional[os.stat_result] = os.stat(like)
    except FileNotFoundError:
        old = None
    pattern = old or now
    owner = (pattern.st_uid if uid is None else uid, pattern.st_gid if gid is None else gid)
    # Owner first: a mode for others must not hold for the wrong ones, and chown takes bits of the mode away.
    if owner != (now.st_uid, now.st_gid):
        os.fchown(fd, *owner)
    if old is not None:
        _copy_attributes(like, fd)
    os.fchmod(fd, stat.S_IMODE(pattern.st_mode) if mode is None else mode)


def _copy_attributes(source: str, fd: int) -> None:
    """SELinux label, access lists and the like, as far as the system lets us."""
    with contextlib.suppress(OSError):
        for name in os.listxattr(source):
            with contextlib.suppress(OSError):
                os.setxattr(fd, name, os.getxattr(source, name))


def _sync_directory(path: str) -> None:
    """Make the new name durable. Not every filesystem can; the file is in place either way."""
    with contextlib.suppress(OSError):
        fd = os.open(os.path.dirname(os.path.abspath(path)), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


@contextlib.contextmanager
def _explained(what: str, consequence: str) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise MediaError(f"{what}: {_reason(exc)} {consequence}") from exc


def _reason(exc: OSError) -> str:
    if exc.errno in (errno.ENOSPC, errno.EDQUOT):
        return "there is no room left on its filesystem. Free some space there and run again."
    if exc.errno == errno.EPERM and os.geteuid() == 0:
        return "not even root is permitted to. It may be marked immutable: see lsattr, and chattr -i."
    if exc.errno in (errno.EACCES, errno.EPERM):
        return "permission denied. Run as the file's owner or as root (become: true)."
    if exc.errno == errno.EBUSY:
        return (
            "it is mounted by itself (a bind mount of a single file), so it cannot be replaced in one step. "
            "Change the file that is mounted there instead, or mount its folder."
        )
    if exc.errno == errno.ENOENT:
        return "its directory does not exist."
    return f"{exc.strerror or exc}."
