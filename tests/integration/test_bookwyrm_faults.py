# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""bookwyrm_migrate when something fails: the site goes on from its disk, with the settings of before, and the message says all.

One instance meets one fault after another; what it is like afterwards is always the same. In the end the controller is killed.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from ansible_collections.selfhosted.media.plugins.module_utils._instance.lock import instance_lock
from ansible_collections.selfhosted.media.tests.chaos.controller import forwarding, kill_controller
from ansible_collections.selfhosted.media.tests.playbooks import Outcome, StandIn, Watch, fetch, in_background, standin
from ansible_collections.selfhosted.media.tests.servers import Server, free_port

STOP = "systemctl stop bookwyrm-scheduler bookwyrm-worker bookwyrm"
START = "systemctl start bookwyrm bookwyrm-worker bookwyrm-scheduler"

pytestmark = pytest.mark.timeout(900)  # whole playbooks on a busy machine


@pytest.fixture(scope="module")
def site(ceph: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    folder = tmp_path_factory.mktemp("faults") / "bookwyrm"
    with standin(folder, ceph, f"faults-{uuid4().hex[:8]}", covers=6) as made:
        made.variables.update(bookwyrm_health_timeout=12, bookwyrm_sample=3)
        yield made


class Before:
    """The instance as it was, and as it must be after a fault."""

    def __init__(self, site: StandIn) -> None:
        self.site = site
        self.env = (site.folder / ".env").read_bytes()
        self.mode = (site.folder / ".env").stat().st_mode
        self.tree = site.tree()
        self.images = site.images()
        self.processes = site.main_pids()

    def check(self, restarted: bool) -> None:
        site = self.site
        assert (site.folder / ".env").read_bytes() == self.env
        assert (site.folder / ".env").stat().st_mode == self.mode
        assert not (site.folder / ".env.before-s3").exists()
        site.wait(5)
        assert site.images() == self.images
        assert all(url.startswith("/images/") for url in self.images)
        assert {name: site.tree().get(name) for name in self.tree} == self.tree
        assert "0" not in site.main_pids()
        if not restarted:
            assert site.main_pids() == self.processes


def paragraph(run: Outcome, *parts: str) -> None:
    """The run failed with one paragraph, or a checklist, that holds all this."""
    assert run.code == 2
    assert run.message.strip() and "\n" not in run.message.replace("\n- ", " "), run.message
    for part in parts:
        assert part in run.message, run.message


def test_static_assets_fail(site: StandIn) -> None:
    before = Before(site)
    run = site.play("bookwyrm_migrate", bookwyrm_static_command="echo no sass compiler >&2; exit 3")
    paragraph(run, "making the static assets failed", "ended with 3", "no sass compiler", "as they were", "run again")
    before.check(restarted=False)


def test_another_run_is_at_work(site: StandIn) -> None:
    before = Before(site)
    with instance_lock(str(site.folder), "going back to the disk"):
        run = site.play("bookwyrm_migrate")
    paragraph(
        run,
        "another run is changing",
        f"going back to the disk, process {os.getpid()}, since 20",
        "Nothing was changed",
    )
    before.check(restarted=False)


def test_nothing_can_be_fetched_publicly(site: StandIn) -> None:
    before = Before(site)
    run = site.play(
        "bookwyrm_migrate", bookwyrm_s3_public_method="none", bookwyrm_s3_bucket=f"closed-{uuid4().hex[:8]}"
    )
    paragraph(run, "public_read", "everybody is refused", "publish")
    before.check(restarted=False)


def test_the_start_fails(site: StandIn) -> None:
    before = Before(site)
    start = f"if grep -q ^USE_S3=true .env; then echo the unit is masked >&2; exit 7; fi; {START}"
    run = site.play("bookwyrm_migrate", bookwyrm_start_command=start)
    paragraph(run, "Starting the services failed", "undone", "the unit is masked", "disk again", "run again")
    before.check(restarted=True)


@pytest.mark.parametrize(
    ("ending", "timeout", "said"),
    [
        # gunicorn takes it for the worker's own affair and starts another one, again and again
        pytest.param("raise SystemExit(1)", 12, "for 12 s", id="never answers"),
        # gunicorn gives up; nobody waits that long for a service that is seen to have ended
        pytest.param("raise RuntimeError('no such bucket')", 3000, "has ended by itself", id="dies"),
    ],
)
def test_it_starts_and_then(site: StandIn, ending: str, timeout: int, said: str) -> None:
    wsgi = site.folder / "bookwyrm" / "wsgi.py"
    code = wsgi.read_text()
    wsgi.write_text(f"{code}\nfrom django.conf import settings\nif settings.USE_S3:\n    {ending}\n")
    before = Before(site)
    try:
        run = site.play("bookwyrm_migrate", bookwyrm_health_timeout=timeout)
    finally:
        wsgi.write_text(code)
    paragraph(run, "Waiting for the front page failed", "undone", "does not answer", said, "disk again", "run again")
    before.check(restarted=True)


def test_the_service_vanishes_while_the_site_is_stopped(site: StandIn, ceph: Server) -> None:
    before = Before(site)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    made = site.folder / "images" / "covers" / "last_minute.jpg"
    with forwarding(port, ceph, site.folder.parent / "forward.log") as forward:
        # somebody uploads once more, and then nobody is there to take it
        stop = f"{STOP}; kill {forward.pid}; echo picture > {made}"
        run = site.play("bookwyrm_migrate", bookwyrm_s3_endpoint_url=url, bookwyrm_stop_command=stop)
    paragraph(run, "Copying what is new failed", "undone", "last_minute.jpg", "disk again", "run again")
    before.check(restarted=True)
    made.unlink()


def test_the_controller_is_killed_in_the_middle_of_the_switch(site: StandIn, ceph: Server, tmp_path: Path) -> None:
    mark = tmp_path / "stopping"
    images = site.images()
    stop = f"touch {mark}; sleep 3; {STOP}"
    command, environment = site.command("bookwyrm_migrate", bookwyrm_stop_command=stop)
    watch = Watch(site)
    with in_background(watch), (tmp_path / "log").open("wb") as log:
        play = subprocess.Popen(
            command,
            env=environment,
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        while not mark.exists():
            assert play.poll() is None, (tmp_path / "log").read_text()
            time.sleep(0.05)
        assert kill_controller(play) >= 2
        killed = time.time()
        while not (site.folder / ".env.before-s3").exists():
            assert time.time() < killed + 120
            time.sleep(0.1)
        time.sleep(0.5)
        site.wait()
        time.sleep(1)
    assert "PLAY RECAP" not in (tmp_path / "log").read_text()
    assert "0" not in site.main_pids()
    bucket = site.variables["bookwyrm_s3_bucket"]
    now = site.images()
    assert {url.partition("/images/")[2] for url in now} == {url.partition("/images/")[2] for url in images}
    assert all(fetch(url).status == 200 for url in now if url.startswith("http"))

    # and then the power failed, before the services had started
    site.systemctl("stop", "bookwyrm-scheduler", "bookwyrm-worker", "bookwyrm")
    second = site.play("bookwyrm_migrate")
    assert second.code == 0, second.message
    assert all(url.startswith(f"{ceph.endpoint_url}/{bucket}/images/") for url in site.images())
    third = site.play("bookwyrm_migrate")
    assert (third.code, third.changed) == (0, 0), third.message
    processes = site.main_pids()
    late = site.play("bookwyrm_migrate", bookwyrm_manage_command="echo no database >&2; exit 4; echo")
    paragraph(late, "no database", "runs on S3 and nothing was undone", "run again", "bookwyrm_rollback takes it back")
    assert site.main_pids() == processes
