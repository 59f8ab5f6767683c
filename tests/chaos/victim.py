# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""media_sync in a process of its own, as Ansible runs it on the target, to be killed.

Its argument is a JSON dict of the module's options; `processes` besides is how many workers it shall have. It writes a
line when it has loaded everything, then its result.
"""

from __future__ import annotations

import json
import sys

from ansible.module_utils import basic
from ansible_collections.selfhosted.media.plugins.module_utils._sync import engine, split
from ansible_collections.selfhosted.media.plugins.modules import media_sync
from ansible_collections.selfhosted.media.tests.chaos.engine import small_parts

if __name__ == "__main__":
    options = json.loads(sys.argv[1])
    processes = options.pop("processes")
    small_parts(setattr)
    setattr(split, "_KEYS", 20)  # noqa: B010 (a small tree, many ranges)
    setattr(engine, "automatic_number", lambda _files: processes)  # noqa: B010
    internal = {"_ansible_remote_tmp": "/tmp", "_ansible_keep_remote_files": False}
    # As ansible.module_utils.testing does it, which takes longer to load than all the rest.
    basic._ANSIBLE_ARGS = json.dumps({"ANSIBLE_MODULE_ARGS": {**options, **internal}}).encode()
    basic._ANSIBLE_PROFILE = "legacy"
    print("begun", flush=True)
    media_sync.main()
