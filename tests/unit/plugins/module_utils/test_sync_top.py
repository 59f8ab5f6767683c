# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""By what hosts tell whether they see the same tree."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._sync.top import top_of


def made(folder: Path, *names: str) -> Path:
    folder.mkdir()
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith("/"):
            path.mkdir()
        else:
            path.write_bytes(name.encode())
    return folder


def test_the_names_at_the_top_count_and_none_below_them(tmp_path: Path) -> None:
    one, other = made(tmp_path / "one", "covers/a.jpg", "b.txt"), made(tmp_path / "other", "b.txt", "covers/c.jpg")
    assert top_of(os.fsencode(one)) == top_of(os.fsencode(other))
    assert top_of(os.fsencode(one)).entries == 2


@pytest.mark.parametrize("names", [("covers/a.jpg",), ("covers/a.jpg", "c.txt"), ("covers", "b.txt")])
def test_another_tree(tmp_path: Path, names: tuple[str, ...]) -> None:
    one, other = made(tmp_path / "one", "covers/a.jpg", "b.txt"), made(tmp_path / "other", *names)
    assert top_of(os.fsencode(one)).digest != top_of(os.fsencode(other)).digest


def test_a_folder_on_which_nothing_is_mounted_is_another_tree(tmp_path: Path) -> None:
    one, other = made(tmp_path / "one", "covers/a.jpg", "b.txt"), made(tmp_path / "other", "covers/", "b.txt")
    assert top_of(os.fsencode(one)).entries == top_of(os.fsencode(other)).entries
    assert top_of(os.fsencode(one)).digest != top_of(os.fsencode(other)).digest


def test_what_a_download_is_writing_does_not_count(tmp_path: Path) -> None:
    folder = made(tmp_path / "one", "a", ".selfhosted-media-0123456789abcdef")
    assert top_of(os.fsencode(folder)).entries == 1


def test_names_that_are_not_utf_8(tmp_path: Path) -> None:
    folder = os.fsencode(made(tmp_path / "one"))
    with open(os.path.join(folder, b"\xff.jpg"), "wb"):
        pass
    assert top_of(folder).entries == 1


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"gone cannot be read on this host: No such file .* Nothing was changed\."):
        top_of(os.fsencode(tmp_path / "gone"))
