# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Merge two streams in key order into pairs: only here, only there, on both sides."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Optional

from ansible_collections.selfhosted.media.plugins.module_utils._objects.xml import RemoteObject
from ansible_collections.selfhosted.media.plugins.module_utils._sync.walk import LocalFile


class Pair(NamedTuple):
    """A key with the file and the object that have it; at least one of them is there."""

    key: bytes
    local: Optional[LocalFile]
    remote: Optional[RemoteObject]


def merge(files: Iterator[LocalFile], objects: Iterator[RemoteObject]) -> Iterator[Pair]:
    """Walk two sorted streams once, side by side, holding one item of each."""
    local, remote = next(files, None), next(objects, None)
    while local is not None or remote is not None:
        if local is not None and (remote is None or local.key < remote.key):
            yield Pair(local.key, local, None)
            local = next(files, None)
        elif remote is not None and (local is None or remote.key < local.key):
            yield Pair(remote.key, None, remote)
            remote = next(objects, None)
        elif local is not None:
            yield Pair(local.key, local, remote)
            local, remote = next(files, None), next(objects, None)
