# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a module is, as a line."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any, Optional

#: Seconds over which the rate is measured.
_WINDOW = 15.0
_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")


@dataclass(frozen=True)
class Report:
    """What the module has written down."""

    phase: str
    seconds: float
    files: int
    bytes: int
    failed: int
    total_files: int
    total_bytes: int
    is_exact: bool

    @classmethod
    def of(cls, told: Any) -> Optional[Report]:
        """The report in a module's words; None for what is none, such as nothing at all yet."""
        try:
            return cls(
                str(told["phase"]),
                float(told["seconds"]),
                int(told["files"]),
                int(told["bytes"]),
                int(told["failed"]),
                int(told["total_files"]),
                int(told["total_bytes"]),
                bool(told["is_exact"]),
            )
        except (KeyError, TypeError, ValueError):
            return None


@dataclass
class Pace:
    """How fast it goes, and how long it may take."""

    _seen: deque[Report] = field(default_factory=deque)

    def see(self, report: Report) -> None:
        """Take a report into account."""
        if self._seen and self._seen[-1].phase != report.phase:
            self._seen.clear()
        if not self._seen or self._seen[-1].seconds < report.seconds:
            self._seen.append(report)
        while len(self._seen) > 2 and self._seen[1].seconds < report.seconds - _WINDOW:
            self._seen.popleft()

    def rates(self) -> tuple[float, float]:
        """Bytes and files per second."""
        first, last = self._seen[0], self._seen[-1]
        seconds = last.seconds - first.seconds
        if seconds <= 0:
            return 0.0, 0.0
        return (last.bytes - first.bytes) / seconds, (last.files - first.files) / seconds

    def seconds_left(self) -> Optional[float]:
        """About how long it takes; None when nothing can be said."""
        last = self._seen[-1]
        left = (last.total_bytes - last.bytes, last.total_files - last.files)
        # Large files take as long as their bytes, small ones as long as their number.
        times = [amount / rate for amount, rate in zip(left, self.rates()) if amount > 0 and rate > 0]
        return max(times) if times else None


def line_of(report: Report, pace: Pace) -> str:
    """For instance: uploading 1,200 of 4,000 files, 1.2 of 4.1 GB (29%), 12.0 MB/s, 4 min left, 2 failed."""
    about = "" if report.is_exact else "about "
    parts = [f"{report.phase} {report.files:,} of {about}{_plural(report.total_files, 'file')}"]
    if report.total_bytes:
        parts.append(f"{amount(report.bytes)} of {about}{amount(report.total_bytes)}{_share(report)}")
    byte_rate, file_rate = pace.rates()
    if byte_rate:
        parts.append(f"{amount(byte_rate)}/s")
    elif file_rate:
        parts.append(f"{file_rate:,.0f} files/s")
    left = pace.seconds_left()
    if left is not None:
        parts.append(f"{_duration(left)} left")
    if report.failed:
        parts.append(f"{report.failed:,} failed")
    return ", ".join(parts)


def amount(size: float) -> str:
    """A number of bytes in the unit that suits it."""
    power = 0
    while size >= 999.5 and power < len(_UNITS) - 1:
        size, power = size / 1000, power + 1
    return f"{size:.0f} {_UNITS[0]}" if not power else f"{size:.1f} {_UNITS[power]}"


def _share(report: Report) -> str:
    return f" ({100 * report.bytes // report.total_bytes}%)" if report.is_exact else ""


def _plural(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{max(1, round(seconds))} s"
    if seconds < 3600:
        return f"{round(seconds / 60)} min"
    return f"{int(seconds // 3600)} h {int(seconds % 3600 // 60)} min"
