# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever a service does, the lane has each item either written or handed on, once, and ends."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Callable

import pytest
from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._objects.address import Address
from ansible_collections.selfhosted.media.plugins.module_utils._objects.client import ObjectClient
from ansible_collections.selfhosted.media.plugins.module_utils._sync.concurrency import Concurrency
from ansible_collections.selfhosted.media.plugins.module_utils._sync.lane import Lane, Put
from ansible_collections.selfhosted.media.tests.servers.proxy import Close, Fault, Half, Proxy, Rule, Stall
from ansible_collections.selfhosted.media.tests.servers.tls import behind_tls
from ansible_collections.selfhosted.media.tests.stub import Asked, FixedAccess, Reply, Stub, error

pytestmark = pytest.mark.timeout(60)
OK = Reply(headers={"ETag": '"e"'})


class Drive:
    """A lane with what comes of it."""

    def __init__(self, access: FixedAccess, concurrency: int = 8, size: int = 1000, timeout: float = 60) -> None:
        address = dataclasses.replace(access.where, read_timeout=timeout)
        self.client = ObjectClient(FixedAccess(address))
        self.concurrency = Concurrency(concurrency)
        self.body = b"x" * size
        self.written: list[int] = []
        self.handed_on: list[int] = []
        self.taken = True
        self.while_preparing: Callable[[int], None] = lambda _item: None
        self.when_written: Callable[[int], None] = lambda _item: None
        self.lane: Lane[int] = Lane(self.client, self.concurrency, self._prepare, self._hand_on)

    def _prepare(self, item: int) -> Put:
        self.while_preparing(item)

        def written() -> None:
            self.when_written(item)
            self.written.append(item)

        return Put(b"p/%d" % item, self.body, {"content-type": "image/png"}, written)

    def _hand_on(self, item: int) -> bool:
        self.handed_on.append(item)
        return self.taken

    def run(self, items: int = 100) -> None:
        before = own_descriptors()
        for item in range(items):
            self.lane.put(item)
        self.lane.finish()
        self.client.close()
        assert sorted(self.written + self.handed_on) == list(range(items))
        assert own_descriptors() == before


def own_descriptors() -> int:
    """Number of this process's pipes and epolls."""
    found = 0
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            found += os.readlink(f"/proc/self/fd/{name}").startswith(("pipe:", "anon_inode:[eventpoll]"))
    return found


def test_everything_is_written_over_few_connections() -> None:
    with Stub(lambda _asked: OK) as stub:
        drive = Drive(stub.access, concurrency=4, size=29_000)
        drive.run()
        assert len(drive.written) == len(stub.asked) == drive.client.requests == 100
        assert {asked.path for asked in stub.asked} == {f"/b/p/{item}" for item in range(100)}
        assert all(asked.body == drive.body for asked in stub.asked)
        assert stub.asked[0].headers["content-type"] == "image/png"
        assert len(drive.client._connections) <= 4


def test_nothing_to_do_opens_nothing() -> None:
    with Stub(lambda _asked: OK) as stub:
        Drive(stub.access).run(0)
        assert not stub.asked


def test_no_more_at_a_time_than_the_concurrency_allows() -> None:
    under_way, most, lock = 0, 0, threading.Lock()

    def answer(_asked: Asked) -> Reply:
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
        time.sleep(0.005)
        with lock:
            under_way -= 1
        return OK

    with Stub(answer) as stub:
        Drive(stub.access, concurrency=3).run()
    assert most == 3


@pytest.mark.parametrize(
    "reply", [error(500, "InternalError"), error(403, "AccessDenied"), Reply(301), error(412, "P")]
)
def test_refusals_are_handed_on(reply: Reply) -> None:
    with Stub(lambda asked: reply if asked.path.endswith("7") else OK) as stub:
        drive = Drive(stub.access)
        drive.run()
    assert sorted(drive.handed_on) == list(range(7, 100, 10))


def test_throttling_slows_down() -> None:
    with Stub(lambda _asked: error(503, "SlowDown")) as stub:
        drive = Drive(stub.access, concurrency=64)
        before = drive.concurrency.limit
        drive.run()
    assert drive.handed_on and not drive.written
    assert drive.concurrency.limit < before


def test_connections_that_are_not_kept() -> None:
    with Stub(lambda _asked: Reply(headers={"Connection": "close"})) as stub:
        drive = Drive(stub.access)
        drive.run(50)
        assert len(drive.written) == 50


@pytest.mark.parametrize(
    "fault",
    [
        Close("head"),
        Close("body"),
        Close("answer"),
        Close("body", reset=True),
        Half(0.5),
        Half(0.9),
        Stall(30, "answer"),
    ],
)
def test_answers_that_do_not_come(fault: Fault) -> None:
    rules = [Rule(fault, path=r"/b/p/[0-9]*5$")]
    with Stub(lambda _asked: Reply(body=b"a body")) as stub, Proxy(stub.port, rules) as proxy:
        address = dataclasses.replace(stub.access.where, host=f"127.0.0.1:{proxy.port}")
        drive = Drive(FixedAccess(address), timeout=0.5)
        drive.run(30)
    assert set(range(5, 30, 10)) <= set(drive.handed_on)  # and what was about to follow on the same connection
    assert len(drive.handed_on) <= 6


def test_nobody_listens() -> None:
    with Stub(lambda _asked: OK) as stub:
        access = stub.access
    drive = Drive(access)
    drive.run()
    assert len(drive.handed_on) == 100


def test_more_than_a_connection_takes_at_once() -> None:
    with Stub(lambda _asked: OK) as stub:
        drive = Drive(stub.access, concurrency=4, size=8 * 1024 * 1024)
        drive.run(8)
        assert len(drive.written) == 8
        assert Counter(len(asked.body) for asked in stub.asked) == {len(drive.body): 8}


@pytest.mark.parametrize("failure", [FileNotFoundError("gone"), MediaError("changing"), PermissionError("no")])
@pytest.mark.parametrize("when", ["while_preparing", "when_written"])
def test_files_that_cannot_be_read_or_changed(failure: Exception, when: str) -> None:
    def fail(item: int) -> None:
        if item % 3 == 0:
            raise failure

    with Stub(lambda _asked: OK) as stub:
        drive = Drive(stub.access)
        setattr(drive, when, fail)
        drive.run(30)
    assert sorted(drive.handed_on) == list(range(0, 30, 3))


def test_a_failure_elsewhere_ends_it() -> None:
    with Stub(lambda _asked: error(500, "InternalError")) as stub:
        drive = Drive(stub.access, concurrency=2)
        drive.taken = False
        taken = [drive.lane.put(item) for item in range(1000)]
        with pytest.raises(MediaError, match="elsewhere"):
            drive.lane.finish()
    assert not all(taken)
    assert len(drive.handed_on) <= 4


def test_a_defect_is_raised() -> None:
    def fail(_item: int) -> None:
        raise KeyError("defect")

    with Stub(lambda _asked: OK) as stub:
        drive = Drive(stub.access)
        drive.while_preparing = fail
        drive.lane.put(1)
        with pytest.raises(KeyError):
            drive.lane.finish()


@pytest.mark.parametrize("started", [0, 1])
def test_without_threads_everything_is_handed_on(started: int, monkeypatch: pytest.MonkeyPatch) -> None:
    start, left = threading.Thread.start, started

    def refuse(thread: threading.Thread) -> None:
        nonlocal left
        if not left:
            raise RuntimeError("can't start new thread")
        left -= 1
        start(thread)

    with Stub(lambda _asked: OK) as stub:
        drive = Drive(stub.access)
        monkeypatch.setattr(threading.Thread, "start", refuse)
        drive.run(20)
    assert len(drive.handed_on) == 20


@pytest.mark.parametrize("size", [1000, 4 * 1024 * 1024])
def test_over_tls(tmp_path: Path, size: int) -> None:
    with Stub(lambda _asked: OK) as stub, behind_tls(stub.server, tmp_path) as (host, certificate):
        address = Address("b", "https", host, "/b", "us-east-1", ca_bundle=str(certificate))
        drive = Drive(FixedAccess(address), concurrency=3, size=size)
        drive.run(20)
        assert len(drive.written) == 20
        assert Counter(len(asked.body) for asked in stub.asked) == {size: 20}


def test_half_an_answer_does_not_hold_up_the_others() -> None:
    rules = [Rule(Stall(3, "answer"), path=r"/b/p/0$"), Rule(Half(0.5), path=r"/b/p/1$")]
    with Stub(lambda _asked: Reply(body=b"a body")) as stub, Proxy(stub.port, rules) as proxy:
        drive = Drive(FixedAccess(dataclasses.replace(stub.access.where, host=f"127.0.0.1:{proxy.port}")), timeout=1)
        drive.run(200)
    assert {0, 1} <= set(drive.handed_on)
    assert len(drive.handed_on) <= 4
