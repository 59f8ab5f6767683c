# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Count what was done. Safe to use from several threads, and small however many files there are."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass

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

    def count(self, kind: str, size: int = 0, requests: int = 0) -> None:
        """Count one of a kind, with the bytes and requests that it took."""
        with self._lock:
            self._counts[kind] += 1
            self.bytes += size
            self.requests += requests

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
