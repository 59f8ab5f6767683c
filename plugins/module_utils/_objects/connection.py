# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A kept-alive HTTP/1.1 connection: just what requests about objects need, at a tenth of the library's time per answer."""

from __future__ import annotations

import base64
import contextlib
import functools
import os
import re
import select
import socket
import ssl
import string
import time
from dataclasses import dataclass
from typing import Callable, Optional, Union
from urllib.parse import unquote, urlsplit

from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._objects.address import Address

_STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?: [^\r\n]*)?")
_CHUNK = 256 * 1024
_LONGEST_HEAD = 64 * 1024
#: A connection that has lain idle for so long, in seconds, is looked at before it is used again.
_IDLE = 0.5


class Broken(OSError):
    """The connection ended, or what came is no HTTP. Nothing is known of the request's fate."""


class ChangedBody(Exception):
    """The file became shorter while it was sent."""


class UnreadableBody(Exception):
    """The file cannot be read any more: an error of the disk's, not of the connection's."""

    def __init__(self, error: OSError) -> None:
        super().__init__(str(error))
        self.error = error


@dataclass(frozen=True)
class FilePart:
    """A stretch of an open file, sent from the disk without being held in memory."""

    descriptor: int
    offset: int
    size: int


Body = Union[bytes, FilePart]


class Headers:
    """The headers of an answer, looked through when one is asked for: of a dozen that services send, few are."""

    def __init__(self, lines: bytes) -> None:
        self._lines = lines

    def get(self, name: str) -> str:
        """The value of a header, its name in lower case; nothing where there is none."""
        found = _header(name).search(self._lines)
        return "" if found is None else found.group(1).decode("latin-1").strip()


@functools.lru_cache(maxsize=100)
def _header(name: str) -> re.Pattern[bytes]:
    return re.compile(rb"\r\n%s[ \t]*:([^\r\n]*)" % re.escape(name.encode()), re.IGNORECASE)


@dataclass
class Answer:
    """The head of an answer."""

    status: int
    headers: Headers
    #: HTTP/1.0, which ends its connections unless told otherwise
    is_old: bool = False


class Tls:
    """What the TLS connections of a process share: the context, and the last session, so that the next begins sooner."""

    def __init__(self, ca_bundle: Optional[str]) -> None:
        # As urllib3 makes it for botocore; ssl.create_default_context() is stricter about private authorities.
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if ca_bundle is None:
            self._context.check_hostname = False
            self._context.verify_mode = ssl.CERT_NONE
        elif os.path.isdir(ca_bundle):
            self._context.load_verify_locations(capath=ca_bundle)
        else:
            self._context.load_verify_locations(cafile=ca_bundle)
        self._session: Optional[ssl.SSLSession] = None

    def wrap(self, plain: socket.socket, name: str) -> ssl.SSLSocket:
        """Begin TLS on a connection. Raises ssl.SSLError."""
        return self._context.wrap_socket(plain, server_hostname=name, session=self._session)

    def keep(self, wrapped: ssl.SSLSocket) -> None:
        """Remember a connection's session; with TLS 1.3 it is there only after the first answer."""
        if self._session is None and wrapped.session is not None and wrapped.session.has_ticket:
            self._session = wrapped.session


def _encoded(lines: list[str]) -> bytes:
    """A request's head. Raises MediaError for what would not be sent as it was signed, or as a header of its own."""
    try:
        head = "\r\n".join(lines).encode("ascii")
    except UnicodeEncodeError:
        head = b""
    if head.count(b"\n") != len(lines) - 1 or head.count(b"\r") != len(lines) - 1:
        bad = [line.partition(":")[0] for line in lines if not (line.isascii() and line.isprintable())]
        raise MediaError(f"a header cannot hold line breaks and characters beyond ASCII: {', '.join(bad)}")
    return head + b"\r\n\r\n"


class HttpConnection:
    """One connection to the address, opened when it is needed. Used by one thread."""

    def __init__(self, address: Address, tls: Optional[Tls], pace: Callable[[int], None]) -> None:
        #: pace is told how many bytes of a file's stretch are about to be sent, and waits as needed
        self.address = address
        self._tls = tls
        self._pace = pace
        self._socket: Optional[socket.socket] = None
        self._pending = bytearray()
        # Of the answer's body: how much is left of this stretch (None: until the connection ends), and whether more follow.
        self._left: Optional[int] = 0
        self._chunked = False
        #: whether the body has not been read to its end: then nothing else can go over this connection
        self._open = False
        self._keep_alive = False
        self._used_at = 0.0
        #: whether an earlier request went over this connection: then its end may only mean that it was kept too long
        self.is_used = False
        self._forward = ""
        if address.proxy and address.scheme == "http":
            # A proxy for plain HTTP wants the whole URL, and its credentials with every request.
            self._forward = f"http://{address.host}"

    def close(self) -> None:
        """End the connection."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.close()
        self._socket = None
        self.is_used = False
        self._pending.clear()

    @property
    def _wire(self) -> socket.socket:
        """The open socket."""
        if self._socket is None:
            raise Broken("the connection is not open")
        return self._socket

    def exchange(self, method: str, target: str, headers: list[tuple[str, str]], body: Body = b"") -> Answer:
        """Send a request and read the head of its answer; its body is read() afterwards.

        Raises Broken, OSError (also for what went wrong with TLS or a proxy), TimeoutError, or ChangedBody.
        """
        if self._open or not self._keep_alive or self._pending or self._is_dead():
            self.close()
        self._keep_alive = False  # until the answer says so
        if self._socket is None:
            self._socket = self._connected()
        size = len(body) if isinstance(body, bytes) else body.size
        try:
            self._send(self.head(method, target, headers, size), body)
        except (BrokenPipeError, ConnectionError) as exc:
            # A service may refuse before it has read everything, and close. What it said then tells why.
            try:
                answer = self._read_final_head()
            except OSError:
                raise Broken(f"the connection ended while the request was sent ({exc})") from exc
            self._begin_body(method, answer)
            self._keep_alive = False
            return answer
        answer = self._read_final_head()
        self._begin_body(method, answer)
        return answer

    def head(self, method: str, target: str, headers: list[tuple[str, str]], size: int) -> bytes:
        """The head of a request whose body has a size. Raises MediaError for a header that HTTP cannot carry."""
        lines = [f"{method} {self._forward}{target} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in headers]
        if self._forward:
            lines += self._proxy_credentials()
        if size or method in ("PUT", "POST"):
            lines.append(f"content-length: {size}")
        return _encoded(lines)

    # A caller with many connections opens one, sends as much as it takes, and reads the answer once there is one.

    def open(self) -> int:
        """Open the connection; its descriptor. Raises OSError."""
        self._socket = self._connected()
        return self._socket.fileno()

    def send_some(self, data: memoryview) -> int:
        """Send what the connection takes without waiting; how much that was. Raises OSError."""
        self._wire.settimeout(0)
        try:
            return self._wire.send(data)
        except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
            return 0
        finally:
            self._wire.settimeout(self.address.read_timeout)

    def receive_some(self) -> bool:
        """Take what has come, without waiting; whether it was of an answer: TLS also has words of its own. Raises OSError."""
        self._wire.settimeout(0)
        try:
            self._pending += self._receive()
        except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
            return False
        finally:
            self._wire.settimeout(self.address.read_timeout)
        return True

    def has_whole_answer(self) -> bool:
        """Whether answer() need not wait. Of an answer that does not tell its length, or is none, it is said too."""
        end = self._pending.find(b"\r\n\r\n")
        if end < 0:
            return len(self._pending) > _LONGEST_HEAD or not b"HTTP/".startswith(self._pending[:5])
        length = Headers(bytes(self._pending[:end])).get("content-length")
        return not length.isdecimal() or len(self._pending) - end - 4 >= int(length)

    def answer(self, method: str) -> Answer:
        """Read an answer that has begun to come, its body too. Raises OSError."""
        answer = self._read_final_head()
        self._begin_body(method, answer)
        self.read_all()
        return answer

    @property
    def is_reusable(self) -> bool:
        """Whether another request can go over the connection."""
        return self._socket is not None and self._keep_alive and not self._open and not self._pending

    def read(self, size: int = _CHUNK) -> bytes:
        """Up to so many bytes of the answer's body; nothing at its end. Raises Broken when it ends too early, or OSError."""
        if self._left == 0 and self._chunked:
            self._begin_chunk()
        if self._left == 0:
            self._open = False
            return b""
        if not self._pending:
            self._pending += self._receive(optional=self._left is None)
            if not self._pending:  # a body whose end is that of the connection
                self._open = self._keep_alive = False
                return b""
        taken = bytes(self._pending[: size if self._left is None else min(size, self._left)])
        del self._pending[: len(taken)]
        if self._left is not None:
            self._left -= len(taken)
        self._open = self._left != 0 or self._chunked
        return taken

    def read_all(self, limit: int = 64 * 1024 * 1024) -> bytes:
        """The whole body of an answer that is held in memory."""
        parts, size = [], 0
        while self._open:
            parts.append(self.read())
            size += len(parts[-1])
            if size > limit:
                raise Broken("the answer is too long")
        return b"".join(parts)

    # -- opening ---------------------------------------------------------------------------------------------------

    def _connected(self) -> socket.socket:
        address = self.address
        proxy = urlsplit(address.proxy) if address.proxy else None
        if proxy is not None and proxy.scheme != "http":
            raise MediaError(f"proxies of the kind {proxy.scheme}:// are not supported; use one that speaks http://")
        where = (proxy.hostname or "", proxy.port or 80) if proxy is not None else (address.name, address.port)
        plain = socket.create_connection(where, timeout=address.connect_timeout)
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is not None:
                if proxy is not None:
                    self._open_tunnel(plain)
                plain = self._tls.wrap(plain, address.name)
            plain.settimeout(address.read_timeout)
        except BaseException:
            plain.close()
            raise
        self._pending.clear()
        return plain

    def _open_tunnel(self, plain: socket.socket) -> None:
        name = self.address.name
        target = f"[{name}]:{self.address.port}" if ":" in name else f"{name}:{self.address.port}"
        lines = [f"CONNECT {target} HTTP/1.1", f"host: {target}", *self._proxy_credentials()]
        plain.sendall("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n")
        self._socket = plain
        try:
            answer = self._read_head()
        finally:
            self._socket = None
        if answer.status != 200:
            raise OSError(f"the proxy refuses to connect to {target}: HTTP status {answer.status}")

    def _proxy_credentials(self) -> list[str]:
        proxy = urlsplit(self.address.proxy)
        if proxy.username is None:
            return []
        credentials = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
        return [f"proxy-authorization: Basic {base64.b64encode(credentials.encode()).decode()}"]

    def _is_dead(self) -> bool:
        """Whether the service has closed a connection that lay idle: anything to read means so."""
        if self._socket is None or time.monotonic() - self._used_at < _IDLE:
            return False
        poll = select.poll()  # select() knows no descriptors above 1,023
        poll.register(self._socket, select.POLLIN | select.POLLHUP)
        return bool(poll.poll(0))

    # -- sending ---------------------------------------------------------------------------------------------------

    def _send(self, head: bytes, body: Body) -> None:
        if isinstance(body, bytes):
            self._wire.sendall(head + body if body else head)
            return
        self._wire.sendall(head)
        offset, end = body.offset, body.offset + body.size
        while offset < end:
            try:
                data = os.pread(body.descriptor, min(_CHUNK, end - offset), offset)
            except OSError as exc:
                raise UnreadableBody(exc) from exc
            if not data:
                raise ChangedBody
            self._pace(len(data))
            self._wire.sendall(data)
            offset += len(data)

    # -- receiving -------------------------------------------------------------------------------------------------

    def _receive(self, optional: bool = False) -> bytes:
        data = self._wire.recv(_CHUNK)
        if not data and not optional:
            raise Broken("the connection ended before the answer did")
        return data

    def _read_line(self) -> bytes:
        while (end := self._pending.find(b"\r\n")) < 0:
            if len(self._pending) > _LONGEST_HEAD:
                raise Broken("what answers does not speak HTTP")
            self._pending += self._receive()
        line = bytes(self._pending[:end])
        del self._pending[: end + 2]
        return line

    def _read_final_head(self) -> Answer:
        answer = self._read_head()
        while answer.status < 200:  # 100 Continue, 103 Early Hints
            answer = self._read_head()
        return answer

    def _read_head(self) -> Answer:
        while (end := self._pending.find(b"\r\n\r\n")) < 0:
            if len(self._pending) > _LONGEST_HEAD or (self._pending and not b"HTTP/".startswith(self._pending[:5])):
                raise Broken("what answers does not speak HTTP")
            self._pending += self._receive()
        head = bytes(self._pending[:end])
        del self._pending[: end + 4]
        status = _STATUS_LINE.match(head)
        if status is None:
            raise Broken("what answers does not speak HTTP")
        return Answer(int(status.group(2)), Headers(head[status.end() :]), status.group(1) == b"0")

    def _begin_body(self, method: str, answer: Answer) -> None:
        headers = answer.headers
        connection = headers.get("connection").lower()
        self._keep_alive = connection == "keep-alive" if answer.is_old else connection != "close"
        self._chunked = headers.get("transfer-encoding").lower() == "chunked"
        length = headers.get("content-length")
        if method == "HEAD" or answer.status in (204, 304):
            self._left, self._chunked = 0, False
        elif self._chunked:
            self._left = 0
        elif not length:
            self._left = None
        elif length.isdecimal():
            self._left = int(length)
        else:
            raise Broken("what answers does not speak HTTP")
        self._open = self._left != 0 or self._chunked
        self._used_at = time.monotonic()
        self.is_used = True
        if self._tls is not None and isinstance(self._socket, ssl.SSLSocket):
            self._tls.keep(self._socket)

    def _begin_chunk(self) -> None:
        line = self._read_line() or self._read_line()  # an empty one ends the chunk before
        digits = line.partition(b";")[0].strip()
        if not digits or digits.strip(string.hexdigits.encode()):
            raise Broken("what answers does not speak HTTP")
        self._left = int(digits, 16)
        if self._left == 0:
            self._chunked = False
            while self._read_line():  # trailers
                pass
