# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a module of the collection: in this process, which is quick, or through the command `ansible`, which is the whole way."""

from __future__ import annotations

import contextlib
import functools
import importlib
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest import mock

import ansible_collections
import botocore.loaders
import pytest
from ansible.module_utils import _internal
from ansible.module_utils.common import warnings
from ansible.module_utils.testing import patch_module_args

_loader = functools.cache(botocore.loaders.create_loader)

#: A target's Python, by which `ansible-test units` runs the tests of modules, has no such command.
ANSIBLE = Path(sys.executable).with_name("ansible")
needs_ansible = pytest.mark.skipif(not ANSIBLE.exists(), reason="there is no ansible command beside this Python")


def run_module(name: str, args: dict[str, Any], check: bool = False, diff: bool = False) -> dict[str, Any]:
    """The dict that the module hands to exit_json or fail_json (then `failed` is true).

    `args` go through the module's argument spec; options whose value is None count as not given.
    """
    given = {key: value for key, value in args.items() if value is not None}
    given.update(
        _ansible_check_mode=check, _ansible_diff=diff, _ansible_remote_tmp="/tmp", _ansible_keep_remote_files=False
    )
    module = importlib.import_module(f"ansible_collections.selfhosted.media.plugins.modules.{name}")
    output = io.StringIO()
    with contextlib.ExitStack() as stack:
        for collected in ("_global_warnings", "_global_deprecations"):
            stack.enter_context(mock.patch.dict(getattr(warnings, collected), clear=True))
        # with controller code imported by another test, warnings would go to the terminal instead of the result
        stack.enter_context(mock.patch.object(_internal, "is_controller", False))
        # botocore reads its description of S3 once, not for each module
        stack.enter_context(mock.patch("botocore.session.create_loader", _loader))
        stack.enter_context(patch_module_args(given))
        stack.enter_context(contextlib.redirect_stdout(output))
        try:
            module.main()
        except SystemExit:
            pass
        else:
            raise AssertionError(f"{name} ended without exit_json or fail_json")
    result: dict[str, Any] = json.loads(output.getvalue())
    result.pop("invocation", None)
    return result


def run_ansible(name: str, args: dict[str, Any], *options: str) -> dict[str, Any]:
    """The result of `ansible localhost -m selfhosted.media.<name>`: packed, sent and run as on any host. Takes a second or two.

    The module is run by the Python that TARGET_PYTHON names, else by this one.
    `args` must hold no None. What was printed is in the result as `_output`, to look for secrets.
    """
    collections = Path(next(iter(ansible_collections.__path__))).parent
    command = [str(ANSIBLE), "localhost", "-m", f"selfhosted.media.{name}"]
    python = os.environ.get("TARGET_PYTHON") or sys.executable
    command += ["-a", json.dumps(args), "-e", f"ansible_python_interpreter={python}", *options]
    settings = {"ANSIBLE_COLLECTIONS_PATH": str(collections), "ANSIBLE_NOCOLOR": "1"}
    environment = {
        **os.environ,
        **settings,
        "ANSIBLE_LOCALHOST_WARNING": "0",
        "ANSIBLE_INVENTORY_UNPARSED_WARNING": "0",
    }
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
    )
    _before, arrow, text = done.stdout.partition("=> ")
    if not arrow:
        raise AssertionError(f"{command} printed no result:\n{done.stdout}\n{done.stderr}")
    result: dict[str, Any] = json.JSONDecoder().raw_decode(text)[0]
    return {**result, "_output": done.stdout + done.stderr}
