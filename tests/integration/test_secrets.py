# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where secrets go in the runs of playbooks: into the instance's settings, and nowhere else. Every other run of a playbook is searched
too (Host.play); the modules one by one: test_secrets_modules.py."""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from ansible_collections.selfhosted.media.tests.grampsweb import GrampsUnavailable
from ansible_collections.selfhosted.media.tests.grampsweb.instance import Instance, instance
from ansible_collections.selfhosted.media.tests.grampsweb.trees import Plan
from ansible_collections.selfhosted.media.tests.playbooks import ROOT, Host, Outcome, StandIn, standin
from ansible_collections.selfhosted.media.tests.secrecy import nothing_left, processes
from ansible_collections.selfhosted.media.tests.servers import Server, ServerUnavailable
from ansible_collections.selfhosted.media.tests.servers.ceph import ceph as own_ceph

pytestmark = pytest.mark.timeout(900)  # whole playbooks on a busy machine


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server with keys that occur nowhere else."""
    with contextlib.ExitStack() as stack:
        try:
            made = stack.enter_context(own_ceph(f"mark-{uuid4().hex}", f"mark-{uuid4().hex}/+x"))
        except ServerUnavailable as exc:
            pytest.skip(str(exc))
        yield made


@pytest.fixture(scope="module")
def site(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    folder = tmp_path_factory.mktemp("secrets") / "bookwyrm"
    with standin(folder, server, f"secrets-{uuid4().hex[:8]}", covers=2) as made:
        made.marks.append(server.access_key)
        # as most administrators run it: what a task is given goes through files
        made.environment["ANSIBLE_PIPELINING"] = "False"
        yield made


@pytest.fixture(scope="module")
def web(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    folder = tmp_path_factory.mktemp("secrets") / "gramps"
    try:
        with instance(folder, Plan("Familie", clean=2), server=server, bucket=f"secrets-{uuid4().hex[:8]}") as made:
            made.variables["gramps_web_dir"] = str(folder)
            made.marks.append(server.access_key)
            made.environment["ANSIBLE_PIPELINING"] = "False"
            yield made
    except GrampsUnavailable as exc:
        pytest.skip(str(exc))


#: How each playbook runs on the instance, in this order; the instance that bookwyrm_new needs is another one.
PLAYBOOKS: dict[str, dict[str, Any]] = {
    "bookwyrm_migrate": {},
    "media_copy": {
        "media_copy_path": "{{ bookwyrm_dir }}/images",
        **{f"media_copy_s3_{name}": f"{{{{ bookwyrm_s3_{name} }}}}" for name in ("bucket", "provider", "endpoint_url")},
        **{f"media_copy_s3_{name}": f"{{{{ bookwyrm_s3_{name} }}}}" for name in ("access_key", "secret_key")},
        **{"media_copy_s3_prefix": "images/", "media_copy_include": ["*/*"]},
    },
    "bookwyrm_sync": {},
    "verify": {},
    "bookwyrm_cleanup": {"bookwyrm_cleanup_confirm": "{{ bookwyrm_s3_bucket }}"},
    "bookwyrm_rollback": {},
}
#: The same for Gramps Web; gramps_web_new refuses an instance that has family trees.
GRAMPS_WEB: dict[str, dict[str, Any]] = {
    "gramps_web_migrate": {},
    "gramps_web_cleanup": {"gramps_web_cleanup_confirm": "{{ gramps_web_s3_bucket }}"},
    "gramps_web_rollback": {},
}


#: What makes those fail that would not on an instance that was never moved.
WRONG: dict[str, dict[str, Any]] = {
    "bookwyrm_new": {"bookwyrm_s3_secret_key": "wrong"},
    "bookwyrm_rollback": {
        "bookwyrm_dir": "/nonexistent"
    },  # of an instance on its disk it says that there is nothing to do
    "verify": {"bookwyrm_s3_secret_key": "wrong"},
    "media_copy": {**PLAYBOOKS["media_copy"], "media_copy_s3_secret_key": "wrong"},
    "gramps_web_migrate": {"gramps_web_s3_secret_key": "wrong"},
    "gramps_web_rollback": {"gramps_web_dir": "/nonexistent"},
}


def test_every_playbook_has_a_case() -> None:
    played = {*PLAYBOOKS, *GRAMPS_WEB, "bookwyrm_new", "gramps_web_new"}
    assert {path.stem for path in (ROOT / "playbooks").glob("*.yml")} == played


def watched(site: Host, server: Server, playbook: str, **variables: Any) -> Outcome:
    """Run it, and look that the keys are in the settings' files and the inventory alone, on no command line, and in the environment
    of the instance's own processes alone."""
    marks = [server.access_key, server.secret_key]
    folder = re.escape(str(site.folder))
    intended = re.compile(rf"{folder}-inventory\.json|{folder}/(gramps)?\.env[^/]*")
    with nothing_left(marks, site.folder.parent, intended=intended), processes(marks) as seen:
        run = site.play(playbook, "-e", f"target={site.group}", **variables)
    assert not seen.caught, seen.caught[0]
    strangers = [line for line in seen.holders if "ansible" in line or "AnsiballZ" in line]
    assert not strangers, strangers
    for path in [*site.folder.glob(".env*"), *site.folder.glob("gramps.env*")]:
        assert path.name == ".env.example" or path.stat().st_mode & 0o077 == 0, path
    return run


@pytest.mark.parametrize("playbook", [*PLAYBOOKS, "bookwyrm_new"])
def test_secrets_reach_the_env_and_nothing_else_in_failure(site: StandIn, server: Server, playbook: str) -> None:
    """Each playbook before anything is set up: with a command that tells all it knows, with wrong keys, or where it refuses."""
    # what a command says in its despair
    talkative = "env >&2; python3 -c 'import sys, os; sys.exit(os.environ[\"AWS_SECRET_ACCESS_KEY\"])'"
    wrong = {"bookwyrm_static_command": talkative} if playbook == "bookwyrm_migrate" else WRONG.get(playbook, {})
    run = watched(site, server, playbook, **wrong)
    assert run.code == 2, run.output[-2000:]
    if playbook == "bookwyrm_migrate":
        assert "making the static assets failed" in run.message


@pytest.mark.parametrize("playbook", PLAYBOOKS)
def test_secrets_reach_the_env_and_nothing_else(site: StandIn, server: Server, playbook: str) -> None:
    run = watched(site, server, playbook, **PLAYBOOKS[playbook])
    assert run.code == 0, run.message or run.output[-2000:]


def test_a_new_instance(server: Server, tmp_path: Path) -> None:
    with standin(tmp_path / "bookwyrm", server, f"secrets-{uuid4().hex[:8]}", start=False, empty=True) as made:
        made.marks.append(server.access_key)
        run = watched(made, server, "bookwyrm_new")
    assert run.code == 0, run.message or run.output[-2000:]


@pytest.mark.parametrize("playbook", [*GRAMPS_WEB, "gramps_web_new"])
def test_secrets_of_gramps_web_in_failure(web: Instance, server: Server, playbook: str) -> None:
    run = watched(web, server, playbook, **WRONG.get(playbook, {}))
    assert run.code == 2, run.output[-2000:]


@pytest.mark.parametrize("playbook", GRAMPS_WEB)
def test_secrets_of_gramps_web(web: Instance, server: Server, playbook: str) -> None:
    run = watched(web, server, playbook, **GRAMPS_WEB[playbook])
    assert run.code == 0, run.message or run.output[-2000:]


def test_a_new_gramps_web(server: Server, tmp_path: Path) -> None:
    with instance(tmp_path / "gramps", server=server, bucket=f"secrets-{uuid4().hex[:8]}", start=False) as made:
        made.variables["gramps_web_dir"] = str(made.folder)
        made.marks.append(server.access_key)
        for folder in (made.grampsdb, made.media_dir):
            shutil.rmtree(folder)
        made.media_dir.mkdir()
        run = watched(made, server, "gramps_web_new")
    assert run.code == 0, run.message or run.output[-2000:]
