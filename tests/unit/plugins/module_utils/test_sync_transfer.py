# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Single transfers against made-up services: what changes or breaks at the worst moment, and what cannot be compared."""

from __future__ import annotations

import base64
import hashlib
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable, Optional

import pytest
from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._objects.client import ObjectClient
from ansible_collections.selfhosted.media.plugins.module_utils._objects.retry import TRIES
from ansible_collections.selfhosted.media.plugins.module_utils._objects.xml import RemoteObject
from ansible_collections.selfhosted.media.plugins.module_utils._s3.errors import S3Error, Unreachable
from ansible_collections.selfhosted.media.plugins.module_utils._sync.absence import Absence
from ansible_collections.selfhosted.media.plugins.module_utils._sync.download import Downloader
from ansible_collections.selfhosted.media.plugins.module_utils._sync.hashing import MD5_METADATA, same_content
from ansible_collections.selfhosted.media.plugins.module_utils._sync.multipart import Multipart
from ansible_collections.selfhosted.media.plugins.module_utils._sync.source import Changing
from ansible_collections.selfhosted.media.plugins.module_utils._sync.unfinished import Unfinished
from ansible_collections.selfhosted.media.plugins.module_utils._sync.upload import PART_SIZE, Dress, Uploader
from ansible_collections.selfhosted.media.plugins.module_utils._sync.walk import Tree
from ansible_collections.selfhosted.media.tests.stub import Asked, Reply, Stub


def md5(data: bytes) -> str:
    return hashlib.md5(data).hexdigest()


class Service(Stub):
    """One object, and something that happens at the end of each request that writes it."""

    def __init__(self, meanwhile: Optional[Callable[[], None]] = None) -> None:
        super().__init__(self._answer)
        self.meanwhile = meanwhile or (lambda: None)
        self.stored: list[bytes] = []
        self.parts: list[bytes] = []
        self.aborted = 0
        self.exists = False
        self.headers: dict[str, str] = {}
        self.head: dict[str, str] = {}

    @property
    def metadata(self) -> dict[str, str]:
        """The metadata that the object was given."""
        names = [name for name in self.headers if name.startswith("x-amz-meta-")]
        return {name[len("x-amz-meta-") :]: self.headers[name] for name in names}

    def _answer(self, asked: Asked) -> Reply:
        if asked.method == "HEAD":
            return Reply(200, b"", self.head) if self.exists else Reply(404)
        if "uploads" in asked.query:
            self.headers, self.parts = asked.headers, []
            named = "<UploadId>u</UploadId>"
            return Reply(body=f"<InitiateMultipartUploadResult>{named}</InitiateMultipartUploadResult>".encode())
        if asked.method == "DELETE":
            self.aborted += 1
            return Reply(204)
        if asked.method == "POST":
            self.stored.append(b"".join(self.parts))
            return Reply(body=b"<CompleteMultipartUploadResult/>")
        if "partNumber" in asked.query:
            self.parts.append(asked.body)
        else:
            self.headers = asked.headers
            self.stored.append(asked.body)
        self.meanwhile()
        return Reply(headers={"ETag": "e"})


@pytest.fixture
def service() -> Iterator[Service]:
    with Service() as running:
        yield running


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


def upload(service: Service, tree: Tree, max_parts: int = 10_000, only_absent: bool = False, **more: Any) -> int:
    client = ObjectClient(service.access)
    absence = Absence(client, b"p/") if only_absent else None
    multipart = Multipart(client, Unfinished(client.address.url, b"p/"), max_parts, absence)
    try:
        return Uploader(client, tree, Dress(), multipart, absence, **more).upload(b"p/a")
    finally:
        client.close()


def test_a_file_that_changes_while_it_is_sent_is_taken_again(service: Service, tree: Tree) -> None:
    service.meanwhile = once(lambda: path_in(tree).write_bytes(b"other"))
    assert upload(service, tree) == 5
    assert service.stored == [b"first", b"other"]


def test_a_file_that_is_replaced_by_an_older_one_is_taken_again(service: Service, tree: Tree) -> None:
    other = path_in(tree).with_name("b")
    other.write_bytes(b"older")
    moment = path_in(tree).stat().st_mtime_ns
    os.utime(other, ns=(moment, moment))
    service.meanwhile = once(lambda: other.rename(path_in(tree)))
    upload(service, tree)
    assert service.stored == [b"first", b"older"]


@pytest.mark.parametrize("size", [5, PART_SIZE + 1])
def test_a_file_that_vanishes_while_it_is_sent_is_told(service: Service, tree: Tree, size: int) -> None:
    os.truncate(path_in(tree), size)
    service.meanwhile = once(path_in(tree).unlink)
    with pytest.raises(FileNotFoundError):
        upload(service, tree)
    assert service.aborted == (size > PART_SIZE)
    assert len(service.stored) == (size <= PART_SIZE)


def _grow(path: Path) -> None:
    with path.open("ab") as stream:
        stream.write(b"+")


@pytest.mark.parametrize("size", [5, PART_SIZE + 1])
def test_a_file_that_never_rests_ends_in_a_sentence(service: Service, tree: Tree, size: int) -> None:
    os.truncate(path_in(tree), size)
    service.meanwhile = lambda: _grow(path_in(tree))
    with pytest.raises(Changing, match="kept changing"):
        upload(service, tree)
    if size > PART_SIZE:
        assert (service.stored, service.aborted) == ([], 5)


def test_parts(service: Service, tree: Tree) -> None:
    data = os.urandom(2 * PART_SIZE + 3)
    path_in(tree).write_bytes(data)
    assert upload(service, tree) == len(data)
    assert len(service.asked) == 5
    assert service.stored == [data]
    assert [len(part) for part in service.parts] == [PART_SIZE, PART_SIZE, 3]
    assert service.metadata == {MD5_METADATA: md5(data)}


def test_few_parts_allowed_make_them_larger(service: Service, tree: Tree) -> None:
    os.truncate(path_in(tree), 3 * PART_SIZE)
    upload(service, tree, max_parts=2)
    assert len(service.parts) == 2


def test_parts_are_not_put_together_over_an_object_that_came_meanwhile(service: Service, tree: Tree) -> None:
    os.truncate(path_in(tree), PART_SIZE + 1)
    service.meanwhile = lambda: setattr(service, "exists", True)
    with pytest.raises(S3Error) as caught:
        upload(service, tree, only_absent=True)
    assert caught.value.status == 412
    assert (service.stored, service.aborted) == ([], 1)
    upload(service, tree)
    assert len(service.stored) == 1


def test_the_md5_is_stored_where_it_is_asked_for(service: Service, tree: Tree) -> None:
    upload(service, tree)
    assert service.metadata == {}
    upload(service, tree, record_md5=True)
    assert service.metadata == {MD5_METADATA: md5(b"first")}


KMS = {"x-amz-server-side-encryption": "aws:kms"}
RECORDED = {f"x-amz-meta-{MD5_METADATA}": md5(b"first")}
#: rclone stores it in base64.
RCLONE = {"x-amz-meta-md5chksum": base64.b64encode(bytes.fromhex(md5(b"first"))).decode()}
PARTS = md5(hashlib.md5(b"fir").digest() + hashlib.md5(b"st").digest()) + "-2"
UNUSUAL = md5(hashlib.md5(b"firs").digest() + hashlib.md5(b"t").digest()) + "-2"


@pytest.mark.parametrize(
    ("etag", "head", "same", "requests"),
    [
        (md5(b"first"), {}, True, 0),
        (md5(b"other"), {}, False, 1),
        (md5(b"other"), RECORDED, False, 1),  # the ETag is the truth: metadata survive a copy over the object
        (md5(b"other"), KMS, None, 1),
        (md5(b"other"), {"x-amz-server-side-encryption-customer-algorithm": "AES256"}, None, 1),
        (md5(b"other"), {"x-amz-server-side-encryption": "AES256"}, False, 1),
        (md5(b"other"), {**KMS, **RECORDED}, True, 1),
        (md5(b"other") + "-2", RECORDED, True, 1),
        (md5(b"other") + "-2", RCLONE, True, 1),
        (md5(b"other") + "-2", {"x-amz-meta-md5chksum": "no base64!"}, None, 2),
        (md5(b"other") + "-2", {f"x-amz-meta-{MD5_METADATA}": md5(b"other")}, False, 1),
        (md5(b"other") + "-2", {}, None, 2),  # the second asks for the size of the first part
        (PARTS, {}, True, 2),
        (PARTS, KMS, None, 1),
        (UNUSUAL, {}, None, 2),
        (UNUSUAL, {"x-amz-mp-parts-count": "2", "part": "4"}, True, 2),
        (PARTS, {"x-amz-mp-parts-count": "2", "part": "4"}, False, 2),
        (PARTS, {"x-amz-mp-parts-count": "3", "part": "4"}, True, 2),
        (PARTS, {"x-amz-mp-parts-count": "2", "part": "1"}, True, 2),
        ("", {}, None, 1),
    ],
)
def test_comparing(
    tree: Tree, etag: str, head: dict[str, str], same: Optional[bool], requests: int, service: Service
) -> None:
    def answer(asked: Asked) -> Reply:
        told = {"Content-Length": head["part"]} if "part" in head and "partNumber" in asked.query else {}
        return Reply(headers={"Content-Length": "5", "ETag": f'"{etag}"', **head, **told})

    service.answer = answer
    client = ObjectClient(service.access)
    assert same_content(client, tree, RemoteObject(b"p/a", 5, etag, 0)) is same
    assert client.requests == requests


class Source(Stub):
    """Gives one object; so many answers break off in the middle, and something happens at each."""

    def __init__(
        self, data: bytes = b"0123456789", breaks: int = 0, headers: Optional[dict[str, str]] = None, after: Any = None
    ) -> None:
        super().__init__(self._answer)
        self.data, self.breaks, self.headers, self.after = data, breaks, headers or {}, after

    def _answer(self, _asked: Asked) -> Reply:
        if self.after:
            self.after()
        headers = {"ETag": f'"{md5(self.data)}"', **self.headers}
        return Reply(200, self.data, headers, len(self.data) // 2 if len(self.asked) <= self.breaks else None)


MOMENT = 1_700_000_000_999_999_000
FOUND = RemoteObject(b"p/x/y", 10, "e", MOMENT)


def download(source: Source, folder: Path, key: bytes = b"p/x/y") -> int:
    with source:
        client = ObjectClient(source.access)
        try:
            return Downloader(client, os.fsencode(folder), b"p/").download(FOUND._replace(key=key))
        finally:
            client.close()


def names_in(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_a_file_looks_like_its_folder(tmp_path: Path) -> None:
    os.chown(tmp_path, 1234, 2345)
    os.chmod(tmp_path, 0o2750)
    assert download(Source(), tmp_path) == 10
    file, folder = (tmp_path / "x" / "y").stat(), (tmp_path / "x").stat()
    assert (file.st_uid, file.st_gid, stat.S_IMODE(file.st_mode)) == (1234, 2345, 0o640)
    assert (folder.st_uid, folder.st_gid, stat.S_IMODE(folder.st_mode)) == (1234, 2345, 0o2750)
    assert file.st_mtime_ns == MOMENT
    assert names_in(tmp_path) == {"x", "x/y"}


@pytest.mark.parametrize("breaks", [1, TRIES - 1])
def test_an_answer_that_breaks_off_is_asked_for_again(tmp_path: Path, breaks: int) -> None:
    source = Source(breaks=breaks)
    download(source, tmp_path)
    assert len(source.asked) == breaks + 1
    assert (tmp_path / "x" / "y").read_bytes() == b"0123456789"


@pytest.mark.parametrize(
    "source",
    [
        Source(breaks=9),
        Source(headers={"ETag": md5(b"other")}),
    ],
)
def test_an_answer_that_stays_broken_leaves_what_was_there(tmp_path: Path, source: Source) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "y").write_bytes(b"before")
    with pytest.raises(Unreachable, match="run again"):
        download(source, tmp_path)
    assert len(source.asked) == TRIES  # as often as any other request
    assert (tmp_path / "x" / "y").read_bytes() == b"before"
    assert names_in(tmp_path) == {"x", "x/y"}


@pytest.mark.parametrize("more", [{**KMS, "ETag": md5(b"cipher")}, {"ETag": md5(b"parts") + "-2"}, {"ETag": ""}])
def test_an_etag_that_is_no_md5_refuses_nothing(tmp_path: Path, more: dict[str, str]) -> None:
    assert download(Source(headers=more), tmp_path) == 10


def test_a_folder_removed_meanwhile_is_not_made_again(tmp_path: Path) -> None:
    folder = tmp_path / "media"
    folder.mkdir()
    with Source() as source:
        downloader = Downloader(ObjectClient(source.access), os.fsencode(folder), b"p/")
        folder.rmdir()
        with pytest.raises(FileNotFoundError):
            downloader.download(FOUND)
    assert not folder.exists()


def test_a_link_inside_is_followed_and_one_to_the_outside_is_not(tmp_path: Path) -> None:
    folder, outside = tmp_path / "media", tmp_path / "outside"
    for made in (folder / "real", outside):
        made.mkdir(parents=True)
    (folder / "x").symlink_to("real")
    download(Source(), folder)
    assert (folder / "real" / "y").read_bytes() == b"0123456789"
    (folder / "z").symlink_to("../outside")
    (folder / "file").symlink_to("../outside/file")
    for key in (b"p/z/y", b"p/z/deep/y", b"p/x/../../outside/y"):
        with pytest.raises(MediaError):
            download(Source(), folder, key)
    download(Source(), folder, b"p/file")  # the link itself is replaced
    assert not (folder / "file").is_symlink()
    assert names_in(outside) == set()


def test_files_and_folders_in_each_others_place(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"file")
    (tmp_path / "d").mkdir()
    with pytest.raises(MediaError, match="a file stands"):
        download(Source(), tmp_path)
    with pytest.raises(MediaError, match="a folder of this name"):
        download(Source(), tmp_path, b"p/d")
    # The same when another thread made them a moment ago.
    source = Source(after=(tmp_path / "late").mkdir)
    with pytest.raises(MediaError, match="a folder of this name"):
        download(source, tmp_path, b"p/late")
    assert names_in(tmp_path) == {"x", "d", "late"}
