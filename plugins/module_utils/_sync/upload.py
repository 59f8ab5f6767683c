# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write files as objects, with the headers that the application itself would set."""

from __future__ import annotations

import base64
import contextlib
import os
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._s3.errors import NotThere, S3Error, explained
from ansible_collections.selfhosted.media.plugins.module_utils._sync.content_type import guess
from ansible_collections.selfhosted.media.plugins.module_utils._sync.hashing import (
    MD5_METADATA,
    md5_of_stream,
    new_md5,
)
from ansible_collections.selfhosted.media.plugins.module_utils._sync.keys import shown
from ansible_collections.selfhosted.media.plugins.module_utils._sync.pace import Pace
from ansible_collections.selfhosted.media.plugins.module_utils._sync.walk import Tree

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client

#: Larger files go in parts of at least this size; S3's own lower limit is 5 MiB.
PART_SIZE = 8 * 1024 * 1024
_TRIES = 5


class Changing(MediaError):
    """The file changes while it is read."""


class Sent(NamedTuple):
    """What an upload took."""

    size: int
    requests: int


@dataclass
class Uploader:
    """Writes files to one bucket. Used from several threads."""

    client: S3Client
    bucket: str
    tree: Tree
    acl: str = ""
    cache_control: str = ""
    content_types: dict[str, str] = field(default_factory=dict)
    pace: Pace = field(default_factory=lambda: Pace(0))
    max_parts: int = 10_000
    only_absent: bool = False
    #: store the MD5 with every object, not only with those in parts: where a bucket encrypts, no ETag tells it
    record_md5: bool = False

    def __post_init__(self) -> None:
        if self.only_absent:
            # boto3 below 1.35 does not know the argument IfNoneMatch, so the header is added where all releases allow it.
            for operation in ("PutObject", "CompleteMultipartUpload"):
                self.client.meta.events.register(f"before-call.s3.{operation}", _only_if_absent)

    def upload(self, key: bytes) -> Sent:
        """Write the file that has a key. Taken again when it changes before the object is there.

        Raises FileNotFoundError when it has vanished, OSError when it cannot be read, Changing, or S3Error; the status
        of that is 412 where only_absent is set and there is an object already.
        """
        for tries_left in reversed(range(_TRIES)):
            with self.tree.open(key) as stream:
                before = os.fstat(stream.fileno())
                try:
                    sent = self._in_parts(stream, key) if before.st_size > PART_SIZE else self._whole(stream, key)
                    self._check_unchanged(key, before)  # else its last change would never be seen: the object is newer
                    return sent
                except Changing:
                    pass
            if tries_left:
                time.sleep(0.2)
        raise Changing("the file kept changing while it was read; run again when it is at rest")

    def _check_unchanged(self, key: bytes, before: os.stat_result) -> None:
        """By its path: another file may have been renamed to it. Raises FileNotFoundError or Changing."""
        after = os.stat(self.tree.path_of(key))
        same = os.path.samestat(before, after) and before.st_size == after.st_size
        if not same or before.st_mtime_ns != after.st_mtime_ns:
            raise Changing("the file changes while it is read")

    def _headers(self, key: bytes) -> dict[str, Any]:
        kind = guess(key.decode("utf-8"), self.content_types)
        headers = {
            "ContentType": kind.content_type,
            "ContentEncoding": kind.content_encoding,
            "CacheControl": self.cache_control,
            "ACL": self.acl,
        }
        return {name: value for name, value in headers.items() if value}

    def _whole(self, stream: BinaryIO, key: bytes) -> Sent:
        before = os.fstat(stream.fileno())
        data = stream.read(PART_SIZE + 1)  # no more than that into memory, however fast the file grows
        if len(data) != before.st_size:
            raise Changing("the file changes while it is read")
        self._check_unchanged(key, before)
        self.pace.take(len(data))
        digest = new_md5(data)
        headers = self._headers(key)
        if self.record_md5:
            headers["Metadata"] = {MD5_METADATA: digest.hexdigest()}
        # With Content-MD5 the service itself refuses a body that was damaged on its way.
        checksum = base64.b64encode(digest.digest()).decode()
        with explained(f"writing {shown(key)} to bucket {self.bucket}"):
            name = key.decode("utf-8")
            self.client.put_object(Bucket=self.bucket, Key=name, Body=data, ContentMD5=checksum, **headers)
        return Sent(len(data), 1)

    def _in_parts(self, stream: BinaryIO, key: bytes) -> Sent:
        before = os.fstat(stream.fileno())
        part_size = max(PART_SIZE, -(-before.st_size // self.max_parts))
        whole = md5_of_stream(stream)
        stream.seek(0)
        where: dict[str, Any] = {"Bucket": self.bucket, "Key": key.decode("utf-8")}
        metadata = {MD5_METADATA: whole}
        with self._explained(key):
            upload = self.client.create_multipart_upload(**where, Metadata=metadata, **self._headers(key))
        where["UploadId"] = upload["UploadId"]
        try:
            parts = self._send_parts(stream, key, where, part_size)
            self._check_unchanged(key, before)
            self._check_absent(key)
            with self._explained(key):
                self.client.complete_multipart_upload(**where, MultipartUpload={"Parts": parts})
        except BaseException:
            self._abort(where)
            raise
        return Sent(before.st_size, len(parts) + 2)

    def _explained(self, key: bytes) -> contextlib.AbstractContextManager[None]:
        return explained(f"writing {shown(key)} in parts to bucket {self.bucket}")

    def _send_parts(self, stream: BinaryIO, key: bytes, where: dict[str, Any], part_size: int) -> list[Any]:
        parts: list[Any] = []
        left = os.fstat(stream.fileno()).st_size
        while left > 0:
            data = stream.read(min(part_size, left))
            if not data:
                raise Changing("the file became shorter while it was read")
            left -= len(data)
            self.pace.take(len(data))
            number = len(parts) + 1
            checksum = base64.b64encode(new_md5(data).digest()).decode()
            with self._explained(key):
                answer = self.client.upload_part(**where, PartNumber=number, Body=data, ContentMD5=checksum)
            parts.append({"PartNumber": number, "ETag": answer["ETag"]})
        return parts

    def _check_absent(self, key: bytes) -> None:
        """Where nothing may be overwritten: Ceph 16 ignores If-None-Match when parts are put together."""
        if not self.only_absent:
            return
        try:
            with explained(f"looking for {shown(key)} in bucket {self.bucket}"):
                self.client.head_object(Bucket=self.bucket, Key=key.decode("utf-8"))
        except NotThere:
            return
        raise S3Error(f"{shown(key)} is in bucket {self.bucket} already", "PreconditionFailed", 412)

    def _abort(self, where: dict[str, Any]) -> None:
        # The first error matters; parts that stay behind are removed by the bucket's lifecycle or the next run.
        with contextlib.suppress(Exception):
            self.client.abort_multipart_upload(**where)


def _only_if_absent(params: dict[str, Any], **_kwargs: Any) -> None:
    params["headers"]["If-None-Match"] = "*"
