# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An S3 server that lists, at the page latency of a real service, a tree that it read from disk or made up once.

Every bucket's name leads to the same objects, and nothing can be written. `GET /_counts` tells what was asked for.
Run by hand: `python -m tests.servers.listing PORT --tree FOLDER --prefix images/`, or `--made 1000000:1000`.
"""

from __future__ import annotations

import argparse
import asyncio
import bisect
import contextlib
import hashlib
import json
import os
import re
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from array import array
from collections import Counter
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path
from typing import NamedTuple, Optional
from xml.sax.saxutils import escape

from . import Server, free_port, running, wait_for_http

ROOT = Path(__file__).parents[2]
XML = b'<?xml version="1.0" encoding="UTF-8"?>\n'
_NAMESPACE = b'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
_PLAIN = re.compile(rb"[A-Za-z0-9_.\-~/]*")


class Tree(NamedTuple):
    """Keys in S3's order and what belongs to each, kept small: a million take about 100 MB."""

    keys: list[bytes]
    sizes: array[int]
    digests: bytes = b""  # 16 bytes for each key, or nothing: made-up ETags

    def etags(self, at: int, upto: int) -> Iterator[bytes]:
        if not self.digests:
            return (b"%032x" % index for index in range(at, upto))
        return (self.digests[index * 16 : index * 16 + 16].hex().encode() for index in range(at, upto))


def made_keys(count: int, folders: int) -> Iterator[bytes]:
    """The keys of a made-up tree in S3's order, with names as long as those of uploads, spread evenly over folders."""
    each, more = divmod(count, folders)
    for folder in range(folders):
        for number in range(each + (folder < more)):
            yield b"covers%06d/%08d-%020x.jpg" % (folder, number, (folder + 7) * 2_654_435_761 * number)


def made_tree(count: int, folders: int, prefix: bytes = b"", size: int = 0) -> Tree:
    """The tree of made_keys, each file of the same size."""
    keys = [prefix + key for key in made_keys(count, folders)]
    return Tree(keys, array("q", [size]) * len(keys))


def read_tree(folder: bytes, prefix: bytes = b"", hashed: bool = False) -> Tree:
    """The files below a folder; with their MD5 as ETag if `hashed`, for which they are all read."""
    found = sorted(_files(folder, prefix))
    digests = bytearray()
    for key, _size in found if hashed else ():
        with open(os.path.join(folder, key[len(prefix) :]), "rb") as file:
            digests += hashlib.md5(file.read(), usedforsecurity=False).digest()
    return Tree([key for key, _size in found], array("q", [size for _key, size in found]), bytes(digests))


def _files(folder: bytes, prefix: bytes) -> Iterator[tuple[bytes, int]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                yield from _files(entry.path, prefix + entry.name + b"/")
            else:
                yield prefix + entry.name, entry.stat().st_size


class Listing:
    """Answers about a tree, without the waiting."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.counts: Counter[str] = Counter()
        # Newer than the files, which are there already, and not of the future: s5cmd overlooks such objects.
        now = time.time()
        self._modified = formatdate(now, usegmt=True).encode()
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S.%%03dZ", time.gmtime(now)).encode() % (now % 1 * 1000)
        self._entry = (
            b"<Contents><Key>%%s</Key><LastModified>%s</LastModified><ETag>&quot;%%s&quot;</ETag><Size>%%d</Size>"
            b"<StorageClass>STANDARD</StorageClass></Contents>" % stamp
        )

    def answer(self, method: str, target: bytes) -> bytes:
        """The whole answer to a request."""
        path, _mark, query = target.partition(b"?")
        _bucket, _slash, key = urllib.parse.unquote_to_bytes(path).lstrip(b"/").partition(b"/")
        asked = dict(urllib.parse.parse_qsl(query.decode("ascii"), keep_blank_values=True, encoding="latin-1"))
        if method == "HEAD":
            self.counts["heads"] += 1
            return self._head(key) if key else _answer(b"200 OK", headers=b"x-amz-bucket-region: us-east-1\r\n")
        if method == "GET" and not key:
            for name, body in ((b"location", b"LocationConstraint"), (b"versioning", b"VersioningConfiguration")):
                if name.decode() in asked:
                    return _answer(b"200 OK", b"<%s %s/>" % (body, _NAMESPACE))
            self.counts["lists"] += 1
            return _answer(b"200 OK", self._list({name: value.encode("latin-1") for name, value in asked.items()}))
        self.counts["refused"] += 1
        return _answer(
            b"403 Forbidden", b"<Error><Code>AccessDenied</Code><Message>This server only lists.</Message></Error>"
        )

    def _head(self, key: bytes) -> bytes:
        keys = self.tree.keys
        index = bisect.bisect_left(keys, key)
        if index == len(keys) or keys[index] != key:
            return _answer(b"404 Not Found")
        etag = next(self.tree.etags(index, index + 1))
        headers = b'ETag: "%s"\r\nLast-Modified: %s\r\nAccept-Ranges: bytes\r\n' % (etag, self._modified)
        return _answer(b"200 OK", headers=headers, length=self.tree.sizes[index])

    def _list(self, asked: dict[str, bytes]) -> bytes:
        second = asked.get("list-type") == b"2"
        prefix, delimiter = asked.get("prefix", b""), asked.get("delimiter", b"")
        as_url = asked.get("encoding-type") == b"url"
        limit = min(int(asked.get("max-keys", 1000)), 1000)
        start = self._start(asked, prefix, delimiter, second)
        stop = bisect.bisect_left(self.tree.keys, prefix + b"\xff")  # which no UTF-8 holds
        parts, at, last = [], start, b""
        if delimiter:
            for _number in range(limit):
                if at >= stop:
                    break
                last = self.tree.keys[at]
                end = last.find(delimiter, len(prefix))
                if end < 0:
                    parts.append(self._entries(at, at + 1, as_url))
                    at += 1
                else:
                    last = last[: end + len(delimiter)]
                    parts.append(b"<CommonPrefixes><Prefix>%s</Prefix></CommonPrefixes>" % _escaped(last, as_url))
                    at = bisect.bisect_left(self.tree.keys, last + b"\xff", at)
            count = len(parts)
        else:
            at = max(start, min(start + limit, stop))
            count = at - start
            parts.append(self._entries(start, at, as_url))
            last = self.tree.keys[at - 1] if count else b""
        self.counts["keys"] += count
        more = at < stop and limit > 0
        head = b"<ListBucketResult %s><Name>listing</Name><Prefix>%s</Prefix><MaxKeys>%d</MaxKeys>" % (
            _NAMESPACE,
            _escaped(prefix, as_url),
            limit,
        )
        if delimiter:
            head += b"<Delimiter>%s</Delimiter>" % _escaped(delimiter, as_url)
        if as_url:
            head += b"<EncodingType>url</EncodingType>"
        head += b"<IsTruncated>%s</IsTruncated>" % (b"true" if more else b"false")
        if second:
            head += b"<KeyCount>%d</KeyCount>" % count
            if more:
                head += b"<NextContinuationToken>%d</NextContinuationToken>" % at  # the objects never change
        elif more:
            head += b"<NextMarker>%s</NextMarker>" % _escaped(last, as_url)
        return head + b"".join(parts) + b"</ListBucketResult>"

    def _start(self, asked: dict[str, bytes], prefix: bytes, delimiter: bytes, second: bool) -> int:
        token = asked.get("continuation-token") if second else None
        if token:
            return int(token)
        after = asked.get("start-after" if second else "marker", b"")
        keys = self.tree.keys
        start = bisect.bisect_left(keys, prefix)
        if after:
            if delimiter and after.endswith(delimiter) and after.startswith(prefix):
                after += b"\xff"  # a folder that was listed as one
            start = max(start, bisect.bisect_right(keys, after))
        return start

    def _entries(self, at: int, upto: int, as_url: bool) -> bytes:
        keys, entry = self.tree.keys[at:upto], self._entry
        if not _PLAIN.fullmatch(b"/".join(keys)):
            keys = [_escaped(key, as_url) for key in keys]
        return b"".join([entry % each for each in zip(keys, self.tree.etags(at, upto), self.tree.sizes[at:upto])])


def _escaped(name: bytes, as_url: bool) -> bytes:
    return urllib.parse.quote(name, safe="/*").encode() if as_url else escape(name.decode("utf-8", "replace")).encode()


def _answer(status: bytes, body: bytes = b"", headers: bytes = b"", length: Optional[int] = None) -> bytes:
    if body:
        headers += b"Content-Type: application/xml\r\n"
        body = XML + body
    date = formatdate(usegmt=True).encode()
    size = len(body) if length is None else length
    return b"HTTP/1.1 %s\r\nDate: %s\r\n%sContent-Length: %d\r\n\r\n%s" % (status, date, headers, size, body)


class _Connection(asyncio.Protocol):
    """Answers each request a moment after it came, however many others wait for theirs."""

    def __init__(self, listing: Listing, latency: float) -> None:
        self._listing = listing
        self._latency = latency
        self._early = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time() + self._latency
        *heads, self._early = (self._early + data).split(b"\r\n\r\n")
        for head in heads:
            method, target = head.split(b" ", 2)[:2]
            if target == b"/_counts":
                self._transport.write(_answer(b"200 OK", json.dumps(self._listing.counts).encode()))
                continue
            loop.call_at(due, self._transport.write, self._listing.answer(method.decode(), target))
            if method not in (b"GET", b"HEAD"):
                loop.call_at(due, self._transport.close)  # its body is not for us
                self._early = b""
                return


async def _serve(port: int, listing: Listing, latency: float) -> None:
    server = await asyncio.get_running_loop().create_server(
        lambda: _Connection(listing, latency), "127.0.0.1", port, backlog=1024
    )
    await server.serve_forever()


@contextlib.contextmanager
def listing_server(
    folder: Optional[Path] = None,
    prefix: str = "",
    hashed: bool = False,
    made: tuple[int, int] = (0, 1),
    latency: float = 0.1,
) -> Iterator[Server]:
    """The server in a process of its own, over the files of a folder or over `made` (count, folders) objects without content."""
    port = free_port()
    command = [sys.executable, "-m", "tests.servers.listing", str(port), "--prefix", prefix, "--latency", str(latency)]
    command += ["--tree", str(folder)] if folder else ["--made", f"{made[0]}:{made[1]}"]
    command += ["--hashed"] if hashed else []
    with (
        tempfile.TemporaryDirectory(prefix="listing-") as logs,
        running(command, Path(logs, "log"), cwd=ROOT) as process,
    ):
        url = f"http://127.0.0.1:{port}"
        wait_for_http(f"{url}/_counts", process, 300)
        yield Server(url, "listing-key", "listing-secret", "generic", "us-east-1")


def counts_of(server: Server) -> Counter[str]:
    """What the server was asked for since it started: `lists`, `keys` (and folders) listed, `heads`, `refused` requests."""
    with urllib.request.urlopen(f"{server.endpoint_url}/_counts") as answer:
        return Counter(json.loads(answer.read().removeprefix(XML)))


def main() -> None:
    parser = argparse.ArgumentParser(description="an S3 server that only lists")
    parser.add_argument("port", type=int)
    parser.add_argument("--tree", help="a folder whose files are the objects")
    parser.add_argument("--made", default="1000:10", help="else COUNT:FOLDERS of made-up objects without content")
    parser.add_argument("--prefix", default="", help="what their keys begin with")
    parser.add_argument("--hashed", action="store_true", help="the ETags are the files' MD5")
    parser.add_argument("--latency", type=float, default=0.1, help="seconds until an answer")
    options = parser.parse_args()
    prefix = os.fsencode(options.prefix)
    if options.tree:
        tree = read_tree(os.fsencode(options.tree), prefix, options.hashed)
    else:
        count, _colon, folders = options.made.partition(":")
        tree = made_tree(int(count), int(folders or 1), prefix)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(options.port, Listing(tree), options.latency))


if __name__ == "__main__":
    main()
