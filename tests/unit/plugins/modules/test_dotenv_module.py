# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module dotenv: its options, modes and diffs, and that Ansible shows no secret of it."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable, Optional

import pytest
from ansible_collections.selfhosted.media.plugins.module_utils._dotenv import read
from ansible_collections.selfhosted.media.tests.run_module import run_module

EXAMPLE = b"""\
# S3 configuration
USE_S3=false
AWS_ACCESS_KEY_ID=

# AWS_STORAGE_BUCKET_NAME=        # "example-bucket-name"
# AWS_S3_REGION_NAME=None         # "fr-par"
PREVIEW_TEXT_COLOR=#363636
"""


@pytest.fixture
def env_file(tmp_path: Path) -> Path:
    path = tmp_path / ".env"
    path.write_bytes(EXAMPLE)
    path.chmod(0o640)
    return path


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ({"path": "{tmp}/none"}, "There is no file .*none.*template or create"),
        ({"path": "{tmp}/none", "template": "{tmp}/neither"}, "none nor the template .*neither"),
        ({"path": "{tmp}"}, "is a directory"),
        ({"path": "{tmp}/fifo"}, "not a regular file"),
        ({"path": "{tmp}/no/folder", "create": True}, "directory does not exist"),
        ({"path": "{tmp}/.env", "values": {"A": "1", "B": "2"}, "secret_values": {"A": "1"}}, "than one of .*: A"),
        ({"path": "{tmp}/.env", "values": {"A": "1"}, "absent": ["A"]}, "more than one of .*: A"),
        ({"path": "{tmp}/.env", "values": {"A": 1.5}}, "of A is a fractional number"),
        ({"path": "{tmp}/.env", "values": {"A": None}}, "A has no value"),
        ({"path": "{tmp}/.env", "values": {"A": ["hunter2"]}}, "of A is a list"),
        ({"path": "{tmp}/.env", "values": {"A-B": "hunter2"}}, "'A-B' cannot be the name"),
        ({"path": "{tmp}/.env", "absent": ["A B"]}, "'A B' cannot be the name"),
        ({"path": "{tmp}/.env", "secret_values": {"A": "hunter2\n"}}, "The value of A .*line break"),
    ],
)
def test_bad_input_has_its_own_sentence(args: dict[str, Any], says: str, env_file: Path) -> None:
    os.mkfifo(env_file.with_name("fifo"))
    filled = json.loads(json.dumps(args).replace("{tmp}", str(env_file.parent)))
    result = run_module("dotenv", filled)
    assert result["failed"]
    assert re.search(says, result["msg"])
    assert "hunter2" not in json.dumps(result)
    assert env_file.read_bytes() == EXAMPLE


def test_values_of_yaml_become_text(env_file: Path) -> None:
    given_values = {"USE_S3": True, "OFF": False, "PORT": 80, "TEXT": "True"}
    result = run_module("dotenv", {"path": str(env_file), "values": given_values})
    assert result["changed_keys"] == ["USE_S3", "OFF", "PORT", "TEXT"]
    settings_read = read(str(env_file))
    assert [settings_read[name] for name in given_values] == ["true", "false", "80", "True"]
    assert stat.S_IMODE(env_file.stat().st_mode) == 0o640
    assert not run_module("dotenv", {"path": str(env_file), "values": given_values})["changed"]


def test_a_backup_is_as_private_as_the_original(env_file: Path) -> None:
    result = run_module("dotenv", {"path": str(env_file), "values": {"A": "1"}, "backup": True})
    backup = Path(result["backup_file"])
    assert backup.parent == env_file.parent
    assert backup.read_bytes() == EXAMPLE
    assert stat.S_IMODE(backup.stat().st_mode) == 0o640
    again = run_module("dotenv", {"path": str(env_file), "values": {"A": "1"}, "backup": True})
    assert "backup_file" not in again


def test_a_file_from_a_template(env_file: Path) -> None:
    path = env_file.with_name("new.env")
    args = {"path": str(path), "template": str(env_file), "values": {"A": "1"}}
    assert run_module("dotenv", args, check=True)["changed"]
    assert not path.exists()
    assert run_module("dotenv", args)["changed"]
    assert path.read_bytes() == EXAMPLE + b"A=1\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not run_module("dotenv", args)["changed"]


def test_an_empty_file_is_created(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    result = run_module("dotenv", {"path": str(path), "create": True, "mode": "0644"}, diff=True)
    assert result["changed"]
    assert path.read_bytes() == b""
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_mode_alone_can_change(env_file: Path) -> None:
    args = {"path": str(env_file), "mode": "0600"}
    result = run_module("dotenv", args, check=True, diff=True)
    assert result["changed"]
    assert result["changed_keys"] == []
    assert stat.S_IMODE(env_file.stat().st_mode) == 0o640
    assert [part["after"] for part in result["diff"]][1] == {"mode": "0600"}
    assert run_module("dotenv", args)["changed"]
    assert stat.S_IMODE(env_file.stat().st_mode) == 0o600
    assert not run_module("dotenv", args)["changed"]


def test_check_mode_foretells_and_shows_the_same(env_file: Path) -> None:
    args = {"path": str(env_file), "values": {"USE_S3": True}, "secret_values": {"AWS_ACCESS_KEY_ID": "hunter22"}}
    foretold = run_module("dotenv", args, check=True, diff=True)
    assert env_file.read_bytes() == EXAMPLE
    done = run_module("dotenv", args, diff=True)
    for told in ("changed", "changed_keys", "diff"):
        assert foretold[told] == done[told]
    shown = foretold["diff"][0]
    assert shown["before"] == EXAMPLE.decode()
    assert "USE_S3=true\nAWS_ACCESS_KEY_ID=******** (changed)\n" in shown["after"]
    assert "hunter" not in json.dumps(foretold)


def collections_path() -> Optional[str]:
    """Where Ansible finds this collection: above a checkout in its place, or the link that `make setup` makes."""
    for folder in Path(__file__).absolute().parents:
        if folder.name == "ansible_collections":
            return str(folder.parent)
        if (folder / ".venv/collections/ansible_collections/selfhosted/media").exists():
            return str(folder / ".venv/collections")
    return None


@pytest.fixture
def ansible(tmp_path: Path) -> Iterator[Callable[..., tuple[int, str]]]:
    """Runs the module as a user does, by the command line, with everything shown."""
    command = Path(sys.executable).with_name("ansible")
    collections = collections_path()
    if not command.exists() or not collections:
        pytest.skip("no ansible command beside this Python, or no collections path")
    environment = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": collections,
        "ANSIBLE_LOCAL_TEMP": str(tmp_path / "local"),
        "ANSIBLE_REMOTE_TEMP": str(tmp_path / "remote"),
        "ANSIBLE_NOCOLOR": "1",
    }

    def run(args: dict[str, Any], *flags: str) -> tuple[int, str]:
        arguments = tmp_path / "arguments.json"
        arguments.write_text(json.dumps({"given": args}))
        from_variables = json.dumps({name: f"{{{{ given['{name}'] }}}}" for name in args})
        done = subprocess.run(
            [
                *(str(command), "localhost", "-m", "selfhosted.media.dotenv", "-a", from_variables),
                *("-e", f"@{arguments}", "-e", "ansible_python_interpreter={{ ansible_playbook_python }}"),
                *("-vvvv", "--diff", *flags),
            ],
            capture_output=True,
            text=True,
            env=environment,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    yield run


MARK = "m4rk3d"


def test_no_secret_in_any_output_of_ansible(env_file: Path, ansible: Callable[..., tuple[int, str]]) -> None:
    old = EXAMPLE.replace(b"KEY_ID=", f"KEY_ID=old-{MARK}\n# API_TOKEN=commented-{MARK}".encode())
    env_file.write_bytes(old)
    args = {
        "path": str(env_file),
        "values": {"USE_S3": True},
        "secret_values": {"AWS_ACCESS_KEY_ID": f"new-{MARK}", "HARMLESS_NAME": f"it's {MARK}"},
        "backup": True,
    }
    status, output = ansible(args, "--check")
    assert status == 0, output
    assert "+AWS_ACCESS_KEY_ID=******** (changed)" in output
    assert env_file.read_bytes() == old
    assert MARK not in output

    status, output = ansible(args)
    assert status == 0, output
    assert "localhost | CHANGED" in output
    assert "-AWS_ACCESS_KEY_ID=********\n" in output
    assert "+USE_S3=true" in output
    assert "+HARMLESS_NAME=******** (changed)" in output
    assert MARK not in output
    assert read(str(env_file))["HARMLESS_NAME"] == f"it's {MARK}"

    status, output = ansible(args)
    assert status == 0, output
    assert "localhost | SUCCESS" in output
    assert MARK not in output


def test_no_secret_in_a_failure_of_ansible(env_file: Path, ansible: Callable[..., tuple[int, str]]) -> None:
    args = {"path": str(env_file), "secret_values": {"EMAIL_PASS": f"{MARK}'s ${{X}}"}}
    status, output = ansible(args)
    assert status != 0
    assert "The value of EMAIL_PASS cannot be written" in output
    assert MARK not in output
    assert env_file.read_bytes() == EXAMPLE
