# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A proxy between a client and a real S3 server: it delays, and it plays the faults and quirks that rules ask for.

    with Proxy(port_of(server), [Rule(Answer(503, "SlowDown"), method="PUT", times=3)], delay=0.02) as proxy:
        ...  # server._replace(endpoint_url=proxy.url) is the server behind it
        assert proxy.statuses("PUT") == [503, 503, 503, 200]

The Host header is passed on as it came, so signatures stay right; a Rule that changes what is signed signs anew.
"""

from __future__ import annotations

import contextlib
import random
import re
import socket
import socketserver
import struct
import threading
import time
import urllib.parse
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Callable, Optional

from . import Server
from .operations import bucket_and_key, operation

_CONTENTS = re.compile(rb"<Contents>.*?</Contents>", re.DOTALL)
_RECEIVE = 1 << 16


@dataclass
class Message:
    """A request or an answer; header names are in lower case."""

    first: str  # the request line or the status line
    headers: dict[str, str]
    body: bytes = b""
    times: int = 1  # how often an answer is sent

    def set_body(self, body: bytes) -> None:
        self.body = body
        self.headers["content-length"] = str(len(body))

    @property
    def status(self) -> int:
        """Of an answer."""
        return int(self.first.split(" ")[1])

    def encoded(self) -> bytes:
        lines = [self.first, *(f"{name}: {value}" for name, value in self.headers.items()), "", ""]
        return "\r\n".join(lines).encode("latin-1") + self.body


@dataclass
class Request(Message):
    """A request. The body is there once it was read."""

    method: str = ""
    path: str = ""  # as sent: percent-encoded
    query: str = ""  # as sent
    at: float = 0.0  # time.monotonic() when its head was there
    fault: Optional[Fault] = None  # what Chaos plays with it

    def set_query(self, query: str) -> None:
        self.query = query
        self.first = f"{self.method} {self.path}{'?' if query else ''}{query} HTTP/1.1"

    @property
    def parameters(self) -> dict[str, str]:
        return dict(urllib.parse.parse_qsl(self.query, keep_blank_values=True))

    @property
    def operation(self) -> str:
        """The name that S3 has for it."""
        return operation(self.method, self.path, self.parameters, self.headers)

    @property
    def bucket(self) -> str:
        return bucket_and_key(self.path)[0]

    @property
    def is_anonymous(self) -> bool:
        return "authorization" not in self.headers and not {"X-Amz-Signature", "Signature"} & set(self.parameters)


@dataclass(frozen=True)
class Seen:
    """What went through the proxy: one request and what became of it."""

    method: str
    path: str  # decoded
    query: dict[str, str]  # decoded
    headers: dict[str, str]
    body_bytes: int
    status: int  # 0: the connection was closed without an answer
    at: float  # time.monotonic() when it came
    seconds: float

    @property
    def operation(self) -> str:
        """The name that S3 has for it."""
        return operation(self.method, self.path, self.query, self.headers)


class ConnectionCut(Exception):
    """The client's connection is to be closed, after these bytes."""

    def __init__(self, last: bytes = b"", status: int = 0, reset: bool = False) -> None:
        self.last, self.status, self.reset = last, status, reset


class Fault:
    """What a rule does; each method does nothing here. An answer given to a request is sent in the server's stead."""

    def on_head(self, request: Request, proxy: Proxy) -> None:
        """The head of a request was read, its body was not."""

    def on_request(self, request: Request, proxy: Proxy) -> Optional[Message]:
        """The whole request was read, and may be changed."""
        return None

    def on_answer(self, request: Request, answer: Message, proxy: Proxy) -> None:
        """The server has answered, and the answer may be changed."""


@dataclass
class Rule:
    """A fault and the requests that it is for: those that match, from the `first` on, `times` of them (None: all)."""

    fault: Fault
    method: str = ""  # "" is any; "PUT|POST" are two
    path: str = ""  # regular expressions, searched in what was sent
    query: str = ""
    header: str = ""  # the name of one that is there
    operation: str = ""  # what S3 calls it, such as PutBucketPolicy; a regular expression for the whole name
    first: int = 1
    times: Optional[int] = None
    matched: int = 0

    def takes(self, request: Request) -> bool:
        """Whether it is for this request, which counts. Not thread-safe."""
        if self.method and request.method not in self.method.split("|"):
            return False
        if not re.search(self.path, request.path) or not re.search(self.query, request.query):
            return False
        if self.header and self.header.lower() not in request.headers:
            return False
        if self.operation and not re.fullmatch(self.operation, request.operation):
            return False
        self.matched += 1
        return self.first <= self.matched and (self.times is None or self.matched < self.first + self.times)


# -- faults ------------------------------------------------------------------------------------------------------------


def reply(status: int, xml: str = "", headers: Optional[dict[str, str]] = None) -> Message:
    """An answer with a document, or without a body."""
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n{xml}'.encode() if xml else b""
    standard = {"content-type": "application/xml", "content-length": str(len(body))}
    return Message(f"HTTP/1.1 {status} Status", {**standard, **(headers or {})}, body)


def error(
    status: int, code: str, headers: Optional[dict[str, str]] = None, message: str = "The proxy says so."
) -> Message:
    """An answer as S3 gives it for an error; with no code, one without a body."""
    xml = f"<Error><Code>{code}</Code><Message>{message}</Message><RequestId>proxy</RequestId></Error>"
    return reply(status, xml if code else "", headers)


@dataclass
class Answer(Fault):
    """An error is answered instead of the server: (500, "InternalError"), (503, "SlowDown"), (429, "")."""

    status: int
    code: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    message: str = "The proxy says so."

    def on_request(self, request: Request, proxy: Proxy) -> Optional[Message]:
        if request.method == "HEAD":
            return error(self.status, "")
        return error(self.status, self.code, self.headers, self.message)


@dataclass
class Throttle(Answer):
    """What comes faster than this many requests in a second is answered 503 SlowDown."""

    status: int = 503
    code: str = "SlowDown"
    per_second: float = 100.0

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._allowed = self.per_second
        self._since = time.monotonic()

    def on_request(self, request: Request, proxy: Proxy) -> Optional[Message]:
        with self._lock:
            now = time.monotonic()
            self._allowed = min(self.per_second, self._allowed + (now - self._since) * self.per_second)
            self._since = now
            if self._allowed >= 1:
                self._allowed -= 1
                return None
        return super().on_request(request, proxy)


@dataclass
class Close(Fault):
    """The connection is closed without an answer: before the body was read, after it, or after the server got it all."""

    when: str = "head"  # head, body, answer
    reset: bool = False  # with RST: the client's next write or read fails

    def on_head(self, request: Request, proxy: Proxy) -> None:
        self._cut("head")

    def on_request(self, request: Request, proxy: Proxy) -> Optional[Message]:
        self._cut("body")
        return None

    def on_answer(self, request: Request, answer: Message, proxy: Proxy) -> None:
        self._cut("answer")

    def _cut(self, when: str) -> None:
        if when == self.when:
            raise ConnectionCut(reset=self.reset)


@dataclass
class Half(Fault):
    """The answer's length is declared as it is, and only part of it comes: of the body, or of the head if there is none."""

    part: float = 0.5

    def on_answer(self, request: Request, answer: Message, proxy: Proxy) -> None:
        whole = answer.encoded()
        cut = len(whole) - len(answer.body) if answer.body else 0
        raise ConnectionCut(whole[: cut + int((len(whole) - cut) * self.part)], answer.status)


@dataclass
class HalfSent(Fault):
    """The server gets the head and half of the body, then both connections end."""

    def on_request(self, request: Request, proxy: Proxy) -> Optional[Message]:
        whole = request.encoded()
        with contextlib.suppress(OSError), socket.create_connection(proxy.upstream) as sock:
            sock.sendall(whole[: len(whole) - (len(request.body) + 1) // 2])
        raise ConnectionCut


@dataclass
class Twice(Fault):
    """The server is asked twice, and its second answer counts; or its one answer is sent twice."""

    asked: bool = True

    def on_request(self, request: Request, proxy: Proxy) -> Optional[Message]:
        if self.asked:
            ask(proxy, request)
        return None

    def on_answer(self, request: Request, answer: Message, proxy: Proxy) -> None:
        answer.times = 1 if self.asked else 2


@dataclass
class Call(Fault):
    """Something is done before a request is passed on."""

    act: Callable[[], object]

    def on_head(self, request: Request, proxy: Proxy) -> None:
        self.act()


@dataclass
class CallOnce(Fault):
    """Something is done once, before a request is passed on; those that come meanwhile wait for its end."""

    act: Callable[[], object]

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._is_done = False

    def on_head(self, request: Request, proxy: Proxy) -> None:
        with self._lock:
            if not self._is_done:
                self.act()
            self._is_done = True


@dataclass
class Chaos(Fault):
    """Each request meets, with a probability, one of the faults by chance."""

    faults: dict[str, Fault]
    part: float = 0.2
    seed: int = 0

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._lock = threading.Lock()
        self.played: Counter[str] = Counter()

    def on_head(self, request: Request, proxy: Proxy) -> None:
        with self._lock:
            if self._random.random() >= self.part:
                return
            name = self._random.choice(sorted(self.faults))
            if isinstance(self.faults[name], (Twice, Stall)) and request.query == "uploads=":
                return  # the first of two uploads, and one that begins when the run is over, would be known to nobody
            self.played[name] += 1
        request.fault = self.faults[name]
        request.fault.on_head(request, proxy)

    def on_request(self, request: Request, proxy: Proxy) -> Optional[Message]:
        return request.fault.on_request(request, proxy) if request.fault else None

    def on_answer(self, request: Request, answer: Message, proxy: Proxy) -> None:
        if request.fault:
            request.fault.on_answer(request, answer, proxy)


@dataclass
class Stall(Fault):
    """Nothing happens for a while: `when` the head or the body was read, or before the answer is sent."""

    seconds: float
    when: str = "body"  # head, body, answer

    def on_head(self, request: Request, proxy: Proxy) -> None:
        self._wait("head", proxy)

    def on_request(self, request: Request, proxy: Proxy) -> Optional[Message]:
        self._wait("body", proxy)
        return None

    def on_answer(self, request: Request, answer: Message, proxy: Proxy) -> None:
        self._wait("answer", proxy)

    def _wait(self, when: str, proxy: Proxy) -> None:
        if when == self.when:
            proxy.wait(self.seconds)


@dataclass
class Ignore(Fault):
    """Query parameters and headers that never reach the server, as if it did not know them.

    `signer` signs the request anew, for a server that verifies signatures; moto does not.
    """

    parameters: Sequence[str] = ()
    headers: Sequence[str] = ()
    signer: Optional[Server] = None

    def on_request(self, request: Request, proxy: Proxy) -> Optional[Message]:
        for name in self.headers:
            request.headers.pop(name.lower(), None)
        kept = [one for one in request.query.split("&") if one.partition("=")[0] not in self.parameters]
        request.set_query("&".join(kept))
        if self.signer and "authorization" in request.headers:
            sign(request, self.signer)
        return None


@dataclass
class Reorder(Fault):
    """The keys of a LIST page come in another order: reversed, or the last one first."""

    reverse: bool = True

    def on_answer(self, request: Request, answer: Message, proxy: Proxy) -> None:
        found = _CONTENTS.findall(answer.body)
        order = iter(found[::-1] if self.reverse else found[-1:] + found[:-1])
        answer.body = _CONTENTS.sub(lambda _match: next(order), answer.body)


def sign(request: Request, server: Server) -> None:
    """Sign a request that was changed, or one of nobody, with the keys of a server's account."""
    from botocore.auth import S3SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    signed = re.search("SignedHeaders=([^,]*)", request.headers.get("authorization", ""))
    names = set(signed[1].split(";") if signed else ()) - {"host", "x-amz-date"}
    headers = {name: value for name, value in request.headers.items() if name in names}
    url = f"http://{request.headers['host']}{request.path}{'?' if request.query else ''}{request.query}"
    again = AWSRequest(request.method, url, headers, request.body)
    S3SigV4Auth(Credentials(server.access_key, server.secret_key), "s3", server.region).add_auth(again)
    request.headers.update({name.lower(): value for name, value in again.headers.items()})


# -- HTTP --------------------------------------------------------------------------------------------------------------


class _Stream:
    """A socket that is read in heads and bodies."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._early = b""

    def head(self) -> Message:
        first, *lines = self._until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        pairs = (line.partition(":") for line in lines)
        return Message(first, {name.lower(): value.strip() for name, _colon, value in pairs})

    def read_body(self, message: Message, to_the_end: bool = False) -> None:
        """Read the body of a message whose head was read. One that came in chunks then has a length."""
        if message.headers.get("transfer-encoding", "").lower() == "chunked":
            message.body = self._chunks()
            del message.headers["transfer-encoding"]
            message.headers["content-length"] = str(len(message.body))
        elif "content-length" in message.headers:
            message.body = self._exactly(int(message.headers["content-length"]))
        elif to_the_end:
            with contextlib.suppress(EOFError):
                while True:
                    self._more()
            message.body, message.headers["connection"] = self._early, "close"

    def _more(self) -> None:
        data = self.sock.recv(_RECEIVE)
        if not data:
            raise EOFError
        self._early += data

    def _until(self, end: bytes) -> bytes:
        while end not in self._early:
            self._more()
        found, _end, self._early = self._early.partition(end)
        return found

    def _exactly(self, count: int) -> bytes:
        parts, left = [self._early[:count]], count - len(self._early)
        self._early = self._early[count:]
        while left > 0:
            data = self.sock.recv(min(left, 1 << 20))
            if not data:
                raise EOFError
            parts.append(data)
            left -= len(data)
        return b"".join(parts)

    def _chunks(self) -> bytes:
        parts = []
        while size := int(self._until(b"\r\n").partition(b";")[0], 16):
            parts.append(self._exactly(size))
            self._exactly(2)
        while self._until(b"\r\n"):
            pass  # trailers
        return b"".join(parts)


class _Upstream:
    """The connection to the server that belongs to a client's connection."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address
        self._stream: Optional[_Stream] = None

    def ask(self, request: Request) -> Message:
        """Pass a request on; once more if the server had given up the connection meanwhile."""
        kept = self._stream is not None
        try:
            return self._ask(request)
        except (OSError, EOFError):
            self.close()
            if not kept:
                raise
            return self._ask(request)

    def _ask(self, request: Request) -> Message:
        if self._stream is None:
            self._stream = _Stream(socket.create_connection(self._address))
            self._stream.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._stream.sock.sendall(request.encoded())
        answer = self._stream.head()
        while answer.status < 200:
            answer = self._stream.head()
        if request.method != "HEAD" and answer.status not in (204, 304):
            self._stream.read_body(answer, to_the_end=True)
        if answer.headers.get("connection", "").lower() == "close":
            self.close()
        return answer

    def close(self) -> None:
        if self._stream is not None:
            self._stream.sock.close()
        self._stream = None


def _request(head: Message) -> Request:
    method, target, _version = head.first.split(" ")
    path, _mark, query = target.partition("?")
    return Request(head.first, head.headers, method=method, path=path, query=query, at=time.monotonic())


def ask(proxy: Proxy, request: Request) -> Message:
    """What the server behind a proxy answers to a request of the proxy's own."""
    upstream = _Upstream(proxy.upstream)
    try:
        return upstream.ask(request)
    finally:
        upstream.close()


def port_of(server: Server) -> int:
    """The port that a test server listens on."""
    return int(server.endpoint_url.rpartition(":")[2])


class Proxy:
    """The proxy on a free port, from entering the context to leaving it.

    `delay` is the time in seconds that each direction takes: a request takes twice that, a new connection twice that more.
    """

    def __init__(
        self, upstream_port: int, rules: Sequence[Rule] = (), delay: float = 0.0, upstream_host: str = "127.0.0.1"
    ) -> None:
        self.rules = list(rules)  # may be changed at any time
        self.delay = delay
        self.most_open = 0
        self.connections = 0
        self.upstream = (upstream_host, upstream_port)
        self._seen: list[Seen] = []
        self._open = 0
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._sockets: set[socket.socket] = set()

    # -- what tests look at --------------------------------------------------------------------------------------------

    @property
    def port(self) -> int:
        return int(self._listener.server_address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def seen(self, method: str = "", path: str = "") -> list[Seen]:
        """The requests so far, in the order in which they came; of a method, with something in their path."""
        with self._lock:
            found = [one for one in self._seen if method in ("", one.method) and path in one.path]
        return sorted(found, key=lambda one: one.at)

    def statuses(self, method: str = "", path: str = "") -> list[int]:
        return [one.status for one in self.seen(method, path)]

    def forget(self) -> None:
        """Begin anew with what was seen, counted and matched."""
        with self._lock:
            self._seen.clear()
            self.most_open, self.connections = self._open, 0
            for rule in self.rules:
                rule.matched = 0

    # -- the context ---------------------------------------------------------------------------------------------------

    def __enter__(self) -> Proxy:
        proxy = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                proxy._serve(self.request)

        class Listener(socketserver.ThreadingTCPServer):
            daemon_threads = True
            block_on_close = False
            request_queue_size = 1024

        self._listener = Listener(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._listener.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._stopping.set()
        self._listener.shutdown()
        self._listener.server_close()
        with self._lock:
            for sock in self._sockets:
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)

    def wait(self, seconds: float) -> None:
        """Sleep, but not longer than the proxy lives."""
        if seconds and self._stopping.wait(seconds):
            raise ConnectionCut

    # -- one connection ------------------------------------------------------------------------------------------------

    def _serve(self, sock: socket.socket) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client, upstream = _Stream(sock), _Upstream(self.upstream)
        with self._lock:
            self._sockets.add(sock)
            self.connections += 1
        try:
            self.wait(2 * self.delay)  # the handshake
            while self._exchange(client, upstream):
                pass
        except (OSError, EOFError):
            pass
        except ConnectionCut as cut:
            with contextlib.suppress(OSError):
                sock.sendall(cut.last)
            if cut.reset:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                sock.close()
        finally:
            with self._lock:
                self._sockets.discard(sock)
            upstream.close()

    def _exchange(self, client: _Stream, upstream: _Upstream) -> bool:
        """Pass one request on and its answer back; whether another one may follow."""
        request = _request(client.head())
        with self._lock:
            self._open += 1
            self.most_open = max(self.most_open, self._open)
            faults = [rule.fault for rule in self.rules if rule.takes(request)]
        sent = replace(request, headers=dict(request.headers))  # faults may change the request
        status = 0
        try:
            answer = self._answer(request, faults, client, upstream)
            status = answer.status
            self.wait(self.delay)
        except ConnectionCut as cut:
            status = cut.status
            raise
        finally:
            # Before the client has its answer, so that it finds it here.
            self._note(sent, len(request.body), status)
        client.sock.sendall(answer.encoded() * answer.times)
        return "close" not in (answer.headers.get("connection"), sent.headers.get("connection"))

    def _answer(self, request: Request, faults: list[Fault], client: _Stream, upstream: _Upstream) -> Message:
        for fault in faults:
            fault.on_head(request, self)
        if request.headers.pop("expect", "").lower() == "100-continue":
            self.wait(2 * self.delay)
            client.sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        client.read_body(request)
        self.wait(self.delay)
        for fault in faults:
            instead = fault.on_request(request, self)
            if instead:
                return instead
        answer = upstream.ask(request)
        for fault in faults:
            fault.on_answer(request, answer, self)
        return answer

    def _note(self, request: Request, body_bytes: int, status: int) -> None:
        seen = Seen(
            request.method,
            urllib.parse.unquote(request.path, errors="surrogateescape"),
            request.parameters,
            request.headers,
            body_bytes,
            status,
            request.at,
            time.monotonic() - request.at,
        )
        with self._lock:
            self._open -= 1
            self._seen.append(seen)
