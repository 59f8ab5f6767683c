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
  - selfhosted.media.change
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
  stopped:
    description:
      - Whether no service of the instance runs. If it has the settings for S3 already and nothing has been uploaded with them, a change-over was cut
        off; it is completed, and undone if that fails.
    type: bool
    default: false
  values:
    description: Settings without secrets.
    type: dict
    default: {}
  secret_values:
    description: Settings with secrets.
    type: dict
    default: {}
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
began:
  description: When the module began, in seconds since 1970 by the target's clock.
  type: float
  returned: always
  sample: 1789300000.25
duration:
  description: How long it took, in seconds.
  type: float
  returned: always
  sample: 0.5
"""

from typing import Any

from ansible_collections.selfhosted.media.plugins.module_utils._dotenv.editing import edit
from ansible_collections.selfhosted.media.plugins.module_utils._dotenv.masking import env_diff
from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._instance.change import (
    CHANGE_ARGUMENTS,
    change_of,
    check_untouched,
    job_of,
)
from ansible_collections.selfhosted.media.plugins.module_utils._instance.detached import carry_out_detached
from ansible_collections.selfhosted.media.plugins.module_utils._instance.health import HEALTH_ARGUMENTS
from ansible_collections.selfhosted.media.plugins.module_utils._instance.lock import instance_lock
from ansible_collections.selfhosted.media.plugins.module_utils._instance.switch import (
    SwitchedSettings,
    UploadedMedia,
    was_cut_off,
)
from ansible_collections.selfhosted.media.plugins.module_utils._io import read_file
from ansible_collections.selfhosted.media.plugins.module_utils._module import (
    S3_ARGUMENTS,
    MediaModule,
    connection_of,
    run,
)
from ansible_collections.selfhosted.media.plugins.module_utils._tree_options import TREE_ARGUMENTS, tree_of

ARGUMENTS: dict[str, dict[str, Any]] = {
    **S3_ARGUMENTS,
    **TREE_ARGUMENTS,
    **HEALTH_ARGUMENTS,
    **CHANGE_ARGUMENTS,
    "changed_since": {"type": "float", "required": True},
    "overwrite": {"type": "str", "default": "changed", "choices": ["changed", "never"]},
    "stopped": {"type": "bool", "default": False},
    "values": {"type": "dict", "default": {}},
    "secret_values": {"type": "dict", "default": {}, "no_log": True},
}


def main() -> None:
    module = MediaModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    connection = connection_of(module)

    def work() -> dict[str, Any]:
        params = module.params
        before = read_file(params["env_file"])
        if before is None:
            raise MediaError(f"{params['env_file']} does not exist; nothing was changed")
        edited = edit(before, {**params["values"], **params["secret_values"]})
        result: dict[str, Any] = {"changed": True, "changed_keys": edited.changed_keys}
        if module._diff:
            result["diff"] = env_diff(
                params["env_file"], before, edited.content, params["secret_values"], edited.changed_keys
            )
        if module.check_mode:
            return result

        def change_over() -> dict[str, Any]:
            with instance_lock(params["chdir"], "changing over to S3"):
                check_untouched(params["env_file"], before)
                job = job_of(
                    params,
                    connection,
                    tree_of(params),
                    overwrite=params["overwrite"] == "changed",
                    changed_since=params["changed_since"],
                )
                resumed = params["stopped"] and was_cut_off(job, params["env_file"], params["kept_file"])
                media = UploadedMedia(job)
                settings = SwitchedSettings(params["env_file"], edited.content, params["kept_file"], resumed)
                done = change_of("the change-over", params, media, settings).carry_out()
            return {**done, "uploaded": media.account["uploaded"], "bytes": media.account.bytes}

        return {**result, **carry_out_detached(change_over)}

    run(module, work)


if __name__ == "__main__":
    main()
