# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Carry out work concurrently with a bounded queue, so that memory does not grow with the number of files."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable
from typing import Callable, Generic, Optional, TypeVar

from ansible_collections.selfhosted.media.plugins.module_utils._sync.concurrency import Concurrency

Item = TypeVar("Item")


class Pool(Generic[Item]):
    """Threads that call work for every item put. Their number follows the concurrency, up and down.

    An exception of the work stops the taking of further items; finish() raises it, after what had begun has ended.
    """

    def __init__(self, work: Callable[[Item], None], concurrency: Concurrency) -> None:
        self._work = work
        self._concurrency = concurrency
        self._bound = concurrency.ceiling * 4
        lock = threading.Lock()
        self._to_do = threading.Condition(lock)
        self._room = threading.Condition(lock)
        self._done = threading.Condition(lock)
        self._items: deque[Item] = deque()
        self._helping: deque[Callable[[], None]] = deque()
        self._threads: list[threading.Thread] = []
        self._idle = 0
        self._active = 0
        self._is_ending = False
        self._failure: Optional[BaseException] = None

    @property
    def active(self) -> int:
        """Number of items at work."""
        return self._active

    def put(self, item: Item) -> bool:
        """Hand in an item; waits while enough are waiting. False when the work has failed: then there is no use in more."""
        with self._room:
            while len(self._items) >= self._bound and self._failure is None:
                self._room.wait()
            if self._failure is not None:
                return False
            self._items.append(item)
            self._wake()
            return True

    def invite(self, help_out: Callable[[], None], helpers: int) -> None:
        """Let threads that become free call a function, before they take further items."""
        with self._to_do:
            self._helping.extend([help_out] * helpers)
            for _number in range(helpers):
                self._wake()

    def finish(self) -> None:
        """Wait until everything is done. Raises what the work raised first."""
        with self._done:
            while (self._items or self._helping or self._active) and self._failure is None:
                self._done.wait()
            self._is_ending = True
            self._to_do.notify_all()
        for thread in self._threads:
            thread.join()
        if self._failure is not None:
            raise self._failure

    def stop(self, reason: BaseException) -> None:
        """Take no further items: what hands them in has failed."""
        with self._room:
            self._fail(reason)

    # -- with the lock held ----------------------------------------------------------------------------------------

    def _wake(self) -> None:
        """Have somebody look for work: an idle thread, or a new one."""
        if self._active >= self._concurrency.limit:
            return
        if self._idle:
            self._to_do.notify()
        elif len(self._threads) < self._concurrency.limit:
            thread = threading.Thread(target=self._loop, daemon=True)
            try:
                thread.start()
            except RuntimeError:  # the machine has no more of them: those that are there do it
                if not self._threads:
                    raise
            else:
                self._threads.append(thread)

    def _fail(self, exc: BaseException) -> None:
        self._failure = self._failure or exc
        self._items.clear()
        self._helping.clear()
        self._room.notify_all()
        self._done.notify_all()

    def _next(self) -> Optional[Callable[[], None]]:
        """The next thing to do; None when there will be nothing any more."""
        while True:
            if self._active < self._concurrency.limit:
                if self._helping:
                    return self._helping.popleft()
                if self._items:
                    item = self._items.popleft()
                    # Not at every item: whoever hands them in would be woken for a single one.
                    if len(self._items) == self._bound // 2:
                        self._room.notify_all()
                    return lambda: self._work(item)
            if self._is_ending:
                return None
            self._idle += 1
            self._to_do.wait()
            self._idle -= 1

    def _loop(self) -> None:
        with self._to_do:
            while True:
                work = self._next()
                if work is None:
                    return
                self._active += 1
                if self._items or self._helping:
                    self._wake()
                self._to_do.release()
                failure: Optional[BaseException] = None
                try:
                    work()
                except BaseException as exc:  # noqa: BLE001 (raised again in the caller's thread)
                    failure = exc
                finally:
                    self._to_do.acquire()
                self._active -= 1
                if failure is not None:
                    self._fail(failure)
                if not self._active and not self._items and not self._helping:
                    self._done.notify_all()


def run_all(items: Iterable[Item], work: Callable[[Item], None], threads: int) -> None:
    """Call work for every item in several threads, and return when all is done.

    An exception of the iterable or of the work stops the taking of further items and is raised here, after the work
    that had begun has ended.
    """
    pool = Pool(work, Concurrency(threads, start=threads))
    try:
        for item in items:
            if not pool.put(item):
                break
    except BaseException as exc:  # noqa: BLE001 (raised by finish)
        pool.stop(exc)
    pool.finish()
