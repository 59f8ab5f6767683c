# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decide what is to be done with a pair. A table, no requests, no side effects."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Optional

from ansible_collections.selfhosted.media.plugins.module_utils._objects.xml import RemoteObject
from ansible_collections.selfhosted.media.plugins.module_utils._sync.merge import Pair
from ansible_collections.selfhosted.media.plugins.module_utils._sync.walk import LocalFile, latest_ns


class Action(Enum):
    """What is to be done with a key."""

    TRANSFER = "transfer"  # write it on the other side
    SKIP = "skip"  # it is there, the same
    CONFLICT = "conflict"  # it is there, different, and must not be overwritten
    COMPARE = "compare"  # only the content can tell: hash the file, then decide again
    EXTRA = "extra"  # only the destination has it


@dataclass(frozen=True)
class Strategy:
    """How a difference is found and what may be done about it.

    | source | destination | same    | overwrite | action                          |
    |--------|-------------|---------|-----------|---------------------------------|
    | yes    | no          |         | any       | TRANSFER                        |
    | yes    | yes         | yes     | any       | SKIP                            |
    | yes    | yes         | unknown | any       | COMPARE, then as one of the two |
    | yes    | yes         | no      | changed   | TRANSFER                        |
    | yes    | yes         | no      | never     | CONFLICT                        |
    | no     | yes         |         | any       | EXTRA                           |
    """

    upload: bool = True
    overwrite: bool = True
    checksum: bool = False
    #: downloading only what was written since a moment: then times do tell, since the objects are known to be new
    only_new: bool = False

    def decide(self, pair: Pair, server_ahead_ns: int) -> Action:
        """Decide by what walking and listing alone tell."""
        if pair.local is None or pair.remote is None:
            source = pair.local if self.upload else pair.remote
            return Action.EXTRA if source is None else Action.TRANSFER
        same = self._same(pair.local, pair.remote, server_ahead_ns)
        return Action.COMPARE if same is None else self.settle(same)

    def settle(self, same: bool) -> Action:
        """Decide for a pair that is on both sides, once it is known whether it is the same."""
        if same:
            return Action.SKIP
        return Action.TRANSFER if self.overwrite else Action.CONFLICT

    def _same(self, local: LocalFile, remote: RemoteObject, server_ahead_ns: int) -> Optional[bool]:
        if local.size != remote.size:
            return False
        if self.checksum:
            return None
        # A file written after its object was is a new one, whatever its size. Downloading, times tell nothing: every
        # file that was once uploaded is older than its object. A downloaded one has the object's own time, of which
        # some file systems keep the seconds only.
        if self.upload:
            return local.mtime_ns + server_ahead_ns <= remote.modified_ns
        return not self.only_new or latest_ns(local.mtime_ns) >= remote.modified_ns
