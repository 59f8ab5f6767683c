# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings of a bucket, one class each: how it is read, what is wanted of it, how it is written.

A sub-resource is deleted only after a GET has just returned it. A server that does not know a sub-resource ignores it: it answers
`GET ?policy` with a listing, and takes `DELETE ?policy` for the deletion of the bucket (seen with `rclone serve s3`; Ceph does so
with ownershipControls and others).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Optional

from ansible_collections.selfhosted.media.plugins.module_utils._s3.errors import (
    NotAllowed,
    NotSupported,
    NotThere,
    S3Error,
)
from ansible_collections.selfhosted.media.plugins.module_utils._s3.retry import ask, wait_until

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client

_JUST_MADE = frozenset({"NoSuchBucket"})
#: The name is taken; some services answer so for one's own bucket. To the PUT of a sub-resource it is the answer of a server that
#: does not know the sub-resource and takes the request for the creation of the bucket.
TAKEN = frozenset({"BucketAlreadyExists", "BucketAlreadyOwnedByYou", "BucketNameUnavailable", "BucketConflict"})
ALL_USERS = "http://acs.amazonaws.com/groups/global/AllUsers"
BLOCKS = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")


class Aspect:
    """One setting of one bucket. A value is plain data; None means that it is not set."""

    name = ""
    #: the value that a new bucket has, for check mode
    fresh: Any = None

    def __init__(self, client: S3Client, bucket: str) -> None:
        self.client = client
        self.bucket = bucket
        self.warnings: list[str] = []

    def read(self, new: bool = False) -> Any:
        """What the service says; for a bucket just made, asked again while it does not find the bucket."""
        doing = f"reading the {self.name.replace('_', ' ')} of bucket {self.bucket}"
        try:
            return ask(self.get, doing, _JUST_MADE if new else frozenset())
        except NotThere as exc:
            if exc.code == "NoSuchBucket":
                raise
            return None

    def get(self) -> Any:
        raise NotImplementedError

    def wanted(self, actual: Any) -> Any:
        raise NotImplementedError

    def put(self, before: Any, after: Any) -> None:
        raise NotImplementedError

    def write(self, before: Any, after: Any) -> None:
        doing = f"setting the {self.name.replace('_', ' ')} of bucket {self.bucket}"
        try:
            ask(lambda: self.put(before, after), doing)
        except S3Error as exc:
            if exc.code in TAKEN:
                raise NotSupported(
                    f"{doing} failed: the service does not have this setting", exc.code, exc.status
                ) from exc
            raise

    def settle(self) -> None:
        """Read back until nothing more is wanted."""

        def settled() -> bool:
            actual = self.read()
            return bool(self.wanted(actual) == actual)

        wait_until(settled, f"setting the {self.name.replace('_', ' ')} of bucket {self.bucket}")


class Versioning(Aspect):
    name = "versioning"
    fresh = False

    def __init__(self, client: S3Client, bucket: str, enabled: bool) -> None:
        super().__init__(client, bucket)
        self._enabled = enabled

    def get(self) -> bool:
        return self.client.get_bucket_versioning(Bucket=self.bucket).get("Status") == "Enabled"

    def wanted(self, actual: Any) -> bool:
        return self._enabled

    def put(self, before: Any, after: Any) -> None:
        self.client.put_bucket_versioning(
            Bucket=self.bucket, VersioningConfiguration={"Status": "Enabled" if after else "Suspended"}
        )


class Tags(Aspect):
    """All tags of the bucket; those that are not wanted go."""

    name = "tags"

    def __init__(self, client: S3Client, bucket: str, tags: dict[str, str]) -> None:
        super().__init__(client, bucket)
        self._tags = tags

    def get(self) -> dict[str, str]:
        return {
            tag["Key"]: tag["Value"] for tag in self.client.get_bucket_tagging(Bucket=self.bucket).get("TagSet", [])
        }

    def read(self, new: bool = False) -> Any:
        return super().read(new) or None

    def wanted(self, actual: Any) -> Any:
        return self._tags or None

    def put(self, before: Any, after: Any) -> None:
        if after:
            pairs = [{"Key": key, "Value": value} for key, value in sorted(after.items())]
            self.client.put_bucket_tagging(Bucket=self.bucket, Tagging={"TagSet": pairs})  # type: ignore[typeddict-item]
        else:
            self.client.delete_bucket_tagging(Bucket=self.bucket)


class ObjectOwnership(Aspect):
    """AWS only: whether the ACLs of objects count. None on a bucket from before 2023, where they do."""

    name = "object_ownership"
    fresh = "BucketOwnerEnforced"

    def __init__(self, client: S3Client, bucket: str, wanted: Optional[str] = None) -> None:
        """Without a wanted value ACLs have to count, in whichever way."""
        super().__init__(client, bucket)
        self._wanted = wanted

    def get(self) -> str:
        controls = self.client.get_bucket_ownership_controls(Bucket=self.bucket)["OwnershipControls"]
        return str(controls["Rules"][0]["ObjectOwnership"])

    def wanted(self, actual: Any) -> Any:
        return self._wanted or ("BucketOwnerPreferred" if actual == self.fresh else actual)

    def put(self, before: Any, after: Any) -> None:
        self.client.put_bucket_ownership_controls(
            Bucket=self.bucket, OwnershipControls={"Rules": [{"ObjectOwnership": after}]}
        )


class Website(Aspect):
    """Whether the bucket is a website, which is how Garage lets everybody read, and not list, all of it."""

    name = "website"
    fresh = False

    def __init__(self, client: S3Client, bucket: str, public: bool) -> None:
        super().__init__(client, bucket)
        self._public = public

    def read(self, new: bool = False) -> Any:
        return bool(super().read(new))

    def get(self) -> bool:
        return "IndexDocument" in self.client.get_bucket_website(Bucket=self.bucket)

    def wanted(self, actual: Any) -> bool:
        return self._public

    def put(self, before: Any, after: Any) -> None:
        if not after:  # a server that does not know a sub-resource takes its DELETE for that of the bucket
            raise NotSupported(
                f"bucket {self.bucket} is a website, which is not undone from here: on Garage use garage bucket website --deny {self.bucket}"
            )
        self.client.put_bucket_website(
            Bucket=self.bucket, WebsiteConfiguration={"IndexDocument": {"Suffix": "index.html"}}
        )


class PublicAccessBlock(Aspect):
    """The four switches that forbid publication. Those that are not named stay as they are."""

    name = "public_access_block"

    def __init__(self, client: S3Client, bucket: str, fresh: bool, switches: Callable[[], dict[str, bool]]) -> None:
        super().__init__(client, bucket)
        self.fresh = dict.fromkeys(BLOCKS, fresh)
        self._switches = switches

    def read(self, new: bool = False) -> Any:
        try:
            actual = super().read(new)
        except NotSupported:
            return None
        return dict.fromkeys(BLOCKS, False) if actual is None else actual

    def get(self) -> Any:
        switches = self.client.get_public_access_block(Bucket=self.bucket)["PublicAccessBlockConfiguration"]
        return {name: bool(switches.get(name)) for name in BLOCKS}

    def wanted(self, actual: Any) -> Any:
        return None if actual is None else {**actual, **self._switches()}

    def put(self, before: Any, after: Any) -> None:
        self.client.put_public_access_block(Bucket=self.bucket, PublicAccessBlockConfiguration=after)


class BucketAcl(Aspect):
    """Whether the bucket's own ACL opens it to everybody, which includes a listing of all names on most services."""

    name = "bucket_acl"
    fresh = "private"

    def __init__(self, client: S3Client, bucket: str, public: bool) -> None:
        super().__init__(client, bucket)
        self._public = public

    def read(self, new: bool = False) -> Any:
        try:
            return super().read(new)
        except NotSupported:
            return "private"
        except S3Error as exc:
            # Google answers 400 for a bucket with uniform access, which has no ACLs.
            if self._public or not (isinstance(exc, NotAllowed) or exc.status == 400):
                raise
            self.warnings = [f"{exc}; whether everybody may list the bucket was not looked at"]
            return "private"

    def get(self) -> str:
        # a service without ACLs answers with something else or with nothing: no grants
        grants = self.client.get_bucket_acl(Bucket=self.bucket).get("Grants", [])
        public = [grant.get("Permission") for grant in grants if grant.get("Grantee", {}).get("URI") == ALL_USERS]
        if "WRITE" in public or "FULL_CONTROL" in public:
            return "public-read-write"
        return "public-read" if "READ" in public else "private"

    def wanted(self, actual: Any) -> str:
        return "public-read" if self._public else "private"

    def put(self, before: Any, after: Any) -> None:
        self.client.put_bucket_acl(Bucket=self.bucket, ACL=after)
