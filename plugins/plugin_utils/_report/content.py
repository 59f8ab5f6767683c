# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a report holds, as plain data: its JSON twin is this and nothing else."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Optional, Union

#: How a step, a check or a probe ended.
OK, FAILED, SKIPPED, UNKNOWN = STATES = ("ok", "failed", "skipped", "unknown")

Value = Union[str, int, float, bool, None]


@dataclass(frozen=True)
class Step:
    """Something that was done, and how long it took; when is told in seconds since the first step began."""

    name: str
    state: str = OK
    seconds: Optional[float] = None
    begin: Optional[float] = None
    detail: str = ""


@dataclass(frozen=True)
class Count:
    """Something that was counted before and after."""

    name: str
    before: Value = None
    after: Value = None


@dataclass(frozen=True)
class Share:
    """A part of what was transferred, of one type or in one folder."""

    name: str
    files: int
    bytes: int


@dataclass(frozen=True)
class Transfer:
    """What was copied, and how fast: a point is seconds since the start, bytes and files done by then."""

    files: int = 0
    unchanged: int = 0
    bytes: int = 0
    seconds: float = 0
    throughput: list[tuple[float, int, int]] = field(default_factory=list)
    types: list[Share] = field(default_factory=list)
    folders: list[Share] = field(default_factory=list)


@dataclass(frozen=True)
class Verification:
    """What was found when disk and bucket were compared anew."""

    counts: dict[str, int] = field(default_factory=dict)
    sampled: int = 0
    seed: Optional[int] = None


@dataclass(frozen=True)
class Link:
    """An object of the sample under its public URL."""

    url: str
    name: str


@dataclass(frozen=True)
class Check:
    """Something that was looked at, and what to do about it."""

    name: str
    state: str = OK
    detail: str = ""
    remedy: str = ""


@dataclass(frozen=True)
class Problem:
    """What is the matter, and what to do about it."""

    what: str
    remedy: str = ""


@dataclass(frozen=True)
class Command:
    """A command line, ready to be copied, and what it is for."""

    what: str
    command: str


@dataclass(frozen=True)
class Report:
    """A run on one instance."""

    application: str
    instance: str
    action: str
    ok: bool
    headline: str
    made: str
    seconds: Optional[float] = None
    notes: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    counts: list[Count] = field(default_factory=list)
    transfer: Optional[Transfer] = None
    verification: Optional[Verification] = None
    sample: list[Link] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    probes: list[Check] = field(default_factory=list)
    settings: dict[str, str] = field(default_factory=dict)
    secret_settings: list[str] = field(default_factory=list)
    commands: list[Command] = field(default_factory=list)
