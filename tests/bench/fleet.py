# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many instances in one run, each on a host of its own with its own sshd: what that costs. `make fleet` calls it."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ..playbooks import ROOT, UNITS, StandIn, make_instance
from ..servers import Server
from ..servers.moto import moto_server
from ..servers.network import HERE, Space, network
from ..servers.sshd import ssh_server
from .measure import Command, measure

_LOOK = "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/?n=1', timeout=20)"


def _instance(folder: Path, server: Server, space: Space, covers: int) -> StandIn:
    """A running instance in a namespace."""
    site = make_instance(folder, server, f"fleet-{folder.name}", 8000, covers=covers, thumbnails=2)
    subprocess.run([*_systemctl(site, space), "start", *UNITS], check=True, capture_output=True)
    _wait(space)
    return site


def _systemctl(site: StandIn, space: Space) -> list[str]:
    return [*space.inside, str(site.folder / "systemd" / "systemctl")]


@contextlib.contextmanager
def _host(site: StandIn, space: Space) -> Iterator[dict[str, Any]]:
    """The inventory's variables of an instance's host, as long as that can be reached; the instance is stopped in the end."""
    try:
        with ssh_server(space.address, space.inside) as sshd:
            python = {"ansible_python_interpreter": site.python()}
            yield {**site.variables, **sshd.variables, **python, "bookwyrm_s3_provider": "generic"}
    finally:
        subprocess.run([*_systemctl(site, space), "stop", *reversed(UNITS)], check=False, capture_output=True)


def _wait(space: Space) -> None:
    end = time.monotonic() + 120
    while subprocess.run([*space.inside, sys.executable, "-c", _LOOK], check=False, capture_output=True).returncode:
        if time.monotonic() > end:
            raise SystemExit(f"the instance at {space.address} does not answer")
        time.sleep(0.5)


def _run(folder: Path, playbook: str, forks: int) -> None:
    environment = {
        **os.environ,
        **{"ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".venv" / "collections"), "ANSIBLE_NOCOLOR": "1"},
        **{"ANSIBLE_PIPELINING": "True", "ANSIBLE_HOST_KEY_CHECKING": "False"},
    }
    program = str(Path(sys.executable).with_name("ansible-playbook"))
    words = [program, f"selfhosted.media.{playbook}", "-i", str(folder / "inventory.json"), "--forks", str(forks)]
    # Reports go to the folder from which it is called.
    words = ["env", "-C", str(folder), *words]
    done = measure(Command(words, environment), pss=True)
    told = re.search(r"TASK \[selfhosted\.media\.fleet : Summary\].*?\n(ok: .*?\n\})", done.output, re.DOTALL)
    print(told[1] if told else done.output[-3000:] + done.errors[-3000:])
    print(re.sub(r"(?s).*PLAY RECAP \**\n", "", done.output)[:400].splitlines()[0])
    print(
        f"== {playbook}: {done.seconds:.0f} s, controller {done.cpu_seconds:.0f} s of CPU and {done.pss_bytes / 1e6:.0f} MB at most;"
        f" instances and S3 server {done.server_seconds:.0f} s of CPU, others {done.others_seconds:.0f} s; exit code {done.status}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="make fleet", description=__doc__)
    parser.add_argument("--hosts", type=int, default=20)
    parser.add_argument("--forks", type=int, default=10)
    parser.add_argument("--covers", type=int, default=50, help="of each instance")
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fleet-")))
        spaces = stack.enter_context(network(options.hosts))
        server = stack.enter_context(moto_server(address=HERE))
        names = [f"site{number:02}" for number in range(options.hosts)]
        with ThreadPoolExecutor(2) as pool:
            made = [
                pool.submit(_instance, folder / name, server, space, options.covers)
                for name, space in zip(names, spaces)
            ]
        # Not in those threads, whose processes end with them.
        hosts = [stack.enter_context(_host(site.result(), space)) for site, space in zip(made, spaces)]
        variables = dict(zip(names, hosts))
        (folder / "inventory.json").write_text(json.dumps({"bookwyrm": {"hosts": variables}}))
        (folder / "inventory.json").chmod(0o600)
        print(f"{options.hosts} instances of {options.covers} covers, {options.forks} forks", flush=True)
        for playbook in ("bookwyrm_migrate", "bookwyrm_migrate", "verify"):
            _run(folder, playbook, options.forks)


if __name__ == "__main__":
    main()
