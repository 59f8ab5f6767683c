# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Remove a file that was looked at, and no other: whatever is renamed or linked meanwhile."""

from __future__ import annotations

import errno
import os
import stat

from ansible_collections.selfhosted.media.plugins.module_utils._sync.proof import Unproven

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_LINK = "a link leads to it; links, and what they lead to, are left alone"


class Removable:
    """A file below a folder, opened through one folder after the other, so that no link on the way is followed.

    Raises Unproven for what is no file, OSError for what cannot be opened.
    """

    def __init__(self, root: int, relative: bytes) -> None:
        self._root = root
        self._relative = relative
        self._parts = relative.split(b"/")
        self._folders = [root]
        try:
            for name in self._parts[:-1]:
                self._folders.append(os.open(name, _FOLDER, dir_fd=self._folders[-1]))
            self.descriptor = os.open(self._parts[-1], _FILE, dir_fd=self._folders[-1])
        except OSError as exc:
            self._close_folders()
            if exc.errno in (errno.ELOOP, errno.ENOTDIR):
                raise Unproven("ignored", _LINK) from None
            raise
        self.status = os.fstat(self.descriptor)
        if not stat.S_ISREG(self.status.st_mode):
            self.close()
            raise Unproven("ignored", "something that is no file has taken its place")

    def __enter__(self) -> Removable:
        return self

    def __exit__(self, *_unused: object) -> None:
        self.close()

    def close(self) -> None:
        """Close everything but the folder that was given."""
        os.close(self.descriptor)
        self._close_folders()

    def _close_folders(self) -> None:
        for descriptor in self._folders[1:]:
            os.close(descriptor)

    def check_unchanged(self) -> None:
        """Raise Unproven unless its path still leads to this file, as it was. Raises FileNotFoundError."""
        before, now = self.status, os.stat(self._relative, dir_fd=self._root, follow_symlinks=False)
        same = os.path.samestat(before, now) and before.st_size == now.st_size
        if not same or (before.st_mtime_ns, before.st_ctime_ns) != (now.st_mtime_ns, now.st_ctime_ns):
            raise Unproven("newer", "the file was changed while it was compared")

    def remove(self) -> int:
        """Remove the file, and its folders that are empty then, but never one of the first level. How many folders went."""
        self.check_unchanged()
        os.unlink(self._parts[-1], dir_fd=self._folders[-1])
        for gone, depth in enumerate(range(len(self._folders) - 1, 1, -1)):
            try:
                os.rmdir(self._parts[depth - 1], dir_fd=self._folders[depth - 1])
            except OSError:  # not empty
                return gone
        return max(0, len(self._folders) - 2)
