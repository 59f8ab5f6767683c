# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is to be brought into step, and how, as data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Optional

from ansible_collections.selfhosted.media.plugins.module_utils._objects.access import Access
from ansible_collections.selfhosted.media.plugins.module_utils._sync.walk import Tree

#: Most transfers at a time when the user names no number; how many are of use is found out while they go.
AUTOMATIC_CONCURRENCY = 256


@dataclass
class Job:
    """The fields are media_sync's options of the same names."""

    access: Access
    tree: Tree
    upload: bool = True
    overwrite: bool = True
    checksum: bool = False
    changed_since: Optional[float] = None
    #: downloading: when the application began to write to the bucket. What is not on the disk is brought too, and of what
    #: is on both sides the newer one counts.
    restore_since: Optional[float] = None
    acl: str = ""
    cache_control: str = ""
    content_types: dict[str, str] = field(default_factory=dict)
    concurrency: int = AUTOMATIC_CONCURRENCY
    bandwidth_limit: int = 0
    max_parts: int = 10_000
    delete: bool = False
    max_delete: int = 1000
    bucket_may_be_missing: bool = False
    #: worker processes; None: what the number of files is worth on this machine
    processes: Optional[int] = None

    @property
    def prefix(self) -> str:
        """The prefix as text, with its slash."""
        return self.tree.prefix.decode("utf-8")

    @property
    def done(self) -> str:
        """What transfers are counted as."""
        return "uploaded" if self.upload else "downloaded"
