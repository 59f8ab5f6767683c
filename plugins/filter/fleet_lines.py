# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Callable

from ansible.errors import AnsibleFilterError
from ansible_collections.selfhosted.media.plugins.module_utils._text.fleet import ACTIONS, instance_of, summary


def fleet_lines(
    hostvars: Mapping[str, Mapping[str, Any]],
    hosts: Sequence[str],
    present: Sequence[str],
    action: str = "migrate",
    check: bool = False,
) -> list[str]:
    """What came of a run over many instances, as lines of text."""
    if action not in ACTIONS:
        raise AnsibleFilterError(f"fleet_lines: action is {action}, and has to be one of {', '.join(ACTIONS)}")
    return summary([instance_of(host, hostvars[host], host in present, action) for host in hosts], action, check)


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"fleet_lines": fleet_lines}
