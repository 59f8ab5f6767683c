# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Removes everything from a bucket: objects, their versions and delete markers, unfinished uploads."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from ansible_collections.selfhosted.media.plugins.module_utils._s3.errors import (
    NotSupported,
    S3Error,
    Throttled,
    WrongCredentials,
)
from ansible_collections.selfhosted.media.plugins.module_utils._s3.retry import ask

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client


def holds_anything(client: S3Client, bucket: str) -> bool:
    """Whether there is an object, a version or a delete marker."""
    return bool(_some(client, bucket, 1))


def empty_bucket(client: S3Client, bucket: str) -> None:
    """Delete all there is. The listing starts anew after each page: not every service goes on from a key that is gone."""
    previous: list[dict[str, str]] = []
    while True:
        found = _some(client, bucket, 1000)
        if not found:
            break
        if found == previous:
            raise S3Error(
                f"emptying bucket {bucket}: the service said that it deleted {found[0]['Key']}, but it is still there"
            )
        _delete(client, bucket, found)
        previous = found
    _abort_uploads(client, bucket)


def _some(client: S3Client, bucket: str, limit: int) -> list[dict[str, str]]:
    """The first objects, versions and delete markers, as DeleteObjects wants them; of a service without versions the objects."""
    doing = f"listing bucket {bucket}"
    page: Any
    try:
        page = ask(lambda: client.list_object_versions(Bucket=bucket, MaxKeys=limit), doing)
    except NotSupported:
        page = ask(lambda: client.list_objects_v2(Bucket=bucket, MaxKeys=limit), doing)
    found = [item for part in ("Versions", "DeleteMarkers", "Contents") for item in page.get(part, [])]
    return [_identifier(item) for item in found[:1000]]


def _identifier(item: dict[str, Any]) -> dict[str, str]:
    version = item.get("VersionId")
    return {"Key": item["Key"], "VersionId": version} if version else {"Key": item["Key"]}


def _delete(client: S3Client, bucket: str, found: list[dict[str, str]]) -> None:
    if not found:
        return
    doing = f"emptying bucket {bucket}"
    delete_one: Any = client.delete_object
    request: Any = {"Objects": found, "Quiet": True}
    try:
        refused = ask(lambda: client.delete_objects(Bucket=bucket, Delete=request), doing).get("Errors", [])
    except (Throttled, WrongCredentials):
        raise
    except S3Error:  # some services lack DeleteObjects: one request for each, whose error is then the real one
        for item in found:
            ask(partial(delete_one, Bucket=bucket, **item), doing)
        return
    if refused:
        first = refused[0]
        raise S3Error(
            f"{doing} failed: {len(refused)} objects stay, among them {first.get('Key')}: {first.get('Code')} {first.get('Message', '')}"
        )


def _abort_uploads(client: S3Client, bucket: str) -> None:
    try:
        uploads = ask(lambda: client.list_multipart_uploads(Bucket=bucket), f"listing the uploads of bucket {bucket}")
    except S3Error:  # they do not keep the bucket from being deleted
        return
    for upload in uploads.get("Uploads", []):
        abort = partial(client.abort_multipart_upload, Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])
        ask(abort, f"emptying bucket {bucket}")
