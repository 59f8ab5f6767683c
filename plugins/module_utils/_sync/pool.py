# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Carry out work concurrently with a bounded queue, so that memory does not grow with the number of files."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable
from typing import Callable, Optional, TypeVar

Item = TypeVar("Item")


def run_all(items: Iterable[Item], work: Callable[[Item], None], threads: int) -> None:
    """Call work for every item in several threads, and return when all is done.

    An exception of the iterable or of the work stops the taking of further items and is raised here, after the work
    that had begun has ended.
    """
    waiting: queue.Queue[Optional[Item]] = queue.Queue(maxsize=threads * 4)
    failures: list[BaseException] = []
    stopped = threading.Event()

    def loop() -> None:
        for item in iter(waiting.get, None):
            if stopped.is_set():
                continue  # emptied, so that nobody waits for a place in the queue
            try:
                work(item)
            except BaseException as exc:  # noqa: BLE001 (raised again in the caller's thread)
                failures.append(exc)
                stopped.set()

    workers: list[threading.Thread] = []
    try:
        for _number in range(threads):
            worker = threading.Thread(target=loop, daemon=True)
            worker.start()
            workers.append(worker)
        for item in items:
            if stopped.is_set():
                break
            waiting.put(item)
    except BaseException:
        stopped.set()
        raise
    finally:
        for _worker in workers:
            waiting.put(None)
        for worker in workers:
            worker.join()
    if failures:
        raise failures[0]
