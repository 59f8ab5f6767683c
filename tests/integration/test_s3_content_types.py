# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Content types that an application did not know are mended in place, on Ceph; nothing else is touched."""

from __future__ import annotations

from typing import Any

from ansible_collections.selfhosted.media.tests.run_module import run_module
from ansible_collections.selfhosted.media.tests.servers import Server

OBJECTS: dict[str, dict[str, Any]] = {
    "static/fonts/icons.woff2": {"ContentType": "application/octet-stream", "CacheControl": "max-age=86400"},
    "static/fonts/icons.woff": {"ContentType": "binary/octet-stream", "CacheControl": "max-age=86400"},
    "static/css/site.css": {"ContentType": "text/css", "CacheControl": "max-age=86400"},
    "static/css/odd.css": {"ContentType": "text/x-mine"},
    "static/data.unknown-ending": {"ContentType": "application/octet-stream"},
    "static/packed.svg": {
        "ContentType": "application/octet-stream",
        "ContentEncoding": "gzip",
        "Metadata": {"who": "me"},
    },
    "images/a.woff2": {"ContentType": "application/octet-stream"},
}


def heads(client: Any, bucket: str) -> dict[str, dict[str, Any]]:
    """What can be seen of each object."""
    names = ("ContentType", "CacheControl", "ContentEncoding", "Metadata", "ETag", "LastModified")
    found = {}
    for key in OBJECTS:
        head = client.head_object(Bucket=bucket, Key=key)
        grants = client.get_object_acl(Bucket=bucket, Key=key)["Grants"]
        public = any(grant["Grantee"].get("URI", "").endswith("AllUsers") for grant in grants)
        found[key] = {**{name: head.get(name) for name in names}, "public": public}
    return found


def test_unknown_types_are_mended(ceph: Server, ceph_bucket: str) -> None:
    client = ceph.client()
    for key, headers in OBJECTS.items():
        client.put_object(Bucket=ceph_bucket, Key=key, Body=key.encode(), ACL="public-read", **headers)
    before = heads(client, ceph_bucket)
    options = {**ceph.options, "bucket": ceph_bucket, "prefix": "static/", "acl": "public-read"}

    planned = run_module("s3_content_types", options, check=True, diff=True)
    assert (planned["changed"], planned["mended"]) == (True, 3)
    assert "static/fonts/icons.woff2: font/woff2" in planned["diff"]["after"]
    assert "static/fonts/icons.woff2: application/octet-stream" in planned["diff"]["before"]
    assert heads(client, ceph_bucket) == before

    done = run_module("s3_content_types", options)
    assert (done["changed"], done["mended"]) == (True, 3)
    after = heads(client, ceph_bucket)
    types = {
        "static/fonts/icons.woff2": "font/woff2",
        "static/fonts/icons.woff": "font/woff",
        "static/packed.svg": "image/svg+xml",
    }
    for key, kind in types.items():
        times = {"LastModified": after[key]["LastModified"]}
        assert after[key] == {**before[key], **times, "ContentType": kind}
        assert client.get_object(Bucket=ceph_bucket, Key=key)["Body"].read() == key.encode()
    assert {k: v for k, v in after.items() if k not in types} == {k: v for k, v in before.items() if k not in types}
    assert {item["name"]: item["reason"] for item in done["objects"]} == types

    again = run_module("s3_content_types", options)
    assert (again["changed"], again["mended"]) == (False, 0)


def test_a_bucket_that_is_not_there(ceph: Server, bucket_name: str) -> None:
    options = {**ceph.options, "bucket": bucket_name, "prefix": "static/"}
    assert run_module("s3_content_types", options, check=True)["changed"] is False
    failed = run_module("s3_content_types", options)
    assert failed["failed"] and bucket_name in failed["msg"]


def test_objects_that_may_not_be_changed(ceph: Server, ceph_bucket: str) -> None:
    from ansible_collections.selfhosted.media.tests.servers.ceph import STRANGER

    client = ceph.client()
    client.put_object(
        Bucket=ceph_bucket, Key="static/a.woff2", Body=b"x", ACL="public-read", ContentType="application/octet-stream"
    )
    client.put_bucket_acl(Bucket=ceph_bucket, ACL="public-read")
    stranger = ceph.as_user(*STRANGER)
    failed = run_module("s3_content_types", {**stranger.options, "bucket": ceph_bucket, "prefix": "static/"})
    assert failed["failed"] and "1 objects could not be mended" in failed["msg"] and "static/a.woff2" in failed["msg"]
