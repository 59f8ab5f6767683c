# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hash files, and tell whether a file and an object hold the same bytes."""

from __future__ import annotations

import hashlib
import os
import re
from typing import TYPE_CHECKING, Any, BinaryIO, Optional

from ansible_collections.selfhosted.media.plugins.module_utils._s3.errors import explained
from ansible_collections.selfhosted.media.plugins.module_utils._sync.account import Account
from ansible_collections.selfhosted.media.plugins.module_utils._sync.keys import shown
from ansible_collections.selfhosted.media.plugins.module_utils._sync.listing import RemoteObject
from ansible_collections.selfhosted.media.plugins.module_utils._sync.walk import Tree

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


def md5_of_stream(stream: BinaryIO) -> str:
    """The MD5, in hexadecimal digits, of a file from here to its present end: one that grows must not hold us for ever."""
    digest, left = new_md5(), os.fstat(stream.fileno()).st_size
    while left > 0:
        chunk = stream.read(min(CHUNK, left))
        if not chunk:
            break
        digest.update(chunk)
        left -= len(chunk)
    return digest.hexdigest()


def sha256_of_stream(stream: BinaryIO) -> str:
    """The SHA-256, in hexadecimal digits, of what is left to read."""
    digest = hashlib.sha256()
    for chunk in iter(lambda: stream.read(CHUNK), b""):
        digest.update(chunk)
    return digest.hexdigest()


def md5_told_by(etag: str, answer: Any) -> Optional[str]:
    """The MD5 of the content that an ETag is, or None: of several parts, or encrypted so that it only looks like one."""
    hidden = answer.get("SSECustomerAlgorithm") or str(answer.get("ServerSideEncryption", "")).startswith("aws:kms")
    return etag if _MD5.fullmatch(etag) and not hidden else None


def same_content(client: S3Client, bucket: str, tree: Tree, remote: RemoteObject, account: Account) -> Optional[bool]:
    """Whether a file and its object hold the same bytes; None where the service keeps nothing that could tell.

    One request at most, and none where the listed ETag is the file's MD5. Raises OSError or S3Error.
    """
    digest = ""
    if _MD5.fullmatch(remote.etag):
        digest = _md5_of_file(tree, remote.key)
        if digest == remote.etag:
            return True
    account.add_requests(1)
    with explained(f"reading the metadata of {shown(remote.key)} in bucket {bucket}"):
        head = client.head_object(Bucket=bucket, Key=remote.key.decode("utf-8"))
    recorded = md5_told_by(remote.etag, head) or head.get("Metadata", {}).get(MD5_METADATA)
    if recorded is None:
        return None
    return recorded == (digest or _md5_of_file(tree, remote.key))


def _md5_of_file(tree: Tree, key: bytes) -> str:
    with tree.open(key) as stream:
        return md5_of_stream(stream)
