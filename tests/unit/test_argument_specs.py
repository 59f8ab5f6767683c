# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a role documents is what it does: no tool notices a default of meta/argument_specs.yml that differs from defaults/main.yml."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.selfhosted.media.plugins.module_utils._s3.publication import METHODS

ROOT = Path(__file__).resolve().parents[2]
ROLES = sorted(path.parent for path in ROOT.glob("roles/*/tasks"))


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def entry_points(role: Path) -> dict[str, Any]:
    specs: dict[str, Any] = load(role / "meta" / "argument_specs.yml")["argument_specs"]
    return specs


def test_every_role_is_seen() -> None:
    assert {"bookwyrm", "gramps_web", "media_bucket"} <= {role.name for role in ROLES}


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_entry_points_are_the_files_of_tasks(role: Path) -> None:
    assert set(entry_points(role)) == {path.stem for path in role.glob("tasks/*.yml")}


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_documented_defaults_are_the_defaults(role: Path) -> None:
    defaults = load(role / "defaults" / "main.yml")
    for name, entry in entry_points(role).items():
        documented = {key: option["default"] for key, option in entry["options"].items() if "default" in option}
        assert documented == defaults, name
        # 1 and true, 0 and false are equal to Python and different to a reader
        assert {key: type(value) for key, value in documented.items()} == {
            key: type(value) for key, value in defaults.items()
        }


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_what_has_no_default_has_to_be_given(role: Path) -> None:
    for entry in entry_points(role).values():
        for name, option in entry["options"].items():
            assert option.get("required", False) is ("default" not in option), name


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_defaults_pass_their_own_specification(role: Path) -> None:
    for entry in entry_points(role).values():
        required = {name for name, option in entry["options"].items() if option.get("required")}
        values = {**load(role / "defaults" / "main.yml"), **dict.fromkeys(required, "given")}
        spec = {
            name: {key: value for key, value in option.items() if key not in ("description", "version_added")}
            for name, option in entry["options"].items()
        }
        assert ArgumentSpecValidator(spec).validate(values).error_messages == []


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_every_public_variable_is_documented_and_used(role: Path) -> None:
    text = "".join(
        path.read_text(encoding="utf-8")
        for place in ("tasks", "vars")
        for path in sorted((role / place).rglob("*.yml"))
    )
    set_by_role = set(re.findall(rf"^ +({role.name}_\w+):", text, re.MULTILINE))
    playbooks = {path.stem for path in ROOT.glob("playbooks/*.yml")}  # named in messages
    used = set(re.findall(rf"(?<![\w.]){role.name}_\w+", text)) - set_by_role - playbooks
    for name, entry in entry_points(role).items():
        documented = set(entry["options"])
        assert used - documented == set(), name
        assert documented - used == set(), name


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_options_say_what_they_are(role: Path) -> None:
    for entry in entry_points(role).values():
        assert entry["short_description"] and entry["description"] and entry["version_added"] and entry["author"]
        for name, option in entry["options"].items():
            assert name.startswith(f"{role.name}_")
            assert option["type"] and option["description"], name
            assert bool(option.get("no_log")) is name.endswith(("secret_key", "password")), name
            if option.get("default") in ("", []) and "command" not in name:
                assert "mpty" in str(option["description"]) or "Not needed" in str(option["description"]), name


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_ways_to_publish_are_those_of_the_module(role: Path) -> None:
    for entry in entry_points(role).values():
        for name, option in entry["options"].items():
            if name.endswith("_public_method"):
                assert option["choices"] == list(METHODS)
