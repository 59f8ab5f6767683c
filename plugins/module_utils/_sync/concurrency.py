# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many transfers go at a time: more as long as that makes it faster, half as many when the service asks to slow down."""

from __future__ import annotations

import threading
import time

#: Transfers at a time to begin with, and below which only throttling leads.
_START = 8
#: Doubling ends when it makes things less than so much faster.
_WORTH_DOUBLING = 1.3
#: Answers that take so many times as long as the quickest ones did have been waiting in a queue.
_QUEUED = 2.0
#: Seconds that a round lasts at least, so that a few answers that happen to be quick decide nothing.
_SHORTEST_ROUND = 0.05


class Concurrency:
    """The number of transfers that may go at a time, tuned by what the answers tell.

    As TCP does it: doubled at the start while that helps, then one more per round, halved when the service throttles.
    A round begins with as many answers as were asked for before it and so tell nothing of it.
    """

    def __init__(self, ceiling: int, start: int = _START) -> None:
        self.ceiling = ceiling
        #: transfers at a time, at the moment
        self.limit = min(start, ceiling)
        self._lock = threading.Lock()
        self._doubling = True
        self._quickest = float("inf")
        self._last_rate = 0.0
        self._begin_round()

    def _begin_round(self) -> None:
        self._stale = self.limit
        self._answers = 0
        self._seconds = 0.0
        self._began = 0.0

    def observe(self, seconds: float, throttled: bool) -> None:
        """Take an answer into account: how long it took, and whether it asked to slow down."""
        with self._lock:
            if self._stale:
                self._stale -= 1
                self._began = time.monotonic()
                if not (throttled and self._doubling):
                    return
            if throttled:
                self._doubling = False
                self._change(self.limit // 2)
                return
            self._answers += 1
            self._seconds += seconds
            if self._answers >= self.limit and time.monotonic() - self._began >= _SHORTEST_ROUND:
                self._end_round()

    def _end_round(self) -> None:
        mean = self._seconds / self._answers
        rate = self._answers / (time.monotonic() - self._began)
        self._quickest = min(self._quickest, mean)
        if self._doubling:
            helped = rate > self._last_rate * _WORTH_DOUBLING
            self._doubling = helped and self.limit < self.ceiling
            self._last_rate = rate
            self._change(self.limit * 2 if helped else self.limit // 2)
        elif mean < self._quickest * _QUEUED:
            self._change(self.limit + 1)
        else:
            self._change(max(self.limit - 1, min(_START, self.limit)))

    def _change(self, limit: int) -> None:
        self.limit = max(1, min(self.ceiling, limit))
        self._begin_round()
