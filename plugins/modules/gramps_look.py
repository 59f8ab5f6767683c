#!/usr/bin/python
# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: gramps_look
short_description: Looks at media of a Gramps Web as its users do
version_added: 0.1.0
author: selfhosted.media contributors (@selfhosted-media)
description:
  - Private to the role gramps_web; its options may change.
  - Draws some media objects at random, asks Gramps Web for their files, follows to the bucket without credentials, and compares what comes with the
    checksum in the database. Gramps Web itself redirects to the bucket without looking whether anything is there.
  - Runs in the application's own Python and network. Without O(user) it makes a token that lasts for minutes and allows looking only.
extends_documentation_fragment:
  - selfhosted.media.attributes
  - selfhosted.media.gramps_web
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  trees:
    description: Ids of the family trees, for which tokens are made.
    type: list
    elements: str
    default: []
  url:
    description: Where the application answers, as seen from where it runs. If omitted, what suits the installation.
    type: str
    default: ''
  user:
    description: A user whose family tree is looked at instead.
    type: str
    default: ''
  password:
    description: The user's password.
    type: str
    default: ''
  sample:
    description: How many media objects of each tree to look at.
    type: int
    default: 20
  seed:
    description: What the random choice starts from. If omitted, another one every time; RV(seed) tells which.
    type: int
  clear_caches:
    description: Whether to clear the application's caches of thumbnails and answers, which would hide that a file is not there.
    type: bool
    default: false
  missing_allowed:
    description: Whether media objects without a file are only counted.
    type: bool
    default: false
  not_stored:
    description: How many media objects are known to have no object in the bucket; that many may be without a file.
    type: int
    default: 0
  different_allowed:
    description: Whether media objects with another file than the database records are only counted.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Look at some pictures
  selfhosted.media.gramps_look:
    dir: /opt/gramps
    trees: [5f3e1a2b]
"""

RETURN = r"""
rows:
  description: Number of media objects that users can see.
  type: int
  returned: when it could be looked at
  sample: 512
looked:
  description: How many were looked at.
  type: int
  returned: always
  sample: 20
right:
  description: How many of them came as the database records them.
  type: int
  returned: always
  sample: 20
wrong:
  description: The others, with what is the matter with them.
  type: list
  elements: dict
  returned: always
  sample: []
redirected_to:
  description: The hosts that files came from, other than Gramps Web itself.
  type: list
  elements: str
  returned: always
  sample: [s3.fr-par.scw.cloud]
seed:
  description: What the random choice started from.
  type: int
  returned: always
  sample: 4711
left_out:
  description: Why it was not looked at; nothing when it was.
  type: str
  returned: always
  sample: ''
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

import secrets
from typing import Any

from ansible_collections.selfhosted.media.plugins.module_utils._dotenv.masking import LOOKS_SECRET
from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._gramps.instance_options import (
    INSTANCE_ARGUMENTS,
    instance_of,
)
from ansible_collections.selfhosted.media.plugins.module_utils._gramps.look import Seen, look
from ansible_collections.selfhosted.media.plugins.module_utils._instance.command import (
    ENVIRONMENT,
    CommandFailed,
    Runner,
)
from ansible_collections.selfhosted.media.plugins.module_utils._module import MediaModule, run

ARGUMENTS: dict[str, dict[str, Any]] = {
    **INSTANCE_ARGUMENTS,
    "trees": {"type": "list", "elements": "str", "default": []},
    "url": {"type": "str", "default": ""},
    "user": {"type": "str", "default": ""},
    "password": {"type": "str", "default": "", "no_log": True},
    "sample": {"type": "int", "default": 20},
    "seed": {"type": "int"},
    "clear_caches": {"type": "bool", "default": False},
    "missing_allowed": {"type": "bool", "default": False},
    "not_stored": {"type": "int", "default": 0},
    "different_allowed": {"type": "bool", "default": False},
}
#: Names of those that are wrong; the result stays small.
_MOST = 20


def unexpected(wrong: list[Seen], params: dict[str, Any]) -> list[Seen]:
    """The media objects with which something is the matter that was not expected."""
    missing = [one for one in wrong if one.status in (404, 410)]
    different = [one for one in wrong if one.status == 200]
    expected = [*missing] if params["missing_allowed"] or len(missing) <= params["not_stored"] else []
    if params["different_allowed"]:
        expected += different
    return [one for one in wrong if one not in expected]


def main() -> None:
    module = MediaModule(argument_spec=ARGUMENTS, supports_check_mode=True)

    def work() -> dict[str, Any]:
        params = module.params
        found = instance_of(params)
        seed = secrets.randbelow(1 << 31) if params["seed"] is None else params["seed"]
        settings = {"LOOK_USER": params["user"]} if params["user"] else {}
        hidden = {"LOOK_PASSWORD": params["password"]} if params["user"] else {}
        python = found.python
        if found.install_type == "docker":
            python = [*python[:-2], ENVIRONMENT, *python[-2:]]  # before the service and its python3
        else:
            # Only what is a secret is hidden: with true and 1 hidden, no message could be read.
            for name, value in found.environment.items():
                (hidden if LOOKS_SECRET.search(name) else settings).setdefault(name, value)
        runner = Runner(found.folder, found.user or None, 600, hidden, settings)
        local_url = (found.health_inside or found.health_url).rpartition("/")[0]
        result: dict[str, Any] = {
            "changed": False,
            "seed": seed,
            "looked": 0,
            "right": 0,
            "wrong": [],
            "redirected_to": [],
        }
        try:
            rows, seen = look(
                runner,
                python,
                url=(params["url"] or local_url).rstrip("/"),
                trees=params["trees"],
                sample=params["sample"],
                seed=seed,
                clear=params["clear_caches"],
            )
        except CommandFailed as exc:
            if params["user"]:
                raise
            return {
                **result,
                "left_out": f"no token could be made ({exc}); give gramps_web_user and gramps_web_password",
            }
        wrong = [one for one in seen if not one.is_right]
        result.update(
            rows=rows,
            looked=len(seen),
            right=len(seen) - len(wrong),
            wrong=[{"name": one.name, "reason": one.reason} for one in wrong[:_MOST]],
            redirected_to=sorted({one.redirected_to for one in seen if one.redirected_to}),
            left_out="",
        )
        bad = unexpected(wrong, params)
        if bad:
            raise MediaError(
                f"{len(bad)} of {len(seen)} media objects are not shown as they should be; the first: {bad[0].name}: {bad[0].reason}",
                result,
            )
        return result

    run(module, work)


if __name__ == "__main__":
    main()
