# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""CORS rules as people write them, and what counts as the same."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._s3 import cors

GUIDE = {
    "CORSRules": [
        {
            "AllowedOrigins": ["https://example.org", "https://www.example.org"],
            "AllowedHeaders": ["*"],
            "AllowedMethods": ["GET", "HEAD", "POST", "PUT", "DELETE"],
            "MaxAgeSeconds": 3000,
            "ExposeHeaders": ["Etag"],
        }
    ]
}
RULE = {"allowed_origins": ["https://example.org"], "allowed_methods": ["GET"]}


def test_the_guides_document_and_snake_case_are_one() -> None:
    (rule,) = cors.parse(GUIDE)
    assert rule["max_age_seconds"] == 3000 and rule["expose_headers"] == ["Etag"]
    assert cors.parse([rule]) == [rule]
    assert cors.from_api(cors.to_api([rule])) == [rule]
    assert cors.to_api([rule]) == GUIDE["CORSRules"]


@pytest.mark.parametrize(
    "change",
    [
        {"AllowedMethods": ["PUT", "GET", "DELETE", "POST", "HEAD"]},
        {"ExposeHeaders": ["ETag"]},
        {"ID": "given-by-the-service"},
        {"AllowedOrigins": ["https://www.example.org", "https://example.org"]},
    ],
)
def test_what_servers_rewrite_is_no_difference(change: dict[str, Any]) -> None:
    stored = cors.from_api([{**GUIDE["CORSRules"][0], **change}])
    assert cors.same(cors.parse(GUIDE), stored)


@pytest.mark.parametrize(
    "change",
    [
        {"AllowedMethods": ["GET"]},
        {"ExposeHeaders": []},
        {"MaxAgeSeconds": 1},
        {"AllowedOrigins": ["https://example.org"]},
        {"AllowedHeaders": ["x-a"]},
    ],
)
def test_other_meanings_differ(change: dict[str, Any]) -> None:
    stored = cors.from_api([{**GUIDE["CORSRules"][0], **change}])
    assert not cors.same(cors.parse(GUIDE), stored)


def test_the_order_of_rules_and_a_wanted_id_count() -> None:
    one, other = {**RULE}, {**RULE, "allowed_methods": ["PUT"]}
    assert not cors.same([one, other], [other, one])
    assert not cors.same([{**RULE, "id": "mine"}], [RULE])
    assert not cors.same([RULE], [])


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ([], "at least one rule"),
        ({"Rules": []}, "CORSRules"),
        ({**GUIDE, "Version": 1}, "CORSRules"),
        ("text", "at least one rule"),
        (["text"], "names and values"),
        ([{**RULE, "AllowedMethod": ["GET"]}], "'AllowedMethod' is not known"),
        ([{**RULE, "AllowedMethods": ["GET"]}], "twice"),
        ([{"allowed_methods": ["GET"]}], "allowed_origins (AllowedOrigins) is missing"),
        ([{"allowed_origins": ["*"]}], "allowed_methods (AllowedMethods) is missing"),
        ([{**RULE, "allowed_methods": ["OPTIONS"]}], "'OPTIONS' is not one of"),
        ([{**RULE, "allowed_methods": [1]}], "list of strings"),
        ([{**RULE, "max_age_seconds": "soon"}], "number of seconds"),
        ([{**RULE, "max_age_seconds": True}], "number of seconds"),
        ([{**RULE, "max_age_seconds": -1}], "number of seconds"),
        ([{**RULE, "allowed_origins": ["https://example.org/"]}], "no slash"),
        ([{**RULE, "allowed_origins": ["example.org"]}], "no scheme"),
        ([{**RULE, "allowed_origins": ["https://Example.org"]}], "capitals"),
        ([{**RULE, "allowed_origins": ["https://*.*"]}], "more than one *"),
        ([RULE] * 101, "at most 100"),
    ],
)
def test_nonsense_is_named(document: Any, said: str) -> None:
    with pytest.raises(MediaError) as caught:
        cors.parse(document)
    assert said in str(caught.value)


@pytest.mark.parametrize("origin", ["*", "https://*.example.org", "http://127.0.0.1:8000", "https://*"])
def test_origins_that_are_right(origin: str) -> None:
    assert cors.parse([{**RULE, "allowed_origins": origin}])[0]["allowed_origins"] == [origin]


def test_methods_and_numbers_are_mended() -> None:
    (rule,) = cors.parse([{**RULE, "allowed_methods": ["get"], "max_age_seconds": "60", "expose_headers": None}])
    assert rule["allowed_methods"] == ["GET"] and rule["max_age_seconds"] == 60 and "expose_headers" not in rule
