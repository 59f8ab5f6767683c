# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Upload large files in parts: several at a time, of several files, none of them held in memory."""

from __future__ import annotations

import base64
import contextlib
import threading
import time
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
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
from ansible_collections.selfhosted.media.plugins.module_utils._sync.absence import UNKNOWN, Absence
from ansible_collections.selfhosted.media.plugins.module_utils._sync.hashing import MD5_METADATA, md5_of_part
from ansible_collections.selfhosted.media.plugins.module_utils._sync.keys import shown
from ansible_collections.selfhosted.media.plugins.module_utils._sync.progress import nothing
from ansible_collections.selfhosted.media.plugins.module_utils._sync.source import Changing, Source
from ansible_collections.selfhosted.media.plugins.module_utils._sync.unfinished import Mark, Unfinished

#: Size of a part unless there would be too many; S3's own lower limit is 5 MiB. R2 wants all but the last of one size.
PART_SIZE = 8 * 1024 * 1024
_MIB = 1024 * 1024
#: For so many seconds a request to begin an upload may be under way, its tries counted.
_LONGEST_BEGINNING = 600
#: Seconds by which clocks may differ before services refuse every request.
_CLOCKS = 900
#: Services tell whole seconds.
_SECOND = 1.0

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
    #: how an object that is there already is found out, where it must not be overwritten
    absence: Optional[Absence] = None
    invite: Invite = lambda _help_out, _helpers: None
    #: told how much of a file is there, and taken back when it is whole or has failed
    moved: Callable[[int], None] = nothing

    def upload(self, source: Source, headers: dict[str, str]) -> None:
        """Write a file. Raises S3Error, Changing or OSError; then no parts stay behind that could not be an object's."""
        part_size = part_size_of(source.size, self.max_parts)
        whole = md5_of_part(source.descriptor, 0, source.size).hexdigest()
        headers = {**headers, f"x-amz-meta-{MD5_METADATA}": whole}
        doing = f"writing {shown(source.key)} in parts to bucket {self.client.bucket}"
        mark = self.unfinished.take(source.key, f"{whole} {part_size} {sorted(headers.items())}")
        upload: Optional[_Upload] = None
        try:
            upload = self._resumed(mark, source, part_size, doing)
            upload = upload or self._begun(mark, source, part_size, headers, doing)
            try:
                self._carry_out(upload, whole, doing)
            except S3Error as exc:
                # A gateway that died while it put the parts together keeps the upload locked, on Ceph for ten minutes.
                if not (upload.is_ending and exc.code == "InternalError"):
                    raise
                upload = self._begun(mark, source, part_size, headers, doing)
                self._carry_out(upload, whole, doing)
        except BaseException as exc:
            if upload is not None and upload.is_ending and not _is_refused(exc):
                mark.release()  # it may have been put together, or half so: its parts may be an object's
            else:
                self._abort(mark, source.key, doing)
            raise
        mark.is_replaced = True
        self._abort_former(mark, doing)
        # A try that was given up may reach the service late: at the end of the run it is looked for again.
        if mark.is_repeated or mark.former:
            mark.upload_id = ""
            mark.write()
            mark.release()
        else:
            mark.remove()

    def abort_unfinished(self) -> int:
        """Give up what killed runs of ours have left behind and nobody has taken up; how many there were."""
        marks = self.unfinished.left_behind()
        for mark in marks:
            doing = f"giving up an unfinished upload of {shown(mark.key)}"
            if self._may_be_an_objects(mark, doing):
                mark.release()
                continue
            self._abort_former(mark, doing)
            self._abort(mark, mark.key, doing)
        return len(marks)

    def _may_be_an_objects(self, mark: Mark, doing: str) -> bool:
        """Whether parts of an unfinished upload may be those of the object that has the key.

        A gateway that dies after it has written the object, and before it has forgotten the upload, leaves both (Ceph);
        giving the upload up would then remove the object's content.
        """
        if mark.is_replaced:
            return False
        try:
            if not any(self._is_known(mark.key, one, doing) for one in (*mark.former, mark.upload_id) if one):
                return False
            head = self.client.head(mark.key, doing)
        except NotThere:
            return False
        except MediaError:
            return True
        if not head.metadata(MD5_METADATA):
            return False  # somebody else's, from parts of their own
        try:
            written = parsedate_to_datetime(head.headers.get("last-modified")).timestamp()
        except (TypeError, ValueError):
            return True
        return written >= mark.begun - _CLOCKS

    def _is_known(self, key: bytes, upload_id: str, doing: str) -> bool:
        try:
            self.client.parts(key, upload_id, doing)
        except NotThere:
            return False
        return True

    def _abort_former(self, mark: Mark, doing: str) -> None:
        """Give up uploads that another one of the same key has replaced: no object has their parts any more."""
        for upload_id in list(mark.former):
            try:
                self.client.abort_parts(mark.key, upload_id, doing)
            except NotThere:
                pass
            except MediaError:
                continue  # a later run can do it
            mark.former.remove(upload_id)

    def _begun(self, mark: Mark, source: Source, part_size: int, headers: dict[str, str], doing: str) -> _Upload:
        if mark.upload_id:
            mark.former.append(mark.upload_id)
        mark.upload_id, mark.begun, mark.is_repeated, mark.is_replaced = "", time.time(), False, False
        mark.write()
        mark.upload_id = self.client.begin_parts(source.key, headers, doing, mark.repeat)
        mark.write()
        if mark.is_repeated:
            self._abort_nameless(mark, source.key, doing)
        return _Upload(self.client, source, mark.upload_id, part_size, doing)

    def _resumed(self, mark: Mark, source: Source, part_size: int, doing: str) -> Optional[_Upload]:
        """The upload that a killed run has begun, with what it has sent; None where there is none of this content."""
        if not mark.upload_id:
            self._abort_nameless(mark, source.key, doing)
            return None
        if not mark.is_same:
            return None  # the new one takes its place, and gives it up in the end
        try:
            there = self.client.parts(source.key, mark.upload_id, doing)
        except NotThere:
            mark.upload_id = ""
            return None
        upload = _Upload(self.client, source, mark.upload_id, part_size, doing)
        for part in there:
            upload.take_over(part.number, part.size, part.etag)
        return upload

    def _carry_out(self, upload: _Upload, whole: str, doing: str) -> None:
        try:
            upload.send(self.invite, self.moved)
            upload.source.check_unchanged()
            self._end(upload, whole, doing)
        finally:
            self.moved(-upload.sent)

    def _end(self, upload: _Upload, whole: str, doing: str) -> None:
        key = upload.source.key
        headers: dict[str, str] = {}
        if self.absence is not None:
            self.absence.check(key)  # always: Ceph 16 ignores the header when parts are put together
            headers = self.absence.headers()
        etags = sorted(upload.etags.items())
        upload.is_ending = True
        try:
            try:
                self.client.end_parts(key, upload.upload_id, etags, headers, doing)
            except S3Error as exc:
                if not headers or exc.status not in UNKNOWN:
                    raise
                self.client.end_parts(key, upload.upload_id, etags, {}, doing)  # it knows the header with PUT only
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

    def _abort_nameless(self, mark: Mark, key: bytes, doing: str) -> None:
        """Give up uploads of a key that we have begun without ever learning their ids: killed, or the answer was lost.

        They are told by when they were begun, and by holding no part: we send none before the id is noted.
        """
        if not mark.begun:
            return
        with contextlib.suppress(MediaError):  # else the bucket's own lifecycle rules do it
            uploads, now = self.client.uploads(key, doing)
            begun = mark.begun + now - time.time()
            for one in uploads:
                is_in_time = begun - 2 * _SECOND <= one.begun <= begun + _LONGEST_BEGINNING
                if is_in_time and one.upload_id != mark.upload_id and not self.client.parts(key, one.upload_id, doing):
                    self.client.abort_parts(key, one.upload_id, doing)

    def _abort(self, mark: Mark, key: bytes, doing: str) -> None:
        if mark.upload_id:
            try:
                self.client.abort_parts(key, mark.upload_id, doing)
            except NotThere:
                pass
            except MediaError:
                mark.release()  # the first error matters; the note stays, so that a later run can do it
                return
        else:
            self._abort_nameless(mark, key, doing)
        if mark.former:
            mark.upload_id = ""
            mark.write()
            mark.release()
        else:
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
    #: whether the service was asked to put the parts together
    is_ending: bool = False
    #: bytes of the parts that were sent
    sent: int = 0

    def __post_init__(self) -> None:
        self._changed = threading.Condition()
        self._under_way = 0
        self._failure: Optional[BaseException] = None
        self._numbers: list[int] = []
        self._moved: Callable[[int], None] = nothing

    def take_over(self, number: int, size: int, etag: str) -> None:
        """Leave out a part that the service has, if it is what the file holds there."""
        stretch = self._stretch(number)
        if stretch.size == size and md5_of_part(*_place(stretch)).hexdigest() == etag:
            self.etags[number] = etag

    def _stretch(self, number: int) -> FilePart:
        offset = (number - 1) * self.part_size
        return FilePart(self.source.descriptor, offset, max(0, min(self.part_size, self.source.size - offset)))

    def send(self, invite: Invite, moved: Callable[[int], None] = nothing) -> None:
        """Send all parts that are not there, with the help of threads that are free. Raises what the first failure was."""
        count = -(-self.source.size // self.part_size)
        self._numbers = [number for number in range(count, 0, -1) if number not in self.etags]
        self._moved = moved
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
                if failure is None:
                    size = self._stretch(number).size
                    self.sent += size
                    self._moved(size)
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


def _is_refused(exc: BaseException) -> bool:
    """Whether the service has said that it did not do what it was asked for."""
    return isinstance(exc, S3Error) and 400 <= exc.status < 500


def _place(stretch: FilePart) -> tuple[int, int, int]:
    return stretch.descriptor, stretch.offset, stretch.size
