# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is written into a bucket's policy, and what of others stays in it."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._s3.providers import PROVIDERS
from ansible_collections.selfhosted.media.plugins.module_utils._s3.publication import (
    Publication,
    clean_prefixes,
    merge_policy,
    method_of,
    statement,
)

OURS = statement("media", ["images/", "static/"], "eu-central-1")
FOREIGN = {
    "Sid": "CloudFront",
    "Effect": "Allow",
    "Principal": {"Service": "cloudfront"},
    "Action": "s3:GetObject",
    "Resource": "*",
}


def test_the_statement_lets_read_and_not_list() -> None:
    assert OURS["Action"] == ["s3:GetObject"]
    assert OURS["Resource"] == ["arn:aws:s3:::media/images/*", "arn:aws:s3:::media/static/*"]


@pytest.mark.parametrize(
    ("region", "partition"), [("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov"), ("default", "aws")]
)
def test_the_partition_of_the_arn(region: str, partition: str) -> None:
    assert statement("media", ["images/"], region)["Resource"] == [f"arn:{partition}:s3:::media/images/*"]


def test_a_policy_is_made_kept_and_removed() -> None:
    made = merge_policy(None, OURS)
    assert made == {"Version": "2012-10-17", "Statement": [OURS]}
    assert merge_policy(made, OURS) is made
    assert merge_policy(made, None) is None
    assert merge_policy(None, None) is None


def test_statements_of_others_stay() -> None:
    policy = {"Version": "2008-10-17", "Id": "theirs", "Statement": [FOREIGN]}
    published = merge_policy(policy, OURS)
    assert published == {"Version": "2008-10-17", "Id": "theirs", "Statement": [FOREIGN, OURS]}
    assert merge_policy(published, None) == policy
    assert merge_policy({**policy, "Statement": FOREIGN}, None) == {**policy, "Statement": FOREIGN}


def test_other_prefixes_replace_our_statement() -> None:
    other = statement("media", ["images/"], "eu-central-1")
    published = merge_policy({"Version": "2012-10-17", "Statement": [other, FOREIGN]}, OURS)
    assert published is not None and published["Statement"] == [FOREIGN, OURS]


@pytest.mark.parametrize(
    "rewritten",
    [
        {"Action": "s3:GetObject"},
        {"Principal": {"AWS": "*"}},
        {"Principal": {"AWS": ["*"]}},
        {"Resource": ["arn:aws:s3:::media/static/*", "arn:aws:s3:::media/images/*"]},
    ],
)
def test_what_servers_rewrite_is_no_difference(rewritten: dict[str, Any]) -> None:
    policy = {"Version": "2012-10-17", "Statement": [{**OURS, **rewritten}]}
    assert merge_policy(policy, OURS) is policy


def test_a_statement_that_somebody_widened_is_put_right() -> None:
    policy = {"Version": "2012-10-17", "Statement": [{**OURS, "Action": ["s3:GetObject", "s3:PutObject"]}]}
    assert merge_policy(policy, OURS) == {"Version": "2012-10-17", "Statement": [OURS]}


def test_prefixes_get_their_slash() -> None:
    assert clean_prefixes(["static", "images/", "images"]) == ["images/", "static/"]


@pytest.mark.parametrize(
    ("prefix", "said"), [("", "whole bucket"), ("/", "whole bucket"), ("/images/", "'images/'"), ("i*/", "wildcard")]
)
def test_prefixes_that_mean_something_else(prefix: str, said: str) -> None:
    with pytest.raises(MediaError) as caught:
        clean_prefixes([prefix])
    assert said in str(caught.value)


def test_the_method_and_the_acl_of_uploads() -> None:
    assert method_of("auto", PROVIDERS["aws"]) == "policy"
    assert method_of("acl", PROVIDERS["aws"]) == "acl"
    assert Publication("acl", ["images/"]).object_acl == "public-read"
    assert Publication("acl", []).object_acl is None
    assert Publication("policy", ["images/"]).object_acl is None
    assert Publication("policy", []).method_in_effect == "none"
