# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbooks of Gramps Web are killed at random moments; then each is run once, and everything is served.

More often with CHAOS_GRAMPS_KILLS, at other moments with another CHAOS_SEED.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest
from ansible_collections.selfhosted.media.plugins.module_utils._instance.lock import path_of_lock
from ansible_collections.selfhosted.media.tests.chaos.controller import kill_controller
from ansible_collections.selfhosted.media.tests.grampsweb import GrampsUnavailable
from ansible_collections.selfhosted.media.tests.grampsweb.api import served
from ansible_collections.selfhosted.media.tests.grampsweb.instance import Instance, instance
from ansible_collections.selfhosted.media.tests.grampsweb.trees import Plan, md5, picture
from ansible_collections.selfhosted.media.tests.processes import descendants
from ansible_collections.selfhosted.media.tests.servers import Server

KILLS = int(os.environ.get("CHAOS_GRAMPS_KILLS", "3"))
SEED = int(os.environ.get("CHAOS_SEED", "1"))

pytestmark = pytest.mark.timeout(600 + KILLS * 300)


def killed(web: Instance, playbook: str, task: str, chance: random.Random, log: Path) -> None:
    """Start a playbook and kill it: anywhere, or more often while it changes over, when most can go wrong."""
    command, environment = web.command(playbook)
    into, seconds = chance.choice([("PLAY", 12), (task, 10), (task, 10)])
    everything = chance.random() < 0.5
    with log.open("wb") as output:
        play = subprocess.Popen(
            command, env=environment, cwd=web.folder.parent, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
        while play.poll() is None and into not in log.read_text(errors="replace"):
            time.sleep(0.05)
        with contextlib.suppress(subprocess.TimeoutExpired):
            play.wait(chance.uniform(0, seconds))
        if everything:
            for pid in reversed(descendants(play.pid)):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        else:
            kill_controller(play)
        play.wait()
    # What goes on in a session of its own holds the lock as long as it works.
    with contextlib.suppress(FileNotFoundError), open(path_of_lock(str(web.folder)), "rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
    tasks = [line for line in log.read_text(errors="replace").splitlines() if line.startswith("TASK [")]
    print(f"{playbook}: {'everything' if everything else 'controller'} killed in {tasks[-1] if tasks else 'its start'}")


def test_playbooks_that_are_killed(tmp_path: Path, ceph: Server, bucket_name: str) -> None:
    chance, log = random.Random(SEED), tmp_path / "play.log"
    try:
        with instance(tmp_path / "web", Plan("Meyer", clean=4), server=ceph, bucket=bucket_name) as web:
            web.variables.update(gramps_web_dir=str(web.folder), gramps_web_health_timeout=30)
            settings, before = web.env_file.read_bytes(), served(web.login())
            on_s3 = {"GRAMPSWEB_MEDIA_BASE_DIR": f"s3://{bucket_name}"}

            for _kill in range(KILLS):
                killed(web, "gramps_web_migrate", "Bring what is new", chance, log)
                assert web.env_file.read_bytes() == settings or on_s3.items() <= web.env.items()
                if web.ready():
                    assert served(web.login()) == before
            done = web.play("gramps_web_migrate")
            assert done.code == 0, done.message or done.output[-3000:]
            assert served(web.login()) == before and on_s3.items() <= web.env.items()
            content = picture("png", 90)
            web.login().upload(content, "image/png")
            before = served(web.login())
            s3_settings = web.env_file.read_bytes()

            for _kill in range(KILLS):
                killed(web, "gramps_web_rollback", "Bring the media back", chance, log)
                assert web.env_file.read_bytes() in (settings, s3_settings)
                if web.ready():
                    assert served(web.login()) == before
            done = web.play("gramps_web_rollback")
            assert done.code == 0, done.message or done.output[-3000:]
            assert web.env_file.read_bytes() == settings and served(web.login()) == before
            assert md5(content) in {md5(path.read_bytes()) for path in web.media_dir.rglob("*") if path.is_file()}
            assert not list(web.folder.glob("gramps.env.*")) and not list(web.folder.rglob("*selfhosted-media*"))
    except GrampsUnavailable as exc:
        pytest.skip(str(exc))
