# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a client costs: time, CPU, memory of its whole tree of processes."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Optional

_INTERVAL = 0.1


class Command(NamedTuple):
    """A client's command line and the environment that it alone gets."""

    words: list[str]
    environment: dict[str, str]


class Sample(NamedTuple):
    """What one run took."""

    seconds: float
    cpu_seconds: float  # of the process and all descendants that were waited for
    rss_bytes: int  # highest sum over the processes; what they share counts for each
    pss_bytes: int  # highest sum over the processes; what they share counts once. 0: not measured
    server_seconds: float  # CPU of the servers meanwhile
    others_seconds: float  # CPU of whoever else works on this machine: much of it makes the figures worthless
    status: int
    output: str
    errors: str


def measure(command: Command, pss: bool = False, timeout: float = 1800) -> Sample:
    """Run a command and watch it. It is killed after `timeout` seconds."""
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        busy, family = _busy(), _family()
        started = time.monotonic()
        process = subprocess.Popen(
            command.words,
            env=command.environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            start_new_session=True,
        )
        with _watching(process.pid, pss, started + timeout) as peak:
            _pid, status, usage = os.wait4(process.pid, 0)
            seconds = time.monotonic() - started
            busy, family = _busy() - busy, _family() - family
        process.returncode = os.waitstatus_to_exitcode(status)
        cpu = usage.ru_utime + usage.ru_stime
        return Sample(
            seconds,
            cpu,
            max(peak["rss"], usage.ru_maxrss * 1024),
            peak["pss"],
            max(0.0, family - cpu),
            max(0.0, busy - family),
            process.returncode,
            _text(output),
            _text(errors),
        )


def _text(file: object) -> str:
    assert hasattr(file, "fileno")
    return os.pread(file.fileno(), 1 << 20, 0).decode(errors="replace")


@contextlib.contextmanager
def _watching(pid: int, pss: bool, end: float) -> Iterator[dict[str, int]]:
    """Sample the memory of a process and its descendants every tenth of a second."""
    peak, done = {"rss": 0, "pss": 0}, threading.Event()

    def watch() -> None:
        while not done.wait(_INTERVAL):
            members = list(_tree(pid))
            peak["rss"] = max(peak["rss"], sum(_rss(member) for member in members))
            if pss:
                peak["pss"] = max(peak["pss"], sum(_pss(member) for member in members))
            if time.monotonic() > end:
                for member in members:
                    with contextlib.suppress(OSError):
                        os.kill(member, 9)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield peak
    finally:
        done.set()
        watcher.join()


def _tree(pid: int) -> Iterator[int]:
    yield pid
    for path in Path("/proc", str(pid), "task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in path.read_text().split():
                yield from _tree(int(child))


def _rss(pid: int) -> int:
    with contextlib.suppress(OSError, IndexError):
        return int(Path("/proc", str(pid), "statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")
    return 0


def _pss(pid: int) -> int:
    with contextlib.suppress(OSError):
        for line in Path("/proc", str(pid), "smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


def _busy() -> float:
    """Seconds that all cores together have worked since the machine started."""
    user, nice, system, _idle, _wait, *rest = Path("/proc/stat").read_text().split(maxsplit=9)[1:9]
    return sum(map(int, (user, nice, system, *rest))) / os.sysconf("SC_CLK_TCK")


def _family() -> float:
    """Seconds of CPU of this process, of its descendants, and of those of them that were waited for."""
    ticks = 0
    for pid in _tree(os.getpid()):
        with contextlib.suppress(OSError):
            ticks += sum(map(int, Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def version_of(words: list[str], environment: Optional[dict[str, str]] = None) -> str:
    """The first line of what a program says of itself."""
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[0].strip()
