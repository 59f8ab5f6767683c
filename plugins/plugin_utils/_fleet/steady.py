# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of a host that is lost while many are worked on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Optional

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action.normal import ActionModule


class SteadyAction(ActionModule):
    """Runs the module as any other. Where the play catches failures, a lost connection is one.

    Ansible has no rescue for a host that is unreachable, and ends the whole run when a batch has lost all of its hosts.
    """

    def run(self, tmp: Optional[str] = None, task_vars: Optional[dict[str, Any]] = None) -> dict[str, Any]:
        """Run the module."""
        try:
            result: dict[str, Any] = super().run(tmp, task_vars)
        except AnsibleConnectionFailure as exc:
            if not self._is_caught(task_vars or {}):
                raise
            sentence = _sentence(self._task.get_name(include_role_fqcn=False), exc)
            raise AnsibleActionFail(
                sentence, result={"lost": True}
            ) from None  # Ansible would append what it comes from
        return result

    def _is_caught(self, variables: Mapping[str, Any]) -> bool:
        caught = self._templar.template(variables.get("fleet_catches", False))
        return boolean(caught, strict=False) and len(variables.get("ansible_play_hosts_all", ())) > 1


def _sentence(task: str, exc: AnsibleConnectionFailure) -> str:
    step = task.rpartition(" : ")[2]
    return (
        f"The host cannot be reached, at the step '{step}': {' '.join(str(exc).split())}. What had begun there ends by itself; "
        "see to the connection, then run again, which finds out what is done."
    )
