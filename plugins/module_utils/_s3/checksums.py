# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Content-MD5 for the requests that configure a bucket.

Since boto3 1.36 they carry a CRC32 instead, even with `when_required`; a service that insists on Content-MD5 refuses that.
Every service accepts Content-MD5, which boto3 below 1.36 always sent, so off AWS it is sent again.
"""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client

#: The operations for which the S3 API wants an integrity header.
OPERATIONS = (
    "DeleteObjects",
    "PutBucketAcl",
    "PutBucketCors",
    "PutBucketOwnershipControls",
    "PutBucketPolicy",
    "PutBucketTagging",
    "PutBucketVersioning",
    "PutBucketWebsite",
    "PutObjectAcl",
    "PutPublicAccessBlock",
)


def use_content_md5(client: S3Client) -> None:
    """Make the client send Content-MD5, and no other checksum, with OPERATIONS."""
    for operation in OPERATIONS:
        client.meta.events.register(
            f"before-sign.s3.{operation}", _replace_checksum, unique_id=f"content-md5-{operation}"
        )


def _replace_checksum(request: Any, **_unused: Any) -> None:
    headers = request.headers
    for name in list(headers.keys()):
        if name.lower().startswith("x-amz-checksum-") or name.lower() == "x-amz-sdk-checksum-algorithm":
            del headers[name]
    body = request.data or b""
    if isinstance(body, str):
        body = body.encode()
    del headers["Content-MD5"]  # headers of botocore are a list: setting adds a second one
    headers["Content-MD5"] = base64.b64encode(hashlib.md5(body).digest()).decode()  # noqa: S324  # what the S3 API asks for
