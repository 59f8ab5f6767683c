# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an upload or a deletion would meet, tried with an object of our own, which is always removed."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Callable, Optional, TypeVar

from ansible_collections.selfhosted.media.plugins.module_utils._s3.checklist import FAILED, OK, Checklist, Plan
from ansible_collections.selfhosted.media.plugins.module_utils._s3.errors import (
    NotAllowed,
    NotSupported,
    S3Error,
    explain,
)
from ansible_collections.selfhosted.media.plugins.module_utils._s3.preflight_bucket import judge_foreign
from ansible_collections.selfhosted.media.plugins.module_utils._s3.preflight_public import (
    CACHE_CONTROL,
    CONTENT_TYPE,
    Outside,
    how_to_publish,
)
from ansible_collections.selfhosted.media.plugins.module_utils._s3.retry import BOTO_ERRORS
from ansible_collections.selfhosted.media.plugins.module_utils._sync.temporary import PROBE

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client

T = TypeVar("T")


class Probe:
    """An object of our own under the prefix: written, read, looked at, removed."""

    def __init__(self, client: S3Client, plan: Plan, checklist: Checklist, outside: Outside) -> None:
        self._client = client
        self._plan = plan
        self._checklist = checklist
        self._outside = outside
        self._body = secrets.token_hex(16).encode()
        self._key = self._new_key()
        #: version of each object that was written, to leave none behind
        self._written: dict[str, Optional[str]] = {}

    def _new_key(self) -> str:
        return f"{self._plan.prefix}{PROBE.decode()}{secrets.token_hex(8)}"

    def run(self) -> None:
        with self._removed_afterwards():
            if self._write():
                self._read()
                self._outside.look_at(self._key, self._body)
                self._multipart()

    def _try(self, call: Callable[[], T], doing: str) -> T:
        try:
            return call()
        except BOTO_ERRORS as exc:
            raise explain(exc, doing) from exc

    def _write(self) -> bool:
        """Write the object, publicly if that is asked for, else or if that is refused plainly."""
        plan, checklist = self._plan, self._checklist
        if checklist.wants("acl"):
            try:
                self._put("writing an object with the ACL public-read", ACL="public-read")
            except S3Error as exc:
                self._judge_acl(exc)
            else:
                self._outside.has_acl = True  # whether it has an effect shows outside
        if not self._written:
            try:
                self._put("writing an object")
            except S3Error as exc:
                if isinstance(exc, NotAllowed):
                    judge_foreign(plan, checklist, False, exc.code)
                remedy = f"allow the key s3:PutObject under {plan.prefix or 'the whole bucket'}"
                checklist.failed("write", exc, remedy)
                return False
        judge_foreign(plan, checklist, True)
        checklist.add("write", OK)
        return True

    def _judge_acl(self, error: S3Error) -> None:
        if isinstance(error, NotAllowed):
            self._checklist.failed("acl", error, "allow the key s3:PutObjectAcl; on AWS also let the bucket have ACLs")
        elif error.code == "AccessControlListNotSupported":
            detail = f"the bucket {self._plan.bucket} has no ACLs (Object Ownership: BucketOwnerEnforced)"
            remedy = "have it switched by s3_bucket with public_method: acl, or publish by policy, which needs no ACL"
            self._checklist.add("acl", FAILED, detail, remedy)
        else:
            self._checklist.failed("acl", error, how_to_publish(self._plan.provider, but="acl"))

    def _put(self, doing: str, **arguments: Any) -> None:
        headers = {"ContentType": CONTENT_TYPE, "CacheControl": CACHE_CONTROL, **arguments}
        bucket, key = self._plan.bucket, self._key
        answer: Any = self._try(
            lambda: self._client.put_object(Bucket=bucket, Key=key, Body=self._body, **headers), f"{doing} to {bucket}"
        )
        self._written[key] = answer.get("VersionId")

    def _read(self) -> None:
        if not self._checklist.wants("read"):
            return
        bucket, key = self._plan.bucket, self._key
        doing = f"reading an object of {bucket}"
        try:
            answer: Any = self._try(lambda: self._client.get_object(Bucket=bucket, Key=key), doing)
            body = self._try(answer["Body"].read, doing)
        except S3Error as exc:
            self._checklist.failed("read", exc, "allow the key s3:GetObject")
            return
        lost = [
            f"{header} ({answer.get(name)!r} instead of {sent!r})"
            for header, name, sent in (
                ("Content-Type", "ContentType", CONTENT_TYPE),
                ("Cache-Control", "CacheControl", CACHE_CONTROL),
            )
            if answer.get(name) != sent
        ]
        if body != self._body:
            self._checklist.add("read", FAILED, "other bytes came back than were written", "ask the service's operator")
        elif lost:
            detail = f"not what was sent came back as {' and '.join(lost)}"
            self._checklist.add("read", FAILED, detail, "ask the service's operator")
        else:
            self._checklist.add("read", OK, "with its Content-Type and Cache-Control")

    def _multipart(self) -> None:
        if not self._checklist.wants("multipart"):
            return
        client, bucket, key = self._client, self._plan.bucket, self._new_key()
        upload: Optional[str] = None
        try:
            started: Any = client.create_multipart_upload(Bucket=bucket, Key=key)
            upload = started["UploadId"]
            part = client.upload_part(
                Bucket=bucket, Key=key, UploadId=started["UploadId"], PartNumber=1, Body=self._body
            )
            parts: Any = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
            done = client.complete_multipart_upload(
                Bucket=bucket, Key=key, UploadId=started["UploadId"], MultipartUpload=parts
            )
            self._written[key] = done.get("VersionId")
        except BOTO_ERRORS as exc:
            error = explain(exc, f"uploading in parts to {bucket}")
            unknown = "large files are uploaded in parts, which this service does not know"
            self._checklist.failed(
                "multipart", error, unknown if isinstance(error, NotSupported) else "allow the key s3:PutObject"
            )
            if upload:
                with contextlib.suppress(*BOTO_ERRORS):
                    client.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload)
        else:
            self._checklist.add("multipart", OK)

    @contextlib.contextmanager
    def _removed_afterwards(self) -> Iterator[None]:
        try:
            yield
        finally:
            tried = {key: self._remove(key, version) for key, version in self._written.items()}
            left = {key: error for key, error in tried.items() if error}
            name = "delete" if self._checklist.wants("delete") else "cleanup"
            if left:
                remedy = f"allow the key s3:DeleteObject, and delete by hand what is left of this: {', '.join(left)}"
                first, *_others = left.values()
                self._checklist.failed(name, first, remedy)
            elif self._written:
                self._checklist.add("delete", OK)

    def _remove(self, key: str, version: Optional[str]) -> Optional[S3Error]:
        """Delete an object; returns the error if that fails."""
        bucket = self._plan.bucket
        delete: Any = self._client.delete_object
        if version and version != "null":
            # a right of its own, which a key may lack: then a delete marker has to do
            with contextlib.suppress(*BOTO_ERRORS):
                delete(Bucket=bucket, Key=key, VersionId=version)
                return None
        try:
            self._try(lambda: delete(Bucket=bucket, Key=key), f"deleting an object of {bucket}")
        except S3Error as exc:
            return exc
        return None
