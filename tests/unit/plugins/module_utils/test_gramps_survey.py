# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows whose path or checksum is none, or means something else than a file: each is counted, and none stops the others."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.selfhosted.media.plugins.module_utils._gramps.rows import FamilyTree, Row
from ansible_collections.selfhosted.media.plugins.module_utils._gramps.survey import Hashes, Place, Survey, survey
from ansible_collections.selfhosted.media.tests.grampsweb.trees import md5

CHECKSUM = md5(b"content")


def of(folder: Path, *rows: tuple[str, str], prefix: str = "", store: bool = False) -> Survey:
    """The survey of rows with these paths and checksums, and of one that is as it should be."""
    (folder / "good.jpg").write_bytes(b"good")
    made = [
        Row(f"h{n}", f"O{n}", path, "image/jpeg", checksum)
        for n, (path, checksum) in enumerate([*rows, ("good.jpg", md5(b"good"))])
    ]
    done = survey(FamilyTree("id", "name", made), Place(str(folder), prefix), Hashes(), store)
    assert f"{prefix}{md5(b'good')}".encode() in (done.manifest.listed_keys() or [])
    return done


def counts(done: Survey) -> dict[str, int]:
    kinds = ("files", "missing", "mismatched", "stored_as_recorded", "empty_checksum", "outside_base", "failed")
    return {kind: done.account[kind] for kind in kinds if done.account[kind]}


def test_a_path_that_is_no_file_is_a_missing_file(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "to nowhere").symlink_to("nothing")
    done = of(tmp_path, *((path, CHECKSUM) for path in ("folder", "pipe", "to nowhere", "good.jpg/below")))
    assert counts(done) == {"files": 1}
    assert len(done.absent) == 4 and done.empty_keys == {CHECKSUM.encode()}
    assert counts(of(tmp_path, ("folder", ""))) == {"files": 1, "missing": 1}


def test_the_media_folder_itself_is_no_media_object(tmp_path: Path) -> None:
    assert counts(of(tmp_path, ("", CHECKSUM), (".", CHECKSUM), ("..", CHECKSUM))) == {"files": 1, "outside_base": 3}


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    done = of(tmp_path, ("loop", CHECKSUM), ("nul\0.jpg", CHECKSUM), ("x" * 300, CHECKSUM))
    assert counts(done) == {"files": 1, "failed": 3}
    assert all("its file cannot be read: " in one["reason"] for one in done.account.remarks("failed"))


@pytest.mark.parametrize("checksum", ["x" * 1100, "a\0b"])
def test_a_checksum_that_cannot_be_a_key_is_no_checksum(tmp_path: Path, checksum: str) -> None:
    assert counts(of(tmp_path, ("good.jpg", checksum))) == {"files": 1, "mismatched": 1}


def test_two_different_files_cannot_both_be_stored_as_recorded(tmp_path: Path) -> None:
    for name, content in (("a", b"one"), ("b", b"two"), ("c", b"one")):
        (tmp_path / name).write_bytes(content)
    same = of(tmp_path, ("a", CHECKSUM), ("c", CHECKSUM), prefix="family/id/", store=True)
    assert counts(same) == {"files": 2, "stored_as_recorded": 2}
    assert f"family/id/{CHECKSUM}".encode() in (same.manifest.listed_keys() or [])
    other = of(tmp_path, ("a", CHECKSUM), ("b", CHECKSUM), store=True)
    assert counts(other) == {"files": 1, "mismatched": 2}


def test_a_file_is_hashed_again_only_when_it_was_written_since(tmp_path: Path) -> None:
    path, hashes = tmp_path / "a", Hashes()
    path.write_bytes(b"content")
    first = hashes.of(str(path))
    assert hashes.of(str(path)) is first
    os.utime(path, ns=(first.status.st_atime_ns, first.status.st_mtime_ns))  # the time of change tells
    assert hashes.of(str(path)) is not first
    path.write_bytes(b"CONTENT")
    assert hashes.of(str(path)).md5 == md5(b"CONTENT")
