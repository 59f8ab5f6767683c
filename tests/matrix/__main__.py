# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the rows of the matrix one after the other and prints the table.

`make matrix` runs all for which this machine has interpreters, `make matrix ARGS=--ends` the oldest and the newest of
everything, as CI does. A row that cannot be run is in the table with the reason.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from . import environments
from .environments import ROOT

#: Each application there and back, by its playbooks.
PLAYBOOKS = (
    "tests/integration/test_bookwyrm_rollback.py",
    "tests/integration/test_gramps_web_migrate.py",
    # the longer half of the first one is the same with every release
    *("-k", "not moved_again and not cut_off and not without_room"),
)
TESTS = "ansible_collections.selfhosted.media.tests"


@dataclass(frozen=True)
class Row:
    """A controller and a target; Pythons by version, boto3 by a name of tests/boto3_releases or `newest`."""

    core: str
    python: str
    target: str
    boto3: str

    @property
    def name(self) -> str:
        return "-".join((self.core, self.python, self.target, self.boto3))

    def run(self, sanity: bool) -> dict[str, str]:
        """How each part ended, in a few words."""
        ours, lacks_ours = environments.interpreter(self.python)
        theirs, lacks_theirs = environments.interpreter(self.target)
        if ours is None or theirs is None:
            return {"playbooks": f"not run: {lacks_ours or lacks_theirs}"}
        try:
            controller = environments.controller(ours, self.python, self.core)
            target = environments.target(theirs, self.target, self.boto3)
            tested = environments.tested_target(theirs, self.target, self.boto3)
        except subprocess.CalledProcessError:
            return {"playbooks": "FAILED, an environment could not be made: see above"}
        pytest = (str(controller), "-m", "pytest", "-q", "--numprocesses=2", "--dist=loadfile", *PLAYBOOKS)
        return {
            "playbooks": self._part("playbooks", controller, *pytest, TARGET_PYTHON=str(target)),
            # what is generated is the same everywhere, and takes half of the time
            "units": self._part(
                "units", controller, str(controller), "-m", f"{TESTS}.units", str(tested), GENERATED_SEEDS="0"
            ),
            **(
                {"sanity": self._part("sanity", controller, str(controller), "-m", f"{TESTS}.sanity")} if sanity else {}
            ),
        }

    def _part(self, part: str, controller: Path, *command: str, **environment: str) -> str:
        """Run a command with the controller's tools first on the path."""
        log = ROOT / "build" / "matrix" / f"{self.name}-{part}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        path = os.pathsep.join([str(controller.parent), os.environ["PATH"]])
        started = time.monotonic()
        with log.open("w") as output:
            done = subprocess.run(
                command,
                cwd=ROOT,
                env={**os.environ, "PATH": path, **environment},
                stdout=output,
                stderr=subprocess.STDOUT,
                check=False,
            )
        if done.returncode:
            return f"FAILED, see {log.relative_to(ROOT)}"
        passed = sum(int(number) for number in re.findall(r"\b(\d+) passed\b", log.read_text(errors="replace")))
        return f"{passed or 'all'} passed in {time.monotonic() - started:.0f} s"


#: Each release of ansible-core; each Python and boto3 of targets with the newest. The ends come first and last.
ROWS = (
    Row("2.19", "3.11", "3.9", "1.20"),
    Row("2.20", "3.12", "3.10", "1.26"),
    Row("2.21", "3.12", "3.11", "1.34"),
    Row("2.21", "3.13", "3.12", "1.37"),
    Row("2.21", "3.13", "3.13", "newest"),
    Row("2.21", "3.13", "3.14", "newest"),
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="make matrix")
    parser.add_argument(
        "--ends", action="store_true", help="the oldest and the newest of everything alone, without sanity"
    )
    ends = parser.parse_args().ends
    rows = (ROWS[0], ROWS[-1]) if ends else ROWS
    # once for each ansible-core, and not for that with which `make lint` does it; it is the longest of all
    tried = (
        {row.core for row in rows} if ends else {".".join(importlib.metadata.version("ansible-core").split(".")[:2])}
    )
    parts = ("playbooks", "units", "sanity")
    lines = [f"{'ansible-core':14}{'Python':8}{'target':8}{'boto3':8}" + "".join(f"{part:24}" for part in parts)]
    for row in rows:
        ended = row.run(sanity=row.core not in tried)
        if "sanity" in ended:
            tried.add(row.core)
        said = "".join(f"{ended.get(part, ''):24}" for part in parts)
        lines.append(f"{row.core:14}{row.python:8}{row.target:8}{row.boto3:8}{said}".rstrip())
        print(lines[-1], flush=True)
    table = "\n".join([*lines, ""])
    Path(ROOT, "build", "matrix", "matrix.txt").write_text(table)
    print(f"\n{table}")
    return int("FAILED" in table)


if __name__ == "__main__":
    sys.exit(main())
