# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many instances in one run, in batches of which two lose all they have: one fails, one is lost in the middle, one is never reached."""

from __future__ import annotations

import contextlib
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.selfhosted.media.tests.playbooks import ROOT, Host, StandIn, fetch, standin
from ansible_collections.selfhosted.media.tests.servers import Server, free_port
from ansible_collections.selfhosted.media.tests.servers.sshd import SshServer, ssh_server

#: The site starts as ever, but not on S3.
START = "systemctl start redis bookwyrm bookwyrm-worker bookwyrm-scheduler"
RUINED = f"if grep -q ^USE_S3=true .env; then echo the unit is masked >&2; exit 7; fi; {START}"
#: Ends an sshd and its sessions, from within one.
CUT = """\
import os, signal, sys
from pathlib import Path
from ansible_collections.selfhosted.media.tests.processes import descendants
# held first: it would let whoever asks between two of these ends in again
os.kill(int(sys.argv[1]), signal.SIGSTOP)
for pid in reversed(descendants(int(sys.argv[1]))):
    if Path(f"/proc/{pid}/comm").read_text().startswith("sshd"):
        os.kill(pid, signal.SIGKILL)
"""


@dataclass
class Fleet(Host):
    """Several hosts in one inventory, each with an instance and variables of its own."""

    sites: dict[str, StandIn] = field(default_factory=dict)
    #: how hosts are reached that are not this machine
    ways: dict[str, dict[str, Any]] = field(default_factory=dict)

    def hosts(self) -> dict[str, dict[str, Any]]:
        here = {"ansible_connection": "local"}
        return {
            # Each has a systemctl of its own.
            name: {**site.variables, "ansible_python_interpreter": site.python(), **self.ways.get(name, here)}
            for name, site in self.sites.items()
        }

    def reports(self) -> list[Path]:
        return sorted(self.folder.parent.glob("*-migrate-*.html"))


def recap(output: str) -> dict[str, dict[str, int]]:
    """Of each host what Ansible has counted."""
    lines = re.findall(r"^(\w+) +: (ok=.*)$", output.partition("PLAY RECAP")[2], re.MULTILINE)
    return {host: {word: int(number) for word, number in re.findall(r"(\w+)=(\d+)", counts)} for host, counts in lines}


@pytest.fixture(scope="module")
def fleet(moto_server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    folder = tmp_path_factory.mktemp("fleet")
    made = Fleet(folder / "controller")
    made.folder.mkdir()
    with contextlib.ExitStack() as stack:
        for name in ("ruined", "lost", "gone", "first", "second"):
            # Nobody comes to the one that is not reached.
            site = (
                StandIn(folder / name, dict(made.sites["lost"].variables))
                if name == "gone"
                else stack.enter_context(standin(folder / name, moto_server, f"fleet-{name}", covers=2, thumbnails=1))
            )
            site.variables.update(bookwyrm_s3_provider="generic", bookwyrm_sample=2)
            made.sites[name] = site
            made.marks += [mark for mark in site.marks if mark not in made.marks]
        yield made


def test_one_that_fails_does_not_stop_the_others(fleet: Fleet, sshd: SshServer) -> None:
    """In batches of one that fails, of one that is lost, and of three of which one cannot be reached."""
    with ssh_server() as other:
        fleet.ways = {
            "first": sshd.variables,
            "lost": other.variables,
            "gone": {**sshd.variables, "ansible_port": free_port()},
        }
        cut = fleet.folder / "cut.py"
        cut.write_text(CUT)
        path = ROOT / ".venv" / "collections"
        fleet.sites["lost"].variables["bookwyrm_static_command"] = (
            f"PYTHONPATH={path} {sys.executable} {cut} {other.process.pid}"
        )
        fleet.sites["ruined"].variables["bookwyrm_start_command"] = RUINED
        run = fleet.play("bookwyrm_migrate", "-e", json.dumps({"target_serial": [1, "20%", 3]}))
    assert run.code == 2, run.output[-3000:]
    counts = recap(run.output)
    assert {host: (of["failed"], of["unreachable"]) for host, of in counts.items()} == {
        **dict.fromkeys(("ruined", "lost", "gone"), (1, 0)),
        **dict.fromkeys(("first", "second"), (0, 0)),
    }
    told = run.results("fleet : Summary")[-1]["msg"]
    assert told[0] == "5 instances: 2 moved, 1 failed, 1 lost, 1 not reached"
    assert re.fullmatch(r"\d+ files \([\d.]+ [kM]B\) copied", told[1])
    assert re.fullmatch(r"the sites stood still for [\d.]+ s in all, (first|second) the longest with [\d.]+ s", told[2])
    failed, lost, gone, again = told[3:]
    assert re.match(r"failed: ruined: Starting the services failed.*the unit is masked", failed)
    assert re.match(r"lost: lost: The host cannot be reached, at the step 'Compile the themes", lost)
    assert re.match(r"not reached: gone: The host cannot be reached, at the step 'Look at the instance'.*refused", gone)
    assert again.startswith("Run the same command again")
    # All have the same domain, and each has a report of its own.
    pages = re.findall(r"\(report: (.*)\)$", "\n".join((failed, lost, gone)), re.MULTILINE)
    assert len(set(pages)) == 3 and {*pages} < {*map(str, fleet.reports())} and len(fleet.reports()) == 5
    for name, site in fleet.sites.items():
        if name != "gone":
            assert site.env.get("USE_S3") == ("true" if name in ("first", "second") else "false")
            # Each serves its pictures, from where it has them.
            assert all(fetch(site.absolute(url)).status == 200 for url in site.images()) and site.images()


def test_the_next_run_does_what_is_left(fleet: Fleet, sshd: SshServer) -> None:
    fleet.ways["lost"] = sshd.variables
    for name in ("ruined", "lost"):
        for variable in ("bookwyrm_start_command", "bookwyrm_static_command"):
            fleet.sites[name].variables.pop(variable, None)
    run = fleet.play("bookwyrm_migrate", "--forks", "5")
    told = run.results("fleet : Summary")[-1]["msg"]
    assert told[0] == "5 instances: 2 moved, 2 there already, 1 not reached"
    counts = recap(run.output)
    assert {host: of["changed"] > 0 for host, of in counts.items()} == {
        **dict.fromkeys(("ruined", "lost"), True),
        **dict.fromkeys(("gone", "first", "second"), False),
    }
    assert run.code == 2 and run.failed == 1
    assert all(site.env["USE_S3"] == "true" for name, site in fleet.sites.items() if name != "gone")
