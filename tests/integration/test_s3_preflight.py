# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""s3_preflight: every mistake is found, told apart from the others, and nothing is left behind."""

from __future__ import annotations

import datetime
import http.server
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from ansible_collections.selfhosted.media.plugins.module_utils._s3 import boto3_release, preflight
from ansible_collections.selfhosted.media.plugins.module_utils._s3.checklist import BASICS
from ansible_collections.selfhosted.media.tests.botocore_clock import set_clock
from ansible_collections.selfhosted.media.tests.run_module import run_ansible, run_module
from ansible_collections.selfhosted.media.tests.servers import Server, free_port
from ansible_collections.selfhosted.media.tests.servers.ceph import STRANGER
from ansible_collections.selfhosted.media.tests.servers.proxy import Fault, Message, Proxy, Request, Rule, port_of

ORIGIN = "https://example.org"
RULES = {"CORSRules": [{"AllowedOrigins": [ORIGIN], "AllowedMethods": ["GET"]}]}
#: What only an object can show, and all that is asked for, in the order of the checklist.
WRITING = ["write", "acl", "read", "public_read", "cors", "multipart", "delete"]
ALL = ["list", "write", "acl", "read", "public_domain", "public_read", "public_list", "cors", "multipart", "delete"]


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
    assert result["ok"] and not result["changed"] and "policy" not in result
    # Ceph does not tell a bucket's region
    assert [name for name, state in states.items() if state != "ok"] == ["region"]
    assert list(states) == [*BASICS, *ALL]
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
    assert {states[name] for name in WRITING} == {"unknown"}
    assert states["list"] == states["public_domain"] == states["public_list"] == "ok"
    assert (
        "- not known: write, acl, read, public_read, cors, multipart, delete: not tried: in check mode" in result["msg"]
    )


def test_check_mode_asks_only(ceph: Server, ceph_bucket: str) -> None:
    with Proxy(port_of(ceph)) as proxy:
        assert run(ceph._replace(endpoint_url=proxy.url), ceph_bucket, check=True)[0]["ok"]
        assert {one.method for one in proxy.seen()} <= {"GET", "HEAD"} and len(proxy.seen()) >= 3
        # somebody else's is not told from one that cannot be listed, without an upload
        foreign = ceph._replace(endpoint_url=proxy.url).as_user(*STRANGER)
        result, states = run(foreign, ceph_bucket, check=True)
        assert (states["list"], states["bucket"], states["write"]) == ("failed", "unknown", "unknown")
        assert "an upload would tell" in details(result)["bucket"]["detail"]
        assert {one.method for one in proxy.seen()} <= {"GET", "HEAD"}


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
    assert {states[other] for other in ("bucket", "list", *WRITING)} == {"unknown"}


def test_a_foreign_bucket(ceph: Server, ceph_bucket: str) -> None:
    result, states = run(ceph.as_user(*STRANGER), ceph_bucket)
    assert result["failed"] and "belongs to somebody else" in result["msg"]
    assert (states["credentials"], states["bucket"], states["list"], states["write"]) == (
        "ok",
        "failed",
        "failed",
        "failed",
    )
    lines = result["msg"].splitlines()
    assert lines[0] == "4 of 16 checks failed:"
    assert [line.split(":")[0] for line in lines[1:5]] == ["- bucket", "- list", "- write", "- acl"]
    assert f"s3_policy(bucket='{ceph_bucket}')" in lines[-1]
    on_bucket, on_objects = result["policy"]["Statement"]
    assert (on_bucket["Action"], on_bucket["Resource"]) == (["s3:ListBucket"], [f"arn:aws:s3:::{ceph_bucket}"])
    assert on_objects["Resource"] == [f"arn:aws:s3:::{ceph_bucket}/images/*"]
    wanted = {"s3:PutObject", "s3:PutObjectAcl", "s3:GetObject", "s3:AbortMultipartUpload", "s3:DeleteObject"}
    assert set(on_objects["Action"]) == wanted


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
    assert f"delete by hand what is left of this: {left}" in result["msg"]
    (_on_bucket, on_objects) = result["policy"]["Statement"]
    assert on_objects["Action"] == ["s3:PutObject", "s3:GetObject", "s3:DeleteObject"]


def test_the_policy_that_is_returned_suffices(ceph: Server, ceph_bucket: str) -> None:
    refused, _states = run(ceph.as_user(*STRANGER), ceph_bucket, needs=["list", "write", "read", "multipart", "delete"])
    statements = [
        {**one, "Principal": {"AWS": ["arn:aws:iam:::user/stranger"]}} for one in refused["policy"]["Statement"]
    ]
    policy = json.dumps({**refused["policy"], "Statement": statements})
    ceph.client().put_bucket_policy(Bucket=ceph_bucket, Policy=policy)
    assert run(ceph.as_user(*STRANGER), ceph_bucket, needs=["list", "write", "read", "multipart", "delete"])[0]["ok"]


def test_no_policy_where_the_service_has_none(ceph: Server, ceph_bucket: str) -> None:
    stranger = ceph.as_user(*STRANGER)._replace(provider="backblaze")
    result, _states = run(stranger, ceph_bucket, needs=["list"])
    assert "policy" not in result and "Backblaze B2's own means" in result["msg"]


def test_a_key_that_may_write_only(ceph: Server, ceph_bucket: str) -> None:
    allow = {"Effect": "Allow", "Principal": {"AWS": ["arn:aws:iam:::user/stranger"]}, "Action": ["s3:PutObject"]}
    policy = {"Version": "2012-10-17", "Statement": [{**allow, "Resource": [f"arn:aws:s3:::{ceph_bucket}/*"]}]}
    ceph.client().put_bucket_policy(Bucket=ceph_bucket, Policy=json.dumps(policy))
    assert run(ceph.as_user(*STRANGER), ceph_bucket, needs=["write"])[1]["cleanup"] == "failed"


def test_a_missing_bucket(ceph: Server, bucket_name: str) -> None:
    result, states = run(ceph, bucket_name)
    assert result["failed"] and states["bucket"] == "failed" and states["write"] == "unknown"
    result, states = run(ceph, bucket_name, needs=["create_bucket", *ALL])
    assert result["ok"] and states["bucket"] == states["create_bucket"] == states["list"] == "unknown"
    assert "does not exist yet" in result["msg"] and states["public_domain"] == "ok"
    assert run(ceph, "Missing_1", needs=["create_bucket"])[1]["create_bucket"] == "failed"


def test_nobody_answers(ceph: Server, bucket_name: str) -> None:
    result, states = run(ceph, bucket_name, endpoint_url=f"http://127.0.0.1:{free_port()}")
    assert result["failed"] and states["endpoint"] == "failed" and "nothing listens" in result["msg"]
    assert states["credentials"] == "unknown"


def test_all_mistakes_at_once(ceph: Server) -> None:
    wrong: dict[str, Any] = {"provider": "hetzner", "region": "fsn", "endpoint_url": None, "secret_key": None}
    result, states = run(ceph, "Media_1", **wrong, public_url="media.example.org")
    failed = [name for name, state in states.items() if state == "failed"]
    assert failed == ["credentials", "region", "bucket", "public_domain"]
    assert [line.split(":")[0][2:] for line in result["msg"].splitlines()[1:5]] == failed
    result, states = run(
        ceph, "media", endpoint_url=f"http://127.0.0.1:{free_port()}", public_url=f"http://127.0.0.1:{free_port()}"
    )
    assert [name for name, state in states.items() if state == "failed"] == ["endpoint", "public_domain"]


def test_a_machine_without_boto3(ceph: Server, ceph_bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "has_boto3", lambda: False)
    result, states = run(ceph, ceph_bucket, public_url=ceph.endpoint_url)
    assert states["boto3"] == "failed" and "python3-boto3" in details(result)["boto3"]["remedy"]
    assert states["endpoint"] == "unknown" and states["public_domain"] == "ok"


def test_an_old_boto3(ceph: Server, ceph_bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boto3_release, "installed", lambda: {"boto3": "1.19.1", "botocore": "1.22.1"})
    result, states = run(ceph, ceph_bucket, needs=["list"])
    assert (states["boto3"], states["list"]) == ("failed", "ok") and "install boto3 1.20" in result["msg"]


def test_a_domain_that_comes_with_the_bucket(ceph: Server, ceph_bucket: str) -> None:
    """R2 connects one only to a bucket that is there."""
    needs = ["create_bucket", "public_domain"]
    later: dict[str, Any] = {"needs": needs, "provider": "cloudflare_r2", "public_url": "https://media.nowhere.invalid"}
    assert run(ceph, "not-there", **later)[1]["public_domain"] == "unknown"
    assert run(ceph, ceph_bucket, **later)[1]["public_domain"] == "failed"
    assert run(ceph, "not-there", **{**later, "provider": "ceph"})[1]["public_domain"] == "failed"


@dataclass
class Cdn(Fault):
    """What changes answers for browsers: other caching, and every origin."""

    def on_answer(self, request: Request, answer: Message, proxy: Proxy) -> None:
        if request.is_anonymous:
            answer.headers.update({"cache-control": "public, max-age=60", "access-control-allow-origin": "*"})


def test_what_is_worth_a_note_is_no_failure(ceph: Server, ceph_bucket: str) -> None:
    ceph.client().put_bucket_cors(
        Bucket=ceph_bucket, CORSConfiguration={"CORSRules": [{**RULES["CORSRules"][0], "AllowedOrigins": ["*"]}]}
    )
    with Proxy(port_of(ceph), [Rule(Cdn())]) as cdn:
        result, states = run(ceph, ceph_bucket, public_url=f"{cdn.url}/{ceph_bucket}")
    assert states["public_read"] == states["cors"] == "ok"
    assert "max-age=60" in details(result)["public_read"]["detail"]
    assert "every other origin" in details(result)["cors"]["detail"] and "every other origin" in result["msg"]


def test_the_media_of_gramps_web_are_private(ceph: Server, ceph_bucket: str) -> None:
    needs = ["list", "read", "write", "delete", "multipart", "private", "public_list"]
    result, states = run(ceph, ceph_bucket, needs=needs)
    assert result["ok"] and states["private"] == states["public_list"] == "ok" and keys(ceph, ceph_bucket) == []


def test_a_proxy_that_does_not_answer_is_named(ceph: Server, ceph_bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    dead = f"127.0.0.1:{free_port()}"
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, f"http://somebody:s3same@{dead}")
    monkeypatch.setenv("no_proxy", "")
    result, _states = run(ceph, ceph_bucket, endpoint_url="http://objects.example.org")
    assert f"through the proxy {dead}" in details(result)["endpoint"]["detail"] and "s3same" not in str(result)


def test_a_server_of_aws_names_the_region(moto_server: Server, bucket_name: str) -> None:
    ireland = {"LocationConstraint": "eu-west-1"}
    moto_server.client().create_bucket(Bucket=bucket_name, CreateBucketConfiguration=ireland)
    result, states = run(moto_server, bucket_name, needs=["list"], fail=False)
    assert states["region"] == "failed" and "set region to eu-west-1" in result["msg"]
    assert run(moto_server, bucket_name, needs=["list"], region="eu-west-1")[1]["region"] == "ok"


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
    now = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
    set_clock(monkeypatch, now - datetime.timedelta(days=1))
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
