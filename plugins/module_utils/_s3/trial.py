# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which method makes media public at a service of which no source says it: tried with an object of our own, always removed."""

from __future__ import annotations

import contextlib
import secrets
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Optional
from urllib.parse import quote

from ansible_collections.selfhosted.media.plugins.module_utils._s3.aspects import ALL_USERS
from ansible_collections.selfhosted.media.plugins.module_utils._s3.errors import (
    NotAllowed,
    NotSupported,
    NotThere,
    explain,
)
from ansible_collections.selfhosted.media.plugins.module_utils._s3.probe import Question, look
from ansible_collections.selfhosted.media.plugins.module_utils._s3.publication import SID, Policy
from ansible_collections.selfhosted.media.plugins.module_utils._s3.retry import BOTO_ERRORS

if TYPE_CHECKING:
    from ansible_collections.selfhosted.media.plugins.module_utils._s3.providers import Provider
    from types_boto3_s3.client import S3Client


def method_by_trial(
    client: S3Client, provider: Provider, bucket: str, prefix: str, question: Question, may_write: bool
) -> str:
    """The first of the provider's methods that works in this bucket; where none does, or none can be tried, the first of all.

    The URL of the question is what comes before a key in a public URL.
    """
    with contextlib.suppress(NotSupported):
        found = Policy(client, bucket, None).read() or {}
        if any(one.get("Sid") == SID for one in found.get("Statement", []) if isinstance(one, dict)):
            return "policy"  # what was chosen before
    by_acl = _seen_by_acl(client, bucket, prefix, question)
    if by_acl is None and not may_write:
        return provider.public_method
    for method in provider.public_methods:
        if method == "acl" and not (_honours_acl(client, bucket, prefix, question) if by_acl is None else by_acl):
            continue
        if method == "policy" and not _has_policies(client, bucket):
            continue
        return method
    return provider.public_method


def _seen_by_acl(client: S3Client, bucket: str, prefix: str, question: Question) -> Optional[bool]:
    """Whether it is its ACL that lets everybody read an object which is there already; None where that cannot be told."""
    try:
        key = client.list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=1)["Contents"][0]["Key"]
        if look(replace(question, url=f"{question.url.rstrip('/')}/{quote(key)}")).public.status != 200:
            return None
        grants = client.get_object_acl(Bucket=bucket, Key=key)["Grants"]
    except KeyError:
        return None
    except BOTO_ERRORS as exc:
        # one that is public without having an ACL is so by other means
        return None if isinstance(explain(exc, "reading an ACL"), (NotAllowed, NotThere)) else False
    return any(grant.get("Grantee", {}).get("URI") == ALL_USERS for grant in grants)


def _honours_acl(client: S3Client, bucket: str, prefix: str, question: Question) -> bool:
    """Whether everybody can read an object that carries public-read. A URL that does not answer at all tells nothing against it."""
    key, body = f"{prefix}.selfhosted-media-probe-{secrets.token_hex(8)}", secrets.token_hex(16).encode()
    try:
        written: Any = client.put_object(Bucket=bucket, Key=key, Body=body, ContentType="text/plain", ACL="public-read")
    except BOTO_ERRORS:
        return False
    try:
        seen = look(replace(question, url=f"{question.url.rstrip('/')}/{key}", size=len(body)))
        return not seen.public.status or (seen.public.status == 200 and seen.public.size == len(body))
    finally:
        version = written.get("VersionId")
        with contextlib.suppress(*BOTO_ERRORS):
            client.delete_object(Bucket=bucket, Key=key, **({"VersionId": version} if version else {}))


def _has_policies(client: S3Client, bucket: str) -> bool:
    try:
        Policy(client, bucket, {}).read()
    except (NotSupported, NotAllowed):
        return False
    return True
