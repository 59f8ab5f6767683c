# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every module says what is wrong where Python is too old for it; no other code of it is loaded before."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import ansible
import pytest
from ansible_collections.selfhosted.media.tests.matrix.environments import interpreter

ROOT = Path(__file__).resolve().parents[2]
IMPORT = r"""
import importlib, io, json, sys
for name in sys.argv[1:]:
    sys.stdout = io.StringIO()
    for loaded in [loaded for loaded in sys.modules if loaded.startswith("ansible_collections.selfhosted")]:
        del sys.modules[loaded]
    try:
        importlib.import_module("ansible_collections.selfhosted.media.plugins.modules." + name)
    except SystemExit:
        pass
    sys.__stdout__.write(sys.stdout.getvalue() + "\n")
"""


def test_python_3_8() -> None:
    python, why = interpreter("3.8")
    if python is None:
        pytest.skip(why)
    # report runs on the controller alone
    names = sorted(path.stem for path in (ROOT / "plugins" / "modules").glob("*.py") if path.stem != "report")
    # as on a target: what is Ansible's own is found beside the collection
    search = os.pathsep.join([str(ROOT / ".venv" / "collections"), str(Path(ansible.__file__).parents[1])])
    done = subprocess.run(
        [str(python), "-c", IMPORT, *names], env={"PYTHONPATH": search}, capture_output=True, text=True, check=False
    )
    told = done.stdout.splitlines()
    assert len(told) == len(names), done.stderr
    for name, line in zip(names, told):
        said = json.loads(line or "{}")
        assert said.get("failed") and said["msg"].startswith("Python 3.8."), name
