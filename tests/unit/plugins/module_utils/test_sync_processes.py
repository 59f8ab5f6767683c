# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Worker processes: ranges are shared out, answers and failures come back, and whatever happens none stays behind.

Each test runs in a Python of its own: pytest has threads, and a process with threads must not fork.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from ansible_collections.selfhosted.media.plugins.module_utils._sync.processes import automatic_number

BEGIN = """
import os, signal, sys, threading, time
from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._objects.address import Address
from ansible_collections.selfhosted.media.plugins.module_utils._objects.signing import Keys
from ansible_collections.selfhosted.media.plugins.module_utils._s3.errors import NotThere
from ansible_collections.selfhosted.media.plugins.module_utils._sync.keys import Range
from ansible_collections.selfhosted.media.plugins.module_utils._sync.processes import share_out

PARENT = os.getpid()
SPANS = [Range(b"%03d" % number, b"%03d" % (number + 1)) for number in range(200)]

class Access:
    asked = 0
    def address(self):
        assert os.getpid() == PARENT
        return Address("b", "http", "h", "/b", "r")
    def keys(self):
        assert os.getpid() == PARENT
        self.asked += 1
        return Keys("k", str(self.asked))
    def relocated(self):
        raise NotThere("gone", "NoSuchBucket", 404)

def none_left():
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return True
    return False
"""


def run(code: str, *arguments: str) -> str:
    """What a program says that begins as above; it must end well."""
    done = subprocess.run(
        [sys.executable, "-c", BEGIN + textwrap.dedent(code), *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_every_range_is_worked_on_once_and_the_results_come_back(processes: int) -> None:
    run(
        f"""
        class Worker:
            def work(self, access, spans):
                found = []
                for span in spans:
                    found.append(span)
                    time.sleep(0.005)  # long enough for each to get some, on a busy machine too
                return os.getpid(), found, access.address().bucket
        results = share_out(SPANS, Worker(), Access(), {processes})
        assert sorted(span for _pid, found, _bucket in results for span in found) == SPANS
        assert len({{pid for pid, _found, _bucket in results}}) == {processes}
        assert all(found and bucket == "b" for _pid, found, bucket in results)
        assert (PARENT in [pid for pid, _found, _bucket in results]) == ({processes} == 1)
        assert none_left()
        """
    )


def test_several_threads_of_a_worker_ask_at_the_same_time() -> None:
    run(
        """
        class Worker:
            def work(self, access, spans):
                found, lock = [], threading.Lock()
                def loop():
                    while True:
                        with lock:
                            span = next(spans, None)
                        if span is None:
                            return
                        found.append((span, access.keys().secret_key))
                threads = [threading.Thread(target=loop) for _number in range(8)]
                for thread in threads: thread.start()
                for thread in threads: thread.join()
                return found
        access = Access()
        found = [pair for result in share_out(SPANS, Worker(), access, 2) for pair in result]
        assert sorted(span for span, _key in found) == SPANS
        assert sorted(int(key) for _span, key in found) == list(range(1, 201))
        """
    )


def test_a_refusal_reaches_the_worker_as_it_was_raised() -> None:
    run(
        """
        class Worker:
            def work(self, access, spans):
                try:
                    access.relocated()
                except NotThere as exc:
                    return str(exc), exc.code, exc.status
        assert share_out(SPANS, Worker(), Access(), 2) == [("gone", "NoSuchBucket", 404)] * 2
        """
    )


def test_a_workers_failure_is_raised_and_the_others_end_what_they_are_at(tmp_path: Path) -> None:
    run(
        """
        done = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        class Worker:
            def work(self, access, spans):
                for span in spans:
                    if span.after == b"007":
                        raise NotThere("no bucket", "NoSuchBucket", 404)
                    time.sleep(0.01)
                    os.write(done, b"x")
        try:
            share_out(SPANS, Worker(), Access(), 3)
        except NotThere as exc:
            assert (str(exc), exc.code, exc.status) == ("no bucket", "NoSuchBucket", 404)
        else:
            raise AssertionError
        assert none_left()
        assert 5 <= os.path.getsize(sys.argv[1]) < 150, os.path.getsize(sys.argv[1])
        """,
        str(tmp_path / "done"),
    )


def test_a_failure_that_cannot_be_handed_over_is_told() -> None:
    run(
        """
        class Odd(Exception):
            def __init__(self, one, two):
                super().__init__(f"{one} {two}")
        class Worker:
            def work(self, access, spans):
                raise Odd("something", "odd")
        try:
            share_out(SPANS, Worker(), Access(), 2)
        except Exception as exc:
            assert "something odd" in str(exc), repr(exc)
        else:
            raise AssertionError
        assert none_left()
        """
    )


def test_a_worker_that_is_killed() -> None:
    run(
        """
        class Worker:
            def work(self, access, spans):
                for span in spans:
                    if span.after == b"007":
                        os.kill(os.getpid(), signal.SIGKILL)
                    time.sleep(0.001)
                return 1
        try:
            share_out(SPANS, Worker(), Access(), 3)
        except MediaError as exc:
            assert "ended unexpectedly" in str(exc) and "run again" in str(exc), exc
        else:
            raise AssertionError
        assert none_left()
        """
    )


def test_all_workers_are_killed() -> None:
    run(
        """
        class Worker:
            def work(self, access, spans):
                os.kill(os.getpid(), signal.SIGKILL)
        try:
            share_out(SPANS, Worker(), Access(), 2)
        except MediaError as exc:
            assert "ended unexpectedly" in str(exc)
        else:
            raise AssertionError
        assert none_left()
        """
    )


ENDLESS = """
signal.signal(signal.SIGINT, signal.default_int_handler)  # in the background, shells have it ignored
class Worker:
    def work(self, access, spans):
        os.write(1, b"%d\\n" % os.getpid())  # at once: what print() writes of both would mix
        next(spans)
        while True:
            time.sleep(0.01)
try:
    share_out(SPANS, Worker(), Access(), 2)
except KeyboardInterrupt:
    assert none_left()
    print("interrupted", flush=True)
"""


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_the_parents_end_ends_the_workers(how: signal.Signals) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", BEGIN + ENDLESS],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    try:
        workers = [int(process.stdout.readline()) for _number in range(2)]
        assert all(is_alive(pid) for pid in workers)
        if how is signal.SIGINT:
            os.killpg(process.pid, how)  # as a terminal does it: everybody is interrupted
        else:
            process.send_signal(how)
        said = process.stdout.read()
        process.wait(10)
        assert ("interrupted" in said) is (how is signal.SIGINT)
        end = time.monotonic() + 10
        while any(is_alive(pid) for pid in workers) and time.monotonic() < end:
            time.sleep(0.01)
        assert not any(is_alive(pid) for pid in workers)
    finally:
        process.kill()
        process.wait()


def test_what_the_parent_had_begun_to_write_is_written_once() -> None:
    said = run(
        """
        sys.stdout.write("once\\n")  # not flushed yet
        class Worker:
            def work(self, access, spans):
                return len(list(spans))
        assert sum(share_out(SPANS, Worker(), Access(), 3)) == 200
        """
    )
    assert said == "once\n"


def test_no_descriptor_stays_open() -> None:
    run(
        """
        class Worker:
            def work(self, access, spans):
                return list(spans)
        before = os.listdir("/proc/self/fd")
        for _number in range(3):
            share_out(SPANS, Worker(), Access(), 3)
        assert os.listdir("/proc/self/fd") == before
        """
    )


def test_the_automatic_number(monkeypatch: pytest.MonkeyPatch) -> None:
    assert automatic_number(0) == automatic_number(1) == 1
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {0})
    assert automatic_number(10**6) == 1
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(64)))
    assert 2 <= automatic_number(10**6) <= 8
