# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Upload large files in parts: several at a time, of several files, none of them held in memory."""

from __future__ import annotations

import base64
import contextlib
import threading
from dataclasses import dataclass, field
from typing import Callable, Optional

from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._objects.client import ObjectClient
from ansible_collections.selfhosted.media.plugins.module_utils._objects.connection import (
    ChangedBody,
    FilePart,
    UnreadableBody,
)
from ansible_collections.selfhosted.media.plugins.module_utils._objects.signing import UNSIGNED
from ansible_collections.selfhosted.media.plugins.module_utils._s3.errors import NotThere, S3Error
from ansible_collections.selfhosted.media.plugins.module_utils._sync.hashing import MD5_METADATA, md5_of_part
from ansible_collections.selfhosted.media.plugins.module_utils._sync.keys import shown
from ansible_collections.selfhosted.media.plugins.module_utils._sync.source import Changing, Source
from ansible_collections.selfhosted.media.plugins.module_utils._sync.unfinished import Mark, Unfinished

#: Size of a part unless there would be too many; S3's own lower limit is 5 MiB. R2 wants all but the last of one size.
PART_SIZE = 8 * 1024 * 1024
_MIB = 1024 * 1024

#: Has free threads call a function: Pool.invite.
Invite = Callable[[Callable[[], None], int], None]


def part_size_of(size: int, max_parts: int) -> int:
    """The fixed size of a file's parts, in whole MiB: so large that the service's limit on their number is kept."""
    smallest = -(-size // max_parts)
    return max(PART_SIZE, -(-smallest // _MIB) * _MIB)


@dataclass
class Multipart:
    """Uploads files in parts, and takes up what a killed run of ours has left behind."""

    client: ObjectClient
    unfinished: Unfinished
    max_parts: int = 10_000
    only_absent: bool = False
    invite: Invite = lambda _help_out, _helpers: None

    def upload(self, source: Source, headers: dict[str, str]) -> None:
        """Write a file. Raises S3Error, Changing or OSError; then no parts stay behind."""
        part_size = part_size_of(source.size, self.max_parts)
        whole = md5_of_part(source.descriptor, 0, source.size).hexdigest()
        headers = {**headers, f"x-amz-meta-{MD5_METADATA}": whole}
        doing = f"writing {shown(source.key)} in parts to bucket {self.client.bucket}"
        mark = self.unfinished.take(source.key, f"{whole} {part_size} {sorted(headers.items())}")
        try:
            upload = self._resumed(mark, source, part_size, doing) or self._begun(
                mark, source, part_size, headers, doing
            )
            upload.send(self.invite)
            source.check_unchanged()
            self._end(upload, whole, doing)
        except BaseException:
            self._abort(mark, source.key, doing)
            raise
        mark.remove()

    def abort_unfinished(self) -> int:
        """Give up what killed runs of ours have left behind and nobody has taken up; how many there were."""
        marks = self.unfinished.left_behind()
        for mark in marks:
            self._abort(mark, mark.key, f"giving up an unfinished upload of {shown(mark.key)}")
        return len(marks)

    def _begun(self, mark: Mark, source: Source, part_size: int, headers: dict[str, str], doing: str) -> _Upload:
        mark.upload_id = self.client.begin_parts(source.key, headers, doing)
        mark.write()
        return _Upload(self.client, source, mark.upload_id, part_size, doing)

    def _resumed(self, mark: Mark, source: Source, part_size: int, doing: str) -> Optional[_Upload]:
        """The upload that a killed run has begun, with what it has sent; None where there is none of this content."""
        if not mark.upload_id:
            return None
        if not mark.is_same:
            with contextlib.suppress(MediaError):  # what matters is the new one, which takes its place in the note
                self.client.abort_parts(source.key, mark.upload_id, doing)
            return None
        try:
            there = self.client.parts(source.key, mark.upload_id, doing)
        except NotThere:
            return None
        upload = _Upload(self.client, source, mark.upload_id, part_size, doing)
        for part in there:
            upload.take_over(part.number, part.size, part.etag)
        return upload

    def _end(self, upload: _Upload, whole: str, doing: str) -> None:
        key = upload.source.key
        # Ceph 16 ignores If-None-Match when parts are put together.
        if self.only_absent and self._found(key, doing) is not None:
            raise S3Error(f"{shown(key)} is in bucket {self.client.bucket} already", "PreconditionFailed", 412)
        headers = {"if-none-match": "*"} if self.only_absent else {}
        try:
            self.client.end_parts(key, upload.upload_id, sorted(upload.etags.items()), headers, doing)
        except NotThere:
            # Put together already by a try whose answer was lost?
            if self._found(key, doing) != whole:
                raise

    def _found(self, key: bytes, doing: str) -> Optional[str]:
        """The MD5 stored with the object that has the key, perhaps an empty one; None where there is no object."""
        try:
            return self.client.head(key, doing).metadata(MD5_METADATA)
        except NotThere:
            return None

    def _abort(self, mark: Mark, key: bytes, doing: str) -> None:
        if mark.upload_id:
            try:
                self.client.abort_parts(key, mark.upload_id, doing)
            except NotThere:
                pass
            except MediaError:
                mark.release()  # the first error matters; the note stays, so that a later run can do it
                return
        mark.remove()


@dataclass
class _Upload:
    """A multipart upload under way: its parts are taken one by one by whoever has time."""

    client: ObjectClient
    source: Source
    upload_id: str
    part_size: int
    doing: str
    etags: dict[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._changed = threading.Condition()
        self._under_way = 0
        self._failure: Optional[BaseException] = None
        self._numbers: list[int] = []

    def take_over(self, number: int, size: int, etag: str) -> None:
        """Leave out a part that the service has, if it is what the file holds there."""
        stretch = self._stretch(number)
        if stretch.size == size and md5_of_part(*_place(stretch)).hexdigest() == etag:
            self.etags[number] = etag

    def _stretch(self, number: int) -> FilePart:
        offset = (number - 1) * self.part_size
        return FilePart(self.source.descriptor, offset, max(0, min(self.part_size, self.source.size - offset)))

    def send(self, invite: Invite) -> None:
        """Send all parts that are not there, with the help of threads that are free. Raises what the first failure was."""
        count = -(-self.source.size // self.part_size)
        self._numbers = [number for number in range(count, 0, -1) if number not in self.etags]
        invite(self._help_out, len(self._numbers) - 1)
        self._help_out()
        with self._changed:
            while self._under_way:
                self._changed.wait()
        if self._failure is not None:
            raise self._failure

    def _help_out(self) -> None:
        """Send parts until there are none left to begin. Called by a free thread, it never raises: the sender does."""
        while True:
            with self._changed:
                if not self._numbers or self._failure is not None:
                    return
                number = self._numbers.pop()
                self._under_way += 1
            failure: Optional[BaseException] = None
            try:
                self.etags[number] = self._send_part(number)
            except BaseException as exc:  # noqa: BLE001 (raised again by send)
                failure = exc
            with self._changed:
                self._failure = self._failure or failure
                self._under_way -= 1
                self._changed.notify_all()

    def _send_part(self, number: int) -> str:
        stretch = self._stretch(number)
        digest = md5_of_part(*_place(stretch))
        # Content-MD5 guards a part as well as a signed SHA-256 would, and is computed in half the time.
        headers = {"content-md5": base64.b64encode(digest.digest()).decode()}
        try:
            etag = self.client.put_part(self.source.key, self.upload_id, number, stretch, headers, UNSIGNED, self.doing)
        except ChangedBody:
            raise Changing from None
        except UnreadableBody as exc:
            raise exc.error from None
        except S3Error as exc:
            if exc.code in ("BadDigest", "InvalidDigest"):
                with contextlib.suppress(Changing):
                    self.source.check_unchanged()
                    raise
                raise Changing from None  # between hashing and sending
            raise
        return etag


def _place(stretch: FilePart) -> tuple[int, int, int]:
    return stretch.descriptor, stretch.offset, stretch.size
