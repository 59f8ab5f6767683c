# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""gramps_media on real servers: what is stored under which key, what stops it, and what it tells."""

from __future__ import annotations

import json
import os
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.selfhosted.media.plugins.module_utils._gramps import database
from ansible_collections.selfhosted.media.tests.gramps_trees import Tree, md5
from ansible_collections.selfhosted.media.tests.run_module import run_module
from ansible_collections.selfhosted.media.tests.servers import Server


class Place:
    """A family tree, its media, and a bucket."""

    def __init__(self, folder: Path, server: Server, bucket: str) -> None:
        self.grampsdb, self.media = folder / "grampsdb", folder / "media"
        self.tree = Tree(self.grampsdb, self.media)
        self.server, self.bucket = server, bucket
        self.s3 = server.client()

    def run(self, check: bool = False, **options: Any) -> dict[str, Any]:
        given: dict[str, Any] = {
            **self.server.options,
            "grampsdb": str(self.grampsdb),
            "media_dir": str(self.media),
            "bucket": self.bucket,
        }
        return run_module("gramps_media", {**given, **options}, check=check)

    def objects(self) -> dict[str, tuple[int, str]]:
        """Size and content type of each object by its key."""
        found = {}
        for one in self.s3.list_objects_v2(Bucket=self.bucket).get("Contents", []):
            head = self.s3.head_object(Bucket=self.bucket, Key=one["Key"])
            found[one["Key"]] = (head["ContentLength"], head["ContentType"])
        return found


@pytest.fixture
def place(tmp_path: Path, any_server: Server, bucket_name: str) -> Iterator[Place]:
    place = Place(tmp_path, any_server, bucket_name)
    place.s3.create_bucket(Bucket=bucket_name)
    yield place


@pytest.fixture
def ceph_place(tmp_path: Path, ceph: Server, bucket_name: str) -> Place:
    place = Place(tmp_path, ceph, bucket_name)
    place.s3.create_bucket(Bucket=bucket_name)
    return place


def test_each_file_once_under_its_checksum_with_its_type(place: Place) -> None:
    tree = place.tree
    tree.add("a b/Größe.jpg", b"one")
    tree.add("copy.jpg", b"one")
    tree.add("scan.tif", b"two", mime="image/tiff")
    tree.add("no type", b"three", mime="")
    tree.add("odd.bin", b"four", mime="näh\n")
    tree.add("upper.png", b"five", checksum=md5(b"five").upper(), mime="image/png")
    tree.add("large.pdf", os.urandom(9 * 1024 * 1024), mime="application/pdf")
    (place.media / "not in the tree.jpg").write_bytes(b"six")
    planned = place.run(check=True)
    assert (planned["changed"], planned["uploaded"], planned["verified"], place.objects()) == (True, 6, 0, {})
    done = place.run()
    assert not done.get("failed"), done["msg"]
    counts = {name: done[name] for name in ("rows", "files", "shared", "uploaded", "verified", "unreferenced")}
    assert counts == {"rows": 7, "files": 6, "shared": 1, "uploaded": 6, "verified": 6, "unreferenced": 1}
    expected = {
        md5(b"one"): (3, "image/jpeg"),
        md5(b"two"): (3, "image/tiff"),
        md5(b"three"): (5, "application/octet-stream"),
        md5(b"four"): (4, "application/octet-stream"),
        md5(b"five").upper(): (4, "image/png"),
        md5((place.media / "large.pdf").read_bytes()): (9 * 1024 * 1024, "application/pdf"),
    }
    assert place.objects() == expected
    again = place.run()
    assert (again["changed"], again["uploaded"], again["unchanged"], again["verified"]) == (False, 0, 6, 6)
    assert len(json.dumps(done)) < 10_000
    assert place.run(state="verified")["verified"] == 6


def test_a_prefix_and_the_trees_id_come_before_the_checksum(ceph_place: Place) -> None:
    place = ceph_place
    other = Tree(place.grampsdb, place.media / "77", "77", "Other")
    other.add("x.jpg", b"other")
    (place.media / place.tree.id).mkdir()
    place.tree.media = place.media / place.tree.id
    place.tree.add("x.jpg", b"mine")
    done = place.run(tree="*", prefix="family/", media_prefix_tree=True)
    assert not done.get("failed"), done["msg"]
    assert set(place.objects()) == {f"family/{place.tree.id}/{md5(b'mine')}", f"family/77/{md5(b'other')}"}
    assert [one["prefix"] for one in done["trees"]] == [f"family/{place.tree.id}/", "family/77/"]


AWKWARD: dict[str, Any] = {
    "missing": lambda tree: tree.add("gone.jpg"),
    "mismatched": lambda tree: tree.add("edited.jpg", b"edited", checksum=md5(b"as it was")),
    "empty_checksum": lambda tree: tree.add("new.jpg", b"new", checksum=""),
}


@pytest.mark.parametrize("kind", AWKWARD)
def test_what_would_be_a_broken_picture_stops_it_before_anything_is_changed(ceph_place: Place, kind: str) -> None:
    ceph_place.tree.add("good.jpg", b"good")
    gramps_id = AWKWARD[kind](ceph_place.tree)
    for check in (True, False):
        result = ceph_place.run(check=check)
        assert result["failed"]
        assert re.search(f"would be broken pictures on S3.*nothing was changed.*{gramps_id} \\(", result["msg"])
        assert result[kind] == 1
        assert gramps_id in result["reasons"][kind][0]["name"]
    assert ceph_place.objects() == {}


def test_missing_files_may_be_allowed_and_may_be_in_the_bucket_already(ceph_place: Place) -> None:
    ceph_place.tree.add("good.jpg", b"good")
    ceph_place.tree.add("gone.jpg", checksum=md5(b"gone"))
    allowed = ceph_place.run(missing_allowed=True)
    assert (allowed["uploaded"], allowed["missing"], allowed.get("failed")) == (1, 1, None)
    ceph_place.s3.put_object(Bucket=ceph_place.bucket, Key=md5(b"gone"), Body=b"gone")
    found = ceph_place.run()
    assert (found["missing"], found["in_bucket"], found.get("failed")) == (0, 1, None)


def test_a_row_without_a_file_is_served_by_another_rows(ceph_place: Place) -> None:
    ceph_place.tree.add("here.jpg", b"same")
    ceph_place.tree.add("gone.jpg", checksum=md5(b"same"))
    done = ceph_place.run()
    assert (done["files"], done["missing"], done.get("failed")) == (1, 0, None)


@pytest.mark.parametrize(("choice", "stored"), [("skip", False), ("store_as_recorded", True)])
def test_what_becomes_of_a_file_that_is_not_the_recorded_one(ceph_place: Place, choice: str, stored: bool) -> None:
    gramps_id = AWKWARD["mismatched"](ceph_place.tree)
    done = ceph_place.run(on_mismatch=choice)
    assert not done.get("failed"), done["msg"]
    assert (md5(b"as it was") in ceph_place.objects()) is stored
    kind = "stored_as_recorded" if stored else "mismatched"
    assert (done[kind], done["reasons"][kind][0]["name"][:5]) == (1, gramps_id)
    assert not ceph_place.run(on_mismatch=choice)["changed"]


def test_the_right_file_wins_over_one_that_claims_its_checksum(ceph_place: Place) -> None:
    ceph_place.tree.add("wrong.jpg", b"wrong", checksum=md5(b"right"))
    ceph_place.tree.add("right.jpg", b"right")
    done = ceph_place.run(on_mismatch="store_as_recorded")
    assert "not the one that the database records" in done["msg"]  # the first would show another picture than before
    done = ceph_place.run(on_mismatch="skip")
    assert ceph_place.objects()[md5(b"right")][0] == len(b"right")


def test_paths_as_a_container_sees_them(ceph_place: Place) -> None:
    tree, media = ceph_place.tree, ceph_place.media
    tree.add("/app/media/a/in.jpg", b"in", at=media / "a/in.jpg")
    tree.add("/etc/hostname", b"", at=media / "unused")
    tree.add("../outside.jpg", b"out", at=media.parent / "outside.jpg")
    tree.add("a/../a/dots.jpg", b"dots", at=media / "a/dots.jpg")
    done = ceph_place.run(path_map={"/app/media": str(media)})
    assert not done.get("failed"), done["msg"]
    assert set(ceph_place.objects()) == {md5(b"in"), md5(b"dots")}
    assert done["outside_base"] == 2


def test_a_link_that_leads_out_of_the_folder_is_shown_as_before(ceph_place: Place, tmp_path: Path) -> None:
    (tmp_path / "elsewhere.jpg").write_bytes(b"elsewhere")
    ceph_place.tree.add("link.jpg", checksum=md5(b"elsewhere"))
    (ceph_place.media / "link.jpg").symlink_to(tmp_path / "elsewhere.jpg")
    assert ceph_place.run()["verified"] == 1
    assert set(ceph_place.objects()) == {md5(b"elsewhere")}


def test_a_link_out_of_the_folder_never_gives_away_what_the_database_does_not_know(
    ceph_place: Place, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_bytes(b"somebody else's")
    gramps_id = ceph_place.tree.add("link.jpg", checksum=md5(b"as it was"))
    (ceph_place.media / "link.jpg").symlink_to(tmp_path / "secret")
    refused = ceph_place.run(on_mismatch="store_as_recorded")
    assert "not the one that the database records" in refused["msg"] and gramps_id in refused["msg"]
    assert ceph_place.objects() == {}


@pytest.mark.parametrize("release", [5, 6])
def test_a_desktop_tree_by_its_name(
    tmp_path: Path, ceph: Server, bucket_name: str, monkeypatch: pytest.MonkeyPatch, release: int
) -> None:
    """As `gramps -O` takes it, from where Gramps keeps its trees, with the base that the tree itself records."""
    monkeypatch.setenv("HOME", str(tmp_path))
    grampsdb = tmp_path / (".local/share/gramps/grampsdb" if release == 6 else ".gramps/grampsdb")
    Tree(grampsdb, tmp_path / "other", "aa", "Other")
    tree = Tree(grampsdb, tmp_path / "Pictures/family", "bb", "My Family Tree", release)
    tree.add("x.jpg", b"x")
    tree.add(str(tmp_path / "Desktop/y.jpg"), b"y", at=tmp_path / "Desktop/y.jpg")
    s3 = ceph.client()
    s3.create_bucket(Bucket=bucket_name)
    options = {**ceph.options, "bucket": bucket_name}
    several = run_module("gramps_media", options)
    assert "several family trees: Other (aa), My Family Tree (bb); say by tree" in several["msg"]
    for path in (
        str(tmp_path / "Pictures/family"),
        "../../../../../Pictures/family" if release == 6 else "../../../Pictures/family",
    ):
        tree.set_media_path(path)
        done = run_module("gramps_media", {**options, "tree": "My Family Tree"})
        assert not done.get("failed"), done["msg"]
        assert done["verified"] == 2
    (tmp_path / ".config").mkdir()
    (tmp_path / ".config/user-dirs.dirs").write_text('XDG_PICTURES_DIR="$HOME/Pictures/family"\n')
    tree._do("DELETE FROM metadata")
    assert run_module("gramps_media", {**options, "tree": "bb"})["verified"] == 2


def test_what_was_damaged_in_the_bucket_is_found_and_mended(place: Place) -> None:
    place.tree.add("a.jpg", b"content")
    place.run()
    place.s3.put_object(Bucket=place.bucket, Key=md5(b"content"), Body=b"CONTENT")
    told = place.run(state="verified")
    assert "1 different" in told["msg"]
    assert place.run()["uploaded"] == 1
    assert place.run(state="verified")["verified"] == 1


def test_a_bucket_of_somebody_else_is_refused(ceph_place: Place) -> None:
    ceph_place.tree.add("a.jpg", b"a")
    for key in ("media_archives/5f3e1a2b/x.zip", md5(b"older"), f"77/{md5(b'b')}", "77/media_archives/77/x.zip"):
        ceph_place.s3.put_object(Bucket=ceph_place.bucket, Key=key, Body=b"")
    assert not ceph_place.run().get("failed")
    ceph_place.s3.put_object(Bucket=ceph_place.bucket, Key="images/covers/a.jpg", Body=b"")
    ceph_place.tree.add("b.jpg", b"b")
    refused = ceph_place.run()
    assert "not Gramps Web's alone: it holds images/covers/a.jpg" in refused["msg"]
    assert md5(b"b") not in ceph_place.objects()
    assert ceph_place.run(prefix="gramps")["uploaded"] == 2
    assert ceph_place.run(allow_shared=True)["uploaded"] == 1


def test_the_media_folder_has_to_be_there_and_mounted(ceph_place: Place, tmp_path: Path) -> None:
    ceph_place.tree.add("a.jpg")
    assert "is empty, and the database tells of media: is it mounted?" in ceph_place.run()["msg"]
    assert "does not exist" in ceph_place.run(media_dir=str(tmp_path / "none"))["msg"]


def test_bad_trees_have_their_own_sentences(ceph_place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place = ceph_place
    assert "holds no family tree Nobody; there is Müller (5f3e1a2b)" in place.run(tree="Nobody")["msg"]
    assert "grampsdb: /nowhere is not a folder" in place.run(grampsdb="/nowhere")["msg"]
    Tree(place.grampsdb, place.media, "99", "Müller")
    assert "2 family trees are called Müller: give the id of one: 5f3e1a2b, 99" in place.run(tree="Müller")["msg"]
    (place.grampsdb / "99/database.txt").write_text("postgresql\n")
    assert "kept in postgresql, not in SQLite; let its media be read through the Web API" in place.run(tree="99")["msg"]
    (place.grampsdb / "99/database.txt").write_text("sqlite\n")
    (place.grampsdb / "99/sqlite.db").write_bytes(b"no database at all, but text that is long enough" * 9)
    assert "cannot be read: file is not a database" in place.run(tree="99")["msg"]
    (place.grampsdb / "99/sqlite.db").unlink()
    assert "has no database" in place.run(tree="99")["msg"]
    monkeypatch.setattr(database, "LOCK_TIMEOUT", 0.2)
    with sqlite3.connect(place.grampsdb / place.tree.id / "sqlite.db") as holder:
        holder.execute("BEGIN EXCLUSIVE")
        assert "database is locked for 0 s; wait until" in place.run(tree=place.tree.id)["msg"]


def test_nothing_is_written_to_the_database(ceph_place: Place) -> None:
    ceph_place.tree.add("a.jpg", b"a")
    before = {path: path.read_bytes() for path in ceph_place.grampsdb.rglob("*") if path.is_file()}
    ceph_place.run()
    assert {path: path.read_bytes() for path in ceph_place.grampsdb.rglob("*") if path.is_file()} == before


def test_an_empty_tree_is_no_failure(ceph_place: Place) -> None:
    done = ceph_place.run()
    assert (done.get("failed"), done["rows"], done["changed"]) == (None, 0, False)


def test_a_file_written_after_it_was_compared_is_not_stored(ceph_place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    from ansible_collections.selfhosted.media.plugins.module_utils._gramps.media import StoredMedia

    ceph_place.tree.add("a.jpg", b"as recorded")
    upload = StoredMedia.upload

    def late(media: StoredMedia) -> None:
        (ceph_place.media / "a.jpg").write_bytes(b"another one")
        upload(media)

    monkeypatch.setattr(StoredMedia, "upload", late)
    assert "written since it was compared" in ceph_place.run()["msg"]
    assert ceph_place.objects() == {}
