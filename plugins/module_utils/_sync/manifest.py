# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files under keys that something else than their names tells, such as an application's database."""

from __future__ import annotations

import errno
import os
import stat
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, Optional

from ansible_collections.selfhosted.media.plugins.module_utils._sync.keys import ALL_KEYS, Range, extension_of
from ansible_collections.selfhosted.media.plugins.module_utils._sync.walk import Folders, LocalFile, Report, Tree


class Entry(NamedTuple):
    """A file and the object that it becomes."""

    file: LocalFile  # its key, and what it was when it was hashed
    path: bytes
    md5: str
    content_type: str
    #: what it is called in messages
    name: bytes


@dataclass
class Manifest(Tree):
    """A tree whose files are listed; they may lie anywhere."""

    entries: dict[bytes, Entry] = field(default_factory=dict)

    @classmethod
    def of(cls, root: bytes, prefix: bytes, entries: Iterable[Entry]) -> Manifest:
        """The manifest of some entries; of those that share a key the last counts."""
        return cls(root, prefix, entries={entry.file.key: entry for entry in entries})

    def __post_init__(self) -> None:
        self._keys = sorted(self.entries)

    def check(self) -> None:
        """Nothing to do: whoever listed the files has read them."""

    def path_of(self, key: bytes) -> bytes:
        """The path of the file that has a key."""
        return self.entries[key].path

    def name_of(self, key: bytes) -> bytes:
        """What the file that has a key is called in messages."""
        entry = self.entries.get(key)
        return entry.name if entry else super().name_of(key)

    def content_type_of(self, key: bytes) -> str:
        """The content type of a key's object."""
        return self.entries[key].content_type

    def type_of(self, key: bytes) -> bytes:
        """The content type; where there is none, the extension."""
        entry = self.entries[key]
        return entry.content_type.encode("utf-8", "replace") or extension_of(entry.path)

    def known_md5(self, key: bytes) -> str:
        """The MD5 of the file that has a key, from when it was listed."""
        entry = self.entries.get(key)
        return entry.md5 if entry else ""

    def listed_keys(self) -> Optional[list[bytes]]:
        """The keys of all files, sorted."""
        return self._keys

    def opened(self, key: bytes, inode: int = 0) -> tuple[int, os.stat_result]:
        """Open the file that has a key for reading; its descriptor and status.

        Raises OSError, also for a file that is no longer the one that was listed: its content would not be its key's.
        """
        entry = self.entries[key]
        descriptor = os.open(entry.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise OSError(errno.EINVAL, "something that is no file has taken its place", entry.path)
            file = entry.file
            if (status.st_ino, status.st_size, status.st_mtime_ns) != (file.inode, file.size, file.mtime_ns):
                raise OSError(errno.ESTALE, "it was written since it was compared with the database", entry.path)
            return descriptor, status
        except BaseException:
            os.close(descriptor)
            raise

    def walk(self, _report: Report, span: Range = ALL_KEYS, _folders: Optional[Folders] = None) -> Iterator[LocalFile]:
        """Yield the files whose keys lie in a range, in key order."""
        first = 0 if span.after is None else bisect_right(self._keys, span.after)
        for key in self._keys[first:]:
            if not span.holds(key):
                return
            if self.shard.holds(key):
                yield self.entries[key].file
