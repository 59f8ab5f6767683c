# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run `ansible-test units` on a copy of this checkout: PYTHON is a target's interpreter, which has what
tests/unit/requirements.txt and ansible-test ask for. Without PYTHON: the tests of controller code, by this interpreter.

ansible-test gives the tests of modules and module_utils nothing of ansible but its module_utils, as on a target.
"""

from __future__ import annotations

import subprocess
import sys

from ansible_collections.selfhosted.media.tests.checkout import ansible_test, as_collection

ON_TARGETS = ("tests/unit/plugins/modules/", "tests/unit/plugins/module_utils/")
ON_CONTROLLERS = ("tests/unit/plugins/filter/", "tests/unit/plugins/plugin_utils/")


def main() -> int:
    python = sys.argv[1] if sys.argv[1:] else sys.executable
    ask = [python, "-c", "import sys; print('{}.{}'.format(*sys.version_info))"]
    version = subprocess.run(ask, check=True, capture_output=True, text=True).stdout.strip()
    chosen = ON_TARGETS if sys.argv[1:] else ON_CONTROLLERS
    with as_collection() as (tree, _names):
        interpreter = ("--python", version, "--python-interpreter", python)
        done = ansible_test(tree, "units", "--local", *interpreter, "--num-workers", "2", *chosen)
    print(done.stdout)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
