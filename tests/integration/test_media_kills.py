# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""media_sync killed at random points of its life, again and again: one plain run later nothing is lost and nothing left over.

100 kills; CHAOS_KILLS=1000 makes it as many, CHAOS_SEED other ones.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.selfhosted.media.tests.chaos.engine import (
    NASTY,
    PREFIX,
    Bucket,
    change,
    check_nothing_lost,
    files_in,
    make_tree,
)
from ansible_collections.selfhosted.media.tests.servers import ServerUnavailable
from ansible_collections.selfhosted.media.tests.servers.ceph import Gateway, gateway
from ansible_collections.selfhosted.media.tests.servers.proxy import Proxy, Rule, Stall, port_of

KILLS = int(os.environ.get("CHAOS_KILLS", "100"))
SEED = int(os.environ.get("CHAOS_SEED", "1"))
#: Kills of each kind of run, in parts of all.
SHARES = {"upload": 0.4, "never": 0.2, "download": 0.4}
#: Small files of a plain name in the tree.
SMALL = 60
VICTIM = Path(__file__).parents[1] / "chaos" / "victim.py"


@pytest.fixture(scope="module")
def own_ceph() -> Iterator[Gateway]:
    """A gateway that may be restarted."""
    try:
        with gateway() as running:
            yield running
    except ServerUnavailable as exc:
        pytest.skip(str(exc))


class Place:
    """A tree, the bucket it goes to, and the folder it comes back to."""

    def __init__(self, ceph: Gateway, name: str, work: Path, chance: random.Random) -> None:
        ceph.server.client().create_bucket(Bucket=name)
        self.bucket, self.chance, self.state = Bucket(ceph.server, name), chance, work / "state"
        self.media, self.down = work / "media", work / "down"
        make_tree(self.media, chance.randrange(1000), SMALL)
        self.down.mkdir()
        self.seconds = 1.0  # from having loaded everything to the end, of a run with much to do
        self.killed: Counter[str] = Counter()

    def start(self, kind: str, log: Path) -> subprocess.Popen[bytes]:
        """A run in a session of its own, with one, two or three worker processes."""
        options: dict[str, Any] = {
            **self.bucket.server.options,
            "bucket": self.bucket.name,
            "prefix": PREFIX,
            "path": str(self.down if kind == "download" else self.media),
            "direction": "download" if kind == "download" else "upload",
            "overwrite": "never" if kind == "never" else "changed",
            "processes": self.chance.choice([1, 2, 3]),
        }
        environment = {**os.environ, "XDG_STATE_HOME": str(self.state), "PYTHONPATH": os.pathsep.join(sys.path)}
        with log.open("wb") as output:
            return subprocess.Popen(
                [sys.executable, str(VICTIM), json.dumps(options)],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def disturb(self, kind: str) -> None:
        """Give a run something to do."""
        if kind == "upload":
            change(self.media, self.chance, 0.6)
        elif kind == "never":
            for name in self.chance.sample(sorted(self.bucket.objects), SMALL):
                self.bucket.client.delete_object(Bucket=self.bucket.name, Key=PREFIX + name)
        else:
            for path in sorted(self.down.rglob("*")):
                if path.is_file() and self.chance.random() < 0.6:
                    path.unlink()

    def run(self, kind: str, log: Path) -> None:
        """A plain run to the end."""
        process = self.start(kind, log)
        begun = until_begun(process, log)
        process.wait(120)
        self.seconds = (self.seconds + time.monotonic() - begun) / 2
        result = result_in(log)
        assert not result.get("failed"), result
        assert result["failures"] == result["conflicts"] == result["extra"] == result["vanished"] == 0, result

    def kill(self, kind: str, log: Path) -> None:
        """A run that is killed: all of it, the module alone, or one of its workers."""
        process = self.start(kind, log)
        what = self.chance.choice(["all", "module", "worker"])
        if self.chance.random() < 0.9:
            until_begun(process, log)
            time.sleep(self.chance.uniform(0, self.seconds))
        else:
            time.sleep(self.chance.uniform(0, 0.3))
        is_over = process.poll() is not None
        workers = [] if is_over else children(process.pid)
        if what == "worker" and workers:
            os.kill(self.chance.choice(workers), signal.SIGKILL)
            process.wait(120)  # ends by itself, with a sentence unless the work was done
            said = result_in(log)
            if said.get("failed"):
                assert "a worker process ended unexpectedly" in said["msg"], said
        else:
            what = "module" if what == "worker" else what
            if what == "all" and not is_over:
                os.killpg(process.pid, signal.SIGKILL)
            process.kill()
            process.wait(30)
        self.killed[what] += not is_over
        self.session = process.pid


def until_begun(process: subprocess.Popen[bytes], log: Path) -> float:
    while process.poll() is None and not log.stat().st_size:
        time.sleep(0.002)
    return time.monotonic()


def children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def is_alive(session: int) -> bool:
    """Whether a process of a session runs."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] != "Z":
            return True
    return False


def result_in(log: Path) -> dict[str, Any]:
    text = log.read_text(errors="replace")
    assert "\n{" in text, text
    result: dict[str, Any] = json.loads(text[text.index("\n{") :])
    return result


@pytest.fixture
def place(own_ceph: Gateway, bucket_name: str, tmp_path: Path) -> Iterator[Place]:
    seed = SEED
    print("seed", seed)
    yield Place(own_ceph, bucket_name, tmp_path, random.Random(seed))


@pytest.mark.parametrize("kind", list(SHARES))
def test_kills_lose_nothing(place: Place, tmp_path: Path, kind: str) -> None:
    """After each kill every object and file is the old one or the new one, whole; after a plain run all are the new ones."""
    log, kills = tmp_path / "log", round(KILLS * SHARES[kind])
    place.run("upload", log)
    place.run(kind, log)
    while sum(place.killed.values()) < kills:
        folder = place.down if kind == "download" else place.media
        place.disturb(kind)
        old, new = place.bucket.objects, files_in(place.media)
        for _number in range(min(place.chance.choice([2, 4, 6]), kills - sum(place.killed.values()))):
            place.kill(kind, log)
            if kind == "download":
                assert wholes(files_in(folder)) <= new.items()
            else:
                assert wholes(place.bucket.objects) <= old.items() | new.items()
        place.run(kind, log)
        check_nothing_lost(place.bucket, folder, place.state)
        assert not is_alive(place.session)
    print(kind, place.killed, f"{place.seconds:.2f} s a run")
    assert {"all", "module"} <= place.killed.keys() or kills < 10


def wholes(found: dict[str, str]) -> set[tuple[str, str]]:
    """What is there, without what is recognised as temporary."""
    return {(name, digest) for name, digest in found.items() if not Path(name).name.startswith(".selfhosted-media-")}


def test_the_tree_is_nasty(place: Place) -> None:
    assert len(files_in(place.media)) == SMALL + len(NASTY) + 2


@pytest.mark.parametrize("kind", ["upload", "never"])
def test_a_kill_before_the_id_of_an_upload_is_known_leaves_no_upload_behind(
    own_ceph: Gateway, place: Place, tmp_path: Path, kind: str
) -> None:
    """The service has begun it and its answer never came; somebody else's of the same key, with a part, stays."""
    log, server = tmp_path / "log", own_ceph.server
    with Proxy(port_of(server), [Rule(Stall(60, "answer"), method="POST", query="uploads")]) as proxy:
        place.bucket.server = server._replace(endpoint_url=proxy.url)
        process = place.start(kind, log)
        until_begun(process, log)
        while not place.bucket.uploads:
            assert process.poll() is None
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(30)
        where = {"Bucket": place.bucket.name, "Key": f"{PREFIX}large/0.bin"}
        theirs = place.bucket.client.create_multipart_upload(**where)["UploadId"]
        place.bucket.client.upload_part(**where, UploadId=theirs, PartNumber=1, Body=b"theirs")
        proxy.rules.clear()
        place.run(kind, log)
        check_nothing_lost(place.bucket, place.media, place.state, uploads=[where["Key"]])
        place.bucket.client.abort_multipart_upload(**where, UploadId=theirs)


def test_a_server_that_is_killed_and_started_again_loses_nothing(
    own_ceph: Gateway, place: Place, tmp_path: Path
) -> None:
    """Without help: the run waits for it, and goes on. Or with the run, as when the power fails: then a plain run does it.

    In one test, because a gateway that was killed takes half a minute to make a bucket.
    """
    log, rounds = tmp_path / "log", max(3, KILLS // 30)
    for kind in ("upload", "download"):
        place.run(kind, log)
    for kind, both in [("upload", False), ("download", False), ("upload", True)] * rounds:
        place.disturb(kind)
        process = place.start(kind, log)
        until_begun(process, log)
        time.sleep(place.chance.uniform(0, place.seconds))
        own_ceph.kill()
        if both:
            os.killpg(process.pid, signal.SIGKILL)
        time.sleep(place.chance.uniform(0, 1))
        own_ceph.start()
        process.wait(120)
        if not both:
            result = result_in(log)
            assert not result.get("failed"), (result["msg"], result["reasons"])
        place.run(kind, log)
        check_nothing_lost(place.bucket, place.down if kind == "download" else place.media, place.state)
