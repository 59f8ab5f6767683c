# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""s3_preflight: every mistake is found, told apart from the others, and nothing is left behind."""

from __future__ import annotations

import datetime
import http.server
import threading
import time
from collections.abc import Iterator
from typing import Any

import botocore.auth
import pytest
from ansible_collections.selfhosted.media.plugins.module_utils._s3 import preflight
from ansible_collections.selfhosted.media.tests.run_module import run_ansible, run_module
from ansible_collections.selfhosted.media.tests.servers import Server, free_port
from ansible_collections.selfhosted.media.tests.servers.ceph import STRANGER

ORIGIN = "https://example.org"
RULES = {"CORSRules": [{"AllowedOrigins": [ORIGIN], "AllowedMethods": ["GET"]}]}
WRITING = ["write", "acl", "read", "public_read", "cors", "multipart", "delete"]
ALL = ["list", *WRITING]


def run(server: Server, bucket: str, check: bool = False, **options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The result, and the states by name."""
    given = {**server.options, "bucket": bucket, "prefix": "images/", "needs": ALL, "origin": ORIGIN, **options}
    result = run_module("s3_preflight", given, check=check)
    return result, {one["name"]: one["state"] for one in result.get("checks", [])}


def details(result: dict[str, Any]) -> dict[str, dict[str, str]]:
    return {one["name"]: one for one in result["checks"]}


def keys(server: Server, bucket: str) -> list[str]:
    return [item["Key"] for item in server.client().list_objects_v2(Bucket=bucket).get("Contents", [])]


def test_all_is_well(ceph: Server, ceph_bucket: str) -> None:
    client = ceph.client()
    client.put_bucket_cors(Bucket=ceph_bucket, CORSConfiguration=RULES)
    client.put_object(Bucket=ceph_bucket, Key="images/mine", Body=b"x")
    result, states = run(ceph, ceph_bucket)
    assert result["ok"] and set(states.values()) == {"ok"} and not result["changed"]
    assert list(states) == [*preflight.BASICS, "list", *WRITING]
    assert keys(ceph, ceph_bucket) == ["images/mine"]


def test_no_version_of_the_probe_stays(ceph: Server, ceph_bucket: str) -> None:
    client = ceph.client()
    client.put_bucket_versioning(Bucket=ceph_bucket, VersioningConfiguration={"Status": "Enabled"})
    assert run(ceph, ceph_bucket, needs=["write", "multipart", "delete"])[0]["ok"]
    versions = client.list_object_versions(Bucket=ceph_bucket)
    assert "Versions" not in versions and "DeleteMarkers" not in versions


def test_check_mode_writes_nothing(ceph: Server, ceph_bucket: str) -> None:
    client = ceph.client()
    client.put_bucket_versioning(Bucket=ceph_bucket, VersioningConfiguration={"Status": "Enabled"})
    result, states = run(ceph, ceph_bucket, check=True)
    assert result["ok"] and "Versions" not in client.list_object_versions(Bucket=ceph_bucket)
    assert {states[name] for name in WRITING} == {"unknown"} and states["list"] == "ok"
    assert "in check mode" in details(result)["write"]["detail"]


def test_what_browsers_would_meet(ceph: Server, ceph_bucket: str) -> None:
    result, states = run(ceph, ceph_bucket, needs=["public_read", "cors"], fail=False)
    assert not result["ok"] and not result.get("failed")
    assert (states["public_read"], states["cors"]) == ("failed", "failed")
    assert "publish its prefix" in details(result)["public_read"]["remedy"]
    assert "s3_cors" in details(result)["cors"]["remedy"]
    policy = {"name": ceph_bucket, "public_prefixes": ["images/"], "public_method": "policy"}
    assert run_module("s3_bucket", {**ceph.options, **policy})["changed"]
    assert run(ceph, ceph_bucket, needs=["public_read"])[1]["public_read"] == "ok"
    assert keys(ceph, ceph_bucket) == []


@pytest.mark.parametrize(
    ("options", "name", "said"),
    [
        ({"access_key": "nobody"}, "credentials", "InvalidAccessKeyId"),
        ({"secret_key": "wrong"}, "credentials", "SignatureDoesNotMatch"),
        ({"access_key": None, "secret_key": None}, "credentials", "no credentials"),
    ],
)
def test_wrong_keys(ceph: Server, ceph_bucket: str, options: dict[str, Any], name: str, said: str) -> None:
    result, states = run(ceph, ceph_bucket, **options)
    assert result["failed"] and said in result["msg"] and states[name] == "failed"
    assert {states[other] for other in ("bucket", *ALL)} == {"unknown"}


def test_a_foreign_bucket(ceph: Server, ceph_bucket: str) -> None:
    result, states = run(ceph.as_user(*STRANGER), ceph_bucket)
    assert result["failed"] and "belongs to somebody else" in result["msg"]
    assert (states["credentials"], states["bucket"], states["list"], states["write"]) == (
        "ok",
        "failed",
        "failed",
        "failed",
    )
    assert result["msg"].startswith("4 of 12 checks failed:\n")


def test_a_key_that_may_write_but_not_list(ceph: Server, ceph_bucket: str) -> None:
    policy = (
        '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": ["arn:aws:iam:::user/stranger"]},'
        f' "Action": ["s3:PutObject", "s3:GetObject"], "Resource": ["arn:aws:s3:::{ceph_bucket}/*"]}}]}}'
    )
    ceph.client().put_bucket_policy(Bucket=ceph_bucket, Policy=policy)
    result, states = run(ceph.as_user(*STRANGER), ceph_bucket, needs=["list", "write", "read", "delete"])
    assert states["bucket"] == states["write"] == states["read"] == "ok"
    assert states["list"] == states["delete"] == "failed"
    (left,) = keys(ceph, ceph_bucket)
    assert f"delete the probe object {left}" in result["msg"]
    assert run(ceph.as_user(*STRANGER), ceph_bucket, needs=["write"])[1]["cleanup"] == "failed"


def test_a_missing_bucket(ceph: Server, bucket_name: str) -> None:
    result, states = run(ceph, bucket_name)
    assert result["failed"] and states["bucket"] == "failed" and states["write"] == "unknown"
    result, states = run(ceph, bucket_name, needs=["create_bucket", *ALL])
    assert result["ok"] and states["bucket"] == states["create_bucket"] == states["list"] == "unknown"
    assert "not known yet" in result["msg"]
    assert run(ceph, "Missing_1", needs=["create_bucket"])[1]["create_bucket"] == "failed"


def test_nobody_answers(ceph: Server, bucket_name: str) -> None:
    result, states = run(ceph, bucket_name, endpoint_url=f"http://127.0.0.1:{free_port()}")
    assert result["failed"] and states["endpoint"] == "failed" and "no answer" in result["msg"]
    assert states["credentials"] == "unknown"


class _Website(http.server.BaseHTTPRequestHandler):
    """Not an S3 service: every path is the same page, well-formed so that a parser of XML takes it; /missing/ is a 404."""

    def do_GET(self) -> None:
        self.send_response(404 if self.path.startswith("/missing") else 200)
        body = b"<html><body>Welcome</body></html>"
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: Any) -> None:
        pass


@pytest.fixture
def website() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Website)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("bucket", ["media", "missing"])
def test_a_website_is_not_an_s3_service(ceph: Server, website: str, bucket: str) -> None:
    result, states = run(ceph, bucket, endpoint_url=website)
    assert states["endpoint"] == "failed" and "not an S3 service" in result["msg"]


def test_a_wrong_clock(ceph: Server, ceph_bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda now=time.time: now() + 600)
    result, states = run(ceph, ceph_bucket, needs=["list"])
    assert states["clock"] == "failed" and "differs from the service's by 60" in result["msg"]
    assert "chrony" in details(result)["clock"]["remedy"] and states["list"] == "ok"


def test_a_refused_clock(ceph: Server, ceph_bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def yesterday(*_args: Any, **_kwargs: Any) -> datetime.datetime:
        return datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None) - datetime.timedelta(days=1)

    if not hasattr(botocore.auth, "get_current_datetime"):
        pytest.skip("this boto3 has no place to set its clock")
    monkeypatch.setattr(botocore.auth, "get_current_datetime", yesterday)
    result, states = run(ceph, ceph_bucket)
    assert states["clock"] == "failed" and "refuses this machine's time" in result["msg"]
    assert states["credentials"] == "unknown"


def test_a_service_without_acls_and_cors(rclone_server: Server, bucket_name: str) -> None:
    rclone_server.client().create_bucket(Bucket=bucket_name)
    result, states = run(rclone_server, bucket_name)
    assert states["write"] == states["read"] == states["delete"] == states["multipart"] == "ok"
    assert states["public_read"] == states["cors"] == "failed" and result["failed"]
    assert keys(rclone_server, bucket_name) == []


def test_aws(moto_server: Server, bucket_name: str) -> None:
    moto_server.client().create_bucket(Bucket=bucket_name)
    assert run(moto_server, bucket_name, needs=["list", "write", "acl", "read", "multipart", "delete"])[0]["ok"]
    assert keys(moto_server, bucket_name) == []


@pytest.mark.parametrize(
    ("options", "said"), [({"public_url": "media.example.org"}, "write https://media.example.org")]
)
def test_bad_input_has_a_sentence(ceph: Server, ceph_bucket: str, options: dict[str, Any], said: str) -> None:
    assert said in run(ceph, ceph_bucket, **options)[0]["msg"]


def test_through_ansible(ceph: Server, ceph_bucket: str) -> None:
    result = run_ansible("s3_preflight", {**ceph.options, "bucket": ceph_bucket}, "-vvv")
    assert result["ok"] and ceph.secret_key not in result["_output"]
