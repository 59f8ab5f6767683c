# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""As much of a Redis server as the stand-in uses, for machines without one: mini_redis.py PORT."""

from __future__ import annotations

import asyncio
import fnmatch
import sys
import time
from typing import Any


class Server:
    """Strings with an expiry and lists, for all connections."""

    def __init__(self) -> None:
        self.data: dict[bytes, Any] = {}
        self.ends: dict[bytes, float] = {}
        self.pushed = asyncio.Condition()

    def do(self, name: str, args: list[bytes]) -> Any:
        """The answer to one command; None is the null answer, a str a status."""
        for key in [key for key, end in self.ends.items() if end <= time.time()]:
            del self.ends[key], self.data[key]
        if method := getattr(self, f"do_{name.lower()}", None):
            return method(*args)
        return ValueError(f"unknown command '{name}'")

    def do_ping(self) -> str:
        return "PONG"

    def do_auth(self, *_args: bytes) -> str:
        return "OK"

    do_select = do_client = do_auth

    def do_get(self, key: bytes) -> Any:
        return self.data.get(key)

    def do_set(self, key: bytes, value: bytes, *options: bytes) -> str:
        self.data[key] = value
        self.ends.pop(key, None)
        if options and options[0].upper() in (b"EX", b"PX"):
            self.ends[key] = time.time() + int(options[1]) / (1 if options[0].upper() == b"EX" else 1000)
        return "OK"

    def do_del(self, *keys: bytes) -> int:
        for key in keys:
            self.ends.pop(key, None)
        return sum(self.data.pop(key, None) is not None for key in keys)

    do_unlink = do_del

    def do_exists(self, *keys: bytes) -> int:
        return sum(key in self.data for key in keys)

    def do_ttl(self, key: bytes) -> int:
        return int(self.ends[key] - time.time()) if key in self.ends else -1 if key in self.data else -2

    def do_dbsize(self) -> int:
        return len(self.data)

    def do_keys(self, pattern: bytes) -> list[bytes]:
        return [key for key in self.data if fnmatch.fnmatchcase(key, pattern)]

    def do_scan(self, _cursor: bytes, *options: bytes) -> list[Any]:
        wanted = {word.upper(): value for word, value in zip(options[::2], options[1::2], strict=True)}
        return [b"0", self.do_keys(wanted.get(b"MATCH", b"*"))]

    def do_rpush(self, key: bytes, *values: bytes) -> int:
        self.data.setdefault(key, []).extend(values)
        return len(self.data[key])

    def do_llen(self, key: bytes) -> int:
        return len(self.data.get(key, []))

    def pop(self, keys: list[bytes]) -> list[bytes] | None:
        """The first item of the first list that has one."""
        for key in keys:
            if self.data.get(key):
                value = self.data[key].pop(0)
                if not self.data[key]:
                    del self.data[key]
                return [key, value]
        return None

    async def blpop(self, args: list[bytes]) -> list[bytes] | None:
        *keys, timeout = args
        async with self.pushed:
            try:
                await asyncio.wait_for(
                    self.pushed.wait_for(lambda: any(map(self.data.get, keys))), float(timeout) or None
                )
            except TimeoutError:
                return None
            return self.pop(keys)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection."""
        try:
            while (head := await reader.readline()).startswith(b"*"):
                words = []
                for _number in range(int(head[1:])):
                    size = int((await reader.readline())[1:])
                    words.append((await reader.readexactly(size + 2))[:-2])
                name, args = words[0].decode(), words[1:]
                if name.upper() == "BLPOP":
                    answer: Any = await self.blpop(args)
                else:
                    try:
                        answer = self.do(name, args)
                    except (TypeError, ValueError) as error:
                        answer = error
                if name.upper() == "RPUSH":
                    async with self.pushed:
                        self.pushed.notify_all()
                writer.write(encoded(answer))
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


def encoded(answer: Any) -> bytes:
    """An answer as RESP2."""
    if answer is None:
        return b"$-1\r\n"
    if isinstance(answer, Exception):
        return f"-ERR {answer}\r\n".encode()
    if isinstance(answer, int):
        return b":%d\r\n" % answer
    if isinstance(answer, str):
        return f"+{answer}\r\n".encode()
    if isinstance(answer, bytes):
        return b"$%d\r\n%s\r\n" % (len(answer), answer)
    return b"*%d\r\n%s" % (len(answer), b"".join(map(encoded, answer)))


async def main() -> None:
    server = await asyncio.start_server(Server().serve, "127.0.0.1", int(sys.argv[1]), limit=2**26)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
