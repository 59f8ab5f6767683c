#!/usr/bin/python
# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: dotenv
short_description: Sets and removes variables of an .env file
version_added: 0.1.0
author: selfhosted.media contributors (@selfhosted-media)
description:
  - Gives variables of an C(.env) their values and keeps everything else byte for byte, comments and line endings included.
  - Values are written so that bash (C(source .env)), docker compose 2 and 1, environs (python-dotenv) and systemd (C(EnvironmentFile)) all
    read the same. A value that no spelling makes them read alike is refused, with an error that names the variable and not the value.
  - The last active line of a variable is rewritten and its earlier duplicates are dropped. C(export), blanks around the equals sign and a
    comment behind the value are dropped from a line that is rewritten, since not all readers understand them.
  - A new variable comes after its commented default (C(# NAME=...)), which stays, and else at the end. Nothing is uncommented.
  - A line that all readers already take for the wanted value is not touched, however it is written.
  - The file is replaced in one step and keeps its owner, group and mode.
extends_documentation_fragment:
  - ansible.builtin.files
  - selfhosted.media.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details:
      - The values of O(secret_values), of variables whose names look like a secret's (such as C(KEY), C(SECRET), C(PASSWORD), C(TOKEN)) and
        passwords in URLs are masked, new and old ones, also in comments. A secret that changes is marked C((changed)).
  idempotent:
    support: full
options:
  absent:
    description: Names of variables to remove. Their commented defaults stay.
    type: list
    elements: str
    default: []
  backup:
    description: Whether a copy of the file, with its owner and mode, is kept beside it when something in it changes.
    type: bool
    default: false
  create:
    description: Whether the file is created if it does not exist.
    type: bool
    default: false
  path:
    description: The file. If it is a symlink, the file that it points to is changed.
    type: path
    required: true
  secret_values:
    description:
      - The same as O(values) for what nobody may see. Ansible blanks these values wherever they stand in the module's output.
    type: dict
    default: {}
  template:
    description:
      - A file on the target to start from if O(path) does not exist, such as C(.env.example).
      - The new file belongs to who runs the module and only they can read it, unless O(owner), O(group) and O(mode) say otherwise.
    type: path
  unsafe_writes:
    description: Has no effect. The file is always replaced in one step.
    type: bool
    default: false
  values:
    description:
      - Variables and their values, which are shown in the module's output.
      - Strings are written as they are, booleans as V(true) and V(false), whole numbers in digits. Anything else has to be quoted.
    type: dict
    default: {}
seealso:
  - module: ansible.builtin.lineinfile
"""

EXAMPLES = r"""
- name: Let BookWyrm keep its media in a bucket
  selfhosted.media.dotenv:
    path: /opt/bookwyrm/.env
    values:
      USE_S3: true
      AWS_STORAGE_BUCKET_NAME: books
      AWS_S3_REGION_NAME: fr-par
    secret_values:
      AWS_ACCESS_KEY_ID: "{{ bookwyrm_key_id }}"
      AWS_SECRET_ACCESS_KEY: "{{ bookwyrm_secret_key }}"
    backup: true

- name: Make the settings of a new instance from the example
  selfhosted.media.dotenv:
    path: /opt/bookwyrm/.env
    template: /opt/bookwyrm/.env.example
    mode: '0600'
    values:
      DOMAIN: books.example.com
    secret_values:
      SECRET_KEY: "{{ bookwyrm_secret }}"

- name: Take settings away
  selfhosted.media.dotenv:
    path: /opt/bookwyrm/.env
    absent:
      - AWS_S3_CUSTOM_DOMAIN
      - AWS_S3_URL_PROTOCOL
"""

RETURN = r"""
backup_file:
  description: The copy of the file as it was before.
  type: str
  returned: when O(backup) is set and something in the file changed, not in check mode
  sample: /opt/bookwyrm/.env.4711.2026-03-01@10:20:30~
changed_keys:
  description: Names of the variables whose lines changed, were added or were removed.
  type: list
  elements: str
  returned: success
  sample: [USE_S3, AWS_SECRET_ACCESS_KEY]
path:
  description: The file.
  type: str
  returned: success
  sample: /opt/bookwyrm/.env
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

import os
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.selfhosted.media.plugins.module_utils._dotenv import DotenvError, Edited, edit, env_diff
from ansible_collections.selfhosted.media.plugins.module_utils._io import read_file
from ansible_collections.selfhosted.media.plugins.module_utils._module import MediaModule, run
from ansible_collections.selfhosted.media.plugins.module_utils._variables import replace_file, wanted

ARGUMENTS: dict[str, dict[str, Any]] = {
    "absent": {"type": "list", "elements": "str", "default": []},
    "backup": {"type": "bool", "default": False},
    "create": {"type": "bool", "default": False},
    "path": {"type": "path", "required": True},
    "secret_values": {"type": "dict", "default": {}, "no_log": True},
    "template": {"type": "path"},
    "values": {"type": "dict", "default": {}},
}


def starting_point(params: dict[str, Any]) -> bytes:
    """The content that a file that does not exist starts from."""
    path, template = params["path"], params["template"]
    if template:
        content = read_file(template)
        if content is None:
            raise DotenvError(f"Neither {path} nor the template {template} exists.")
        return content
    if not params["create"]:
        raise DotenvError(f"There is no file {path}. Check path, or give template or create=true to make one.")
    return b""


def diff_of(params: dict[str, Any], before: bytes, edited: Edited, attributes: dict[str, Any]) -> list[dict[str, Any]]:
    """What --diff shows: the masked content, then owner and mode where they change."""
    path = params["path"]
    content = env_diff(path, before, edited.content, params["secret_values"], edited.changed_keys)
    return [content, {"before_header": f"{path} (attributes)", "after_header": f"{path} (attributes)", **attributes}]


def change(module: AnsibleModule) -> dict[str, Any]:
    """Bring the file to the wanted state, or find out what that would change."""
    params = module.params
    path = params["path"]
    values = wanted(params)
    before = read_file(path)
    start = starting_point(params) if before is None else before
    edited = edit(start, values, params["absent"])
    changed = edited.content != before
    result: dict[str, Any] = {"changed": changed, "changed_keys": edited.changed_keys, "path": path}

    # An old file gets its mode before a secret is written to it, a new one is private until it has its mode.
    attributes: dict[str, Any] = {}
    file_arguments = module.load_file_common_arguments(params, path=os.path.realpath(path))
    if before is not None:
        result["changed"] = module.set_fs_attributes_if_different(file_arguments, changed, attributes)
    if changed and not module.check_mode:
        backup = replace_file(path, edited.content, keep=before is not None and params["backup"])
        if backup:
            result["backup_file"] = backup
    if before is None and not module.check_mode:
        module.set_fs_attributes_if_different(file_arguments, changed, attributes)
    if module._diff:
        result["diff"] = diff_of(params, before or b"", edited, attributes)
    return result


def main() -> None:
    module = MediaModule(argument_spec=ARGUMENTS, add_file_common_args=True, supports_check_mode=True)
    run(module, lambda: change(module))


if __name__ == "__main__":
    main()
