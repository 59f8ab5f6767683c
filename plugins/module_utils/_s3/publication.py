# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How media become public, and private again, each service in its own way."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Optional

from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._s3.aspects import (
    BLOCKS,
    Aspect,
    BucketAcl,
    ObjectOwnership,
    PublicAccessBlock,
    Website,
)
from ansible_collections.selfhosted.media.plugins.module_utils._s3.errors import NotAllowed, NotSupported, error_status
from ansible_collections.selfhosted.media.plugins.module_utils._s3.retry import BOTO_ERRORS

if TYPE_CHECKING:
    from ansible_collections.selfhosted.media.plugins.module_utils._s3.providers import Provider
    from types_boto3_s3.client import S3Client

#: Tells our statement from those that others have put into the same policy.
SID = "SelfhostedMediaPublicRead"
#: Tells the statement that says nothing, where a policy may not be without one.
NOTHING = "SelfhostedMediaNothing"
METHODS = ("auto", "policy", "acl", "bucket_acl", "website", "none")


def clean_prefixes(prefixes: list[str]) -> list[str]:
    """The prefixes sorted, each with the slash at its end: `images` alone would publish `images-old/` too."""
    for prefix in prefixes:
        if not prefix.strip("/"):
            raise MediaError(
                "public_prefixes holds an empty prefix, that is the whole bucket; use public_method: bucket_acl for that"
            )
        if prefix.startswith("/"):
            raise MediaError(
                f"public_prefixes: {prefix!r} begins with a slash; no key does. Write {prefix.lstrip('/')!r}"
            )
        if set(prefix) & set("*?$"):
            raise MediaError(f"public_prefixes: {prefix!r} holds a wildcard; name the folder only, such as images/")
    return sorted({prefix.rstrip("/") + "/" for prefix in prefixes})


def method_of(method: str, provider: Provider) -> str:
    """The method in effect, or where the provider table has several the one that is tried first."""
    if method == "policy" and provider.policy_refused:
        raise MediaError(f"public_method: policy is not used at {provider.name}: {provider.policy_refused}; use acl")
    return provider.public_method if method == "auto" else method


def arn(bucket: str, region: str, below: str = "") -> str:
    """The name that a policy has for a bucket, or with a pattern for objects below it."""
    partition = "aws-cn" if region.startswith("cn-") else "aws-us-gov" if region.startswith("us-gov-") else "aws"
    return f"arn:{partition}:s3:::{bucket}/{below}" if below else f"arn:{partition}:s3:::{bucket}"


def statement(bucket: str, prefixes: list[str], region: str) -> dict[str, Any]:
    """The policy statement that lets everybody read, not list, what lies under the prefixes."""
    return {
        "Sid": SID,
        "Effect": "Allow",
        "Principal": "*",
        "Action": ["s3:GetObject"],
        "Resource": [arn(bucket, region, f"{prefix}*") for prefix in prefixes],
    }


def _meaning(one: dict[str, Any]) -> dict[str, Any]:
    """A statement without what servers rewrite: a list of one as a string, the principal's two forms, the order."""

    def as_list(value: Any) -> list[Any]:
        return sorted(value) if isinstance(value, list) else [value]

    principal = one.get("Principal")
    meaning = {**one, "Action": as_list(one.get("Action")), "Resource": as_list(one.get("Resource"))}
    meaning["Principal"] = "*" if principal in ({"AWS": "*"}, {"AWS": ["*"]}, ["*"]) else principal
    return meaning


def merge_policy(policy: Optional[dict[str, Any]], ours: Optional[dict[str, Any]]) -> Optional[dict[str, Any]]:
    """The policy with our statement, or without it when `ours` is None; what others wrote stays. None: no policy is left."""
    found = [] if policy is None else policy.get("Statement", [])
    statements: list[dict[str, Any]] = found if isinstance(found, list) else [found]
    present = [one for one in statements if one.get("Sid") == SID]
    if ours is not None and len(present) == 1 and _meaning(present[0]) == _meaning(ours):
        return policy
    if ours is None and not present:
        return policy
    kept = [one for one in statements if one.get("Sid") != SID]
    if ours is None and not kept:
        return None
    return {**(policy or {"Version": "2012-10-17"}), "Statement": [*kept, ours] if ours else kept}


class Policy(Aspect):
    """The bucket policy, in which one statement is ours."""

    name = "policy"

    def __init__(self, client: S3Client, bucket: str, ours: Optional[dict[str, Any]], may_delete: bool = False) -> None:
        super().__init__(client, bucket)
        self._ours = ours
        self._may_delete = may_delete
        #: the policy that is wanted, once known
        self.left: Any = None

    def read(self, new: bool = False) -> Any:
        try:
            return super().read(new)
        except (NotSupported, NotAllowed):
            if self._ours is not None:
                raise
            return None  # where policies cannot be read, none of ours can have been written

    def get(self) -> Any:
        text = self.client.get_bucket_policy(Bucket=self.bucket)["Policy"]
        try:
            policy: dict[str, Any] = (json.loads(text) if text.strip() else None) or {}
        except ValueError as exc:  # a server that ignores ?policy answers with a listing
            raise NotSupported(
                f"bucket {self.bucket}: the service has no bucket policies; use public_method: acl or bucket_acl"
            ) from exc
        found = policy.get("Statement")
        statements = found if isinstance(found, list) else [found]
        left = [one for one in statements if one and one.get("Sid") != NOTHING]
        return {**policy, "Statement": left} if left else None

    def wanted(self, actual: Any) -> Any:
        self.left = merge_policy(actual, self._ours)
        return self.left

    def write(self, before: Any, after: Any) -> None:
        try:
            super().write(before, after)
        except NotAllowed as exc:
            raise NotAllowed(
                f"{exc}. The key may not set the bucket's policy, or public policies are blocked for the whole account (AWS: Block Public"
                " Access of the account); with a CDN in front of the bucket use public_method: none",
                exc.code,
                exc.status,
            ) from exc

    def put(self, before: Any, after: Any) -> None:
        if after is None and self._may_delete:
            self.client.delete_bucket_policy(Bucket=self.bucket)
            return
        if after is not None:
            self._put(after)
            return
        # A server that does not know a sub-resource takes its DELETE for that of the bucket (Ceph 16.2, rclone): a policy that
        # says nothing does the same. AWS itself, and who follows it closely, wants at least one statement.
        try:
            self._put({"Version": "2012-10-17", "Statement": []})
        except BOTO_ERRORS as exc:
            if error_status(exc) != 400:
                raise
            self._put({"Version": "2012-10-17", "Statement": [self._nothing()]})

    def _put(self, policy: dict[str, Any]) -> None:
        self.client.put_bucket_policy(Bucket=self.bucket, Policy=json.dumps(policy))

    def _nothing(self) -> dict[str, Any]:
        """A statement without effect: it forbids to read one key, which nobody uses."""
        resource = arn(self.bucket, self.client.meta.region_name, NOTHING)
        return {"Sid": NOTHING, "Effect": "Deny", "Principal": "*", "Action": ["s3:GetObject"], "Resource": [resource]}


@dataclass(frozen=True)
class Publication:
    """What of a bucket everybody may read. Prefixes None: publication is left as it is; empty: nothing is public."""

    method: str
    prefixes: Optional[list[str]] = None

    @property
    def method_in_effect(self) -> str:
        return self.method if self.prefixes else "none"

    @property
    def object_acl(self) -> Optional[str]:
        """The canned ACL that uploads must carry to be public."""
        return "public-read" if self.method_in_effect == "acl" else None

    def aspects(self, client: S3Client, provider: Provider, bucket: str) -> list[Aspect]:
        """The settings to look at, in the order in which they have to be written."""
        if self.prefixes is None or self.method == "none":
            return []
        by_policy = self.method == "policy" and bool(self.prefixes)
        ours = statement(bucket, self.prefixes, client.meta.region_name) if by_policy else None
        policy = Policy(client, bucket, ours, may_delete=provider.name == "aws")
        acl = BucketAcl(client, bucket, public=self.method == "bucket_acl" and bool(self.prefixes))
        if self.method == "website":
            return [acl, policy, Website(client, bucket, public=bool(self.prefixes))]
        if not provider.public_access_block:
            return [acl, policy]
        blocks = PublicAccessBlock(
            client, bucket, provider.ownership_controls, lambda: self._switches(provider, policy.left)
        )
        if not self.prefixes:
            return [acl, policy, blocks]
        if self.method in ("acl", "bucket_acl") and provider.ownership_controls:
            return [ObjectOwnership(client, bucket), blocks, acl, policy]
        return [blocks, acl, policy]

    def _switches(self, provider: Provider, policy_left: Any) -> dict[str, bool]:
        """The switches of the public access block that publication needs off, or taking it back on."""
        if self.prefixes:
            by_policy = self.method == "policy"
            needed = (
                ("BlockPublicPolicy", "RestrictPublicBuckets") if by_policy else ("BlockPublicAcls", "IgnorePublicAcls")
            )
            return dict.fromkeys(needed, False)
        if not provider.ownership_controls:
            # Objects keep their public-read: only ignoring it takes publication back. Ceph's other switches refuse private
            # PUTs (BlockPublicAcls) and policies that are not public (BlockPublicPolicy).
            return {} if self.method == "policy" else {"IgnorePublicAcls": True}
        # a policy of somebody else's that stays is not ours to switch off
        return dict.fromkeys(BLOCKS if policy_left is None else ("BlockPublicAcls", "IgnorePublicAcls"), True)
