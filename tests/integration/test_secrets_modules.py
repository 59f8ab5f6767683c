# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every module with marked secrets at -vvvv --diff, in success and in every kind of failure: one play, whose tasks are the modules
and whose hosts are the faults. No mark in output, syslog, command lines or files."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from ansible_collections.selfhosted.media.tests.gramps_trees import Tree
from ansible_collections.selfhosted.media.tests.playbooks import ROOT
from ansible_collections.selfhosted.media.tests.secrecy import nothing_left, processes
from ansible_collections.selfhosted.media.tests.servers import Server, ServerUnavailable
from ansible_collections.selfhosted.media.tests.servers.ceph import ceph as own_ceph

pytestmark = pytest.mark.timeout(600)

MODULES = sorted(path.stem for path in (ROOT / "plugins" / "modules").glob("*.py"))
S3 = [
    *("s3_bucket", "s3_cors", "s3_preflight", "s3_content_types", "media_sync", "media_verify"),
    *("instance_switch", "instance_rollback", "instance_cleanup"),
    *("gramps_media", "gramps_change", "gramps_cleanup"),
]
#: What these do when all goes well is seen in the runs of the playbooks (test_secrets.py): they need an instance.
OF_INSTANCES = {
    *("gramps_info", "gramps_look", "gramps_change", "gramps_cleanup"),
    *("instance_info", "instance_look", "instance_refresh"),
    *(name for name in S3 if name.startswith("instance")),
}

#: A Python whose syslog is a file, and which on the host "crash" fails where nobody expects it, with all options in the message.
PYTHON = """#!/bin/sh
export SYSLOG={folder}/syslog CRASH={crash} PYTHONPATH={folder}/python
exec {python} "$@"
"""
SITE = """
import os, socket, subprocess, syslog
log = os.environ.pop("SYSLOG")
crash = os.environ.pop("CRASH")
def note(*words):
    with open(log, "a") as file:
        print(*words, file=file)
syslog.syslog = note
def fail(*args, **kwargs):
    import gc
    raise RuntimeError(repr([it.params for it in gc.get_objects() if type(it).__name__ == "MediaModule"]))
if crash:
    socket.socket.connect = os.replace = subprocess.Popen.__init__ = fail
"""


def mark(what: str) -> str:
    """A secret that occurs nowhere else."""
    return f"{what}-{uuid4().hex}"


def tasks(folder: Path, bucket: str) -> dict[str, dict[str, Any]]:
    """The options of every module, but the connection's. Variables are those of the hosts."""
    tree = {"path": str(folder / "media"), "bucket": bucket, "prefix": "images/"}
    env = str(folder / "{{ inventory_hostname }}.env")
    change = {
        **{
            "chdir": str(folder),
            "env_file": env,
            "kept_file": f"{env}.before",
            "health_url": "{{ url }}",
            "health_timeout": 1,
        },
        **{"stop_command": ["sh", "-c", "env >&2; exit 3"], "start_command": ["true"]},
    }
    talkative = ["sh", "-c", "env >&2; echo $TOKEN; {{ 'exit 3' if wrong else 'true' }}"]
    gramps = {
        **{
            "grampsdb": str(folder / "{{ 'none' if wrong else 'grampsdb' }}"),
            "media_dir": str(folder / "family"),
            "bucket": bucket,
            "prefix": "family",
        },
        # where something is wrong, the family tree is asked for by its Web API, which needs a password
        **{"url": "{{ url if wrong else '' }}", "user": "owner", "password": "{{ new }}"},
    }
    return {
        "s3_bucket": {"name": bucket, "public_prefixes": ["images/"]},
        "s3_cors": {"bucket": bucket, "rules": [{"allowed_methods": ["GET"], "allowed_origins": ["{{ url }}"]}]},
        "s3_preflight": {"bucket": bucket, "prefix": "images/", "public_url": "{{ url }}/" + bucket},
        "media_sync": {**tree, "acl": "public-read"},
        "media_verify": tree,
        "s3_content_types": {"bucket": bucket, "prefix": "images/"},
        "dotenv": {
            **{"path": env, "values": {"URL": "{{ url }}"}, "backup": "{{ perhaps }}"},
            "secret_values": {"SECRET_KEY": "{{ new }}", "HARMLESS": "{{ new }}{{ unspeakable if wrong else '' }}"},
        },
        "compose_environment": {
            **{"path": str(folder / "{{ inventory_hostname }}.compose.yml"), "services": ["web"]},
            **{"values": {"URL": "{{ url }}"}, "secret_values": {"SECRET_KEY": "{{ new }}"}, "backup": "{{ perhaps }}"},
        },
        "gramps_info": {"dir": str(folder / "none")},
        "gramps_media": gramps,
        "gramps_cleanup": gramps,
        "gramps_change": {
            **gramps,
            **{"to": "s3", "dir": str(folder / "none"), "secret_values": {"AWS_SECRET_ACCESS_KEY": "{{ new }}"}},
        },
        "gramps_look": {"dir": str(folder / "none"), "url": "{{ url }}", "user": "owner", "password": "{{ new }}"},
        "instance_command": {
            **{
                "command": talkative,
                "chdir": str(folder),
                "environment": {"TOKEN": "{{ token }}"},
                "timeout": "{{ number }}",
            },
        },
        "instance_info": {"dir": str(folder / "none"), "credentials": "{{ perhaps }}"},
        "instance_look": {"chdir": str(folder), "health_url": "{{ url }}", "health_timeout": "{{ number }}"},
        "instance_refresh": {
            **{"manage_command": ["sh", "-c", "env >&2; exit 3"], "chdir": str(folder)},
            **{"base_url": "{{ url }}", "public_url": "{{ url }}"},
        },
        "media_look": {"path": str(folder / "{{ 'none' if wrong else 'media' }}")},
        "media_probe": {"url": "{{ url }}/" + f"{bucket}/images/covers/a.jpg", "timeout": "{{ number }}"},
        "report": {
            **{
                "application": "BookWyrm",
                "instance": "{{ inventory_hostname }}",
                "action": "migrate",
                "ok": "{{ not wrong }}",
            },
            # where something is wrong: a folder that cannot be one
            "dest": str(folder / "{{ inventory_hostname ~ '.env/none' if wrong else 'reports' }}"),
            **{"notes": ["{{ new }} {{ token }}"], "problems": [{"what": "{{ url }}: {{ new }}"}]},
            "secrets": ["{{ new }}", "{{ token }}"],
        },
        "instance_switch": {
            **tree,
            **change,
            **{"changed_since": 1, "secret_values": {"AWS_SECRET_ACCESS_KEY": "{{ new }}"}},
        },
        "instance_rollback": {**tree, **change, "switched": 1, "s3_file": f"{env}.s3"},
        "instance_cleanup": {
            **tree,
            **{"chdir": str(folder), "manage_command": ["false"], "site_url": "{{ url }}", "host": "localhost"},
            "public_url": "{{ url }}",
        },
    }


CONNECTION = {
    "endpoint_url": "{{ url }}",
    "region": "us-east-1",
    "provider": "ceph",
    "access_key": "{{ access_key }}",
    "secret_key": "{{ secret_key }}",
    "session_token": "{{ session_token | default(omit) }}",
    "validate_certs": "{{ perhaps }}",
}


def outcomes(output: str) -> dict[str, dict[str, bool]]:
    """Whether each module succeeded, by host."""
    done: dict[str, dict[str, bool]] = {}
    module = ""
    for line in output.splitlines():
        if line.startswith("TASK ["):
            module = line.partition("[")[2].partition("]")[0]
        result = re.match(r"(ok|changed|fatal): \[(\w+)\]", line)
        if result:
            done.setdefault(result[2], {})[module] = result[1] != "fatal"
    return done


@pytest.fixture
def server() -> Iterator[Server]:
    """A server with keys that occur nowhere else."""
    with contextlib.ExitStack() as stack:
        try:
            made = stack.enter_context(own_ceph(mark("key"), mark("secret") + "/+x"))
        except ServerUnavailable as exc:
            pytest.skip(str(exc))
        yield made


def test_no_module_shows_a_secret(server: Server, tmp_path: Path) -> None:
    bucket = f"media-{uuid4().hex[:12]}"
    secret = {name: mark(name) for name in ("wrong", "token", "session", "old", "new", "password", "user")}
    (tmp_path / "media" / "covers").mkdir(parents=True)
    (tmp_path / "media" / "covers" / "a.jpg").write_bytes(b"x" * 1000)
    (tmp_path / "python").mkdir()
    (tmp_path / "python" / "sitecustomize.py").write_text(SITE)
    for name in ("", "crash"):
        python = tmp_path / f"python{name}.sh"
        python.write_text(PYTHON.format(folder=tmp_path, crash=name, python=sys.executable))
        python.chmod(0o755)
    given = {
        **{"url": server.endpoint_url, "access_key": server.access_key, "secret_key": server.secret_key, "wrong": True},
        **{"new": secret["new"], "token": secret["token"], "unspeakable": "'s ${X}", "perhaps": True, "number": 5},
        "ansible_python_interpreter": str(tmp_path / "python.sh"),
    }
    wrong_keys = {"access_key": secret["wrong"], "secret_key": secret["wrong"], "session_token": secret["session"]}
    in_url = f"http://user:{secret['password']}@127.0.0.1:9"
    as_user = f"http://{secret['user']}@127.0.0.1:9"
    faults: dict[str, dict[str, Any]] = {
        "fine": {"wrong": False},
        "keys": wrong_keys,
        "url": {**wrong_keys, "url": in_url},
        "option": {**wrong_keys, "url": as_user, "perhaps": "perhaps", "number": "many"},
        "crash": {**wrong_keys, "url": in_url, "ansible_python_interpreter": str(tmp_path / "pythoncrash.sh")},
    }
    hosts = {name: {"ansible_connection": "local", **given, **fault} for name, fault in faults.items()}
    for name in hosts:
        (tmp_path / f"{name}.env").write_text(f"SECRET_KEY={secret['old']}\n# API_TOKEN={secret['old']}\nUSE_S3=true\n")
        # where something is wrong: a file that cannot be read
        closing = "" if name == "fine" else "]"
        environment = f"{{SECRET_KEY: {secret['old']}}}{closing}"
        (tmp_path / f"{name}.compose.yml").write_text(f"services:\n  web:\n    environment: {environment}\n")
    Tree(tmp_path / "grampsdb", tmp_path / "family").add("a.jpg", b"x" * 1000)
    marks = [*secret.values(), server.access_key, server.secret_key]
    output = play(tmp_path, hosts, tasks(tmp_path, bucket), marks)

    done = outcomes(output)
    for host, results in done.items():
        assert sorted(results) == (sorted(S3) if host == "keys" else MODULES), (
            f"a module has no case, or did not run on {host}"
        )
    succeeded = {name for name, well in done["fine"].items() if well}
    assert succeeded | OF_INSTANCES == {*MODULES}
    well = {(host, name) for host in done if host != "fine" for name, went_well in done[host].items() if went_well}
    assert not well, f"succeeded in spite of the fault: {well}"
    syslog = (tmp_path / "syslog").read_text()
    assert syslog.count("Invoked with") >= len(MODULES)
    assert not [word for word in marks if word in syslog]


def play(folder: Path, hosts: Mapping[str, Any], options: Mapping[str, dict[str, Any]], marks: list[str]) -> str:
    """Run all modules on all hosts and look where the marks are; what was printed."""
    private = folder / "inventory.json"
    private.touch(0o600)
    private.write_text(json.dumps({"all": {"hosts": hosts}}))
    listed = [
        {
            "name": name,
            f"selfhosted.media.{name}": {**(CONNECTION if name in S3 else {}), **given},
            "ignore_errors": True,
            # the keys are of no interest to the others
            **({} if name in S3 else {"when": "inventory_hostname != 'keys'"}),
        }
        for name, given in options.items()
    ]
    book = folder / "play.yml"
    book.write_text(json.dumps([{"hosts": "all", "gather_facts": False, "strategy": "free", "tasks": listed}]))
    environment = {
        **os.environ,
        **{"ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".venv" / "collections"), "ANSIBLE_NOCOLOR": "1"},
        # what a task is given goes through files
        **{"ANSIBLE_PIPELINING": "False", "ANSIBLE_FORKS": "6"},
        **{"ANSIBLE_LOCAL_TEMP": str(folder / "local"), "ANSIBLE_REMOTE_TEMP": str(folder / "remote")},
    }
    command = [
        str(Path(sys.executable).with_name("ansible-playbook")),
        str(book),
        "-i",
        str(private),
        "-vvvv",
        "--diff",
    ]
    # the inventory, the .env and compose files and the backups of one's
    intended = re.compile(r".*/(inventory\.json|\w+\.env|\w+\.compose\.yml|fine\.(env|compose\.yml)\.[^/]+~)")
    with nothing_left(marks, folder, intended=intended), processes(marks) as seen:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=folder)
        output = done.stdout + done.stderr
    (folder / "output").write_text(output)
    shown = [line[:300] for line in output.splitlines() if any(word in line for word in marks)]
    assert not shown, f"a secret was printed: {shown[:5]}"
    assert not seen.caught, seen.caught[0]
    # only the command that is given a secret in its environment has it there
    assert all("env >&2; echo $TOKEN" in holder for holder in seen.holders), seen.holders
    return output
