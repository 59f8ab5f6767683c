# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import time
from typing import Any, Optional

from ansible.errors import AnsibleActionFail
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.action import ActionBase
from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.plugin_utils._report.files import write
from ansible_collections.selfhosted.media.plugins.plugin_utils._report.options import ARGUMENTS
from ansible_collections.selfhosted.media.plugins.plugin_utils._report.reading import report_of


class ActionModule(ActionBase):
    """Runs on the controller, whatever the connection of the host is; nothing is asked of the host."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_async = False

    def run(self, tmp: Optional[str] = None, task_vars: Optional[dict[str, Any]] = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        checked = ArgumentSpecValidator(ARGUMENTS).validate(self._task.args)
        if checked.error_messages:
            raise AnsibleActionFail(f"{'; '.join(checked.error_messages)}. No report was written.")
        options = checked.validated_parameters
        result["changed"] = False
        if self._task.check_mode:
            return {**result, "msg": "No report is written in check mode."}
        try:
            report = report_of(options, time.strftime("%Y-%m-%dT%H:%M:%S%z"), task_vars)
            html, twin = write(report, options["dest"])
        except MediaError as exc:
            raise AnsibleActionFail(str(exc)) from exc
        # Said without -v too: it is what the reader wants to open next.
        return {**result, "html": html, "json": twin, "_ansible_verbose_always": True}
