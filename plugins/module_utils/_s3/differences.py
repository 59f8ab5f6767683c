# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Collects what is and what is wanted, and yields Ansible's `changed` and `diff` of it."""

from __future__ import annotations

from typing import Any


class DifferenceTracker:
    """One name at a time: its value before and after."""

    def __init__(self) -> None:
        self._before: dict[str, Any] = {}
        self._after: dict[str, Any] = {}

    def add(self, name: str, before: Any, after: Any) -> bool:
        """Note a value; true if it differs."""
        self._before[name] = before
        self._after[name] = after
        return bool(before != after)

    @property
    def changed(self) -> bool:
        return self._before != self._after

    @property
    def diff(self) -> dict[str, Any]:
        """What a module returns as `diff`."""
        return {"before": dict(self._before), "after": dict(self._after)}
