# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An S3 server that stores nothing: it reads, answers as S3 would, and forgets. What a client costs is seen against it.

It shares the cores with the client that is measured, so a request costs it a few system calls and the MD5 of the body.
It counts what was uploaded: `GET /_counts`.
Run by hand: `python -m tests.servers.null PORT` listens until Ctrl-C.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import mmap
import os
import re
import select
import signal
import socket
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Any, Optional

from . import Server, die_with, free_port, running, wait_for_http

ROOT = Path(__file__).parents[2]
XML = b'<?xml version="1.0" encoding="UTF-8"?>\n'
_NAMESPACE = b'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
_CHUNK = re.compile(rb"([0-9a-fA-F]+)(?:;[^\r]*)?\r\n")
_RECEIVE = 1 << 18

# What a query says first decides; the last is a listing, in both versions.
_ANSWERS = (
    (b"location", b"<LocationConstraint %s>us-east-1</LocationConstraint>"),
    (b"versioning", b"<VersioningConfiguration %s/>"),
    (
        b"uploads",
        b"<ListMultipartUploadsResult %s><Bucket>null</Bucket><IsTruncated>false</IsTruncated></ListMultipartUploadsResult>",
    ),
    (b"uploadId", b"<ListPartsResult %s><IsTruncated>false</IsTruncated></ListPartsResult>"),
    (
        b"",
        b"<ListBucketResult %s><Name>null</Name><Prefix></Prefix><KeyCount>0</KeyCount><MaxKeys>1000</MaxKeys>"
        b"<IsTruncated>false</IsTruncated></ListBucketResult>",
    ),
)


def _answer(status: bytes, body: bytes = b"", headers: bytes = b"") -> bytes:
    date = formatdate(usegmt=True).encode()
    return b"HTTP/1.1 %s\r\nDate: %s\r\n%sContent-Length: %d\r\n\r\n%s" % (status, date, headers, len(body), body)


def _unchunked(body: bytes) -> bytes:
    """What an aws-chunked body holds."""
    parts: list[bytes] = []
    at = 0
    while True:
        head = _CHUNK.match(body, at)
        size = int(head[1], 16) if head else 0
        if not head or not size:
            return b"".join(parts)
        parts.append(body[head.end() : head.end() + size])
        at = head.end() + size + 2


class Counts:
    """Objects and bytes that were uploaded, in memory that the processes share; each writes numbers of its own."""

    def __init__(self, processes: int) -> None:
        self._numbers = memoryview(mmap.mmap(-1, 16 * processes)).cast("Q")
        self.own = 0  # the process's own number

    def note(self, objects: int, size: int) -> None:
        self._numbers[2 * self.own] += objects
        self._numbers[2 * self.own + 1] += size

    def encoded(self) -> bytes:
        return json.dumps({"objects": sum(self._numbers[::2]), "bytes": sum(self._numbers[1::2])}).encode()


class _Connection:
    """What has come of a request so far."""

    def __init__(self, sock: socket.socket, counts: Counts) -> None:
        self.sock = sock
        self.counts = counts
        self.early = b""  # of a head that is not whole yet
        self.left = 0  # bytes of the body that are to come
        self.size = 0  # of the whole body
        self.put = False
        self.makes = False  # an object: a part makes none, completing its upload does
        self.answer = b""
        self.digest: Any = None
        self.chunked: Optional[bytearray] = None

    def take(self, data: memoryview) -> None:
        """Go on with what was received."""
        while data:
            if self.left:
                data = self._take_body(data)
                continue
            whole = self.early + bytes(data)
            end = whole.find(b"\r\n\r\n")
            if end < 0:
                self.early = whole
                return
            self.early = b""
            self._take_head(whole[:end])
            data = memoryview(whole)[end + 4 :]
            if not self.left:
                self._finish()

    def _take_body(self, data: memoryview) -> memoryview:
        part = data[: self.left]
        if self.chunked is not None:
            self.chunked += part
        elif self.put:
            # A body that came in one piece is hashed in one call.
            if self.digest is None:
                self.digest = hashlib.md5(part, usedforsecurity=False)
            else:
                self.digest.update(part)
        self.left -= len(part)
        if not self.left:
            self._finish()
        return data[len(part) :]

    def _take_head(self, head: bytes) -> None:
        method, target = head[: head.find(b"\r\n")].split(b" ", 2)[:2]
        lower = head.lower()
        at = lower.find(b"\r\ncontent-length:")
        if at >= 0:
            stop = lower.find(b"\r\n", at + 17)
            self.left = int(lower[at + 17 : stop if stop >= 0 else None])
        if self.left and b"\r\nexpect: 100-continue" in lower:
            self.sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        self.size = self.left
        self.put = method == b"PUT"
        self.makes = (b"uploadId=" in target) != self.put
        self.digest = None
        self.chunked = bytearray() if self.put and b"aws-chunked" in lower else None
        if not self.put:
            path, _mark, query = target.partition(b"?")
            self.makes &= method == b"POST"
            known = target == b"/_counts"
            self.answer = _answer(b"200 OK", self.counts.encoded()) if known else _answer_to(method, path, query)

    def _finish(self) -> None:
        if self.put:
            if self.chunked is not None:
                self.digest = hashlib.md5(_unchunked(bytes(self.chunked)), usedforsecurity=False)
            digest = self.digest or hashlib.md5(usedforsecurity=False)
            self.counts.note(self.makes, self.size)
            self.answer = b'HTTP/1.1 200 OK\r\nETag: "%s"\r\nContent-Length: 0\r\n\r\n' % digest.hexdigest().encode()
        elif self.makes:
            self.counts.note(1, 0)
        self.sock.sendall(self.answer)


def _answer_to(method: bytes, path: bytes, query: bytes) -> bytes:
    """The answer to anything but PUT. Nothing is there, and everything that is made or removed succeeds."""
    _bucket, _slash, key = path.strip(b"/").partition(b"/")
    if method == b"HEAD":
        return _answer(b"404 Not Found") if key else _answer(b"200 OK", headers=b"x-amz-bucket-region: us-east-1\r\n")
    if method == b"DELETE":
        return _answer(b"204 No Content")
    headers = b"Content-Type: application/xml\r\n"
    names = {name.partition(b"=")[0] for name in query.split(b"&")}
    if method == b"POST":
        made = b"<Bucket>null</Bucket><Key>null</Key>"
        if b"uploads" in names:
            made += b"<UploadId>null</UploadId>"
            inner = b"<InitiateMultipartUploadResult %s>" + made + b"</InitiateMultipartUploadResult>"
        elif b"uploadId" in names:
            made += b'<ETag>"00000000000000000000000000000000-1"</ETag>'
            inner = b"<CompleteMultipartUploadResult %s>" + made + b"</CompleteMultipartUploadResult>"
        else:
            inner = b"<DeleteResult %s/>"
    elif key and not names & {b"uploadId"}:
        error = b"<Error><Code>NoSuchKey</Code><Message>Nothing is stored here.</Message></Error>"
        return _answer(b"404 Not Found", XML + error, headers)
    else:
        inner = next(body for name, body in _ANSWERS if not name or name in names)
    return _answer(b"200 OK", XML + inner % _NAMESPACE, headers)


def listen(address: str, port: int) -> socket.socket:
    """A listening socket whose port several processes may share; the kernel hands out the connections."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock.bind((address, port))
    sock.listen(1024)
    return sock


def serve(listener: socket.socket, counts: Counts) -> None:
    """Answer in this process, for ever."""
    poll = select.epoll()
    poll.register(listener, select.EPOLLIN)
    connections: dict[int, _Connection] = {}
    buffer = memoryview(bytearray(_RECEIVE))
    while True:
        for number, _events in poll.poll():
            if number == listener.fileno():
                sock, _peer = listener.accept()
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connections[sock.fileno()] = _Connection(sock, counts)
                poll.register(sock, select.EPOLLIN)
                continue
            connection = connections[number]
            try:
                count = connection.sock.recv_into(buffer)
                connection.take(buffer[:count])
            except OSError:
                count = 0
            if not count:
                del connections[number]
                connection.sock.close()  # which takes it from the poll too


@contextlib.contextmanager
def null_server(port: int = 0, address: str = "127.0.0.1", processes: int = 2) -> Iterator[Server]:
    """The server in processes of its own, which end with this one."""
    port = port or free_port()
    command = [sys.executable, "-m", "tests.servers.null", str(port), "--address", address]
    command += ["--processes", str(processes)]
    with (
        tempfile.TemporaryDirectory(prefix="null-") as folder,
        running(command, Path(folder, "log"), cwd=ROOT) as process,
    ):
        url = f"http://{address}:{port}"
        wait_for_http(url, process)
        yield Server(url, "null-key", "null-secret", "generic", "us-east-1")


def counts_of(server: Server) -> dict[str, int]:
    """How many `objects` and `bytes` were uploaded since the server started."""
    with urllib.request.urlopen(f"{server.endpoint_url}/_counts") as answer:
        counts: dict[str, int] = json.load(answer)
    return counts


def main() -> None:
    parser = argparse.ArgumentParser(description="an S3 server that stores nothing")
    parser.add_argument("port", type=int)
    parser.add_argument("--address", default="127.0.0.1")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    counts = Counts(options.processes)
    children, parent = [], os.getpid()
    for number in range(1, options.processes):
        child = os.fork()
        if not child:
            die_with(parent)
            counts.own = number
            serve(listen(options.address, options.port), counts)
        children.append(child)
    try:
        with contextlib.suppress(KeyboardInterrupt):
            serve(listen(options.address, options.port), counts)
    finally:
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


if __name__ == "__main__":
    main()
