# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What media_sync has to reach, and whether it did in this run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple, Optional

from .clients import AWS, ONE_BY_ONE, OURS, OURS_GRAMPS, RCLONE, S5CMD
from .workloads import REAL, Result


class Goal(NamedTuple):
    """A figure and the bound that it must keep."""

    workload: str
    text: str
    value: float
    bound: float
    at_most: bool = False

    @property
    def reached(self) -> bool:
        return self.value <= self.bound if self.at_most else self.value >= self.bound


class _Found:
    """The results by their names; what was not measured, or failed, is None."""

    def __init__(self, results: list[Result]) -> None:
        self._results = {(result.workload, result.case, result.client): result for result in results}

    def one(self, workload: str, case: str, client: str = OURS.name) -> Optional[Result]:
        result = self._results.get((workload, case, client))
        return result if result and result.samples and not result.failures else None

    def faster(self, workload: str, case: str) -> Optional[Result]:
        """The faster of s5cmd and rclone."""
        peers = [self.one(workload, case, client.name) for client in (S5CMD, RCLONE)]
        return max((peer for peer in peers if peer), key=_rate, default=None)


def _rate(result: Result) -> float:
    return result.objects_per_second


def goals_of(results: list[Result]) -> Iterator[Goal]:
    """The goals whose figures were measured."""
    found = _Found(results)

    def against(
        workload: str, case: str, peer: Optional[Result], text: str, bound: float, figure: Callable[[Result], float]
    ) -> Iterator[Goal]:
        ours = found.one(workload, case)
        if ours and peer:
            yield Goal(workload, f"{case}: {text} {peer.client}", figure(ours) / figure(peer), bound)

    yield from against("W1", "null", found.faster("W1", "null"), "objects/s against", 3, _rate)
    yield from against("W1", "null", found.one("W1", "null", AWS.name), "objects/s against", 10, _rate)
    ours, s5cmd = found.one("W1", "null"), found.one("W1", "null", S5CMD.name)
    if ours and s5cmd:
        part = ours.cpu_ms_per_object / s5cmd.cpu_ms_per_object
        yield Goal("W1", "null: CPU per object against s5cmd", part, 0.5, True)
    for case in REAL:
        yield from against("W1", case, found.faster("W1", case), "objects/s against", 0.95, _rate)
    ours, peer = found.one("W2", "listing"), found.faster("W2", "listing")
    if ours and peer:
        yield Goal("W2", f"listing: time against {peer.client}", ours.seconds / peer.seconds, 0.5, True)
    for case in ("null", *REAL):
        yield from against("W3", case, found.faster("W3", case), "bytes/s against", 0.95, _rate)
    yield from against("W4", "null", found.faster("W4", "null"), "objects/s against", 1, _rate)
    yield from _memory(found)
    yield from _shared(found)
    for case in REAL:
        ours = found.one("W7", case)
        if ours:
            yield Goal("W7", f"{case}: seconds", ours.seconds, 1, True)
    ours, serial = found.one("W6", "ceph far", OURS_GRAMPS.name), found.one("W6", "ceph far", ONE_BY_ONE.name)
    if ours and serial:
        yield Goal("W6", f"ceph over 40 ms: objects/s against {serial.client}", _rate(ours) / _rate(serial), 10)


def _shared(found: _Found) -> Iterator[Goal]:
    one = found.one("W8", "1 host")
    for count in (2, 4, 8):
        several = found.one("W8", f"{count} hosts")
        if one and several:
            yield Goal("W8", f"{count} hosts: of linear", one.seconds / (several.seconds * count), 0.9)


def _memory(found: _Found) -> Iterator[Goal]:
    for folders, fewer, bound in (("1,000 folders", "100 folders", 150), ("1 folder", "1 folder", 300)):
        ours, before = found.one("W5", f"1,000,000 in {folders}"), found.one("W5", f"100,000 in {fewer}")
        if ours:
            yield Goal("W5", f"1,000,000 in {folders}: MB of memory (PSS)", ours.pss_mb, bound, True)
        if ours and before:
            growth = (ours.seconds / ours.count) / (before.seconds / before.count)
            yield Goal("W5", f"time per object, 1,000,000 in {folders} against 100,000 in {fewer}", growth, 1, True)
