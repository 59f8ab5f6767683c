# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Walk a folder tree in the order in which S3 lists the keys of its files."""

from __future__ import annotations

import errno
import os
import stat
from bisect import bisect_left
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
    extension_of,
    shown,
    why_not_a_key,
)
from ansible_collections.selfhosted.media.plugins.module_utils._sync.temporary import TEMPORARY, is_temporary


class LocalFile(NamedTuple):
    """A file of the tree under the key that it has, or would have, in the bucket."""

    key: bytes
    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int = 0


def latest_ns(time_ns: int) -> int:
    """The latest moment that a file's time can mean: some file systems keep whole seconds only."""
    return time_ns if time_ns % 1_000_000_000 else time_ns + 999_999_999


#: Linux stamps files with the time of its last tick, which is up to 10 ms behind the clock that told a moment.
_TICK_NS = 20_000_000


def is_changed(file: LocalFile, since_ns: int) -> bool:
    """Whether a file's content or status may have changed at a moment or after it."""
    return latest_ns(max(file.mtime_ns, file.ctime_ns)) + _TICK_NS >= since_ns


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
    _real_root: bytes = b""

    def path_of(self, key: bytes) -> bytes:
        """The path of the file that has a key."""
        return b"%s/%s" % (self.root, key[len(self.prefix) :])

    def name_of(self, key: bytes) -> bytes:
        """What the file that has a key is called in messages."""
        return key[len(self.prefix) :]

    def folder_of(self, key: bytes) -> bytes:
        """The first folder below the root that the file of a key lies in, by its name; a dot for the root itself."""
        first, slash, _rest = key[len(self.prefix) :].partition(b"/")
        return first if slash else b"."

    def type_of(self, key: bytes) -> bytes:
        """The type by which the file of a key is counted: its extension in lower case, without the dot."""
        return extension_of(key)

    def content_type_of(self, _key: bytes) -> str:
        """The content type of a key's object where something tells it; nothing: it is guessed from the name."""
        return ""

    def known_md5(self, _key: bytes) -> str:
        """The MD5 of the file that has a key where it is known; then times tell nothing."""
        return ""

    def listed_keys(self) -> Optional[list[bytes]]:
        """The keys of all files, sorted, where they are known without walking."""
        return None

    def walk(self, report: Report, span: Range = ALL_KEYS, folders: Optional[Folders] = None) -> Iterator[LocalFile]:
        """Yield the files whose keys lie in a range, in key order."""
        return walk(self, report, span, folders)

    def open(self, key: bytes) -> BinaryIO:
        """Open the file that has a key, for reading. Raises OSError, also for what is no file inside the folder any more."""
        return os.fdopen(self.descriptor(key), "rb")

    def descriptor(self, key: bytes) -> int:
        """Open the file that has a key, as open() does."""
        return self.opened(key)[0]

    def opened(self, key: bytes, inode: int = 0) -> tuple[int, os.stat_result]:
        """Open the file that has a key, as open() does; its descriptor and status.

        Between the walk and now somebody may have put a pipe in its place, which would block for ever, or a link to a
        file outside, which must not become public. inode, if the walk told it, spares looking where the file lies.
        """
        path = self.path_of(key)
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            status = os.fstat(descriptor)
            if stat.S_ISDIR(status.st_mode):
                raise IsADirectoryError(errno.EISDIR, "a folder has taken the file's place", path)
            if not stat.S_ISREG(status.st_mode):
                raise OSError(errno.EINVAL, "something that is no file has taken its place", path)
            if status.st_ino != inode and not _is_inside(self.real_root, descriptor, path):
                raise OSError(errno.EXDEV, "a link out of the folder has taken the file's place", path)
            return descriptor, status
        except BaseException:
            os.close(descriptor)
            raise

    @property
    def real_root(self) -> bytes:
        """The folder's path without links."""
        if not self._real_root:
            self._real_root = os.path.realpath(self.root)
        return self._real_root

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


class Folders:
    """The names in the tree's folders, in key order. Those that several ranges of keys need are read once and kept."""

    def __init__(self, tree: Tree, kept: Optional[dict[bytes, list[bytes]]] = None) -> None:
        self._tree = tree
        self.kept = kept or {}

    def names(self, folder: bytes) -> list[bytes]:
        """The names in a folder; those of folders end with a slash, because `a/` comes after `a-` and `a.`.

        Raises OSError.
        """
        known = self.kept.get(folder)
        if known is not None:
            return known
        with os.scandir(os.path.join(self._tree.root, folder)) as entries:
            # Names only: a million entries of a folder with all they hold would take a third of a gigabyte.
            names = [entry.name + b"/" if _is_folder(entry) else entry.name for entry in entries]
        names.sort()
        return names


def walk(tree: Tree, report: Report, span: Range = ALL_KEYS, folders: Optional[Folders] = None) -> Iterator[LocalFile]:
    """Yield the tree's files whose keys lie in a range, in key order. Memory holds the names of one folder per level."""
    try:
        status = os.stat(tree.root)
    except OSError as exc:
        raise MediaError(f"folder {shown(tree.root)} cannot be read: {exc.strerror}") from exc
    above = ((status.st_dev, status.st_ino),)
    yield from _Walk(tree, report, span, folders or Folders(tree)).below(b"", above)


class _Walk:
    """One range's walk."""

    def __init__(self, tree: Tree, report: Report, span: Range, folders: Folders) -> None:
        self._tree = tree
        self._report = report
        self._span = span
        self._folders = folders
        self._real_root = os.path.realpath(tree.root)

    def below(self, folder: bytes, above: tuple[tuple[int, int], ...]) -> Iterator[LocalFile]:
        """The files of a folder and of those below it. above identifies the folder itself and those it lies in."""
        tree, span = self._tree, self._span
        base = tree.prefix + folder
        chooses = None if tree.chooser.chooses_all else tree.chooser.chooses
        holds = None if tree.shard.count == 1 else tree.shard.holds
        names = self._names(folder)
        place = os.path.join(tree.root, b"") + folder
        for index in range(_first(names, base, span.after), len(names)):
            name = names[index]
            key = base + name
            if span.upto is not None and key > span.upto:
                break
            if name.endswith(b"/"):
                inside = self._enter(folder + name, above)
                if inside is not None:
                    yield from self.below(folder + name, inside)
            elif span.after is not None and key <= span.after:
                pass
            elif name.startswith(TEMPORARY) and is_temporary(name):
                tree.on_temporary(place + name)
            elif (chooses is None or chooses(folder + name)) and (holds is None or holds(key)):
                found = self._file(key, folder + name, place + name)
                if found is not None:
                    yield found

    def _names(self, folder: bytes) -> list[bytes]:
        try:
            return self._folders.names(folder)
        except OSError as exc:
            if not folder or not isinstance(exc, FileNotFoundError):  # else removed since its parent was read
                self._report_folder(folder, f"the folder cannot be read: {exc.strerror}", True)
            return []

    def _report_folder(self, folder: bytes, reason: str, incomplete: bool) -> None:
        """Of the ranges that a folder lies in, just the one with its beginning reports it."""
        if self._span.holds(self._tree.prefix + folder) or (not folder and self._span.after is None):
            self._report(folder.rstrip(b"/") or b".", reason, incomplete)

    def _enter(self, folder: bytes, above: tuple[tuple[int, int], ...]) -> Optional[tuple[tuple[int, int], ...]]:
        """The folders above and including this one, or None where it must not be entered."""
        tree = self._tree
        if not self._span.may_hold_below(tree.prefix + folder) or not tree.chooser.may_choose_below(folder):
            return None
        if len(tree.prefix) + len(folder) >= MAX_KEY_BYTES:
            reason = f"the keys below would have more than the {MAX_KEY_BYTES} bytes that S3 allows"
            self._report_folder(folder, reason, True)
            return None
        path = os.path.join(tree.root, folder[:-1])
        try:
            status = os.lstat(path)
            if stat.S_ISLNK(status.st_mode):
                status = os.stat(path)
                outside = self._leads_outside(path)
                if outside:
                    self._report_folder(folder, outside, True)
                    return None
        except FileNotFoundError:
            return None  # removed meanwhile
        except OSError as exc:
            self._report_folder(folder, f"the folder cannot be read: {exc.strerror}", True)
            return None
        identity = (status.st_dev, status.st_ino)
        if identity in above:
            self._report_folder(folder, "the link leads back to a folder above it; not followed", False)
            return None
        return (*above, identity)

    def _leads_outside(self, path: bytes) -> str:
        """Why a link must not be followed, or nothing."""
        target = os.path.realpath(path)
        if is_below(target, self._real_root):
            return ""
        # The application does show what such a link leads to, so leaving it out silently would lose pictures.
        return f"the link leads out of the folder, to {shown(target)}; move what it leads to into the folder"

    def _file(self, key: bytes, relative: bytes, path: bytes) -> Optional[LocalFile]:
        status: Optional[os.stat_result]
        try:
            status = os.lstat(path)
            if not stat.S_ISREG(status.st_mode):
                status = self._behind(relative, path, status)
        except FileNotFoundError:
            return None  # removed meanwhile
        except OSError as exc:
            self._report(relative, f"cannot be read: {exc.strerror}; left out", True)
            return None
        if status is None:
            return None
        reason = why_not_a_key(key)
        if reason:
            self._report(relative, reason, True)
            return None
        return LocalFile(key, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)

    def _behind(self, relative: bytes, path: bytes, status: os.stat_result) -> Optional[os.stat_result]:
        """The file that a link leads to; None, with the reason reported, for what has no place in the bucket."""
        if stat.S_ISLNK(status.st_mode):
            try:
                status = os.stat(path)
            except FileNotFoundError:
                self._report(relative, "the link leads nowhere; left out", False)
                return None
            except OSError as exc:
                self._report(relative, f"cannot be read: {exc.strerror}; left out", exc.errno != errno.ELOOP)
                return None
            outside = self._leads_outside(path) if stat.S_ISREG(status.st_mode) else ""
            if outside:
                self._report(relative, outside, True)
                return None
        if stat.S_ISREG(status.st_mode):
            return status
        self._report(relative, "neither a file nor a folder (a socket, pipe or device); left out", False)
        return None


def _first(names: list[bytes], base: bytes, after: Optional[bytes]) -> int:
    """The place of the first of a folder's names that can be, or lead to, a key after one; base is the folder's own key."""
    if after is None or after < base:
        return 0
    if not after.startswith(base):
        return len(names)  # all keys here are before it
    return bisect_left(names, after[len(base) :].partition(b"/")[0])


def _is_folder(entry: os.DirEntry[bytes]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads in a circle
        return False
