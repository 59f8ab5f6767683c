# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""media_verify against real servers: what it proves, and what it does not count against the bucket."""

from __future__ import annotations

import functools
import json
import os
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.selfhosted.media.plugins.module_utils._sync import verify as verify_module
from ansible_collections.selfhosted.media.plugins.module_utils._sync.hashing import same_content
from ansible_collections.selfhosted.media.tests.run_module import run_module
from ansible_collections.selfhosted.media.tests.servers import Server

pytestmark = pytest.mark.usefixtures("quick_clients")

S3 = tuple[Server, str]
MIB = 1024 * 1024
BIG = 20 * MIB + 7


@pytest.fixture
def media(tmp_path: Path) -> Path:
    folder = tmp_path / "media"
    for name in ("covers/a.jpg", "covers/b.jpg", "avatars/c.svg"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())
    return folder


def run(name: str, s3: S3, path: Path, **options: Any) -> dict[str, Any]:
    server, bucket = s3
    arguments = {**server.options, "bucket": bucket, "path": str(path), "prefix": "images", **options}
    result = run_module(name, arguments)
    assert len(json.dumps(result)) < 10_000
    assert server.secret_key not in json.dumps(result)
    return result


def verify(s3: S3, path: Path, **options: Any) -> dict[str, Any]:
    result = run("media_verify", s3, path, **options)
    assert result.get("changed", False) is False
    assert result.get("ok", False) is not result.get("failed", False)
    return result


def counts(result: dict[str, Any]) -> dict[str, int]:
    kinds = (
        "verified",
        "missing",
        "different",
        "extra",
        "unverifiable",
        "vanished",
        "failures",
        "ignored",
    )
    return {kind: result[kind] for kind in kinds if result[kind]}


@functools.cache
def client_of(server: Server) -> Any:
    return server.client()


def put(s3: S3, key: str, data: bytes = b"x") -> None:
    client_of(s3[0]).put_object(Bucket=s3[1], Key=key, Body=data)


def test_everything_is_there(s3: S3, media: Path) -> None:
    (media / "covers" / "big.bin").write_bytes(os.urandom(BIG))
    run("media_sync", s3, media)
    for compare in ("size", "checksum"):
        result = verify(s3, media, compare=compare)
        assert result["ok"]
        assert counts(result) == {"verified": 4}
        assert result["bytes"] == sum(path.stat().st_size for path in media.rglob("*") if path.is_file())
        # One more for the metadata of the object in parts, which rclone gives the ETag of one in a single part.
        assert result["requests"] == (2 if compare == "checksum" and s3[0].provider != "generic" else 1)
        assert result["reasons"] == {}


def test_what_is_wrong_is_named(s3: S3, media: Path) -> None:
    run("media_sync", s3, media)
    (media / "covers" / "new.jpg").write_bytes(b"new")
    put(s3, "images/covers/a.jpg", b"COVERS/A.JPG")
    put(s3, "images/covers/b.jpg", b"short")
    put(s3, "images/extra")
    put(s3, "images-old/other")
    result = verify(s3, media)
    assert counts(result) == {"verified": 2, "missing": 1, "different": 1, "extra": 1}
    assert "1 missing, 1 different, 0 unverifiable, 0 unreadable" in result["msg"]
    assert "covers/b.jpg: 12 bytes in the folder, 5 in the bucket" in result["msg"]
    assert [item["name"] for item in result["reasons"]["missing"]] == ["covers/new.jpg"]
    result = verify(s3, media, compare="checksum")
    assert counts(result) == {"verified": 1, "missing": 1, "different": 2, "extra": 1}
    assert {"name": "covers/a.jpg", "reason": "same size, other content"} in result["reasons"]["different"]


def test_extra_objects_never_fail(s3: S3, media: Path) -> None:
    run("media_sync", s3, media)
    put(s3, "images/extra")
    result = verify(s3, media)
    assert result["ok"]
    assert counts(result) == {"verified": 3, "extra": 1}


def test_missing_allowed(s3: S3, media: Path) -> None:
    run("media_sync", s3, media)
    (media / "covers" / "new.jpg").write_bytes(b"new")
    assert not verify(s3, media)["ok"]
    assert verify(s3, media, missing_allowed=True)["ok"]
    put(s3, "images/covers/b.jpg", b"short")
    assert not verify(s3, media, missing_allowed=True)["ok"]


def test_a_drawn_file_that_the_application_wrote_anew_with_the_same_size(
    ceph: Server, ceph_bucket: str, media: Path
) -> None:
    s3, public_url = (ceph, ceph_bucket), f"{ceph.endpoint_url}/{ceph_bucket}"
    run("media_sync", s3, media, acl="public-read")
    client_of(ceph).put_object(Bucket=ceph_bucket, Key="images/covers/a.jpg", Body=b"COVERS/A.JPG", ACL="public-read")
    result = verify(s3, media, sample=3, public_url=public_url)
    assert (result["ok"], result["not_public"], result["different"]) == (False, 1, 0)
    result = verify(s3, media, sample=3, public_url=public_url, different_allowed=True)
    assert (result["ok"], result["not_public"], result["different"]) == (True, 0, 1)
    client_of(ceph).put_object_acl(Bucket=ceph_bucket, Key="images/covers/b.jpg", ACL="private")
    result = verify(s3, media, sample=3, public_url=public_url, different_allowed=True)
    assert (result["ok"], result["not_public"], result["different"]) == (False, 1, 1)


def put_in_parts(s3: S3, key: str, *parts: bytes) -> str:
    """Upload as another tool does, which leaves nothing but the ETag; that is returned."""
    client, where = client_of(s3[0]), {"Bucket": s3[1], "Key": key}
    upload = client.create_multipart_upload(**where)["UploadId"]
    etags = [
        {
            "PartNumber": number,
            "ETag": client.upload_part(**where, UploadId=upload, PartNumber=number, Body=part)["ETag"],
        }
        for number, part in enumerate(parts, 1)
    ]
    client.complete_multipart_upload(**where, UploadId=upload, MultipartUpload={"Parts": etags})
    return str(client.head_object(**where)["ETag"]).strip('"')


def test_parts_of_a_usual_size_that_another_tool_uploaded_are_compared(s3: S3, media: Path) -> None:
    run("media_sync", s3, media)
    (media / "covers" / "a.jpg").write_bytes(os.urandom(12 * MIB))
    data = (media / "covers" / "a.jpg").read_bytes()
    put_in_parts(s3, "images/covers/a.jpg", data[: 5 * MIB], data[5 * MIB : 10 * MIB], data[10 * MIB :])
    result = verify(s3, media, compare="checksum")
    assert result["ok"]
    assert counts(result) == {"verified": 3}
    with (media / "covers" / "a.jpg").open("r+b") as stream:
        stream.write(b"other")
    result = verify(s3, media, compare="checksum")
    assert not result["ok"]
    assert result["verified"] == 2


@pytest.mark.parametrize("server", ["ceph", "moto_server"])  # rclone gives the content's MD5 after all
def test_parts_of_an_unusual_size_are_unverifiable(
    request: pytest.FixtureRequest, server: str, bucket_name: str, media: Path
) -> None:
    s3: S3 = (request.getfixturevalue(server), bucket_name)
    client_of(s3[0]).create_bucket(Bucket=bucket_name)
    run("media_sync", s3, media)
    (media / "covers" / "a.jpg").write_bytes(os.urandom(5 * MIB + 100))
    data = (media / "covers" / "a.jpg").read_bytes()
    etag = put_in_parts(s3, "images/covers/a.jpg", data[: 5 * MIB + 7], data[5 * MIB + 7 :])
    assert etag.endswith("-2")
    first = client_of(s3[0]).head_object(Bucket=bucket_name, Key="images/covers/a.jpg", PartNumber=1)
    result = verify(s3, media, compare="checksum")
    if first.get("PartsCount") == 2:  # a service that tells the size of a part tells enough
        assert counts(result) == {"verified": 3}
        return
    assert counts(result) == {"verified": 2, "unverifiable": 1}
    assert "1 unverifiable" in result["msg"]
    assert verify(s3, media)["ok"]
    # Uploading by checksum mends it: our own copy carries its checksum.
    assert run("media_sync", s3, media, compare="checksum")["uploaded"] == 1
    assert verify(s3, media, compare="checksum")["ok"]


def test_only_what_is_chosen_counts(s3: S3, media: Path) -> None:
    (media / "export.tar.gz").write_bytes(b"private")
    run("media_sync", s3, media, include=["*/*"])
    put(s3, "images/other.tar.gz")
    assert counts(verify(s3, media, include=["*/*"])) == {"verified": 3}
    assert counts(verify(s3, media)) == {"verified": 3, "missing": 1, "extra": 1}


def test_names_that_cannot_be_verified(s3: S3, media: Path) -> None:
    run("media_sync", s3, media)
    Path(os.fsdecode(os.fsencode(media) + b"/\xff")).write_bytes(b"x")
    (media / "dangling").symlink_to("nowhere")
    (media / ".selfhosted-media-0123456789abcdef").write_bytes(b"half")
    result = verify(s3, media)
    assert counts(result) == {"verified": 3, "failures": 1, "ignored": 1}
    assert result["reasons"]["failed"][0]["name"] == "\\xff"
    assert not result["ok"]


def test_vanishing_files(s3: S3, media: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run("media_sync", s3, media)

    def late(*words: Any) -> Any:
        if words[2].key.endswith(b"a.jpg"):
            (media / "covers" / "a.jpg").unlink()
        return same_content(*words)

    monkeypatch.setattr(verify_module, "same_content", late)
    result = verify(s3, media, compare="checksum")
    assert result["ok"]
    assert counts(result) == {"verified": 2, "vanished": 1}


def test_many_missing_files_make_a_small_result(s3: S3, tmp_path: Path) -> None:
    for number in range(300):
        path = tmp_path / "media" / f"covers/{number:03}-a-usual-name.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    result = verify(s3, tmp_path / "media")
    assert counts(result) == {"missing": 300}
    assert len(result["reasons"]["missing"]) == 20


def test_what_cannot_be_read(any_server: Server, tmp_path: Path) -> None:
    result = run("media_verify", (any_server, "no-such-bucket"), tmp_path)
    assert "NoSuchBucket" in result["msg"]
    result = run("media_verify", (any_server, "b"), tmp_path / "none")
    assert "does not exist" in result["msg"]
