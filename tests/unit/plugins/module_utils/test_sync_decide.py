# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Merging the two streams, and the truth table of what is then done."""

from __future__ import annotations

from typing import Optional

import pytest
from ansible_collections.selfhosted.media.plugins.module_utils._objects.xml import RemoteObject
from ansible_collections.selfhosted.media.plugins.module_utils._sync.decide import Action, Restoration, Strategy
from ansible_collections.selfhosted.media.plugins.module_utils._sync.merge import Pair, merge
from ansible_collections.selfhosted.media.plugins.module_utils._sync.walk import LocalFile
from hypothesis import given
from hypothesis import strategies as st

SECOND = 1_000_000_000
KEYS = st.sets(st.binary(max_size=3), max_size=8)


def local(key: bytes = b"k", size: int = 1, mtime_ns: int = 10 * SECOND) -> LocalFile:
    return LocalFile(key, size, mtime_ns, mtime_ns)


def remote(key: bytes = b"k", size: int = 1, modified_ns: int = 10 * SECOND) -> RemoteObject:
    return RemoteObject(key, size, "etag", modified_ns)


@given(here=KEYS, there=KEYS)
def test_merging(here: set[bytes], there: set[bytes]) -> None:
    pairs = list(merge((local(key) for key in sorted(here)), (remote(key) for key in sorted(there))))
    assert [pair.key for pair in pairs] == sorted(here | there)
    assert {pair.key for pair in pairs if pair.local} == here
    assert {pair.key for pair in pairs if pair.remote} == there
    assert all(side.key == pair.key for pair in pairs for side in (pair.local, pair.remote) if side)


UP, DOWN = Strategy(), Strategy(upload=False)
OLDER, NEWER = 9 * SECOND, 11 * SECOND


@pytest.mark.parametrize(
    ("strategy", "file", "found", "ahead", "action"),
    [
        (UP, local(), None, 0, Action.TRANSFER),
        (UP, None, remote(), 0, Action.EXTRA),
        (UP, local(), remote(), 0, Action.SKIP),
        (UP, local(size=2), remote(), 0, Action.TRANSFER),
        (UP, local(mtime_ns=NEWER), remote(), 0, Action.TRANSFER),
        (UP, local(mtime_ns=OLDER), remote(), 0, Action.SKIP),
        (UP, local(mtime_ns=OLDER), remote(), 2 * SECOND, Action.TRANSFER),  # the service's clock is ahead
        (UP, local(mtime_ns=NEWER), remote(), -2 * SECOND, Action.SKIP),
        (Strategy(overwrite=False), local(size=2), remote(), 0, Action.CONFLICT),
        (Strategy(overwrite=False), local(mtime_ns=NEWER), remote(), 0, Action.CONFLICT),
        (Strategy(overwrite=False), local(), None, 0, Action.TRANSFER),
        (Strategy(checksum=True), local(mtime_ns=NEWER), remote(), 0, Action.COMPARE),
        (Strategy(checksum=True), local(size=2), remote(), 0, Action.TRANSFER),
        (DOWN, None, remote(), 0, Action.TRANSFER),
        (DOWN, local(), None, 0, Action.EXTRA),
        (DOWN, local(mtime_ns=NEWER), remote(), 0, Action.SKIP),
        (DOWN, local(mtime_ns=OLDER), remote(), 0, Action.SKIP),
        (DOWN, local(size=2), remote(), 0, Action.TRANSFER),
        (Strategy(False, False), local(size=2), remote(), 0, Action.CONFLICT),
        (Strategy(False, checksum=True), local(), remote(), 0, Action.COMPARE),
        # what was written since a moment is new even with the same size, until the file has its time
        (Strategy(False, only_new=True), local(mtime_ns=OLDER + 1), remote(), 0, Action.TRANSFER),
        (Strategy(False, only_new=True), local(), remote(), 0, Action.SKIP),
        (Strategy(False, only_new=True), local(), remote(modified_ns=10 * SECOND + 5), 0, Action.SKIP),
    ],
)
def test_the_truth_table(
    strategy: Strategy, file: Optional[LocalFile], found: Optional[RemoteObject], ahead: int, action: Action
) -> None:
    assert strategy.decide(Pair(b"k", file, found), ahead) is action


@pytest.mark.parametrize(("overwrite", "action"), [(True, Action.TRANSFER), (False, Action.CONFLICT)])
def test_settling_a_comparison(overwrite: bool, action: Action) -> None:
    assert Strategy(overwrite=overwrite, checksum=True).settle(Pair(b"k", None, None), 0) is action


SWITCHED = 100 * SECOND


@pytest.mark.parametrize("ahead", [0, 1200 * SECOND, -1200 * SECOND])
@pytest.mark.parametrize(
    ("file", "found", "action"),
    [
        pytest.param(None, (10, 50), Action.TRANSFER, id="absent, however old"),
        pytest.param((10, 50), None, Action.EXTRA, id="no object"),
        pytest.param((10, 40), (10, 50), Action.SKIP, id="copied before the change-over"),
        pytest.param((10, 40), (10, 150), Action.COMPARE, id="written anew, as long as before"),
        pytest.param((9, 40), (10, 150), Action.TRANSFER, id="written anew"),
        pytest.param((9, 40), (10, 50), Action.TRANSFER, id="older than an object of before"),
        pytest.param((9, 200), (10, 150), Action.CONFLICT, id="put there since"),
        pytest.param((9, 200), (10, 50), Action.CONFLICT, id="changed since, the object not"),
    ],
)
def test_what_a_restoration_does(
    file: Optional[tuple[int, int]], found: Optional[tuple[int, int]], ahead: int, action: Action
) -> None:
    ours = local(size=file[0], mtime_ns=file[1] * SECOND) if file else None
    theirs = remote(size=found[0], modified_ns=found[1] * SECOND + ahead) if found else None
    assert Restoration(SWITCHED).decide(Pair(b"k", ours, theirs), ahead) is action


def test_a_restored_file_is_known_by_its_time() -> None:
    for ahead in (0, 1200 * SECOND, -1200 * SECOND):
        written = 150 * SECOND + 7 + ahead
        for time in (written, written // SECOND * SECOND):  # some file systems keep the seconds only
            pair = Pair(b"k", local(mtime_ns=time), remote(modified_ns=written))
            assert Restoration(SWITCHED).decide(pair, ahead) is Action.SKIP


def test_a_restoration_by_checksum_compares_everything() -> None:
    pair = Pair(b"k", local(mtime_ns=40 * SECOND), remote(modified_ns=50 * SECOND))
    assert Restoration(SWITCHED, checksum=True).decide(pair, 0) is Action.COMPARE
