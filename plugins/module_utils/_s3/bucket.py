# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A bucket as a whole: is it there, make it, delete it, bring its settings to the wanted state."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Callable, Optional

from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._s3.aspects import (
    TAKEN,
    Aspect,
    ObjectOwnership,
    Tags,
    Versioning,
)
from ansible_collections.selfhosted.media.plugins.module_utils._s3.differences import DifferenceTracker
from ansible_collections.selfhosted.media.plugins.module_utils._s3.emptying import empty_bucket, holds_anything
from ansible_collections.selfhosted.media.plugins.module_utils._s3.errors import (
    NotAllowed,
    NotThere,
    S3Error,
    explain,
)
from ansible_collections.selfhosted.media.plugins.module_utils._s3.publication import Publication
from ansible_collections.selfhosted.media.plugins.module_utils._s3.retry import BOTO_ERRORS, ask, wait_until

if TYPE_CHECKING:
    from ansible_collections.selfhosted.media.plugins.module_utils._s3.providers import Provider
    from types_boto3_s3.client import S3Client


@dataclass(frozen=True)
class WantedBucket:
    """What an administrator asks for. None leaves a setting as it is."""

    name: str
    publication: Publication
    present: bool = True
    versioning: Optional[bool] = None
    tags: Optional[dict[str, str]] = None
    #: AWS only: whether ACLs of objects count, whatever publication needs
    object_ownership: Optional[str] = None
    force: bool = False


@dataclass
class Outcome:
    """What was, or in check mode would be, done."""

    differences: DifferenceTracker
    region: str
    publication: Publication
    warnings: list[str] = field(default_factory=list)


def look(client: S3Client, name: str) -> Optional[str]:
    """The region of the bucket, None if there is no such bucket. Raises NotAllowed for somebody else's."""
    doing = f"looking at bucket {name}"
    try:
        answer = client.head_bucket(Bucket=name)
    except BOTO_ERRORS as exc:
        error = explain(exc, doing)
        if isinstance(error, NotThere):
            return None
        if not error.status:
            raise error from exc
        _ask_why(client, name)
        return str(client.meta.region_name)
    headers: dict[str, str] = answer["ResponseMetadata"]["HTTPHeaders"]
    return headers.get("x-amz-bucket-region") or str(client.meta.region_name)


def _ask_why(client: S3Client, name: str) -> None:
    """HeadBucket has no body: a listing says whether the key is wrong or the bucket somebody else's."""
    try:
        ask(lambda: client.list_objects_v2(Bucket=name, MaxKeys=1), f"looking at bucket {name}")
    except NotAllowed as exc:
        raise NotAllowed(
            f"bucket {name} exists, but belongs to somebody else or this key may not see it ({exc.code}). Choose another name, or let"
            " the key list the bucket",
            exc.code,
            exc.status,
        ) from exc


def check_name(name: str) -> None:
    """Raise for a name that no S3 service takes for a new bucket."""
    if "/" in name:
        raise MediaError(f"bucket name {name!r} holds a slash; a prefix is a setting of its own")
    if not 3 <= len(name) <= 63:
        raise MediaError(f"bucket name {name!r} has {len(name)} characters; S3 wants 3 to 63")
    if not re.fullmatch(r"[a-z0-9][a-z0-9.-]*[a-z0-9]", name):
        raise MediaError(
            f"bucket name {name!r}: S3 wants lower-case letters, digits, dots and hyphens, a letter or digit at both ends"
        )
    if ".." in name or re.fullmatch(r"\d+\.\d+\.\d+\.\d+", name):
        raise MediaError(f"bucket name {name!r}: S3 wants neither two dots in a row nor the form of an IP address")


#: The service wants a LocationConstraint, or another one (AWS's codes, and those of Ceph, MinIO and Garage).
_WRONG_LOCATION = frozenset(
    {
        "IllegalLocationConstraintException",
        "InvalidLocationConstraint",
        "InvalidRegion",
        "UnspecifiedLocationConstraint",
    }
)


def location_of(provider: Provider, region: str) -> dict[str, Any]:
    """The CreateBucketConfiguration argument of a new bucket, as far as the service is known to want one."""
    if provider.location_constraint != "region" or region in provider.location_omitted_in:
        return {}
    return {"CreateBucketConfiguration": {"LocationConstraint": region}}


def _make(client: S3Client, provider: Provider, name: str) -> None:
    doing, region = f"creating bucket {name}", client.meta.region_name
    try:
        ask(lambda: client.create_bucket(Bucket=name, **location_of(provider, region)), doing)
    except S3Error as exc:
        if provider.location_constraint != "probed" or exc.code not in _WRONG_LOCATION:
            raise
        location: Any = {"LocationConstraint": region}
        ask(lambda: client.create_bucket(Bucket=name, CreateBucketConfiguration=location), doing)


def create(client: S3Client, provider: Provider, name: str) -> None:
    """Create a bucket that `look` did not find.

    Never called for one that is there: in us-east-1 AWS then answers 200 and resets the bucket's ACL.
    """
    try:
        _make(client, provider, name)
    except S3Error as exc:
        if exc.code not in TAKEN:
            raise
        if look(client, name) is None:  # HeadBucket decides: it can have been made meanwhile
            raise S3Error(
                f"bucket {name} cannot be created: the name is taken ({exc.code}); names are shared by all customers of a service,"
                " and some keep a deleted name blocked for a while. Choose another one",
                exc.code,
                exc.status,
            ) from exc
    wait_until(lambda: look(client, name) is not None, f"creating bucket {name}", 30)


def delete(client: S3Client, name: str, force: bool, check: bool) -> None:
    """Delete a bucket that is there; its content only with `force`. In check mode only what forbids it is looked at."""
    if not force and holds_anything(client, name):
        raise MediaError(
            f"bucket {name} is not empty and is kept; force deletes it with all its objects and their versions"
        )
    if check:
        return
    if force:
        empty_bucket(client, name)
    ask(lambda: client.delete_bucket(Bucket=name), f"deleting bucket {name}")
    wait_until(lambda: look(client, name) is None, f"deleting bucket {name}", 30)


def ensure(
    client: S3Client, provider: Provider, wanted: WantedBucket, check: bool, choose: Callable[[bool], str]
) -> Outcome:
    """Bring the bucket to the wanted state, or in check mode say what that would change.

    `choose` says, once the bucket is there, by which method it is published, where that is `auto`; it may write if it is told so.
    """
    region = look(client, wanted.name)
    outcome = Outcome(DifferenceTracker(), region or client.meta.region_name, wanted.publication)
    outcome.differences.add(
        "state", "absent" if region is None else "present", "present" if wanted.present else "absent"
    )
    if not wanted.present:
        if region is not None:
            delete(client, wanted.name, wanted.force, check)
        return outcome
    _refuse_other_region(provider, client.meta.region_name, wanted.name, region)
    if region is None:
        check_name(wanted.name)
        if not check:
            create(client, provider, wanted.name)
    exists = not (check and region is None)
    if wanted.publication.method == "auto":
        method = choose(not check) if exists else provider.public_method
        outcome.publication = replace(wanted.publication, method=method)
    aspects = _aspects(client, provider, replace(wanted, publication=outcome.publication))
    _apply(aspects, outcome, exists=exists, new=region is None, check=check)
    return outcome


def _refuse_other_region(provider: Provider, given: str, name: str, found: Optional[str]) -> None:
    if found and provider.location_constraint == "region" and found != given:
        raise MediaError(f"bucket {name} is in region {found}, not {given}; set region to {found}")


def _aspects(client: S3Client, provider: Provider, wanted: WantedBucket) -> list[Aspect]:
    aspects = wanted.publication.aspects(client, provider, wanted.name)
    if wanted.object_ownership and provider.ownership_controls:
        aspects = [one for one in aspects if not isinstance(one, ObjectOwnership)]
        aspects.insert(0, ObjectOwnership(client, wanted.name, wanted.object_ownership))
    if wanted.versioning is not None:
        aspects.append(Versioning(client, wanted.name, wanted.versioning))
    if wanted.tags is not None:
        aspects.append(Tags(client, wanted.name, wanted.tags))
    return aspects


def _apply(aspects: list[Aspect], outcome: Outcome, exists: bool, new: bool, check: bool) -> None:
    """Read, compare, write and read back one setting after the other: bucket-level calls do not go side by side."""
    for aspect in aspects:
        before = aspect.read(new) if exists else aspect.fresh
        after = aspect.wanted(before)
        if outcome.differences.add(aspect.name, before, after) and not check:
            aspect.write(before, after)
            aspect.settle()
        outcome.warnings += aspect.warnings
