#!/usr/bin/python
# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: compose_environment
short_description: Sets and removes variables of services in a compose file
version_added: 0.1.0
author: selfhosted.media contributors (@selfhosted-media)
description:
  - Gives variables in the C(environment) of services their values and keeps everything else byte for byte, comments, quotes, anchors
    and line endings included. Maps and lists, block and flow style are written as the file writes them.
  - What services have in common by an anchor, a merge key (C(<<)) or C(extends) within the file is written once, in the place that serves
    those in O(services) and no other. A service that is not named there never gets another environment. If there is no such place, the
    module fails and names the services that have to be named too.
  - Values are quoted and their C($) doubled, so that docker compose 2 and 1 give the service exactly the value. A value with a line break
    is refused.
  - The result is parsed again before it is written, and compared with what it has to be. The file is replaced in one step and keeps its
    owner, group and mode.
  - An C(env_file) that a service has is not looked into, and files that it extends or includes are not either.
requirements:
  - ruamel.yaml on the target (Debian and Ubuntu call the package C(python3-ruamel.yaml))
extends_documentation_fragment:
  - selfhosted.media.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details:
      - The values of O(secret_values), of names that look like a secret's (such as C(KEY), C(SECRET), C(PASSWORD), C(TOKEN)) and
        passwords in URLs are masked, new and old ones, also in comments. A secret that changes is marked C((changed)).
  idempotent:
    support: full
options:
  absent:
    description: Names of variables to remove. They may still come from an C(env_file) or the image.
    type: list
    elements: str
    default: []
  backup:
    description: Whether a copy of the file, with its owner and mode, is kept beside it when something in it changes.
    type: bool
    default: false
  path:
    description: The compose file. If it is a symlink, the file that it points to is changed.
    type: path
    required: true
  secret_values:
    description:
      - The same as O(values) for what nobody may see. Ansible blanks these values wherever they stand in the module's output.
    type: dict
    default: {}
  services:
    description: The services whose environment is changed. One that inherits it from another one of them is not written to.
    type: list
    elements: str
    required: true
  values:
    description:
      - Variables and their values, which are shown in the module's output.
      - Strings are written as they are, booleans as V(true) and V(false), whole numbers in digits. Anything else has to be quoted.
    type: dict
    default: {}
seealso:
  - module: selfhosted.media.dotenv
"""

EXAMPLES = r"""
- name: Let Gramps Web keep its media in a bucket
  selfhosted.media.compose_environment:
    path: /opt/grampsweb/docker-compose.yml
    services: [grampsweb, grampsweb_celery]
    values:
      GRAMPSWEB_MEDIA_BASE_DIR: s3://family-media
      AWS_DEFAULT_REGION: eu-central-1
    secret_values:
      AWS_ACCESS_KEY_ID: "{{ gramps_key_id }}"
      AWS_SECRET_ACCESS_KEY: "{{ gramps_secret_key }}"
    backup: true

- name: Take a setting away
  selfhosted.media.compose_environment:
    path: /opt/grampsweb/docker-compose.yml
    services: [grampsweb, grampsweb_celery]
    absent: [AWS_ENDPOINT_URL]
"""

RETURN = r"""
backup_file:
  description: The copy of the file as it was before.
  type: str
  returned: when O(backup) is set and something in the file changed, not in check mode
  sample: /opt/grampsweb/docker-compose.yml.4711.2026-03-01@10:20:30~
changed_keys:
  description: Names of the variables that changed, were added or were removed in any of the services, sorted.
  type: list
  elements: str
  returned: success
  sample: [AWS_SECRET_ACCESS_KEY, GRAMPSWEB_MEDIA_BASE_DIR]
path:
  description: The file.
  type: str
  returned: success
  sample: /opt/grampsweb/docker-compose.yml
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

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.selfhosted.media.plugins.module_utils._compose.editing import Edited, edit
from ansible_collections.selfhosted.media.plugins.module_utils._compose.masking import compose_diff
from ansible_collections.selfhosted.media.plugins.module_utils._compose.nodes import HAS_RUAMEL, RUAMEL_PACKAGES
from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._io import read_file
from ansible_collections.selfhosted.media.plugins.module_utils._module import MediaModule, run
from ansible_collections.selfhosted.media.plugins.module_utils._variables import replace_file, wanted

ARGUMENTS: dict[str, dict[str, Any]] = {
    "absent": {"type": "list", "elements": "str", "default": []},
    "backup": {"type": "bool", "default": False},
    "path": {"type": "path", "required": True},
    "secret_values": {"type": "dict", "default": {}, "no_log": True},
    "services": {"type": "list", "elements": "str", "required": True},
    "values": {"type": "dict", "default": {}},
}


def edited(params: dict[str, Any], before: bytes) -> Edited:
    """The file as it shall be; an error says which file it is about."""
    values = wanted(params)
    try:
        return edit(before, params["services"], values, params["absent"])
    except MediaError as exc:
        raise MediaError(f"{params['path']}: {exc}") from exc


def change(module: AnsibleModule) -> dict[str, Any]:
    """Bring the file to the wanted state, or find out what that would change."""
    params = module.params
    path = params["path"]
    before = read_file(path)
    if before is None:
        raise MediaError(f"There is no file {path}. Check path.")
    after = edited(params, before)
    changed = after.content != before
    result: dict[str, Any] = {"changed": changed, "changed_keys": after.changed_keys, "path": path}
    if module._diff:
        result["diff"] = compose_diff(path, before, after.content, params["secret_values"], after.changed_keys)
    if changed and not module.check_mode:
        backup = replace_file(path, after.content, keep=params["backup"])
        if backup:
            result["backup_file"] = backup
    return result


def main() -> None:
    module = MediaModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    if not HAS_RUAMEL:
        module.fail_json(msg=missing_required_lib("ruamel.yaml", reason=RUAMEL_PACKAGES))
    run(module, lambda: change(module))


if __name__ == "__main__":
    main()
