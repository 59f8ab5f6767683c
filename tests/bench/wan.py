# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A network of 40 ms: netem between two network namespaces, or, where the kernel has none, a relay that holds bytes back.

The relay lets bytes through unchanged, each `delay` after it came; a connection's first byte waits a round trip more, as
the handshake would make it. Neither limits the bandwidth.
"""

from __future__ import annotations

import argparse
import contextlib
import heapq
import itertools
import os
import select
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Optional

from ..servers import Server, free_port, running, wait_for_http

ROOT = Path(__file__).parents[2]
_HERE, _THERE = "10.203.77.1", "10.203.77.2"


class Wan(NamedTuple):
    """How a client comes to a server far away."""

    how: str
    address: str  # on which the server has to listen
    inside: list[str]  # what a client's command line begins with
    delay: float  # of the relay, or 0

    @contextlib.contextmanager
    def to(self, server: Server) -> Iterator[Server]:
        """The server, as it is reached over the network."""
        if not self.delay:
            yield server
            return
        port, behind = free_port(), server.endpoint_url.rpartition(":")[2]
        command = [sys.executable, "-m", "tests.bench.wan", str(port), behind, str(self.delay)]
        with (
            tempfile.TemporaryDirectory(prefix="wan-") as folder,
            running(command, Path(folder, "log"), cwd=ROOT) as process,
        ):
            url = f"http://127.0.0.1:{port}"
            wait_for_http(url, process)
            yield server._replace(endpoint_url=url)


@contextlib.contextmanager
def wan(round_trip: float) -> Iterator[Wan]:
    """The network, gone in the end."""
    with contextlib.ExitStack() as stack:
        try:
            name = stack.enter_context(_namespace(round_trip / 2))
        except (OSError, subprocess.CalledProcessError) as exc:
            said = getattr(exc, "stderr", "") or str(exc)
            how = f"a delaying relay, since there is no netem here ({' '.join(str(said).split())})"
            yield Wan(how, "127.0.0.1", [], round_trip / 2)
            return
        yield Wan("netem in a network namespace", _HERE, ["ip", "netns", "exec", name], 0)


@contextlib.contextmanager
def _namespace(delay: float) -> Iterator[str]:
    """A network namespace from which this machine is `delay` away, and the other way round."""
    name = f"bench-{os.getpid()}"
    outside, inside = f"bo{os.getpid()}", f"bi{os.getpid()}"
    within = ["ip", "-n", name]
    netem = ["root", "netem", "delay", f"{delay * 1000:g}ms", "limit", "100000"]
    _do("ip", "netns", "add", name)
    try:
        _do("ip", "link", "add", outside, "type", "veth", "peer", "name", inside, "netns", name)
        _do("tc", "qdisc", "add", "dev", outside, *netem)
        _do("tc", "-n", name, "qdisc", "add", "dev", inside, *netem)
        _do("ip", "address", "add", f"{_HERE}/30", "dev", outside)
        _do(*within, "address", "add", f"{_THERE}/30", "dev", inside)
        _do("ip", "link", "set", outside, "up")
        _do(*within, "link", "set", inside, "up")
        _do(*within, "link", "set", "lo", "up")
        yield name
    finally:
        _do("ip", "netns", "delete", name)  # with the pair of devices, whose one end is in it


def _do(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL)


def relay(port: int, behind: int, delay: float) -> None:
    """Pass on what comes, later."""
    listener = socket.create_server(("127.0.0.1", port), backlog=1024)
    poll = select.epoll()
    poll.register(listener, select.EPOLLIN)
    others: dict[int, tuple[socket.socket, socket.socket, float]] = {}
    waiting: list[tuple[float, int, socket.socket, socket.socket, Optional[bytes]]] = []
    ended: set[int] = set()
    order = itertools.count()
    while True:
        timeout = max(0.0, waiting[0][0] - time.monotonic()) if waiting else -1
        for number, _events in poll.poll(timeout):
            if number == listener.fileno():
                client, server = listener.accept()[0], socket.create_connection(("127.0.0.1", behind))
                ready = time.monotonic() + 2 * delay
                for one, other in ((client, server), (server, client)):
                    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    others[one.fileno()] = (one, other, ready)
                    poll.register(one, select.EPOLLIN)
                continue
            one, other, ready = others[number]
            try:
                data = one.recv(1 << 18)
            except OSError:
                data = b""
            if not data:
                poll.unregister(one)
            due = max(time.monotonic(), ready) + delay
            heapq.heappush(waiting, (due, next(order), one, other, data or None))
        while waiting and waiting[0][0] <= time.monotonic():
            _due, _order, one, other, late = heapq.heappop(waiting)
            with contextlib.suppress(OSError):
                if late is not None:
                    other.sendall(late)
                    continue
                other.shutdown(socket.SHUT_WR)
            if late is None:
                ended.add(one.fileno())
                if other.fileno() in ended:
                    for sock in (one, other):
                        ended.discard(sock.fileno())
                        del others[sock.fileno()]
                        sock.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="a relay that holds bytes back")
    parser.add_argument("port", type=int)
    parser.add_argument("behind", type=int)
    parser.add_argument("delay", type=float)
    options = parser.parse_args()
    relay(options.port, options.behind, options.delay)
