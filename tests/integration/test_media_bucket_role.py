# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role media_bucket as a playbook runs it: check mode on a missing bucket, then for real, then again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import ansible_collections
import pytest
import yaml
from ansible_collections.selfhosted.media.tests.servers import Server

Play = Callable[..., str]

ROLE = Path(__file__).parents[2] / "roles" / "media_bucket"
PLAYBOOK = """
- hosts: localhost
  gather_facts: false
  tasks:
    - ansible.builtin.include_role:
        name: selfhosted.media.media_bucket
    - ansible.builtin.debug:
        msg: "acl={{ media_bucket_object_acl }} method={{ media_bucket_method }}"
"""


@pytest.fixture
def play(ceph: Server, bucket_name: str, tmp_path: Path) -> Play:
    """Run the playbook with options; returns what it prints."""
    (tmp_path / "playbook.yml").write_text(PLAYBOOK)
    variables = {
        "ansible_python_interpreter": sys.executable,
        "media_bucket_name": bucket_name,
        "media_bucket_provider": ceph.provider,
        "media_bucket_endpoint_url": ceph.endpoint_url,
        "media_bucket_access_key": ceph.access_key,
        "media_bucket_secret_key": ceph.secret_key,
        "media_bucket_public_prefixes": ["images/"],
        "media_bucket_cors_rules": [{"allowed_origins": ["https://example.org"], "allowed_methods": ["GET"]}],
    }
    collections = Path(next(iter(ansible_collections.__path__))).parent
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(collections), "ANSIBLE_NOCOLOR": "1"}

    def run(*options: str, **more: str) -> str:
        command = [
            str(Path(sys.executable).with_name("ansible-playbook")),
            "-i",
            "localhost,",
            "-c",
            "local",
            "playbook.yml",
        ]
        command += ["--diff", "-vvv", "-e", json.dumps({**variables, **more}), *options]
        done = subprocess.run(
            command,
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert ceph.secret_key not in done.stdout + done.stderr
        return done.stdout

    return run


def test_the_role(ceph: Server, bucket_name: str, play: Play) -> None:
    client = ceph.client()
    assert "changed=2" in play("--check")
    assert bucket_name not in [bucket["Name"] for bucket in client.list_buckets()["Buckets"]]
    made = play()
    assert "changed=2" in made and "acl=public-read method=acl" in made
    assert client.get_bucket_cors(Bucket=bucket_name)["CORSRules"][0]["AllowedOrigins"] == ["https://example.org"]
    assert "changed=0" in play()
    assert "changed=1" in play(media_bucket_state="absent")


def test_documented_defaults_are_the_defaults() -> None:
    options = yaml.safe_load((ROLE / "meta" / "argument_specs.yml").read_text())["argument_specs"]["main"]["options"]
    defaults = yaml.safe_load((ROLE / "defaults" / "main.yml").read_text())
    assert {name: option["default"] for name, option in options.items() if "default" in option} == defaults
    assert [name for name, option in options.items() if option.get("required")] == ["media_bucket_name"]
