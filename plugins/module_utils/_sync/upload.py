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
from ansible_collections.selfhosted.media.plugins.module_utils._s3.errors import explained
from ansible_collections.selfhosted.media.plugins.module_utils._sync.content_type import guess
from ansible_collections.selfhosted.media.plugins.module_utils._sync.hashing import (
    MD5_METADATA,
    md5_of_stream,
    new_md5,
)
from ansible_collections.selfhosted.media.plugins.module_utils._sync.keys import shown
from ansible_collections.selfhosted.media.plugins.module_utils._sync.pace import Pace

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client

PART_SIZE = 8 * 1024 * 1024
#: S3's own limits: objects of more than one part need parts of at least 5 MiB.
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
    acl: str = ""
    cache_control: str = ""
    content_types: dict[str, str] = field(default_factory=dict)
    pace: Pace = field(default_factory=lambda: Pace(0))
    max_parts: int = 10_000
    only_absent: bool = False

    def __post_init__(self) -> None:
        if self.only_absent:
            # boto3 below 1.35 does not know the argument IfNoneMatch, so the header is added where all releases allow it.
            for operation in ("PutObject", "CompleteMultipartUpload"):
                self.client.meta.events.register(f"before-call.s3.{operation}", _only_if_absent)

    def upload(self, path: bytes, key: bytes) -> Sent:
        """Write a file. Taken again when it changes while it is read.

        Raises FileNotFoundError when it has vanished, OSError when it cannot be read, Changing, or S3Error.
        """
        for tries_left in reversed(range(_TRIES)):
            with open(path, "rb") as stream:
                before = os.fstat(stream.fileno())
                try:
                    if before.st_size > PART_SIZE:
                        return self._in_parts(stream, key, before)
                    data = stream.read(before.st_size + 1)
                    if _unchanged(stream, before) and len(data) == before.st_size:
                        return self._whole(data, key)
                except Changing:
                    pass
            if tries_left:
                time.sleep(0.2)
        raise Changing("the file kept changing while it was read; run again when it is at rest")

    def _headers(self, key: bytes) -> dict[str, Any]:
        kind = guess(key.decode("utf-8"), self.content_types)
        headers = {
            "ContentType": kind.content_type,
            "ContentEncoding": kind.content_encoding,
            "CacheControl": self.cache_control,
            "ACL": self.acl,
        }
        return {name: value for name, value in headers.items() if value}

    def _whole(self, data: bytes, key: bytes) -> Sent:
        self.pace.take(len(data))
        name = key.decode("utf-8")
        # With Content-MD5 the service itself refuses a body that was damaged on its way.
        checksum = base64.b64encode(new_md5(data).digest()).decode()
        with explained(f"writing {shown(key)} to bucket {self.bucket}"):
            self.client.put_object(Bucket=self.bucket, Key=name, Body=data, ContentMD5=checksum, **self._headers(key))
        return Sent(len(data), 1)

    def _in_parts(self, stream: BinaryIO, key: bytes, before: os.stat_result) -> Sent:
        size = before.st_size
        part_size = max(PART_SIZE, -(-size // self.max_parts))
        whole = md5_of_stream(stream)
        stream.seek(0)
        where = {"Bucket": self.bucket, "Key": key.decode("utf-8")}
        with explained(f"writing {shown(key)} in parts to bucket {self.bucket}"):
            upload = self.client.create_multipart_upload(**where, Metadata={MD5_METADATA: whole}, **self._headers(key))
            where["UploadId"] = upload["UploadId"]
            try:
                parts = self._send_parts(stream, where, part_size)
                if sum(part["Size"] for part in parts) != size or not _unchanged(stream, before):
                    raise Changing("the file changes while it is read")
                completed = [{"PartNumber": part["PartNumber"], "ETag": part["ETag"]} for part in parts]
                self.client.complete_multipart_upload(**where, MultipartUpload={"Parts": completed})
            except BaseException:
                self._abort(where)
                raise
        return Sent(size, len(parts) + 2)

    def _send_parts(self, stream: BinaryIO, where: dict[str, Any], part_size: int) -> list[dict[str, Any]]:
        parts: list[dict[str, Any]] = []
        for data in iter(lambda: stream.read(part_size), b""):
            self.pace.take(len(data))
            number = len(parts) + 1
            checksum = base64.b64encode(new_md5(data).digest()).decode()
            answer = self.client.upload_part(**where, PartNumber=number, Body=data, ContentMD5=checksum)
            parts.append({"PartNumber": number, "ETag": answer["ETag"], "Size": len(data)})
        return parts

    def _abort(self, where: dict[str, Any]) -> None:
        # The first error matters; parts that stay behind are removed by the bucket's lifecycle or the next run.
        with contextlib.suppress(Exception):
            self.client.abort_multipart_upload(**where)


def _only_if_absent(params: dict[str, Any], **_kwargs: Any) -> None:
    params["headers"]["If-None-Match"] = "*"


def _unchanged(stream: BinaryIO, before: os.stat_result) -> bool:
    after = os.fstat(stream.fileno())
    return (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns)
