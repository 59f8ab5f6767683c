# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cleanup against a made-up service: which proofs count, and what is renamed, linked or written at the worst moment."""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
import time
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Any, Callable, Optional

import pytest
from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._sync.cleanup import Cleanup
from ansible_collections.selfhosted.media.plugins.module_utils._sync.hashing import MD5_METADATA
from ansible_collections.selfhosted.media.plugins.module_utils._sync.keys import Chooser
from ansible_collections.selfhosted.media.plugins.module_utils._sync.walk import Tree
from ansible_collections.selfhosted.media.tests.stub import Asked, Reply, Stub

LONG_AGO = 1_600_000_000
KEPT = ("linked", "missing", "different", "newer", "unverifiable", "vanished", "ignored", "failed")


def md5(data: bytes) -> str:
    return hashlib.md5(data).hexdigest()


def etag_of_parts(*parts: bytes) -> str:
    digests = b"".join(hashlib.md5(part).digest() for part in parts)
    return f"{md5(digests)}-{len(parts)}"


class Bucket(Stub):
    """Objects, with what the answers about them say besides, and something that happens when one is asked for."""

    def __init__(self) -> None:
        super().__init__(self._answer)
        self.objects: dict[str, bytes] = {}
        self.headers: dict[str, Optional[str]] = {}
        self.meanwhile: Callable[[Asked], Any] = lambda _asked: None
        self.status = 200
        self.written = formatdate(usegmt=True)

    def tell_time(self, ahead: float) -> None:
        """Let the service's clock be ahead of this machine's."""
        handler: Any = self._server.RequestHandlerClass
        handler.date_time_string = lambda _self, _when=None: formatdate(time.time() + ahead, usegmt=True)

    def _answer(self, asked: Asked) -> Reply:
        self.meanwhile(asked)
        content = self.objects.get(asked.path.removeprefix("/b/"))
        if self.status != 200 or content is None:
            return Reply(self.status if self.status != 200 else 404)
        standard = {"ETag": f'"{md5(content)}"', "Last-Modified": self.written}
        given = {**standard, **self.headers}
        headers = {name: value for name, value in given.items() if value is not None}
        if asked.method == "HEAD":
            return Reply(200, b"", {**headers, "Content-Length": str(len(content))})
        return Reply(200, content, headers)


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    monkeypatch.setattr(time, "sleep", lambda _seconds: None)
    with Bucket() as running:
        yield running


@pytest.fixture
def media(tmp_path: Path, bucket: Bucket) -> Path:
    """A folder whose files are all in the bucket."""
    folder = tmp_path / "media"
    for name in (
        "covers/a.jpg",
        "covers/b.jpg",
        "thumbnails/covers/a/x.webp",
        "thumbnails/covers/a/y.webp",
        "private.zip",
    ):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode() * 100)
        os.utime(path, (LONG_AGO, LONG_AGO))
        bucket.objects[f"p/{name}"] = path.read_bytes()
    return folder


def clean(bucket: Bucket, folder: Path, include: str = "*/*", **options: Any) -> Cleanup:
    tree = Tree(os.fsencode(folder), b"p/", Chooser([include], []))
    cleanup = Cleanup(bucket.access, tree, **options)
    cleanup.carry_out()
    return cleanup


def kept(cleanup: Cleanup) -> dict[str, int]:
    return {kind: cleanup.account[kind] for kind in KEPT if cleanup.account[kind]}


def names(folder: Path) -> set[str]:
    """Everything below a folder, folders with a slash at the end."""
    return {str(path.relative_to(folder)) + "/" * path.is_dir() for path in folder.rglob("*")}


def test_what_is_proven_goes_with_the_folders_that_it_leaves_empty(bucket: Bucket, media: Path) -> None:
    (media / "thumbnails" / "empty").mkdir()
    cleanup = clean(bucket, media)
    assert names(media) == {"private.zip", "covers/", "thumbnails/", "thumbnails/empty/"}
    assert (cleanup.account["removed"], cleanup.removed_folders, kept(cleanup)) == (4, 2, {})
    assert cleanup.account.bytes == sum(len(name) * 100 for name in (12 * "c", 12 * "c", 26 * "t", 26 * "t"))
    assert {name: (one.files, one.bytes) for name, one in cleanup.freed.items()} == {
        "covers": (2, 2400),
        "thumbnails": (2, 5200),
    }
    assert cleanup.account.requests == 4
    assert clean(bucket, media).account["removed"] == 0


def test_a_trial_run_proves_the_same_and_removes_nothing(bucket: Bucket, media: Path) -> None:
    before = names(media)
    bucket.objects["p/covers/b.jpg"] = b"other"
    cleanup = clean(bucket, media, dry=True)
    assert (cleanup.account["removed"], kept(cleanup)) == (3, {"different": 1})
    assert cleanup.removed_folders == 0
    assert names(media) == before


@pytest.mark.parametrize(
    ("headers", "kind", "reason"),
    [
        ({"ETag": '"' + md5(b"other") + '"'}, "different", "same size, other content"),
        ({"x-amz-expiration": 'expiry-date="Fri, 21 Dec 2012"'}, "unverifiable", "lifecycle"),
        ({"x-amz-storage-class": "DEEP_ARCHIVE"}, "unverifiable", "archived"),
        ({"x-amz-archive-status": "ARCHIVE_ACCESS"}, "unverifiable", "archived"),
        ({"Last-Modified": None}, "unverifiable", "does not say when"),
        ({"Last-Modified": "yesterday"}, "unverifiable", "does not say when"),
        ({"Last-Modified": formatdate(LONG_AGO - 1, usegmt=True)}, "newer", "written after the object"),
    ],
)
def test_what_the_service_says_keeps_a_file(
    bucket: Bucket, media: Path, headers: dict[str, Optional[str]], kind: str, reason: str
) -> None:
    before = names(media)
    bucket.headers = headers
    cleanup = clean(bucket, media)
    assert (cleanup.account["removed"], kept(cleanup)) == (0, {kind: 4})
    assert all(reason in one["reason"] for one in cleanup.account.remarks(kind))
    assert names(media) == before


def test_an_object_of_the_same_second_is_not_older(bucket: Bucket, media: Path) -> None:
    os.utime(media / "covers" / "a.jpg", (LONG_AGO + 0.9, LONG_AGO + 0.9))
    bucket.headers = {"Last-Modified": formatdate(LONG_AGO, usegmt=True)}
    assert kept(clean(bucket, media)) == {}


def test_times_are_compared_by_the_services_clock(bucket: Bucket, media: Path) -> None:
    hour = 3600
    path = media / "covers" / "a.jpg"
    os.utime(path, (LONG_AGO + hour / 2,) * 2)
    # written half an hour before the object by this machine's clock, and half an hour after it by the service's
    bucket.headers = {"Last-Modified": formatdate(LONG_AGO + hour, usegmt=True)}
    assert clean(bucket, media, "covers/a.jpg", dry=True).account["removed"] == 1
    bucket.tell_time(ahead=hour)
    assert kept(clean(bucket, media, "covers/a.jpg", dry=True)) == {"newer": 1}


@pytest.mark.parametrize("etag", ["", '"not-a-checksum"', '"' + 32 * "0" + '-7"'])
def test_without_a_checksum_the_object_is_read_and_compared(bucket: Bucket, media: Path, etag: str) -> None:
    bucket.headers = {"ETag": etag}
    content = bucket.objects["p/covers/b.jpg"]
    bucket.objects["p/covers/b.jpg"] = content[:-1] + b"!"
    # what an uploader claims proves nothing
    bucket.headers[f"x-amz-meta-{MD5_METADATA}"] = md5(content)
    cleanup = clean(bucket, media)
    assert (cleanup.account["removed"], kept(cleanup)) == (3, {"different": 1})
    assert names(media) >= {"covers/b.jpg"}
    assert len([one for one in bucket.asked if one.method == "GET"]) == 4


@pytest.mark.parametrize("encryption", ["aws:kms", "aws:kms:dsse"])
def test_an_encrypted_objects_etag_is_not_taken_for_a_checksum(bucket: Bucket, media: Path, encryption: str) -> None:
    bucket.headers = {"ETag": '"' + md5(b"encrypted") + '"', "x-amz-server-side-encryption": encryption}
    assert clean(bucket, media).account["removed"] == 4


def test_an_etag_of_parts_proves_without_reading_the_object(bucket: Bucket, media: Path) -> None:
    content = os.urandom(6 * 1024 * 1024)
    (media / "covers" / "a.jpg").write_bytes(content)
    os.utime(media / "covers" / "a.jpg", (LONG_AGO, LONG_AGO))
    bucket.objects["p/covers/a.jpg"] = content
    bucket.headers = {"ETag": f'"{etag_of_parts(content[: 5 << 20], content[5 << 20 :])}"'}
    assert clean(bucket, media, "covers/a.jpg").account["removed"] == 1
    assert {one.method for one in bucket.asked} == {"HEAD"}


def test_an_object_that_is_written_anew_while_it_is_read_proves_nothing(bucket: Bucket, media: Path) -> None:
    bucket.headers = {"ETag": '"x"'}

    def rewrite(asked: Asked) -> None:
        if asked.method == "GET":
            bucket.headers["Last-Modified"] = formatdate(time.time() + 60, usegmt=True)

    bucket.meanwhile = rewrite
    cleanup = clean(bucket, media, "covers/a.jpg")
    assert (cleanup.account["removed"], kept(cleanup)) == (0, {"different": 1})


def test_what_the_caller_keeps_is_not_even_asked_for(bucket: Bucket, media: Path) -> None:
    cleanup = clean(bucket, media, why_kept=lambda name: "wanted" if name.startswith(b"covers/") else "")
    assert (cleanup.account["removed"], kept(cleanup)) == (2, {"linked": 2})
    assert names(media) == {"private.zip", "covers/", "covers/a.jpg", "covers/b.jpg", "thumbnails/"}
    assert not [one for one in bucket.asked if "/covers/a.jpg" in one.path and "thumbnails" not in one.path]


def test_files_may_be_proven_by_objects_of_other_keys(bucket: Bucket, media: Path) -> None:
    bucket.objects = {f"sums/{md5(content)}": content for content in bucket.objects.values()}
    del bucket.objects[f"sums/{md5((media / 'covers/a.jpg').read_bytes())}"]
    cleanup = clean(bucket, media, key_of=lambda _file, checksum: b"sums/" + checksum.encode())
    assert (cleanup.account["removed"], kept(cleanup)) == (3, {"missing": 1})
    assert names(media) >= {"covers/a.jpg"}


@pytest.mark.parametrize(("status", "kind"), [(403, "failed"), (404, "missing"), (400, "failed")])
def test_a_refusal_is_never_a_proof(bucket: Bucket, media: Path, status: int, kind: str) -> None:
    before = names(media)
    bucket.status = status
    cleanup = clean(bucket, media)
    assert (cleanup.account["removed"], kept(cleanup)) == (0, {kind: 4})
    assert names(media) == before


def test_a_service_that_is_gone_ends_the_run(bucket: Bucket, media: Path) -> None:
    before = names(media)
    address = bucket.access
    bucket._server.shutdown()
    bucket._server.server_close()
    cleanup = Cleanup(address, Tree(os.fsencode(media), b"p/", Chooser(["*/*"], [])))
    with pytest.raises(MediaError, match="no answer from the endpoint"):
        cleanup.carry_out()
    bucket.__enter__()  # for the fixture to stop
    assert names(media) == before
    assert cleanup.account["removed"] == 0


def test_a_missing_folder_is_not_an_empty_one(bucket: Bucket, tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="does not exist"):
        clean(bucket, tmp_path / "nowhere")


# -- at the worst moment: while the service is asked -----------------------------------------------------------------------


def at_first_head(bucket: Bucket, action: Callable[[], Any]) -> None:
    lock, left = threading.Lock(), [action]

    def act(_asked: Asked) -> None:
        with lock:
            if left:
                left.pop()()

    bucket.meanwhile = act


def renamed_over(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(path.read_bytes())
    status = path.stat()
    os.utime(other, ns=(status.st_mtime_ns, status.st_mtime_ns))
    other.rename(path)


def touched(path: Path) -> None:
    os.utime(path)


def written_with_its_time_put_back(path: Path) -> None:
    status = path.stat()
    path.write_bytes(path.read_bytes()[::-1])
    os.utime(path, ns=(status.st_mtime_ns, status.st_mtime_ns))


def appended_to(path: Path) -> None:
    with path.open("ab") as stream:
        stream.write(b"more")


@pytest.mark.parametrize("change", [renamed_over, touched, written_with_its_time_put_back, appended_to])
def test_a_file_that_changes_meanwhile_stays(bucket: Bucket, media: Path, change: Callable[[Path], None]) -> None:
    path = media / "covers" / "a.jpg"
    at_first_head(bucket, lambda: change(path))
    cleanup = clean(bucket, media, "covers/a.jpg")
    assert cleanup.account["removed"] == 0
    assert set(kept(cleanup)) <= {"newer", "different"}
    assert path.exists()


def test_a_file_that_vanishes_meanwhile_is_told(bucket: Bucket, media: Path) -> None:
    at_first_head(bucket, (media / "covers" / "a.jpg").unlink)
    assert kept(clean(bucket, media, "covers/a.jpg")) == {"vanished": 1}


def test_a_folder_that_is_swapped_for_another_loses_nothing(bucket: Bucket, media: Path, tmp_path: Path) -> None:
    """Neither the files of the new folder of this name, nor those of the old one, which has another name now."""
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "covers").mkdir(parents=True)
    (elsewhere / "covers" / "a.jpg").write_bytes(b"of another application")

    def swap() -> None:
        (media / "covers").rename(media / "old covers")
        (elsewhere / "covers").rename(media / "covers")

    at_first_head(bucket, swap)
    cleanup = clean(bucket, media, "covers/a.jpg")
    assert cleanup.account["removed"] == 0
    assert (media / "covers" / "a.jpg").read_bytes() == b"of another application"
    assert (media / "old covers" / "a.jpg").exists()


def test_a_folder_that_becomes_a_link_is_not_followed(bucket: Bucket, media: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "b.jpg").write_bytes((media / "covers" / "b.jpg").read_bytes())
    os.utime(elsewhere / "b.jpg", (LONG_AGO, LONG_AGO))

    def swap() -> None:
        (media / "covers").rename(tmp_path / "old")
        (media / "covers").symlink_to(elsewhere)

    at_first_head(bucket, swap)
    cleanup = clean(bucket, media, "covers/*", concurrency=1)
    assert cleanup.account["removed"] == 0
    assert names(elsewhere) == {"b.jpg"}
    assert names(tmp_path / "old") == {"a.jpg", "b.jpg"}


def test_links_and_what_they_lead_to_stay(bucket: Bucket, media: Path) -> None:
    """The objects are there and the same: whoever uploaded the tree has followed the links."""
    (media / "linked").symlink_to("covers")
    (media / "covers" / "link.jpg").symlink_to("a.jpg")
    (media / "covers" / "nowhere.jpg").symlink_to("missing.jpg")
    os.mkfifo(media / "covers" / "pipe.jpg")
    for name in ("linked/a.jpg", "linked/b.jpg", "covers/link.jpg", "linked/link.jpg"):
        bucket.objects[f"p/{name}"] = (media / name).read_bytes()
    cleanup = clean(bucket, media, "linked/*")
    assert (cleanup.account["removed"], names(media) >= {"covers/a.jpg", "covers/b.jpg"}) == (0, True)
    assert all("link leads" in one["reason"] or "pipe" in one["reason"] for one in cleanup.account.remarks("ignored"))
    cleanup = clean(bucket, media)
    assert cleanup.account["removed"] == 4
    assert names(media) == {
        "private.zip",
        "linked/",
        "covers/",
        "covers/link.jpg",
        "covers/nowhere.jpg",
        "covers/pipe.jpg",
        "thumbnails/",
    }


def test_a_folder_that_cannot_be_written_keeps_its_files(
    bucket: Bucket, media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_words: Any, **_options: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "unlink", refuse)
    cleanup = clean(bucket, media)
    assert (cleanup.account["removed"], cleanup.account.bytes, kept(cleanup)) == (0, 0, {"failed": 4})
    assert cleanup.account.remarks("failed")[0]["reason"] == "Permission denied"


def test_no_descriptor_is_left_open(bucket: Bucket, media: Path) -> None:
    bucket.objects["p/covers/b.jpg"] = b"other"
    (media / "covers" / "link.jpg").symlink_to("a.jpg")
    clean(bucket, media, dry=True)
    before = set(os.listdir("/proc/self/fd"))
    for _round in range(3):
        clean(bucket, media, dry=True)
    left = []
    for one in set(os.listdir("/proc/self/fd")) - before:
        with contextlib.suppress(FileNotFoundError):  # that of the listing itself, or of another thread
            left.append(os.readlink(f"/proc/self/fd/{one}"))
    assert not [path for path in left if str(media) in path]


def test_the_folders_that_are_told_apart_are_few(bucket: Bucket, media: Path) -> None:
    for number in range(40):
        (media / f"f{number}").mkdir()
        (media / f"f{number}" / "a.jpg").write_bytes(b"x")
        os.utime(media / f"f{number}" / "a.jpg", (LONG_AGO, LONG_AGO))
        bucket.objects[f"p/f{number}/a.jpg"] = b"x"
    cleanup = clean(bucket, media, "f*/*")
    assert len(cleanup.freed) == 21
    assert sum(one.files for one in cleanup.freed.values()) == 40
