# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many transfers go at a time: more as long as that makes it faster, half as many when the service asks to slow down."""

from __future__ import annotations

import threading

#: Transfers at a time to begin with, and below which only throttling leads.
_START = 8
#: Answers that take so many times as long as the quickest ones did have been waiting in a queue.
_QUEUED = 2.0
#: How much of the recent answers' mean is the last answer's.
_WEIGHT = 1 / 8


class Concurrency:
    """The number of transfers that may go at a time, tuned by how long the answers take.

    As TCP does it. At the start each answer allows one more at a time, which doubles them per round trip, until the answers
    take longer for it. From then on one more per round is tried, and given up when they do. Throttling halves the number.
    """

    def __init__(self, ceiling: int, start: int = _START) -> None:
        self.ceiling = ceiling
        #: transfers at a time, at the moment
        self.limit = min(start, ceiling)
        self._lock = threading.Lock()
        self._is_starting = True
        self._recent = 0.0
        self._quickest = float("inf")
        # The first answers tell of connections being opened.
        self._stale = self._in_round = self.limit

    def observe(self, seconds: float, throttled: bool) -> None:
        """Take an answer into account: how long it took, and whether it asked to slow down."""
        with self._lock:
            if throttled:
                if self._is_starting or not self._stale:
                    self._is_starting = False
                    self._change(self.limit // 2)
                else:
                    self._stale -= 1  # asked for before the last halving
                return
            if self._stale:
                self._stale -= 1
                self._recent = seconds
                return
            self._recent += (seconds - self._recent) * _WEIGHT
            self._quickest = min(self._quickest, self._recent)
            is_queued = self._recent > self._quickest * _QUEUED
            if self._is_starting:
                self._is_starting = not is_queued and self.limit < self.ceiling
                self.limit = min(self.limit + (not is_queued), self.ceiling)
                return
            self._in_round -= 1
            if self._in_round <= 0:
                floor = min(_START, self.limit)
                self._change(max(self.limit - 1, floor) if is_queued else self.limit + 1)

    def _change(self, limit: int) -> None:
        # What is under way was asked for before: a round's answers are those that come after as many.
        self._stale = self._in_round = self.limit
        self.limit = max(1, min(self.ceiling, limit))
