# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Walk a folder tree in the order in which S3 lists the keys of its files."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, Callable, NamedTuple, Optional

from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._sync.keys import (
    ALL_KEYS,
    MAX_KEY_BYTES,
    ONLY_SHARD,
    Chooser,
    Range,
    Shard,
    shown,
    why_not_a_key,
)
from ansible_collections.selfhosted.media.plugins.module_utils._sync.temporary import is_temporary


class LocalFile(NamedTuple):
    """A file of the tree under the key that it has, or would have, in the bucket."""

    key: bytes
    size: int
    mtime_ns: int
    ctime_ns: int


def latest_ns(time_ns: int) -> int:
    """The latest moment that a file's time can mean: some file systems keep whole seconds only."""
    return time_ns if time_ns % 1_000_000_000 else time_ns + 999_999_999


#: Told about a name that cannot take part: (relative name, reason, whether that makes the run incomplete).
Report = Callable[[bytes, str, bool], None]


@dataclass
class Tree:
    """A folder and the part of it that takes part."""

    root: bytes
    prefix: bytes
    chooser: Chooser = field(default_factory=lambda: Chooser([], []))
    shard: Shard = ONLY_SHARD
    #: told the paths of our own temporary files, which never take part
    on_temporary: Callable[[bytes], None] = lambda _path: None

    def path_of(self, key: bytes) -> bytes:
        """The path of the file that has a key."""
        return os.path.join(self.root, key[len(self.prefix) :])

    def open(self, key: bytes) -> BinaryIO:
        """Open the file that has a key, for reading. Raises OSError, also for what is no file inside the folder any more.

        Between the walk and now somebody may have put a pipe in its place, which would block for ever, or a link to a
        file outside, which must not become public.
        """
        path = self.path_of(key)
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            status = os.fstat(descriptor)
            if stat.S_ISDIR(status.st_mode):
                raise IsADirectoryError(errno.EISDIR, "a folder has taken the file's place", path)
            if not stat.S_ISREG(status.st_mode):
                raise OSError(errno.EINVAL, "something that is no file has taken its place", path)
            if not _is_inside(os.path.realpath(self.root), descriptor, path):
                raise OSError(errno.EXDEV, "a link out of the folder has taken the file's place", path)
            return os.fdopen(descriptor, "rb")
        except BaseException:
            os.close(descriptor)
            raise

    def check(self) -> None:
        """Raise MediaError unless the folder is there and can be read: a missing source is never an empty one."""
        name = shown(self.root)
        if not self.root:
            raise MediaError("path is empty; give the folder's path")
        if not os.path.lexists(self.root):
            raise MediaError(f"folder {name} does not exist; nothing was changed")
        if not os.path.isdir(self.root):
            raise MediaError(f"{name} is not a folder; nothing was changed")
        try:
            os.scandir(self.root).close()
        except OSError as exc:
            raise MediaError(f"folder {name} cannot be read: {exc.strerror}; nothing was changed") from exc


def is_below(path: bytes, real_root: bytes) -> bool:
    """Whether a path without links is a folder or lies below it."""
    return path == real_root or path.startswith(real_root.rstrip(b"/") + b"/")


def _is_inside(real_root: bytes, descriptor: int, path: bytes) -> bool:
    try:
        if is_below(os.readlink(b"/proc/self/fd/%d" % descriptor), real_root):
            return True
    except OSError:
        pass  # no /proc here
    real = os.path.realpath(path)
    return is_below(real, real_root) and os.path.samestat(os.lstat(real), os.fstat(descriptor))


def walk(tree: Tree, report: Report, span: Range = ALL_KEYS) -> Iterator[LocalFile]:
    """Yield the tree's files whose keys lie in a range, in key order. Memory holds one folder per level."""
    try:
        status = os.stat(tree.root)
    except OSError as exc:
        raise MediaError(f"folder {shown(tree.root)} cannot be read: {exc.strerror}") from exc
    above = ((status.st_dev, status.st_ino),)
    yield from _walk(tree, b"", report, span, os.path.realpath(tree.root), above)


def _walk(
    tree: Tree, folder: bytes, report: Report, span: Range, real_root: bytes, above: tuple[tuple[int, int], ...]
) -> Iterator[LocalFile]:
    here = _entries(tree, folder, report)
    for name, entry in here:
        relative = folder + name
        if name.endswith(b"/"):
            if not span.may_hold_below(tree.prefix + relative) or not tree.chooser.may_choose_below(relative):
                continue
            if len(tree.prefix) + len(relative) >= MAX_KEY_BYTES:
                report(relative, f"the keys below would have more than the {MAX_KEY_BYTES} bytes that S3 allows", True)
                continue
            inside = _enter(entry, relative[:-1], report, real_root, above)
            if inside is not None:
                yield from _walk(tree, relative, report, span, real_root, inside)
            continue
        key = tree.prefix + relative
        if is_temporary(name):
            tree.on_temporary(os.path.join(tree.root, relative))
            continue
        if not span.holds(key) or not tree.chooser.chooses(relative) or not tree.shard.holds(key):
            continue
        found = _file(entry, key, relative, report, real_root)
        if found is not None:
            yield found


def _entries(tree: Tree, folder: bytes, report: Report) -> list[tuple[bytes, os.DirEntry[bytes]]]:
    """A folder's entries in key order. A folder counts with its slash: `a/` comes after `a-` and `a.`."""
    try:
        with os.scandir(os.path.join(tree.root, folder)) as entries:
            here = [(entry.name + b"/" if _is_folder(entry) else entry.name, entry) for entry in entries]
    except OSError as exc:
        if folder and isinstance(exc, FileNotFoundError):
            return []  # removed since its parent was read
        report(folder or b".", f"the folder cannot be read: {exc.strerror}", True)
        return []
    here.sort(key=lambda item: item[0])
    return here


def _is_folder(entry: os.DirEntry[bytes]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads in a circle
        return False


def _enter(
    entry: os.DirEntry[bytes], relative: bytes, report: Report, real_root: bytes, above: tuple[tuple[int, int], ...]
) -> Optional[tuple[tuple[int, int], ...]]:
    """The folders above and including this one, or None where it must not be entered."""
    try:
        status = entry.stat()
        if entry.is_symlink() and not _leads_inside(entry, relative, report, real_root):
            return None
    except FileNotFoundError:
        return None  # removed meanwhile
    except OSError as exc:
        report(relative, f"the folder cannot be read: {exc.strerror}", True)
        return None
    identity = (status.st_dev, status.st_ino)
    if identity in above:
        report(relative, "the link leads back to a folder above it; not followed", False)
        return None
    return (*above, identity)


def _leads_inside(entry: os.DirEntry[bytes], relative: bytes, report: Report, real_root: bytes) -> bool:
    target = os.path.realpath(entry.path)
    if is_below(target, real_root):
        return True
    # The application does show what such a link leads to, so leaving it out silently would lose pictures.
    report(
        relative, f"the link leads out of the folder, to {shown(target)}; move what it leads to into the folder", True
    )
    return False


def _file(
    entry: os.DirEntry[bytes], key: bytes, relative: bytes, report: Report, real_root: bytes
) -> Optional[LocalFile]:
    try:
        status = entry.stat()
    except FileNotFoundError:
        if entry.is_symlink():
            report(relative, "the link leads nowhere; left out", False)
        return None  # removed meanwhile
    except OSError as exc:
        report(relative, f"cannot be read: {exc.strerror}; left out", exc.errno != errno.ELOOP)
        return None
    if not stat.S_ISREG(status.st_mode):
        report(relative, "neither a file nor a folder (a socket, pipe or device); left out", False)
        return None
    if entry.is_symlink() and not _leads_inside(entry, relative, report, real_root):
        return None
    reason = why_not_a_key(key)
    if reason:
        report(relative, reason, True)
        return None
    return LocalFile(key, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
