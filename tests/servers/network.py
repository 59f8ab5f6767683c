# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts on this machine: network namespaces on a bridge, each with an address of its own and, if wanted, a slow line."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from typing import NamedTuple

from . import ServerUnavailable

_PREFIX = "10.203.78"
#: The address of this machine, by which the hosts reach what runs here.
HERE = f"{_PREFIX}.1"


class Space(NamedTuple):
    """A namespace."""

    address: str
    inside: list[str]  # what a command line begins with that runs in it


@contextlib.contextmanager
def network(count: int, bits_per_second: int = 0) -> Iterator[list[Space]]:
    """The hosts, gone in the end. With bits_per_second nobody of them sends more."""
    pid = os.getpid()
    bridge, spaces = f"fb{pid}", [f"fleet-{pid}-{number}" for number in range(count)]
    with contextlib.ExitStack() as stack:
        try:
            _do("ip", "link", "add", bridge, "type", "bridge")
            stack.callback(_do, "ip", "link", "delete", bridge)
            _do("ip", "address", "add", f"{HERE}/24", "dev", bridge)
            _do("ip", "link", "set", bridge, "up")
            for number, name in enumerate(spaces):
                _do("ip", "netns", "add", name)
                stack.callback(_do, "ip", "netns", "delete", name)
                outside = f"f{pid}n{number}"
                _connect(bridge, name, outside, number, bits_per_second)
                # By itself it goes with the last process in the namespace, such as a session of ssh.
                stack.callback(_do, "ip", "link", "delete", outside)
        except (OSError, subprocess.CalledProcessError) as exc:
            said = getattr(exc, "stderr", "") or str(exc)
            raise ServerUnavailable(f"no network namespaces here: {' '.join(str(said).split())}") from exc
        yield [Space(_address(number), ["ip", "netns", "exec", name]) for number, name in enumerate(spaces)]


def _connect(bridge: str, name: str, outside: str, number: int, bits_per_second: int) -> None:
    within = ["ip", "-n", name]
    _do("ip", "link", "add", outside, "type", "veth", "peer", "name", "eth0", "netns", name)
    _do("ip", "link", "set", outside, "master", bridge, "up")
    _do(*within, "address", "add", f"{_address(number)}/24", "dev", "eth0")
    _do(*within, "link", "set", "eth0", "up")
    _do(*within, "link", "set", "lo", "up")
    if bits_per_second:
        shaper = ["root", "tbf", "rate", f"{bits_per_second}bit", "burst", "64kb", "latency", "100ms"]
        _do("tc", "-n", name, "qdisc", "add", "dev", "eth0", *shaper)


def _address(number: int) -> str:
    return f"{_PREFIX}.{number + 10}"


def _do(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL)
