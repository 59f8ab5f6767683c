# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is measured: each workload runs ours and the peers alternately on the same server, some rounds long."""

from __future__ import annotations

import contextlib
import functools
import os
import shlex
import shutil
import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..servers import ServerUnavailable
from .clients import AWS, ONE_BY_ONE, OURS, OURS_GRAMPS, RCLONE, S5CMD, Client, Failed, Task
from .measure import Command, Sample, measure
from .services import PREFIX, Service, listing_service, null_service, real_service
from .trees import Media, empty_files, family_tree, large_files, media_tree
from .wan import wan

PEERS = (OURS, S5CMD, RCLONE)
REAL = ("ceph", "rclone")
ROUND_TRIP = 0.04


@dataclass
class Result:
    """The runs of one client at one task."""

    workload: str
    case: str
    client: str
    count: int
    bytes: int
    command: str
    samples: list[Sample] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        return statistics.median(sample.seconds for sample in self.samples)

    @property
    def cpu_ms_per_object(self) -> float:
        return statistics.median(sample.cpu_seconds for sample in self.samples) * 1000 / self.count

    @property
    def objects_per_second(self) -> float:
        return self.count / self.seconds

    @property
    def megabytes_per_second(self) -> float:
        return self.bytes / 1e6 / self.seconds

    @property
    def rss_mb(self) -> float:
        return statistics.median(sample.rss_bytes for sample in self.samples) / 1e6

    @property
    def pss_mb(self) -> float:
        return max(sample.pss_bytes for sample in self.samples) / 1e6


class Skipped(Exception):
    """Cannot be measured here; the message says why."""


@dataclass
class Bench:
    """A run of the benchmark."""

    folder: Path  # for trees, removed in the end
    rounds: int = 3
    scale: float = 1.0
    servers: tuple[str, ...] = ("null", *REAL)
    say: Callable[[str], None] = print
    results: list[Result] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def scaled(self, count: int, least: int = 100) -> int:
        return max(least, int(count * self.scale))

    def wanted(self, *kinds: str) -> list[str]:
        """Those of the servers that were asked for."""
        return [kind for kind in kinds if kind in self.servers]

    def remark(self, text: str) -> None:
        self.remarks.append(text)
        self.say(text)

    @contextlib.contextmanager
    def tree(self, make: Callable[[Path], Media]) -> Iterator[Media]:
        """A tree that is there for a while."""
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        try:
            yield make(folder / "media")
        finally:
            shutil.rmtree(folder)

    def small_files(self, count: int) -> AbstractContextManager[Media]:
        return self.tree(lambda folder: media_tree(folder, self.scaled(count)))

    def result(self, workload: str, case: str, client: Client, media: Media) -> Result:
        key = (workload, case, client.name)
        for result in self.results:
            if (result.workload, result.case, result.client) == key:
                return result
        self.results.append(Result(*key, media.files, media.size, ""))
        return self.results[-1]

    def run(self, workload: str, case: str, client: Client, service: Service, task: Task, **how: Any) -> None:
        """One run of one client, checked, and added to its result."""
        inside: Sequence[str] = how.get("inside", ())
        with tempfile.TemporaryDirectory(dir=self.folder) as scratch:
            command = client.command(task, Path(scratch))
            before = service.state(task.bucket)
            result = self.result(workload, case, client, task.media)
            result.command = _shown(command, Path(scratch), task)
            try:
                sample = measure(command._replace(words=[*inside, *command.words]), how.get("pss", False))
                client.check(task, sample)
                service.check(task, before)
            except Failed as exc:
                # Counted in no median: who fails is not fast.
                result.failures.append(str(exc))
                self.remark(f"{workload} {case}: {client.name} has failed: {str(exc)[:300]}")
                return
        result.samples.append(sample)
        told = f"{sample.seconds:.2f} s; CPU: its own {sample.cpu_seconds:.2f} s, server {sample.server_seconds:.2f} s"
        self.say(f"  {workload} {case}: {client.name} {told}, others {sample.others_seconds:.2f} s")

    def alternately(self, clients: Sequence[Client]) -> Iterator[Client]:
        """Each client once per round, another one first in each round."""
        for number in range(self.rounds):
            start = number % len(clients)
            yield from (*clients[start:], *clients[:start])

    def real(self, kind: str, total_bytes: int) -> AbstractContextManager[Service]:
        """A server that has room for so much; raises Skipped if there is none."""
        if kind == "ceph" and total_bytes > _free_memory() * 0.7:
            raise Skipped(f"ceph skipped: {total_bytes >> 20} MiB do not fit into the memory")
        if kind == "rclone" and total_bytes * 2 > shutil.disk_usage(self.folder).free * 0.9:
            raise Skipped(f"rclone serve s3 skipped: {total_bytes >> 20} MiB do not fit onto the disk twice")
        return real_service(kind, 1024 + (total_bytes >> 19))

    @contextlib.contextmanager
    def part(self, name: str) -> Iterator[None]:
        """A part that may turn out to be impossible; the others go on."""
        try:
            yield
        except (ServerUnavailable, Skipped) as exc:
            self.remark(f"{name}: {exc}")


def _shown(command: Command, scratch: Path, task: Task) -> str:
    """The command line as it can be read by others."""
    text = shlex.join([Path(command.words[0]).name, *command.words[1:]])
    named = ((str(scratch), "SCRATCH"), (str(task.media.folder), "FOLDER"), (task.server.endpoint_url, "URL"))
    for long, name in (*named, (task.bucket, "BUCKET")):
        text = text.replace(long, name)
    return text


def _free_memory() -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 0


def _fill(bench: Bench, workload: str, kind: str, media: Media, clients: Sequence[Client], task: str) -> None:
    """Each client uploads to a bucket of its own."""
    with bench.part(f"{workload} {kind}"):
        total = media.size * len(clients)
        # A new server for each round, since Ceph frees what was deleted hours later.
        for number in range(bench.rounds):
            with null_service() if kind == "null" else bench.real(kind, total) as service:
                for client in (*clients[number % len(clients) :], *clients[: number % len(clients)]):
                    with service.bucket() as bucket:
                        bench.run(workload, kind, client, service, Task(task, media, service.server, bucket, PREFIX))


def _filled(task: Task, scratch: Path) -> Task:
    """Done by s5cmd: rclone would leave the files' times, and ours is to know what it did not write itself."""
    S5CMD.check(task, measure(S5CMD.command(task, scratch)))
    return task


def small_to_empty(bench: Bench) -> None:
    """W1: 20,000 small files to an empty bucket."""
    with bench.small_files(20_000) as media:
        for kind in bench.wanted("null", *REAL):
            _fill(bench, "W1", kind, media, PEERS, "small")
    with bench.small_files(4_000) as part:  # of the same tree; all of it would take minutes
        for kind in bench.wanted("null"):
            _fill(bench, "W1", kind, part, (AWS,), "small")


def nothing_to_do(bench: Bench) -> None:
    """W2: the same tree again, and 200,000 objects on a service of 100 ms per page."""
    with bench.small_files(20_000) as media:
        for kind in bench.wanted(*REAL):
            with (
                bench.part(f"W2 {kind}"),
                bench.real(kind, media.size) as service,
                service.bucket() as bucket,
                tempfile.TemporaryDirectory(dir=bench.folder) as scratch,
            ):
                fill = _filled(Task("small", media, service.server, bucket, PREFIX), Path(scratch))
                for client in bench.alternately(PEERS):
                    bench.run("W2", kind, client, service, fill._replace(kind="again"))
    with (
        bench.tree(lambda folder: media_tree(folder, bench.scaled(200_000), sparse=True)) as media,
        listing_service(media) as service,
    ):
        for client in bench.alternately(PEERS):
            bench.run("W2", "listing", client, service, Task("again far", media, service.server, "bench", PREFIX))


def large(bench: Bench) -> None:
    """W3: two files of 1 GiB."""
    with bench.tree(lambda folder: large_files(folder, 2, bench.scaled(1 << 30, 64 << 20))) as media:
        for kind in bench.wanted("null", *REAL):
            _fill(bench, "W3", kind, media, PEERS, "large")


def far_away(bench: Bench) -> None:
    """W4: 2,000 small files over 40 ms."""
    with bench.small_files(2_000) as media, wan(ROUND_TRIP) as network:
        bench.remark(f"W4: 40 ms by {network.how}")
        with null_service(network.address) as service:
            for client in bench.alternately(PEERS):
                # A relay for each run, so that no connection of the last one is left.
                with network.to(service.server) as server:
                    task = Task("far", media, server, "bench", PREFIX)
                    bench.run("W4", "null", client, service, task, inside=network.inside)


def many(bench: Bench) -> None:
    """W5: a million files, nothing to do."""
    for count, folders in ((100_000, 100), (1_000_000, 1000), (100_000, 1), (1_000_000, 1)):
        files = bench.scaled(count)
        case = f"{count:,} in {folders:,} folder{'s' * (folders > 1)}"
        with bench.part(f"W5 {case}"):
            free = os.statvfs(bench.folder).f_favail
            if free < files * 1.1:
                raise Skipped(f"skipped: {free} inodes are free")
            make = functools.partial(empty_files, count=files, folders=folders)
            with bench.tree(make) as media, listing_service(media, (files, folders)) as service:
                for client in bench.alternately((OURS,)):
                    task = Task("again far", media, service.server, "bench", PREFIX)
                    bench.run("W5", case, client, service, task, pss=True)


def family(bench: Bench) -> None:
    """W6: 2,000 media of 20 KB of a Gramps family tree, to servers on this machine and over 40 ms."""
    clients = (OURS_GRAMPS, ONE_BY_ONE)
    with bench.tree(lambda folder: family_tree(folder, bench.scaled(2_000), 20_000)) as media:
        for kind in bench.wanted(*REAL):
            _fill(bench, "W6", kind, media, clients, "small")
        for kind in bench.wanted("ceph"):
            with (
                bench.part(f"W6 {kind} far"),
                wan(ROUND_TRIP) as network,
                bench.real(kind, media.size * len(clients) * bench.rounds) as service,
            ):
                bench.remark(f"W6: 40 ms by {network.how}")
                for client in bench.alternately(clients):
                    with service.bucket() as bucket, network.to(service.server) as server:
                        task = Task("far", media, server, bucket, PREFIX)
                        bench.run("W6", f"{kind} far", client, service, task, inside=network.inside)


def short(bench: Bench) -> None:
    """W7: the module on 1,000 files, nothing to do."""
    with bench.tree(lambda folder: media_tree(folder, 1000)) as media:
        for kind in bench.wanted(*REAL):
            with (
                bench.part(f"W7 {kind}"),
                bench.real(kind, media.size) as service,
                service.bucket() as bucket,
                tempfile.TemporaryDirectory(dir=bench.folder) as scratch,
            ):
                fill = _filled(Task("small", media, service.server, bucket, PREFIX), Path(scratch))
                for client in bench.alternately((OURS,)):
                    bench.run("W7", kind, client, service, fill._replace(kind="again"))


ON_ONE_HOST: dict[str, Callable[[Bench], None]] = {
    "W1": small_to_empty,
    "W2": nothing_to_do,
    "W3": large,
    "W4": far_away,
    "W5": many,
    "W6": family,
    "W7": short,
}
