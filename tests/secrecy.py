# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks for marked secrets where none may be: command lines and environments of processes, files."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Processes:
    """What was seen of the processes of this machine that began meanwhile, while they ran."""

    marks: list[bytes]
    #: those that ran already; to look at them fifty times a second would take a third of a core
    older: frozenset[str]
    #: command lines that hold a mark
    caught: list[str] = field(default_factory=list)
    #: command lines of processes whose environment holds one
    holders: set[str] = field(default_factory=set)
    looks: int = 0

    def look(self) -> None:
        """Look at all processes."""
        self.looks += 1
        now = running()
        self.older &= now  # the id of one that has ended may be given to another
        for process in now - self.older:
            with contextlib.suppress(OSError):
                self._look_at(process)

    def _look_at(self, process: str) -> None:
        line = Path(f"/proc/{process}/cmdline").read_bytes()
        shown = line.replace(b"\0", b" ").decode(errors="replace")
        if any(mark in line for mark in self.marks):
            self.caught.append(shown)
        environment = Path(f"/proc/{process}/environ").read_bytes()
        if any(mark in environment for mark in self.marks):
            self.holders.add(shown)


def running() -> frozenset[str]:
    """The ids of all processes."""
    return frozenset(name for name in os.listdir("/proc") if name.isdigit())


@contextlib.contextmanager
def processes(marks: Iterable[str]) -> Iterator[Processes]:
    """Look at all processes that the block starts, every 20 ms."""
    seen = Processes([mark.encode() for mark in marks], running())
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(0.02):
            seen.look()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        ended.set()
        thread.join()
    assert seen.looks > 20


def files_with(marks: Iterable[str], *folders: Path) -> set[str]:
    """The files that hold a mark."""
    words = [word for mark in marks for word in ("-e", mark)]
    found = subprocess.run(["grep", "-rlaF", *words, *map(str, folders)], check=False, capture_output=True, text=True)
    return set(found.stdout.splitlines())


def files_of_ansible(began: float) -> list[Path]:
    """Where Ansible leaves files outside a test's own folder."""
    home = Path(os.environ.get("HOME", "/root")) / ".ansible"
    recent = [path for path in Path("/tmp").glob("ansible*") if path.stat().st_mtime >= began]
    return [*([home] if home.is_dir() else []), *recent]


@contextlib.contextmanager
def nothing_left(marks: Iterable[str], *folders: Path, intended: re.Pattern[str]) -> Iterator[None]:
    """No file whose path is not an intended one holds a mark after the block."""
    began = time.time()
    yield
    found = files_with(marks, *folders, *files_of_ansible(began))
    unintended = sorted(path for path in found if not intended.fullmatch(path))
    assert not unintended, unintended
