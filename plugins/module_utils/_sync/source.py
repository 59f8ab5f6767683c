# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A file while it is uploaded: opened once, and found out when it changes meanwhile."""

from __future__ import annotations

import os

from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._sync.walk import Tree


class Changing(MediaError):
    """The file changes while it is read."""

    def __init__(self, message: str = "the file kept changing while it was read; run again when it is at rest") -> None:
        super().__init__(message)


class Source:
    """An open file of the tree. Raises OSError where it cannot be opened or is no file inside the tree any more."""

    def __init__(self, tree: Tree, key: bytes, inode: int = 0) -> None:
        self.key = key
        self._path = tree.path_of(key)
        self.descriptor, self._before = tree.opened(key, inode)
        self.size = self._before.st_size

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *_unused: object) -> None:
        os.close(self.descriptor)

    def read_all(self) -> bytes:
        """The content. Raises Changing unless it is as long as it was, however fast it grows."""
        data = os.read(self.descriptor, self.size + 1)
        while len(data) < self.size:
            more = os.read(self.descriptor, self.size + 1 - len(data))
            if not more:
                break
            data += more
        if len(data) != self.size:
            raise Changing
        return data

    def check_unchanged(self) -> None:
        """By its path: another file may have been renamed to it. Raises FileNotFoundError or Changing."""
        before, after = self._before, os.stat(self._path)
        if not os.path.samestat(before, after) or before.st_size != after.st_size:
            raise Changing
        if before.st_mtime_ns != after.st_mtime_ns:
            raise Changing
