# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hash files, and tell whether a file and an object hold the same bytes."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import re
from typing import TYPE_CHECKING, BinaryIO, Optional

from ansible_collections.selfhosted.media.plugins.module_utils._objects.client import Head, ObjectClient
from ansible_collections.selfhosted.media.plugins.module_utils._objects.xml import RemoteObject
from ansible_collections.selfhosted.media.plugins.module_utils._s3.errors import S3Error
from ansible_collections.selfhosted.media.plugins.module_utils._sync.keys import shown
from ansible_collections.selfhosted.media.plugins.module_utils._sync.walk import Tree

if TYPE_CHECKING:
    from hashlib import _Hash

CHUNK = 1024 * 1024
#: Metadata of objects uploaded in parts, whose ETag is not the MD5 of their content.
MD5_METADATA = "selfhosted-media-md5"
#: What rclone stores for the same purpose, in base64 (rclone.org/s3, "Hashes").
_RCLONE_METADATA = "md5chksum"

_MD5 = re.compile(r"[0-9a-f]{32}")
_COMPOSITE = re.compile(r"([0-9a-f]{32})-([1-9]\d{0,4})")
_MIB = 1024 * 1024
#: Part sizes in MiB that clients use: boto3 and awscli 8, rclone 5, s5cmd 50, s3cmd 15, MinIO's client 16 and 64, Cyberduck 10.
_USUAL_PART_SIZES = (
    5,
    6,
    8,
    10,
    12,
    15,
    16,
    20,
    24,
    25,
    32,
    40,
    48,
    50,
    64,
    80,
    96,
    100,
    128,
    200,
    256,
    500,
    512,
    1024,
)


def new_md5(data: bytes = b"") -> _Hash:
    """An MD5 for comparing with ETags; it guards nothing, so FIPS mode need not refuse it."""
    return hashlib.md5(data, usedforsecurity=False)


def md5_of_part(descriptor: int, offset: int, size: int) -> _Hash:
    """The MD5 of a stretch of an open file, or of what there is of it."""
    digest, end = new_md5(), offset + size
    while offset < end:
        chunk = os.pread(descriptor, min(CHUNK, end - offset), offset)
        if not chunk:
            break
        digest.update(chunk)
        offset += len(chunk)
    return digest


def md5_of_file(tree: Tree, key: bytes) -> str:
    """The MD5, in hexadecimal digits, of a file up to its present end: one that grows must not hold us for ever."""
    descriptor = tree.descriptor(key)
    try:
        return md5_of_part(descriptor, 0, os.fstat(descriptor).st_size).hexdigest()
    finally:
        os.close(descriptor)


def sha256_of_stream(stream: BinaryIO) -> str:
    """The SHA-256, in hexadecimal digits, of what is left to read."""
    digest = hashlib.sha256()
    for chunk in iter(lambda: stream.read(CHUNK), b""):
        digest.update(chunk)
    return digest.hexdigest()


def md5_told_by(head: Head) -> Optional[str]:
    """The MD5 of the content that an ETag is, or None: of several parts, or encrypted so that it only looks like one."""
    return head.etag if _MD5.fullmatch(head.etag) and not _hides_md5(head) else None


def _hides_md5(head: Head) -> bool:
    headers = head.headers
    by_customer = headers.get("x-amz-server-side-encryption-customer-algorithm")
    return bool(by_customer) or headers.get("x-amz-server-side-encryption").startswith("aws:kms")


def tells_otherwise(remote: RemoteObject, md5: str) -> bool:
    """Whether the listed ETag looks like the MD5 of other content than that of a known MD5. Encryption does that too."""
    return bool(md5 and _MD5.fullmatch(remote.etag) and remote.etag != md5)


def same_content(client: ObjectClient, tree: Tree, remote: RemoteObject) -> Optional[bool]:
    """Whether a file and its object hold the same bytes; None where the service keeps nothing that could tell.

    No request where the listed ETag is the file's MD5, and one where the MD5 is stored with the object or the ETag tells
    otherwise. Raises OSError or S3Error.
    """
    digest = tree.known_md5(remote.key)
    if _MD5.fullmatch(remote.etag):
        digest = digest or md5_of_file(tree, remote.key)
        if digest == remote.etag:
            return True
    doing = f"reading the metadata of {shown(remote.key)} in bucket {client.bucket}"
    head = client.head(remote.key, doing)
    recorded = md5_of_object(head)
    if recorded is not None:
        return recorded == (digest or md5_of_file(tree, remote.key))
    descriptor = tree.descriptor(remote.key)
    try:
        return same_parts(client, remote, head, descriptor, doing)
    finally:
        os.close(descriptor)


def md5_of_object(head: Head) -> Optional[str]:
    """The MD5 of an object's content: its ETag, or else what its uploader stored with it; None where neither tells."""
    return md5_told_by(head) or _recorded(head)


def _recorded(head: Head) -> Optional[str]:
    """The MD5 that the uploader stored with the object."""
    ours = head.metadata(MD5_METADATA)
    if ours and _MD5.fullmatch(ours):
        return ours
    try:
        theirs = base64.b64decode(head.metadata(_RCLONE_METADATA), validate=True).hex()
    except (binascii.Error, ValueError):
        return None
    return theirs if _MD5.fullmatch(theirs) else None


def same_parts(client: ObjectClient, remote: RemoteObject, head: Head, descriptor: int, doing: str) -> Optional[bool]:
    """Compare an open file with the MD5 of the parts' MD5s, which is an object's ETag when it was uploaded in parts."""
    composite = _COMPOSITE.fullmatch(head.etag)
    if composite is None or _hides_md5(head):
        return None
    etag, count = composite.group(1), int(composite.group(2))
    told = _told_part_size(client, remote, count, doing)
    for part_size in [told] if told else _possible_part_sizes(remote.size, count):
        if composite_md5(descriptor, part_size) == etag:
            return True
    # With parts of another size the same content has another ETag, so a guessed size that does not fit says nothing.
    return False if told else None


def _told_part_size(client: ObjectClient, remote: RemoteObject, count: int, doing: str) -> int:
    """The size of the first part where the service tells it; 0 where it does not, or where the others differ from it."""
    try:
        first = client.head(remote.key, doing, part_number=1)
    except S3Error:
        return 0
    told = first.headers.get("x-amz-mp-parts-count")
    fits = told == str(count) and first.size > 0 and -(-remote.size // first.size) == count
    return first.size if fits else 0


def _possible_part_sizes(size: int, count: int) -> list[int]:
    """The usual part sizes that cut so many bytes into so many parts, and the smallest whole MiB that does."""
    smallest = -(-size // count)
    sizes = {mib * _MIB for mib in _USUAL_PART_SIZES} | {smallest, -(-smallest // _MIB) * _MIB}
    return sorted(one for one in sizes if -(-size // one) == count)


def composite_md5(descriptor: int, part_size: int) -> str:
    """The MD5 of the MD5s of an open file's parts."""
    size = os.fstat(descriptor).st_size
    digests = [md5_of_part(descriptor, offset, part_size).digest() for offset in range(0, size, part_size)]
    return new_md5(b"".join(digests)).hexdigest()
