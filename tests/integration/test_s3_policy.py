# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The documents of s3_policy as user policies of a Ceph gateway, which refuses what they do not allow: a stand-in is moved to S3 and
back with two keys that have nothing else, and each of them is refused what it has no need of."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, NamedTuple
from uuid import uuid4

import boto3
import pytest
from ansible_collections.selfhosted.media.plugins.filter.s3_policy import s3_policy
from ansible_collections.selfhosted.media.tests.playbooks import Outcome, StandIn, fetch, standin
from ansible_collections.selfhosted.media.tests.run_module import run_module
from ansible_collections.selfhosted.media.tests.servers import (
    Server,
    ServerUnavailable,
    free_port,
    running,
    wait_for_http,
)
from ansible_collections.selfhosted.media.tests.servers.ceph import Gateway, gateway
from botocore.exceptions import ClientError

pytestmark = pytest.mark.timeout(900)  # whole playbooks on a busy machine

KEYS = ("application", "migration")
PART = b"p" * 5 * 1024 * 1024


class Buckets(NamedTuple):
    """The bucket of the media, the one of the exports, and somebody else's."""

    media: str
    exports: str
    foreign: str


def make_buckets(owner: Any) -> Buckets:
    """Buckets of the owner's, with something where the keys may go, and where they may not."""
    buckets = Buckets(*(f"{name}-{uuid4().hex[:8]}" for name in Buckets._fields))
    keys = (("images/there", "static/there", "letters/a"), ("exports/there", "private/a"), ("exports/a", "images/a"))
    for bucket, names in zip(buckets, keys):
        owner.create_bucket(Bucket=bucket)
        for name in names:
            owner.put_object(Bucket=bucket, Key=name, Body=b"there")
    return buckets


def policy(buckets: Buckets, key: str, **options: Any) -> dict[str, Any]:
    document: dict[str, Any] = s3_policy(
        "bookwyrm", buckets.media, exports=buckets.exports, key=key, **{"provider": "ceph", **options}
    )
    return document


@dataclass
class Limited:
    """A gateway whose owner made the buckets, and two accounts that may do what their documents say."""

    gateway: Gateway
    servers: dict[str, Server]
    buckets: Buckets

    def client(self, key: str) -> Any:
        return self.servers[key].client()

    @property
    def owner(self) -> Any:
        return self.gateway.server.client()


@pytest.fixture(scope="module")
def limited() -> Iterator[Limited]:
    try:
        with gateway() as running:
            buckets = make_buckets(running.server.client())
            servers = {key: running.make_user(key, f"{key}-key", f"{key}-secret") for key in KEYS}
            for key in KEYS:
                running.allow(key, policy(buckets, key))
            yield Limited(running, servers, buckets)
    except ServerUnavailable as exc:
        pytest.skip(str(exc))


@dataclass
class Moved:
    """A stand-in after its migration with the limited keys."""

    site: StandIn
    run: Outcome


@pytest.fixture(scope="module")
def moved(limited: Limited, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Moved]:
    folder = tmp_path_factory.mktemp("limited") / "bookwyrm"
    with standin(folder, limited.servers["application"], limited.buckets.media, covers=5) as site:
        migration = limited.servers["migration"]
        site.variables["bookwyrm_s3_admin_access_key"] = migration.access_key
        site.variables["bookwyrm_s3_admin_secret_key"] = migration.secret_key
        site.marks.append(migration.secret_key)
        site.variables["bookwyrm_exports_s3_bucket"] = limited.buckets.exports
        (site.folder / "exports" / "old.tar.gz").write_bytes(b"of the disk")
        yield Moved(site, site.play("bookwyrm_migrate"))


def test_the_migration_works_with_both_keys_limited(moved: Moved) -> None:
    assert moved.run.code == 0, moved.run.message
    images = moved.site.images()
    assert len(images) == 15
    assert all(fetch(url).status == 200 for url in [*images, *moved.site.statics()])


def test_the_instance_has_the_keys_of_the_application_alone(moved: Moved) -> None:
    assert moved.site.env["AWS_ACCESS_KEY_ID"] == "application-key"
    assert "migration" not in (moved.site.folder / ".env").read_text()


def test_a_visitor_uploads_and_deletes_a_cover(moved: Moved, limited: Limited) -> None:
    cover = b"\xff\xd8\xff" + b"cover" * 1000
    done = moved.site.upload("limited.jpg", cover)
    assert fetch(moved.site.absolute(done["url"])).body == cover
    moved.site.delete(done["name"])
    with pytest.raises(ClientError, match="404"):
        limited.owner.head_object(Bucket=limited.buckets.media, Key=f"images/{done['name']}")


def test_what_is_missing_is_uploaded_later_with_the_key_of_the_migration(moved: Moved) -> None:
    """Its playbook asks how the bucket is published, which the application's key may not see."""
    run = moved.site.play("bookwyrm_sync", bookwyrm_sync_all="true")
    assert run.code == 0, run.message


def test_a_large_file_goes_up_in_parts_and_one_that_is_given_up_leaves_none(limited: Limited) -> None:
    for key in KEYS:
        client = limited.client(key)
        upload = client.create_multipart_upload(Bucket=limited.buckets.media, Key=f"images/{key}")["UploadId"]
        part = {"Bucket": limited.buckets.media, "Key": f"images/{key}", "UploadId": upload}
        client.upload_part(**part, PartNumber=1, Body=PART)
        client.abort_multipart_upload(**part)
    assert "Uploads" not in limited.client("migration").list_multipart_uploads(Bucket=limited.buckets.media)


def test_an_export_is_made_and_fetched_as_bookwyrm_does_it(limited: Limited) -> None:
    """django-storages writes what goes into the archive, s3_tar reads it there and writes the archive in parts."""
    client = limited.client("application")
    source = {"Bucket": limited.buckets.exports, "Key": "exports/task/archive.json"}
    with pytest.raises(ClientError, match="404"):
        client.head_object(**source)
    client.put_object(**source, Body=b"{}", ACL="private", CacheControl="max-age=86400")
    assert client.head_object(**source) and client.get_object(**source)["Body"].read() == b"{}"
    archive = {"Bucket": limited.buckets.exports, "Key": "exports/task.tar.gz"}
    upload = {**archive, "UploadId": client.create_multipart_upload(**archive)["UploadId"]}
    etag = client.upload_part(**upload, PartNumber=1, Body=b"archive")["ETag"]
    client.complete_multipart_upload(**upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]})
    client.delete_object(**source)
    signed = client.generate_presigned_url("get_object", Params=archive, ExpiresIn=60)
    assert fetch(signed).body == b"archive"
    assert fetch(signed.partition("?")[0]).status == 403


CORS = {"CORSRules": [{"AllowedOrigins": ["https://evil.example"], "AllowedMethods": ["GET"]}]}
EXPIRY = {"Rules": [{"Status": "Enabled", "Prefix": "images/", "Expiration": {"Days": 1}}]}
NO_BLOCKS = dict.fromkeys(("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), False)


def opening(bucket: str) -> str:
    """A policy that lets everybody read everything."""
    allow = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [allow]})


Call = Callable[[Any, Buckets], Any]
#: What neither key may do.
DENIED_TO_BOTH: dict[str, Call] = {
    "delete the bucket": lambda s3, b: s3.delete_bucket(Bucket=b.media),
    "open the bucket by ACL": lambda s3, b: s3.put_bucket_acl(Bucket=b.media, ACL="public-read"),
    "set a policy where ACLs publish": lambda s3, b: s3.put_bucket_policy(Bucket=b.media, Policy=opening(b.media)),
    "delete the policy": lambda s3, b: s3.delete_bucket_policy(Bucket=b.media),
    "switch versioning": lambda s3, b: s3.put_bucket_versioning(
        Bucket=b.media, VersioningConfiguration={"Status": "Suspended"}
    ),
    "let objects expire": lambda s3, b: s3.put_bucket_lifecycle_configuration(
        Bucket=b.media, LifecycleConfiguration=EXPIRY
    ),
    "read elsewhere": lambda s3, b: s3.get_object(Bucket=b.media, Key="letters/a"),
    "write elsewhere": lambda s3, b: s3.put_object(Bucket=b.media, Key="letters/b", Body=b""),
    "write to a folder of a similar name": lambda s3, b: s3.put_object(Bucket=b.media, Key="images-old/a", Body=b""),
    "delete elsewhere": lambda s3, b: s3.delete_object(Bucket=b.media, Key="letters/a"),
    "copy from elsewhere into a public folder": lambda s3, b: s3.copy_object(
        Bucket=b.media, Key="images/letter", CopySource={"Bucket": b.media, "Key": "letters/a"}
    ),
    "list another bucket": lambda s3, b: s3.list_objects_v2(Bucket=b.foreign),
    "read the exports of another": lambda s3, b: s3.get_object(Bucket=b.foreign, Key="exports/a"),
    "write into another bucket": lambda s3, b: s3.put_object(Bucket=b.foreign, Key="images/b", Body=b""),
    "read beside the exports": lambda s3, b: s3.get_object(Bucket=b.exports, Key="private/a"),
    "delete the bucket of the exports": lambda s3, b: s3.delete_bucket(Bucket=b.exports),
    "publish the exports": lambda s3, b: s3.put_bucket_policy(Bucket=b.exports, Policy=opening(b.exports)),
    "open the exports by ACL": lambda s3, b: s3.put_bucket_acl(Bucket=b.exports, ACL="public-read"),
}
#: What the migration does, and the application has no need of.
DENIED_TO_THE_APPLICATION: dict[str, Call] = {
    "set CORS rules": lambda s3, b: s3.put_bucket_cors(Bucket=b.media, CORSConfiguration=CORS),
    "delete CORS rules": lambda s3, b: s3.delete_bucket_cors(Bucket=b.media),
    "read CORS rules": lambda s3, b: s3.get_bucket_cors(Bucket=b.media),
    "read the policy": lambda s3, b: s3.get_bucket_policy(Bucket=b.media),
    "read the bucket's ACL": lambda s3, b: s3.get_bucket_acl(Bucket=b.media),
    "read the blocks": lambda s3, b: s3.get_public_access_block(Bucket=b.media),
    "switch the blocks": lambda s3, b: s3.put_public_access_block(
        Bucket=b.media, PublicAccessBlockConfiguration=NO_BLOCKS
    ),
    "list unfinished uploads": lambda s3, b: s3.list_multipart_uploads(Bucket=b.media),
}
#: What the application does, and the migration has no need of.
DENIED_TO_THE_MIGRATION: dict[str, Call] = {
    "delete media": lambda s3, b: s3.delete_object(Bucket=b.media, Key="images/there"),
    "delete static assets": lambda s3, b: s3.delete_object(Bucket=b.media, Key="static/there"),
    "delete exports": lambda s3, b: s3.delete_object(Bucket=b.exports, Key="exports/there"),
    "set CORS rules of the exports": lambda s3, b: s3.put_bucket_cors(Bucket=b.exports, CORSConfiguration=CORS),
}
CALLS = {**DENIED_TO_BOTH, **DENIED_TO_THE_APPLICATION, **DENIED_TO_THE_MIGRATION}
DENIED = [
    *((key, what) for key in KEYS for what in DENIED_TO_BOTH),
    *(("application", what) for what in DENIED_TO_THE_APPLICATION),
    *(("migration", what) for what in DENIED_TO_THE_MIGRATION),
]


def refusal(call: Call, client: Any, buckets: Buckets) -> str:
    """The code with which a call is refused, nothing if it is not."""
    try:
        call(client, buckets)
    except ClientError as exc:
        return str(exc.response["Error"]["Code"])
    return ""


@pytest.mark.parametrize(("key", "what"), DENIED)
def test_a_key_may_not(limited: Limited, key: str, what: str) -> None:
    assert refusal(CALLS[what], limited.client(key), limited.buckets) == "AccessDenied"


@pytest.mark.parametrize("what", CALLS)
def test_the_owner_may(limited: Limited, what: str) -> None:
    """So that it is the document that refuses, not a call that never works."""
    unset = {"read CORS rules": "NoSuchCORSConfiguration", "read the policy": "NoSuchBucketPolicy"}
    full = {"delete the bucket": "BucketNotEmpty", "delete the bucket of the exports": "BucketNotEmpty"}
    expected = {**unset, **full}.get(what, "")
    assert refusal(CALLS[what], limited.owner, make_buckets(limited.owner)) == expected


def _give_up(s3: Any, b: Buckets) -> None:
    part = {"Bucket": b.media, "Key": "images/parts"}
    s3.abort_multipart_upload(**part, UploadId=s3.create_multipart_upload(**part)["UploadId"])


#: For each action one of the calls that need it, and the key that makes it.
NEEDED: dict[str, tuple[str, Call]] = {
    "s3:ListBucket": ("application", lambda s3, b: s3.list_objects_v2(Bucket=b.media)),
    "s3:GetObject": ("application", lambda s3, b: s3.get_object(Bucket=b.media, Key="images/there")),
    "s3:PutObject": ("application", lambda s3, b: s3.put_object(Bucket=b.media, Key="images/new", Body=b"")),
    "s3:DeleteObject": ("application", lambda s3, b: s3.delete_object(Bucket=b.media, Key="images/there")),
    "s3:AbortMultipartUpload": ("application", _give_up),
    "s3:PutObjectAcl": (
        "application",
        lambda s3, b: s3.put_object_acl(Bucket=b.media, Key="static/there", ACL="public-read"),
    ),
    "s3:ListBucketMultipartUploads": ("migration", lambda s3, b: s3.list_multipart_uploads(Bucket=b.media)),
    "s3:GetBucketCORS": ("migration", lambda s3, b: s3.get_bucket_cors(Bucket=b.media)),
    "s3:PutBucketCORS": ("migration", lambda s3, b: s3.put_bucket_cors(Bucket=b.media, CORSConfiguration=CORS)),
    "s3:GetBucketPolicy": ("migration", lambda s3, b: s3.get_bucket_policy(Bucket=b.media)),
    "s3:PutBucketPolicy": (
        "migration",
        lambda s3, b: s3.put_bucket_policy(Bucket=b.media, Policy=opening(b.media)),
    ),
    "s3:GetBucketAcl": ("migration", lambda s3, b: s3.get_bucket_acl(Bucket=b.media)),
    "s3:PutBucketAcl": ("migration", lambda s3, b: s3.put_bucket_acl(Bucket=b.media, ACL="private")),
    "s3:PutBucketPublicAccessBlock": (
        "migration",
        lambda s3, b: s3.put_public_access_block(Bucket=b.media, PublicAccessBlockConfiguration=NO_BLOCKS),
    ),
}
#: Ceph lets everybody with an account make a bucket, who has begun an upload list its parts, and who may read the policy the blocks.
NOT_ENFORCED_BY_CEPH = {"s3:CreateBucket", "s3:ListMultipartUploadParts", "s3:GetBucketPublicAccessBlock"}
METHOD_OF = {"s3:PutBucketPolicy": "policy", "s3:PutBucketAcl": "bucket_acl"}


@pytest.fixture(scope="module")
def tried(limited: Limited) -> Server:
    """An account whose policy changes from test to test."""
    return limited.gateway.make_user("tried", "tried-key", "tried-secret")


@pytest.mark.parametrize("action", NEEDED)
def test_no_action_can_be_left_out(limited: Limited, tried: Server, action: str) -> None:
    key, call = NEEDED[action]
    buckets, client = make_buckets(limited.owner), tried.client()
    document = policy(buckets, key, method=METHOD_OF.get(action, "acl"))
    without = [
        {**statement, "Action": [one for one in statement["Action"] if one != action] or ["s3:GetObjectTorrent"]}
        for statement in document["Statement"]
    ]
    assert without != document["Statement"]
    limited.gateway.allow("tried", {**document, "Statement": without})
    assert refusal(call, client, buckets) == "AccessDenied"
    limited.gateway.allow("tried", document)
    assert refusal(call, client, buckets) in ("", "NoSuchCORSConfiguration", "NoSuchBucketPolicy")


def test_every_action_of_the_documents_is_tried(limited: Limited) -> None:
    used = {
        action
        for key in KEYS
        for method in ("acl", "policy", "bucket_acl", "none")
        for statement in policy(limited.buckets, key, method=method)["Statement"]
        for action in statement["Action"]
    }
    assert used == {*NEEDED, *NOT_ENFORCED_BY_CEPH}


def test_listing_restricted_to_prefixes_would_make_missing_objects_forbidden(limited: Limited, tried: Server) -> None:
    """Why s3:ListBucket has no condition: no key would be told that a name is free, and HeadBucket would be refused."""
    buckets, client = make_buckets(limited.owner), tried.client()
    document = policy(buckets, "application")
    limited.gateway.allow("tried", document)
    client.head_bucket(Bucket=buckets.media)
    with pytest.raises(ClientError, match="404"):
        client.head_object(Bucket=buckets.media, Key="images/missing")
    find = {**document["Statement"][0], "Condition": {"StringLike": {"s3:prefix": ["images/*", "static/*"]}}}
    limited.gateway.allow("tried", {**document, "Statement": [find, *document["Statement"][1:]]})
    client.list_objects_v2(Bucket=buckets.media, Prefix="images/")
    with pytest.raises(ClientError, match="403"):
        client.head_bucket(Bucket=buckets.media)
    with pytest.raises(ClientError, match="403"):
        client.head_object(Bucket=buckets.media, Key="images/missing")


def test_a_document_for_another_service_may_hold_what_this_one_does_not_know(limited: Limited, tried: Server) -> None:
    """Why the provider counts: Ceph refuses a policy with an action of AWS's alone."""
    with pytest.raises(ClientError):
        limited.gateway.allow("tried", policy(limited.buckets, "migration", provider="aws"))


@pytest.mark.parametrize("method", ["policy", "acl", "bucket_acl", "none"])
def test_the_bucket_is_published_with_what_its_method_needs(limited: Limited, tried: Server, method: str) -> None:
    buckets = make_buckets(limited.owner)
    limited.gateway.allow("tried", policy(buckets, "migration", method=method))
    media = {"name": buckets.media, "public_prefixes": ["images/", "static/"], "public_method": method}
    done = run_module("s3_bucket", {**tried.options, **media})
    assert done.get("public_method") == method, done
    assert not done.get("warnings")
    rules = [{"allowed_origins": ["https://example.org"], "allowed_methods": ["GET"]}]
    assert run_module("s3_cors", {**tried.options, "bucket": buckets.media, "rules": rules})["changed"]
    private = run_module("s3_bucket", {**tried.options, "name": buckets.exports, "public_prefixes": []})
    assert private.get("public_method") == "none", private


GRAMPS = {"provider": "ceph", "prefix": "gramps"}


@pytest.mark.parametrize("key", KEYS)
def test_the_preflight_for_gramps_web_finds_nothing_amiss(limited: Limited, tried: Server, key: str) -> None:
    buckets = make_buckets(limited.owner)
    limited.gateway.allow("tried", s3_policy("gramps_web", buckets.media, key=key, **GRAMPS))
    needs = ["create_bucket", "list", "read", "write", "multipart", "delete"]
    done = run_module("s3_preflight", {**tried.options, "bucket": buckets.media, "prefix": "gramps/", "needs": needs})
    assert done.get("ok") is True, done
    assert "Contents" not in limited.owner.list_objects_v2(Bucket=buckets.media, Prefix="gramps/")


def test_media_of_gramps_web_are_copied_and_verified(limited: Limited, tried: Server, tmp_path: Path) -> None:
    buckets = make_buckets(limited.owner)
    limited.gateway.allow("tried", s3_policy("gramps_web", buckets.media, key="migration", **GRAMPS))
    (tmp_path / "small").write_bytes(b"small")
    (tmp_path / "large").write_bytes(PART * 4)
    tree = {**tried.options, "path": str(tmp_path), "bucket": buckets.media, "prefix": "gramps/"}
    assert run_module("media_sync", {**tree, "overwrite": "never"})["uploaded"] == 2
    assert run_module("media_verify", tree)["verified"] == 2


def test_gramps_web_itself_does_all_that_it_does(limited: Limited, tried: Server) -> None:
    """The calls of its release 3.24: media are looked for, written, listed, fetched; archives that have expired are deleted."""
    buckets, client = make_buckets(limited.owner), tried.client()
    limited.gateway.allow("tried", s3_policy("gramps_web", buckets.media, **GRAMPS))
    for key in ("gramps/0123abcd", "gramps/tree/0123abcd"):
        media = {"Bucket": buckets.media, "Key": key}
        with pytest.raises(ClientError, match="404"):
            client.head_object(**media)
        client.upload_fileobj(io.BytesIO(PART * 2), **media, ExtraArgs={"ContentType": "image/png"})
        assert client.head_object(**media)["ContentLength"] == len(PART) * 2
        assert fetch(client.generate_presigned_url("get_object", Params=media, ExpiresIn=60)).status == 200
    assert client.list_objects_v2(Bucket=buckets.media, Prefix="gramps/")["KeyCount"] == 2
    for key in ("gramps/media_archives/tree/a.zip", "gramps/tree/media_archives/tree/a.zip"):
        client.put_object(Bucket=buckets.media, Key=key, Body=b"zip")
        client.delete_object(Bucket=buckets.media, Key=key)


@pytest.mark.parametrize("key", KEYS)
def test_no_key_of_gramps_web_may_delete_media(limited: Limited, tried: Server, key: str) -> None:
    buckets = make_buckets(limited.owner)
    limited.owner.put_object(Bucket=buckets.media, Key="gramps/0123abcd", Body=b"")
    limited.gateway.allow("tried", s3_policy("gramps_web", buckets.media, key=key, **GRAMPS))
    with pytest.raises(ClientError, match="AccessDenied"):
        tried.client().delete_object(Bucket=buckets.media, Key="gramps/0123abcd")


@pytest.mark.parametrize("key", KEYS)
def test_a_prefix_of_gramps_web_keeps_it_from_the_rest_of_the_bucket(limited: Limited, tried: Server, key: str) -> None:
    buckets, client = make_buckets(limited.owner), tried.client()
    limited.gateway.allow("tried", s3_policy("gramps_web", buckets.media, key=key, **GRAMPS))
    for call in (client.get_object, client.put_object, client.delete_object):
        with pytest.raises(ClientError, match="AccessDenied"):
            call(Bucket=buckets.media, Key="letters/a")


@pytest.fixture(scope="module")
def iam(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Server]]:
    """moto with the documents for AWS enforced, as a process of its own: the switch is global.

    It knows no action for HeadBucket, the blocks and Object Ownership, so it asks for HeadBucket, ListBucket and CreateBucket there.
    """
    port, users, head = free_port(), {}, {"Effect": "Allow", "Action": "s3:HeadBucket", "Resource": "*"}
    # three calls for each key are made before it begins to ask who may
    environment = {**os.environ, "INITIAL_NO_AUTH_ACTION_COUNT": str(3 * len(KEYS))}
    command = [str(Path(sys.executable).with_name("moto_server")), "-H", "127.0.0.1", "-p", str(port)]
    with running(command, tmp_path_factory.mktemp("iam") / "log", env=environment) as process:
        url = f"http://127.0.0.1:{port}"
        wait_for_http(f"{url}/moto-api/", process)
        admin = boto3.client(
            "iam", endpoint_url=url, aws_access_key_id="any", aws_secret_access_key="any", region_name="us-east-1"
        )
        for key in KEYS:
            document = s3_policy("bookwyrm", "books", exports="exports", key=key)
            document["Statement"].append(head)
            admin.create_user(UserName=key)
            admin.put_user_policy(UserName=key, PolicyName="limits", PolicyDocument=json.dumps(document))
            made = admin.create_access_key(UserName=key)["AccessKey"]
            users[key] = Server(url, made["AccessKeyId"], made["SecretAccessKey"], "aws")
        yield users


def test_the_migration_makes_and_publishes_the_buckets_on_aws(iam: dict[str, Server]) -> None:
    media = {**iam["migration"].options, "name": "books", "public_prefixes": ["images/", "static/"]}
    assert run_module("s3_bucket", media)["public_method"] == "policy"
    private = {**iam["migration"].options, "name": "exports", "public_prefixes": []}
    assert run_module("s3_bucket", private)["changed"]
    rules = [{"allowed_origins": ["https://example.org"], "allowed_methods": ["GET"]}]
    assert run_module("s3_cors", {**iam["migration"].options, "bucket": "books", "rules": rules})["changed"]
    assert not run_module("s3_bucket", media)["changed"]


@pytest.mark.parametrize(
    ("key", "name"), [("application", "books"), ("application", "exports"), ("migration", "other")]
)
def test_no_other_bucket_is_made_and_none_by_the_application(iam: dict[str, Server], key: str, name: str) -> None:
    with pytest.raises(ClientError, match="AccessDenied"):
        iam[key].client().create_bucket(Bucket=name)


def test_the_way_back_works_with_both_keys_limited(moved: Moved) -> None:
    back = moved.site.play("bookwyrm_rollback")
    assert back.code == 0, back.message
    assert len(moved.site.images()) == 15 and moved.site.env["USE_S3"] == "false"
