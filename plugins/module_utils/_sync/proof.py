# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prove that an object holds what an open file holds, and that it will go on doing so."""

from __future__ import annotations

import os
import time
from email.utils import parsedate_to_datetime
from typing import Optional

from ansible_collections.selfhosted.media.plugins.module_utils._objects.client import Head, ObjectClient
from ansible_collections.selfhosted.media.plugins.module_utils._objects.xml import RemoteObject
from ansible_collections.selfhosted.media.plugins.module_utils._s3.errors import NotThere
from ansible_collections.selfhosted.media.plugins.module_utils._sync.hashing import md5_told_by, same_parts
from ansible_collections.selfhosted.media.plugins.module_utils._sync.keys import shown
from ansible_collections.selfhosted.media.plugins.module_utils._sync.listing import Clock

#: Storage classes whose objects cannot be read before somebody has them restored.
_ARCHIVED = frozenset({"GLACIER", "DEEP_ARCHIVE"})


class Unproven(Exception):
    """A file has to stay: of which kind that is, and why."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind
        self.reason = reason


def prove(client: ObjectClient, key: bytes, descriptor: int, md5: str, clock: Clock) -> None:
    """Raise Unproven unless the object with a key, asked for now, holds what an open file with this MD5 holds.

    What the uploader wrote beside the object proves nothing: either the service's own checksum does, or its bytes.
    """
    status, doing = os.fstat(descriptor), f"looking for {shown(key)} in bucket {client.bucket}"
    head = _asked(client, key, clock, doing)
    if head.size != status.st_size:
        raise Unproven("different", f"{status.st_size} bytes in the folder, {head.size} in the bucket")
    _check_lasting(head)
    _check_older(head, status.st_mtime_ns, clock)
    told = md5_told_by(head)
    if told is not None:
        if told != md5:
            raise Unproven("different", "same size, other content")
        return
    remote = RemoteObject(key, head.size, head.etag, 0)
    if not same_parts(client, remote, head, descriptor, doing) and not _same_bytes(client, key, descriptor, head):
        raise Unproven("different", "same size, other content")
    # That took its time.
    if _identity(_asked(client, key, clock, doing)) != _identity(head):
        raise Unproven("different", "the object was written anew while it was compared")


def _asked(client: ObjectClient, key: bytes, clock: Clock, doing: str) -> Head:
    sent = time.time()
    try:
        head = client.head(key, doing)
    except NotThere:
        raise Unproven("missing", "not in the bucket") from None
    clock.note(head.headers.get("date"), sent, time.time())
    return head


def _identity(head: Head) -> tuple[int, str, str]:
    return head.size, head.etag, head.headers.get("last-modified")


def _check_lasting(head: Head) -> None:
    """What is about to be deleted, or cannot be read as it is, stands in for nothing."""
    expiry = head.headers.get("x-amz-expiration")
    if expiry:
        raise Unproven("unverifiable", f"a lifecycle rule of the bucket will delete the object ({expiry})")
    if head.headers.get("x-amz-archive-status") or head.headers.get("x-amz-storage-class") in _ARCHIVED:
        raise Unproven("unverifiable", "the object is archived and cannot be read before it is restored")


def _check_older(head: Head, mtime_ns: int, clock: Clock) -> None:
    """Whoever wrote a file after its object was written still uses the disk. The service tells whole seconds."""
    written = _seconds(head.headers.get("last-modified"))
    if written is None:
        raise Unproven("unverifiable", "the service does not say when the object was written")
    if mtime_ns + clock.ahead_ns >= (written + 1) * 1_000_000_000:
        raise Unproven("newer", "the file was written after the object")


def _seconds(date_header: str) -> Optional[int]:
    try:
        return int(parsedate_to_datetime(date_header).timestamp())
    except (TypeError, ValueError):
        return None


def _same_bytes(client: ObjectClient, key: bytes, descriptor: int, head: Head) -> bool:
    offset = 0
    with client.get(key, f"reading {shown(key)} from bucket {client.bucket}") as found:
        while True:
            chunk = found.read()
            if not chunk:
                break
            if os.pread(descriptor, len(chunk), offset) != chunk:
                return False
            offset += len(chunk)
    return offset == head.size
