# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The edge between Ansible and the plain core: connection options in, MediaError out."""

from __future__ import annotations

import os
import sys
import time
import traceback
from collections.abc import Iterable
from typing import Any, Callable

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._s3 import boto3_release
from ansible_collections.selfhosted.media.plugins.module_utils._s3.client import Connection, check
from ansible_collections.selfhosted.media.plugins.module_utils._url_users import url_secrets

#: Options of every S3 module, documented in the fragment selfhosted.media.s3.
S3_ARGUMENTS: dict[str, dict[str, Any]] = {
    "provider": {"type": "str", "default": "auto"},
    "endpoint_url": {"type": "str"},
    "region": {"type": "str"},
    "access_key": {"type": "str", "no_log": True},
    "secret_key": {"type": "str", "no_log": True},
    "session_token": {"type": "str", "no_log": True},
    "profile": {"type": "str"},
    "validate_certs": {"type": "bool", "default": True},
    "aws_ca_bundle": {"type": "path"},
    "addressing_style": {"type": "str", "default": "auto", "choices": ["auto", "path", "virtual"]},
}


class MediaModule(AnsibleModule):
    """Hides the users and passwords in URLs as Ansible hides what is no_log: in syslog, and where an option is refused too.

    Says with every result when the module began and how long it took, for the report on the run.
    """

    def __init__(self, **options: Any) -> None:
        # Not called `started`: with this word in a result, Ansible takes a task with `async` for one that has not ended.
        self._began = time.time(), time.monotonic()
        super().__init__(**options)

    def _log_invocation(self) -> None:
        self._hide_url_users()
        super()._log_invocation()

    def _return_formatted(self, kwargs: dict[str, Any]) -> None:
        self._hide_url_users()
        moment, clock = self._began
        kwargs = {"began": round(moment, 3), "duration": round(time.monotonic() - clock, 3), **kwargs}
        super()._return_formatted(kwargs)

    def hide(self, values: Iterable[str]) -> None:
        """Treat values as Ansible treats those that are no_log, from now on."""
        self.no_log_values.update(values)

    def _hide_url_users(self) -> None:
        self.hide(url_secrets(self.params))


def connection_of(module: AnsibleModule) -> Connection:
    """The connection that the module's options describe.

    Ends the module when boto3 is missing or too old, or for options that make no sense.
    """
    lack = boto3_release.lack()
    if lack:
        module.fail_json(
            msg=f"the Python library boto3 {lack} for the Python that Ansible uses ({sys.executable}); the module needs {boto3_release.LOWEST} or"
            f" newer. Install {boto3_release.PACKAGES}, or set ansible_python_interpreter to a Python that has one"
        )
    connection = Connection(**{name: module.params[name] for name in S3_ARGUMENTS})
    try:
        check(connection, module.params.get("bucket") or module.params.get("name") or "")
    except MediaError as exc:
        module.fail_json(msg=str(exc))
    return connection


def run(module: AnsibleModule, work: Callable[[], dict[str, Any]]) -> None:
    """Carry out the module's work and report its result, or the MediaError that stopped it."""
    try:
        result = work()
    except MediaError as exc:
        module.fail_json(msg=str(exc), **_finished(exc.result))
    except Exception as exc:  # noqa: BLE001 (Ansible would print it with whatever secret it holds)
        module.fail_json(msg=f"This is a mistake of the module: {exc!r}", exception=traceback.format_exc())
    module.exit_json(**_finished(result))


def _finished(result: dict[str, Any]) -> dict[str, Any]:
    """The result with the word that Ansible's async needs of one that has a `started`, which it takes for its own."""
    return {**result, "finished": True} if "started" in result and "ANSIBLE_ASYNC_DIR" in os.environ else result
