# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was transferred, by folder and by type: right, and small whatever the names are."""

from __future__ import annotations

import json
import pickle

import pytest
from ansible_collections.selfhosted.media.plugins.module_utils._sync.account import Account
from ansible_collections.selfhosted.media.plugins.module_utils._sync.breakdown import Breakdown
from ansible_collections.selfhosted.media.plugins.module_utils._sync.keys import extension_of
from ansible_collections.selfhosted.media.plugins.module_utils._sync.transfer import requests_for
from ansible_collections.selfhosted.media.plugins.module_utils._sync.walk import Tree

MIB = 1024 * 1024


@pytest.mark.parametrize(
    ("name", "extension"),
    [
        (b"covers/a.JPG", b"jpg"),
        (b"a.tar.gz", b"gz"),
        (b".gitkeep", b"(none)"),
        (b"folder.d/name", b"(none)"),
        (b"ends.with.", b"(none)"),
        (b"a/.hidden.png", b"png"),
        (b"x.\xff", b"\xff"),
    ],
)
def test_the_type_of_a_name(name: bytes, extension: bytes) -> None:
    assert extension_of(name) == extension


def test_the_folder_is_the_first_one_below_the_root() -> None:
    tree = Tree(b"/srv/images", b"images/")
    assert tree.folder_of(b"images/thumbnails/covers/a.webp") == b"thumbnails"
    assert tree.folder_of(b"images/a.webp") == b"."


def test_those_with_most_bytes_come_first_and_the_rest_is_one() -> None:
    sums = Breakdown()
    for number in range(50):
        sums.add(b"folder %d" % number, number)
    told = sums.told()
    assert len(told) == 20
    assert list(told)[:2] == ["folder 49", "folder 48"] and list(told)[-1] == "other"
    assert told["other"] == {"files": 31, "bytes": sum(range(31))}
    assert sum(one["files"] for one in told.values()) == 50


def test_twenty_names_are_told_as_they_are() -> None:
    sums = Breakdown()
    for number in range(20):
        sums.add(b"%d" % number, 1)
    assert len(sums.told()) == 20 and "other" not in sums.told()


def test_it_is_small_however_many_names_there_are() -> None:
    sums = Breakdown()
    for number in range(5_000):
        sums.add(b"\xff%d" % number + b"x" * 200, 1)
    assert len(pickle.dumps(sums)) < 100_000
    assert len(json.dumps(sums.told())) < 4_000
    assert sum(one["files"] for one in sums.told().values()) == 5_000


def test_accounts_of_worker_processes_are_summed_up() -> None:
    whole, part = Account(), Account()
    whole.transferred("uploaded", 3, b"covers", b"jpg")
    part.transferred("uploaded", 4, b"covers", b"webp")
    part.take_time(1, 0.5)
    whole.add(pickle.loads(pickle.dumps(part)))
    assert (whole["uploaded"], whole.bytes, whole.seconds, whole.timed) == (2, 7, 0.5, 1)
    assert whole.folders.told() == {"covers": {"files": 2, "bytes": 7}}
    assert whole.types.told() == {"webp": {"files": 1, "bytes": 4}, "jpg": {"files": 1, "bytes": 3}}


@pytest.mark.parametrize(
    ("size", "requests"), [(0, 1), (8 * MIB, 1), (8 * MIB + 1, 2 + 2), (80 * MIB, 2 + 10), (160 * MIB, 2 + 10)]
)
def test_the_requests_of_an_upload(size: int, requests: int) -> None:
    assert requests_for(size, max_parts=10) == requests
