# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The roles in a project of somebody else: its own groups, names of variables, vault, roles and settings."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml
from ansible_collections.selfhosted.media.tests.playbooks import ROOT, Outcome, StandIn, standin
from ansible_collections.selfhosted.media.tests.servers import Server

#: What that project calls its things. None of it is meant for the roles.
THEIRS: dict[str, Any] = {
    **{"instance": "theirs", "result": {"failed": True}, "item": "theirs", "plan": [], "lines": 3, "media": "/nowhere"},
    **{"bucket": "theirs", "settings": "theirs", "mode": "0000", "state": "absent", "prefix": "x"},
    **{"domain": "theirs.example.org", "target": "nobody", "fleet": "theirs", "failure": "theirs", "summary": "theirs"},
}
CONFIG = """\
[defaults]
roles_path = roles
inventory = hosts.yml
vault_password_file = vault-password
gathering = smart
inject_facts_as_vars = False
any_errors_fatal = True
[privilege_escalation]
become_method = sudo
"""
CONNECTION = ("provider", "region", "endpoint_url", "access_key", "secret_key")
#: A large tree is copied by the hosts that share it, into the bucket and with the headers that the application would use.
COPIED = {
    "hosts": "libraries",
    "vars": {
        **{f"media_bucket_{name}": f"{{{{ bookwyrm_s3_{name} | default('') }}}}" for name in CONNECTION},
        **{f"media_copy_s3_{name}": f"{{{{ bookwyrm_s3_{name} | default('') }}}}" for name in CONNECTION},
        "media_bucket_name": "{{ bookwyrm_s3_bucket }}",
        "media_bucket_public_prefixes": ["images/", "static/"],
        "media_copy_s3_bucket": "{{ bookwyrm_s3_bucket }}",
        "media_copy_s3_prefix": "images/",
        "media_copy_path": "{{ bookwyrm_dir }}/images",
        "media_copy_include": ["*/*"],
        "media_copy_acl": "{{ media_bucket_object_acl | default('', true) }}",
    },
    "roles": ["selfhosted.media.media_bucket", "selfhosted.media.media_copy"],
}
ROLES = [COPIED, {"hosts": "libraries", "roles": ["selfhosted.media.bookwyrm"]}]
IMPORTED = {
    "hosts": "libraries",
    "vars": {"bookwyrm_sample": 1},
    "tasks": [
        {
            "name": "Media",
            "ansible.builtin.import_role": {"name": "selfhosted.media.bookwyrm", "tasks_from": "migrate"},
            "when": "inventory_hostname in groups.libraries",
        },
        {
            "name": "What they do after it",
            "ansible.builtin.assert": {"that": "instance == 'theirs' and result.failed and plan == []"},
        },
    ],
}
DEPENDENT = {"hosts": "libraries", "roles": ["shelf"]}
GRAMPS_WEB = {
    "hosts": "archives",
    "tasks": [
        {
            "name": "What is no Gramps Web",
            "block": [
                {
                    "name": "Media",
                    "ansible.builtin.include_role": {"name": "selfhosted.media.gramps_web", "tasks_from": "verify"},
                }
            ],
            "rescue": [
                {
                    "name": "Told",
                    "ansible.builtin.assert": {
                        "that": "'/nowhere' in ansible_failed_result.msg or 'ramps' in ansible_failed_result.msg",
                        "fail_msg": "{{ ansible_failed_result.msg }}",
                    },
                }
            ],
        }
    ],
}


@dataclass
class Project:
    """A folder with playbooks that know nothing of this repository but the collection's name."""

    folder: Path
    site: StandIn

    def write(self, name: str, content: Any) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else yaml.safe_dump(content, sort_keys=False))
        return path

    def run(self, *command: str) -> Outcome:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
        environment.update(
            ANSIBLE_COLLECTIONS_PATH=str(ROOT / ".venv" / "collections"),
            ANSIBLE_NOCOLOR="1",
            PATH=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        )
        done = subprocess.run(
            command, cwd=self.folder, env=environment, check=False, capture_output=True, text=True, timeout=600
        )
        output = done.stdout + done.stderr
        assert not [mark for mark in self.site.marks if mark in output]
        return Outcome(done.returncode, output)


def inventory(site: StandIn) -> dict[str, Any]:
    secret = ("bookwyrm_s3_access_key", "bookwyrm_s3_secret_key")
    host = {name: value for name, value in site.variables.items() if name not in secret}
    # sudo has a PATH of its own, and the stand-in's systemctl is in none.
    common = {"ansible_connection": "local", "ansible_python_interpreter": site.python()}
    archive = {
        f"gramps_web_{name}": value
        for name, value in {"dir": "/nowhere", "install_type": "systemd", "s3_bucket": "archive"}.items()
    }
    keys = {f"gramps_web_s3_{name}": "{{ vault_" + name + " }}" for name in ("access_key", "secret_key")}
    return {
        "libraries": {"hosts": {"town": {**common, **host, "ansible_become": bool(shutil.which("sudo"))}}},
        "archives": {"hosts": {"attic": {**common, **archive, **keys}}},
    }


@pytest.fixture(scope="module")
def project(moto_server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    folder = tmp_path_factory.mktemp("foreign")
    with standin(folder / "books", moto_server, f"foreign-{uuid4().hex[:8]}", covers=2, thumbnails=1) as site:
        site.variables["bookwyrm_s3_provider"] = "generic"
        made = Project(folder / "project", site)
        made.write("ansible.cfg", CONFIG)
        made.write("vault-password", f"{uuid4().hex}\n")
        made.write("hosts.yml", inventory(site))
        made.write("group_vars/all.yml", THEIRS)
        keys = {name: site.variables[f"bookwyrm_s3_{name}"] for name in ("access_key", "secret_key")}
        vault = made.write("group_vars/libraries/vault.yml", {f"vault_{k}": v for k, v in keys.items()})
        made.write("group_vars/archives.yml", {"vault_access_key": "unused", "vault_secret_key": "unused too"})
        made.write("host_vars/town.yml", {f"bookwyrm_s3_{name}": "{{ vault_" + name + " }}" for name in keys})
        made.write("roles/shelf/meta/main.yml", {"dependencies": ["selfhosted.media.bookwyrm"]})
        made.write(
            "roles/shelf/tasks/main.yml",
            [{"name": "Shelf", "ansible.builtin.debug": {"msg": "{{ instance }} {{ summary }}"}}],
        )
        made.write("site.yml", ROLES)
        made.write("others.yml", [IMPORTED, DEPENDENT, GRAMPS_WEB])
        done = made.run("ansible-vault", "encrypt", str(vault))
        assert done.code == 0 and "$ANSIBLE_VAULT" in vault.read_text(), done.output
        yield made


def test_by_its_name_in_a_play(project: Project) -> None:
    """After the roles of the bucket and of a tree that hosts share, which leave it nothing to copy."""
    run = project.run("ansible-playbook", "site.yml", "--diff", "-v")
    assert (run.code, run.failed) == (0, 0), run.output[-3000:]
    assert run.changed > 0
    shared = re.search(r"1 host: ([1-9]\d*) files \([^)]*\) copied, 0 there already; its part proven", run.output)
    assert shared is not None, run.output[-3000:]
    assert f"0 files copied (0 Bytes), {shared[1]} there already" in run.output
    assert project.site.env["USE_S3"] == "true"
    assert all("/images/" in url for url in project.site.images()) and project.site.images()


def test_imported_and_as_a_dependency(project: Project) -> None:
    """On the instance that has moved, where they find nothing to do; Gramps Web's role beside them."""
    run = project.run("ansible-playbook", "others.yml", "--diff", "-v")
    assert (run.code, run.changed, run.failed) == (0, 0, 0), run.output[-3000:]
    assert run.output.count("This instance is on S3: it is checked.") == 1
    assert "theirs theirs" in run.output
