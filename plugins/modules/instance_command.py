#!/usr/bin/python
# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: instance_command
short_description: Runs a command of an application with secrets in the environment of the process alone
version_added: 0.1.0
author: selfhosted.media contributors (@selfhosted-media)
description:
  - B(Private to the roles of this collection.) Its options and results may change in any release.
  - The task keyword C(environment) would put secrets on a command line of the target; this module gives them to the process.
extends_documentation_fragment:
  - selfhosted.media.attributes
attributes:
  check_mode:
    support: full
    details: The command is not run in check mode.
  diff_mode:
    support: none
  idempotent:
    support: N/A
    details: A command may do anything; O(changed_when) tells from its output whether it changed something.
options:
  command:
    description:
      - The command as a list of words. The word C({environment}) is replaced by C(-e NAME) for every variable.
      - A list of one word is a line for the shell.
    type: list
    elements: str
    required: true
  arguments:
    description: Words to put after the command; behind a line for the shell they are quoted.
    type: list
    elements: str
    default: []
  chdir:
    description: Folder to run it in.
    type: path
    required: true
  user:
    description: User to run it as, if the module itself runs as root.
    type: str
    default: ''
  environment:
    description: Variables with secrets.
    type: dict
    default: {}
  settings:
    description: Variables without secrets.
    type: dict
    default: {}
  timeout:
    description: Seconds until it is given up.
    type: int
    default: 1800
  changed_when:
    description: Regular expression; something was changed only if it is found in the output. If empty, always.
    type: str
    default: ''
  doing:
    description: What the command does, for the message when it fails.
    type: str
    default: the command
  advice:
    description: Sentence to put after that message, such as what has not been changed and what to do.
    type: str
    default: ''
"""

EXAMPLES = r"""
- name: Collect the static assets into the bucket
  selfhosted.media.instance_command:
    command: [/opt/bookwyrm/venv/bin/python, manage.py]
    arguments: [collectstatic, --no-input]
    chdir: /opt/bookwyrm
    user: bookwyrm
    settings:
      USE_S3: "true"
    environment:
      AWS_SECRET_ACCESS_KEY: "{{ secret_key }}"
"""

RETURN = r"""
stdout:
  description: What the command wrote, at most the last 20,000 characters. Secrets are masked.
  type: str
  returned: success, except in check mode
  sample: 263 static files copied.
began:
  description: When the module began, in seconds since 1970 by the target's clock.
  type: float
  returned: always
  sample: 1789300000.25
duration:
  description: How long it took, in seconds.
  type: float
  returned: always
  sample: 3.5
"""

import re
import shlex
import time
from typing import Any, Union

from ansible_collections.selfhosted.media.plugins.module_utils._instance.command import CommandFailed, Runner
from ansible_collections.selfhosted.media.plugins.module_utils._module import MediaModule, run

ARGUMENTS: dict[str, dict[str, Any]] = {
    "command": {"type": "list", "elements": "str", "required": True},
    "arguments": {"type": "list", "elements": "str", "default": []},
    "chdir": {"type": "path", "required": True},
    "user": {"type": "str", "default": ""},
    "environment": {"type": "dict", "default": {}, "no_log": True},
    "settings": {"type": "dict", "default": {}},
    "timeout": {"type": "int", "default": 1800},
    "changed_when": {"type": "str", "default": ""},
    "doing": {"type": "str", "default": "the command"},
    "advice": {"type": "str", "default": ""},
}


def command_line(words: list[str], arguments: list[str]) -> Union[str, list[str]]:
    """A list of words as it is; a single word is a line for the shell."""
    if len(words) == 1:
        return " ".join([words[0], *map(shlex.quote, arguments)])
    return [*words, *arguments]


def texts(values: dict[str, Any]) -> dict[str, str]:
    """Values for an environment."""
    return {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in values.items()}


def carry_out(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Run the command and tell what it said."""
    if check_mode:
        return {"changed": not params["changed_when"]}
    runner = Runner(
        params["chdir"],
        params["user"] or None,
        params["timeout"],
        secrets=texts(params["environment"]),
        settings=texts(params["settings"]),
    )
    began = time.monotonic()
    try:
        said = runner.masked(runner.run(command_line(params["command"], params["arguments"]), params["doing"]))
    except CommandFailed as exc:
        raise CommandFailed(f"{exc}. {params['advice']}" if params["advice"] else str(exc)) from exc
    changed = not params["changed_when"] or bool(re.search(params["changed_when"], said))
    return {"changed": changed, "stdout": said[-20_000:], "duration": round(time.monotonic() - began, 2)}


def main() -> None:
    module = MediaModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    run(module, lambda: carry_out(module.params, module.check_mode))


if __name__ == "__main__":
    main()
