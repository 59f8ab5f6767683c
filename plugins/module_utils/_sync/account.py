# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Count what was done. Safe to use from several threads, and small however many files there are."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass
from typing import Any

from ansible_collections.selfhosted.media.plugins.module_utils._sync.breakdown import Breakdown

#: How many names are kept of each kind, and how much of each; a result stays small whatever happens.
KEPT = 20
_LONGEST_NAME = 120
_LONGEST_REASON = 240


@dataclass(frozen=True)
class Remark:
    """A name and what was the matter with it."""

    name: str
    reason: str


class Account:
    """Counts by kind (uploaded, unchanged, failed, ...), bytes, and the first names of each kind worth naming."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._remarks: dict[str, list[Remark]] = {}
        self.bytes = 0
        self.requests = 0
        #: what was transferred, by folder and by type
        self.folders = Breakdown()
        self.types = Breakdown()
        #: requests whose time was taken, and how long they took in sum
        self.timed = 0
        self.seconds = 0.0

    def __getstate__(self) -> dict[str, Any]:
        # Worker processes hand theirs over; a lock stays at home.
        return {name: value for name, value in self.__dict__.items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()

    def count(self, kind: str, size: int = 0, number: int = 1) -> None:
        """Count one of a kind, or several, with the bytes that it took."""
        with self._lock:
            self._counts[kind] += number
            self.bytes += size

    def transferred(self, kind: str, size: int, folder: bytes, type_: bytes) -> None:
        """Count a transfer, also by the folder that the file lies in and by its type."""
        with self._lock:
            self._counts[kind] += 1
            self.bytes += size
            self.folders.add(folder, size)
            self.types.add(type_, size)

    def remark(self, kind: str, name: str, reason: str) -> None:
        """Count one of a kind and keep its name and reason if it is among the first."""
        with self._lock:
            self._counts[kind] += 1
            kept = self._remarks.setdefault(kind, [])
            if len(kept) < KEPT:
                kept.append(Remark(_shortened(name, _LONGEST_NAME), _shortened(reason, _LONGEST_REASON)))

    def add_requests(self, requests: int) -> None:
        """Count requests that belong to no single file."""
        with self._lock:
            self.requests += requests

    def take_time(self, requests: int, seconds: float) -> None:
        """Note how long some requests took in sum."""
        with self._lock:
            self.timed += requests
            self.seconds += seconds

    def add_transferred(self, other: Account) -> None:
        """Take over what somebody else has transferred, but not how it is counted."""
        with self._lock:
            self.bytes += other.bytes
            self.folders.merge(other.folders)
            self.types.merge(other.types)

    def add(self, other: Account) -> None:
        """Take over what somebody else has counted; of names, as many as there is room for."""
        self.add_transferred(other)
        with self._lock:
            self._counts += other._counts
            self.requests += other.requests
            self.timed += other.timed
            self.seconds += other.seconds
            for kind, remarks in other._remarks.items():
                kept = self._remarks.setdefault(kind, [])
                kept += remarks[: KEPT - len(kept)]

    def move(self, number: int, from_kind: str, to_kind: str) -> None:
        """Correct a count."""
        with self._lock:
            self._counts[from_kind] -= number
            self._counts[to_kind] += number

    def __getitem__(self, kind: str) -> int:
        with self._lock:
            return self._counts[kind]

    def remarks(self, kind: str) -> list[dict[str, str]]:
        """The first names of a kind, with their reasons, as plain data."""
        with self._lock:
            return [{"name": remark.name, "reason": remark.reason} for remark in self._remarks.get(kind, [])]


def _shortened(text: str, longest: int) -> str:
    """The text, or its two ends: names tell most there, and reasons end with what to do."""
    if len(text) <= longest:
        return text
    half = (longest - 5) // 2
    return f"{text[:half]} ... {text[-half:]}"
