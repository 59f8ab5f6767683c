# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write many small objects over many connections in a single thread.

Each request and answer is so little work that threads would spend more time on waiting for the interpreter than on it.
The lane makes one try; whatever does not go smoothly goes to the pool, whose threads try again and tell what is wrong.
"""

from __future__ import annotations

import contextlib
import os
import select
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import Callable, Generic, NamedTuple, Optional, TypeVar

from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._objects.client import ObjectClient
from ansible_collections.selfhosted.media.plugins.module_utils._objects.connection import HttpConnection
from ansible_collections.selfhosted.media.plugins.module_utils._objects.retry import is_throttling
from ansible_collections.selfhosted.media.plugins.module_utils._sync.concurrency import Concurrency

Item = TypeVar("Item")

#: Connections that are opened at a time; each takes a thread for as long.
_OPENERS = 32
#: Seconds after which the lane looks for answers that do not come.
_TICK = 1.0


#: Elsewhere than on Linux everything goes to the pool.
IS_POSSIBLE = hasattr(select, "epoll")


class Put(NamedTuple):
    """What is to be written, read from the disk."""

    key: bytes
    body: bytes
    headers: dict[str, str]
    #: called when the service has it; raises MediaError or OSError when it has to be written again
    written: Callable[[], None]


@dataclass
class _Exchange(Generic[Item]):
    """A request under way."""

    item: Item
    put: Put
    connection: HttpConnection
    left: memoryview  # what has not been sent
    began: float
    moved: float  # when something was last sent


class Lane(Generic[Item]):
    """A thread that writes what is put, as much at a time as the concurrency allows."""

    def __init__(
        self,
        client: ObjectClient,
        concurrency: Concurrency,
        prepare: Callable[[Item], Put],
        otherwise: Callable[[Item], bool],
        busy_elsewhere: Callable[[], int] = lambda: 0,
    ) -> None:
        """prepare reads an item; what it raises, as every failure, has the item handed to otherwise.

        busy_elsewhere tells how much of the concurrency others use at the moment.
        """
        self._client = client
        self._concurrency = concurrency
        self._prepare = prepare
        self._otherwise = otherwise
        self._busy_elsewhere = busy_elsewhere
        self._bound = concurrency.ceiling * 4
        self._room = threading.Condition()
        self._items: deque[Item] = deque()
        self._is_ending = False
        self._is_hungry = False
        self._failure: Optional[BaseException] = None
        self._thread: Optional[threading.Thread] = None
        # Touched by the lane's thread alone, but for what the openers leave in opened.
        self._idle: dict[int, HttpConnection] = {}
        self._busy: dict[int, _Exchange[Item]] = {}
        self._opened: deque[Optional[tuple[int, HttpConnection]]] = deque()
        self._opening = 0

    def put(self, item: Item) -> bool:
        """Hand in an item; waits while enough are waiting. False when there is no use in more."""
        with self._room:
            while len(self._items) >= self._bound and self._failure is None:
                self._room.wait()
            if self._failure is not None:
                return False
            if self._thread is None and not self._start():
                return self._otherwise(item)
            self._items.append(item)
            if self._is_hungry:
                self._is_hungry = False
                self._wake()
            return True

    def stop(self, reason: BaseException) -> None:
        """Take no further items; what is under way ends."""
        with self._room:
            self._failure = self._failure or reason
            self._items.clear()
            self._room.notify_all()

    def finish(self) -> None:
        """Wait until everything is written or handed on. Raises what ended the lane."""
        with self._room:
            self._is_ending = True
            if self._thread is not None:
                self._wake()
        if self._thread is not None:
            self._thread.join()
            with self._room:  # who opens a connection may be about to wake us
                self._thread = None
                os.close(self._woken)
                os.close(self._waker)
        if self._failure is not None:
            raise self._failure

    def _start(self) -> bool:
        """Begin; False where there can be no more threads."""
        thread = threading.Thread(target=self._run, daemon=True)
        self._epoll = select.epoll()
        self._woken, self._waker = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._epoll.register(self._woken, select.EPOLLIN)
        try:
            thread.start()
        except RuntimeError:
            self._epoll.close()
            os.close(self._woken)
            os.close(self._waker)
            return False
        self._thread = thread
        return True

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError):  # it is about to wake up anyway
            os.write(self._waker, b"w")

    # -- in the lane's thread --------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            looked = time.monotonic()
            while self._begin_what_may_begin():
                for descriptor, events in self._epoll.poll(_TICK):
                    self._attend(descriptor, events)
                if time.monotonic() - looked >= _TICK:
                    looked = time.monotonic()
                    self._give_up_silent(looked)
        except BaseException as exc:  # noqa: BLE001 (raised by finish)
            self.stop(exc)
        finally:
            self._epoll.close()

    def _begin_what_may_begin(self) -> bool:
        """Send what there are connections for, open more if they would be of use. False when everything is done."""
        while self._opened:
            self._adopt(self._opened.popleft())
        limit = max(1, self._concurrency.limit - self._busy_elsewhere())
        while self._idle and len(self._busy) < limit:
            item = self._next()
            if item is None:
                break
            self._begin(item)
        with self._room:
            waiting = len(self._items)
            self._is_hungry = not waiting
            is_done = self._is_ending or self._failure is not None
        missing = min(limit, waiting + len(self._busy)) - len(self._busy) - len(self._idle) - self._opening
        for _number in range(min(missing, _OPENERS - self._opening)):
            self._opening += 1
            try:
                threading.Thread(target=self._open, daemon=True).start()
            except RuntimeError:  # no more threads
                self._leave(None)
        return bool(waiting or self._busy or not is_done)

    def _next(self) -> Optional[Item]:
        with self._room:
            if not self._items:
                return None
            # Not at every item: whoever hands them in would be woken for a single one.
            if len(self._items) == self._bound // 2:
                self._room.notify_all()
            return self._items.popleft()

    def _hand_on(self, item: Item) -> None:
        if not self._otherwise(item):
            self.stop(MediaError("the transfer has failed elsewhere"))

    def _open(self) -> None:
        connection = self._client.connection()
        try:
            self._leave((connection.open(), connection))
        except Exception:  # noqa: BLE001 (the pool meets the same, and tells)
            self._leave(None)

    def _leave(self, opened: Optional[tuple[int, HttpConnection]]) -> None:
        """Leave a connection, or word that there is none, for the lane's thread."""
        self._opened.append(opened)
        with self._room:
            if self._thread is not None:
                self._wake()

    def _adopt(self, opened: Optional[tuple[int, HttpConnection]]) -> None:
        self._opening -= 1
        if opened is not None:
            descriptor, connection = opened
            self._epoll.register(descriptor, select.EPOLLIN)
            self._idle[descriptor] = connection
            return
        item = self._next()
        if item is not None:
            self._hand_on(item)

    def _begin(self, item: Item) -> None:
        try:
            put = self._prepare(item)
        except (MediaError, OSError):
            self._hand_on(item)
            return
        descriptor, connection = self._idle.popitem()
        try:
            request = memoryview(self._client.put_request(connection, put.key, put.body, put.headers))
        except MediaError:
            self._idle[descriptor] = connection
            self._hand_on(item)
            return
        now = time.monotonic()
        exchange = self._busy[descriptor] = _Exchange(item, put, connection, request, now, now)
        if self._send(descriptor, exchange) and exchange.left:
            self._epoll.modify(descriptor, select.EPOLLIN | select.EPOLLOUT)

    def _send(self, descriptor: int, exchange: _Exchange[Item]) -> bool:
        """Send what the connection takes; False when it has ended."""
        try:
            exchange.left = exchange.left[exchange.connection.send_some(exchange.left) :]
        except OSError:
            self._give_up(descriptor)
            return False
        return True

    def _attend(self, descriptor: int, events: int) -> None:
        if descriptor == self._woken:
            os.read(descriptor, 4096)
            return
        exchange = self._busy.get(descriptor)
        if exchange is None:
            self._look_after_idle(descriptor)
            return
        if events & ~select.EPOLLOUT:
            self._end(descriptor, exchange)
        if events & select.EPOLLOUT and descriptor in self._busy and self._send(descriptor, exchange):
            exchange.moved = time.monotonic()
            if not exchange.left:
                self._epoll.modify(descriptor, select.EPOLLIN)

    def _look_after_idle(self, descriptor: int) -> None:
        """Close a connection that the service has closed because it found it idle for too long."""
        connection = self._idle.get(descriptor)
        if connection is None:
            return
        try:
            is_usable = not connection.receive_some()
        except OSError:
            is_usable = False
        if not is_usable:
            self._close(descriptor, self._idle.pop(descriptor))

    def _end(self, descriptor: int, exchange: _Exchange[Item]) -> None:
        try:
            if not exchange.connection.receive_some() or not exchange.connection.has_whole_answer():
                return
            answer = exchange.connection.answer("PUT")
        except OSError:
            self._give_up(descriptor)
            return
        del self._busy[descriptor]
        if exchange.connection.is_reusable and not exchange.left:
            self._idle[descriptor] = exchange.connection
        else:
            self._close(descriptor, exchange.connection)
        if answer.status >= 300:
            if is_throttling("", answer.status):
                self._concurrency.observe(0, True)
            self._hand_on(exchange.item)
            return
        self._concurrency.observe(time.monotonic() - exchange.began, False)
        try:
            exchange.put.written()
        except (MediaError, OSError):
            self._hand_on(exchange.item)

    def _give_up(self, descriptor: int) -> None:
        """A request whose connection has ended: nothing is known of its fate, so it is made again elsewhere."""
        exchange = self._busy.pop(descriptor)
        self._close(descriptor, exchange.connection)
        self._hand_on(exchange.item)

    def _give_up_silent(self, now: float) -> None:
        timeout = self._client.address.read_timeout
        silent = [descriptor for descriptor, exchange in self._busy.items() if now - exchange.moved > timeout]
        for descriptor in silent:
            self._give_up(descriptor)

    def _close(self, descriptor: int, connection: HttpConnection) -> None:
        self._epoll.unregister(descriptor)
        connection.close()
