# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Share ranges of keys out to worker processes, which ask for the next one when they have time.

The workers are forked before boto3 is loaded, so each costs a few megabytes; what only boto3 knows they ask the parent.
"""

from __future__ import annotations

import contextlib
import gc
import os
import pickle
import signal
import threading
from collections.abc import Iterable, Iterator
from multiprocessing.connection import Connection, Pipe, wait
from typing import Any, Optional, Protocol, cast

from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._objects.access import Access
from ansible_collections.selfhosted.media.plugins.module_utils._objects.address import Address
from ansible_collections.selfhosted.media.plugins.module_utils._objects.signing import Keys
from ansible_collections.selfhosted.media.plugins.module_utils._sync.keys import Range
from ansible_collections.selfhosted.media.plugins.module_utils._sync.progress import Progress

#: More than this many would rather compete with the site's own work than help.
_MOST = 4
#: Seconds after which the parent looks up from waiting: an interruption that came just before it would not wake it.
_LOOK_UP = 1.0


class Worker(Protocol):
    """What works in each process."""

    #: which of the processes it is
    number: int

    def work(self, access: Access, spans: Iterator[Range]) -> Any:
        """Work on ranges until there are none left; the result is handed to the parent.

        One with a failure in its attribute of that name ends the sharing out, as an exception does, but is kept.
        """


def automatic_number(files: int) -> int:
    """How many processes so many files are worth, on this machine."""
    if files <= 1_000:
        return 1
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # elsewhere than on Linux
        cores = os.cpu_count() or 1
    return min(_MOST, cores)


def share_out(
    spans: Iterable[Range], worker: Worker, access: Access, processes: int, progress: Optional[Progress] = None
) -> list[Any]:
    """Have workers go through the ranges; their results. Meanwhile the progress ticks.

    Raises what a worker raised first; the others then get no more ranges and end what they are at.
    """
    progress = progress or Progress()
    if processes == 1:
        with progress.ticking():
            return [worker.work(access, iter(spans))]
    team = _Team(processes, worker)
    try:
        return team.serve(spans, access, progress)
    finally:
        team.end()


class _Team:
    """The workers as the parent sees them."""

    def __init__(self, processes: int, worker: Worker) -> None:
        self._workers: dict[Connection, int] = {}
        # Open in the parent alone: whoever sees its end knows that the parent is no more.
        alive, parent_only = os.pipe()
        gc.collect()
        gc.freeze()  # what is there already stays shared: nobody looks through it for garbage
        try:
            for number in range(processes):
                ours, theirs = Pipe()
                pid = os.fork()
                if not pid:
                    os.close(parent_only)
                    ours.close()
                    for other in self._workers:
                        other.close()
                    worker.number = number
                    _be_worker(worker, theirs, alive)
                theirs.close()
                self._workers[ours] = pid
        finally:
            gc.unfreeze()
            os.close(alive)
        self._parent_only = parent_only

    def serve(self, spans: Iterable[Range], access: Access, progress: Progress) -> list[Any]:
        """Answer the workers until all have handed in their results."""
        results: list[Any] = []
        failure: Optional[BaseException] = None
        waiting = set(self._workers)
        left, is_over = iter(spans), False
        while waiting:
            progress.tick()
            for connection in cast("list[Connection]", wait(list(waiting), _LOOK_UP)):
                try:
                    question, given = connection.recv()
                except (EOFError, ConnectionError):
                    waiting.discard(connection)
                    failure = failure or MediaError(
                        "a worker process ended unexpectedly (was there enough memory?); run again: nothing is lost"
                    )
                    continue
                if question == "result":
                    waiting.discard(connection)
                    results.append(given)
                    is_over = is_over or getattr(given, "failure", None) is not None
                elif question == "failure":
                    waiting.discard(connection)
                    failure = failure or given
                else:
                    try:
                        if question == "span":
                            answer = None if failure or is_over else next(left, None)
                        else:
                            answer = getattr(access, question)()
                        self._send(connection, (answer, None))
                    except Exception as exc:  # noqa: BLE001 (the worker raises it)
                        self._send(connection, (None, _portable(exc)))
        if failure is not None:
            raise failure
        return results

    @staticmethod
    def _send(connection: Connection, message: object) -> None:
        with contextlib.suppress(OSError):  # it is no more, as the next look at it tells
            connection.send(message)

    def end(self) -> None:
        """Leave no process behind."""
        os.close(self._parent_only)
        for connection, pid in self._workers.items():
            connection.close()
            os.waitpid(pid, 0)


def _be_worker(worker: Worker, connection: Connection, alive: int) -> None:
    """The whole life of a worker process."""
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent, too, is interrupted, and its end is ours
        threading.Thread(target=_end_with_parent, args=(alive,), daemon=True).start()
        access = _ParentsAccess(connection)
        try:
            message = ("result", worker.work(access, iter(access.next_span, None)))
        except BaseException as exc:  # noqa: BLE001 (raised again by the parent)
            message = ("failure", _portable(exc))
        connection.send(message)
    finally:
        # Not as a program ends: what the parent had begun to write or to tidy up is the parent's.
        os._exit(0)


def _portable(exc: BaseException) -> BaseException:
    """An exception as it can be handed to another process."""
    try:
        pickle.loads(pickle.dumps(exc))  # noqa: S301 (our own)
    except Exception:  # noqa: BLE001 (whatever its class makes of that)
        return MediaError(f"{type(exc).__name__}: {exc}")
    return exc


def _end_with_parent(alive: int) -> None:
    os.read(alive, 1)
    os._exit(1)


class _ParentsAccess:
    """Access by asking the parent. Used from several threads."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()

    def _ask(self, question: str) -> Any:
        with self._lock:
            self._connection.send((question, None))
            answer, failure = self._connection.recv()
        if failure is not None:
            raise failure
        return answer

    def next_span(self) -> Optional[Range]:
        """The next range; None when there are none left."""
        span: Optional[Range] = self._ask("span")
        return span

    def address(self) -> Address:
        """The bucket's address."""
        address: Address = self._ask("address")
        return address

    def keys(self) -> Keys:
        """The keys as they are now."""
        keys: Keys = self._ask("keys")
        return keys

    def relocated(self) -> Address:
        """The address after asking the service itself for the bucket's region."""
        address: Address = self._ask("relocated")
        return address
