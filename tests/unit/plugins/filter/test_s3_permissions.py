# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the documents of s3_policy allow, and that the guide shows them as they are."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jinja2
import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.selfhosted.media.plugins.filter.s3_policy import FilterModule
from ansible_collections.selfhosted.media.plugins.module_utils._s3.providers import PROVIDERS
from ansible_collections.selfhosted.media.plugins.module_utils._s3.publication import METHODS

ROOT = Path(__file__).resolve().parents[4]
GUIDE = (ROOT / "docs" / "docsite" / "rst" / "permissions.rst").read_text(encoding="utf-8")
KEYS = ("application", "migration")
OPTIONS = [
    ("bookwyrm", {"exports": "exports", "key": key, "method": method, "provider": provider})
    for provider in PROVIDERS
    for method in METHODS
    for key in KEYS
    if not (method == "policy" and PROVIDERS[provider].policy_refused)
] + [("gramps_web", {"key": key, "provider": provider}) for provider in PROVIDERS for key in KEYS]


def policy(application: str = "bookwyrm", **options: Any) -> dict[str, Any]:
    document: dict[str, Any] = FilterModule().filters()["s3_policy"](application, **{"bucket": "media", **options})
    return document


def allowed(application: str = "bookwyrm", **options: Any) -> set[tuple[str, str]]:
    """All pairs of an action and a resource, without their beginnings."""
    return {
        (action.removeprefix("s3:"), resource.rpartition(":")[2])
        for statement in policy(application, **options)["Statement"]
        for action in statement["Action"]
        for resource in statement["Resource"]
    }


def actions(**options: Any) -> set[str]:
    return {action for action, _resource in allowed(**options)}


@pytest.mark.parametrize(("application", "options"), OPTIONS)
def test_a_document_is_well_formed_and_never_wider_than_the_application_s_own(
    application: str, options: dict[str, str]
) -> None:
    statements = policy(application, **options)["Statement"]
    sids = [statement["Sid"] for statement in statements]
    assert len(set(sids)) == len(sids) and all(sid.isalnum() for sid in sids)
    for statement in statements:
        assert statement["Effect"] == "Allow" and statement["Action"] and statement["Resource"]
        assert len(set(statement["Action"])) == len(statement["Action"])
        assert not [one for one in statement["Action"] if "*" in one]
        for resource in statement["Resource"]:
            bucket, slash, below = resource.removeprefix("arn:aws:s3:::").partition("/")
            assert bucket in ("media", "exports")
            # what has to do with objects names objects, what has to do with the bucket the bucket
            about_objects = {one for one in statement["Action"] if "Object" in one or "Parts" in one or "Abort" in one}
            assert about_objects == (set(statement["Action"]) if slash else set())
            if application == "bookwyrm" and slash:
                assert (
                    below.partition("/")[0] == "exports"
                    if bucket == "exports"
                    else below.startswith(("images/", "static/"))
                )
    assert not {"s3:DeleteBucket", "s3:DeleteBucketPolicy", "s3:ListAllMyBuckets"} & {
        one for statement in statements for one in statement["Action"]
    }


def test_the_application_needs_no_acl_where_a_policy_publishes() -> None:
    assert "PutObjectAcl" not in actions(method="policy")
    assert "PutObjectAcl" not in actions(method="none")
    assert ("PutObjectAcl", "media/images/*") in allowed(method="acl")
    assert ("PutObjectAcl", "media/static/*") in allowed(method="acl")


def test_the_method_is_the_provider_s_unless_given() -> None:
    assert "PutObjectAcl" not in actions(provider="aws")
    assert "PutObjectAcl" in actions(provider="ceph")
    assert "PutBucketPolicy" in actions(provider="aws", key="migration")
    assert "PutBucketPolicy" not in actions(provider="ceph", key="migration")


def test_where_several_methods_are_tried_all_are_allowed() -> None:
    several = next(one for one in PROVIDERS.values() if {"acl", "policy"} <= set(one.public_methods))
    assert {"PutObjectAcl", "PutBucketPolicy"} <= actions(provider=several.name, key="migration")


def test_object_ownership_is_switched_only_where_acls_publish() -> None:
    ownership = {"GetBucketOwnershipControls", "PutBucketOwnershipControls"}
    assert not ownership & actions(key="migration")
    assert ownership <= actions(key="migration", method="acl")
    assert not ownership & actions(key="migration", method="acl", provider="ceph")


def test_exports_are_written_with_an_acl_and_their_bucket_has_to_take_it() -> None:
    assert ("PutObjectAcl", "exports/exports/*") in allowed(exports="exports")
    assert ("PutBucketOwnershipControls", "exports") in allowed(exports="exports", key="migration")
    assert "PutObjectAcl" not in actions(exports="exports", provider="minio")


def test_publication_none_leaves_the_settings_of_the_bucket_alone() -> None:
    assert {one for one in actions(method="none", key="migration") if "Bucket" in one} == {
        "CreateBucket",
        "ListBucket",
        "ListBucketMultipartUploads",
        "GetBucketCORS",
        "PutBucketCORS",
    }


def test_minio_has_no_actions_for_acls_and_cors() -> None:
    """It refuses a document with an action that it does not know (github.com/minio/pkg, policy/action.go)."""
    for key in KEYS:
        assert not [
            one for one in actions(key=key, provider="minio") if "Acl" in one or "CORS" in one or "Public" in one
        ]


def test_no_key_but_bookwyrm_s_own_deletes_media() -> None:
    assert {where for what, where in allowed(key="migration", exports="exports") if what == "DeleteObject"} == {
        "media/images/.selfhosted-media-probe-*",
        "exports/exports/.selfhosted-media-probe-*",
    }
    assert {where for what, where in allowed("gramps_web", prefix="a/b/") if what == "DeleteObject"} == {
        "media/a/b/*media_archives/*",
        "media/a/b/.selfhosted-media-probe-*",
    }


def test_a_prefix_of_gramps_web_bounds_its_objects_and_spares_the_bucket() -> None:
    assert ("GetObject", "media/trees/*") in allowed("gramps_web", prefix="/trees/")
    assert ("GetObject", "media/*") in allowed("gramps_web")
    assert "GetBucketPolicy" in actions(application="gramps_web", key="migration")
    assert "GetBucketPolicy" not in actions(application="gramps_web", key="migration", prefix="trees")
    assert "GetBucketPolicy" not in actions(application="gramps_web", key="migration", method="none")


@pytest.mark.parametrize(
    ("region", "beginning"),
    [("cn-north-1", "arn:aws-cn:s3:::"), ("us-gov-west-1", "arn:aws-us-gov:s3:::"), ("eu-west-1", "arn:aws:s3:::")],
)
def test_the_region_tells_the_partition(region: str, beginning: str) -> None:
    for key in KEYS:
        for statement in policy(exports="exports", key=key, region=region)["Statement"]:
            assert all(one.startswith(beginning) for one in statement["Resource"])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("key", KEYS)
def test_a_document_fits_into_a_managed_policy_of_aws(key: str, method: str) -> None:
    document = policy(bucket="m" * 63, exports="e" * 63, key=key, method=method, region="us-gov-west-1")
    assert len(json.dumps(document, separators=(",", ":"))) < 6144


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"application": "mastodon"}, "application 'mastodon' is not known; known are bookwyrm, gramps_web"),
        ({"key": "root"}, "key 'root' is not known; known are application, migration"),
        ({"method": "magic"}, "method 'magic' is not known"),
        ({"provider": "amazon-web"}, "provider 'amazon-web' is not known"),
        ({"exports": "media"}, "use another one"),
        ({"prefix": "books"}, "prefix is for Gramps Web alone"),
        ({"application": "gramps_web", "exports": "exports"}, "exports is for BookWyrm alone"),
        ({"application": "gramps_web", "prefix": "*"}, "holds a wildcard"),
        ({"bucket": "*"}, "holds a character that no bucket's name has"),
        ({"bucket": ""}, "the bucket's name is missing"),
        ({"exports": "a/*"}, "holds a character that no bucket's name has"),
    ],
)
def test_what_cannot_be_is_said(options: dict[str, str], words: str) -> None:
    with pytest.raises(AnsibleFilterError, match=re.escape(words)):
        policy(**options)


SHOWN = re.findall(
    r"\.\. code-block:: jinja\n\n    (\{\{.*\}\})\n\n\.\. code-block:: json\n\n((?:    .*\n|\n)+)",
    GUIDE,
)


def test_the_guide_shows_both_documents_of_both_applications() -> None:
    assert len(SHOWN) == 4


@pytest.mark.parametrize(("expression", "text"), SHOWN, ids=[expression for expression, _text in SHOWN])
def test_the_guide_shows_what_the_filter_yields(expression: str, text: str) -> None:
    environment = jinja2.Environment(autoescape=False)
    environment.filters["selfhosted.media.s3_policy"] = FilterModule().filters()["s3_policy"]
    environment.filters["to_nice_json"] = json.dumps
    assert json.loads(text) == json.loads(environment.from_string(expression).render())
