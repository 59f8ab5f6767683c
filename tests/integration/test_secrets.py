# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where secrets go: into the instance's .env, and nowhere else. Every other run of a playbook is searched too (Host.play)."""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from ansible_collections.selfhosted.media.tests.playbooks import StandIn, standin
from ansible_collections.selfhosted.media.tests.servers import Server, ServerUnavailable
from ansible_collections.selfhosted.media.tests.servers.ceph import ceph as own_ceph


@contextlib.contextmanager
def command_lines(marks: list[bytes]) -> Iterator[list[bytes]]:
    """Look at all command lines of this machine every 20 ms; yields those that hold a mark."""
    caught: list[bytes] = []
    looks = 0
    ended = threading.Event()

    def look() -> None:
        nonlocal looks
        while not ended.wait(0.02):
            looks += 1
            for process in os.listdir("/proc"):
                if process.isdigit():
                    with contextlib.suppress(OSError), open(f"/proc/{process}/cmdline", "rb") as file:
                        line = file.read()
                        if any(mark in line for mark in marks):
                            caught.append(line)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    yield caught
    ended.set()
    thread.join()
    assert looks > 50


def files_with(marks: list[bytes], *folders: Path) -> set[str]:
    """The files that hold a mark."""
    words = [word for mark in marks for word in ("-e", mark.decode())]
    found = subprocess.run(["grep", "-rlaF", *words, *map(str, folders)], check=False, capture_output=True, text=True)
    return set(found.stdout.splitlines())


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


def search(site: StandIn, server: Server, began: float) -> set[str]:
    """The files outside the inventory that hold a key."""
    home = Path(os.environ.get("HOME", "/root")) / ".ansible"
    marks = [server.access_key.encode(), server.secret_key.encode()]
    inventory = str(site.folder.parent / f"{site.folder.name}-inventory.json")
    recent = [path for path in Path("/tmp").glob("ansible*") if path.stat().st_mtime >= began]
    return files_with(marks, site.folder.parent, *([home] if home.is_dir() else []), *recent) - {inventory}


@pytest.mark.parametrize("mode", ["failure", "success"])
def test_secrets_reach_the_env_and_nothing_else(site: StandIn, server: Server, mode: str) -> None:
    began = time.time()
    marks = [server.access_key.encode(), server.secret_key.encode()]
    # what a command says in its despair
    talkative = "env >&2; python3 -c 'import sys, os; sys.exit(os.environ[\"AWS_SECRET_ACCESS_KEY\"])'"
    variables = {"bookwyrm_static_command": talkative} if mode == "failure" else {}
    with command_lines(marks) as caught:
        run = site.play("bookwyrm_migrate", **variables)
    assert run.code == (2 if mode == "failure" else 0), run.message
    assert not caught, caught[0]
    expected = {str(site.folder / ".env")} if mode == "success" else set()
    assert search(site, server, began) == expected
    if mode == "failure":
        assert "making the static assets failed" in run.message
    for path in (site.folder / ".env", site.folder / ".env.before-s3"):
        assert not path.exists() or path.stat().st_mode & 0o077 == 0
