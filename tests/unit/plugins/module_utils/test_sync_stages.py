# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pool ends, whatever fails; the pace holds; the account stays small; temporary files are told apart."""

from __future__ import annotations

import fcntl
import json
import os
import pickle
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.selfhosted.media.plugins.module_utils import _tree_options as options
from ansible_collections.selfhosted.media.plugins.module_utils._sync import pace as pace_module
from ansible_collections.selfhosted.media.plugins.module_utils._sync import temporary
from ansible_collections.selfhosted.media.plugins.module_utils._sync.account import Account
from ansible_collections.selfhosted.media.plugins.module_utils._sync.pace import Pace
from ansible_collections.selfhosted.media.plugins.module_utils._sync.pool import run_all
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize("threads", [1, 3, 16])
def test_all_items_are_worked_on_once(threads: int) -> None:
    done: list[int] = []
    run_all(range(500), done.append, threads)
    assert sorted(done) == list(range(500))


@pytest.mark.parametrize("fails_at", [0, 7, 499])
@pytest.mark.parametrize("threads", [1, 8])
@pytest.mark.timeout(20)
def test_an_exception_of_the_work_is_raised(fails_at: int, threads: int) -> None:
    def work(item: int) -> None:
        if item >= fails_at:
            raise KeyError(item)

    taken: list[int] = []

    def items() -> Iterator[int]:
        for item in range(500):
            taken.append(item)
            yield item

    with pytest.raises(KeyError):
        run_all(items(), work, threads)
    assert len(taken) <= fails_at + threads * 5 + 2  # the rest is not even begun


@pytest.mark.parametrize("fails_at", [0, 100])
@pytest.mark.timeout(20)
def test_an_exception_of_the_iterable_is_raised_after_what_had_begun(fails_at: int) -> None:
    begun, ended = [], []

    def work(item: int) -> None:
        begun.append(item)
        ended.append(item)

    def items() -> Iterator[int]:
        yield from range(fails_at)
        raise OSError("gone")

    before = threading.active_count()
    with pytest.raises(OSError, match="gone"):
        run_all(items(), work, 4)
    assert begun == ended
    assert threading.active_count() == before


@pytest.mark.timeout(20)
def test_the_queue_is_bounded() -> None:
    go = threading.Event()
    taken = 0

    def items() -> Iterator[int]:
        nonlocal taken
        for item in range(1000):
            taken = item
            yield item

    def work(_item: int) -> None:
        if not seen:
            go.wait(0.5)  # time enough to hand in a thousand, if nothing held them up
            seen.append(taken)

    seen: list[int] = []
    run_all(items(), work, 2)
    assert seen[0] <= 2 + 2 * 4


@pytest.mark.parametrize("possible", [0, 1, 3])
@pytest.mark.timeout(20)
def test_threads_that_cannot_be_started_are_done_without(monkeypatch: pytest.MonkeyPatch, possible: int) -> None:
    start = threading.Thread.start
    started: list[threading.Thread] = []

    def refuse(thread: threading.Thread) -> None:
        if len(started) == possible:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        start(thread)

    done: list[int] = []
    monkeypatch.setattr(threading.Thread, "start", refuse)
    if possible:
        run_all(range(100), done.append, 8)
        assert sorted(done) == list(range(100))
    else:
        with pytest.raises(RuntimeError):
            run_all(range(100), done.append, 8)
    assert len(started) == possible
    assert not any(thread.is_alive() for thread in started)


class Watch:
    """A clock that only sleeping and work move on."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds


@given(
    rate=st.integers(1_000, 10_000_000),
    sizes=st.lists(st.integers(0, 8_000_000), min_size=1, max_size=20),
    share=st.floats(0, 0.9),
)
def test_the_pace_holds(rate: int, sizes: list[int], share: float) -> None:
    watch = Watch()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pace_module, "time", watch)
        pace = Pace(rate)
        for size in sizes:
            pace.take(size)
            watch.now += share * size / rate  # the sending itself, faster than the limit
    # Never above the limit; below it only while the last is still being sent, or one thread alone has to do both.
    needed = sum(sizes) / rate
    assert needed - 1e-6 <= watch.now - 100 <= needed * (1 + share) + 1e-6


@given(sizes=st.lists(st.integers(1, 1_000_000), min_size=2, max_size=20))
def test_threads_side_by_side_use_the_whole_limit(sizes: list[int]) -> None:
    watch, ends = Watch(), []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pace_module, "time", watch)
        pace = Pace(1000)
        for size in sizes:  # all come at the same moment; how long each sleeps is noted, not slept
            watch.now = 100.0
            pace.take(size)
            ends.append(watch.now)
    assert ends == sorted(ends)
    assert ends[-1] - 100 == pytest.approx(sum(sizes) / 1000)


def test_no_limit_never_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    watch = Watch()
    monkeypatch.setattr(pace_module, "time", watch)
    Pace(0).take(10**12)
    assert watch.now == 100.0


def test_time_unused_is_not_saved_up(monkeypatch: pytest.MonkeyPatch) -> None:
    watch = Watch()
    monkeypatch.setattr(pace_module, "time", watch)
    pace = Pace(1000)
    watch.now += 3600
    pace.take(5000)
    assert watch.now == 100.0 + 3600 + 5


def test_the_first_20_names_are_kept() -> None:
    account = Account()
    run_all(range(500), lambda number: account.remark("failed", f"{number:03}", "r"), 4)
    assert account["failed"] == 500
    assert len(account.remarks("failed")) == 20
    assert options.first_reason(account, "failed").endswith(": r")
    assert options.first_reason(account, "ignored") == ""


def test_counting_from_threads() -> None:
    account = Account()

    def work(size: int) -> None:
        account.count("uploaded", size)
        account.add_requests(2)
        account.remark("failed", str(size), "r")

    run_all(range(1000), work, 8)
    assert (account["uploaded"], account["failed"], account.bytes, account.requests) == (1000, 1000, 499500, 2000)


def test_accounts_of_several_processes_are_added_up() -> None:
    whole = Account()
    for number in range(3):
        part = Account()
        part.count("uploaded", 10, 2)
        part.add_requests(5)
        for remark in range(9):
            part.remark("failed", f"{number}-{remark}", "r")
        whole.add(pickle.loads(pickle.dumps(part)))
    assert (whole["uploaded"], whole["failed"], whole.bytes, whole.requests) == (6, 27, 30, 15)
    assert [item["name"] for item in whole.remarks("failed")][17:] == ["1-8", "2-0", "2-1"]
    assert len(whole.remarks("failed")) == 20
    whole.remark("failed", "more", "r")
    assert (whole["failed"], len(whole.remarks("failed"))) == (28, 20)


def test_the_reasons_stay_small_whatever_the_names() -> None:
    account = Account()
    kinds = ("missing", "different", "extra", "unverifiable", "vanished", "ignored", "failed")
    for kind in kinds:
        for number in range(100):
            account.remark(kind, f"{number}-" + "\u65e5" * 1024 + ".jpg", "because " * 100 + "do this")
    reasons = options.reasons_of(account, kinds)
    assert set(reasons) == set(kinds)
    assert all(reasons.values())
    assert len(json.dumps(reasons)) < 8000
    assert reasons["failed"][0]["name"].startswith("0-\u65e5")
    assert reasons["failed"][0]["name"].endswith("\u65e5.jpg")
    assert reasons["failed"][0]["reason"].endswith("do this")


def test_short_reasons_are_all_kept() -> None:
    account = Account()
    for kind in ("conflicts", "failed", "ignored"):
        for number in range(30):
            account.remark(kind, f"covers/{number}-a-usual-name.jpg", "Permission denied")
    reasons = options.reasons_of(account, ("conflicts", "vanished", "failed", "ignored"))
    assert {kind: len(remarks) for kind, remarks in reasons.items()} == {"conflicts": 20, "failed": 20, "ignored": 20}


def test_temporary_files(tmp_path: Path) -> None:
    path, descriptor = temporary.create(os.fsencode(tmp_path))
    assert temporary.is_temporary(os.path.basename(path))
    assert os.stat(path).st_mode & 0o777 == 0o600
    temporary.remove_dead(path)
    assert os.path.exists(path)  # its writer lives
    os.close(descriptor)
    temporary.remove_dead(path)
    assert not os.path.exists(path)
    temporary.remove_dead(path)


@pytest.mark.parametrize(
    "name",
    [
        b".selfhosted-media-",
        b".selfhosted-media-0123456789abcde",
        b".selfhosted-media-0123456789abcdef0",
        b".selfhosted-media-0123456789ABCDEF",
        b".selfhosted-media-0123456789abcdef\n",
        b"selfhosted-media-0123456789abcdef",
    ],
)
def test_names_that_are_not_ours(name: bytes) -> None:
    assert not temporary.is_temporary(name)


def test_only_files_are_removed(tmp_path: Path) -> None:
    target = tmp_path / "precious"
    target.write_text("x")
    link = tmp_path / ".selfhosted-media-0123456789abcdef"
    link.symlink_to(target)
    pipe = tmp_path / ".selfhosted-media-0123456789abcdee"
    os.mkfifo(pipe)
    for path in (link, pipe):
        temporary.remove_dead(os.fsencode(path))
        assert os.path.lexists(path)
    assert target.exists()


def test_a_new_file_that_another_run_takes_for_dead_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = fcntl.flock
    locked: list[int] = []

    def slow(descriptor: int, how: int) -> None:
        if not locked:
            locked.append(descriptor)
            for name in os.listdir(tmp_path):
                temporary.remove_dead(os.fsencode(tmp_path / name))
        lock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", slow)
    path, descriptor = temporary.create(os.fsencode(tmp_path))
    os.close(descriptor)
    assert os.path.exists(path)
