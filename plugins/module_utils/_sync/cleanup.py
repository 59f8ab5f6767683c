# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Free a disk of files that are proven to be in the bucket, each a moment before it is removed."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass, field
from typing import Callable

from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._objects.access import Access
from ansible_collections.selfhosted.media.plugins.module_utils._s3.errors import ends_everything
from ansible_collections.selfhosted.media.plugins.module_utils._sync.account import Account
from ansible_collections.selfhosted.media.plugins.module_utils._sync.clients import object_client
from ansible_collections.selfhosted.media.plugins.module_utils._sync.concurrency import Concurrency
from ansible_collections.selfhosted.media.plugins.module_utils._sync.hashing import md5_of_part
from ansible_collections.selfhosted.media.plugins.module_utils._sync.job import AUTOMATIC_CONCURRENCY
from ansible_collections.selfhosted.media.plugins.module_utils._sync.keys import shown
from ansible_collections.selfhosted.media.plugins.module_utils._sync.listing import Clock
from ansible_collections.selfhosted.media.plugins.module_utils._sync.pool import Pool
from ansible_collections.selfhosted.media.plugins.module_utils._sync.proof import Unproven, prove
from ansible_collections.selfhosted.media.plugins.module_utils._sync.removal import Removable
from ansible_collections.selfhosted.media.plugins.module_utils._sync.walk import LocalFile, Tree

#: So many folders are told apart; a result stays small whatever is on the disk.
_FOLDERS = 20
_OTHERS = "(others)"


def own_key(file: LocalFile, _md5: str) -> bytes:
    """The key that a file has by its name."""
    return file.key


@dataclass
class Freed:
    """What is removed of a folder."""

    files: int = 0
    bytes: int = 0


@dataclass
class Cleanup:
    """Removes the files of a tree that are proven to be in a bucket."""

    access: Access
    tree: Tree
    concurrency: int = AUTOMATIC_CONCURRENCY
    #: only count what would be removed; everything is proven all the same
    dry: bool = False
    #: why a file stays, proven or not, by its name below the folder; nothing for one that may go
    why_kept: Callable[[bytes], str] = lambda _name: ""
    #: the key of the object that proves a file, by the file and the MD5 of its content
    key_of: Callable[[LocalFile, str], bytes] = own_key
    account: Account = field(default_factory=Account)
    #: what is removed, by folder of the first level
    freed: dict[str, Freed] = field(default_factory=dict)
    removed_folders: int = 0
    started: float = field(default_factory=time.time)

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._clock = Clock()

    def carry_out(self) -> None:
        """Remove what is proven; what is not stays and is counted, with the first reasons of each kind.

        Raises MediaError for what ends the whole run; what was removed until then was proven.
        """
        self.tree.check()
        self._root = os.open(self.tree.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            concurrency = Concurrency(self.concurrency)
            with object_client(self.access, self.account, observe=concurrency.observe) as self._client:
                self._go_through(Pool(self._look, concurrency))
        finally:
            os.close(self._root)

    def _go_through(self, pool: Pool[LocalFile]) -> None:
        try:
            for file in self.tree.walk(self._report):
                if not pool.put(file):
                    break
        except BaseException as exc:  # noqa: BLE001 (raised by finish)
            pool.stop(exc)
        pool.finish()

    def _report(self, name: bytes, reason: str, _incomplete: bool) -> None:
        self.account.remark("ignored", shown(name), reason)

    def _look(self, file: LocalFile) -> None:
        relative = file.key[len(self.tree.prefix) :]
        try:
            self._remove_if_proven(file, relative)
        except Unproven as exc:
            self.account.remark(exc.kind, shown(relative), exc.reason)
        except FileNotFoundError:
            self.account.remark("vanished", shown(relative), "removed by somebody else meanwhile")
        except OSError as exc:
            self.account.remark("failed", shown(relative), exc.strerror or str(exc))
        except MediaError as exc:
            self.account.remark("failed", shown(relative), str(exc))
            if ends_everything(exc):
                raise

    def _remove_if_proven(self, file: LocalFile, relative: bytes) -> None:
        reason = self.why_kept(relative)
        if reason:
            raise Unproven("linked", reason)
        with Removable(self._root, relative) as removable:
            size = removable.status.st_size
            md5 = md5_of_part(removable.descriptor, 0, size).hexdigest()
            prove(self._client, self.key_of(file, md5), removable.descriptor, md5, self._clock)
            if self.dry:
                removable.check_unchanged()
                self._note(relative, size, 0)
            else:
                self._note(relative, size, removable.remove())

    def _note(self, relative: bytes, size: int, folders: int) -> None:
        self.account.count("removed", size)
        top = shown(relative.partition(b"/")[0])
        with self._lock:
            if top not in self.freed and len(self.freed) >= _FOLDERS:
                top = _OTHERS
            freed = self.freed.setdefault(top, Freed())
            freed.files += 1
            freed.bytes += size
            self.removed_folders += folders
