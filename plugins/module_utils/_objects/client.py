# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests about the objects of one bucket: signed, retried, their refusals turned into S3Errors."""

from __future__ import annotations

import contextlib
import hashlib
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from html import escape
from typing import Callable, Optional
from xml.etree.ElementTree import Element

from ansible_collections.selfhosted.media.plugins.module_utils._objects.access import Access
from ansible_collections.selfhosted.media.plugins.module_utils._objects.address import Address
from ansible_collections.selfhosted.media.plugins.module_utils._objects.connection import (
    Answer,
    Body,
    Broken,
    Headers,
    HttpConnection,
    Tls,
)
from ansible_collections.selfhosted.media.plugins.module_utils._objects.retry import (
    THROTTLED_TRIES,
    TRIES,
    is_throttling,
    passes,
    pause,
)
from ansible_collections.selfhosted.media.plugins.module_utils._objects.signing import (
    EMPTY_SHA256,
    Signer,
    encoded_path,
    encoded_query,
)
from ansible_collections.selfhosted.media.plugins.module_utils._objects.xml import (
    Page,
    Part,
    Upload,
    page_of,
    parsed,
    parts_of,
    quick_page,
    text,
    uploads_of,
)
from ansible_collections.selfhosted.media.plugins.module_utils._s3.errors import (
    Gone,
    S3Error,
    Unreachable,
    no_answer,
    no_tls,
    not_s3,
    refusal,
)

#: Told of the answers: how long one took in seconds (objects held in memory only: pages and parts of large files take
#: times of their own), and whether the service asked to slow down.
Observer = Callable[[float, bool], None]

#: Temporary keys are asked for anew after so many seconds; botocore answers at once unless it is time to renew them.
_KEYS_LAST = 5.0
_ELSEWHERE = frozenset({"PermanentRedirect", "TemporaryRedirect", "AuthorizationHeaderMalformed", "301", "307"})
#: A service that answered and then answers nobody is waited for so many seconds: long enough for a restart.
PATIENCE = 60.0
#: Seconds by which clocks may differ before services refuse every request: all that we know of allow 15 minutes.
_SKEW_ALLOWED = 900
_ENDED_KEYS = frozenset({"ExpiredToken", "TokenRefreshRequired", "InvalidToken"})


@dataclass(frozen=True)
class Head:
    """What HEAD tells of an object."""

    size: int
    etag: str
    headers: Headers

    def metadata(self, name: str) -> str:
        """A value of the user's metadata; nothing where there is none."""
        return self.headers.get(f"x-amz-meta-{name}")


@dataclass(frozen=True)
class _Request:
    """What is asked for, signed anew at each try."""

    method: str
    key: bytes  # nothing for the bucket itself
    parameters: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    body: Body = b""
    body_hash: str = EMPTY_SHA256
    #: whether the answer's body is read before the caller has it
    read: bool = True
    #: told when it is made again: nobody knows whether the service has carried out the try before
    again: Callable[[], None] = lambda: None


class Download:
    """An object on its way: read() gives its bytes."""

    def __init__(self, head: Head, connection: HttpConnection) -> None:
        self.head = head
        self.read = connection.read


class ObjectClient:
    """The objects of one bucket. Used from several threads, each with a connection of its own."""

    def __init__(
        self,
        access: Access,
        pace: Callable[[int], None] = lambda _size: None,
        observe: Observer = lambda _seconds, _throttled: None,
    ) -> None:
        self._access = access
        self._pace = pace
        self._observe = observe
        #: requests that were answered, and how long that took in sum; those of put_request() are not among them
        self.answered, self.seconds = 0, 0.0
        self._own = threading.local()
        self._lock = threading.Lock()
        self._connections: list[HttpConnection] = []
        self._requests = 0
        self._signer: Optional[Signer] = None
        self._signer_until = 0.0
        self._was_answered = False
        #: since when nobody has been answered, and whether that is for good
        self._silent_since: Optional[float] = None
        self._is_gone = False
        self._move(access.address())

    def _move(self, address: Address) -> None:
        self.address = address
        self._tls = _tls(address) if address.scheme == "https" else None
        self._signer = None
        self._own = threading.local()  # the connections of the old address are not used again

    @property
    def bucket(self) -> str:
        """The bucket's name."""
        return self.address.bucket

    @property
    def requests(self) -> int:
        """Number of requests sent, tries counted."""
        return self._requests

    def close(self) -> None:
        """End all connections; no thread may be using one any more."""
        with self._lock:
            for connection in self._connections:
                connection.close()
            self._connections.clear()

    # -- operations ------------------------------------------------------------------------------------------------

    def look(self, doing: str) -> None:
        """Ask for the bucket itself. Raises NotThere or NotAllowed."""
        self._ask(_Request("HEAD", b""), doing)

    def put(self, key: bytes, body: bytes, headers: dict[str, str], doing: str) -> str:
        """Write an object; its bytes are signed, so that the service itself refuses damaged ones. Returns its ETag."""
        digest = hashlib.sha256(body).hexdigest()
        answer, _said = self._ask(_Request("PUT", key, {}, headers, body, digest), doing)
        return _etag(answer)

    def head(self, key: bytes, doing: str, part_number: int = 0) -> Head:
        """What an object is, or one of its parts. Raises NotThere."""
        query = {"partNumber": str(part_number)} if part_number else {}
        answer, _said = self._ask(_Request("HEAD", key, query), doing)
        return _head(answer)

    @contextmanager
    def get(self, key: bytes, doing: str) -> Iterator[Download]:
        """Read an object. What breaks while its bytes come raises Unreachable; the caller begins anew."""
        answer, _said = self._ask(_Request("GET", key, headers={"accept-encoding": "identity"}, read=False), doing)
        try:
            yield Download(_head(answer), self._connection())
        except (Broken, ConnectionError, socket.timeout, ssl.SSLError) as exc:  # other OSErrors are the disk's
            raise Unreachable(f"{doing} failed: the answer broke off ({_told(exc)}); run again") from exc
        # A body that was not read to its end is noticed by the connection, which then begins anew.

    def delete(self, key: bytes, doing: str) -> None:
        """Delete an object."""
        self._ask(_Request("DELETE", key), doing)

    def page(self, parameters: dict[str, str], doing: str) -> tuple[Page, Answer, float, float]:
        """One page of a listing, with its answer's head and when it was asked and answered by this machine's clock."""
        query = {"list-type": "2", "encoding-type": "url", **parameters}
        sent = time.time()
        answer, said = self._ask(_Request("GET", b"", query), doing)
        received = time.time()
        with contextlib.suppress(ValueError):  # told by the parser below, with what is wrong
            quick = quick_page(said)
            if quick is not None:
                return quick, answer, sent, received
        root = _xml(said, "ListBucketResult", doing)
        if not any(text(root, name) is not None for name in ("IsTruncated", "Contents", "Name")):
            raise not_s3(doing, "no listing in its answer")
        try:
            return page_of(root), answer, sent, received
        except ValueError as exc:
            raise not_s3(doing, f"a listing that cannot be read: {exc}") from exc

    def begin_parts(
        self, key: bytes, headers: dict[str, str], doing: str, again: Callable[[], None] = lambda: None
    ) -> str:
        """Begin a multipart upload; its id. again is told when a try, which may have begun one, is repeated."""
        _answer, said = self._ask(_Request("POST", key, {"uploads": ""}, headers, again=again), doing)
        return text(_about_upload(said, doing), "UploadId") or ""

    def put_part(
        self, key: bytes, upload_id: str, number: int, body: Body, headers: dict[str, str], body_hash: str, doing: str
    ) -> str:
        """Write a part of a multipart upload; its ETag."""
        query = {"partNumber": str(number), "uploadId": upload_id}
        answer, _said = self._ask(_Request("PUT", key, query, headers, body, body_hash), doing)
        return _etag(answer)

    def parts(self, key: bytes, upload_id: str, doing: str) -> list[Part]:
        """The parts that the service has of a multipart upload. Raises NotThere when there is no such upload."""
        found: list[Part] = []
        query = {"uploadId": upload_id}
        while True:
            _answer, said = self._ask(_Request("GET", key, query), doing)
            more, marker = parts_of(_about_upload(said, doing))
            found += more
            if not marker or not more:
                return found
            query["part-number-marker"] = marker

    def uploads(self, key: bytes, doing: str) -> tuple[list[Upload], float]:
        """The unfinished multipart uploads of a key, the first thousand, and the time by the service's clock."""
        query = {"uploads": "", "prefix": key.decode("utf-8"), "encoding-type": "url", "max-uploads": "1000"}
        answer, said = self._ask(_Request("GET", b"", query), doing)
        try:
            found = uploads_of(_xml(said, "ListMultipartUploadsResult", doing))
        except ValueError as exc:
            raise not_s3(doing, f"a list of uploads that cannot be read: {exc}") from exc
        return [one for one in found if one.key == key], _time_of(answer) or time.time()

    def end_parts(
        self, key: bytes, upload_id: str, etags: list[tuple[int, str]], headers: dict[str, str], doing: str
    ) -> None:
        """Put the parts together."""
        lines = "".join(
            f"<Part><PartNumber>{number}</PartNumber><ETag>{escape(etag)}</ETag></Part>" for number, etag in etags
        )
        namespace = "http://s3.amazonaws.com/doc/2006-03-01/"
        body = f'<CompleteMultipartUpload xmlns="{namespace}">{lines}</CompleteMultipartUpload>'.encode()
        headers = {"content-type": "application/xml", **headers}
        digest = hashlib.sha256(body).hexdigest()
        self._ask(_Request("POST", key, {"uploadId": upload_id}, headers, body, digest), doing)

    def abort_parts(self, key: bytes, upload_id: str, doing: str) -> None:
        """Give a multipart upload up: the service forgets its parts. Raises NotThere when there is no such upload."""
        self._ask(_Request("DELETE", key, {"uploadId": upload_id}), doing)

    # -- for a lane ------------------------------------------------------------------------------------------------

    def connection(self) -> HttpConnection:
        """A connection of the caller's own, not open yet; close() ends it too."""
        connection = HttpConnection(self.address, self._tls, self._pace)
        with self._lock:
            self._connections.append(connection)
        return connection

    def put_request(self, connection: HttpConnection, key: bytes, body: bytes, headers: dict[str, str]) -> bytes:
        """The bytes of put()'s request, for one try over a connection; it is counted."""
        digest = hashlib.sha256(body).hexdigest()
        target, signed = self._signed(connection.address, _Request("PUT", key, {}, headers, body, digest))
        with self._lock:
            self._requests += 1
        return connection.head("PUT", target, signed, len(body)) + body

    # -- asking ----------------------------------------------------------------------------------------------------

    def _ask(self, request: _Request, doing: str) -> tuple[Answer, bytes]:
        """Send a request until it succeeds or there is no use in trying again."""
        tries, asked_anew = 0, False
        while True:
            tries += 1
            if isinstance(request.body, bytes):
                self._pace(len(request.body))  # before it is signed: a service takes a signature for minutes only
            address = self.address
            began = time.monotonic()
            try:
                answer, said = self._send(request, doing)
            except Unreachable as exc:
                tries = self._tries_after(exc, tries, began)
                time.sleep(pause(max(tries, 1)))
                request.again()
                continue
            self._note_time(time.monotonic() - began)
            code, message = _refused(answer, said, request.read)
            code, message = _blamed_on_clocks(answer, code, message)
            if not code:
                if request.key and isinstance(request.body, bytes):
                    self._observe(time.monotonic() - began, False)
                return answer, said
            error = refusal(doing, code, answer.status, message)
            throttled = is_throttling(code, answer.status)
            if throttled:
                self._observe(time.monotonic() - began, True)
            if code in _ENDED_KEYS and not asked_anew and self._keys_are_new():
                asked_anew = True
            elif (code in _ELSEWHERE or answer.status in (301, 307)) and not asked_anew:
                asked_anew = True
                with self._lock:
                    if self.address is address:
                        try:
                            self._move(self._access.relocated())
                        except S3Error:
                            raise error from None  # which tells more than the failed search
            elif passes(code, answer.status) and tries < (THROTTLED_TRIES if throttled else TRIES):
                time.sleep(pause(tries, answer.headers.get("retry-after")))
                request.again()
            else:
                raise error

    def _note_time(self, seconds: float) -> None:
        with self._lock:
            self.answered += 1
            self.seconds += seconds

    def _tries_after(self, failed: Unreachable, tries: int, began: float) -> int:
        """How many tries count after one, begun at a moment, without an answer. Raises where there is no use in another.

        As long as others are answered, a request has its few tries. When nobody is, what counts is for how long:
        a service that is restarted loses us nothing, and one that is no more is not waited for with every file.
        All tries may have been made while nobody was answered, so the last one follows an answer that somebody got.
        """
        if isinstance(failed.__cause__, ssl.SSLCertVerificationError):
            raise failed
        if self._silent_since is None:
            self._silent_since = began
        is_over = self._was_answered and time.monotonic() - self._silent_since > PATIENCE
        if tries < TRIES and not is_over and not self._is_gone:
            return tries
        if not self._is_gone and self._answers():
            if tries > TRIES:
                raise failed
            return tries
        if is_over or not self._was_answered or self._is_gone:
            self._is_gone = True
            raise Gone(f"{failed}; nothing answers there, so nothing more was tried: run again when something does")
        return 0

    def _answers(self) -> bool:
        """Whether anybody answers, whatever it be, when asked once for the bucket itself."""
        try:
            self._send(_Request("HEAD", b""), "looking for the service")
        except Unreachable:
            return False
        return True

    def _send(self, request: _Request, doing: str) -> tuple[Answer, bytes]:
        """One try. Raises Unreachable when no answer comes."""
        connection = self._connection()
        address = connection.address
        target, signed = self._signed(address, request)
        while True:
            was_used = connection.is_used
            with self._lock:
                self._requests += 1
            try:
                answer = connection.exchange(request.method, target, signed, request.body)
                self._was_answered, self._silent_since = True, None
                if not request.read and answer.status < 300:
                    return answer, b""
                return answer, connection.read_all()
            except OSError as exc:
                connection.close()
                if was_used and isinstance(exc, (Broken, ConnectionError)):
                    continue  # the service had just closed a connection that it found idle for too long
                if isinstance(exc, ssl.SSLError):
                    raise no_tls(doing, exc) from exc
                raise no_answer(doing, f"{address.scheme}://{address.host}: {_told(exc)}") from exc
            except BaseException:
                connection.close()
                raise

    def _signed(self, address: Address, request: _Request) -> tuple[str, list[tuple[str, str]]]:
        """A request's target and headers."""
        path = f"{address.base_path}/{encoded_path(request.key)}" if request.key else address.base_path or "/"
        query = encoded_query(request.parameters) if request.parameters else ""
        headers = {**request.headers, "host": address.host}
        signed = self._current_signer().sign(request.method, path, query, headers, request.body_hash)
        signed.append(("user-agent", address.user_agent))
        return (f"{path}?{query}" if query else path), signed

    def _connection(self) -> HttpConnection:
        connection: Optional[HttpConnection] = getattr(self._own, "connection", None)
        if connection is None:
            connection = self._own.connection = self.connection()
        return connection

    def _current_signer(self) -> Signer:
        signer = self._signer
        if signer is None or (signer.keys.expiring and time.monotonic() > self._signer_until):
            keys = self._access.keys()
            if signer is None or signer.keys != keys:
                signer = Signer(keys, self.address.region)
            self._signer, self._signer_until = signer, time.monotonic() + _KEYS_LAST
        return signer

    def _keys_are_new(self) -> bool:
        """Ask for temporary keys once more; whether they differ from those that the service found ended."""
        before = self._signer
        self._signer = None
        return before is None or self._current_signer().keys != before.keys or before.keys.expiring


def _tls(address: Address) -> Tls:
    try:
        return Tls(address.ca_bundle)
    except (OSError, ssl.SSLError) as exc:
        raise S3Error(f"the certificate authorities in {address.ca_bundle} cannot be read: {exc}") from exc


def _told(exc: BaseException) -> str:
    return str(exc) or type(exc).__name__


def _time_of(answer: Answer) -> Optional[float]:
    """The service's time when it answered; None where it does not tell."""
    try:
        return parsedate_to_datetime(answer.headers.get("date")).timestamp()
    except (TypeError, ValueError, IndexError):
        return None


def _blamed_on_clocks(answer: Answer, code: str, message: str) -> tuple[str, str]:
    """A refusal, with how far the clocks differ if that is what it is for: HEAD is told no more than the status."""
    least = {"RequestTimeTooSkewed": 60, "403": _SKEW_ALLOWED}.get(code)
    there = None if least is None else _time_of(answer)
    if least is None or there is None:
        return code, message
    off = round(time.time() - there)
    if abs(off) < least:
        return code, message
    side = "ahead of" if off > 0 else "behind"
    return "RequestTimeTooSkewed", f"this machine's clock is {abs(off)} s {side} the service's"


def _etag(answer: Answer) -> str:
    return answer.headers.get("etag").strip('"')


def _head(answer: Answer) -> Head:
    length = answer.headers.get("content-length")
    return Head(int(length) if length.isdecimal() else -1, _etag(answer), answer.headers)


def _xml(said: bytes, name: str, doing: str) -> Element:
    root = parsed(said)
    if root is None or root.tag != name:
        raise not_s3(doing, "no S3 answer in what it says")
    return root


def _about_upload(said: bytes, doing: str) -> Element:
    """An answer about a multipart upload, told by the upload's id: services give the document names of their own."""
    root = parsed(said)
    if root is None or not text(root, "UploadId"):
        raise not_s3(doing, "no upload id in its answer")
    return root


def _refused(answer: Answer, said: bytes, read: bool) -> tuple[str, str]:
    """The code and message of a refusal; no code for a success. Where there is no S3 error, the status is the code."""
    if answer.status < 300 and not (read and b"<Error" in said[:256]):
        return "", ""
    root = parsed(said) if said else None
    if root is None or root.tag != "Error":
        return str(answer.status), ""
    # Putting parts together is answered with 200 before it has been done; what failed then is in the body.
    return text(root, "Code") or str(answer.status), text(root, "Message") or ""
