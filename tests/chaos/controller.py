# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Killing ansible-playbook and what it has started, and a way to the server that can be cut."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from ansible_collections.selfhosted.media.tests.processes import descendants, parent_of
from ansible_collections.selfhosted.media.tests.servers import Server, running, wait_for_http

FORWARD = """
import socket, sys, threading
def pump(source, sink):
    try:
        while data := source.recv(65536):
            sink.sendall(data)
    except OSError:
        pass
    for end in (source, sink):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
server = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=100)
while True:
    near = server.accept()[0]
    far = socket.create_connection(("127.0.0.1", int(sys.argv[2])))
    for pair in ((near, far), (far, near)):
        threading.Thread(target=pump, args=pair, daemon=True).start()
"""


@contextlib.contextmanager
def forwarding(port: int, server: Server, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Another way to a server, by a process that can be killed."""
    command = [sys.executable, "-c", FORWARD, str(port), server.endpoint_url.rpartition(":")[2]]
    with running(command, log) as process:
        wait_for_http(f"http://127.0.0.1:{port}", process)
        yield process


def is_detached(pid: int) -> bool:
    """Whether this is the process that changes over, or one below it: those live in sessions that the module started."""
    with contextlib.suppress(OSError):
        parent = parent_of(pid)
        same = Path(f"/proc/{pid}/cmdline").read_bytes() == Path(f"/proc/{parent}/cmdline").read_bytes()
        return (
            same and os.getsid(pid) == pid and os.getsid(parent) != parent and b"ansible-playbook" not in cmdline(pid)
        )
    return False


def cmdline(pid: int) -> bytes:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def kill_controller(play: subprocess.Popen[bytes]) -> int:
    """Kill ansible-playbook and all it started at once, but not what the module on the "target" has put into a session of its own."""
    below = descendants(play.pid)
    spared = {each for pid in below if is_detached(pid) for each in descendants(pid)}
    for pid in below:
        if pid not in spared:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    play.wait()
    return len(below) - len(spared)
