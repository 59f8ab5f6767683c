# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The walk's order is the order of S3's keys, and ranges and shards cut the keys without loss."""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Optional

import pytest
from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._sync.keys import ALL_KEYS, Chooser, Range, Shard
from ansible_collections.selfhosted.media.plugins.module_utils._sync.walk import Tree, latest_ns, walk
from hypothesis import given, settings
from hypothesis import strategies as st

# Names that sort differently as paths, as text and as bytes: around the slash (0x2f), and beyond the BMP.
NAMES = st.sampled_from(
    ["a", "a-", "a.", "a0", "A", "ab", "a b", "a+b", "%41", "'\"", "é", "e\u0301", "\uff5e", "\U0001f600", "n\nl", ".x"]
).map(str.encode) | st.binary(min_size=1, max_size=3).filter(
    lambda name: b"/" not in name and b"\0" not in name and name not in (b".", b"..")
)
PATHS = st.lists(st.lists(NAMES, min_size=1, max_size=3).map(tuple), max_size=12)


class Told(NamedTuple):
    name: bytes
    reason: str
    incomplete: bool


def make(root: bytes, paths: list[tuple[bytes, ...]]) -> set[bytes]:
    """Make the files that can be made beside each other; their names below the root."""
    made: set[bytes] = set()
    for parts in paths:
        folder = os.path.join(root, *parts[:-1])
        try:
            os.makedirs(folder, exist_ok=True)
            with open(os.path.join(folder, parts[-1]), "xb"):
                made.add(b"/".join(parts))
        except OSError:  # a folder of this name, a file on the way
            pass
    return made


def keys_of(tree: Tree, span: Range = ALL_KEYS, told: Optional[list[Told]] = None) -> list[bytes]:
    seen: list[Told] = [] if told is None else told
    return [found.key for found in walk(tree, lambda *words: seen.append(Told(*words)), span)]


def is_text(name: bytes) -> bool:
    try:
        name.decode()
    except UnicodeDecodeError:
        return False
    return True


@settings(max_examples=150, deadline=None)
@given(paths=PATHS, cuts=st.lists(st.lists(NAMES, min_size=1, max_size=3).map(b"/".join), max_size=4))
def test_order_ranges_and_shards(paths: list[tuple[bytes, ...]], cuts: list[bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = os.fsencode(folder)
        made = make(root, paths)
        tree = Tree(root, b"p/")
        told: list[Told] = []
        keys = keys_of(tree, told=told)
        expected = sorted(b"p/" + name for name in made if is_text(name))
        assert keys == expected
        assert {item.name for item in told} == {name for name in made if not is_text(name)}
        assert all(item.incomplete for item in told)
        bounds = [None, *sorted(b"p/" + cut for cut in cuts), None]
        ranges = [Range(*pair) for pair in zip(bounds, bounds[1:])]
        assert [key for span in ranges for key in keys_of(tree, span)] == expected
        parts = [keys_of(Tree(root, b"p/", shard=Shard(index, 3))) for index in range(3)]
        assert sorted(key for part in parts for key in part) == expected


def test_a_folder_sorts_with_its_slash(tmp_path: Path) -> None:
    make(os.fsencode(tmp_path), [(b"a", b"x"), (b"a-",), (b"a.",), (b"a0",), (b"a-b", b"y")])
    assert keys_of(Tree(os.fsencode(tmp_path), b"")) == [b"a-", b"a-b/y", b"a.", b"a/x", b"a0"]


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    (tmp_path / "media" / "covers").mkdir(parents=True)
    (tmp_path / "media" / "covers" / "a.jpg").write_bytes(b"a")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_bytes(b"s")
    return Tree(os.fsencode(tmp_path / "media"), b"")


def told_by(tree: Tree) -> tuple[list[bytes], list[Told]]:
    told: list[Told] = []
    return keys_of(tree, told=told), told


@pytest.mark.parametrize(
    ("link", "target", "keys", "reason", "incomplete"),
    [
        ("link.jpg", "covers/a.jpg", [b"covers/a.jpg", b"link.jpg"], None, False),
        ("z", "covers", [b"covers/a.jpg", b"z/a.jpg"], None, False),
        ("z", "../outside", [b"covers/a.jpg"], "leads out of the folder", True),
        ("z", "../outside/secret", [b"covers/a.jpg"], "leads out of the folder", True),
        ("z", "../media-not", [b"covers/a.jpg"], "leads nowhere", False),
        ("z", "z", [b"covers/a.jpg"], "symbolic links", False),
        ("z", ".", [b"covers/a.jpg"], "back to a folder above", False),
        ("covers/z", "..", [b"covers/a.jpg"], "back to a folder above", False),
    ],
)
def test_links(tree: Tree, link: str, target: str, keys: list[bytes], reason: Optional[str], incomplete: bool) -> None:
    os.symlink(target, os.path.join(os.fsdecode(tree.root), link))
    found, told = told_by(tree)
    assert found == keys
    if reason is None:
        assert told == []
    else:
        assert len(told) == 1
        assert told[0].name == link.encode()
        assert reason in told[0].reason
        assert told[0].incomplete is incomplete


def test_a_neighbour_with_the_same_beginning_is_outside(tree: Tree) -> None:
    os.mkdir(tree.root + b"-old")
    os.symlink(tree.root + b"-old", os.path.join(tree.root, b"z"))
    assert "leads out" in told_by(tree)[1][0].reason


def test_sockets_and_pipes_are_left_out(tree: Tree) -> None:
    os.mkfifo(os.path.join(tree.root, b"pipe"))
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(os.path.join(tree.root, b"socket"))
    found, told = told_by(tree)
    assert found == [b"covers/a.jpg"]
    assert [(item.name, item.incomplete) for item in told] == [(b"pipe", False), (b"socket", False)]


def test_keys_too_long(tree: Tree) -> None:
    names = [b"n" * 200] * 5
    make(tree.root, [(*names, b"x" * 19), (*names, b"y" * 20), (*names, b"z" * 30, b"z")])
    found, told = told_by(tree)
    assert found == [b"covers/a.jpg", b"/".join([*names, b"x" * 19])]
    assert [(item.name[1005:1006], item.incomplete) for item in told] == [(b"y", True), (b"z", True)]


def test_a_tree_deeper_than_python_recurses(tree: Tree) -> None:
    here = os.open(tree.root, os.O_RDONLY)
    try:
        for _number in range(1100):
            os.mkdir("d", dir_fd=here)
            deeper = os.open("d", os.O_RDONLY, dir_fd=here)
            os.close(here)
            here = deeper
    finally:
        os.close(here)
    found, told = told_by(tree)
    assert found == [b"covers/a.jpg"]
    assert len(told) == 1
    assert told[0].incomplete
    subprocess.run(["rm", "-r", os.path.join(tree.root, b"d")], check=True)  # shutil.rmtree recurses, too


class Failing:
    """An os.scandir that fails for folders of one name."""

    def __init__(self, name: bytes, error: OSError) -> None:
        self.name, self.error, self.scandir = name, error, os.scandir

    def __call__(self, path: bytes) -> object:
        if os.path.basename(path.rstrip(b"/")) == self.name:
            raise self.error
        return self.scandir(path)


@pytest.mark.parametrize(
    ("name", "error", "told_of"),
    [
        (b"covers", PermissionError(13, "Permission denied"), b"covers"),
        (b"covers", FileNotFoundError(2, "No such file"), None),  # removed meanwhile: nothing to be told
        (b"media", FileNotFoundError(2, "No such file"), b"."),  # the whole tree is gone: never an empty one
        (b"media", OSError(5, "Input/output error"), b"."),
    ],
)
def test_folders_that_cannot_be_read(
    tree: Tree, monkeypatch: pytest.MonkeyPatch, name: bytes, error: OSError, told_of: Optional[bytes]
) -> None:
    monkeypatch.setattr(os, "scandir", Failing(name, error))
    found, told = told_by(tree)
    assert found == []
    assert [(item.name, item.incomplete) for item in told] == ([(told_of, True)] if told_of else [])


def test_folders_where_nothing_is_chosen_need_not_be_readable(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkdir(os.path.join(tree.root, b"lost+found"))
    monkeypatch.setattr(os, "scandir", Failing(b"lost+found", PermissionError(13, "Permission denied")))
    assert told_by(tree)[1][0].name == b"lost+found"
    tree.chooser = Chooser([], ["lost+found/*"])
    assert told_by(tree) == ([b"covers/a.jpg"], [])
    tree.chooser = Chooser(["covers/*"], [])
    assert told_by(tree) == ([b"covers/a.jpg"], [])


def test_our_temporary_files_never_take_part(tree: Tree) -> None:
    ours, similar = b".selfhosted-media-0123456789abcdef", b".selfhosted-media-notes"
    make(tree.root, [(ours,), (b"covers", ours), (similar,)])
    met: list[bytes] = []
    tree.on_temporary = met.append
    assert told_by(tree) == ([similar, b"covers/a.jpg"], [])
    assert met == [os.path.join(tree.root, ours), os.path.join(tree.root, b"covers", ours)]


@pytest.mark.parametrize(
    ("root", "reason"), [(b"", "empty"), (b"/none/such", "does not exist"), (b"/etc/passwd", "not a folder")]
)
def test_roots_that_are_no_folder(root: bytes, reason: str) -> None:
    with pytest.raises(MediaError, match=reason):
        Tree(root, b"").check()
    if reason == "does not exist":
        with pytest.raises(MediaError, match="cannot be read"):
            keys_of(Tree(root, b""))


def _replaced_by_a_pipe(path: bytes) -> None:
    os.mkfifo(path)


def _replaced_by_a_folder(path: bytes) -> None:
    os.mkdir(path)


def _replaced_by_a_link(path: bytes) -> None:
    os.symlink("../../outside/secret", path)


@pytest.fixture(params=[True, False], ids=["proc", "no-proc"])
def with_or_without_proc(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def refuse(_path: bytes) -> bytes:
        raise FileNotFoundError

    if not request.param:
        readlink = os.readlink
        monkeypatch.setattr(
            os, "readlink", lambda path: refuse(path) if os.fsencode(path).startswith(b"/proc") else readlink(path)
        )
    yield


@pytest.mark.parametrize("replace", [_replaced_by_a_pipe, _replaced_by_a_folder, _replaced_by_a_link])
@pytest.mark.usefixtures("with_or_without_proc")
def test_opening_what_has_been_replaced(tree: Tree, replace: object) -> None:
    assert callable(replace)
    with tree.open(b"covers/a.jpg") as stream:
        assert stream.read() == b"a"
    path = os.path.join(tree.root, b"covers/a.jpg")
    os.unlink(path)
    replace(path)
    with pytest.raises(OSError, match="taken"):
        tree.open(b"covers/a.jpg")


@pytest.mark.usefixtures("with_or_without_proc")
def test_opening_through_a_link_inside(tree: Tree) -> None:
    os.symlink("covers", os.path.join(tree.root, b"z"))
    with tree.open(b"z/a.jpg") as stream:
        assert stream.read() == b"a"


def test_a_time_in_whole_seconds_may_be_up_to_a_second_later() -> None:
    assert latest_ns(5_000_000_001) == 5_000_000_001
    assert latest_ns(5_000_000_000) == 5_999_999_999
