# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole playbooks are killed at random moments, while visitors upload; then each is run once, and nothing is lost.

`make chaos` does it CHAOS_PLAYBOOK_KILLS times, with other moments for another CHAOS_SEED.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import random
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import pytest
from ansible_collections.selfhosted.media.plugins.module_utils._instance.bookwyrm import SECRET, WRITTEN
from ansible_collections.selfhosted.media.plugins.module_utils._instance.lock import path_of_lock
from ansible_collections.selfhosted.media.tests.chaos.controller import forwarding, kill_controller
from ansible_collections.selfhosted.media.tests.chaos.engine import md5
from ansible_collections.selfhosted.media.tests.dotenv_readers import read_by_all
from ansible_collections.selfhosted.media.tests.playbooks import StandIn, Visitors, in_background, standin
from ansible_collections.selfhosted.media.tests.processes import descendants
from ansible_collections.selfhosted.media.tests.servers import Server, free_port
from botocore.exceptions import ClientError

KILLS = int(os.environ.get("CHAOS_PLAYBOOK_KILLS", "5"))
SEED = int(os.environ.get("CHAOS_SEED", "1"))
NAMES = (*WRITTEN, *SECRET)

pytestmark = pytest.mark.timeout(900 + KILLS * 300)


@dataclass
class Gate:
    """The way to the server, which can be shut for a while: to the instance it is the server that is restarted."""

    server: Server
    port: int
    log: Path
    _open: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    def open(self) -> None:
        self._open.enter_context(forwarding(self.port, self.server, self.log))

    def shut(self) -> None:
        self._open.close()


@dataclass
class Chaos:
    """An instance, what its visitors were told is stored, and the accidents."""

    site: StandIn
    server: Server
    bucket: str
    gate: Gate
    visitors: Visitors
    log: Path
    random: random.Random
    #: the longest that each playbook took when nobody killed it
    durations: dict[str, float] = field(default_factory=dict)
    kills: int = 0

    def accident(self, playbook: str) -> None:
        """Run a playbook and let something happen in the middle of it; returns when all that it started has ended."""
        what = self.random.choice(["controller", "everything", "module", "server"])
        at = self.random.uniform(0.5, self.durations.get(playbook, 20))
        command, environment = self.site.command(playbook, "-v")
        with self.log.open("wb") as log:
            play = subprocess.Popen(
                command, env=environment, cwd=self.site.folder.parent, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
            with contextlib.suppress(subprocess.TimeoutExpired):
                play.wait(at)
            happened = play.poll() is None and self._happen(what, play)
            play.wait()
        self._wait_for_the_end()
        last = [line for line in self.log.read_text(errors="replace").splitlines() if line.startswith("TASK [")]
        print(f"{playbook}: {what} at {at:.1f} s: {'in' if happened else 'not in'} {last[-1] if last else 'its start'}")
        self.kills += happened

    def _happen(self, what: str, play: subprocess.Popen[bytes]) -> bool:
        if what == "controller":
            kill_controller(play)
        elif what == "everything":
            for pid in reversed(descendants(play.pid)):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        elif what == "module":
            below = [pid for pid in descendants(play.pid) if is_module(pid)]
            for pid in below:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            return bool(below)
        else:
            self.gate.shut()
            time.sleep(self.random.uniform(0, 4))
            self.gate.open()
        return True

    def _wait_for_the_end(self) -> None:
        """What goes on in a session of its own holds the instance's lock as long as it works."""
        with contextlib.suppress(FileNotFoundError), open(path_of_lock(str(self.site.folder)), "rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)

    def run(self, playbook: str) -> None:
        """Run a playbook once, to its end."""
        started = time.monotonic()
        done = self.site.play(playbook)
        assert done.code == 0, done.message or done.output[-3000:]
        took = time.monotonic() - started
        self.durations[playbook] = max(took, self.durations.get(playbook, 0))

    # -- what must be true -----------------------------------------------------------------------------------------

    def check_settings(self, *allowed: dict[str, str]) -> None:
        """The settings are the old ones or the new ones, for every reader, and nobody else can read them."""
        env = self.site.folder / ".env"
        now = self.site.env
        assert now in allowed
        assert env.stat().st_mode & 0o777 == 0o600
        for reader, (reading,) in read_by_all([env.read_bytes()], self.log.parent).items():
            assert reading is not None, reader
            assert {name: reading.get(name) for name in NAMES} == {name: now.get(name) for name in NAMES}, reader

    def stored(self) -> dict[str, str]:
        """The MD5 of what is in the bucket below images/, by name: nothing is so large that it goes in parts."""
        pages = self.server.client().get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix="images/")
        return {item["Key"][7:]: item["ETag"].strip('"') for page in pages for item in page.get("Contents", [])}

    def on_disk(self) -> dict[str, str]:
        """The MD5 of each file, by name."""
        return {name: md5(content) for name, content in self.site.tree().items()}

    def accepted(self) -> dict[str, str]:
        """The MD5 of what visitors have been told is stored."""
        return {name: md5(content) for name, content in dict(self.visitors.accepted).items()}

    def check_nothing_is_left(self) -> None:
        left = [str(path) for path in self.site.folder.rglob("*selfhosted-media*")]
        left += [name for name in self.stored() if "selfhosted-media" in name]
        uploads = self.server.client().list_multipart_uploads(Bucket=self.bucket).get("Uploads", [])
        assert (left, uploads) == ([], [])

    def told_of(self, names: set[str]) -> str:
        """What can be said of files that the bucket's listing lacks: the object asked for itself, times, the last run's counts."""
        lines = [f"settings of before: {(self.site.folder / '.env.before-s3').stat()}"]
        for name in sorted(names)[:5]:
            path = self.site.folder / "images" / name
            lines += [f"{name}: {path.stat()}, MD5 {md5(path.read_bytes())}"]
            try:
                lines += [str(self.server.client().head_object(Bucket=self.bucket, Key=f"images/{name}"))]
            except ClientError as exc:
                lines += [str(exc)]
        log = self.site.folder.parent / f"{self.site.folder.name}-last-run.log"
        told = re.compile(r'TASK \[|"(uploaded|unchanged|conflicts|vanished|failures|changed_since|switched|state)"')
        return "\n".join([*lines, *filter(told.search, log.read_text().splitlines())])

    def check_on_s3(self) -> None:
        """Every file is in the bucket, every upload that was accepted too, and the site shows it from there."""
        accepted = self.accepted()  # before looking: visitors go on
        stored, disk = self.stored(), self.on_disk()
        expected = {name: content for name, content in disk.items() if "/" in name and ".gitkeep" not in name}
        lost = {name for name in expected if stored.get(name) != expected[name]}
        assert lost == set(), self.told_of(lost)
        assert {name for name, content in accepted.items() if stored.get(name) != content} == set()
        assert {name for name, content in stored.items() if name in disk and disk[name] != content} == set()
        assert all(url.startswith("http") for url in self.site.images())
        self.check_nothing_is_left()

    def check_on_disk(self) -> None:
        """Every object is a file, every upload that was accepted too, and the site shows it from there."""
        accepted = self.accepted()
        stored, disk = self.stored(), self.on_disk()
        assert {name for name, content in stored.items() if disk.get(name) != content} == set()
        assert {name for name, content in accepted.items() if disk.get(name) != content} == set()
        assert all(url.startswith("/images/") for url in self.site.images())
        beside = {path.name for path in self.site.folder.glob(".env*")}
        assert beside == {".env", ".env.example"}
        self.check_nothing_is_left()


def is_module(pid: int) -> bool:
    """Whether a process is Ansible's module on the "target": Python that reads its program from nowhere or a file of it."""
    with contextlib.suppress(OSError):
        words = Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").split(b"\0")
        return words[0].endswith((b"python", b"python3", b"python3.11")) and b"ansible-playbook" not in b" ".join(words)
    return False


#: So many instances share the kills when there are many, each with moments of its own.
STREAMS = 1 if KILLS <= 20 else 2


@pytest.fixture(params=range(SEED, SEED + STREAMS), ids=lambda seed: f"seed {seed}")
def chaos(request: pytest.FixtureRequest, ceph: Server, tmp_path: Path) -> Iterator[Chaos]:
    bucket, port = f"kills-{uuid4().hex[:8]}", free_port()
    gate = Gate(ceph, port, tmp_path / "gate.log")
    gate.open()
    try:
        with standin(tmp_path / "bookwyrm", ceph, bucket, covers=8) as site:
            site.variables.update(bookwyrm_s3_endpoint_url=f"http://127.0.0.1:{port}", bookwyrm_sample=3)
            picture = min(content for name, content in site.tree().items() if name.startswith("covers/"))
            visitors = Visitors(site, picture, pause=3)
            yield Chaos(site, ceph, bucket, gate, visitors, tmp_path / "play.log", random.Random(request.param))
    finally:
        gate.shut()


def test_playbooks_that_are_killed(chaos: Chaos) -> None:
    on_disk = chaos.site.env
    with in_background(chaos.visitors):
        for number in itertools.count():
            if chaos.kills >= KILLS // STREAMS:
                break
            chaos.accident("bookwyrm_migrate")
            now = chaos.site.env
            assert now == on_disk or now["USE_S3"] == "true"
            chaos.run("bookwyrm_migrate")
            on_s3 = chaos.site.env
            chaos.check_settings(on_s3)
            assert now in (on_disk, on_s3)
            chaos.check_on_s3()

            # each by a name of its own: one that is in the bucket already with other content is a conflict, and stays
            (chaos.site.folder / "images" / "covers" / f"by_hand_{number}.jpg").write_bytes(os.urandom(5000))
            chaos.accident("bookwyrm_sync")
            chaos.run("bookwyrm_sync")
            chaos.check_settings(on_s3)
            chaos.check_on_s3()

            chaos.accident("bookwyrm_rollback")
            chaos.check_settings(on_disk, on_s3)
            chaos.run("bookwyrm_rollback")
            chaos.check_settings(on_disk)
            chaos.check_on_disk()
    assert len(chaos.visitors.accepted) > chaos.kills
