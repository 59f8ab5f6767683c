# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Single transfers against made-up services: what changes or breaks at the worst moment, and what cannot be compared."""

from __future__ import annotations

import hashlib
import io
import os
import stat
import time
from pathlib import Path
from typing import Any, Callable, Optional, cast

import pytest
from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._s3.errors import S3Error, Unreachable
from ansible_collections.selfhosted.media.plugins.module_utils._sync.account import Account
from ansible_collections.selfhosted.media.plugins.module_utils._sync.download import Downloader
from ansible_collections.selfhosted.media.plugins.module_utils._sync.hashing import MD5_METADATA, same_content
from ansible_collections.selfhosted.media.plugins.module_utils._sync.listing import RemoteObject
from ansible_collections.selfhosted.media.plugins.module_utils._sync.upload import PART_SIZE, Changing, Uploader
from ansible_collections.selfhosted.media.plugins.module_utils._sync.walk import Tree
from botocore.exceptions import ClientError


def md5(data: bytes) -> str:
    return hashlib.md5(data).hexdigest()


class Service:
    """One object, and something that happens at the end of each request that writes it."""

    def __init__(self, meanwhile: Optional[Callable[[], None]] = None) -> None:
        self.meanwhile = meanwhile or (lambda: None)
        self.stored: list[bytes] = []
        self.parts: list[bytes] = []
        self.aborted = 0
        self.exists = False
        self.metadata: dict[str, str] = {}
        self.head: dict[str, Any] = {}
        self.meta = self.events = self  # client.meta.events

    def register(self, *_words: Any) -> None:
        pass

    def put_object(self, Body: bytes, Metadata: Optional[dict[str, str]] = None, **_more: Any) -> None:
        self.metadata = Metadata or {}
        self.stored.append(Body)
        self.meanwhile()

    def create_multipart_upload(self, Metadata: dict[str, str], **_more: Any) -> dict[str, str]:
        self.metadata, self.parts = Metadata, []
        return {"UploadId": "u"}

    def upload_part(self, Body: bytes, **_more: Any) -> dict[str, str]:
        self.parts.append(Body)
        self.meanwhile()
        return {"ETag": "e"}

    def complete_multipart_upload(self, **_more: Any) -> None:
        self.stored.append(b"".join(self.parts))

    def abort_multipart_upload(self, **_more: Any) -> None:
        self.aborted += 1

    def head_object(self, **_more: Any) -> dict[str, Any]:
        if not self.exists:
            refusal: Any = {"Error": {"Code": "404"}, "ResponseMetadata": {"HTTPStatusCode": 404}}
            raise ClientError(refusal, "HeadObject")
        return self.head


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tree:
    monkeypatch.setattr(time, "sleep", lambda _seconds: None)
    (tmp_path / "media").mkdir()
    (tmp_path / "media" / "a").write_bytes(b"first")
    return Tree(os.fsencode(tmp_path / "media"), b"p/")


def path_in(tree: Tree) -> Path:
    return Path(os.fsdecode(tree.root)) / "a"


def once(action: Callable[[], Any]) -> Callable[[], None]:
    left = [action]
    return lambda: left.pop()() if left else None


def upload(service: Service, tree: Tree, **options: Any) -> Any:
    return Uploader(cast(Any, service), "b", tree, **options).upload(b"p/a")


def test_a_file_that_changes_while_it_is_sent_is_taken_again(tree: Tree) -> None:
    service = Service(once(lambda: path_in(tree).write_bytes(b"other")))
    assert upload(service, tree).size == 5
    assert service.stored == [b"first", b"other"]


def test_a_file_that_is_replaced_by_an_older_one_is_taken_again(tree: Tree) -> None:
    other = path_in(tree).with_name("b")
    other.write_bytes(b"older")
    moment = path_in(tree).stat().st_mtime_ns
    os.utime(other, ns=(moment, moment))
    service = Service(once(lambda: other.rename(path_in(tree))))
    upload(service, tree)
    assert service.stored == [b"first", b"older"]


@pytest.mark.parametrize("size", [5, PART_SIZE + 1])
def test_a_file_that_vanishes_while_it_is_sent_is_told(tree: Tree, size: int) -> None:
    os.truncate(path_in(tree), size)
    service = Service(once(path_in(tree).unlink))
    with pytest.raises(FileNotFoundError):
        upload(service, tree)
    assert service.aborted == (size > PART_SIZE)
    assert len(service.stored) == (size <= PART_SIZE)


def _grow(path: Path) -> None:
    with path.open("ab") as stream:
        stream.write(b"+")


@pytest.mark.parametrize("size", [5, PART_SIZE + 1])
def test_a_file_that_never_rests_ends_in_a_sentence(tree: Tree, size: int) -> None:
    os.truncate(path_in(tree), size)
    service = Service(lambda: _grow(path_in(tree)))
    with pytest.raises(Changing, match="kept changing"):
        upload(service, tree)
    if size > PART_SIZE:
        assert (service.stored, service.aborted) == ([], 5)


def test_parts(tree: Tree) -> None:
    data = os.urandom(2 * PART_SIZE + 3)
    path_in(tree).write_bytes(data)
    service = Service()
    assert upload(service, tree) == (len(data), 5)
    assert service.stored == [data]
    assert [len(part) for part in service.parts] == [PART_SIZE, PART_SIZE, 3]
    assert service.metadata == {MD5_METADATA: md5(data)}


def test_few_parts_allowed_make_them_larger(tree: Tree) -> None:
    os.truncate(path_in(tree), 3 * PART_SIZE)
    service = Service()
    upload(service, tree, max_parts=2)
    assert len(service.parts) == 2


def test_parts_are_not_put_together_over_an_object_that_came_meanwhile(tree: Tree) -> None:
    os.truncate(path_in(tree), PART_SIZE + 1)
    service = Service()
    service.meanwhile = lambda: setattr(service, "exists", True)
    with pytest.raises(S3Error) as caught:
        upload(service, tree, only_absent=True)
    assert caught.value.status == 412
    assert (service.stored, service.aborted) == ([], 1)
    upload(service, tree)
    assert len(service.stored) == 1


def test_the_md5_is_stored_where_it_is_asked_for(tree: Tree) -> None:
    service = Service()
    upload(service, tree)
    assert service.metadata == {}
    upload(service, tree, record_md5=True)
    assert service.metadata == {MD5_METADATA: md5(b"first")}


KMS = {"ServerSideEncryption": "aws:kms"}
RECORDED = {"Metadata": {MD5_METADATA: md5(b"first")}}


@pytest.mark.parametrize(
    ("etag", "head", "same", "requests"),
    [
        (md5(b"first"), {}, True, 0),
        (md5(b"other"), {}, False, 1),
        (md5(b"other"), RECORDED, False, 1),  # the ETag is the truth: metadata survive a copy over the object
        (md5(b"other"), KMS, None, 1),
        (md5(b"other"), {"SSECustomerAlgorithm": "AES256"}, None, 1),
        (md5(b"other"), {"ServerSideEncryption": "AES256"}, False, 1),
        (md5(b"other"), {**KMS, **RECORDED}, True, 1),
        (md5(b"other") + "-2", RECORDED, True, 1),
        (md5(b"other") + "-2", {"Metadata": {MD5_METADATA: md5(b"other")}}, False, 1),
        (md5(b"other") + "-2", {}, None, 1),
        ("", {}, None, 1),
    ],
)
def test_comparing(tree: Tree, etag: str, head: dict[str, Any], same: Optional[bool], requests: int) -> None:
    service, account = Service(), Account()
    service.exists, service.head = True, head
    assert same_content(cast(Any, service), "b", tree, RemoteObject(b"p/a", 5, etag, 0), account) is same
    assert account.requests == requests


class Source:
    """Gives one object's answer; a body given as an exception breaks off."""

    def __init__(self, *answers: tuple[bytes, dict[str, Any]], breaks: int = 0, after: Any = None) -> None:
        self.answers, self.breaks, self.asked = list(answers), breaks, 0
        self.after = after

    def get_object(self, **_request: Any) -> dict[str, Any]:
        self.asked += 1
        data, more = self.answers[0]
        body: Any = io.BytesIO(data)
        if self.asked <= self.breaks:
            body = Broken(data[: len(data) // 2])
        if self.after:
            self.after()
        return {"Body": body, "ContentLength": len(data), "ETag": f'"{md5(data)}"', **more}


class Broken(io.BytesIO):
    """urllib3's own errors reach the caller with boto3 1.20."""

    def read(self, size: Optional[int] = -1) -> bytes:
        data = super().read(size)
        if not data:
            raise RuntimeError("IncompleteRead(5 bytes read, 5 more expected)")
        return data


MOMENT = 1_700_000_000_999_999_000
FOUND = RemoteObject(b"p/x/y", 10, "e", MOMENT)


def download(source: Source, folder: Path, key: bytes = b"p/x/y") -> int:
    downloader = Downloader(cast(Any, source), "b", os.fsencode(folder), b"p/")
    return downloader.download(FOUND._replace(key=key))


def names_in(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_a_file_looks_like_its_folder(tmp_path: Path) -> None:
    os.chown(tmp_path, 1234, 2345)
    os.chmod(tmp_path, 0o2750)
    assert download(Source((b"0123456789", {})), tmp_path) == 10
    file, folder = (tmp_path / "x" / "y").stat(), (tmp_path / "x").stat()
    assert (file.st_uid, file.st_gid, stat.S_IMODE(file.st_mode)) == (1234, 2345, 0o640)
    assert (folder.st_uid, folder.st_gid, stat.S_IMODE(folder.st_mode)) == (1234, 2345, 0o2750)
    assert file.st_mtime_ns == MOMENT
    assert names_in(tmp_path) == {"x", "x/y"}


@pytest.mark.parametrize("breaks", [1, 3])
def test_an_answer_that_breaks_off_is_asked_for_again(tmp_path: Path, breaks: int) -> None:
    source = Source((b"0123456789", {}), breaks=breaks)
    download(source, tmp_path)
    assert source.asked == breaks + 1
    assert (tmp_path / "x" / "y").read_bytes() == b"0123456789"


@pytest.mark.parametrize(
    "source",
    [
        Source((b"0123456789", {}), breaks=9),
        Source((b"0123456789", {"ContentLength": 11})),
        Source((b"0123456789", {"ETag": md5(b"other")})),
    ],
)
def test_an_answer_that_stays_broken_leaves_what_was_there(tmp_path: Path, source: Source) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "y").write_bytes(b"before")
    with pytest.raises(Unreachable, match="run again"):
        download(source, tmp_path)
    assert source.asked == 4
    assert (tmp_path / "x" / "y").read_bytes() == b"before"
    assert names_in(tmp_path) == {"x", "x/y"}


@pytest.mark.parametrize("more", [{**KMS, "ETag": md5(b"cipher")}, {"ETag": md5(b"parts") + "-2"}, {"ETag": ""}])
def test_an_etag_that_is_no_md5_refuses_nothing(tmp_path: Path, more: dict[str, Any]) -> None:
    assert download(Source((b"0123456789", more)), tmp_path) == 10


def test_a_folder_removed_meanwhile_is_not_made_again(tmp_path: Path) -> None:
    folder = tmp_path / "media"
    folder.mkdir()
    downloader = Downloader(cast(Any, Source((b"x", {}))), "b", os.fsencode(folder), b"p/")
    folder.rmdir()
    with pytest.raises(FileNotFoundError):
        downloader.download(FOUND)
    assert not folder.exists()


def test_a_link_inside_is_followed_and_one_to_the_outside_is_not(tmp_path: Path) -> None:
    folder, outside = tmp_path / "media", tmp_path / "outside"
    for made in (folder / "real", outside):
        made.mkdir(parents=True)
    (folder / "x").symlink_to("real")
    download(Source((b"0123456789", {})), folder)
    assert (folder / "real" / "y").read_bytes() == b"0123456789"
    (folder / "z").symlink_to("../outside")
    (folder / "file").symlink_to("../outside/file")
    for key in (b"p/z/y", b"p/z/deep/y", b"p/x/../../outside/y"):
        with pytest.raises(MediaError):
            download(Source((b"0123456789", {})), folder, key)
    download(Source((b"0123456789", {})), folder, b"p/file")  # the link itself is replaced
    assert not (folder / "file").is_symlink()
    assert names_in(outside) == set()


def test_files_and_folders_in_each_others_place(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"file")
    (tmp_path / "d").mkdir()
    with pytest.raises(MediaError, match="a file stands"):
        download(Source((b"0123456789", {})), tmp_path)
    with pytest.raises(MediaError, match="a folder of this name"):
        download(Source((b"0123456789", {})), tmp_path, b"p/d")
    # The same when another thread made them a moment ago.
    source = Source((b"0123456789", {}), after=(tmp_path / "late").mkdir)
    with pytest.raises(MediaError, match="a folder of this name"):
        download(source, tmp_path, b"p/late")
    assert names_in(tmp_path) == {"x", "d", "late"}
