# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys: ranges, shards, prefixes, patterns, and which names may become keys or paths."""

from __future__ import annotations

import fnmatch
import json

import pytest
from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._sync.keys import (
    ALL_KEYS,
    Chooser,
    Range,
    Shard,
    clean_prefix,
    shown,
    why_not_a_key,
    why_not_a_path,
)
from hypothesis import given
from hypothesis import strategies as st

KEYS = st.text(alphabet="ab/-.é", max_size=6).map(str.encode)


@given(key=KEYS, after=KEYS | st.none(), upto=KEYS | st.none())
def test_no_folder_with_a_key_in_the_range_is_passed_over(key: bytes, after: bytes, upto: bytes) -> None:
    span = Range(after, upto)
    if span.holds(key):
        for end in range(len(key)):
            if key[end : end + 1] == b"/" and end + 1 < len(key):
                assert span.may_hold_below(key[: end + 1])


def test_ranges_exclude_their_start_and_include_their_end() -> None:
    span = Range(b"b", b"d")
    assert [key for key in (b"a", b"b", b"c", b"d", b"da") if span.holds(key)] == [b"c", b"d"]
    assert ALL_KEYS.holds(b"")


@given(key=st.binary(max_size=30), count=st.integers(1, 9))
def test_every_key_is_in_exactly_one_shard(key: bytes, count: int) -> None:
    assert sum(Shard(index, count).holds(key) for index in range(count)) == 1


def test_shards_stay_the_same_in_every_release() -> None:
    keys = [b"covers/%d.jpg" % number for number in range(8)]
    assert [Shard(0, 2).holds(key) for key in keys] == [True, False, True, False, True, True, True, True]


@pytest.mark.parametrize(
    ("given_prefix", "cleaned"), [("", ""), ("/", ""), ("images", "images/"), ("/images/", "images/"), ("a/b", "a/b/")]
)
def test_prefixes_end_in_one_slash(given_prefix: str, cleaned: str) -> None:
    assert clean_prefix(given_prefix) == cleaned


@pytest.mark.parametrize("prefix", ["a//b", "../x", "a/./b", ".."])
def test_prefixes_that_make_no_sense(prefix: str) -> None:
    with pytest.raises(MediaError, match="prefix"):
        clean_prefix(prefix)


@pytest.mark.parametrize(
    ("include", "exclude", "name", "chosen"),
    [
        ([], [], b"a", True),
        (["*/*"], [], b"top.tar", False),
        (["*/*"], [], b"covers/a.jpg", True),
        (["*/*"], [], b"covers/deep/a.jpg", True),
        (["covers/*"], [], b"covers-old/a.jpg", False),
        (["covers/*"], ["*.tmp"], b"covers/a.tmp", False),
        ([], ["exports/*"], b"exports/a/b", False),
        (["*.JPG"], [], b"a.jpg", False),
        (["[ab].jpg"], [], b"b.jpg", True),
        (["?.jpg"], [], "é.jpg".encode(), True),  # a character, not a byte
        (["[éè].jpg"], [], "è.jpg".encode(), True),
        (["a*b"], [], b"a\nb", True),
        (["*.jpg"], [], b"\xff.jpg", True),
        (["caf\udce9/*"], [], b"caf\xe9/a", True),
    ],
)
def test_patterns(include: list[str], exclude: list[str], name: bytes, chosen: bool) -> None:
    assert Chooser(include, exclude).chooses(name) is chosen


PATTERNS = st.lists(st.text(alphabet="ab/*?[]!-", min_size=1, max_size=5), max_size=2)


@given(include=PATTERNS, exclude=PATTERNS, name=st.text(alphabet="ab/-", min_size=1, max_size=6))
def test_no_folder_with_a_chosen_name_is_passed_over(include: list[str], exclude: list[str], name: str) -> None:
    chooser = Chooser(include, exclude)
    wanted = (not include or any(fnmatch.fnmatchcase(name, pattern) for pattern in include)) and not any(
        fnmatch.fnmatchcase(name, pattern) for pattern in exclude
    )
    assert chooser.chooses(name.encode()) is wanted
    if wanted:
        for end in range(len(name) - 1):
            if name[end] == "/":
                assert chooser.may_choose_below(name[: end + 1].encode())


def test_folders_where_nothing_can_be_chosen() -> None:
    chooser = Chooser(["covers/*.jpg", "av?tars/*"], ["covers/old/*"])
    folders = [b"covers/", b"covers/x/", b"covers/old/", b"covers/old/x/", b"avatars/", b"exports/", b"co/"]
    assert [folder for folder in folders if chooser.may_choose_below(folder)] == [b"covers/", b"covers/x/", b"avatars/"]


@given(name=st.binary(max_size=40))
def test_any_name_can_be_shown_and_written_as_json(name: bytes) -> None:
    text = shown(name)
    assert text.isprintable()
    assert json.loads(json.dumps(text).encode("utf-8")) == text


def test_shown_names() -> None:
    assert shown("é \u65e5.jpg".encode()) == "é \u65e5.jpg"
    assert shown(b"a\xffb\nc") == "a\\xffb\\nc"


def test_names_that_cannot_be_keys() -> None:
    assert why_not_a_key(b"k" * 1024) is None
    assert "1025 bytes" in str(why_not_a_key(b"k" * 1025))
    assert "UTF-8" in str(why_not_a_key(b"\xff"))


@pytest.mark.parametrize(
    "relative",
    [
        b"",
        b"/",
        b"/etc/passwd",
        b"../x",
        b"a/../x",
        b"a/..",
        b"..",
        b".",
        b"a/./b",
        b"a//b",
        b"a/",
        b"a\0b",
        b"n" * 256,
    ],
)
def test_keys_that_cannot_be_paths(relative: bytes) -> None:
    assert why_not_a_path(relative)


@pytest.mark.parametrize("relative", [b"a", b".a", b"...", b"a/..b", b"a\\..\\b", b"c:/x", b"~", b"-rf", b"n" * 255])
def test_keys_that_can_be_paths(relative: bytes) -> None:
    assert why_not_a_path(relative) is None
