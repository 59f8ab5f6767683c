# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The providers that are played in front of Ceph, looked at with plain boto3: what they refuse, and that they pass on the rest."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any, Callable

import pytest
from ansible_collections.selfhosted.media.plugins.module_utils._s3.checksums import use_content_md5
from ansible_collections.selfhosted.media.tests.playbooks import fetch
from ansible_collections.selfhosted.media.tests.servers import Server
from ansible_collections.selfhosted.media.tests.servers.profiles import (
    CAPABILITIES,
    PROFILES,
    Played,
    capabilities,
    played,
)
from ansible_collections.selfhosted.media.tests.servers.proxy import Answer, Fault, Proxy, Rule, port_of
from ansible_collections.selfhosted.media.tests.servers.quirks import (
    BLOCKS,
    AclOfBucket,
    FirstListing,
    KeyPace,
    LateCors,
    MaxParts,
    ObjectOwnership,
    OpenCors,
    PartsAlike,
    PolicyDialect,
    PublicAccess,
    sub_resource_deletes,
)
from botocore.exceptions import ClientError

MIB = 1024 * 1024
OK = "ok"
ORIGIN = "https://books.example.org"

Call = Callable[[Any, str], Any]


def outcome(call: Call, client: Any, bucket: str) -> str:
    """`ok`, or the error's code."""
    try:
        call(client, bucket)
    except ClientError as exc:
        return str(exc.response["Error"]["Code"])
    return OK


def policy(bucket: str, prefix: str = "images/") -> str:
    allow = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject"}
    statement = {**allow, "Resource": f"arn:aws:s3:::{bucket}/{prefix}*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def cors(*headers: str) -> dict[str, Any]:
    rule = {"AllowedOrigins": [ORIGIN], "AllowedMethods": ["GET", "PUT"], "AllowedHeaders": list(headers)}
    return {"CORSRules": [rule]}


def location(constraint: str) -> dict[str, Any]:
    return {"CreateBucketConfiguration": {"LocationConstraint": constraint}} if constraint else {}


def client_of(server: Server) -> Any:
    """It asks once, and configures with Content-MD5 as boto3 did before 1.36."""
    client = server.client(retries={"max_attempts": 1})
    use_content_md5(client)
    return client


#: What is asked of each provider. Those with `plain` at the end are sent as boto3 sends them by itself since 1.36.
CALLS: dict[str, Call] = {
    "object ACL": lambda c, b: c.put_object(Bucket=b, Key="images/a", Body=b"x", ACL="public-read"),
    "object ACL private": lambda c, b: c.put_object(Bucket=b, Key="images/b", Body=b"x", ACL="private"),
    "PutObjectAcl": lambda c, b: c.put_object_acl(Bucket=b, Key="images/0", ACL="public-read"),
    "PutBucketAcl": lambda c, b: c.put_bucket_acl(Bucket=b, ACL="public-read"),
    "GetBucketPolicy": lambda c, b: c.get_bucket_policy(Bucket=b),
    "PutBucketPolicy": lambda c, b: c.put_bucket_policy(Bucket=b, Policy=policy(b)),
    "GetPublicAccessBlock": lambda c, b: c.get_public_access_block(Bucket=b),
    "GetOwnership": lambda c, b: c.get_bucket_ownership_controls(Bucket=b)["OwnershipControls"]["Rules"][0],
    "PutBucketCors": lambda c, b: c.put_bucket_cors(Bucket=b, CORSConfiguration=cors("content-type")),
    "PutBucketCors *": lambda c, b: c.put_bucket_cors(Bucket=b, CORSConfiguration=cors("*")),
    "PutObject CRC32": lambda c, b: c.put_object(Bucket=b, Key="images/d", Body=b"x", ChecksumAlgorithm="CRC32"),
    "PutBucketCors plain": lambda c, b: c.put_bucket_cors(Bucket=b, CORSConfiguration=cors("content-type")),
    "DeleteObjects plain": lambda c, b: c.delete_objects(Bucket=b, Delete={"Objects": [{"Key": "images/d"}]}),
}
#: Calls of boto3 for a bucket, of which the proxy has to know the names too.
NAMED_BY_BOTO3 = (
    "head_bucket",
    "list_objects",
    "list_objects_v2",
    "list_object_versions",
    "list_multipart_uploads",
    "get_bucket_acl",
    "get_bucket_location",
    "get_bucket_versioning",
    "get_bucket_tagging",
    "get_bucket_website",
    "delete_bucket_website",
    "delete_bucket_cors",
    "delete_bucket_policy",
    "delete_public_access_block",
    "delete_bucket",
)
#: What a provider that is not named below answers: what Ceph answers.
USUAL = {**dict.fromkeys(CALLS, OK), "GetBucketPolicy": "NoSuchBucketPolicy", "GetOwnership": "KeyError"}
CONTROL = ("PutBucketCors plain", "DeleteObjects plain")
NO_POLICIES = {"GetBucketPolicy": "NotImplemented", "PutBucketPolicy": "NotImplemented"}
NEITHER = {"GetPublicAccessBlock": "NotImplemented", "GetOwnership": "NotImplemented"}
NO_CORS = dict.fromkeys(("PutBucketCors", "PutBucketCors *", "PutBucketCors plain"), "NotImplemented")
NO_ACLS = {"PutObjectAcl": "NotImplemented", "PutBucketAcl": "NotImplemented"}
AWS = {
    **dict.fromkeys(
        ("object ACL", "object ACL private", "PutObjectAcl", "PutBucketAcl"), "AccessControlListNotSupported"
    ),
    "PutBucketPolicy": "AccessDenied",
    "GetPublicAccessBlock": OK,
    "GetOwnership": OK,
}
GOOGLE = {
    **dict.fromkeys(NO_CORS, "InvalidArgument"),
    **NO_POLICIES,
    **NEITHER,
}


def checksums(code: str) -> dict[str, str]:
    return dict.fromkeys(("PutObject CRC32", *CONTROL), code)


#: What each profile answers otherwise than Ceph; first to a bucket made again, without a constraint, with its region, with another.
EXPECTED: dict[str, tuple[tuple[str, str, str, str], dict[str, str]]] = {
    "aws": (
        (
            "BucketAlreadyOwnedByYou",
            "IllegalLocationConstraintException",
            OK,
            "InvalidLocationConstraint",
        ),
        AWS,
    ),
    "aws-us-east-1": ((OK, OK, "InvalidLocationConstraint", "InvalidLocationConstraint"), AWS),
    "scaleway": (
        ("BucketAlreadyExists", OK, OK, "InvalidLocationConstraint"),
        {"PutBucketPolicy": "MalformedPolicy", **NEITHER},
    ),
    "digitalocean": (
        ("BucketAlreadyExists", OK, "InvalidLocationConstraint", "InvalidLocationConstraint"),
        {"GetPublicAccessBlock": "NotImplemented"},
    ),
    "linode": (
        (OK, OK, "InvalidLocationConstraint", "InvalidLocationConstraint"),
        checksums("XAmzContentSHA256Mismatch"),
    ),
    "linode-e2": (
        (OK, OK, "InvalidLocationConstraint", "InvalidLocationConstraint"),
        {**checksums("XAmzContentSHA256Mismatch"), **NO_CORS, "PutBucketCors plain": "XAmzContentSHA256Mismatch"},
    ),
    "backblaze": (
        (OK, OK, OK, "InvalidLocationConstraint"),
        {
            "object ACL": "InvalidArgument",
            "PutObjectAcl": "InvalidArgument",
            **checksums("InvalidArgument"),
            **NO_POLICIES,
            **NEITHER,
        },
    ),
    "cloudflare_r2": (
        ("BucketConflict", OK, OK, "InvalidLocationConstraint"),
        {
            "object ACL": "NotImplemented",
            "object ACL private": "NotImplemented",
            **NO_ACLS,
            **checksums("NotImplemented"),
            **NO_POLICIES,
            **NEITHER,
            "PutBucketCors *": "MalformedXML",
        },
    ),
    "google": (
        ("BucketNameUnavailable", OK, "InvalidLocationConstraint", "InvalidLocationConstraint"),
        {**GOOGLE, **checksums("SignatureDoesNotMatch")},
    ),
    "google-uniform": (
        ("BucketNameUnavailable", OK, "InvalidLocationConstraint", "InvalidLocationConstraint"),
        {
            **GOOGLE,
            **dict.fromkeys(("object ACL", "object ACL private", "PutObjectAcl", "PutBucketAcl"), "InvalidArgument"),
            **checksums("SignatureDoesNotMatch"),
        },
    ),
    "wasabi": (
        (OK, "IllegalLocationConstraintException", OK, "IllegalLocationConstraintException"),
        checksums("InvalidRequest"),
    ),
    "hetzner": (
        ("BucketAlreadyExists", OK, OK, "InvalidLocationConstraint"),
        {**checksums("XAmzContentSHA256Mismatch"), "GetOwnership": "NotImplemented"},
    ),
    "ovh": (
        (OK, OK, OK, "InvalidLocationConstraint"),
        {**checksums("InvalidRequest"), **NO_POLICIES, **NEITHER},
    ),
    "exoscale": ((OK, OK, OK, "InvalidLocationConstraint"), NO_POLICIES),
    "vultr": ((OK, OK, "InvalidLocationConstraint", "InvalidLocationConstraint"), {}),
    "ionos": (("BucketAlreadyExists", OK, OK, "InvalidLocationConstraint"), NO_ACLS),
    "storj": (
        ("BucketAlreadyExists", OK, "InvalidLocationConstraint", "InvalidLocationConstraint"),
        {
            **checksums("MissingContentLength"),
            **NO_ACLS,
            **NO_POLICIES,
            **NEITHER,
            **NO_CORS,
            "PutBucketCors plain": "MissingContentLength",
        },
    ),
    "minio": (
        ("BucketAlreadyOwnedByYou", OK, OK, "InvalidRegion"),
        {**NO_ACLS, **NEITHER, **NO_CORS, "DeleteObjects plain": "MissingContentMD5"},
    ),
    "ceph": ((OK, OK, OK, "InvalidLocationConstraint"), {}),
    "garage": ((OK, OK, OK, "InvalidRequest"), {**NO_ACLS, **NO_POLICIES, **NEITHER}),
    "seaweedfs": (
        ("BucketAlreadyOwnedByYou", OK, OK, "InvalidLocationConstraint"),
        {"GetPublicAccessBlock": "NotImplemented", "GetOwnership": OK},
    ),
    "generic": ((OK, OK, "InvalidLocationConstraint", "InvalidLocationConstraint"), NEITHER),
}


def creation(constraint: str, ending: str = "") -> Call:
    return lambda client, bucket: client.create_bucket(Bucket=bucket + ending, **location(constraint))


@contextlib.contextmanager
def bucket_at(play: Played, name: str) -> Iterator[str]:
    """A bucket that was made as the provider wants it."""
    client = client_of(play.server)
    constraints = ("", play.profile.region)
    assert OK in (outcome(creation(constraint), client, name) for constraint in constraints)
    yield name


def test_every_profile_is_looked_at() -> None:
    assert set(EXPECTED) == set(PROFILES)
    for name, profile in PROFILES.items():
        assert {one.capability for one in (*profile.quirks, *profile.host_quirks)} <= set(CAPABILITIES), name
        assert set(profile.not_confirmed) <= set(CAPABILITIES), name
        assert set(capabilities(name).values()) <= {"real", "simulated", "not confirmed"}


def test_requests_are_named_as_boto3_names_them(ceph: Server, bucket_name: str) -> None:
    named: list[str] = []
    with played("ceph", ceph) as play:
        client = client_of(play.server)
        client.meta.events.register("before-call.s3", lambda model, **_words: named.append(model.name))
        client.create_bucket(Bucket=bucket_name)
        client.put_object(Bucket=bucket_name, Key="images/0", Body=b"x")
        for call in CALLS.values():
            with contextlib.suppress(KeyError):
                outcome(call, client, bucket_name)
        upload = client.create_multipart_upload(Bucket=bucket_name, Key="big")["UploadId"]
        big = {"Bucket": bucket_name, "Key": "big", "UploadId": upload}
        source = {"Bucket": bucket_name, "Key": "images/0"}
        calls: list[Call] = [
            lambda c, _b: c.upload_part(**big, PartNumber=1, Body=b"x"),
            lambda c, _b: c.upload_part_copy(**big, PartNumber=2, CopySource=source),
            lambda c, _b: c.list_parts(**big),
            lambda c, _b: c.complete_multipart_upload(**big, MultipartUpload={"Parts": []}),
            lambda c, _b: c.abort_multipart_upload(**big),
            lambda c, b: c.copy_object(Bucket=b, Key="copy", CopySource=source),
            *(lambda c, b, one=one: getattr(c, one)(Bucket=b, Key="copy") for one in ("head_object", "get_object")),
            lambda c, b: c.get_object_acl(Bucket=b, Key="copy"),
            lambda c, b: c.get_object_tagging(Bucket=b, Key="copy"),
            lambda c, b: c.delete_object(Bucket=b, Key="copy"),
            lambda c, _b: c.list_buckets(),
            *(lambda c, b, one=one: getattr(c, one)(Bucket=b) for one in NAMED_BY_BOTO3),
        ]
        for call in calls:
            outcome(call, client, bucket_name)
        assert [one.operation for one in play.proxy.seen()] == named


@pytest.mark.parametrize("name", PROFILES)
def test_a_profile_makes_buckets_as_its_provider_does(name: str, ceph: Server, bucket_name: str) -> None:
    with played(name, ceph) as play, bucket_at(play, bucket_name):
        client, region = client_of(play.server), play.profile.region
        expected = EXPECTED[name][0]
        first = region if expected[2] == OK else ""
        again = outcome(creation(first), client, bucket_name)
        others = [outcome(creation(one, f"-{n}"), client, bucket_name) for n, one in enumerate(("", region, "mars-1"))]
        assert (again, *others) == expected


@pytest.mark.parametrize("name", PROFILES)
def test_a_profile_refuses_what_its_provider_refuses(name: str, ceph: Server, bucket_name: str) -> None:
    with played(name, ceph) as play, bucket_at(play, bucket_name):
        client, plain = client_of(play.server), play.server.client(retries={"max_attempts": 1})
        client.put_object(Bucket=bucket_name, Key="images/0", Body=b"x")
        found = {}
        for said, call in CALLS.items():
            try:
                found[said] = outcome(call, plain if said.endswith("plain") else client, bucket_name)
            except KeyError:  # Ceph answers with a listing to what it does not know
                found[said] = "KeyError"
        assert found == {**USUAL, **EXPECTED[name][1]}


@pytest.mark.parametrize("name", PROFILES)
def test_a_profile_passes_on_what_every_provider_does(name: str, ceph: Server, bucket_name: str) -> None:
    with played(name, ceph) as play, bucket_at(play, bucket_name):
        client = client_of(play.server)
        client.put_object(Bucket=bucket_name, Key="a b/ü", Body=b"abc", ContentType="image/png")
        assert client.get_object(Bucket=bucket_name, Key="a b/ü")["Body"].read() == b"abc"
        assert client.head_object(Bucket=bucket_name, Key="a b/ü")["ContentType"] == "image/png"
        assert client.list_objects_v2(Bucket=bucket_name)["KeyCount"] == 1
        upload = client.create_multipart_upload(Bucket=bucket_name, Key="big")["UploadId"]
        named = {"Bucket": bucket_name, "Key": "big", "UploadId": upload}
        parts = [
            {
                "PartNumber": number,
                "ETag": client.upload_part(**named, PartNumber=number, Body=b"x" * size)["ETag"],
            }
            for number, size in ((1, 5 * MIB), (2, 7))
        ]
        client.complete_multipart_upload(**named, MultipartUpload={"Parts": parts})
        assert client.head_object(Bucket=bucket_name, Key="big")["ContentLength"] == 5 * MIB + 7
        client.delete_objects(Bucket=bucket_name, Delete={"Objects": [{"Key": "a b/ü"}, {"Key": "big"}]})
        client.delete_bucket(Bucket=bucket_name)
        assert outcome(lambda c, b: c.head_bucket(Bucket=b), client, bucket_name) == "404"
        assert not sub_resource_deletes(play.proxy)


# -- one quirk each ----------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def behind(ceph: Server, fault: Fault, **rule: Any) -> Iterator[tuple[Server, Proxy]]:
    with Proxy(port_of(ceph), [Rule(fault, **rule)]) as proxy:
        yield ceph._replace(endpoint_url=proxy.url), proxy


def test_acls_are_accepted_once_the_owner_is_only_preferred(ceph: Server, ceph_bucket: str) -> None:
    with behind(ceph, ObjectOwnership(ceph)) as (server, _proxy):
        client = client_of(server)
        upload = CALLS["object ACL"]
        assert outcome(upload, client, ceph_bucket) == "AccessControlListNotSupported"
        rules = {"Rules": [{"ObjectOwnership": "BucketOwnerPreferred"}]}
        client.put_bucket_ownership_controls(Bucket=ceph_bucket, OwnershipControls=rules)
        assert client.get_bucket_ownership_controls(Bucket=ceph_bucket)["OwnershipControls"] == rules
        assert outcome(upload, client, ceph_bucket) == OK
        assert fetch(f"{ceph.endpoint_url}/{ceph_bucket}/images/a").status == 200
        client.delete_bucket_ownership_controls(Bucket=ceph_bucket)
        gone = outcome(CALLS["GetOwnership"], client, ceph_bucket)
        assert gone == "OwnershipControlsNotFoundError"
        ceph.client().head_bucket(Bucket=ceph_bucket)


@pytest.mark.parametrize(("off", "readable"), [(BLOCKS[:2], False), (BLOCKS[2:3], False), (BLOCKS[2:], True)])
def test_a_policy_makes_public_once_its_blocks_are_off(
    ceph: Server, bucket_name: str, off: tuple[str, ...], readable: bool
) -> None:
    with behind(ceph, PublicAccess(ceph)) as (server, _proxy):
        client = client_of(server)
        client.create_bucket(Bucket=bucket_name)
        shown = client.get_public_access_block(Bucket=bucket_name)["PublicAccessBlockConfiguration"]
        assert shown == dict.fromkeys(BLOCKS, True)
        assert outcome(CALLS["PutBucketPolicy"], client, bucket_name) == "AccessDenied"
        switches = {**dict.fromkeys(BLOCKS, True), **dict.fromkeys(off, False)}
        client.put_public_access_block(Bucket=bucket_name, PublicAccessBlockConfiguration=switches)
        set_policy = outcome(CALLS["PutBucketPolicy"], client, bucket_name)
        assert set_policy == (OK if "BlockPublicPolicy" in off else "AccessDenied")
        client.put_object(Bucket=bucket_name, Key="images/a", Body=b"x")
        public = f"{server.endpoint_url}/{bucket_name}/images/a"
        assert fetch(public).status == (200 if readable else 403)


def test_a_public_acl_is_refused_or_ignored_by_its_blocks(ceph: Server, bucket_name: str) -> None:
    with behind(ceph, PublicAccess(ceph)) as (server, _proxy):
        client = client_of(server)
        client.create_bucket(Bucket=bucket_name)
        assert outcome(CALLS["object ACL"], client, bucket_name) == "AccessDenied"
        assert outcome(CALLS["object ACL private"], client, bucket_name) == OK
        url = f"{server.endpoint_url}/{bucket_name}/images/a"
        for ignored, status in ((True, 403), (False, 200)):
            switches = {**dict.fromkeys(BLOCKS, False), "IgnorePublicAcls": ignored}
            client.put_public_access_block(Bucket=bucket_name, PublicAccessBlockConfiguration=switches)
            assert outcome(CALLS["object ACL"], client, bucket_name) == OK
            assert fetch(url).status == status


def test_a_bucket_that_is_public_as_a_whole_is_not_listed(ceph: Server, ceph_bucket: str) -> None:
    with behind(ceph, AclOfBucket(ceph)) as (server, _proxy):
        client = client_of(server)
        client.put_object(Bucket=ceph_bucket, Key="a", Body=b"x")
        url = f"{server.endpoint_url}/{ceph_bucket}"
        assert fetch(f"{url}/a").status == 403
        client.put_bucket_acl(Bucket=ceph_bucket, ACL="public-read")
        grants = client.get_bucket_acl(Bucket=ceph_bucket)["Grants"]
        assert [one["Permission"] for one in grants if "URI" in one["Grantee"]] == ["READ"]
        assert [fetch(f"{url}/a").status, fetch(url).status] == [200, 403]
        assert outcome(CALLS["object ACL"], client, ceph_bucket) == OK
        assert outcome(CALLS["object ACL private"], client, ceph_bucket) == "InvalidArgument"
        client.put_bucket_acl(Bucket=ceph_bucket, ACL="private")
        assert fetch(f"{url}/a").status == 403


def test_a_policy_in_scaleways_language_locks_the_key_out(ceph: Server, ceph_bucket: str) -> None:
    with behind(ceph, PolicyDialect()) as (server, _proxy):
        client = client_of(server)
        own = {"Version": "2023-04-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject"}]}
        client.put_bucket_policy(Bucket=ceph_bucket, Policy=json.dumps(own))
        listed = outcome(lambda c, b: c.list_objects_v2(Bucket=b), client, ceph_bucket)
        assert listed == "AccessDenied"


@pytest.mark.parametrize("name", ["garage", "cloudflare_r2", "storj"])
def test_a_public_host_serves_objects_and_nothing_else(name: str, ceph: Server, bucket_name: str) -> None:
    with played(name, ceph) as play, bucket_at(play, bucket_name):
        client = client_of(play.server)
        client.put_object(Bucket=bucket_name, Key="images/a", Body=b"x")
        public = play.public_url(bucket_name)
        if name == "garage":
            assert fetch(f"{public}/images/a").status == 404
            website = {"IndexDocument": {"Suffix": "index.html"}}
            client.put_bucket_website(Bucket=bucket_name, WebsiteConfiguration=website)
            assert client.get_bucket_website(Bucket=bucket_name)["IndexDocument"] == website["IndexDocument"]
        assert fetch(f"{public}/images/a").body == b"x"
        assert [fetch(f"{public}/{rest}").status for rest in ("", "?list-type=2", "images/none")] == [404, 404, 404]
        assert fetch(f"{public}/images/a", "DELETE").status == 404
        assert fetch(f"{play.server.endpoint_url}/{bucket_name}/images/a").status == 403


def test_cors_rules_show_and_count_after_a_while(ceph: Server, ceph_bucket: str) -> None:
    late = LateCors(ceph, seconds=600)
    with behind(ceph, late) as (server, _proxy):
        client = client_of(server)
        read: Call = lambda c, b: c.get_bucket_cors(Bucket=b)  # noqa: E731
        asked = {"Origin": ORIGIN, "Access_Control_Request_Method": "GET"}
        client.put_bucket_cors(Bucket=ceph_bucket, CORSConfiguration=cors("content-type"))
        url = f"{server.endpoint_url}/{ceph_bucket}/a"
        assert outcome(read, client, ceph_bucket) == "NoSuchCORSConfiguration"
        assert fetch(url, "OPTIONS", **asked).status == 403
        late.seconds = 0
        assert read(client, ceph_bucket)["CORSRules"][0]["AllowedOrigins"] == [ORIGIN]
        assert fetch(url, "OPTIONS", **asked).status == 200


def test_origins_are_admitted_by_a_setting_of_the_server(ceph: Server, ceph_bucket: str) -> None:
    with behind(ceph, OpenCors(r"https://books\..*")) as (server, _proxy):
        url = f"{server.endpoint_url}/{ceph_bucket}/a"
        for origin, allowed in ((ORIGIN, ORIGIN), ("https://elsewhere.example", None)):
            for method in ("GET", "OPTIONS"):
                answer = fetch(url, method, Origin=origin, Access_Control_Request_Method="GET")
                assert answer.headers.get("access-control-allow-origin") == allowed


def test_a_key_is_not_written_twice_at_once(ceph: Server, ceph_bucket: str) -> None:
    pace = KeyPace(seconds=600)
    with behind(ceph, pace) as (server, _proxy):
        client = client_of(server)
        upload = CALLS["object ACL private"]
        assert [outcome(upload, client, ceph_bucket) for _time in range(2)] == [OK, "TooManyRequests"]
        assert outcome(CALLS["object ACL"], client, ceph_bucket) == OK
        pace.seconds = 0
        assert outcome(upload, client, ceph_bucket) == OK


@pytest.mark.parametrize(
    ("fault", "sizes", "ended"),
    [
        (PartsAlike(), (5 * MIB, 5 * MIB, 1), OK),
        (PartsAlike(), (5 * MIB, 6 * MIB, 1), "InvalidPart"),
        (MaxParts(2), (5 * MIB, 1), OK),
        (MaxParts(2), (5 * MIB, 5 * MIB, 1), "InvalidArgument"),
    ],
)
def test_uploads_in_parts_have_limits(
    ceph: Server, ceph_bucket: str, fault: Fault, sizes: tuple[int, ...], ended: str
) -> None:
    def upload(client: Any, bucket: str) -> None:
        begun = client.create_multipart_upload(Bucket=bucket, Key="big")["UploadId"]
        named = {"Bucket": bucket, "Key": "big", "UploadId": begun}
        parts = [
            {"PartNumber": n, "ETag": client.upload_part(**named, PartNumber=n, Body=b"x" * size)["ETag"]}
            for n, size in enumerate(sizes, 1)
        ]
        client.complete_multipart_upload(**named, MultipartUpload={"Parts": parts})

    with behind(ceph, fault) as (server, _proxy):
        assert outcome(upload, client_of(server), ceph_bucket) == ended


def test_a_service_without_the_second_listing_answers_with_the_first(ceph: Server, ceph_bucket: str) -> None:
    with behind(ceph, FirstListing(ceph)) as (server, _proxy):
        client = client_of(server)
        for key in "abc":
            client.put_object(Bucket=ceph_bucket, Key=key, Body=b"x")
        page = client.list_objects_v2(Bucket=ceph_bucket, MaxKeys=2, StartAfter="a")
        assert [one["Key"] for one in page["Contents"]] == ["a", "b"]
        assert page["IsTruncated"] and not {"KeyCount", "NextContinuationToken"} & set(page)


def test_a_whole_account_refuses_policies(ceph: Server, ceph_bucket: str) -> None:
    with behind(ceph, Answer(403, "AccessDenied"), operation="PutBucketPolicy") as (server, _proxy):
        client = client_of(server)
        assert outcome(CALLS["PutBucketPolicy"], client, ceph_bucket) == "AccessDenied"
        assert outcome(CALLS["GetBucketPolicy"], client, ceph_bucket) == "NoSuchBucketPolicy"


def test_ceph_deletes_a_bucket_for_a_sub_resource_that_it_does_not_know(ceph: Server, ceph_bucket: str) -> None:
    """Why none is ever sent, and how a test sees it."""
    with Proxy(port_of(ceph)) as proxy:
        client = client_of(ceph._replace(endpoint_url=proxy.url))
        client.put_object(Bucket=ceph_bucket, Key="a", Body=b"x")
        client.delete_object(Bucket=ceph_bucket, Key="a")
        upload = client.create_multipart_upload(Bucket=ceph_bucket, Key="a")["UploadId"]
        client.abort_multipart_upload(Bucket=ceph_bucket, Key="a", UploadId=upload)
        assert not sub_resource_deletes(proxy)
        client.delete_bucket_ownership_controls(Bucket=ceph_bucket)
        assert [one.operation for one in sub_resource_deletes(proxy)] == ["DeleteBucketOwnershipControls"]
        assert outcome(lambda c, b: c.head_bucket(Bucket=b), ceph.client(), ceph_bucket) == "404"
