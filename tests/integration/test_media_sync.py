# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""media_sync against real servers, from its arguments to its result."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import http.server
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable, Optional

import botocore.httpsession
import pytest
from ansible_collections.selfhosted.media.plugins.module_utils._instance.lock import instance_lock
from ansible_collections.selfhosted.media.plugins.module_utils._objects import client as client_module
from ansible_collections.selfhosted.media.plugins.module_utils._objects.connection import HttpConnection
from ansible_collections.selfhosted.media.plugins.module_utils._sync.source import Source
from ansible_collections.selfhosted.media.tests.run_module import run_module
from ansible_collections.selfhosted.media.tests.servers import Server, free_port
from ansible_collections.selfhosted.media.tests.servers.ceph import STRANGER

pytestmark = pytest.mark.usefixtures("quick_clients")

S3 = tuple[Server, str]
BIG = 20 * 1024 * 1024 + 7
#: Names that break what does not expect them. rclone keeps objects as files, so none is a folder of another.
NASTY = [
    "a b",
    "a+b",
    "a%41",
    "q'\"",
    "\u00e9",
    "e\u0301",
    "\U0001f600",
    "a/x",
    "a-",
    "a.",
    ".dot",
    "&<>",
    "#?",
    "x\\y",
    "~",
    "-rf",
]


@pytest.fixture
def media(tmp_path: Path) -> Path:
    folder = tmp_path / "media"
    for name in ("covers/a.jpg", "covers/b.woff2", "avatars/c.svg"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())
    return folder


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Method and target of each request that is sent from here on, by the engine or by boto3."""
    requests: list[tuple[str, str]] = []
    head, send = HttpConnection.head, botocore.httpsession.URLLib3Session.send

    def note(connection: Any, method: str, target: str, *words: Any) -> Any:
        requests.append((method, target))
        return head(connection, method, target, *words)

    def note_boto(session: Any, request: Any) -> Any:
        requests.append((request.method, request.url))
        return send(session, request)

    monkeypatch.setattr(HttpConnection, "head", note)
    monkeypatch.setattr(botocore.httpsession.URLLib3Session, "send", note_boto)
    return requests


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """What failed is tried again at once."""
    monkeypatch.setattr(client_module, "pause", lambda *_words: 0)


def just_before_opening(monkeypatch: pytest.MonkeyPatch, act: Callable[[bytes], None]) -> None:
    """Call a function with each file's key when it has been walked and is about to be opened for the first time."""
    init, seen = Source.__init__, set[bytes]()

    def late(source: Source, tree: Any, key: bytes, inode: int = 0) -> None:
        if key not in seen:
            seen.add(key)
            act(key)
        init(source, tree, key, inode)

    monkeypatch.setattr(Source, "__init__", late)


def sync(s3: S3, path: Any, check: bool = False, **options: Any) -> dict[str, Any]:
    server, bucket = s3
    arguments = {**server.options, "bucket": bucket, "path": str(path), "prefix": "images", **options}
    result = run_module("media_sync", arguments, check=check, diff=True)
    assert len(json.dumps(result)) < 10_000
    assert server.secret_key not in json.dumps(result)
    return result


def counts(result: dict[str, Any]) -> dict[str, int]:
    kinds = ("uploaded", "downloaded", "unchanged", "conflicts", "vanished", "failures", "ignored", "deleted", "extra")
    return {kind: result[kind] for kind in kinds if result[kind]}


@functools.cache
def client_of(server: Server) -> Any:
    return server.client()


def put(s3: S3, key: str, data: bytes = b"x", **more: Any) -> None:
    client_of(s3[0]).put_object(Bucket=s3[1], Key=key, Body=data, **more)


def get(s3: S3, key: str) -> bytes:
    data: bytes = client_of(s3[0]).get_object(Bucket=s3[1], Key=key)["Body"].read()
    return data


def keys(s3: S3) -> list[str]:
    return [item["Key"] for item in client_of(s3[0]).list_objects_v2(Bucket=s3[1]).get("Contents", [])]


def failed(result: dict[str, Any], *words: str) -> str:
    assert result["failed"], result
    message: str = result["msg"]
    for word in words:
        assert word in message
    assert "Traceback" not in message
    assert "\n" not in message
    return message


# -- upload --------------------------------------------------------------------------------------------------------


def test_upload_and_again(s3: S3, media: Path, sent: list[tuple[str, str]]) -> None:
    put(s3, "images-old/x")
    first = sync(s3, media, acl="public-read")
    assert first["changed"]
    assert counts(first) == {"uploaded": 3}
    assert first["bytes"] == sum(path.stat().st_size for path in media.rglob("*") if path.is_file())
    assert first["requests"] == 4
    sent.clear()
    second = sync(s3, media, acl="public-read")
    assert not second["changed"]
    assert counts(second) == {"unchanged": 3}
    assert second["requests"] == len(sent) == 1
    assert "list-type=2" in sent[0][1]
    assert get(s3, "images/covers/a.jpg") == b"covers/a.jpg"
    assert keys(s3) == ["images-old/x", "images/avatars/c.svg", "images/covers/a.jpg", "images/covers/b.woff2"]


def test_headers(s3: S3, media: Path) -> None:
    (media / "covers" / "d.tar.gz").write_bytes(b"z")
    sync(s3, media, content_types={"svg": "x/y"})
    client = client_of(s3[0])
    heads = {key[7:]: client.head_object(Bucket=s3[1], Key=key) for key in keys(s3)}
    assert {name: head["ContentType"] for name, head in heads.items()} == {
        "avatars/c.svg": "x/y",
        "covers/a.jpg": "image/jpeg",
        "covers/b.woff2": "font/woff2",
        "covers/d.tar.gz": "application/x-tar",
    }
    if s3[0].provider != "generic":  # rclone keeps neither
        assert all(head["CacheControl"] == "max-age=86400" for head in heads.values())
        assert heads["covers/d.tar.gz"]["ContentEncoding"] == "gzip"


def fetch(url: str) -> int:
    try:
        with urllib.request.urlopen(url) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as exc:
        return exc.code


def test_acl(ceph: Server, ceph_bucket: str, media: Path) -> None:
    s3 = (ceph, ceph_bucket)
    sync(s3, media / "covers", prefix="public", acl="public-read")
    sync(s3, media / "covers", prefix="private")
    url = f"{ceph.endpoint_url}/{ceph_bucket}"
    assert fetch(f"{url}/public/a.jpg") == 200
    assert fetch(f"{url}/private/a.jpg") == 403
    assert fetch(url) == 403


def test_nasty_names(s3: S3, tmp_path: Path) -> None:
    names = [*NASTY, "n\nl"] if s3[0].provider != "aws" else NASTY  # moto has no keys with a newline
    for name in names:
        path = tmp_path / "up" / "d" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    assert counts(sync(s3, tmp_path / "up")) == {"uploaded": len(names)}
    assert counts(sync(s3, tmp_path / "up")) == {"unchanged": len(names)}
    (tmp_path / "down").mkdir()
    assert counts(sync(s3, tmp_path / "down", direction="download")) == {"downloaded": len(names)}
    assert {name: (tmp_path / "down" / "d" / name).read_bytes() for name in names} == {
        name: name.encode() for name in names
    }


def test_a_newer_file_of_the_same_size_is_written_again(s3: S3, media: Path) -> None:
    sync(s3, media)
    later = time.time() + 5
    (media / "covers" / "a.jpg").write_bytes(b"COVERS/A.JPG")
    os.utime(media / "covers" / "a.jpg", (later, later))
    assert counts(sync(s3, media)) == {"uploaded": 1, "unchanged": 2}
    assert get(s3, "images/covers/a.jpg") == b"COVERS/A.JPG"


def test_checksum_finds_what_size_and_time_do_not(s3: S3, media: Path) -> None:
    sync(s3, media)
    (media / "covers" / "a.jpg").write_bytes(b"COVERS/A.JPG")
    os.utime(media / "covers" / "a.jpg", (1, 1))
    assert counts(sync(s3, media)) == {"unchanged": 3}
    assert counts(sync(s3, media, compare="checksum", overwrite="never")) == {"conflicts": 1, "unchanged": 2}
    assert counts(sync(s3, media, compare="checksum")) == {"uploaded": 1, "unchanged": 2}
    assert counts(sync(s3, media, compare="checksum")) == {"unchanged": 3}


def test_never_overwrite(s3: S3, media: Path) -> None:
    put(s3, "images/covers/a.jpg", b"the application's")
    result = sync(s3, media, overwrite="never")
    assert counts(result) == {"uploaded": 2, "conflicts": 1}
    assert result["reasons"]["conflicts"][0]["name"] == "covers/a.jpg"
    assert get(s3, "images/covers/a.jpg") == b"the application's"


@pytest.mark.parametrize("size", [12, BIG])
@pytest.mark.parametrize("server", ["ceph", "moto_server"])
def test_an_object_made_after_the_listing_is_not_overwritten(
    request: pytest.FixtureRequest,
    server: str,
    size: int,
    bucket_name: str,
    media: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    s3: S3 = (request.getfixturevalue(server), bucket_name)
    client_of(s3[0]).create_bucket(Bucket=bucket_name)
    with (media / "covers" / "a.jpg").open("r+b") as stream:
        stream.truncate(size)

    def late(key: bytes) -> None:
        if key.endswith(b"a.jpg"):
            put(s3, "images/covers/a.jpg", b"the application's")
        elif key.endswith(b"c.svg"):
            put(s3, "images/avatars/c.svg", b"avatars/c.svg")

    just_before_opening(monkeypatch, late)
    result = sync(s3, media, overwrite="never")
    assert counts(result) == {"uploaded": 1, "conflicts": 1, "unchanged": 1}
    assert get(s3, "images/covers/a.jpg") == b"the application's"


def test_changed_since(s3: S3, media: Path, sent: list[tuple[str, str]]) -> None:
    put(s3, "images/covers/late.jpg", b"the application's")
    time.sleep(0.05)  # older than the kernel's tick
    since = sync(s3, media)["started"]
    (media / "covers" / "new.jpg").write_bytes(b"new")
    (media / "covers" / "late.jpg").write_bytes(b"the disk's")
    sent.clear()
    check = sync(s3, media, check=True, changed_since=since, overwrite="never")
    result = sync(s3, media, changed_since=since, overwrite="never")
    assert counts(result) == counts(check) == {"uploaded": 1, "conflicts": 1}
    assert not any("list-type" in url for _method, url in sent)
    assert get(s3, "images/covers/late.jpg") == b"the application's"
    sent.clear()
    assert counts(sync(s3, media, changed_since=since)) == {"uploaded": 2}
    assert [method for method, _url in sent] == ["PUT", "PUT"]
    assert counts(sync(s3, media, changed_since=time.time() + 60)) == {}


def test_a_large_file(s3: S3, tmp_path: Path) -> None:
    (tmp_path / "up").mkdir()
    (tmp_path / "up" / "big.bin").write_bytes(os.urandom(BIG))
    put(s3, "images/big.bin", b"before")
    result = sync(s3, tmp_path / "up")
    assert counts(result) == {"uploaded": 1}
    assert result["requests"] == 1 + 5
    head = client_of(s3[0]).head_object(Bucket=s3[1], Key="images/big.bin")
    assert head["ContentLength"] == BIG
    assert head["ContentType"] == "application/octet-stream"
    assert counts(sync(s3, tmp_path / "up", compare="checksum")) == {"unchanged": 1}
    (tmp_path / "down").mkdir()
    sync(s3, tmp_path / "down", direction="download")
    assert (tmp_path / "down" / "big.bin").read_bytes() == (tmp_path / "up" / "big.bin").read_bytes()
    if s3[0].provider != "generic":  # rclone has no such call
        assert "Uploads" not in client_of(s3[0]).list_multipart_uploads(Bucket=s3[1])


def test_include_and_exclude(s3: S3, media: Path) -> None:
    (media / "export.tar.gz").write_bytes(b"private")
    put(s3, "images/other.tar.gz")
    assert counts(sync(s3, media, include=["*/*"], exclude=["avatars/*"])) == {"uploaded": 2}
    assert "images/export.tar.gz" not in keys(s3)


def test_shards_share_the_work(s3: S3, media: Path) -> None:
    for number in range(20):
        (media / "covers" / f"{number}.jpg").write_bytes(b"x")
    results = [sync(s3, media, shard={"index": index, "count": 3}) for index in range(3)]
    assert all(0 < result["uploaded"] < 23 for result in results)
    assert sum(result["uploaded"] for result in results) == 23
    assert counts(sync(s3, media)) == {"unchanged": 23}


def test_hostile_tree(s3: S3, media: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").write_bytes(b"secret")
    (media / "z-outside").symlink_to("../outside")
    (media / "z-dangling").symlink_to("nowhere")
    (media / "z-loop").symlink_to("z-loop")
    (media / "z-self").symlink_to(".")
    (media / "z-inside.jpg").symlink_to("covers/a.jpg")
    (media / ".dot").write_bytes(b"dot")
    (media / "empty").mkdir()
    os.mkfifo(media / "pipe")
    Path(os.fsdecode(os.fsencode(media) + b"/covers/\xff\n")).write_bytes(b"x")
    (media / ".selfhosted-media-0123456789abcdef").write_bytes(b"half")
    check = sync(s3, media, check=True)
    result = sync(s3, media)
    failed(result, "2 names could not be transferred", "everything else was done")
    assert counts(result) == counts(check) == {"uploaded": 5, "failures": 2, "ignored": 4}
    reasons = {item["name"]: item["reason"] for kind in result["reasons"].values() for item in kind}
    assert set(reasons) == {"z-outside", "covers/\\xff\\n", "z-dangling", "z-loop", "z-self", "pipe"}
    assert set(keys(s3)) == {
        f"images/{name}" for name in (".dot", "avatars/c.svg", "covers/a.jpg", "covers/b.woff2", "z-inside.jpg")
    }


def test_vanishing_and_changing_files(s3: S3, media: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def late(key: bytes) -> None:
        if key.endswith(b"a.jpg"):
            (media / "covers" / "a.jpg").unlink()
        elif key.endswith(b"c.svg"):
            (media / "avatars" / "c.svg").unlink()
            (media / "avatars" / "c.svg").mkdir()
        elif key.endswith(b"b.woff2"):
            (media / "covers" / "b.woff2").write_bytes(b"longer than it was when it was walked")

    just_before_opening(monkeypatch, late)
    result = sync(s3, media)
    assert counts(result) == {"uploaded": 1, "vanished": 1, "failures": 1}
    failed(result, "avatars/c.svg")
    assert get(s3, "images/covers/b.woff2") == b"longer than it was when it was walked"
    assert result["bytes"] == len(b"longer than it was when it was walked")


def test_files_that_cannot_be_read(s3: S3, media: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused as by their mode; the tests run as root, who may read everything."""
    opened = os.open

    def refuse(path: Any, *words: Any, **named: Any) -> int:
        if os.fsencode(path).endswith(b"/covers/a.jpg"):
            raise PermissionError(13, "Permission denied", path)
        return opened(path, *words, **named)

    monkeypatch.setattr(os, "open", refuse)
    put(s3, "images/extra")
    result = sync(s3, media, delete=True)
    failed(result, "covers/a.jpg: Permission denied", "so nothing was deleted")
    assert counts(result) == {"uploaded": 2, "failures": 1, "extra": 1}
    assert keys(s3) == ["images/avatars/c.svg", "images/covers/b.woff2", "images/extra"]


def test_check_mode_and_the_real_run_count_alike(s3: S3, media: Path) -> None:
    put(s3, "images/covers/a.jpg", b"the application's")
    put(s3, "images/extra")
    check = sync(s3, media, check=True, delete=True)
    assert sorted(keys(s3)) == ["images/covers/a.jpg", "images/extra"]
    result = sync(s3, media, delete=True)
    assert counts(result) == counts(check) == {"uploaded": 3, "deleted": 1, "extra": 1}
    for name in ("changed", "bytes", "diff", "folders", "types"):
        assert check[name] == result[name], name
    assert check["requests"] == 1 + 3 and check["request_seconds"] > 0
    assert sum(one["files"] for one in result["folders"].values()) == 3
    assert sum(one["bytes"] for one in result["types"].values()) == result["bytes"]
    assert not sync(s3, media, check=True, delete=True)["changed"]


def test_a_lock_that_somebody_holds(moto_server: Server, bucket_name: str, media: Path, tmp_path: Path) -> None:
    s3 = (moto_server, bucket_name)
    moto_server.client().create_bucket(Bucket=bucket_name)
    with instance_lock(str(tmp_path), "changing over to S3"):
        failed(sync(s3, media, lock=str(tmp_path)), f"changing over to S3, process {os.getpid()}, since 20")
        assert sync(s3, media, lock=str(tmp_path), check=True)["uploaded"] > 0
        assert sync(s3, media, lock=str(media))["uploaded"] > 0
    assert sync(s3, media, lock=str(tmp_path))["unchanged"] > 0


def test_a_missing_bucket(any_server: Server, media: Path) -> None:
    s3 = (any_server, "no-such-bucket")
    assert counts(sync(s3, media, check=True)) == {"uploaded": 3}
    failed(sync(s3, media), "no-such-bucket", "NoSuchBucket")
    failed(sync(s3, media, changed_since=0), "no-such-bucket", "NoSuchBucket")


def test_sources_that_are_none(s3: S3, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    put(s3, "images/x")
    for check in (True, False):
        failed(sync(s3, tmp_path / "none", check, delete=True), "does not exist", "nothing was changed")
        failed(sync(s3, tmp_path / "file", check, delete=True), "is not a folder", "nothing was changed")
    (tmp_path / "empty").mkdir()
    result = sync(s3, tmp_path / "empty")
    assert counts(result) == {"extra": 1}
    assert not result["changed"]


# -- what cannot work ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("direction", ["upload", "download"])
def test_wrong_keys(any_server: Server, bucket_name: str, media: Path, direction: str) -> None:
    secret = "marked-secret-9b1c"
    wrong = any_server.as_user("nobody", secret)
    result = sync((wrong, bucket_name), media, direction=direction)
    if any_server.provider == "aws":
        failed(result, "NoSuchBucket")  # moto asks nobody for keys
    else:
        message = failed(result, bucket_name, "key")
        assert "denied" in message or "InvalidAccessKeyId" in message
    wrong = any_server.as_user(any_server.access_key, secret)
    message = failed(sync((wrong, bucket_name), media, direction=direction), bucket_name)
    assert secret not in message
    assert not any(bucket_name == item["Name"] for item in client_of(any_server).list_buckets()["Buckets"])


def test_a_foreign_bucket(ceph: Server, ceph_bucket: str, media: Path) -> None:
    stranger = ceph.as_user(*STRANGER)
    for check in (True, False):
        for more in ({}, {"direction": "download"}, {"changed_since": 0}):
            if not (check and more.get("changed_since") == 0):
                failed(sync((stranger, ceph_bucket), media, check, **more), ceph_bucket, "AccessDenied")


@pytest.mark.usefixtures("no_waiting")
def test_an_endpoint_that_refuses(media: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    failed(sync((Server(url, "marked-key", "marked-secret"), "b"), media), url, "check endpoint_url")


class Handler(http.server.BaseHTTPRequestHandler):
    """A server that answers as a function says."""

    protocol_version = "HTTP/1.1"
    answer: Callable[[Handler], None]

    def do_GET(self) -> None:
        type(self).answer(self)

    do_PUT = do_HEAD = do_GET

    def log_message(self, *_words: Any) -> None:
        pass

    def reply(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)


@contextlib.contextmanager
def stub(answer: Callable[[Handler], None]) -> Iterator[Server]:
    handler = type("OurHandler", (Handler,), {"answer": staticmethod(answer)})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield Server(f"http://127.0.0.1:{server.server_address[1]}", "marked-key", "marked-secret")
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b"<!DOCTYPE html><p>Welcome to nginx!"),
        (200, b"<html><body>Welcome to nginx!</body></html>"),
        (200, b""),
        (404, b"<html><body>Not Found</body></html>"),
        (404, b"not found"),
        (405, b"<html><p>405"),
    ],
)
@pytest.mark.parametrize("direction", ["upload", "download"])
@pytest.mark.usefixtures("no_waiting")
def test_an_endpoint_that_is_a_plain_web_server(media: Path, status: int, body: bytes, direction: str) -> None:
    def answer(request: Handler) -> None:
        request.reply(status, body, Content_Type="text/html")

    with stub(answer) as server:
        for check in (True, False):
            failed(sync((server, "b"), media, check, direction=direction), "not an S3 service", "check endpoint_url")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"delete": True, "shard": {"index": 0, "count": 2}}, "cannot be used with shard"),
        ({"delete": True, "changed_since": 1}, "cannot be used with shard or changed_since"),
        ({"max_delete": -1}, "below 0"),
        ({"shard": {"index": 2, "count": 2}}, "not in 0 to 1"),
        ({"shard": {"index": 0, "count": 0}}, "below 1"),
        ({"concurrency": 0}, "not in 1 to 512"),
        ({"changed_since": "nan"}, "no moment"),
        ({"changed_since": -1}, "no moment"),
        ({"prefix": "a/../b"}, "prefix"),
        ({"path": ""}, "path is empty"),
        ({"bucket": " "}, "bucket is empty"),
    ],
)
def test_options_that_make_no_sense(media: Path, options: dict[str, Any], words: str) -> None:
    nowhere = Server("http://127.0.0.1:9", "marked-key", "marked-secret")
    failed(sync((nowhere, "b"), **{"path": media, **options}), words)


# -- deletion ------------------------------------------------------------------------------------------------------


def test_delete_keeps_what_is_not_its_own(s3: S3, media: Path) -> None:
    for key in ("images/extra.jpg", "images/top.tar", "images/exports/x", "images-old/x", "other"):
        put(s3, key)
    result = sync(s3, media, delete=True, include=["*/*", "extra.jpg"], exclude=["exports/*"])
    assert counts(result) == {"uploaded": 3, "extra": 1, "deleted": 1}
    assert {"images/top.tar", "images/exports/x", "images-old/x", "other"} < set(keys(s3))
    assert "images/extra.jpg" not in keys(s3)


def test_no_deletion_after_a_failure(s3: S3, media: Path) -> None:
    put(s3, "images/extra")
    Path(os.fsdecode(os.fsencode(media) + b"/\xff")).write_bytes(b"x")
    for check in (True, False):
        result = sync(s3, media, check, delete=True)
        failed(result, "so nothing was deleted", "not UTF-8")
        assert counts(result) == {"uploaded": 3, "failures": 1, "extra": 1}
        if not check:
            assert "images/extra" in keys(s3)


def test_no_deletion_with_an_empty_source_or_over_the_limit(s3: S3, media: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for number in range(3):
        put(s3, f"images/extra{number}")
    for check in (True, False):
        failed(sync(s3, tmp_path / "empty", check, delete=True), "the source is empty")
        result = sync(s3, media, check, delete=True, max_delete=2)
        failed(result, "more than max_delete (2)")
        assert result["uploaded"] + result["unchanged"] == 3  # how far it came is told
        assert result["deleted"] == 0
    assert len(keys(s3)) == 6
    assert sync(s3, media, delete=True, max_delete=3)["deleted"] == 3


def test_no_deletion_of_what_a_broken_link_stands_for(s3: S3, media: Path) -> None:
    sync(s3, media)
    (media / "covers" / "a.jpg").unlink()
    (media / "covers" / "a.jpg").symlink_to("nowhere")
    failed(sync(s3, media, delete=True), "nothing was deleted", "remove or exclude them")
    assert "images/covers/a.jpg" in keys(s3)


def test_delete_files(s3: S3, media: Path) -> None:
    sync(s3, media)
    (media / "covers" / "extra").write_bytes(b"x")
    (media / "z-link").symlink_to("covers")
    check = sync(s3, media, check=True, direction="download", delete=True)
    result = sync(s3, media, direction="download", delete=True)
    assert check["extra"] == result["extra"] == 4
    assert result["deleted"] == 1  # and not covers/*.* by their other name
    assert not (media / "covers" / "extra").exists()
    assert (media / "covers" / "a.jpg").exists()
    assert counts(sync(s3, media, direction="download", exclude=["z-link/*"])) == {"unchanged": 3}


# -- download ------------------------------------------------------------------------------------------------------


def files_in(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_there_and_back(s3: S3, media: Path, tmp_path: Path) -> None:
    (media / "covers" / "empty").write_bytes(b"")
    (media / "covers" / "d.tar.gz").write_bytes(b"not really")
    sync(s3, media)
    down = tmp_path / "down"
    down.mkdir(mode=0o750)
    os.chmod(down, 0o750)
    os.chown(down, 1234, 2345)
    check = sync(s3, down, check=True, direction="download")
    assert files_in(down) == {}
    result = sync(s3, down, direction="download")
    assert counts(result) == counts(check) == {"downloaded": 5}
    assert files_in(down) == files_in(media)
    status = (down / "covers" / "a.jpg").stat()
    assert (status.st_uid, status.st_gid, status.st_mode & 0o7777) == (1234, 2345, 0o640)
    assert abs(status.st_mtime - time.time()) < 60
    assert (down / "covers").stat().st_mode & 0o7777 == 0o750
    assert counts(sync(s3, down, direction="download")) == {"unchanged": 5}
    assert counts(sync(s3, down)) == {"unchanged": 5}


def test_download_what_was_written_since(s3: S3, media: Path) -> None:
    sync(s3, media)
    time.sleep(1.1)  # some services keep whole seconds
    since = time.time()
    time.sleep(0.01)
    put(s3, "images/covers/a.jpg", b"COVERS/A.JPG")
    put(s3, "images/covers/new.jpg", b"new")
    check = sync(s3, media, check=True, direction="download", changed_since=since)
    result = sync(s3, media, direction="download", changed_since=since)
    assert counts(result) == counts(check) == {"downloaded": 2}
    assert (media / "covers" / "a.jpg").read_bytes() == b"COVERS/A.JPG"
    assert counts(sync(s3, media, direction="download", changed_since=since)) == {"unchanged": 2}


@pytest.mark.parametrize("server", ["ceph", "moto_server"])
def test_hostile_keys(request: pytest.FixtureRequest, server: str, bucket_name: str, tmp_path: Path) -> None:
    s3: S3 = (request.getfixturevalue(server), bucket_name)
    client = client_of(s3[0])
    client.create_bucket(Bucket=bucket_name)
    hostile = ["../evil", "a/../../evil", "/abs", "a//b", "./c", "n" * 256, "link/evil", "both/below"]
    for name in [*hostile, "both", "ok", "slash/", "Case", "case", ".selfhosted-media-0123456789abcdef"]:
        # botocore cleans dots out of a path unless they are escaped, so the raw request is sent
        request_url = client.generate_presigned_url(
            "put_object", Params={"Bucket": bucket_name, "Key": "images/" + name}
        )
        with contextlib.suppress(urllib.error.HTTPError):
            urllib.request.urlopen(urllib.request.Request(request_url, data=b"evil", method="PUT")).close()
    there = [key[len("images/") :] for key in keys(s3)]
    assert {"ok", "Case", "case", "slash/", "both", "both/below", "link/evil"} <= set(there)
    assert any(".." in key for key in there)
    down, outside = tmp_path / "down" / "media", tmp_path / "outside"
    down.mkdir(parents=True)
    outside.mkdir()
    (down / "link").symlink_to("../../outside")
    result = sync(s3, down, direction="download")
    failed(result, "could not be transferred")
    refused = {"n" * 256 if "nnn" in item["name"] else item["name"] for item in result["reasons"]["failed"]}
    assert refused - {"both", "both/below"} == set(hostile) & set(there) - {"both/below"}
    assert len(refused & {"both", "both/below"}) == 1
    assert list(outside.iterdir()) == []
    assert [path.name for path in (tmp_path / "down").iterdir()] == ["media"]
    assert set(files_in(down)) - {"both", "both/below"} == {"ok", "Case", "case"}


LISTING = """<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name>
<IsTruncated>false</IsTruncated>{}</ListBucketResult>"""
ITEM = """<Contents><Key>images/{key}</Key><LastModified>2026-01-02T03:04:05.000Z</LastModified><ETag>"{etag}"</ETag>
<Size>{size}</Size></Contents>"""


class Objects:
    """A service with a few objects, whose answers are cut off for some keys, some times."""

    def __init__(self, cut: dict[str, int], data: bytes = b"0123456789" * 1000, stall: bool = False) -> None:
        self.cut, self.data, self.stall = cut, data, stall
        self.etag = hashlib.md5(data).hexdigest()

    def __call__(self, request: Handler) -> None:
        if "list-type" in request.path:
            items = "".join(ITEM.format(key=key, etag=self.etag, size=len(self.data)) for key in sorted(self.cut))
            request.reply(200, LISTING.format(items).encode(), Content_Type="application/xml")
            return
        key = request.path.partition("images/")[2]
        half = self.cut[key] > 0
        self.cut[key] -= 1
        request.send_response(200)
        request.send_header("Content-Length", str(len(self.data)))
        request.send_header("ETag", f'"{self.etag}"')
        request.end_headers()
        request.wfile.write(self.data[: len(self.data) // 2] if half else self.data)
        if half and self.stall:
            request.wfile.flush()
            time.sleep(60)
        if half:
            request.connection.shutdown(socket.SHUT_RDWR)
            request.close_connection = True


@pytest.mark.usefixtures("no_waiting")
def test_answers_that_are_cut_off(tmp_path: Path) -> None:
    objects = Objects({"a": 0, "b": 2, "c": 99})
    with stub(objects) as server:
        result = sync((server, "b"), tmp_path, direction="download")
    failed(result, "1 name could not be transferred", "c: ", "run again")
    assert counts(result) == {"downloaded": 2, "failures": 1}
    assert files_in(tmp_path) == {"a": objects.data, "b": objects.data}


KILLED = """
import sys
from ansible_collections.selfhosted.media.tests.run_module import run_module
run_module("media_sync", dict(endpoint_url=sys.argv[1], access_key="k", secret_key="s", region="us-east-1", bucket="b",
    path=sys.argv[2], prefix="images", direction="download"))
"""


def test_a_killed_download_leaves_nothing_for_good(s3: S3, tmp_path: Path) -> None:
    """Its temporary file is never uploaded; another download spares it as long as its writer lives, then removes it."""
    down = tmp_path / "down"
    down.mkdir()
    put(s3, "images/ok", b"ok")

    def left_over() -> list[Path]:
        return list(down.rglob(".selfhosted-media-*"))

    with stub(Objects({"sub/a": 99}, stall=True)) as server:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        process = subprocess.Popen([sys.executable, "-c", KILLED, server.endpoint_url, str(down)], env=environment)
        try:
            end = time.monotonic() + 30
            while not left_over() and time.monotonic() < end:
                assert process.poll() is None
                time.sleep(0.02)
            assert counts(sync(s3, down, direction="download")) == {"downloaded": 1}
            assert len(left_over()) == 1
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
    assert counts(sync(s3, down, prefix="copy")) == {"uploaded": 1}
    assert counts(sync(s3, down, check=True, direction="download")) == {"unchanged": 1}
    assert len(left_over()) == 1  # check mode removes nothing
    assert counts(sync(s3, down, direction="download")) == {"unchanged": 1}
    assert left_over() == []


def test_a_full_disk(s3: S3, small_disk: Path) -> None:
    put(s3, "images/a", b"x" * 1000)
    put(s3, "images/big", os.urandom(600_000))
    put(s3, "images/z", b"z" * 1000)
    (small_disk / "big").write_bytes(b"before")
    result = sync(s3, small_disk, direction="download", concurrency=1)
    failed(result, "big: No space left on device")
    assert counts(result) == {"downloaded": 2, "failures": 1}
    assert files_in(small_disk) == {"a": b"x" * 1000, "big": b"before", "z": b"z" * 1000}


def test_many_failures_make_a_small_result(s3: S3, tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path / "media")
    os.makedirs(folder + b"/" + b"d" * 200)
    for number in range(300):
        with open(folder + b"/" + b"d" * 200 + b"/\xff%d-" % number + b"\xe6\x97\xa5" * 60, "wb"):
            pass
    result = sync(s3, tmp_path / "media")
    assert counts(result) == {"failures": 300}
    assert 0 < len(result["reasons"]["failed"]) <= 20
    assert result["reasons"]["failed"][0]["name"].startswith("ddd")


def test_a_limit_of_bandwidth(s3: S3, media: Path) -> None:
    result: Optional[dict[str, Any]] = None
    for size in ("covers/a.jpg", "covers/b.woff2"):
        (media / size).write_bytes(b"x" * 50_000)
    result = sync(s3, media, bandwidth_limit=500_000)
    assert result["duration"] >= 0.2  # 100 kB; that it is no more is proven with a made-up clock
