# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of a module on a host whose Python cannot even load it."""

from __future__ import annotations

import re
import shlex
from typing import Any, Optional

from ansible_collections.selfhosted.media.plugins.module_utils._python import MINIMUM, too_old
from ansible_collections.selfhosted.media.plugins.plugin_utils._fleet.steady import SteadyAction


class FirstAction(SteadyAction):
    """Runs the module as any other. Where it cannot even begin, because Python is older than Ansible itself allows, says so."""

    def run(self, tmp: Optional[str] = None, task_vars: Optional[dict[str, Any]] = None) -> dict[str, Any]:
        """Run the module."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        if "module_stderr" not in result:
            return result
        python = str(self._used_interpreter or "python3").lstrip("#!")
        asked = self._low_level_execute_command(f"{shlex.quote(python)} --version")
        version = re.search(r"Python (\d+)\.(\d+)\S*", asked["stdout"] + asked["stderr"])
        if version is None or (int(version[1]), int(version[2])) >= MINIMUM:
            return result
        result.pop("exception", None)  # it is core's, of an answer that is no JSON
        return {**result, "msg": too_old(version[0].split()[1], python)}
