# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decide what is to be done with a pair. A table, no requests, no side effects."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Callable, Optional

from ansible_collections.selfhosted.media.plugins.module_utils._objects.xml import RemoteObject
from ansible_collections.selfhosted.media.plugins.module_utils._sync.hashing import tells_otherwise
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
    #: the MD5 of a key's file where it is known
    known_md5: Callable[[bytes], str] = lambda _key: ""

    def decide(self, pair: Pair, server_ahead_ns: int) -> Action:
        """Decide by what walking and listing alone tell."""
        if pair.local is None or pair.remote is None:
            source = pair.local if self.upload else pair.remote
            return Action.EXTRA if source is None else Action.TRANSFER
        same = self._same(pair.local, pair.remote, server_ahead_ns)
        if same is None:
            return Action.COMPARE
        return Action.SKIP if same else self.settle(pair, server_ahead_ns)

    def settle(self, _pair: Pair, _server_ahead_ns: int) -> Action:
        """Decide for a pair that is on both sides and is known to differ."""
        return Action.TRANSFER if self.overwrite else Action.CONFLICT

    def _same(self, local: LocalFile, remote: RemoteObject, server_ahead_ns: int) -> Optional[bool]:
        if local.size != remote.size:
            return False
        if self.checksum:
            return None
        md5 = self.known_md5(local.key)
        if md5:
            return None if tells_otherwise(remote, md5) else True
        # A file written after its object was is a new one, whatever its size. Downloading, times tell nothing: every
        # file that was once uploaded is older than its object. A downloaded one has the object's own time, of which
        # some file systems keep the seconds only.
        if self.upload:
            return local.mtime_ns + server_ahead_ns <= remote.modified_ns
        return not self.only_new or latest_ns(local.mtime_ns) >= remote.modified_ns


@dataclass(frozen=True)
class Restoration:
    """How a folder catches up with a bucket that an application has been writing to since a moment.

    | file | object | same content | newer  | action                               |
    |------|--------|--------------|--------|--------------------------------------|
    | no   | yes    |              |        | TRANSFER, however old it is          |
    | yes  | no     |              |        | EXTRA: users delete media            |
    | yes  | yes    | yes          |        | SKIP                                 |
    | yes  | yes    | unknown      |        | COMPARE, if the object is new at all |
    | yes  | yes    | no           | object | TRANSFER                             |
    | yes  | yes    | no           | file   | CONFLICT: somebody put it there      |
    """

    since_ns: int
    checksum: bool = False

    def decide(self, pair: Pair, server_ahead_ns: int) -> Action:
        """Decide by what walking and listing alone tell."""
        local, remote = pair.local, pair.remote
        if local is None or remote is None:
            return Action.EXTRA if remote is None else Action.TRANSFER
        if local.size != remote.size:
            return self.settle(pair, server_ahead_ns)
        if self.checksum:
            return Action.COMPARE
        # What is older was verified when it was copied; what was downloaded has the object's own time.
        is_old = remote.modified_ns < self.since_ns + server_ahead_ns
        return Action.SKIP if is_old or _has_time_of(local, remote) else Action.COMPARE

    def settle(self, pair: Pair, server_ahead_ns: int) -> Action:
        """Decide for a pair that is on both sides and is known to differ."""
        if pair.local is None or pair.remote is None:
            return Action.TRANSFER
        is_newer = pair.local.mtime_ns + server_ahead_ns > pair.remote.modified_ns
        return Action.CONFLICT if is_newer and not _has_time_of(pair.local, pair.remote) else Action.TRANSFER


def _has_time_of(local: LocalFile, remote: RemoteObject) -> bool:
    """Whether a file has the time that a download gives it. Some file systems keep the seconds only."""
    return local.mtime_ns <= remote.modified_ns <= latest_ns(local.mtime_ns)
