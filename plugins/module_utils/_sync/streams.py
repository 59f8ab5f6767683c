# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The two streams of a comparison, file and object, merged over ranges of keys that are gone through side by side."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Callable, Optional, Protocol

from ansible_collections.selfhosted.media.plugins.module_utils._objects.xml import RemoteObject
from ansible_collections.selfhosted.media.plugins.module_utils._sync.keys import Range
from ansible_collections.selfhosted.media.plugins.module_utils._sync.listing import Listing, OutOfOrder
from ansible_collections.selfhosted.media.plugins.module_utils._sync.temporary import TEMPORARY, is_temporary
from ansible_collections.selfhosted.media.plugins.module_utils._sync.walk import Tree

#: Ranges that a process goes through at a time: enough to hide the latency of a listing's pages.
SIDE_BY_SIDE = 16


def objects(listing: Listing, tree: Tree, span: Range, in_order: bool = True) -> Iterator[RemoteObject]:
    """The objects of a range that take part. Where the service has an order of its own, all are sorted first."""
    start = len(tree.prefix)
    chooses_all, chooses, shard = tree.chooser.chooses_all, tree.chooser.chooses, tree.shard
    for found in listing.objects(span) if in_order else listing.sorted_objects():
        if TEMPORARY in found.key and is_temporary(found.key.rpartition(b"/")[2]):
            continue  # uploaded by some other tool
        if (chooses_all or chooses(found.key[start:])) and shard.holds(found.key):
            yield found


class Queue(Protocol):
    """What works at the pairs that are found."""

    def stop(self, reason: BaseException) -> None:
        """Take nothing more."""

    def finish(self) -> None:
        """Wait until everything is done. Raises what failed first."""


def run_side_by_side(
    spans: Iterator[Range], go_through: Callable[[Range], None], queues: list[Queue], concurrency: int
) -> bool:
    """Go through ranges side by side while queues work at what is found, until all is done; each may hand on to the next.

    Returns whether the service lists in an order that is not S3's, so that some of it was compared wrongly. Raises what
    the first failure was.
    """
    out_of_order = False

    def try_to_go_through(span: Range) -> None:
        try:
            go_through(span)
        except OutOfOrder:
            raise
        except BaseException as exc:
            # At once: the other ranges would wait for room in the queues, under a bandwidth limit for long.
            for queue in queues:
                queue.stop(exc)
            raise

    try:
        side_by_side(spans, try_to_go_through, min(SIDE_BY_SIDE, concurrency))
    except OutOfOrder:
        out_of_order = True
    except BaseException as exc:  # noqa: BLE001 (raised by finish)
        for queue in queues:
            queue.stop(exc)
    finish_all(queues)
    return out_of_order


def finish_all(queues: list[Queue]) -> None:
    """Wait for all queues, whatever becomes of one. Raises the failure of the last that failed: the first to know why."""
    failure: Optional[BaseException] = None
    for queue in queues:
        try:
            queue.finish()
        except BaseException as exc:  # noqa: BLE001 (raised below)
            failure = exc
    if failure is not None:
        raise failure


def side_by_side(spans: Iterator[Range], go_through: Callable[[Range], None], threads: int) -> None:
    """Go through ranges in several threads. Raises what the first failure was; then no further range is begun."""
    failures: list[BaseException] = []
    lock = threading.Lock()

    def loop() -> None:
        while not failures:
            try:
                with lock:
                    span = next(spans, None)
                if span is None:
                    return
                go_through(span)
            except BaseException as exc:  # noqa: BLE001 (raised again in the caller's thread)
                failures.append(exc)

    helpers: list[threading.Thread] = []
    while len(helpers) < threads - 1:
        helper = threading.Thread(target=loop, daemon=True)
        try:
            helper.start()
        except RuntimeError:  # the machine has no more of them: those that are there do it
            break
        helpers.append(helper)
    loop()
    for helper in helpers:
        helper.join()
    if failures:
        raise failures[0]
