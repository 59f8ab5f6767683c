# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hash files, and tell whether a file and an object hold the same bytes."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, BinaryIO, Optional

from ansible_collections.selfhosted.media.plugins.module_utils._s3.errors import explained
from ansible_collections.selfhosted.media.plugins.module_utils._sync.listing import RemoteObject

if TYPE_CHECKING:
    from hashlib import _Hash

    from types_boto3_s3.client import S3Client

CHUNK = 1024 * 1024
#: Metadata of objects uploaded in parts, whose ETag is not the MD5 of their content.
MD5_METADATA = "selfhosted-media-md5"

_MD5 = re.compile(r"[0-9a-f]{32}")


def new_md5(data: bytes = b"") -> _Hash:
    """An MD5 for comparing with ETags; it guards nothing, so FIPS mode need not refuse it."""
    return hashlib.md5(data, usedforsecurity=False)


def md5_of(path: bytes) -> str:
    """The MD5 of a file in hexadecimal digits."""
    with open(path, "rb") as stream:
        return md5_of_stream(stream)


def md5_of_stream(stream: BinaryIO) -> str:
    """The MD5, in hexadecimal digits, of what is left to read."""
    digest = new_md5()
    for chunk in iter(lambda: stream.read(CHUNK), b""):
        digest.update(chunk)
    return digest.hexdigest()


def is_md5(etag: str) -> bool:
    """Whether an ETag is the MD5 of the content: one part, and no encryption that hides it."""
    return bool(_MD5.fullmatch(etag))


def recorded_md5(client: S3Client, bucket: str, remote: RemoteObject) -> Optional[str]:
    """The MD5 of an object's content: its ETag, or what was stored with it; None where neither exists."""
    if is_md5(remote.etag):
        return remote.etag
    key = remote.key.decode("utf-8")
    with explained(f"reading the metadata of {key} in bucket {bucket}"):
        head = client.head_object(Bucket=bucket, Key=key)
    return head.get("Metadata", {}).get(MD5_METADATA)
