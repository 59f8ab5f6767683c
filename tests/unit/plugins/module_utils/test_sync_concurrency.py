# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The number of transfers follows what a service can take. Services and time are simulated."""

from __future__ import annotations

import heapq
import random
from typing import Callable, Optional

import pytest
from ansible_collections.selfhosted.media.plugins.module_utils._sync.concurrency import Concurrency
from hypothesis import given
from hypothesis import strategies as st

#: How long a request takes, and whether it is throttled, when so many are under way at a moment.
Service = Callable[[int, float], tuple[float, bool]]


def simulate(concurrency: Concurrency, service: Service, answers: int) -> list[int]:
    """Keep as many requests under way as allowed; the limit after each answer."""
    now, limits = 0.0, []
    under_way: list[tuple[float, int, float, bool]] = []
    for number in range(answers):
        while len(under_way) < concurrency.limit:
            seconds, throttled = service(len(under_way) + 1, now)
            heapq.heappush(under_way, (now + seconds, number * 1000 + len(under_way), seconds, throttled))
        now, _number, seconds, throttled = heapq.heappop(under_way)
        concurrency.observe(seconds, throttled)
        limits.append(concurrency.limit)
    return limits


def serving(slots: int, seconds: float, jitter: float = 0.0) -> Service:
    """A service that works on so many requests at a time; the others wait in its queue."""
    chance = random.Random(1)

    def answer(under_way: int, _now: float) -> tuple[float, bool]:
        return seconds * max(1.0, under_way / slots) * (1 + jitter * chance.random()), False

    return answer


@pytest.mark.parametrize("ceiling", [1, 3, 8, 128])
def test_it_begins_low(ceiling: int) -> None:
    assert Concurrency(ceiling).limit <= min(ceiling, 16)


def test_a_far_and_mighty_service_is_used_to_the_ceiling() -> None:
    concurrency = Concurrency(128)
    limits = simulate(concurrency, serving(10_000, 0.04), 2_000)
    assert max(limits) == 128
    assert limits.index(128) < 1_000  # it is reached by doubling, not by one per round
    assert min(limits[limits.index(128) :]) > 100


@pytest.mark.parametrize("slots", [4, 8, 32])
def test_where_more_only_waits_in_a_queue_it_stops(slots: int) -> None:
    limits = simulate(Concurrency(512), serving(slots, 0.01, jitter=0.3), 20_000)
    settled = limits[len(limits) // 2 :]
    assert max(settled) <= slots * 6
    assert min(settled) >= min(slots, 8) // 2


def test_throttling_halves() -> None:
    concurrency = Concurrency(128, start=64)
    concurrency.observe(0.01, True)
    assert concurrency.limit == 32


def test_throttling_of_what_was_asked_before_halves_once() -> None:
    """All that is under way when a service begins to throttle may be refused: that is one event."""
    concurrency = Concurrency(128, start=64)
    for _number in range(64):
        concurrency.observe(0.01, True)
    assert concurrency.limit == 32


def test_a_service_that_throttles_above_a_rate() -> None:
    """It settles where little is refused, and does not starve."""
    rate, window = 500.0, 0.1
    recent: list[float] = []
    refused = 0

    def answer(_under_way: int, now: float) -> tuple[float, bool]:
        nonlocal refused
        recent[:] = [moment for moment in recent if moment > now - window]
        recent.append(now)
        throttled = len(recent) > rate * window
        refused += throttled
        return (0.005 if throttled else 0.05), throttled

    limits = simulate(Concurrency(512), answer, 5_000)
    settled = limits[2_500:]
    assert min(settled) >= 2
    assert max(settled) <= 128
    assert refused < 2_000


@given(
    ceiling=st.integers(1, 300),
    start=st.integers(1, 300),
    answers=st.lists(st.tuples(st.floats(0, 10), st.booleans()), max_size=300),
)
def test_never_above_the_ceiling_nor_below_one(ceiling: int, start: int, answers: list[tuple[float, bool]]) -> None:
    concurrency = Concurrency(ceiling, start)
    for seconds, throttled in answers:
        before: Optional[int] = concurrency.limit
        concurrency.observe(seconds, throttled)
        assert 1 <= concurrency.limit <= ceiling
        assert not throttled or concurrency.limit <= (before or 0)
