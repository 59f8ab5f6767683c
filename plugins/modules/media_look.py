#!/usr/bin/python
# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: media_look
short_description: Looks at what lies at the top of a folder
version_added: 0.1.0
author: selfhosted.media contributors (@selfhosted-media)
description:
  - B(Private to the roles of this collection.) Its options and results may change in any release.
  - Tells whether several hosts see the same folder, by the names in it and by which of its folders are empty.
extends_documentation_fragment:
  - selfhosted.media.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  path:
    description: The folder on the target.
    type: path
    required: true
"""

EXAMPLES = r"""
- name: Look at the tree
  selfhosted.media.media_look:
    path: /mnt/media
  register: look
"""

RETURN = r"""
entries:
  description: Number of files and folders in it.
  type: int
  returned: success
  sample: 12
digest:
  description: SHA-256 of their names and of which folders among them are empty, the same wherever these are the same.
  type: str
  returned: success
  sample: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
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

from ansible_collections.selfhosted.media.plugins.module_utils._module import MediaModule, run
from ansible_collections.selfhosted.media.plugins.module_utils._sync.top import top_of

ARGUMENTS: dict[str, dict[str, Any]] = {"path": {"type": "path", "required": True}}


def main() -> None:
    module = MediaModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    run(module, lambda: {"changed": False, **top_of(os.fsencode(module.params["path"]))._asdict()})


if __name__ == "__main__":
    main()
