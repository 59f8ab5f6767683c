# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What systemd tells of units, and gunicorn's command line of where it listens."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ansible_collections.selfhosted.media.plugins.module_utils._instance.command import Runner

_BIND = re.compile(r"(?<!\S)(?:--bind[ =]|-b ?)(\S+)")


def show(names: Sequence[str], properties: str) -> list[dict[str, str]]:
    """Properties of units, in the order of the names; the values of one that is told several times are lines."""
    doing = f"asking systemd for {names[0] if len(names) == 1 else 'its units'}"
    said = Runner("/", timeout=30).run(["systemctl", "show", "-p", properties, *names], doing)
    units = []
    for block in re.split(r"\n{2,}", said.strip("\n")):
        unit: dict[str, str] = {}
        for name, value in (line.split("=", 1) for line in block.splitlines() if "=" in line):
            unit[name] = f"{unit[name]}\n{value}" if name in unit else value
        units.append(unit)
    return units


def address(command: str, default: str = "127.0.0.1:8000") -> str:
    """Where gunicorn listens, as seen from its machine; empty for a socket, which has no URL."""
    binds = _BIND.findall(command) or [default]
    for host, port in re.findall(r"(?m)^(\[[^\]]*\]|[^:/]*)(?::(\d+))?$", "\n".join(binds)):
        return f"http://{'127.0.0.1' if host in ('', '0.0.0.0', '[::]') else host}:{port or '8000'}/"  # noqa: S104
    return ""
