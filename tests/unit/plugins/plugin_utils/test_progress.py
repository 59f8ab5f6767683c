# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a run is: what is counted, what is told of it, and in which words."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.selfhosted.media.plugins.module_utils._sync.progress import (
    MOST_POINTS,
    Board,
    Curve,
    Progress,
    Stretch,
)
from ansible_collections.selfhosted.media.plugins.plugin_utils._progress.line import Pace, Report, amount, line_of
from ansible_collections.selfhosted.media.tests.servers import Server
from ansible_collections.selfhosted.media.tests.servers.null import null_server


def test_the_total_is_an_estimate_until_everything_was_met() -> None:
    progress = Progress()
    tally = progress.begin("uploading", 1, 2, 1000).tally()
    assert progress.look()[:6] == (0, 0, 0, 1000, 0, False)
    tally.found(100, 5000)
    tally.range_ended()
    tally.done(50)
    assert progress.look()[:6] == (1, 50, 0, 1000, 50_000, False)
    tally.found(20, 1000)
    tally.range_ended()
    assert progress.look()[:6] == (1, 50, 0, 120, 6000, True)


def test_parts_of_a_large_file_count_once_and_never_less_than_before() -> None:
    progress = Progress()
    tally = progress.begin("uploading", 1, 1, 1).tally()
    tally.found(1, 100)
    tally.moved(60)
    assert progress.look().bytes == 60
    tally.moved(-60)
    assert progress.look().bytes == 60  # it failed and is taken again
    tally.moved(40)
    assert progress.look().bytes == 60
    tally.moved(-40)
    tally.done(100)
    assert (progress.look().bytes, progress.look().files) == (100, 1)


def test_parts_of_a_phase_add_up_and_another_phase_begins_anew() -> None:
    progress = Progress()
    for _part in range(2):
        tally = progress.begin("uploading", 1, 1, 3).tally()
        tally.found(3, 30, done=1, done_size=10)
        tally.range_ended()
    assert progress.look()[:5] == (2, 20, 0, 6, 60)
    tally = progress.begin("verifying", 1, 1, 3, charted=False).tally()
    tally.found(3, 30, done=3, done_size=30)
    assert progress.look()[:2] == (3, 30)
    assert progress.throughput()[-1][1:] == [20, 2]  # that of the upload


def test_a_comparison_tells_what_it_has_met_soon_and_all_of_it_in_the_end() -> None:
    board = Board()
    stretch = Stretch(board.tally())
    for number in range(1000):
        stretch.met(10, is_done=number % 2 == 0)
        assert board.sums()[0] > number // 2
    stretch.tell()
    assert board.sums()[:4] == [1000, 10_000, 500, 5000]


@pytest.mark.parametrize("looks", [1, 119, 120, 121, 5000])
def test_a_curve_has_few_points_evenly_spread(looks: int) -> None:
    curve = Curve()
    for second in range(1, looks + 1):
        curve.add(second + 0.01 * (second % 3), second * 1000, second)
    points = curve.ended(looks + 0.5, looks * 1000 + 500, looks + 1)
    assert points[0] == [0, 0, 0]
    assert points[-1] == [looks + 0.5, looks * 1000 + 500, looks + 1]
    assert points == sorted(points)
    assert len(points) <= MOST_POINTS
    gaps = [after[0] - before[0] for before, after in zip(points, points[1:-1])]
    assert not gaps or max(gaps) < 2.2 * min(gaps)


@pytest.fixture(scope="module")
def null() -> Iterator[Server]:
    with null_server() as server:
        yield server


RUN = """
import os, sys
from ansible_collections.selfhosted.media.plugins.module_utils._objects.explicit import access_to
from ansible_collections.selfhosted.media.plugins.module_utils._s3.client import Connection
from ansible_collections.selfhosted.media.plugins.module_utils._sync.engine import Run
from ansible_collections.selfhosted.media.plugins.module_utils._sync.job import Job
from ansible_collections.selfhosted.media.plugins.module_utils._sync.verify import Check, Verification
from ansible_collections.selfhosted.media.plugins.module_utils._sync.walk import Tree
url, folder, processes = sys.argv[1:]
keys = {"region": "us-east-1", "access_key": "a", "secret_key": "b"}
access = access_to(Connection(endpoint_url=url, **keys), "null")
tree = Tree(os.fsencode(folder), b"p/")
for work in (Run.carry_out, Run.preview):
    run = Run(Job(access, tree, processes=int(processes)))
    work(run)
    print(*run.progress.look())
verification = Verification(Check(access, tree, processes=int(processes)))
verification.carry_out()
print(*verification.progress.look())
"""


@pytest.mark.parametrize("processes", [1, 3])
def test_what_all_processes_do_is_counted(null: Server, tmp_path: Path, processes: int) -> None:
    for number in range(1500):
        path = tmp_path / f"{number % 7}" / str(number)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x" * (number % 10))
    (tmp_path / "large").write_bytes(b"x" * 9_000_000)  # goes in parts
    done = subprocess.run(
        [sys.executable, "-c", RUN, null.endpoint_url, str(tmp_path), str(processes)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    size = 150 * 45 + 9_000_000
    well = f"1501 {size} 0 1501 {size} True"
    assert done.stdout.splitlines() == [well, well, f"1501 {size} 1501 1501 {size} True"]  # nothing is in the bucket


def report(**changes: object) -> Report:
    told = {
        **{"phase": "uploading", "seconds": 10, "files": 1200, "bytes": 1_230_000_000, "failed": 0},
        **{"total_files": 4000, "total_bytes": 4_100_000_000, "is_exact": True, **changes},
    }
    found = Report.of(told)
    assert found is not None
    return found


def test_the_line_tells_files_bytes_rate_time_left_and_failures() -> None:
    pace = Pace()
    pace.see(report(seconds=0, files=0, bytes=0))
    now = report(failed=2)
    pace.see(now)
    assert line_of(now, pace) == (
        "uploading 1,200 of 4,000 files, 1.2 GB of 4.1 GB (30%), 123.0 MB/s, 23 s left, 2 failed"
    )
    early = report(is_exact=False, phase="verifying", total_files=1, total_bytes=0, files=0, bytes=0)
    pace.see(early)
    assert line_of(early, pace) == "verifying 0 of about 1 file"


def test_small_files_take_as_long_as_their_number() -> None:
    pace = Pace()
    pace.see(report(seconds=0, files=0, bytes=0))
    pace.see(report(seconds=1, files=10, bytes=1_000_000_000, total_files=100_000, total_bytes=2_000_000_000))
    assert pace.seconds_left() == pytest.approx(9999)


def test_the_rate_is_that_of_the_last_seconds() -> None:
    pace = Pace()
    for second in range(100):
        pace.see(report(seconds=second, files=second, bytes=0 if second < 50 else (second - 50) * 1000))
    assert pace.rates()[0] == pytest.approx(1000)


@pytest.mark.parametrize("told", [{}, [], None, "x", {"phase": "x"}, {"phase": "x", "seconds": "soon"}])
def test_what_is_no_report_is_none(told: object) -> None:
    assert Report.of(told) is None


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (999_999, "1.0 MB"), (5e16, "50.0 PB")]
)
def test_amounts(size: float, text: str) -> None:
    assert amount(size) == text
