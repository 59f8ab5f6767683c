# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a run is: counters that all its processes share, looked at once a second, and what becomes of them over time."""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import signal
import threading
import time
from collections.abc import Iterator
from typing import NamedTuple

#: Seconds from one look to the next.
_TICK = 1.0
#: Points of a curve.
MOST_POINTS = 120
#: What a comparison has met is told after one file, two, four, and then so many: it meets up to 50,000 in a second.
_TOLD_AFTER = 256

_FOUND_FILES, _FOUND_BYTES, _DONE_FILES, _DONE_BYTES, _MOVING, _FAILED, _RANGES = range(7)
_COUNTERS = 7


class Tally:
    """The counters of one process. Used from several threads; a file costs it less than a microsecond."""

    def __init__(self, counters: memoryview) -> None:
        self._counters = counters
        self._lock = threading.Lock()

    def found(self, files: int, size: int, done: int = 0, done_size: int = 0) -> None:
        """Files were met, and some of them need nothing further."""
        with self._lock:
            self._counters[_FOUND_FILES] += files
            self._counters[_FOUND_BYTES] += size
            self._counters[_DONE_FILES] += done
            self._counters[_DONE_BYTES] += done_size

    def done(self, size: int) -> None:
        """A file is dealt with, whatever became of it."""
        with self._lock:
            self._counters[_DONE_FILES] += 1
            self._counters[_DONE_BYTES] += size

    def moved(self, size: int) -> None:
        """So much of a large file is on the other side; below 0 when the file is dealt with, one way or another."""
        with self._lock:
            self._counters[_MOVING] += size

    def failed(self) -> None:
        """A name has failed."""
        with self._lock:
            self._counters[_FAILED] += 1

    def range_ended(self) -> None:
        """All files of a range were met."""
        with self._lock:
            self._counters[_RANGES] += 1


class Stretch:
    """What a comparison meets in a range, told to the tally now and then."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._told_after = 1
        self._files = self._bytes = self._done = self._done_bytes = 0

    def met(self, size: int, is_done: bool) -> None:
        """A file was met."""
        self._files += 1
        self._bytes += size
        if is_done:
            self._done += 1
            self._done_bytes += size
        if self._files == self._told_after:
            self._told_after = min(2 * self._told_after, _TOLD_AFTER)
            self.tell()

    def tell(self) -> None:
        """Tell what was met since the last time."""
        self._tally.found(self._files, self._bytes, self._done, self._done_bytes)
        self._files = self._bytes = self._done = self._done_bytes = 0


class Board:
    """The counters of all processes. Made before they are forked, it is theirs too."""

    def __init__(self, processes: int = 1) -> None:
        self._processes = processes
        self._counters = memoryview(mmap.mmap(-1, processes * _COUNTERS * 8)).cast("q")

    def tally(self, number: int = 0) -> Tally:
        """The counters of a process, which alone writes them."""
        return Tally(self._counters[number * _COUNTERS : (number + 1) * _COUNTERS])

    def sums(self) -> list[int]:
        """Each counter over all processes."""
        numbers = self._counters.tolist()
        return [sum(numbers[counter::_COUNTERS]) for counter in range(_COUNTERS)]


class Look(NamedTuple):
    """What a look at the counters tells."""

    files: int = 0
    bytes: int = 0
    failed: int = 0
    total_files: int = 0
    total_bytes: int = 0
    #: whether the totals are known, because everything was met
    is_exact: bool = False


class Curve:
    """Bytes and files over time, at most so many points: when there are too many, every second one is left out."""

    def __init__(self) -> None:
        self._points: list[tuple[float, int, int]] = [(0.0, 0, 0)]
        self._step = _TICK

    def add(self, seconds: float, size: int, files: int) -> None:
        """Add a point, unless the last one was a moment ago."""
        # Looks are never exactly a tick apart.
        if seconds - self._points[-1][0] < self._step * 0.9:
            return
        self._points.append((round(seconds, 2), size, files))
        if len(self._points) == MOST_POINTS:
            del self._points[1::2]
            self._step *= 2

    def ended(self, seconds: float, size: int, files: int) -> list[list[float]]:
        """All points, and where it ended."""
        return [list(point) for point in (*self._points, (round(seconds, 2), size, files))]


class Progress:
    """What the parent knows of how far a run is, phase by phase. With a path it is written there once a second."""

    def __init__(self, path: str = "", supervisor: int = 0) -> None:
        self._path = path
        self._supervisor = supervisor
        self._started = self._ticked = time.monotonic()
        self._phase = ""
        self._board = Board()
        self._ranges = self._estimate = 0
        #: what earlier parts of the phase have come to
        self._before = Look()
        self._last = Look()
        self._curve = Curve()
        self._charted = (0, 0)
        self._is_charted = True

    def begin(self, phase: str, processes: int, ranges: int, estimate: int, charted: bool = True) -> Board:
        """Begin a phase, or a further part of it; the counters for its processes.

        The estimate is how many files it is about. What is charted becomes the run's throughput.
        """
        self.look()
        self._before = self._last if phase == self._phase else Look()
        self._last = self._before
        self._phase, self._ranges, self._estimate, self._is_charted = phase, ranges, estimate, charted
        self._board = Board(processes)
        return self._board

    def begin_again(self, processes: int) -> Board:
        """What was begun last is done once more from its start, in one range."""
        self._ranges, self._board = 1, Board(processes)
        return self._board

    def look(self) -> Look:
        """How far it is. Never less far than at the last look, though what was half done may have to be done again."""
        found, found_bytes, done, done_bytes, moving, failed, ranges = self._board.sums()
        last, before = self._last, self._before
        is_exact = bool(self._ranges) and ranges >= self._ranges
        total, total_bytes = found, found_bytes
        if not is_exact and found:
            total = max(found, self._estimate)
            total_bytes = found_bytes * total // found
        elif not is_exact:
            total = self._estimate
        files = max(last.files, before.files + done)
        size = max(last.bytes, before.bytes + done_bytes + moving)
        self._last = Look(
            files,
            size,
            max(last.failed, before.failed + failed),
            max(files, before.total_files + total),
            max(size, before.total_bytes + total_bytes),
            is_exact,
        )
        if self._is_charted:
            self._charted = (size, files)
        return self._last

    def tick(self) -> None:
        """Look, note the point and write it down, if a second has gone by."""
        now = time.monotonic()
        if now - self._ticked < _TICK * 0.9:
            return
        self._ticked = now
        look = self.look()
        if self._is_charted:
            self._curve.add(now - self._started, look.bytes, look.files)
        if self._path:
            self._write(look, now - self._started)
            if os.getppid() != self._supervisor:
                # Whoever would end us when nobody asks any more is no more.
                os.kill(os.getpid(), signal.SIGTERM)

    @contextlib.contextmanager
    def ticking(self) -> Iterator[None]:
        """Tick in a thread while the block runs. No process may be forked in it: it would have no such thread."""
        ended = threading.Event()

        def loop() -> None:
            while not ended.wait(_TICK):
                with contextlib.suppress(Exception):  # nothing that is only shown may end a run, or speak in its place
                    self.tick()

        thread = threading.Thread(target=loop, daemon=True)
        with contextlib.suppress(RuntimeError):  # no more threads: then nothing is shown
            thread.start()
        try:
            yield
        finally:
            ended.set()
            if thread.ident is not None:
                thread.join()

    def _write(self, look: Look, seconds: float) -> None:
        told = {"phase": self._phase, "seconds": round(seconds, 3), **look._asdict()}
        with contextlib.suppress(OSError):  # a full disk, or nobody looks any more
            with open(f"{self._path}.new", "w") as stream:
                json.dump(told, stream)
            os.rename(f"{self._path}.new", self._path)

    def throughput(self) -> list[list[float]]:
        """The curve up to now, as plain data: seconds since the start, bytes done, files done."""
        self.look()
        return self._curve.ended(time.monotonic() - self._started, *self._charted)


def nothing(_size: int) -> None:
    """For who does not want to know how much of a file has moved."""
