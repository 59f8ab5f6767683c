# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules at every provider, each played by its profile: a bucket with public media comes about, and nothing else is public."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.selfhosted.media.plugins.module_utils._s3.providers import PROVIDERS
from ansible_collections.selfhosted.media.tests.playbooks import fetch
from ansible_collections.selfhosted.media.tests.run_module import run_module
from ansible_collections.selfhosted.media.tests.servers import Server
from ansible_collections.selfhosted.media.tests.servers.profiles import PROFILES, Played, played
from ansible_collections.selfhosted.media.tests.servers.proxy import Answer, Reorder, Rule, Throttle
from ansible_collections.selfhosted.media.tests.servers.quirks import (
    AclIgnored,
    FirstListing,
    NeedsMd5,
    PublicAccess,
    unwelcome,
)

PREFIXES = ["images/", "static/"]
ORIGIN = "https://www.example.org"
RULES = [
    {
        "allowed_origins": [ORIGIN],
        "allowed_methods": ["GET", "HEAD", "POST", "PUT", "DELETE"],
        "allowed_headers": ["*"],
        "expose_headers": ["Etag"],
        "max_age_seconds": 3000,
    }
]
#: How media are published, where that is not what the provider table begins with.
METHODS = {"google-uniform": "none"}
WHOLE_BUCKET = ("backblaze", "cloudflare_r2", "garage", "google-uniform", "storj")
WITHOUT_CORS = ("google", "google-uniform", "linode-e2", "minio", "storj")


def run(play: Played, module: str, **options: Any) -> dict[str, Any]:
    """What a module that must not fail ends with."""
    result = run_module(module, {**play.server.options, **options})
    assert not result.get("failed"), f"{module}: {result['msg']}"
    return result


def publish(play: Played, bucket: str, **options: Any) -> dict[str, Any]:
    return run(play, "s3_bucket", name=bucket, public_prefixes=PREFIXES, **options)


def upload(play: Played, bucket: str, folder: Path, acl: object) -> None:
    """A small tree below each prefix, checked."""
    for prefix in PREFIXES:
        for name in ("a b.jpg", "covers/ü.png", "empty.css"):
            path = folder / prefix / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(name.encode() if "empty" not in name else b"")
        where = {"path": str(folder / prefix), "bucket": bucket, "prefix": prefix}
        assert run(play, "media_sync", **where, acl=acl)["uploaded"] == 3
        assert run(play, "media_sync", **where, acl=acl)["uploaded"] == 0
        assert run(play, "media_verify", **where, compare="checksum")["verified"] == 3


@pytest.mark.parametrize("name", PROFILES)
def test_media_become_public_and_nothing_else(name: str, ceph: Server, bucket_name: str, tmp_path: Path) -> None:
    provider = PROVIDERS[PROFILES[name].provider]
    with played(name, ceph) as play:
        made = publish(play, bucket_name)
        assert made["changed"] and made["public_method"] == METHODS.get(name, provider.public_method)
        assert made["object_acl"] == ("public-read" if made["public_method"] == "acl" else None)
        assert not publish(play, bucket_name)["changed"]
        upload(play, bucket_name, tmp_path, made["object_acl"])
        ceph.client().put_object(Bucket=bucket_name, Key="exports/secret.tar.gz", Body=b"x")

        public = play.public_url(bucket_name)
        for prefix in PREFIXES:
            assert fetch(f"{public}/{prefix}covers/%C3%BC.png").body == "covers/ü.png".encode()
        refused = {
            fetch(f"{public}{rest}").status for rest in ("", "/", "/?list-type=2&prefix=images/", "/images/none")
        }
        assert refused <= {403, 404}
        assert fetch(f"{public}/exports/secret.tar.gz").status == (200 if name in WHOLE_BUCKET else 403)

        # once media are there, what was found out is seen from them, without another attempt
        so_far = len(play.proxy.seen())
        for check in (True, False):
            options = {**play.server.options, "name": bucket_name, "public_prefixes": PREFIXES}
            again = run_module("s3_bucket", options, check=check)
            assert (again["changed"], again["public_method"]) == (False, made["public_method"])
        assert {one.method for one in play.proxy.seen()[so_far:]} <= {"GET", "HEAD"}

        kept = run_module("s3_bucket", {**play.server.options, "name": bucket_name, "state": "absent"})
        assert kept["failed"] and "is not empty" in kept["msg"]
        assert ceph.client().list_objects_v2(Bucket=bucket_name)["KeyCount"] == 7
        assert nothing_unwelcome(play)


@pytest.mark.parametrize("name", PROFILES)
def test_a_bucket_for_an_application_that_signs_its_urls_is_private(
    name: str, ceph: Server, bucket_name: str, tmp_path: Path
) -> None:
    with played(name, ceph) as play:
        made = run(play, "s3_bucket", name=bucket_name, public_prefixes=[])
        assert made["changed"] and made["object_acl"] is None
        assert not run(play, "s3_bucket", name=bucket_name, public_prefixes=[])["changed"]
        upload(play, bucket_name, tmp_path, None)
        # the owner of the one has published it outside the S3 API
        shown = fetch(f"{play.proxy.url}/{bucket_name}/images/a%20b.jpg").status
        assert shown == (200 if name == "google-uniform" else 403)
        assert nothing_unwelcome(play)


def nothing_unwelcome(play: Played) -> bool:
    """Whether no request was sent that a provider takes amiss."""
    provider = PROVIDERS[play.profile.provider]
    if provider.name != "aws":
        assert not unwelcome(play.proxy)
    created = [one for one in play.proxy.seen("PUT") if one.operation == "CreateBucket"]
    if provider.location_constraint != "probed":
        assert [one.status for one in created] == [200]
    return created[-1].status == 200


@pytest.mark.parametrize("name", PROFILES)
def test_cors_rules_are_set_where_there_are_some(name: str, ceph: Server, bucket_name: str) -> None:
    with played(name, ceph) as play:
        run(play, "s3_bucket", name=bucket_name)
        supported = name not in WITHOUT_CORS
        first = run(play, "s3_cors", bucket=bucket_name, rules=RULES)
        assert (first["changed"], first["supported"]) == (supported, supported)
        second = run(play, "s3_cors", bucket=bucket_name, rules=RULES)
        assert (second["changed"], second["supported"]) == (False, supported)
        answer = fetch(
            f"{play.public_url(bucket_name)}/a",
            "OPTIONS",
            Origin=ORIGIN,
            Access_Control_Request_Method="GET",
            Access_Control_Request_Headers="range",
        )
        # without rules, origins are admitted by other means; at Linode's endpoints of the types E2 and E3 by none
        assert (answer.status == 200) == (name != "linode-e2")
        assert nothing_unwelcome(play)


@pytest.mark.parametrize("name", ["aws", "backblaze", "ionos", "minio", "seaweedfs", "wasabi"])
def test_what_a_bucket_makes_public_becomes_private_again(name: str, ceph: Server, bucket_name: str) -> None:
    with played(name, ceph) as play:
        publish(play, bucket_name)
        ceph.client().put_object(Bucket=bucket_name, Key="images/a", Body=b"x")
        url = f"{play.public_url(bucket_name)}/images/a"
        assert fetch(url).status == 200
        assert run(play, "s3_bucket", name=bucket_name, public_prefixes=[])["changed"]
        assert fetch(url).status == 403
        assert not run(play, "s3_bucket", name=bucket_name, public_prefixes=[])["changed"]
        assert nothing_unwelcome(play)


@pytest.mark.parametrize("name", ["cloudflare_r2", "scaleway", "backblaze"])
def test_a_large_file_goes_in_parts_that_its_provider_takes(
    name: str, ceph: Server, bucket_name: str, tmp_path: Path
) -> None:
    content = b"0123456789abcdef" * (20 * 1024 * 1024 // 16) + b"the end"
    (tmp_path / "archive.zip").write_bytes(content)
    with played(name, ceph) as play:
        acl = publish(play, bucket_name)["object_acl"]
        where = {"path": str(tmp_path), "bucket": bucket_name, "prefix": "images/"}
        assert run(play, "media_sync", **where, acl=acl)["uploaded"] == 1
        assert run(play, "media_verify", **where, compare="checksum")["verified"] == 1
        assert [one for one in play.proxy.seen("PUT") if one.operation == "UploadPart"]
        assert fetch(f"{play.public_url(bucket_name)}/images/archive.zip").body == content
        assert nothing_unwelcome(play)


@pytest.mark.parametrize("name", ["backblaze", "cloudflare_r2", "scaleway"])
def test_content_types_are_mended_right_after_an_upload(name: str, ceph: Server, bucket_name: str) -> None:
    with played(name, ceph) as play:
        acl = publish(play, bucket_name)["object_acl"]
        given = {"ACL": acl} if acl else {}
        play.server.client().put_object(Bucket=bucket_name, Key="static/font.woff2", Body=b"x", **given)
        where = {"bucket": bucket_name, "prefix": "static/", "acl": acl or ""}
        assert run(play, "s3_content_types", **where)["mended"] == 1
        assert run(play, "s3_content_types", **where)["mended"] == 0
        answer = fetch(f"{play.public_url(bucket_name)}/static/font.woff2")
        assert (answer.status, answer.headers["content-type"]) == (200, "font/woff2")


def test_objects_are_published_by_acl_at_aws_too(ceph: Server, bucket_name: str, tmp_path: Path) -> None:
    with played("aws", ceph) as play:
        made = publish(play, bucket_name, public_method="acl")
        assert made["object_acl"] == "public-read"
        assert not publish(play, bucket_name, public_method="acl")["changed"]
        upload(play, bucket_name, tmp_path, made["object_acl"])
        assert fetch(f"{play.public_url(bucket_name)}/images/a%20b.jpg").status == 200


def test_an_account_that_forbids_publication_is_named(ceph: Server, bucket_name: str) -> None:
    with played("aws", ceph) as play:
        # Block Public Access of the account refuses what the bucket's own would let pass
        play.proxy.rules.insert(0, Rule(Answer(403, "AccessDenied"), operation="PutBucketPolicy"))
        result = run_module("s3_bucket", {**play.server.options, "name": bucket_name, "public_prefixes": PREFIXES})
        assert result["failed"] and "AccessDenied" in result["msg"]
        assert "account" in result["msg"] and "public_method: none" in result["msg"]


@pytest.mark.parametrize("name", ["linode", "vultr", "generic"])
def test_where_acls_turn_out_to_be_ignored_a_policy_publishes(
    name: str, ceph: Server, bucket_name: str, tmp_path: Path
) -> None:
    with played(name, ceph) as play:
        play.proxy.rules.insert(0, Rule(AclIgnored(ceph)))
        made = publish(play, bucket_name)
        assert (made["public_method"], made["object_acl"]) == ("policy", None)
        assert not publish(play, bucket_name)["changed"]
        upload(play, bucket_name, tmp_path, None)
        assert fetch(f"{play.public_url(bucket_name)}/images/a%20b.jpg").status == 200
        assert sorted({one.partition("/")[0] for one in keys(ceph, bucket_name)}) == ["images", "static"]


def keys(server: Server, bucket: str) -> list[str]:
    return [one["Key"] for one in server.client().list_objects_v2(Bucket=bucket).get("Contents", [])]


def test_where_acls_are_refused_nothing_is_left_of_the_attempt(ceph: Server, bucket_name: str) -> None:
    with played("generic", ceph) as play:
        play.proxy.rules.insert(0, Rule(Answer(501, "NotImplemented"), header="x-amz-acl"))
        assert publish(play, bucket_name)["public_method"] == "policy"
        assert keys(ceph, bucket_name) == []


def test_every_request_that_configures_has_a_content_md5(ceph: Server, bucket_name: str) -> None:
    """Old MinIO, OVH and others insist on it."""
    configures = ("DeleteObjects", "PutBucketAcl", "PutBucketCors", "PutBucketPolicy", "PutPublicAccessBlock")
    with played("ionos", ceph) as play:
        play.proxy.rules.insert(0, Rule(NeedsMd5((*configures, "PutBucketTagging", "PutBucketVersioning"))))
        run(play, "s3_bucket", name=bucket_name, public_prefixes=PREFIXES, tags={"a": "b"}, versioning=False)
        run(play, "s3_cors", bucket=bucket_name, rules=RULES)
        ceph.client().put_object(Bucket=bucket_name, Key="a", Body=b"x")
        assert run(play, "s3_bucket", name=bucket_name, state="absent", force=True)["changed"]


def test_blocks_that_are_on_are_switched_off_where_a_provider_has_them(ceph: Server, bucket_name: str) -> None:
    with played("ionos", ceph) as play:
        play.proxy.rules[:0] = [Rule(PublicAccess(ceph, default=True))]
        assert publish(play, bucket_name)["changed"]
        ceph.client().put_object(Bucket=bucket_name, Key="images/a", Body=b"x")
        assert fetch(f"{play.public_url(bucket_name)}/images/a").status == 200


def test_listings_out_of_order_are_compared_all_the_same(ceph: Server, bucket_name: str, tmp_path: Path) -> None:
    with played("generic", ceph) as play:
        play.proxy.rules.insert(0, Rule(Reorder(), operation="ListObjectsV2"))
        upload(play, bucket_name, tmp_path, publish(play, bucket_name)["object_acl"])


def test_a_service_with_the_first_listing_only_is_used_or_named(ceph: Server, bucket_name: str, tmp_path: Path) -> None:
    """What fits into one page is known whole; of more, nobody says how to go on, and nothing is taken for missing."""
    with played("generic", ceph) as play:
        listing = FirstListing(ceph)
        play.proxy.rules.insert(0, Rule(listing))
        upload(play, bucket_name, tmp_path, publish(play, bucket_name)["object_acl"])
        listing.most = 2
        before = len(play.proxy.seen("PUT"))
        where = {"path": str(tmp_path / "images"), "bucket": bucket_name, "prefix": "images/"}
        for module in ("media_sync", "media_verify"):
            result = run_module(module, {**play.server.options, **where})
            assert result["failed"] and "not how to go on" in result["msg"]
        assert len(play.proxy.seen("PUT")) == before


@pytest.mark.parametrize(("status", "code"), [(429, "TooManyRequests"), (503, "SlowDown"), (429, "")])
def test_a_service_that_takes_few_requests_is_waited_for(
    status: int, code: str, ceph: Server, bucket_name: str, tmp_path: Path
) -> None:
    with played("vultr", ceph) as play:
        play.proxy.rules.insert(0, Rule(Throttle(status=status, code=code, per_second=8)))
        upload(play, bucket_name, tmp_path, publish(play, bucket_name)["object_acl"])
        run(play, "s3_cors", bucket=bucket_name, rules=RULES)
        assert status in play.proxy.statuses()
