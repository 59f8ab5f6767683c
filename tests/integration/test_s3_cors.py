# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""s3_cors against real servers; what browsers get from the rules is in test_media_probe."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.selfhosted.media.tests.run_module import run_ansible, run_module
from ansible_collections.selfhosted.media.tests.servers import Server
from ansible_collections.selfhosted.media.tests.servers.ceph import STRANGER

GUIDE = {
    "CORSRules": [
        {
            "AllowedOrigins": ["https://www.example.org", "https://example.org"],
            "AllowedHeaders": ["*"],
            "AllowedMethods": ["GET", "HEAD", "POST", "PUT", "DELETE"],
            "MaxAgeSeconds": 3000,
            "ExposeHeaders": ["Etag"],
        }
    ]
}


def run(server: Server, bucket: str, check: bool = False, **options: Any) -> dict[str, Any]:
    return run_module("s3_cors", {**server.options, "bucket": bucket, **options}, check=check, diff=True)


def stored(server: Server, bucket: str) -> Any:
    return server.client().get_bucket_cors(Bucket=bucket)["CORSRules"]


@pytest.mark.parametrize("name", ["ceph", "moto_server"])
def test_life_of_the_rules(name: str, bucket_name: str, request: pytest.FixtureRequest) -> None:
    server: Server = request.getfixturevalue(name)
    client = server.client()
    client.create_bucket(Bucket=bucket_name)
    assert run(server, bucket_name, check=True, rules=GUIDE)["diff"]["before"] == {"rules": []}
    with pytest.raises(client.exceptions.ClientError, match="NoSuchCORSConfiguration"):
        client.get_bucket_cors(Bucket=bucket_name)
    made = run(server, bucket_name, rules=GUIDE)
    assert made["changed"] and made["supported"]
    assert made["rules"][0]["max_age_seconds"] == 3000 and set(made["rules"][0]["allowed_methods"]) >= {"GET", "DELETE"}
    assert not run(server, bucket_name, rules=GUIDE)["changed"]
    assert not run(server, bucket_name, rules=made["rules"])["changed"]
    (rule,) = stored(server, bucket_name)
    assert rule["AllowedHeaders"] == ["*"] and rule["ExposeHeaders"] == ["Etag"]
    other = [{"allowed_origins": ["https://example.org"], "allowed_methods": ["GET"]}]
    assert (
        run(server, bucket_name, rules=other)["changed"] and len(stored(server, bucket_name)[0]["AllowedMethods"]) == 1
    )
    assert run(server, bucket_name, check=True, state="absent")["changed"] and stored(server, bucket_name)
    assert run(server, bucket_name, state="absent")["changed"]
    assert not run(server, bucket_name, state="absent")["changed"]
    client.head_bucket(Bucket=bucket_name)


def test_the_guides_file(ceph: Server, ceph_bucket: str, tmp_path: Path) -> None:
    src = tmp_path / "cors.json"
    src.write_text(json.dumps(GUIDE))
    assert run(ceph, ceph_bucket, src=str(src))["changed"]
    assert not run(ceph, ceph_bucket, rules=json.dumps(GUIDE))["changed"]
    src.write_text("{")
    assert "is not JSON" in run(ceph, ceph_bucket, src=str(src))["msg"]
    assert "cannot be read: No such file" in run(ceph, ceph_bucket, src=str(tmp_path / "other"))["msg"]


def test_a_missing_bucket(ceph: Server, bucket_name: str) -> None:
    assert run(ceph, bucket_name, check=True, rules=GUIDE)["changed"]
    assert not run(ceph, bucket_name, check=True, state="absent")["changed"]
    assert "there is no such bucket" in run(ceph, bucket_name, rules=GUIDE)["msg"]
    assert run(ceph, bucket_name, state="absent")["failed"]


@pytest.mark.parametrize("options", [{"rules": GUIDE}, {"state": "absent"}])
def test_errors_are_not_taken_for_unset(ceph: Server, ceph_bucket: str, options: dict[str, Any]) -> None:
    assert "AccessDenied" in run(ceph.as_user(*STRANGER), ceph_bucket, **options)["msg"]
    assert "SignatureDoesNotMatch" in run(ceph._replace(secret_key="wrong"), ceph_bucket, **options)["msg"]


@pytest.mark.parametrize("options", [{"rules": GUIDE}, {"state": "absent"}])
def test_a_service_without_rules(rclone_server: Server, bucket_name: str, options: dict[str, Any]) -> None:
    """It answers 409 to the PUT, takes the DELETE for that of the bucket, and makes a missing bucket of the PUT."""
    rclone_server.client().create_bucket(Bucket=bucket_name)
    for _time in range(2):
        result = run(rclone_server, bucket_name, **options)
        assert not result["changed"] and not result["supported"] and result["warnings"]
    rclone_server.client().head_bucket(Bucket=bucket_name)


def test_a_provider_without_rules_in_check_mode(rclone_server: Server, bucket_name: str) -> None:
    rclone_server.client().create_bucket(Bucket=bucket_name)
    result = run(rclone_server, bucket_name, check=True, rules=GUIDE, provider="minio")
    assert not result["changed"] and not result["supported"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "state is present but any of"),
        ({"rules": GUIDE, "src": "/x"}, "mutually exclusive"),
        ({"rules": [{}]}, "is missing"),
    ],
)
def test_bad_input_has_a_sentence(ceph: Server, ceph_bucket: str, options: dict[str, Any], said: str) -> None:
    assert said in run(ceph, ceph_bucket, **options)["msg"]


def test_through_ansible(ceph: Server, ceph_bucket: str) -> None:
    assert run_ansible("s3_cors", {**ceph.options, "bucket": ceph_bucket, "rules": GUIDE})["changed"]
