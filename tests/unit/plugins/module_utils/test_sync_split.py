# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Splitting a tree into ranges loses nothing and repeats nothing, whatever the tree; ranges are gone through side by side."""

from __future__ import annotations

import os
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.selfhosted.media.plugins.module_utils._objects.connection import Answer, Headers
from ansible_collections.selfhosted.media.plugins.module_utils._objects.xml import Page, RemoteObject
from ansible_collections.selfhosted.media.plugins.module_utils._sync import split as module
from ansible_collections.selfhosted.media.plugins.module_utils._sync.keys import ALL_KEYS, Chooser, Range, Shard
from ansible_collections.selfhosted.media.plugins.module_utils._sync.listing import Listing
from ansible_collections.selfhosted.media.plugins.module_utils._sync.split import split
from ansible_collections.selfhosted.media.plugins.module_utils._sync.streams import objects, side_by_side
from ansible_collections.selfhosted.media.plugins.module_utils._sync.walk import Tree, walk
from hypothesis import given, settings
from hypothesis import strategies as st

NAMES = st.sampled_from([b"a", b"a-", b"a.", b"a0", b"ab", b"b", b"B", "é".encode(), b"\xff", b"n\nl", b"x y"])
PATHS = st.lists(st.lists(NAMES, min_size=1, max_size=4).map(tuple), max_size=25)


@pytest.fixture(autouse=True)
def small_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_KEYS", 2)


def make(root: bytes, paths: list[tuple[bytes, ...]]) -> None:
    for parts in paths:
        folder = os.path.join(root, *parts[:-1])
        try:
            os.makedirs(folder, exist_ok=True)
            with open(os.path.join(folder, parts[-1]), "xb"):
                pass
        except OSError:  # a folder of this name, a file on the way
            pass


def keys_in(tree: Tree, spans: list[Range], folders: Any = None) -> tuple[list[bytes], list[bytes]]:
    """The keys found in the ranges one after the other, and the names that were reported."""
    told: list[bytes] = []
    found = [item.key for span in spans for item in walk(tree, lambda name, *_words: told.append(name), span, folders)]
    return found, told


@settings(max_examples=200, deadline=None)
@given(
    paths=PATHS,
    keys=st.integers(1, 6),
    sample=st.integers(1, 5),
    most_names=st.sampled_from([0, 3, 200]),
    most_ranges=st.sampled_from([1, 3, 128]),
    shard=st.sampled_from([Shard(), Shard(1, 3)]),
    chooser=st.sampled_from([Chooser([], []), Chooser(["*a*"], []), Chooser([], ["a/*"])]),
)
def test_ranges_cut_the_walk_without_loss_or_repetition(
    paths: list[tuple[bytes, ...]],
    keys: int,
    sample: int,
    most_names: int,
    most_ranges: int,
    shard: Shard,
    chooser: Chooser,
) -> None:
    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        for constant, value in (("_KEYS", keys), ("_SAMPLE", sample), ("_MOST_NAMES", most_names)):
            patch.setattr(module, constant, value)
        patch.setattr(module, "_MOST_RANGES", most_ranges)
        make(os.fsencode(name), paths)
        tree = Tree(os.fsencode(name), b"p/", chooser, shard)
        parts = split(tree)
        assert len(parts.ranges) <= most_ranges
        assert [span.after for span in parts.ranges[1:]] == [span.upto for span in parts.ranges[:-1]]
        assert (parts.ranges[0].after, parts.ranges[-1].upto) == (None, None)
        whole, told = keys_in(tree, [ALL_KEYS])
        assert keys_in(tree, parts.ranges, parts.folders) == (whole, told)
        assert keys_in(tree, parts.ranges) == (whole, told)
        assert whole == sorted(whole)


@settings(max_examples=100, deadline=None)
@given(
    stored=st.sets(
        st.lists(NAMES.filter(lambda name: name != b"\xff"), min_size=1, max_size=3).map(b"/".join), max_size=12
    ),
    cuts=st.sets(st.lists(NAMES, min_size=1, max_size=3).map(b"/".join), max_size=4),
)
def test_ranges_cut_the_listing_without_loss_or_repetition(stored: set[bytes], cuts: set[bytes]) -> None:
    """Also where a cut is a file's name that is no text, as keys have to be."""
    bucket = FakeBucket([b"p/" + key for key in stored])
    edges = [None, *sorted(b"p/" + cut for cut in cuts), None]
    spans = [Range(after, upto) for after, upto in zip(edges, edges[1:])]
    tree = Tree(b"/", b"p/")
    listing = Listing(bucket, "p/")  # type: ignore[arg-type]
    found = [item.key for span in spans for item in objects(listing, tree, span)]
    assert found == sorted(b"p/" + key for key in stored)


class FakeBucket:
    """Lists as S3 does, in pages of two keys; the real client's XML has tests of its own."""

    bucket = "b"

    def __init__(self, keys: list[bytes]) -> None:
        self.keys = sorted(keys)

    def page(self, parameters: dict[str, str], _doing: str) -> Any:
        start = parameters.get("continuation-token", parameters.get("start-after", "")).encode()
        after = [key for key in self.keys if key > start and key.startswith(parameters["prefix"].encode())]
        page = [RemoteObject(key, 1, "e", 1) for key in after[:2]]
        more = len(after) > 2
        return Page(page, after[1].decode() if more else None, more), Answer(200, Headers(b"")), 0.0, 0.0


def test_the_ranges_are_of_about_the_same_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_KEYS", 100)
    for folder in range(20):
        (tmp_path / f"{folder:02}").mkdir()
        for number in range(50):
            (tmp_path / f"{folder:02}" / f"{number}.jpg").touch()
    tree = Tree(os.fsencode(tmp_path), b"p/")
    parts = split(tree)
    assert parts.estimate == 1000
    assert len(parts.ranges) == 10
    sizes = [len(keys_in(tree, [span])[0]) for span in parts.ranges]
    assert sum(sizes) == 1000
    assert all(90 <= size <= 110 for size in sizes)


def test_a_small_tree_is_one_range(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_KEYS", 1_500)
    make(os.fsencode(tmp_path), [(b"a",), (b"b", b"c")])
    parts = split(Tree(os.fsencode(tmp_path), b""))
    assert parts.ranges == [ALL_KEYS]
    assert parts.estimate == 2


class Counting:
    """An os.scandir that counts how often each folder is read, and refuses some."""

    def __init__(self, refused: bytes = b"") -> None:
        self.read: Counter[bytes] = Counter()
        self.refused, self.scandir = refused, os.scandir

    def __call__(self, path: bytes) -> Any:
        self.read[path.rstrip(b"/")] += 1
        if self.refused and path.rstrip(b"/").endswith(self.refused):
            raise PermissionError(13, "Permission denied")
        return self.scandir(path)


def test_folders_that_several_ranges_need_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(os.fsencode(tmp_path), [(b"z",), *((b"a", b"b", b"%d" % number) for number in range(40))])
    tree = Tree(os.fsencode(tmp_path), b"")
    counting = Counting()
    monkeypatch.setattr(os, "scandir", counting)
    parts = split(tree)
    assert len(parts.ranges) > 5
    found, _told = keys_in(tree, parts.ranges, parts.folders)
    assert len(found) == 41
    assert set(counting.read.values()) == {1}


def test_a_folder_that_cannot_be_read_is_reported_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(
        os.fsencode(tmp_path),
        [(folder, b"%d" % number) for folder in (b"a", b"m", b"z") for number in range(20)],
    )
    tree = Tree(os.fsencode(tmp_path), b"p/")
    readable = split(tree)
    assert any(b"p/m/" in (span.after or b"") for span in readable.ranges)
    monkeypatch.setattr(os, "scandir", Counting(b"/m"))
    unreadable = split(tree)
    # Whether it could be read when the ranges were made or not.
    for spans in (unreadable.ranges, readable.ranges):
        found, told = keys_in(tree, spans)
        assert told == [b"m"]
        assert len(found) == 40


@pytest.mark.timeout(20)
def test_links_in_circles(tmp_path: Path) -> None:
    make(os.fsencode(tmp_path), [(b"a", b"b", b"%d" % number) for number in range(9)])
    (tmp_path / "a" / "up").symlink_to("..")
    (tmp_path / "a" / "b" / "root").symlink_to(tmp_path)
    (tmp_path / "self").symlink_to("self")
    (tmp_path / "twin").symlink_to("a")
    tree = Tree(os.fsencode(tmp_path), b"")
    parts = split(tree)
    assert len(parts.ranges) > 2
    assert keys_in(tree, parts.ranges, parts.folders) == keys_in(tree, [ALL_KEYS])


def test_a_folder_that_vanishes_while_it_is_sampled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(os.fsencode(tmp_path), [(b"a", b"%d" % number) for number in range(9)])
    monkeypatch.setattr(os, "scandir", Counting(b"/a"))
    parts = split(Tree(os.fsencode(tmp_path), b""))
    assert (parts.estimate, parts.ranges) == (0, [ALL_KEYS])


# -- side by side --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.timeout(20)
def test_each_range_is_gone_through_once(threads: int) -> None:
    spans = [Range(b"%03d" % number, b"%03d" % (number + 1)) for number in range(100)]
    done: list[Range] = []
    side_by_side(iter(spans), done.append, threads)
    assert sorted(done) == spans


@pytest.mark.timeout(20)
def test_ranges_are_gone_through_at_the_same_time() -> None:
    together = threading.Barrier(4)
    side_by_side(iter([ALL_KEYS] * 4), lambda _span: (together.wait(10), None)[1], 4)


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.timeout(20)
def test_a_range_that_fails_ends_it(threads: int) -> None:
    def spans() -> Iterator[Range]:
        for number in range(1000):
            taken.append(number)
            yield ALL_KEYS

    def fail(_span: Range) -> None:
        raise KeyError("no")

    taken: list[int] = []
    before = threading.active_count()
    with pytest.raises(KeyError):
        side_by_side(spans(), fail, threads)
    assert len(taken) <= threads
    assert threading.active_count() == before


@pytest.mark.timeout(20)
def test_ranges_that_cannot_be_had_end_it() -> None:
    def spans() -> Iterator[Range]:
        yield ALL_KEYS
        raise KeyError("no")

    with pytest.raises(KeyError):
        side_by_side(spans(), lambda _span: None, 4)


@pytest.mark.timeout(20)
def test_threads_that_cannot_be_started_are_done_without(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    done: list[Range] = []
    side_by_side(iter([ALL_KEYS] * 9), done.append, 4)
    assert len(done) == 9
