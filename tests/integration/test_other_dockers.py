# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A migration with a rootless docker, and with podman that is called docker: project and volume are found wherever these keep them.

Where one of them cannot run, its tests are skipped with the reason.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from ansible_collections.selfhosted.media.tests.accounts import (
    Account,
    AccountsUnavailable,
    account,
    open_folder,
    python_for_everybody,
)
from ansible_collections.selfhosted.media.tests.docker.others import Podman, podman, rootless
from ansible_collections.selfhosted.media.tests.docker.projects import Docker, DockerUnavailable, Project, project
from ansible_collections.selfhosted.media.tests.playbooks import ROOT, fetch
from ansible_collections.selfhosted.media.tests.servers import Server, ServerUnavailable
from ansible_collections.selfhosted.media.tests.servers.ceph import ceph

pytestmark = pytest.mark.timeout(1200)  # a shared fixture counts for the test that asks first

SMALL = {"covers": 2, "thumbnails": 1}


@contextlib.contextmanager
def instance(docker: Docker, folder: Path, compose: str) -> Iterator[tuple[Project, str]]:
    """A running instance, and what its images will begin with."""
    with contextlib.ExitStack() as stack:
        server: Server = stack.enter_context(ceph("docker-key", "s3cret-of-other-dockers", address=docker.address))
        bucket = f"books-{uuid4().hex[:8]}"
        site = stack.enter_context(project(docker, folder, server, bucket, compose, start=False, **SMALL))
        if isinstance(docker, Podman):  # which leaves it to systemd to look after a container's health
            file = folder / "docker-compose.yml"
            file.write_text(file.read_text().replace("service_healthy", "service_started"))
        try:
            site.start()
        except OSError:
            site.wait(60)  # nginx keeps for a minute what it was answered by a web that was not ready
        yield site, f"{server.endpoint_url}/{bucket}/images/"


def check_migration(site: Project, url: str) -> None:
    before = site.images()
    done = site.play("bookwyrm_migrate")
    assert done.code == 0, done.message
    site.wait(60)
    now = site.images()
    assert len(now) == len(before) > 0 and all(one.startswith(url) for one in now), now
    assert all(fetch(one).status == 200 for one in now)


def test_rootless_docker() -> None:
    with contextlib.ExitStack() as stack:
        try:
            folder = stack.enter_context(open_folder())
            who: Account = stack.enter_context(account(folder))
            docker = stack.enter_context(rootless(who))
            python = python_for_everybody(folder / "python")
            site, url = stack.enter_context(instance(docker, folder / "bookwyrm", "v2"))
        except (AccountsUnavailable, DockerUnavailable, ServerUnavailable) as exc:
            pytest.skip(str(exc))
        (site.folder / ".env").chmod(0o644)
        as_user = {"ansible_become": True, "ansible_become_user": who.name, "ansible_python_interpreter": str(python)}
        # Without DOCKER_HOST it is root's daemon that is asked, and by the user without a right to it.
        found = look(site, {"DOCKER_HOST": docker.host}, as_user)
        media = who.home / ".local" / "share" / "docker" / "volumes" / f"{site.name}_media_volume" / "_data"
        assert found["instance"]["media_dir"] == str(media) == str(site.media())
        assert found["instance"]["lacks"] == []
        missing = look(site, {"DOCKER_HOST": f"unix:///run/user/{who.uid}/nothing.sock"}, as_user)
        assert "its daemon does not run at unix:///run/user/" in missing["msg"]
        assert "systemctl --user start docker, as its user" in missing["msg"]
        check_migration(site, url)


def look(site: Project, environment: dict[str, str], variables: dict[str, object]) -> dict[str, dict[str, object]]:
    """What instance_info tells; the environment is the task's."""
    play = site.folder.parent / "look.yml"
    task = {
        "selfhosted.media.instance_info": {"dir": str(site.folder)},
        "environment": environment,
        "ignore_errors": True,
        "register": "found",
    }
    shown = {"ansible.builtin.debug": {"msg": "{{ '<<<' ~ found | to_json ~ '>>>' }}"}}
    hosts = {
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "vars": variables,
        "tasks": [task, shown],
    }
    play.write_text(json.dumps([hosts]))
    collections = str(ROOT / ".venv" / "collections")
    command = [str(Path(sys.executable).with_name("ansible-playbook")), str(play)]
    settings = {**os.environ, **site.environment, "ANSIBLE_PIPELINING": "True", "ANSIBLE_COLLECTIONS_PATH": collections}
    settings["PATH"] = os.pathsep.join([site.environment["PATH"], os.environ["PATH"]])
    done = subprocess.run(command, env=settings, capture_output=True, text=True, check=False)
    told = re.search(r"<<<(.*)>>>", done.stdout)
    assert told, done.stdout + done.stderr
    found: dict[str, dict[str, object]] = json.loads(json.loads(f'"{told[1]}"'))
    return found


def test_podman() -> None:
    with contextlib.ExitStack() as stack:
        try:
            folder = stack.enter_context(open_folder())
            docker = stack.enter_context(podman(folder))
            site, url = stack.enter_context(instance(docker, folder / "bookwyrm", "v1"))
        except (DockerUnavailable, ServerUnavailable) as exc:
            pytest.skip(str(exc))
        assert str(site.media()).startswith(f"{folder}/root/volumes/")
        check_migration(site, url)
        unreached = look(
            site, {"DOCKER_HOST": f"unix://{folder}/nothing.sock"}, {"ansible_python_interpreter": sys.executable}
        )
        assert "docker is podman here, and docker-compose does not reach the podman that runs" in str(unreached["msg"])
