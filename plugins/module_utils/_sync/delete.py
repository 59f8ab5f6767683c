# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Remove what only the destination has, when asked in so many words and only after a run without failures."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._objects.client import ObjectClient
from ansible_collections.selfhosted.media.plugins.module_utils._s3.errors import ends_everything
from ansible_collections.selfhosted.media.plugins.module_utils._sync.account import Account
from ansible_collections.selfhosted.media.plugins.module_utils._sync.keys import shown
from ansible_collections.selfhosted.media.plugins.module_utils._sync.pool import run_all
from ansible_collections.selfhosted.media.plugins.module_utils._sync.walk import Tree


@dataclass
class Extras:
    """The keys that only the destination has, no more of them than may be deleted."""

    limit: int
    keys: list[bytes] = field(default_factory=list)

    def add(self, *keys: bytes) -> None:
        """Keep keys; beyond the limit only the fact that there are more is kept."""
        self.keys += keys[: self.limit + 1 - len(self.keys)]

    def checked(self, account: Account, seen_in_source: int, ignored_in_source: int) -> list[bytes]:
        """The keys to delete. Raises MediaError when the run does not allow it."""
        if account["failed"]:
            raise MediaError("nothing was deleted, because the run had failures")
        if ignored_in_source:
            raise MediaError(
                f"nothing was deleted, because {ignored_in_source} names in the folder are no files that can be read, and "
                "what has their names in the bucket may be all that is left of them; remove or exclude them"
            )
        if not seen_in_source:
            raise MediaError(
                "nothing was deleted, because the source is empty; an empty source never means 'delete all'"
            )
        if len(self.keys) > self.limit:
            raise MediaError(
                f"nothing was deleted, because more than max_delete ({self.limit}) names are only at the destination; "
                "look at them, then raise max_delete if they may go"
            )
        return self.keys


def delete_objects(client: ObjectClient, keys: list[bytes], account: Account, threads: int) -> None:
    """Delete objects, a request each: services disagree about the checksum that DeleteObjects must carry."""

    def delete(key: bytes) -> None:
        try:
            client.delete(key, f"deleting {shown(key)} in bucket {client.bucket}")
        except MediaError as exc:
            if ends_everything(exc):
                raise
            account.remark("failed", shown(key), str(exc))
        else:
            account.count("deleted")

    run_all(keys, delete, threads)


def delete_files(tree: Tree, keys: list[bytes], account: Account) -> None:
    """Delete files of the tree. Folders stay, and so does what has its own name elsewhere in the tree."""
    real_root = os.path.realpath(tree.root)
    for key in keys:
        path = os.path.join(real_root, key[len(tree.prefix) :])
        folder = os.path.dirname(path)
        if os.path.realpath(folder) != folder:
            account.remark("ignored", shown(key[len(tree.prefix) :]), "not deleted, because a link leads to its folder")
            continue
        try:
            os.unlink(path)
        except FileNotFoundError:
            account.remark("vanished", shown(key[len(tree.prefix) :]), "removed by somebody else meanwhile")
        except OSError as exc:
            account.remark("failed", shown(key), exc.strerror or str(exc))
        else:
            account.count("deleted")
