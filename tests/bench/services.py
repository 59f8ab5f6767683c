# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The servers of the benchmark: a new bucket for each run, and a look at what has come of it."""

from __future__ import annotations

import contextlib
import os
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, NamedTuple

from ..servers import Server
from ..servers import listing as listing_module
from ..servers import null as null_module
from ..servers.ceph import ceph
from ..servers.rclone import rclone_server
from .clients import Failed, Task
from .trees import Media

KINDS = {
    "null": "the null server: reads and answers",
    "ceph": "Ceph object gateway, memstore",
    "rclone": "rclone serve s3, on disk",
    "ceph far": "Ceph object gateway, memstore, over 40 ms",
    "listing": "synthetic listing, 100 ms per page",
}
PREFIX = "images/"


class Service(ABC):
    """A server and the proof that a task was done on it."""

    def __init__(self, server: Server) -> None:
        self.server = server

    @contextlib.contextmanager
    def bucket(self) -> Iterator[str]:
        """A new bucket. It is left as it is: the server does not live long."""
        yield f"bench-{uuid.uuid4().hex[:12]}"

    @abstractmethod
    def state(self, bucket: str) -> Any:
        """What can be seen before and after a task."""

    @abstractmethod
    def check(self, task: Task, before: Any) -> None:
        """Raise Failed unless the task was done, neither less nor more."""


class NullService(Service):
    """Counts what was uploaded."""

    def state(self, bucket: str) -> dict[str, int]:
        return null_module.counts_of(self.server)

    def check(self, task: Task, before: dict[str, int]) -> None:
        after = self.state(task.bucket)
        found = (after["objects"] - before["objects"], after["bytes"] - before["bytes"])
        if found != (task.media.files, task.media.size):
            raise Failed(f"{found} objects and bytes were uploaded instead of {task.media}")


class ListingService(Service):
    """Counts what was listed, and refuses what is uploaded."""

    def state(self, bucket: str) -> Any:
        return listing_module.counts_of(self.server)

    def check(self, task: Task, before: Any) -> None:
        asked = self.state(task.bucket) - before
        if asked["refused"] or asked["keys"] < task.media.files:
            raise Failed(f"{dict(asked)} of {task.media.files}")


class _State(NamedTuple):
    files: int
    size: int
    latest: str  # a run without anything to do writes nothing


class RealService(Service):
    """Keeps what was uploaded."""

    @contextlib.contextmanager
    def bucket(self) -> Iterator[str]:
        client = self.server.client()
        with super().bucket() as name:
            client.create_bucket(Bucket=name)
            yield name
            os.sync()  # what the server has on disk is not written during the next run

    def state(self, bucket: str) -> _State:
        count, size, latest = 0, 0, ""
        for page in self.server.client().get_paginator("list_objects_v2").paginate(Bucket=bucket):
            for item in page.get("Contents", []):
                count, size = count + 1, size + item["Size"]
                latest = max(latest, item["LastModified"].isoformat())
        return _State(count, size, latest)

    def check(self, task: Task, before: _State) -> None:
        after = self.state(task.bucket)
        if after[:2] != (task.media.files, task.media.size) or (task.again and after != before):
            raise Failed(f"the bucket holds {after} instead of {task.media}; before: {before}")


@contextlib.contextmanager
def null_service(address: str = "127.0.0.1") -> Iterator[Service]:
    with null_module.null_server(address=address) as server:
        yield NullService(server)


@contextlib.contextmanager
def real_service(kind: str, store_mb: int) -> Iterator[Service]:
    """ "ceph" or "rclone". Raises ServerUnavailable where it cannot run."""
    with ceph(store_mb=store_mb) if kind == "ceph" else rclone_server() as server:
        yield RealService(server)


@contextlib.contextmanager
def listing_service(media: Media, made: tuple[int, int] = (0, 1)) -> Iterator[Service]:
    """Over a tree on disk, or over `made` (count, folders) if its files are those of made_keys."""
    folder = None if made[0] else media.folder
    with listing_module.listing_server(folder, PREFIX, made=made) as server:
        yield ListingService(server)
