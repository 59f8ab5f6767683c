#!/usr/bin/python
# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: instance_refresh
short_description: Makes a BookWyrm that has changed over forget its old URLs
version_added: 0.1.0
author: selfhosted.media contributors (@selfhosted-media)
description:
  - B(Private to the roles of this collection.) Its options and results may change in any release.
  - Deletes the template fragments in Redis that hold URLs of the other side; sessions and streams, which live there too, stay.
  - Sets C(covers_url) of the self connector where the release has one (August to September 2021), and does nothing where it has none.
extends_documentation_fragment:
  - selfhosted.media.attributes
attributes:
  check_mode:
    support: full
    details: Does nothing in check mode.
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  manage_command:
    description: The instance's manage.py as a list of words, or of one word as a line for the shell.
    type: list
    elements: str
    required: true
  chdir:
    description: Folder to run it in.
    type: path
    required: true
  user:
    description: User to run it as, if the module itself runs as root.
    type: str
    default: ''
  base_url:
    description: URL under which browsers see the instance.
    type: str
    required: true
  public_url:
    description: URL under which browsers see the bucket.
    type: str
    required: true
  former_url:
    description: URL under which browsers saw the bucket before, if that has changed.
    type: str
    default: ''
  proxy_command:
    description:
      - Command that empties the proxy's cache of pages, as O(manage_command); run before anything else. If empty, none is.
      - That it fails is no failure, because the proxy's pages expire within a minute by themselves.
    type: list
    elements: str
    default: []
  storage:
    description: Where the media are now.
    type: str
    choices: [s3, disk]
    default: s3
"""

EXAMPLES = r"""
- name: Forget the old URLs
  selfhosted.media.instance_refresh:
    manage_command: [/opt/bookwyrm/venv/bin/python, manage.py]
    chdir: /opt/bookwyrm
    user: bookwyrm
    base_url: https://books.example
    public_url: https://media.books.example
"""

RETURN = r"""
fragments:
  description: Number of template fragments deleted.
  type: int
  returned: success
  sample: 40
connectors:
  description: Number of self connectors changed.
  type: int
  returned: success
  sample: 0
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

import contextlib
from typing import Any

from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._instance.command import Runner, command_of
from ansible_collections.selfhosted.media.plugins.module_utils._instance.refresh import refresh
from ansible_collections.selfhosted.media.plugins.module_utils._module import MediaModule, run

ARGUMENTS: dict[str, dict[str, Any]] = {
    "manage_command": {"type": "list", "elements": "str", "required": True},
    "chdir": {"type": "path", "required": True},
    "user": {"type": "str", "default": ""},
    "base_url": {"type": "str", "required": True},
    "public_url": {"type": "str", "required": True},
    "former_url": {"type": "str", "default": ""},
    "proxy_command": {"type": "list", "elements": "str", "default": []},
    "storage": {"type": "str", "choices": ["s3", "disk"], "default": "s3"},
}


def main() -> None:
    module = MediaModule(argument_spec=ARGUMENTS, supports_check_mode=True)

    def work() -> dict[str, Any]:
        params = module.params
        if module.check_mode:
            return {"changed": False, "fragments": 0, "connectors": 0}
        if params["proxy_command"]:
            with contextlib.suppress(MediaError):
                Runner(params["chdir"], None, 600).run(
                    command_of(params["proxy_command"]), "emptying the proxy's cache"
                )
        done = refresh(
            Runner(params["chdir"], params["user"] or None, 600),
            command_of(params["manage_command"]),
            params["base_url"],
            params["public_url"],
            params["storage"] == "s3",
            params["former_url"],
        )
        return {"changed": any(done), **done._asdict()}

    run(module, work)


if __name__ == "__main__":
    main()
