# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A made-up S3 service that answers as a function says, for what no real one does when it is asked to."""

from __future__ import annotations

import http.server
import threading
import urllib.parse
from dataclasses import dataclass, field
from typing import Any, Callable, Optional, TypeVar

from ansible_collections.selfhosted.media.plugins.module_utils._objects.access import BotoAccess
from ansible_collections.selfhosted.media.plugins.module_utils._objects.address import Address
from ansible_collections.selfhosted.media.plugins.module_utils._objects.signing import Keys
from ansible_collections.selfhosted.media.plugins.module_utils._s3.client import Connection
from ansible_collections.selfhosted.media.tests.servers import Server


@dataclass
class Asked:
    """A request as it came; path and query are decoded, the names of headers in lower case."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes


@dataclass
class Reply:
    """What is answered. cut ends the connection after so many bytes of the body, whose length is told all the same."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    cut: Optional[int] = None


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    stub: Stub

    def _do(self) -> None:
        path, _mark, query = self.path.partition("?")
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        parameters = dict(urllib.parse.parse_qsl(query, keep_blank_values=True))
        asked = Asked(self.command, urllib.parse.unquote(path), parameters, headers, body)
        with self.stub.lock:
            self.stub.asked.append(asked)
        reply = self.stub.answer(asked)
        self.send_response(reply.status)
        for name, value in {"Content-Length": str(len(reply.body)), **reply.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.body[: reply.cut])
        if reply.cut is not None:
            self.close_connection = True

    do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = _do

    def log_message(self, *_words: Any) -> None:
        pass


AnyStub = TypeVar("AnyStub", bound="Stub")


class Stub:
    """The service on a free port, from entering the context to leaving it. It remembers what it was asked."""

    def __init__(self, answer: Callable[[Asked], Reply]) -> None:
        self.answer = answer
        self.asked: list[Asked] = []
        self.lock = threading.Lock()

    def __enter__(self: AnyStub) -> AnyStub:
        handler = type("Handler", (_Handler,), {"stub": self})
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def server(self) -> Server:
        return Server(f"http://127.0.0.1:{self.port}", "stub-key", "stub-secret")

    @property
    def access(self) -> FixedAccess:
        return FixedAccess(Address("b", "http", f"127.0.0.1:{self.port}", "/b", "us-east-1"))


@dataclass
class FixedAccess:
    """Access that never changes."""

    where: Address
    with_keys: Keys = Keys("stub-key", "stub-secret")  # noqa: RUF009 (frozen)

    def address(self) -> Address:
        return self.where

    def keys(self) -> Keys:
        return self.with_keys

    def relocated(self) -> Address:
        return self.where


def access_of(server: Server, bucket: str, **settings: Any) -> BotoAccess:
    """Access to a bucket of a test server."""
    return BotoAccess(Connection(**server.options), bucket, **settings)


def error(status: int, code: str, message: str = "no") -> Reply:
    """A refusal as S3 gives it."""
    return Reply(status, f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode())
