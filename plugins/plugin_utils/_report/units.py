# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbers, sizes and times for people."""

from __future__ import annotations

from typing import Union

from ansible_collections.selfhosted.media.plugins.module_utils._text import measures

_MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
#: A group of three digits is told from the next by a thin space, which does not break.
_THIN = "\u202f"


def number(value: Union[int, float]) -> str:
    """1234567 as 1 234 567."""
    return f"{value:,}".replace(",", _THIN)


def size(count: float) -> str:
    """1536 as 1.5 kB, as the playbook's output has it."""
    return measures.size(count).replace(" ", "\u00a0")


def duration(seconds: float) -> str:
    """75.2 as 1 min 15 s."""
    if seconds < 0.05:
        return "under 0.1\u00a0s"
    if seconds < 9.95:
        return f"{seconds:.1f}\u00a0s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}\u00a0s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes}\u00a0min {rest}\u00a0s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}\u00a0h {minutes}\u00a0min"


def plural(count: int, one: str, several: str) -> str:
    """1 as 1 file, 2 as 2 files."""
    return f"{number(count)}\u00a0{one if count == 1 else several}"


def share(part: float, whole: float) -> str:
    """The part in per cent."""
    percent = 100 * part / whole if whole else 0
    return "under 1\u00a0%" if 0 < percent < 1 else f"{percent:.0f}\u00a0%"


def moment(made: str) -> str:
    """2026-07-01T12:00:00+0200 as 1 July 2026, 12:00 (UTC+0200)."""
    date, _t, clock = made.partition("T")
    year, month, day = date.split("-")
    # Not strftime's names, which are in the language of whoever runs it.
    return f"{int(day)} {_MONTHS[int(month) - 1]} {year}, {clock[:5]} (UTC{clock[8:]})"
