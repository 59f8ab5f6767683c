# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module compose_environment: its options, modes and diffs, and that nobody sees a secret of it."""

from __future__ import annotations

import json
import os
import random
import re
import stat
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from ansible_collections.selfhosted.media.plugins.module_utils._compose.editing import edit, environment_of
from ansible_collections.selfhosted.media.plugins.module_utils._compose.masking import compose_diff
from ansible_collections.selfhosted.media.plugins.modules import compose_environment
from ansible_collections.selfhosted.media.tests.run_module import needs_ansible, run_ansible, run_module
from ansible_collections.selfhosted.media.tests.unit.compose_files import NAMES, any_file

MARK = "m4rk3d"

EXAMPLE = f"""\
services:
  web: &web
    image: example/web
    environment: &env
      TREE: "Family"  # made at the first start
      AWS_SECRET_ACCESS_KEY: old-{MARK}  # before: older-{MARK}
      # API_TOKEN: commented-{MARK}
      BROKER_URL: redis://user:{MARK}@redis:6379/0
    volumes:
      - app_secret:/app/secret
  celery:
    <<: *web
    command: celery --password=inline-{MARK}
  mail:
    environment:
      - SMTP_PASSWORD=listed-{MARK} # {MARK}
      - COPY=old-{MARK}
      - PORT=25
volumes:
  app_secret:
"""


@pytest.fixture
def compose_file(tmp_path: Path) -> Path:
    path = tmp_path / "compose.yml"
    path.write_text(EXAMPLE)
    path.chmod(0o640)
    return path


def arguments(path: Path, **others: Any) -> dict[str, Any]:
    return {
        "path": str(path),
        "services": ["web", "celery"],
        "values": {"MEDIA_BASE_DIR": "s3://media", "PREFIX_TREE": False, "WORKERS": 8},
        "secret_values": {"AWS_SECRET_ACCESS_KEY": f"new: {MARK}'s $key", "HARMLESS_NAME": f"harmless-{MARK}"},
        **others,
    }


def test_it_writes_what_was_asked_for_once(compose_file: Path) -> None:
    result = run_module("compose_environment", arguments(compose_file, absent=["TREE"]))
    assert result["changed"]
    names = ["AWS_SECRET_ACCESS_KEY", "HARMLESS_NAME", "MEDIA_BASE_DIR", "PREFIX_TREE", "TREE", "WORKERS"]
    assert result["changed_keys"] == names
    content = compose_file.read_bytes()
    found = environment_of(content, "celery")
    assert found["AWS_SECRET_ACCESS_KEY"] == f"new: {MARK}'s $key"
    assert (found["PREFIX_TREE"], found["WORKERS"], "TREE" in found) == ("false", "8", False)
    assert stat.S_IMODE(compose_file.stat().st_mode) == 0o640
    again = run_module("compose_environment", arguments(compose_file, absent=["TREE"], backup=True))
    assert (again["changed"], again["changed_keys"], "backup_file" in again) == (False, [], False)
    assert compose_file.read_bytes() == content


def test_a_backup_is_as_private_as_the_original_and_a_link_stays(compose_file: Path) -> None:
    link = compose_file.with_name("link.yml")
    link.symlink_to(compose_file.name)
    result = run_module("compose_environment", arguments(link, backup=True))
    backup = Path(result["backup_file"])
    assert backup.read_text() == EXAMPLE
    assert stat.S_IMODE(backup.stat().st_mode) == 0o640
    assert link.is_symlink()
    assert "MEDIA_BASE_DIR" in compose_file.read_text()


def test_check_mode_foretells_and_shows_the_same(compose_file: Path) -> None:
    foretold = run_module("compose_environment", arguments(compose_file), check=True, diff=True)
    assert compose_file.read_text() == EXAMPLE
    done = run_module("compose_environment", arguments(compose_file), diff=True)
    for told in ("changed", "changed_keys", "diff"):
        assert foretold[told] == done[told]
    assert MARK not in json.dumps(foretold)
    shown = foretold["diff"]
    assert "      AWS_SECRET_ACCESS_KEY: ********  # ********\n      # API_TOKEN: ********\n" in shown["before"]
    assert "      AWS_SECRET_ACCESS_KEY: ******** (changed)  # ********\n" in shown["after"]
    assert "      HARMLESS_NAME: ******** (changed)\n" in shown["after"]
    assert "      MEDIA_BASE_DIR: s3://media\n" in shown["after"]
    for side in ("before", "after"):
        assert "BROKER_URL: redis://********@redis:6379/0\n" in shown[side]
        assert "    volumes:\n      - app_secret:/app/secret\n" in shown[side]
        assert "command: celery --password=********\n" in shown[side]
        assert "- SMTP_PASSWORD=******** # ********\n      - COPY=********\n      - PORT=25\n" in shown[side]


def test_no_form_of_a_secret_is_shown() -> None:
    before = f"""\
x-secret: &password one-{MARK}
services:
  a:
    environment: {{API_KEY: "two-{MARK} \\" x", B: *password, DB_PASSWORD: *password, "TOKEN": 'it''s {MARK}', C: d}} # {MARK}
  b:
    environment:
      SECRET: |
        three {MARK}
        four {MARK}
      PASSPHRASE: >- # {MARK}
        five {MARK}
      SHARED: two-{MARK} " x
      AUTH: # {MARK}
      # - MY_SECRET=six-{MARK}
      # HARMLESS: seven-{MARK}
      HARMLESS: eight-{MARK}
""".encode()
    after = edit(before, ["b"], {"HARMLESS": f"nine-{MARK}", "AUTH": f"ten-{MARK}"}).content
    shown = compose_diff("x.yml", before, after, ["HARMLESS"], ["HARMLESS", "AUTH"])
    assert MARK not in json.dumps(shown)
    assert "HARMLESS: ******** (changed)" in shown["after"]
    assert "AUTH: ******** (changed)" in shown["after"]
    assert "C: d}" in shown["before"]


def test_without_secrets_the_diff_is_the_file() -> None:
    """Line for line, whatever the file looks like."""
    choose = random.Random(4)
    for _number in range(15):
        content, services = any_file(choose)
        content = content.replace(b"SECRET_KEY", b"TITLE").replace(b"redis://h", b"redis:h")
        after = edit(content, services, dict.fromkeys(NAMES[:2], "x")).content
        shown = compose_diff("x.yml", content, after, [])
        assert (shown["before"].encode(), shown["after"].encode()) == (content, after)


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ({"path": "{tmp}/none"}, "There is no file .*none"),
        ({"path": "{tmp}"}, "is a directory"),
        ({"services": ["web", "db"]}, "compose.yml: There is no service db .* web, celery, mail"),
        ({"services": ["web"]}, "compose.yml: .* cannot be changed alone: .* Name celery in services"),
        ({"services": []}, "Name at least one service"),
        ({"values": {"A": 1.5}}, "of A is a fractional number"),
        ({"values": {"A": None}}, "A has no value"),
        ({"values": {"A": "1"}, "absent": ["A"]}, "more than one of .*: A"),
        ({"values": {"A-B": "1"}}, "'A-B' cannot be the name"),
        ({"secret_values": {"A": "hunter2\n"}}, "The value of A .*line break"),
    ],
)
def test_bad_input_has_its_own_sentence(args: dict[str, Any], says: str, compose_file: Path) -> None:
    filled = json.loads(json.dumps(args).replace("{tmp}", str(compose_file.parent)))
    result = run_module("compose_environment", {**arguments(compose_file), **filled})
    assert result["failed"]
    assert re.search(says, result["msg"])
    assert "hunter2" not in json.dumps(result)
    assert compose_file.read_text() == EXAMPLE
    assert os.listdir(compose_file.parent) == [compose_file.name]


def test_a_missing_library_is_named_with_its_packages(compose_file: Path) -> None:
    with mock.patch.object(compose_environment, "HAS_RUAMEL", False):
        result = run_module("compose_environment", arguments(compose_file))
    assert result["failed"]
    for part in ("ruamel.yaml", "python3-ruamel.yaml", "pip: ruamel.yaml"):
        assert part in result["msg"]


@needs_ansible
def test_no_secret_in_any_output_of_ansible(compose_file: Path) -> None:
    result = run_ansible("compose_environment", arguments(compose_file), "-vvvv", "--diff")
    assert result["changed"]
    assert "MEDIA_BASE_DIR: s3://media" in result["_output"]
    assert MARK not in result["_output"].replace(str(compose_file), "").replace("new: ", "")
