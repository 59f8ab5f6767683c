# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What S3 calls a request, told from method, path and query, with the bucket in the path."""

from __future__ import annotations

from collections.abc import Mapping

_BUCKET = {
    "acl": "BucketAcl",
    "cors": "BucketCors",
    "encryption": "BucketEncryption",
    "lifecycle": "BucketLifecycleConfiguration",
    "location": "BucketLocation",
    "ownershipControls": "BucketOwnershipControls",
    "policy": "BucketPolicy",
    "publicAccessBlock": "PublicAccessBlock",
    "tagging": "BucketTagging",
    "versioning": "BucketVersioning",
    "website": "BucketWebsite",
}
_VERBS = {"GET": "Get", "PUT": "Put", "DELETE": "Delete", "HEAD": "Head"}
_LISTS = {"uploads": "ListMultipartUploads", "versions": "ListObjectVersions", "list-type": "ListObjectsV2"}


def bucket_and_key(path: str) -> tuple[str, str]:
    """Both as they stand in the path; empty where there is none."""
    bucket, _slash, key = path.lstrip("/").partition("/")
    return bucket, key


def operation(method: str, path: str, parameters: Mapping[str, str], headers: Mapping[str, str]) -> str:
    """The name of the S3 API for it, such as PutBucketPolicy; for OPTIONS it is Preflight."""
    bucket, key = bucket_and_key(path)
    if method == "OPTIONS":
        return "Preflight"
    if not bucket:
        return "ListBuckets"
    verb = _VERBS.get(method, "Post")
    if key:
        return _of_object(verb, parameters, "x-amz-copy-source" in headers)
    for name, resource in _BUCKET.items():
        if name in parameters:
            return verb + resource
    if verb == "Get":
        return next((listing for name, listing in _LISTS.items() if name in parameters), "ListObjects")
    if "delete" in parameters:
        return "DeleteObjects"
    return "CreateBucket" if verb == "Put" else f"{verb}Bucket"


def _of_object(verb: str, parameters: Mapping[str, str], copies: bool) -> str:
    if "acl" in parameters or "tagging" in parameters:
        return f"{verb}Object{'Acl' if 'acl' in parameters else 'Tagging'}"
    if "uploads" in parameters:
        return "CreateMultipartUpload"
    if "uploadId" in parameters:
        part = "UploadPartCopy" if copies else "UploadPart"
        return {"Post": "CompleteMultipartUpload", "Put": part, "Get": "ListParts"}.get(verb, "AbortMultipartUpload")
    return "CopyObject" if copies and verb == "Put" else f"{verb}Object"
