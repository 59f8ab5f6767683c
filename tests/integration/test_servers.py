# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The test servers themselves: each stores, gives back, and keeps strangers out as far as it can."""

from __future__ import annotations

import hashlib
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.selfhosted.media.tests.bench.trees import large_files, media_tree
from ansible_collections.selfhosted.media.tests.bench.wan import wan
from ansible_collections.selfhosted.media.tests.servers import Server
from ansible_collections.selfhosted.media.tests.servers.ceph import STRANGER
from ansible_collections.selfhosted.media.tests.servers.listing import counts_of, listing_server, made_keys
from ansible_collections.selfhosted.media.tests.servers.null import counts_of as uploads_of
from ansible_collections.selfhosted.media.tests.servers.null import null_server
from ansible_collections.selfhosted.media.tests.servers.proxy import (
    Answer,
    Close,
    Half,
    Ignore,
    Proxy,
    Reorder,
    Rule,
    Stall,
    Throttle,
    port_of,
)
from botocore.exceptions import BotoCoreError, ClientError


def test_what_is_stored_comes_back(s3: tuple[Server, str]) -> None:
    server, bucket = s3
    client = server.client()
    client.put_object(Bucket=bucket, Key="a/b", Body=b"x")
    assert client.get_object(Bucket=bucket, Key="a/b")["Body"].read() == b"x"


def test_ceph_has_a_second_account(ceph: Server, ceph_bucket: str) -> None:
    stranger = ceph.as_user(*STRANGER).client()
    assert stranger.list_buckets()["Buckets"] == []
    with pytest.raises(stranger.exceptions.ClientError, match="AccessDenied"):
        stranger.list_objects_v2(Bucket=ceph_bucket)


# -- null.py -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def null() -> Iterator[Server]:
    with null_server() as server:
        yield server


@pytest.mark.parametrize("size", [0, 1, 29_000, 3_000_000])
def test_the_null_server_answers_with_the_md5(null: Server, size: int) -> None:
    body = bytes(range(256)) * (size // 256 + 1)
    answer = null.client().put_object(Bucket="b", Key="a key", Body=body[:size])
    assert answer["ETag"] == f'"{hashlib.md5(body[:size]).hexdigest()}"'


def test_the_null_server_takes_parts(null: Server) -> None:
    client = null.client()
    upload = client.create_multipart_upload(Bucket="b", Key="k")["UploadId"]
    part = client.upload_part(Bucket="b", Key="k", UploadId=upload, PartNumber=1, Body=b"x")
    assert part["ETag"] == f'"{hashlib.md5(b"x").hexdigest()}"'
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    assert "ETag" in client.complete_multipart_upload(Bucket="b", Key="k", UploadId=upload, MultipartUpload=parts)
    client.abort_multipart_upload(Bucket="b", Key="k", UploadId=upload)
    assert client.list_parts(Bucket="b", Key="k", UploadId=upload).get("Parts", []) == []
    assert client.list_multipart_uploads(Bucket="b").get("Uploads", []) == []


def test_the_null_server_is_an_empty_bucket(null: Server) -> None:
    client = null.client()
    client.head_bucket(Bucket="b")
    assert client.list_objects_v2(Bucket="b")["KeyCount"] == 0
    assert "Contents" not in client.list_objects(Bucket="b")
    assert client.get_bucket_location(Bucket="b")["LocationConstraint"] == "us-east-1"
    client.delete_object(Bucket="b", Key="k")
    for call in (client.head_object, client.get_object):
        with pytest.raises(ClientError, match=r"404|NoSuchKey"):
            call(Bucket="b", Key="k")


def test_the_null_server_asks_for_the_body_and_takes_it_in_pieces(null: Server) -> None:
    def line(sock: socket.socket) -> bytes:
        return sock.recv(1000).partition(b"\r\n")[0]

    with socket.create_connection(("127.0.0.1", port_of(null))) as sock:
        for _again in range(2):
            sock.sendall(b"PUT /b/k HTTP/1.1\r\nHost: x\r\nexpect: 100-continue\r\nCont")
            time.sleep(0.01)
            sock.sendall(b"ent-Length: 8\r\n\r\n")
            assert line(sock) == b"HTTP/1.1 100 Continue"
            for half in (b"body", b"BODY"):
                sock.sendall(half)
                time.sleep(0.01)
            answer = sock.recv(1000)
            assert answer.startswith(b"HTTP/1.1 200 OK")
            assert hashlib.md5(b"bodyBODY").hexdigest().encode() in answer


def test_the_null_server_hashes_what_a_chunked_body_holds(null: Server) -> None:
    body = b"5;chunk-signature=00\r\nhello\r\n0;chunk-signature=00\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port_of(null))) as sock:
        sock.sendall(b"PUT /b/k HTTP/1.1\r\nContent-Encoding: aws-chunked\r\nContent-Length: %d\r\n\r\n" % len(body))
        sock.sendall(body)
        assert hashlib.md5(b"hello").hexdigest().encode() in sock.recv(1000)


def test_the_null_server_counts(null: Server) -> None:
    client, before = null.client(), uploads_of(null)
    for _number in range(3):
        client.put_object(Bucket="b", Key="k", Body=b"xy")
    client.head_bucket(Bucket="b")
    client.list_objects_v2(Bucket="b")
    upload = client.create_multipart_upload(Bucket="b", Key="k")["UploadId"]
    client.upload_part(Bucket="b", Key="k", UploadId=upload, PartNumber=1, Body=b"xyz")
    assert uploads_of(null) == {"objects": before["objects"] + 3, "bytes": before["bytes"] + 9}
    parts = {"Parts": [{"PartNumber": 1, "ETag": '"x"'}]}
    client.complete_multipart_upload(Bucket="b", Key="k", UploadId=upload, MultipartUpload=parts)
    assert uploads_of(null)["objects"] == before["objects"] + 4


def test_the_null_server_leaves_no_process_behind() -> None:
    with null_server() as server:
        port = port_of(server)
    end = time.monotonic() + 5
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            return
        time.sleep(0.01)
    raise AssertionError("somebody still listens")


# -- listing.py --------------------------------------------------------------------------------------------------------

NAMES = ["a b.jpg", "a&b.jpg", "covers/1.jpg", "covers/ü.jpg", "covers/sub/x+%.jpg", "covers-old/1.jpg", "z"]


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tree")
    for name in NAMES:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return folder


@pytest.fixture(scope="module")
def listing(tree: Path) -> Iterator[Server]:
    with listing_server(tree, "images/", hashed=True, latency=0) as server:
        yield server


def keys_of(client: Any, operation: str = "list_objects_v2", **options: Any) -> list[str]:
    pages = client.get_paginator(operation).paginate(Bucket="b", **options)
    return [item["Key"] for page in pages for item in page.get("Contents", [])]


@pytest.mark.parametrize("operation", ["list_objects_v2", "list_objects"])
@pytest.mark.parametrize("page", [1, 2, 3, 1000])
def test_a_tree_is_listed_in_the_order_of_its_keys(listing: Server, operation: str, page: int) -> None:
    everything = sorted((f"images/{name}" for name in NAMES), key=str.encode)
    config = {"PageSize": page}
    assert keys_of(listing.client(), operation, PaginationConfig=config) == everything
    covers = [key for key in everything if key.startswith("images/covers/")]
    assert keys_of(listing.client(), operation, Prefix="images/covers/", PaginationConfig=config) == covers


def test_a_listing_starts_after_a_key(listing: Server) -> None:
    everything = keys_of(listing.client())
    for index, key in enumerate(everything):
        assert keys_of(listing.client(), StartAfter=key) == everything[index + 1 :]
    assert (
        keys_of(listing.client(), StartAfter="images/covers/2")
        == everything[everything.index("images/covers/1.jpg") + 1 :]
    )


@pytest.mark.parametrize("operation", ["list_objects_v2", "list_objects"])
@pytest.mark.parametrize("page", [1, 2, 1000])
def test_a_tree_is_listed_folder_by_folder(listing: Server, operation: str, page: int) -> None:
    pages = listing.client().get_paginator(operation)
    options = {"Bucket": "b", "Prefix": "images/", "Delimiter": "/", "PaginationConfig": {"PageSize": page}}
    found = [*pages.paginate(**options)]
    folders = [item["Prefix"] for page in found for item in page.get("CommonPrefixes", [])]
    assert folders == ["images/covers-old/", "images/covers/"]
    files = [item["Key"] for page in found for item in page.get("Contents", [])]
    assert files == ["images/a b.jpg", "images/a&b.jpg", "images/z"]


def test_what_is_listed_is_the_file_and_newer(listing: Server, tree: Path) -> None:
    item = listing.client().list_objects_v2(Bucket="b", Prefix="images/covers/1")["Contents"][0]
    path = tree / "covers/1.jpg"
    assert (item["Size"], item["ETag"]) == (12, f'"{hashlib.md5(path.read_bytes()).hexdigest()}"')
    assert path.stat().st_mtime < item["LastModified"].timestamp() <= time.time()
    head = listing.client().head_object(Bucket="b", Key="images/covers/1.jpg")
    assert (head["ContentLength"], head["ETag"]) == (12, item["ETag"])
    assert head["LastModified"] == item["LastModified"].replace(microsecond=0)  # a header has no more
    with pytest.raises(ClientError, match="404"):
        listing.client().head_object(Bucket="b", Key="images/covers/2.jpg")


def test_the_listing_server_counts_and_takes_nothing(listing: Server) -> None:
    before = counts_of(listing)
    with pytest.raises(ClientError, match="AccessDenied"):
        listing.client().put_object(Bucket="b", Key="k", Body=b"x")
    assert len(keys_of(listing.client())) == len(NAMES)
    assert counts_of(listing) - before == {"refused": 1, "lists": 1, "keys": len(NAMES)}


def test_a_made_tree_is_listed_by_many_at_a_time() -> None:
    with listing_server(made=(2000, 10), prefix="p/", latency=0.2) as server:
        client, small = server.client(max_pool_connections=10), {"PageSize": 100}
        folders = [f"p/covers{number:06d}/" for number in range(10)]
        started = time.monotonic()
        with ThreadPoolExecutor(10) as pool:
            each = pool.map(lambda folder: keys_of(client, Prefix=folder, PaginationConfig=small), folders)
            found = [key for keys in each for key in keys]
        duration = time.monotonic() - started
    assert found == [f"p/{key.decode()}" for key in made_keys(2000, 10)]
    assert 0.4 <= duration < 4  # two pages each; one after the other would be 4 s


# -- proxy.py ----------------------------------------------------------------------------------------------------------


def behind(server: Server, proxy: Proxy, **settings: Any) -> Any:
    """A client of the server behind the proxy that does not try again."""
    settings.setdefault("retries", {"total_max_attempts": 1})
    return server._replace(endpoint_url=proxy.url).client(**settings)


def test_signatures_survive_the_proxy(ceph: Server, ceph_bucket: str) -> None:
    with Proxy(port_of(ceph)) as proxy:
        client = behind(ceph, proxy)
        client.put_object(Bucket=ceph_bucket, Key="a b+ü", Body=b"x" * 100_000)
        assert client.get_object(Bucket=ceph_bucket, Key="a b+ü")["Body"].read() == b"x" * 100_000
        assert client.head_object(Bucket=ceph_bucket, Key="a b+ü")["ContentLength"] == 100_000
        client.delete_object(Bucket=ceph_bucket, Key="a b+ü")
    assert [(one.method, one.status) for one in proxy.seen()] == [
        ("PUT", 200),
        ("GET", 200),
        ("HEAD", 200),
        ("DELETE", 204),
    ]
    put = proxy.seen("PUT")[0]
    assert (put.path, put.body_bytes) == (f"/{ceph_bucket}/a b+ü", 100_000)
    assert put.headers["host"] == f"127.0.0.1:{proxy.port}"
    assert proxy.connections == 1


def test_the_proxy_delays_both_ways(null: Server) -> None:
    with Proxy(port_of(null), delay=0.05) as proxy:
        client = behind(null, proxy)
        times = []
        for _number in range(10):
            started = time.monotonic()
            client.head_bucket(Bucket="b")
            times.append(time.monotonic() - started)
    assert times[0] >= 0.2  # the connection is made first
    assert 0.1 <= min(times[1:]) < 0.2  # a busy machine makes some of them longer


def test_the_proxy_counts_open_requests(null: Server) -> None:
    with Proxy(port_of(null), delay=0.05) as proxy, ThreadPoolExecutor(6) as pool:
        client = behind(null, proxy, max_pool_connections=6)
        list(pool.map(lambda _number: client.head_bucket(Bucket="b"), range(24)))
    assert proxy.most_open == 6
    assert len(proxy.seen("HEAD")) == 24


def test_the_nth_requests_are_answered_with_errors(null: Server) -> None:
    rules = [Rule(Answer(503, "SlowDown"), "PUT", r"/b/k", first=2, times=2), Rule(Answer(429), "GET|HEAD")]
    with Proxy(port_of(null), rules) as proxy:
        client = behind(null, proxy)
        for _number in range(4):
            try:
                client.put_object(Bucket="b", Key="k", Body=b"x")
            except ClientError as exc:
                assert exc.response["Error"]["Code"] == "SlowDown"
        with pytest.raises(ClientError, match="429"):
            client.head_bucket(Bucket="b")
        assert proxy.statuses("PUT") == [200, 503, 503, 200]
        assert proxy.statuses("HEAD") == [429]
        proxy.forget()
        assert proxy.seen() == []


@pytest.mark.parametrize("fault", [Close("head"), Close("body"), Close("answer"), Close("body", reset=True)])
@pytest.mark.parametrize("size", [0, 200_000])
def test_a_connection_that_is_cut(null: Server, fault: Close, size: int) -> None:
    with Proxy(port_of(null), [Rule(fault, times=1)]) as proxy:
        with pytest.raises(BotoCoreError):
            behind(null, proxy).put_object(Bucket="b", Key="k", Body=b"x" * size)
        behind(null, proxy).put_object(Bucket="b", Key="k", Body=b"x")
    assert proxy.statuses() == [0, 200]


def test_half_an_answer(null: Server) -> None:
    with Proxy(port_of(null), [Rule(Half())]) as proxy:
        # boto3 takes what came for all there is, and it is no XML.
        with pytest.raises(ClientError, match="500"):
            behind(null, proxy).list_objects_v2(Bucket="b")
        with socket.create_connection(("127.0.0.1", proxy.port)) as sock:
            sock.sendall(b"PUT /b/k HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
            answer = sock.recv(1000)
            assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
            assert b"\r\n\r\n" not in answer
            assert sock.recv(1000) == b""
    assert proxy.statuses() == [200, 200]


def test_a_stall_ends_with_the_proxy(null: Server) -> None:
    with Proxy(port_of(null), [Rule(Stall(60))]) as proxy, pytest.raises(BotoCoreError, match=r"timeout|timed out"):
        behind(null, proxy, read_timeout=0.2).head_bucket(Bucket="b")
    end = time.monotonic() + 5
    while proxy.statuses() != [0]:
        assert time.monotonic() < end
        time.sleep(0.01)


def test_more_than_a_rate_is_throttled(null: Server) -> None:
    with Proxy(port_of(null), [Rule(Throttle(per_second=10))]) as proxy:
        client = behind(null, proxy)
        for _number in range(15):
            try:
                client.put_object(Bucket="b", Key="k", Body=b"x")
            except ClientError as exc:
                assert exc.response["Error"]["Code"] == "SlowDown"
    assert proxy.statuses()[:10] == [200] * 10
    assert 503 in proxy.statuses()[10:]


def test_a_parameter_and_a_header_are_ignored(s3: tuple[Server, str]) -> None:
    server, bucket = s3
    client = server.client()
    for key in "abc":
        client.put_object(Bucket=bucket, Key=key, Body=b"x")
    rules = [
        Rule(Ignore(parameters=["start-after"], signer=server), "GET"),
        Rule(Ignore(headers=["Cache-Control"], signer=server), "PUT"),
    ]
    with Proxy(port_of(server), rules) as proxy:
        through = behind(server, proxy)
        found = through.list_objects_v2(Bucket=bucket, StartAfter="b")["Contents"]
        assert [item["Key"] for item in found] == ["a", "b", "c"]
        through.put_object(Bucket=bucket, Key="d", Body=b"x" * 1000, CacheControl="max-age=1", ContentType="image/png")
        assert proxy.seen("GET")[0].query["start-after"] == "b"  # what came, not what was passed on
        assert proxy.seen("PUT")[0].headers["cache-control"] == "max-age=1"
    head = client.head_object(Bucket=bucket, Key="d")
    assert (head.get("CacheControl"), head["ContentType"], head["ContentLength"]) == (None, "image/png", 1000)


def test_keys_are_listed_out_of_order(listing: Server) -> None:
    everything = keys_of(listing.client())
    with Proxy(port_of(listing), [Rule(Reorder(), query="list-type=2")]) as proxy:
        assert keys_of(behind(listing, proxy)) == everything[::-1]
        proxy.rules = [Rule(Reorder(reverse=False))]
        assert keys_of(behind(listing, proxy)) == everything[-1:] + everything[:-1]


def test_the_proxy_leaves_no_thread_behind(null: Server) -> None:
    before = threading.active_count()
    with Proxy(port_of(null)) as proxy:
        behind(null, proxy).head_bucket(Bucket="b")
        assert threading.active_count() > before
    end = time.monotonic() + 5
    while threading.active_count() > before:
        assert time.monotonic() < end
        time.sleep(0.01)


# -- the benchmark's own -----------------------------------------------------------------------------------------------


def test_a_tree_is_made_from_its_seed(tmp_path: Path) -> None:
    first, again = media_tree(tmp_path / "a", 300), media_tree(tmp_path / "b", 300)
    media_tree(tmp_path / "c", 300, sparse=True)

    def content(folder: str) -> dict[str, bytes]:
        root = tmp_path / folder
        return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}

    made = content("a")
    assert made == content("b")
    assert {name: len(body) for name, body in made.items()} == {name: len(body) for name, body in content("c").items()}
    assert (first.files, first.size) == (again.files, again.size) == (300, sum(map(len, made.values())))
    assert 24_000 < first.size / 300 < 34_000
    assert large_files(tmp_path / "d", 2, 3_000_001).size == sum(map(len, content("d").values())) == 6_000_002


def test_a_wan_is_slow_and_changes_nothing() -> None:
    with wan(0.1) as network, null_server(address=network.address) as server, network.to(server) as far:
        if network.inside:
            pytest.skip("only clients in the network namespace are far away")
        client, body = far.client(), bytes(range(256)) * 10_000
        times = []
        for _number in range(6):
            started = time.monotonic()
            answer = client.put_object(Bucket="b", Key="k", Body=body)
            times.append(time.monotonic() - started)
        assert answer["ETag"] == f'"{hashlib.md5(body).hexdigest()}"'
    # 100 Continue is a round trip of its own, and so is the connection. A busy machine makes some of them longer.
    assert times[0] >= 0.3
    assert 0.2 <= min(times[1:]) < 0.4
