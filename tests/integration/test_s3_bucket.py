# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""s3_bucket against real servers: Ceph for what is enforced, moto for AWS's switches, rclone for a service that has little."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any, Optional

import pytest
from ansible_collections.selfhosted.media.tests.run_module import run_ansible, run_module
from ansible_collections.selfhosted.media.tests.servers import Server
from ansible_collections.selfhosted.media.tests.servers.ceph import STRANGER
from ansible_collections.selfhosted.media.tests.servers.proxy import (
    Fault,
    Message,
    Proxy,
    Request,
    Rule,
    error,
    port_of,
)

BLOCKS = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
FOREIGN = {
    "Sid": "Theirs",
    "Effect": "Allow",
    "Principal": {"AWS": ["arn:aws:iam:::user/stranger"]},
    "Action": ["s3:ListBucket"],
    "Resource": ["arn:aws:s3:::NAME"],
}


def run(server: Server, name: str, check: bool = False, **options: Any) -> dict[str, Any]:
    return run_module("s3_bucket", {**server.options, "name": name, **options}, check=check, diff=True)


def status(url: str) -> int:
    """What everybody gets."""
    try:
        with urllib.request.urlopen(url) as response:
            return int(response.status)
    except urllib.error.HTTPError as exc:
        with exc:
            return exc.code


def put(server: Server, bucket: str, *keys: str, **options: Any) -> None:
    for key in keys:
        server.client().put_object(Bucket=bucket, Key=key, Body=b"x", **options)


@dataclass
class WantsStatements(Fault):
    """A policy without statements is refused, as AWS does."""

    def on_request(self, request: Request, proxy: Proxy) -> Optional[Message]:
        is_empty = request.operation == "PutBucketPolicy" and not json.loads(request.body)["Statement"]
        return error(400, "MalformedPolicy") if is_empty else None


@pytest.mark.parametrize("rules", [[], [Rule(WantsStatements())]], ids=["empty", "not empty"])
def test_a_policy_is_taken_back_without_a_deletion(ceph: Server, ceph_bucket: str, rules: list[Rule]) -> None:
    with Proxy(port_of(ceph), rules) as proxy:
        server = ceph._replace(endpoint_url=proxy.url)
        published: dict[str, Any] = {"public_prefixes": ["images/"], "public_method": "policy"}
        assert run(server, ceph_bucket, **published)["changed"]
        put(ceph, ceph_bucket, "images/a.jpg")
        url = f"{ceph.endpoint_url}/{ceph_bucket}/images/a.jpg"
        assert status(url) == 200
        assert run(server, ceph_bucket, public_prefixes=[])["changed"]
        assert status(url) == 403
        assert not run(server, ceph_bucket, public_prefixes=[])["changed"]
        assert run(server, ceph_bucket, **published)["changed"] and status(url) == 200
        assert not run(server, ceph_bucket, **published)["changed"]
        assert not proxy.seen("DELETE")
    statements = json.loads(ceph.client().get_bucket_policy(Bucket=ceph_bucket)["Policy"])["Statement"]
    assert [one["Sid"] for one in statements] == ["SelfhostedMediaPublicRead"]


def test_life_of_a_bucket(any_server: Server, bucket_name: str) -> None:
    announced = run(any_server, bucket_name, check=True)
    assert announced["changed"] and announced["diff"]["before"]["state"] == "absent"
    assert bucket_name not in [bucket["Name"] for bucket in any_server.client().list_buckets()["Buckets"]]
    assert run(any_server, bucket_name)["diff"] == announced["diff"]
    assert not run(any_server, bucket_name)["changed"]
    put(any_server, bucket_name, "a/b")
    kept = run(any_server, bucket_name, state="absent")
    assert kept["failed"] and "is not empty" in kept["msg"]
    assert run(any_server, bucket_name, check=True, state="absent")["msg"] == kept["msg"]
    assert run(any_server, bucket_name, check=True, state="absent", force=True)["changed"]
    assert run(any_server, bucket_name, state="absent", force=True)["changed"]
    assert not run(any_server, bucket_name, state="absent")["changed"]


def test_published_by_acl(ceph: Server, bucket_name: str) -> None:
    result = run(ceph, bucket_name, public_prefixes=["images"])
    assert (result["public_method"], result["object_acl"]) == ("acl", "public-read")
    assert result["public_prefixes"] == ["images/"] and result["region"] == "default"
    put(ceph, bucket_name, "images/a", ACL=result["object_acl"])
    put(ceph, bucket_name, "private/a")
    url = f"{ceph.endpoint_url}/{bucket_name}"
    assert (status(f"{url}/images/a"), status(f"{url}/private/a"), status(url)) == (200, 403, 403)
    assert not run(ceph, bucket_name, public_prefixes=["images/"])["changed"]
    assert run(ceph, bucket_name, public_prefixes=[], check=True)["changed"]
    assert status(f"{url}/images/a") == 200
    assert run(ceph, bucket_name, public_prefixes=[])["changed"]
    assert status(f"{url}/images/a") == 403
    put(ceph, bucket_name, "exports/a", ACL="private")
    assert not run(ceph, bucket_name, public_prefixes=[])["changed"]
    assert run(ceph, bucket_name, public_prefixes=["images/"])["changed"]
    assert status(f"{url}/images/a") == 200


def test_published_by_policy(ceph: Server, bucket_name: str) -> None:
    result = run(ceph, bucket_name, public_prefixes=["images/", "static/"], public_method="policy")
    assert (result["changed"], result["object_acl"]) == (True, None)
    put(ceph, bucket_name, "images/a", "images-old/a", "a")
    url = f"{ceph.endpoint_url}/{bucket_name}"
    assert [status(f"{url}/{key}") for key in ("images/a", "images-old/a", "a", "")] == [200, 403, 403, 403]
    assert not run(ceph, bucket_name, public_prefixes=["static/", "images/"], public_method="policy")["changed"]
    assert run(ceph, bucket_name, public_prefixes=["static/"], public_method="policy")["changed"]
    assert status(f"{url}/images/a") == 403


def test_statements_of_others_stay(ceph: Server, ceph_bucket: str) -> None:
    client = ceph.client()
    theirs = json.loads(json.dumps(FOREIGN).replace("NAME", ceph_bucket))
    client.put_bucket_policy(Bucket=ceph_bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [theirs]}))
    published = run(ceph, ceph_bucket, public_prefixes=["images/"], public_method="policy")
    assert [one["Sid"] for one in published["diff"]["after"]["policy"]["Statement"]] == [
        "Theirs",
        "SelfhostedMediaPublicRead",
    ]
    put(ceph, ceph_bucket, "images/a")
    assert status(f"{ceph.endpoint_url}/{ceph_bucket}/images/a") == 200
    assert ceph.as_user(*STRANGER).client().list_objects_v2(Bucket=ceph_bucket)["KeyCount"] == 1
    assert run(ceph, ceph_bucket, public_prefixes=[])["changed"]
    assert json.loads(client.get_bucket_policy(Bucket=ceph_bucket)["Policy"])["Statement"] == [theirs]
    assert status(f"{ceph.endpoint_url}/{ceph_bucket}/images/a") == 403


def test_the_whole_bucket_and_back(ceph: Server, ceph_bucket: str) -> None:
    url = f"{ceph.endpoint_url}/{ceph_bucket}"
    assert run(ceph, ceph_bucket, public_prefixes=["images/"], public_method="bucket_acl")["changed"]
    assert status(url) == 200
    assert not run(ceph, ceph_bucket, public_prefixes=["images/"], public_method="bucket_acl")["changed"]
    # a bucket that somebody opened by hand is closed, since nobody is to list it
    narrowed = run(ceph, ceph_bucket, public_prefixes=["images/"])
    assert narrowed["diff"]["before"]["bucket_acl"] == "public-read" and status(url) == 403


def test_without_public_prefixes_publication_stays(ceph: Server, ceph_bucket: str) -> None:
    ceph.client().put_bucket_acl(Bucket=ceph_bucket, ACL="public-read")
    assert not run(ceph, ceph_bucket)["changed"]
    assert not run(ceph, ceph_bucket, public_prefixes=["images/"], public_method="none")["changed"]
    assert status(f"{ceph.endpoint_url}/{ceph_bucket}") == 200


def test_versioning_and_tags(ceph: Server, ceph_bucket: str) -> None:
    settings: list[dict[str, Any]] = [
        {"versioning": True},
        {"versioning": False},
        {"tags": {"owner": "books"}},
        {"tags": {"n": 1}},
    ]
    for options in [*settings, {"tags": {}}]:
        assert run(ceph, ceph_bucket, check=True, **options)["changed"], options
        assert run(ceph, ceph_bucket, **options)["changed"], options
        assert not run(ceph, ceph_bucket, **options)["changed"], options
    run(ceph, ceph_bucket, versioning=True)
    put(ceph, ceph_bucket, "a", "a", "b")
    ceph.client().delete_object(Bucket=ceph_bucket, Key="a")
    ceph.client().create_multipart_upload(Bucket=ceph_bucket, Key="c")
    assert run(ceph, ceph_bucket, state="absent")["failed"]
    assert run(ceph, ceph_bucket, state="absent", force=True)["changed"]


@pytest.mark.parametrize("state", ["present", "absent"])
def test_a_foreign_bucket_is_neither_absent_nor_touched(ceph: Server, ceph_bucket: str, state: str) -> None:
    for check in (True, False):
        result = run(
            ceph.as_user(*STRANGER), ceph_bucket, check=check, state=state, force=True, public_prefixes=["images/"]
        )
        assert result["failed"] and "belongs to somebody else" in result["msg"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"access_key": "nobody"}, "InvalidAccessKeyId"),
        ({"secret_key": "wrong"}, "SignatureDoesNotMatch"),
        ({"secret_key": None}, "go together"),
        ({"endpoint_url": "objects.example.org"}, "has no scheme"),
        ({"name": "Media_1"}, "lower-case letters"),
        ({"public_prefixes": ["/"]}, "whole bucket"),
    ],
)
def test_bad_input_has_a_sentence(ceph: Server, bucket_name: str, options: dict[str, Any], said: str) -> None:
    result = run_module("s3_bucket", {**ceph.options, "name": bucket_name, **options})
    assert result["failed"] and said in result["msg"]
    assert ceph.secret_key not in json.dumps(result)


def test_aws_switches_for_a_policy(moto_server: Server, bucket_name: str) -> None:
    client = moto_server.client()
    client.create_bucket(Bucket=bucket_name)
    client.put_public_access_block(Bucket=bucket_name, PublicAccessBlockConfiguration=dict.fromkeys(BLOCKS, True))
    assert run(moto_server, bucket_name, public_prefixes=["images/"])["public_method"] == "policy"
    switches = client.get_public_access_block(Bucket=bucket_name)["PublicAccessBlockConfiguration"]
    assert [switches[name] for name in BLOCKS] == [True, True, False, False]
    assert not run(moto_server, bucket_name, public_prefixes=["images/"])["changed"]
    assert run(moto_server, bucket_name, public_prefixes=[])["changed"]
    switches = client.get_public_access_block(Bucket=bucket_name)["PublicAccessBlockConfiguration"]
    assert all(switches[name] for name in BLOCKS)
    assert not run(moto_server, bucket_name, public_prefixes=[])["changed"]


def test_aws_switches_for_acls(moto_server: Server, bucket_name: str) -> None:
    client = moto_server.client()
    client.create_bucket(Bucket=bucket_name)
    client.put_public_access_block(Bucket=bucket_name, PublicAccessBlockConfiguration=dict.fromkeys(BLOCKS, True))
    enforced = {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    client.put_bucket_ownership_controls(Bucket=bucket_name, OwnershipControls=enforced)
    options: dict[str, Any] = {"public_prefixes": ["images/"], "public_method": "acl"}
    assert run(moto_server, bucket_name, check=True, **options)["changed"]
    assert run(moto_server, bucket_name, **options)["object_acl"] == "public-read"
    rules = client.get_bucket_ownership_controls(Bucket=bucket_name)["OwnershipControls"]["Rules"]
    assert rules == [{"ObjectOwnership": "BucketOwnerPreferred"}]
    switches = client.get_public_access_block(Bucket=bucket_name)["PublicAccessBlockConfiguration"]
    assert [switches[name] for name in BLOCKS] == [False, False, True, True]
    assert not run(moto_server, bucket_name, **options)["changed"]


def test_other_regions_of_aws(moto_server: Server, bucket_name: str) -> None:
    assert run(moto_server, bucket_name, region="eu-central-1")["region"] == "eu-central-1"
    location = moto_server.client().get_bucket_location(Bucket=bucket_name)["LocationConstraint"]
    assert location == "eu-central-1"
    wrong = run(moto_server, bucket_name, region="eu-west-1")
    assert wrong["failed"] and "is in region eu-central-1, not eu-west-1" in wrong["msg"]


@pytest.mark.parametrize("options", [{"public_prefixes": []}, {"public_prefixes": ["images/"]}, {"tags": {}}])
def test_a_service_that_ignores_sub_resources_keeps_its_bucket(
    rclone_server: Server, bucket_name: str, options: dict[str, Any]
) -> None:
    """It takes `DELETE ?policy` for the deletion of the bucket, and shows listings for policies."""
    rclone_server.client().create_bucket(Bucket=bucket_name)
    assert not run(rclone_server, bucket_name, **options)["changed"]
    rclone_server.client().head_bucket(Bucket=bucket_name)


def test_a_service_without_policies_tags_and_versions_says_so(rclone_server: Server, bucket_name: str) -> None:
    rclone_server.client().create_bucket(Bucket=bucket_name)
    by_policy = run(rclone_server, bucket_name, public_prefixes=["images/"], public_method="policy")
    assert "has no bucket policies" in by_policy["msg"]
    assert "does not have this setting" in run(rclone_server, bucket_name, tags={"a": "b"})["msg"]
    assert "NotImplemented" in run(rclone_server, bucket_name, versioning=True)["msg"]


def test_through_ansible_without_a_secret_in_its_output(ceph: Server, bucket_name: str) -> None:
    result = run_ansible(
        "s3_bucket", {**ceph.options, "name": bucket_name, "public_prefixes": ["images/"]}, "-vvv", "--diff"
    )
    assert result["changed"] and result["object_acl"] == "public-read"
    assert ceph.secret_key not in result["_output"]
