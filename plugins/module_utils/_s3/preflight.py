# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A checklist of what could go wrong with a bucket, all at once, before anything changes.

Each mistake leaves as little as possible unknown: what does not depend on it is looked at all the same.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Callable, Optional
from urllib.parse import urlsplit

from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._s3 import boto3_release
from ansible_collections.selfhosted.media.plugins.module_utils._s3.bucket import check_name
from ansible_collections.selfhosted.media.plugins.module_utils._s3.checklist import (
    FAILED,
    PROBED,
    UNKNOWN,
    Checklist,
    Plan,
)
from ansible_collections.selfhosted.media.plugins.module_utils._s3.client import (
    IMPATIENT,
    Connection,
    check,
    check_keys,
    client_of,
    has_boto3,
    session_of,
)
from ansible_collections.selfhosted.media.plugins.module_utils._s3.endpoints import check_endpoint
from ansible_collections.selfhosted.media.plugins.module_utils._s3.preflight_bucket import judge_foreign, look_at_bucket
from ansible_collections.selfhosted.media.plugins.module_utils._s3.preflight_probe import Probe
from ansible_collections.selfhosted.media.plugins.module_utils._s3.preflight_public import Outside, look_at_domain
from ansible_collections.selfhosted.media.plugins.module_utils._s3.publication import arn
from ansible_collections.selfhosted.media.plugins.module_utils._s3.settings import derive

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client

_ON_OBJECTS = {
    "write": ("s3:PutObject",),
    "acl": ("s3:PutObjectAcl",),
    "read": ("s3:GetObject",),
    "multipart": ("s3:PutObject", "s3:AbortMultipartUpload"),
    "delete": ("s3:DeleteObject",),
}


def examine(connection: Connection, plan: Plan, checklist: Checklist) -> str:
    """Look at all that can be looked at. Returns why the rest could not be."""
    _note_boto3(checklist)
    client = _connect(connection, plan, checklist)
    if client is None:
        look_at_domain(plan, checklist, is_bucket_missing=False)
        return "not tried: no connection can be set up with these options"

    def reconnect(region: str) -> S3Client:
        other = replace(connection, region=region)
        return client_of(session_of(other), other, **IMPATIENT)

    client, why = look_at_bucket(client, plan, checklist, reconnect)
    plan = replace(plan, public_url=plan.public_url or _own_public_url(connection, plan, client.meta.region_name))
    if checklist.state("endpoint") == FAILED and _is_at(plan.public_url, client.meta.endpoint_url):
        checklist.unknown(("public_domain",), "not tried: it is at the endpoint")
    is_missing = checklist.state("bucket") == UNKNOWN
    answers = look_at_domain(plan, checklist, is_missing)
    outside = Outside(client, plan, checklist, answers)
    if why is not None:
        return why
    outside.look_at_listing()
    if not plan.may_write:
        judge_foreign(plan, checklist, None)
        return "not tried: in check mode no probe object is written"
    if PROBED & set(plan.needs):
        Probe(client, plan, checklist, outside).run()
    judge_foreign(plan, checklist, None)
    return "not tried, because the probe object could not be written"


def _note_boto3(checklist: Checklist) -> None:
    if has_boto3():
        checklist.add("boto3", *boto3_release.judge(boto3_release.installed()))
    else:
        remedy = (
            "install it: the package python3-boto3 of Debian, Ubuntu or Fedora, py3-boto3 of Alpine, or boto3 by pip"
        )
        checklist.add(
            "boto3", FAILED, "the Python library boto3 is not installed for the Python that Ansible uses", remedy
        )


def _connect(connection: Connection, plan: Plan, checklist: Checklist) -> Optional[S3Client]:
    """A client; or None for options that are not right, each of which is noted."""
    tests: list[tuple[str, Callable[[], object]]] = [
        ("endpoint", lambda: check_endpoint(connection.given_endpoint, plan.bucket)),
        ("endpoint", lambda: connection.known),
        ("region" if plan.provider.endpoint else "endpoint", lambda: connection.endpoint),
        ("credentials", lambda: check_keys(connection)),
        ("endpoint", lambda: check(connection, plan.bucket)),
    ]
    said: set[str] = set()
    for name, test in tests:
        try:
            test()
        except MediaError as exc:
            if str(exc) not in said:
                checklist.failed(name, exc)
            said.add(str(exc))
    if said or not has_boto3():
        try:
            check_name(plan.bucket)
        except MediaError as exc:
            checklist.failed("bucket", exc, "mend its name")
        return None
    try:
        session = session_of(connection)
    except MediaError as exc:
        checklist.failed("credentials", exc)
        return None
    try:
        return client_of(session, connection, **IMPATIENT)
    except MediaError as exc:
        checklist.failed("endpoint", exc)
        return None


def _own_public_url(connection: Connection, plan: Plan, region: str) -> str:
    """The provider's own public URL of the bucket; empty where there is none."""
    try:
        return derive(connection.provider, plan.bucket, region, connection.endpoint).public_url
    except MediaError:
        return ""


def _is_at(url: str, endpoint_url: str) -> bool:
    """Whether a URL is at the endpoint's own host, or at a name before it: then it has the same mistakes."""
    netloc = urlsplit(endpoint_url).netloc
    return urlsplit(url).netloc == netloc or urlsplit(url).netloc.endswith(f".{netloc}")


def policy_for(plan: Plan, region: str) -> dict[str, Any]:
    """The policy document that allows a key what is looked at, and nothing else."""
    on_bucket = [
        action
        for need, action in (("create_bucket", "s3:CreateBucket"), ("list", "s3:ListBucket"))
        if need in plan.needs
    ]
    # the probe object is always removed
    needs = [*plan.needs, *(("write", "delete") if PROBED & set(plan.needs) else ())]
    on_objects = list(
        dict.fromkeys(action for need, actions in _ON_OBJECTS.items() if need in needs for action in actions)
    )
    statements = [
        {"Effect": "Allow", "Action": actions, "Resource": [resource]}
        for actions, resource in (
            (on_bucket, arn(plan.bucket, region)),
            (on_objects, arn(plan.bucket, region, f"{plan.prefix}*")),
        )
        if actions
    ]
    return {"Version": "2012-10-17", "Statement": statements}


def say_what_to_allow(plan: Plan) -> str:
    """What to say where a permission is missing."""
    if plan.provider.policy is False:
        return f"- the key's permissions are given by {plan.provider.title}'s own means, not by a policy"
    return (
        "- the policy document that allows the key all of this is returned as policy; what an application's key needs:"
        f" {{{{ 'bookwyrm' | selfhosted.media.s3_policy(bucket='{plan.bucket}') }}}}"
    )
