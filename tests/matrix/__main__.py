# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the rows of the matrix one after the other and prints the table.

`make matrix` runs all for which this machine has interpreters, `make matrix ARGS=--ends` the oldest and the newest of
everything, as CI does. A row that cannot be run is in the table with the reason.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from . import environments
from .environments import ROOT

TESTS = ("tests/integration/test_bookwyrm_migrate.py", "tests/integration/test_gramps_web_migrate.py")


@dataclass(frozen=True)
class Row:
    """A controller and a target; Pythons by version, boto3 by a name of tests/boto3_releases or `newest`."""

    core: str
    python: str
    target: str
    boto3: str

    def run(self) -> str:
        """Move both applications; how it ended, in a few words."""
        ours, theirs = environments.interpreter(self.python), environments.interpreter(self.target)
        for version, found in ((self.python, ours), (self.target, theirs)):
            if found is None:
                return f"not run: no Python {version} here"
        assert ours is not None and theirs is not None
        controller = environments.controller(ours, self.python, self.core)
        target = environments.target(theirs, self.target, self.boto3)
        log = ROOT / "build" / "matrix" / f"{'-'.join((self.core, self.python, self.target, self.boto3))}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        path = os.pathsep.join([str(controller.parent), os.environ["PATH"]])
        environment = {**os.environ, "PATH": path, "TARGET_PYTHON": str(target)}
        command = [str(controller), "-m", "pytest", "-q", "--numprocesses=2", "--dist=loadfile", *TESTS]
        with log.open("w") as output:
            done = subprocess.run(
                command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT, check=False
            )
        last = log.read_text(errors="replace").strip().splitlines()[-1].strip("= ")
        return last if not done.returncode else f"FAILED: {last}; see {log.relative_to(ROOT)}"


#: Each release of ansible-core; each Python and boto3 of targets with the newest. The ends come first and last.
ROWS = (
    Row("2.19", "3.11", "3.9", "1.20"),
    Row("2.20", "3.12", "3.10", "1.26"),
    Row("2.21", "3.12", "3.11", "1.34"),
    Row("2.21", "3.13", "3.12", "1.37"),
    Row("2.21", "3.13", "3.14", "newest"),
    Row("2.21", "3.13", "3.13", "newest"),
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="make matrix")
    parser.add_argument("--ends", action="store_true", help="the oldest and the newest of everything alone")
    rows = (ROWS[0], ROWS[-1]) if parser.parse_args().ends else ROWS
    head = f"{'ansible-core':14}{'Python':8}{'target':8}{'boto3':8}"
    lines, failed = [], False
    for row in rows:
        started = time.monotonic()
        ended = row.run()
        failed = failed or ended.startswith("FAILED")
        lines.append(f"{row.core:14}{row.python:8}{row.target:8}{row.boto3:8}{ended}")
        print(f"{lines[-1]}  ({time.monotonic() - started:.0f} s)", flush=True)
    table = Path(ROOT, "build", "matrix", "matrix.txt")
    table.parent.mkdir(parents=True, exist_ok=True)
    table.write_text("\n".join([head, *lines, ""]))
    print("\n".join(["", head, *lines]))
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
