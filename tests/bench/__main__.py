# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""media_sync against s5cmd, rclone and aws s3 sync, on the same servers in the same run. `make bench` calls it."""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

from .clients import PEERS, ROOT
from .goals import goals_of
from .report import as_json, chart, table
from .share import shared
from .workloads import ON_ONE_HOST, Bench

WORKLOADS = {**ON_ONE_HOST, "W8": shared}

OUTPUT = ROOT / "build" / "bench"


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument(
        "--only", default=os.environ.get("BENCH_ONLY", ""), help="workloads, such as W1,W4; default: all"
    )
    parser.add_argument(
        "--servers", default="null,ceph,rclone", help="of workloads that are run on several; default: null,ceph,rclone"
    )
    parser.add_argument("--rounds", type=int, default=int(os.environ.get("BENCH_ROUNDS", "3")), help="default: 3")
    parser.add_argument("--scale", type=float, default=float(os.environ.get("BENCH_SCALE", "1")), help="0.1: a tenth")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()), help="where the trees are made")
    options = parser.parse_args()
    names = [name for name in options.only.upper().split(",") if name] or list(WORKLOADS)
    unknown = set(names) - set(WORKLOADS)
    if unknown or options.rounds < 1 or options.scale <= 0:
        parser.error(f"unknown workloads: {', '.join(sorted(unknown))}" if unknown else "rounds and scale are above 0")
    if not (PEERS / "s5cmd").exists():
        parser.error(f"the peers are not in {PEERS}; use make bench")
    with tempfile.TemporaryDirectory(prefix="bench-", dir=options.folder) as folder:
        bench = Bench(Path(folder), options.rounds, options.scale, tuple(options.servers.split(",")))
        for name in names:
            started = time.monotonic()
            print(f"== {WORKLOADS[name].__doc__}", flush=True)
            WORKLOADS[name](bench)
            print(f"== {name}: {time.monotonic() - started:.0f} s", flush=True)
            _write(bench)  # after each, so that what was measured is kept whatever comes
    print(f"\n{table(bench)}\n\n{OUTPUT}/bench.json, {OUTPUT}/bench.svg")
    if options.scale != 1:
        print("The goals are meant for scale 1.")
    elif not all(goal.reached for goal in goals_of(bench.results)):
        print("Not all goals were reached.")
    if any(result.failures for result in bench.results):
        raise SystemExit("Some runs have failed; their figures count for nothing.")


def _write(bench: Bench) -> None:
    OUTPUT.mkdir(parents=True, exist_ok=True)
    (OUTPUT / "bench.json").write_text(json.dumps(as_json(bench), indent=1) + "\n")
    (OUTPUT / "bench.svg").write_text(chart(bench))


if __name__ == "__main__":
    main()
