# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Command lines of this collection's playbooks, ready to be copied where the run was started."""

from __future__ import annotations

import os
import shlex
from typing import Any


def command_line(playbook: str, extra_vars: dict[str, Any], task_vars: dict[str, Any]) -> str:
    """ansible-playbook with the inventories of this run, for this host alone."""
    words = ["ansible-playbook", playbook]
    for source in task_vars.get("ansible_inventory_sources") or []:
        words += ["-i", _seen_from_here(str(source))]
    for name, value in {"target": task_vars.get("inventory_hostname", ""), **extra_vars}.items():
        words += ["-e", f"{name}={value}"]
    return " ".join(map(shlex.quote, words))


def _seen_from_here(source: str) -> str:
    """The path of an inventory as its owner has most likely written it; a list of hosts stays as it is."""
    if "," in source or not os.path.isabs(source):
        return source
    path = os.path.relpath(source)
    return source if path.startswith(os.pardir) else path
