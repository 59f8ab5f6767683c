# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The HTTP connection against sockets that say what they are told to, byte by byte."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import re
import socket
import ssl
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Callable, Optional

import pytest
from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._objects import connection as module
from ansible_collections.selfhosted.media.plugins.module_utils._objects.address import Address
from ansible_collections.selfhosted.media.plugins.module_utils._objects.connection import (
    Body,
    Broken,
    ChangedBody,
    FilePart,
    HttpConnection,
    Tls,
)
from ansible_collections.selfhosted.media.tests.servers.tls import behind_tls
from ansible_collections.selfhosted.media.tests.stub import Asked, Reply, Stub
from hypothesis import given, settings
from hypothesis import strategies as st

Script = Callable[[socket.socket], None]


def request_of(sock: socket.socket) -> bytes:
    """The whole request that comes, by its content-length; nothing when the client has gone."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = sock.recv(65536)
        if not more:
            return b""
        data += more
    head, end, body = data.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head)
    while len(body) < (int(length[1]) if length else 0):
        more = sock.recv(65536)
        if not more:
            break
        body += more
    return head + end + body


class Raw:
    """A port where each new connection is answered by the next script."""

    def __init__(self, *scripts: Script) -> None:
        self.scripts = list(scripts)
        self.requests: list[bytes] = []

    def __enter__(self) -> Raw:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_exc: object) -> None:
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _address = self._listening.accept()
                script = self.scripts.pop(0) if self.scripts else socket.socket.close
                threading.Thread(target=self._serve, args=(sock, script), daemon=True).start()

    def _serve(self, sock: socket.socket, script: Script) -> None:
        with sock, contextlib.suppress(OSError):
            script(sock)

    def says(self, *answers: bytes, pieces: int = 0, stay: bool = False) -> Script:
        """A script: a request is read, then an answer is given, in pieces of so many bytes; then the connection ends."""

        def script(sock: socket.socket) -> None:
            for answer in answers:
                request = request_of(sock)
                if not request:
                    return
                self.requests.append(request)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                for start in range(0, len(answer), pieces or len(answer) or 1):
                    sock.sendall(answer[start : start + (pieces or len(answer))])
            if stay:
                sock.recv(1)

        return script

    @property
    def address(self) -> Address:
        return Address("b", "http", f"127.0.0.1:{self.port}", "/b", "us-east-1", connect_timeout=5, read_timeout=5)


@contextlib.contextmanager
def connected(raw: Raw, **changes: object) -> Iterator[HttpConnection]:
    connection = HttpConnection(replace(raw.address, **changes), None, lambda _size: None)  # type: ignore[arg-type]
    try:
        yield connection
    finally:
        connection.close()


@contextlib.contextmanager
def raw(*answers: bytes, pieces: int = 0, stay: bool = False) -> Iterator[tuple[Raw, HttpConnection]]:
    """A port with one connection that gives these answers, and our end of it."""
    with Raw() as server:
        server.scripts.append(server.says(*answers, pieces=pieces, stay=stay))
        with connected(server) as connection:
            yield server, connection


def ask(connection: HttpConnection, method: str = "GET", body: Body = b"") -> tuple[int, bytes]:
    answer = connection.exchange(method, "/b/k", [("host", "h")], body)
    return answer.status, connection.read_all()


OK = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"
NEXT = b"HTTP/1.1 404 Not Found\r\ncontent-length: 3\r\n\r\nnot"


@pytest.mark.parametrize("pieces", [0, 1, 7])
def test_a_length(pieces: int) -> None:
    with raw(OK, NEXT, pieces=pieces) as (server, connection):
        assert ask(connection) == (200, b"hello")
        assert ask(connection, "PUT", b"body") == (404, b"not")
    assert server.requests == [
        b"GET /b/k HTTP/1.1\r\nhost: h\r\n\r\n",
        b"PUT /b/k HTTP/1.1\r\nhost: h\r\ncontent-length: 4\r\n\r\nbody",
    ]


@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_no_body_has_a_length_too(method: str) -> None:
    with raw(OK) as (server, connection):
        ask(connection, method)
    assert server.requests[0].endswith(b"\r\ncontent-length: 0\r\n\r\n")


def test_headers_are_read_whatever_their_case() -> None:
    with raw(b"HTTP/1.1 200\r\nCoNtEnT-LeNgTh:5\r\nX-A:  \xe9 b  \r\nEmpty:\r\n\r\nhello") as (_server, connection):
        answer = connection.exchange("GET", "/", [])
        assert (answer.status, answer.headers.get("x-a"), answer.headers.get("empty")) == (200, "\xe9 b", "")
        assert (answer.headers.get("x"), answer.headers.get("none"), answer.headers.get("a")) == ("", "", "")
        assert connection.read_all() == b"hello"


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n"


@pytest.mark.parametrize("pieces", [0, 1, 3])
def test_chunks(pieces: int) -> None:
    body = b'5;name="value"\r\nhello\r\n00001 \r\n \r\nB\r\nwonderful w\r\n4\r\norld\r\n0;last\r\nTrailer: a\r\nOther: b\r\n\r\n'
    with raw(CHUNKED + body, CHUNKED + b"0\r\n\r\n", OK, pieces=pieces) as (_server, connection):
        assert ask(connection) == (200, b"hello wonderful world")
        assert ask(connection) == (200, b"")
        assert ask(connection) == (200, b"hello")


@settings(max_examples=60, deadline=None)
@given(
    body=st.binary(max_size=200),
    cuts=st.lists(st.integers(1, 50), max_size=8),
    pieces=st.integers(1, 60),
    size=st.integers(1, 64),
)
def test_a_body_in_whatever_pieces(body: bytes, cuts: list[int], pieces: int, size: int) -> None:
    chunks, left = b"", body
    for cut in [*cuts, len(body)]:
        chunk, left = left[:cut], left[cut:]
        chunks += b"%x\r\n%s\r\n" % (len(chunk), chunk) if chunk else b""
    whole = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)
    with raw(CHUNKED + chunks + b"0\r\n\r\n", whole, OK, pieces=pieces) as (_server, connection):
        for _number in range(2):
            connection.exchange("GET", "/", [])
            assert b"".join(iter(lambda: connection.read(size), b"")) == body
        assert ask(connection) == (200, b"hello")


def test_no_length_until_the_end() -> None:
    with Raw() as server:
        server.scripts += [server.says(b"HTTP/1.1 200 OK\r\n\r\nhello", pieces=2), server.says(OK)]
        with connected(server) as connection:
            assert ask(connection) == (200, b"hello")
            assert ask(connection) == (200, b"hello")  # on a new connection
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.0 200 OK\r\ncontent-length: 5\r\n\r\nhello",
        b"HTTP/1.0 200 OK\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nConnection: Close\r\ncontent-length: 5\r\n\r\nhello",
    ],
)
def test_what_is_not_kept_alive_is_not_used_again(answer: bytes) -> None:
    with Raw() as server:
        more = [NEXT] if b"content-length" in answer else []
        server.scripts += [server.says(answer, *more), server.says(OK)]
        with connected(server) as connection:
            assert ask(connection) == (200, b"hello")
            assert ask(connection) == (200, b"hello")


@pytest.mark.parametrize("early", [b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early\r\nlink: x\r\n\r\n"])
def test_what_is_said_before_the_answer(early: bytes) -> None:
    with raw(early + early + OK, OK) as (_server, connection):
        assert ask(connection, "PUT", b"body") == (200, b"hello")
        assert ask(connection) == (200, b"hello")


@pytest.mark.parametrize(
    ("method", "answer"),
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n"),
        ("HEAD", CHUNKED),
        ("DELETE", b"HTTP/1.1 204 No Content\r\n\r\n"),
        ("GET", b"HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n"),
    ],
)
def test_answers_without_a_body(method: str, answer: bytes) -> None:
    with raw(answer, OK) as (_server, connection):
        assert ask(connection, method)[1] == b""
        assert ask(connection) == (200, b"hello")


def test_a_body_that_was_not_read_leaves_nothing_behind() -> None:
    with Raw() as server:
        server.scripts += [server.says(OK, stay=True), server.says(NEXT)]
        with connected(server) as connection:
            connection.exchange("GET", "/", [])
            assert connection.read(2) == b"he"
            assert ask(connection) == (404, b"not")


@pytest.mark.parametrize("idle", [0.0, 0.01])
def test_a_connection_that_was_closed_meanwhile(monkeypatch: pytest.MonkeyPatch, idle: float) -> None:
    """One that lay idle is looked at; one that was just used is not: then the request tells."""
    monkeypatch.setattr(module, "_IDLE", 0.005 if idle else 60)
    with Raw() as server:
        server.scripts += [server.says(OK), server.says(NEXT)]
        with connected(server) as connection:
            ask(connection)
            time.sleep(0.05)
            if idle:
                assert ask(connection) == (404, b"not")
            else:
                assert connection.is_used
                with pytest.raises(Broken):
                    ask(connection)


def test_words_that_nobody_asked_for_end_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """They must not be taken for the next request's answer."""
    monkeypatch.setattr(module, "_IDLE", 0.0)
    with Raw() as server:
        server.scripts += [server.says(OK + OK, stay=True), server.says(NEXT)]
        with connected(server) as connection:
            assert ask(connection) == (200, b"hello")
            assert ask(connection) == (404, b"not")


# -- what breaks -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 20",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhel",
        CHUNKED,
        CHUNKED + b"5",
        CHUNKED + b"5\r\nhel",
        CHUNKED + b"5\r\nhello",
        CHUNKED + b"5\r\nhello\r\n",
        CHUNKED + b"5\r\nhello\r\n0\r\n",
        CHUNKED + b"5\r\nhello\r\n0\r\nTrailer: x",
    ],
)
def test_half_an_answer(answer: bytes) -> None:
    with raw(answer) as (_server, connection), pytest.raises(Broken, match="ended"):
        ask(connection)


@pytest.mark.parametrize(
    "answer",
    [
        b"\r\n\r\n",
        b"hello\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 OK\r\n\r\n",
        "HTTP/1.1 ²00 OK\r\n\r\n".encode("latin-1"),
        b"HTTP/1.1 200 OK\r\ncontent-length: five\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: ²\r\n\r\n".encode("latin-1"),
        b"HTTP/1.1 200 OK\r\ncontent-length: -5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: " + b"x" * 100_000,
        b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 100_000,
        CHUNKED + b"hello\r\n",
        CHUNKED + b"-5\r\nhello\r\n",
        CHUNKED + b"+5\r\nhello\r\n",
        CHUNKED + b"0x5\r\nhello\r\n",
        CHUNKED + b"\r\n\r\n",
        CHUNKED + b"5" * 100_000,
    ],
)
@pytest.mark.timeout(20)
def test_what_is_no_http(answer: bytes) -> None:
    with raw(answer, stay=True) as (_server, connection), pytest.raises(Broken, match="does not speak HTTP"):
        ask(connection)


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200", OK[:-1], CHUNKED + b"5\r\nhe"])
def test_a_stall_ends_with_the_time_allowed(answer: bytes) -> None:
    with Raw() as server:
        server.scripts.append(server.says(answer, stay=True))
        with connected(server, read_timeout=0.1) as connection, pytest.raises(socket.timeout):
            ask(connection)


def test_an_answer_that_is_too_long_for_memory() -> None:
    with raw(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 2000) as (_server, connection):
        connection.exchange("GET", "/", [])
        with pytest.raises(Broken, match="too long"):
            connection.read_all(limit=1000)


def refusing(answer: bytes, reset: bool = False) -> Script:
    """A script that answers when it has seen the head of a request, and closes without reading the body."""

    def script(sock: socket.socket) -> None:
        sock.recv(500)
        sock.sendall(answer)
        sock.shutdown(socket.SHUT_WR)
        time.sleep(0.05)  # the client goes on sending
        if reset:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    return script


REFUSAL = b"HTTP/1.1 403 Forbidden\r\ncontent-length: 6\r\n\r\nbecaus"


@pytest.mark.parametrize("continues", [b"", b"HTTP/1.1 100 Continue\r\n\r\n"])
def test_a_refusal_while_the_body_is_sent(continues: bytes) -> None:
    """What the service said is told, if the kernel has kept it; else that the connection broke. Never a success."""
    told = []
    for _try in range(5):
        with Raw(refusing(continues + REFUSAL)) as server, connected(server) as connection:
            try:
                answer = connection.exchange("PUT", "/b/k", [], b"x" * 16_000_000)
                told.append((answer.status, connection.read_all()))
            except Broken:
                told.append((0, b""))
    assert set(told) <= {(403, b"becaus"), (0, b"")}
    assert (403, b"becaus") in told


def test_a_reset_while_the_body_is_sent() -> None:
    with (
        Raw(refusing(b"", reset=True)) as server,
        connected(server) as connection,
        pytest.raises((Broken, ConnectionError)),
    ):
        connection.exchange("PUT", "/b/k", [], b"x" * 16_000_000)


def test_nobody_listens() -> None:
    with Raw() as server:
        pass
    with connected(server) as connection, pytest.raises(ConnectionRefusedError):
        ask(connection)


# -- what is sent ----------------------------------------------------------------------------------------------------


def test_a_part_of_a_file(tmp_path: Path) -> None:
    data = os.urandom(1_000_000)
    (tmp_path / "f").write_bytes(data)
    taken: list[int] = []
    with Raw() as server, (tmp_path / "f").open("rb") as stream:
        server.scripts.append(server.says(OK, OK, OK))
        connection = HttpConnection(server.address, None, taken.append)
        for offset, size in ((0, 1_000_000), (300_001, 600_000), (999_999, 1)):
            assert ask(connection, "PUT", FilePart(stream.fileno(), offset, size)) == (200, b"hello")
            assert server.requests[-1].partition(b"\r\n\r\n")[2] == data[offset : offset + size]
        connection.close()
    assert sum(taken) == 1_600_001


@pytest.mark.parametrize("left", [0, 100, 600_000])
def test_a_file_that_became_shorter(tmp_path: Path, left: int) -> None:
    """What was begun cannot be ended, so the connection is not used for anything else."""
    (tmp_path / "f").write_bytes(b"x" * 1_000_000)
    with Raw() as server, (tmp_path / "f").open("r+b") as stream:
        server.scripts += [server.says(OK), server.says(NEXT)]
        stream.truncate(left)
        with connected(server) as connection:
            with pytest.raises(ChangedBody):
                ask(connection, "PUT", FilePart(stream.fileno(), 0, 1_000_000))
            assert ask(connection) == (404, b"not")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("cache-control", "a\r\nx-amz-acl: public-read"),
        ("cache-control", "a\nb"),
        ("cache-control", "a\rb"),
        ("x-\r\ny", "z"),
        ("authorization", "marked-secret\n"),
        ("cache-control", "\u00e9"),
        ("cache-control", "\u65e5"),
    ],
)
def test_a_header_cannot_smuggle_another_one_in(name: str, value: str) -> None:
    with raw(OK) as (server, connection):
        server.scripts *= 2
        with pytest.raises(MediaError, match="a header cannot hold") as caught:
            connection.exchange("PUT", "/b/k", [("host", "h"), (name, value)], b"body")
        assert "marked-secret" not in str(caught.value)
        assert name.strip() in str(caught.value) or "\r" in name
        assert server.requests == []
        assert ask(connection) == (200, b"hello")


# -- proxies ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("user", ["", "me:p%40ss@"])
def test_a_proxy_is_given_the_whole_url(user: str) -> None:
    with raw(OK, OK) as (server, _connection):
        proxy = f"http://{user}127.0.0.1:{server.port}"
        with connected(server, host="s3.example:9000", proxy=proxy) as connection:
            for _number in range(2):
                assert ask(connection) == (200, b"hello")
    given_keys = base64.b64encode(b"me:p@ss")
    more = b"proxy-authorization: Basic " + given_keys + b"\r\n" if user else b""
    assert server.requests == [b"GET http://s3.example:9000/b/k HTTP/1.1\r\nhost: h\r\n" + more + b"\r\n"] * 2


def test_a_proxy_of_another_kind_is_refused() -> None:
    with (
        Raw() as server,
        connected(server, proxy="socks5://127.0.0.1:1") as connection,
        pytest.raises(MediaError, match="socks5"),
    ):
        ask(connection)


@pytest.mark.parametrize(
    ("host", "target"), [("s3.example", b"s3.example:443"), ("[2001:db8::1]:8443", b"[2001:db8::1]:8443")]
)
def test_a_tunnel_that_is_refused(host: str, target: bytes) -> None:
    with Raw() as server:
        server.scripts.append(server.says(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"))
        address = replace(server.address, scheme="https", host=host, proxy=f"http://me:x@127.0.0.1:{server.port}")
        connection = HttpConnection(address, Tls(None), lambda _size: None)
        with pytest.raises(OSError, match=r"the proxy refuses .* 407"):
            ask(connection)
    head, *lines = server.requests[0].split(b"\r\n")
    assert head == b"CONNECT " + target + b" HTTP/1.1"
    assert b"host: " + target in lines
    assert b"proxy-authorization: Basic " + base64.b64encode(b"me:x") in lines


# -- TLS -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """host:port and certificate of a service that repeats what it is sent."""

    def echo(asked: Asked) -> Reply:
        return Reply(body=asked.body[::-1])

    with Stub(echo) as stub, behind_tls(stub.server, tmp_path_factory.mktemp("tls")) as found:
        yield found


def tls_address(host: str, ca_bundle: Optional[str]) -> Address:
    return Address("b", "https", host, "/b", "us-east-1", ca_bundle, connect_timeout=5, read_timeout=5)


def test_tls(tls: tuple[str, Path], tmp_path: Path) -> None:
    host, certificate = tls
    body = os.urandom(3_000_000)
    (tmp_path / "f").write_bytes(body)
    with (tmp_path / "f").open("rb") as stream:
        connection = HttpConnection(tls_address(host, str(certificate)), Tls(str(certificate)), lambda _size: None)
        assert ask(connection, "PUT", body) == (200, body[::-1])
        assert ask(connection, "PUT", FilePart(stream.fileno(), 0, len(body))) == (200, body[::-1])
        connection.close()


def test_a_folder_of_authorities(tls: tuple[str, Path], tmp_path: Path) -> None:
    host, certificate = tls
    folder = tmp_path / "certs"
    folder.mkdir()
    # OpenSSL finds them by the hash of their subject.
    found = subprocess.run(
        ["openssl", "x509", "-hash", "-noout", "-in", str(certificate)], capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stderr
    (folder / f"{found.stdout.strip()}.0").write_bytes(certificate.read_bytes())
    connection = HttpConnection(tls_address(host, str(folder)), Tls(str(folder)), lambda _size: None)
    assert ask(connection) == (200, b"")
    connection.close()


def test_a_session_is_used_again(tls: tuple[str, Path]) -> None:
    host, certificate = tls
    shared = Tls(str(certificate))
    reused = []
    for _number in range(3):
        connection = HttpConnection(tls_address(host, str(certificate)), shared, lambda _size: None)
        assert ask(connection, "PUT", b"abc") == (200, b"cba")
        assert isinstance(connection._socket, ssl.SSLSocket)
        reused.append(connection._socket.session_reused)
        connection.close()
    assert reused == [False, True, True]


def test_another_authority_is_not_trusted(tls: tuple[str, Path], tmp_path: Path) -> None:
    host, _certificate = tls
    with Stub(lambda _asked: Reply()) as stub, behind_tls(stub.server, tmp_path) as (_other, wrong):
        pass
    connection = HttpConnection(tls_address(host, str(wrong)), Tls(str(wrong)), lambda _size: None)
    with pytest.raises(ssl.SSLCertVerificationError):
        ask(connection)
    unchecked = HttpConnection(tls_address(host, None), Tls(None), lambda _size: None)
    assert ask(unchecked) == (200, b"")
    unchecked.close()


def test_a_certificate_for_another_name(tls: tuple[str, Path]) -> None:
    host, certificate = tls
    by_name = f"localhost:{host.rpartition(':')[2]}"
    connection = HttpConnection(tls_address(by_name, str(certificate)), Tls(str(certificate)), lambda _size: None)
    with pytest.raises(ssl.SSLCertVerificationError, match="localhost"):
        ask(connection)


def test_no_tls_where_it_is_expected() -> None:
    with raw(b"", stay=True) as (server, _connection):
        connection = HttpConnection(tls_address(f"127.0.0.1:{server.port}", None), Tls(None), lambda _size: None)
        server.scripts[:] = [lambda sock: sock.sendall(OK)]
        with pytest.raises(ssl.SSLError):
            ask(connection)


def test_tls_through_a_proxy(tls: tuple[str, Path]) -> None:
    host, certificate = tls
    where = (host.partition(":")[0], int(host.rpartition(":")[2]))

    def tunnel(sock: socket.socket) -> None:
        server.requests.append(request_of(sock))
        sock.sendall(b"HTTP/1.1 200 Connection established\r\nvia: x\r\n\r\n")
        with socket.create_connection(where) as inner:
            copying = threading.Thread(target=copy, args=(inner, sock), daemon=True)
            copying.start()
            copy(sock, inner)

    def copy(one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := one.recv(65536):
                other.sendall(data)
            other.shutdown(socket.SHUT_WR)

    with Raw(tunnel) as server:
        address = replace(tls_address(host, str(certificate)), proxy=f"http://127.0.0.1:{server.port}")
        connection = HttpConnection(address, Tls(str(certificate)), lambda _size: None)
        body = hashlib.sha256(b"x").digest()
        assert ask(connection, "PUT", body) == (200, body[::-1])
        assert ask(connection, "PUT", body) == (200, body[::-1])
        connection.close()
    assert len(server.requests) == 1
    assert server.requests[0].startswith(f"CONNECT {host} HTTP/1.1\r\n".encode())


def test_a_server_that_closes_its_tls_connection(tls: tuple[str, Path]) -> None:
    """Servers behind TLS, too, close what lies idle."""
    host, certificate = tls
    connection = HttpConnection(tls_address(host, str(certificate)), Tls(str(certificate)), lambda _size: None)
    ask(connection)
    assert connection._socket is not None
    connection._socket.shutdown(socket.SHUT_RDWR)
    with pytest.raises((Broken, ConnectionError, ssl.SSLError)):
        ask(connection)
    connection.close()
    assert ask(connection) == (200, b"")
    connection.close()
