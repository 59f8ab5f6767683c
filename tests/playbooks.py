# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the collection's playbooks by name against a stand-in instance, as an administrator does."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.selfhosted.media.tests.servers import Server, free_port

ROOT = Path(__file__).resolve().parents[1]
VENV = Path(sys.prefix)
#: The stand-in instance has the application's own pinned libraries.
STANDIN_VENV = Path(os.environ.get("STANDIN_VENV", ROOT / ".venv" / "standin"))


@dataclass
class Outcome:
    """What a run of ansible-playbook ended with."""

    code: int
    output: str

    @property
    def changed(self) -> int:
        """The sum of `changed=` in the recap."""
        return sum(int(number) for number in re.findall(r"changed=(\d+)", self.output))

    @property
    def failed(self) -> int:
        """The sum of `failed=` in the recap."""
        return sum(int(number) for number in re.findall(r"failed=(\d+)", self.output))


@dataclass
class Host:
    """A host of the inventory: this machine, with an instance on it."""

    folder: Path
    variables: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)

    def command(self, playbook: str, *arguments: str, **variables: Any) -> tuple[list[str], dict[str, str]]:
        """The command line and environment of a run; what is given as variables is added to the host's."""
        inventory = self.folder.parent / f"{self.folder.name}-inventory.json"
        host = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            **self.variables,
            **variables,
        }
        inventory.write_text(json.dumps({"bookwyrm": {"hosts": {"books": host}}}))
        inventory.chmod(0o600)
        environment = {
            **os.environ,
            **self.environment,
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".venv" / "collections"),
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_LOCALHOST_WARNING": "False",
            "PATH": os.pathsep.join(
                [self.environment.get("PATH", ""), str(Path(sys.executable).parent), os.environ["PATH"]]
            ),
        }
        name = playbook if "." in playbook else f"selfhosted.media.{playbook}"
        return ["ansible-playbook", name, "-i", str(inventory), *arguments], environment

    def play(self, playbook: str, *arguments: str, **variables: Any) -> Outcome:
        """Run a playbook to its end."""
        command, environment = self.command(playbook, *arguments, **variables)
        done = subprocess.run(
            command, env=environment, cwd=self.folder.parent, capture_output=True, text=True, timeout=600, check=False
        )
        return Outcome(done.returncode, done.stdout + done.stderr)


@dataclass
class StandIn(Host):
    """A running stand-in instance of the systemd kind."""

    port: int = 0

    def page(self, query: str = "?n=ALL") -> str:
        """The front page's HTML."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/{query}", timeout=20) as answer:
            return str(answer.read().decode())

    def images(self) -> list[str]:
        """The URLs of all covers and thumbnails in the front page."""
        return re.findall(r'(?:src|srcset)="([^"]*/images/[^"]+)"', self.page())

    def upload(self, name: str, content: bytes) -> dict[str, Any]:
        """Upload a cover as a visitor does; answers name, url and thumbnails."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/upload?name={name}", data=content, method="POST"
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            result: dict[str, Any] = json.load(answer)
        return result

    def systemctl(self, *words: str) -> str:
        """Run the stand-in's systemctl."""
        return subprocess.run(
            [str(self.folder / "systemd" / "systemctl"), *words], check=False, capture_output=True, text=True
        ).stdout

    def wait(self, seconds: float = 30) -> None:
        """Wait for the front page."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                self.page("?n=1")
                return
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)

    @property
    def env(self) -> dict[str, str]:
        """The instance's settings as it reads them."""
        from ansible_collections.selfhosted.media.plugins.module_utils._dotenv import read

        return read(str(self.folder / ".env"))


UNITS = ("redis", "bookwyrm", "bookwyrm-worker", "bookwyrm-scheduler")


@contextlib.contextmanager
def standin(folder: Path, server: Server, bucket: str, start: bool = True, **options: Any) -> Iterator[StandIn]:
    """Make and start an instance whose inventory points to a bucket of the server. Options are make_instance.py's."""
    port = free_port()
    settings = {"release": "0.9.2", "domain": "localhost", "covers": 20, "thumbnails": 2, **options}
    words = [
        word
        for name, value in settings.items()
        for word in ([f"--{name}"] if value is True else [f"--{name}", str(value)])
    ]
    script = str(ROOT / "tests" / "standin" / "make_instance.py")
    places = ["--venv", str(STANDIN_VENV), "--port", str(port), "--redis-port", str(free_port())]
    subprocess.run([sys.executable, script, str(folder), *places, *words], check=True, capture_output=True, timeout=120)
    instance = StandIn(
        folder,
        {
            "bookwyrm_dir": str(folder),
            "bookwyrm_install_type": "systemd",
            "bookwyrm_s3_provider": "ceph",
            "bookwyrm_s3_bucket": bucket,
            "bookwyrm_s3_endpoint_url": server.endpoint_url,
            "bookwyrm_s3_access_key": server.access_key,
            "bookwyrm_s3_secret_key": server.secret_key,
            "bookwyrm_health_timeout": 30,
        },
        {"PATH": str(folder / "systemd")},
        port=port,
    )
    try:
        if start:
            instance.systemctl("start", *UNITS)
            instance.wait()
        else:
            instance.systemctl("start", "redis")
        yield instance
    finally:
        instance.systemctl("stop", *reversed(UNITS))
