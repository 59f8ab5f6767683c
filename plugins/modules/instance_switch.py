#!/usr/bin/python
# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: instance_switch
short_description: Changes a running application over to S3, and back at once when that fails
version_added: 0.1.0
author: selfhosted.media contributors (@selfhosted-media)
description:
  - B(Private to the roles of this collection.) Its options and results may change in any release.
  - Stops the services, copies the media that are new since the copy, writes the settings, starts the services and waits for the front page.
  - All of it runs in one process in a session of its own on the target. When the controller dies or the connection is lost, it goes on to its end.
  - When a step fails, the settings of before are put back, the services are started and the front page is waited for. Then the module fails
    with one paragraph that says which step failed, what was said and what was undone.
extends_documentation_fragment:
  - selfhosted.media.attributes
  - selfhosted.media.attributes.s3
  - selfhosted.media.s3
  - selfhosted.media.health
  - selfhosted.media.tree
attributes:
  check_mode:
    support: full
    details: Nothing is stopped or written; the settings are checked and the diff shows what would become of them.
  diff_mode:
    support: full
    details: Secrets are masked.
  idempotent:
    support: none
    details: It restarts the services; the roles call it only where that is needed.
options:
  changed_since:
    description: When the copy began that is already in the bucket; RV(selfhosted.media.media_sync#module:started) tells it.
    type: float
    required: true
  overwrite:
    description: As for M(selfhosted.media.media_sync).
    type: str
    default: changed
    choices: [changed, never]
  acl:
    description: As for M(selfhosted.media.media_sync).
    type: str
    default: ''
  cache_control:
    description: As for M(selfhosted.media.media_sync).
    type: str
    default: max-age=86400
  chdir:
    description: Folder of the instance.
    type: path
    required: true
  env_file:
    description: Path of its settings.
    type: path
    required: true
  kept_file:
    description: Path under which the settings of before are kept.
    type: path
    required: true
  values:
    description: Settings without secrets.
    type: dict
    default: {}
  secret_values:
    description: Settings with secrets.
    type: dict
    default: {}
  stop_command:
    description: Stops the services; a list of words, or of one word as a line for the shell.
    type: list
    elements: str
    required: true
  start_command:
    description: Starts the services.
    type: list
    elements: str
    required: true
  failed_command:
    description: Ends with 0 when the service has failed for good, so that nobody need wait; a list of words. If empty, nothing tells.
    type: list
    elements: str
    default: []
  health_timeout:
    description: Seconds to wait for the front page.
    type: int
    default: 300
"""

EXAMPLES = r"""
- name: Change over to S3
  selfhosted.media.instance_switch:
    endpoint_url: https://s3.fr-par.scw.cloud
    region: fr-par
    path: /opt/bookwyrm/images
    bucket: books
    prefix: images/
    include: ['*/*']
    acl: public-read
    changed_since: "{{ copy.started }}"
    chdir: /opt/bookwyrm
    env_file: /opt/bookwyrm/.env
    kept_file: /opt/bookwyrm/.env.before-s3
    values:
      USE_S3: "true"
      AWS_STORAGE_BUCKET_NAME: books
    stop_command: [systemctl, stop, bookwyrm-worker.service, bookwyrm.service]
    start_command: [systemctl, start, bookwyrm.service, bookwyrm-worker.service]
    health_url: http://127.0.0.1:8000/
"""

RETURN = r"""
uploaded:
  description: Number of files copied since the copy.
  type: int
  returned: success
  sample: 3
bytes:
  description: Their bytes.
  type: int
  returned: success
  sample: 120000
status:
  description: Status of the front page.
  type: int
  returned: success
  sample: 200
stop_seconds:
  description: From the moment the services were asked to stop until the front page answered again.
  type: float
  returned: success
  sample: 6.5
restart_seconds:
  description: How much of RV(stop_seconds) a plain restart of the services would have taken too.
  type: float
  returned: success
  sample: 6.3
stopped:
  description: When the services were asked to stop, in seconds since 1970.
  type: float
  returned: success
  sample: 1789300000.25
changed_keys:
  description: Names of the settings that changed.
  type: list
  elements: str
  returned: success
  sample: [USE_S3]
"""

import syslog
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.selfhosted.media.plugins.module_utils._dotenv.editing import Edited, edit
from ansible_collections.selfhosted.media.plugins.module_utils._dotenv.masking import masked_change
from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._instance.command import Runner, command_of
from ansible_collections.selfhosted.media.plugins.module_utils._instance.detached import carry_out_detached
from ansible_collections.selfhosted.media.plugins.module_utils._instance.health import HEALTH_ARGUMENTS, looker_of
from ansible_collections.selfhosted.media.plugins.module_utils._instance.lock import instance_lock
from ansible_collections.selfhosted.media.plugins.module_utils._instance.switch import Switch
from ansible_collections.selfhosted.media.plugins.module_utils._io import read_file
from ansible_collections.selfhosted.media.plugins.module_utils._module import S3_ARGUMENTS, connection_of, run
from ansible_collections.selfhosted.media.plugins.module_utils._objects.explicit import access_to
from ansible_collections.selfhosted.media.plugins.module_utils._s3.client import Connection
from ansible_collections.selfhosted.media.plugins.module_utils._sync.job import Job
from ansible_collections.selfhosted.media.plugins.module_utils._tree_options import (
    TREE_ARGUMENTS,
    concurrency_of,
    tree_of,
)

ARGUMENTS: dict[str, dict[str, Any]] = {
    **S3_ARGUMENTS,
    **TREE_ARGUMENTS,
    **HEALTH_ARGUMENTS,
    "changed_since": {"type": "float", "required": True},
    "overwrite": {"type": "str", "default": "changed", "choices": ["changed", "never"]},
    "acl": {"type": "str", "default": ""},
    "cache_control": {"type": "str", "default": "max-age=86400"},
    "chdir": {"type": "path", "required": True},
    "env_file": {"type": "path", "required": True},
    "kept_file": {"type": "path", "required": True},
    "values": {"type": "dict", "default": {}},
    "secret_values": {"type": "dict", "default": {}, "no_log": True},
    "stop_command": {"type": "list", "elements": "str", "required": True},
    "start_command": {"type": "list", "elements": "str", "required": True},
    "failed_command": {"type": "list", "elements": "str", "default": []},
    "health_timeout": {"type": "int", "default": 300},
}


def switch_of(params: dict[str, Any], connection: Connection, edited: Edited) -> Switch:
    """The change-over that the options describe, with everything checked that can be checked before the stop."""
    runner = Runner(params["chdir"])
    job = Job(
        # While the site stands still, going back is better than waiting for a service that does not answer.
        access_to(connection, params["bucket"], connect_timeout=10),
        tree_of(params),
        overwrite=params["overwrite"] == "changed",
        changed_since=params["changed_since"],
        acl=params["acl"],
        cache_control=params["cache_control"],
        concurrency=concurrency_of(params),
        max_parts=connection.known.max_parts,
    )
    job.tree.check()
    return Switch(
        runner,
        command_of(params["stop_command"]),
        command_of(params["start_command"]),
        looker_of(params, runner),
        job,
        params["env_file"],
        edited,
        params["kept_file"],
        params["health_timeout"],
        command_of(params["failed_command"]) if params["failed_command"] else "",
        log=lambda message: syslog.syslog(f"selfhosted.media switch of {params['chdir']}: {message}"),
    )


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    connection = connection_of(module)

    def work() -> dict[str, Any]:
        params = module.params
        before = read_file(params["env_file"])
        if before is None:
            raise MediaError(f"{params['env_file']} does not exist; nothing was changed")
        edited = edit(before, {**params["values"], **params["secret_values"]})
        result: dict[str, Any] = {"changed": True, "changed_keys": edited.changed_keys}
        if module._diff:
            shown = masked_change(before, edited.content, params["secret_values"], edited.changed_keys)
            result["diff"] = {
                "before": shown[0],
                "after": shown[1],
                "before_header": params["env_file"],
                "after_header": params["env_file"],
            }
        if module.check_mode:
            return result

        def change_over() -> dict[str, Any]:
            with instance_lock(params["chdir"], "changing over to S3"):
                return switch_of(params, connection, edited).carry_out()

        return {**result, **carry_out_detached(change_over)}

    run(module, work)


if __name__ == "__main__":
    main()
