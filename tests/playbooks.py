# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the collection's playbooks by name against a stand-in instance, as an administrator does."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Optional
from uuid import uuid4

from ansible_collections.selfhosted.media.plugins.module_utils._dotenv.reading import read
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
        return self._recap("changed")

    @property
    def failed(self) -> int:
        """The sum of `failed=` in the recap."""
        return self._recap("failed")

    def _recap(self, what: str) -> int:
        recap = self.output.partition("PLAY RECAP")[2]
        return sum(int(number) for number in re.findall(rf"\b{what}=(\d+)", recap))

    @property
    def message(self) -> str:
        """The `msg` of the task that ended the run."""
        found = re.findall(r"^(?:fatal|failed): .*?=> (\{.*?^\}|\{.*\})$", self.output, re.MULTILINE | re.DOTALL)
        return str(json.loads(found[-1])["msg"]) if found else ""

    def results(self, task: str) -> list[dict[str, Any]]:
        """What the tasks of this name ended with; needs -v."""
        pattern = rf"^TASK \[[^\n]*{re.escape(task)}\] .*?(?=^TASK |^PLAY )"
        blocks = re.findall(pattern, self.output, re.MULTILINE | re.DOTALL)
        found = (
            re.search(r"^(?:ok|changed): [^\n]*?=> (\{.*?^\})$", block, re.MULTILINE | re.DOTALL) for block in blocks
        )
        return [json.loads(match.group(1)) for match in found if match]


class Answer(NamedTuple):
    """What a web server answered."""

    status: int
    headers: dict[str, str]
    body: bytes


def fetch(url: str, method: str = "GET", **headers: str) -> Answer:
    """Ask without credentials; an error status is an answer too. Header names have _ for -."""
    request = urllib.request.Request(url, method=method)
    for name, value in headers.items():
        request.add_header(name.replace("_", "-"), value)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return Answer(answer.status, {k.lower(): v for k, v in answer.headers.items()}, answer.read())
    except urllib.error.HTTPError as exc:
        return Answer(exc.code, {k.lower(): v for k, v in exc.headers.items()}, exc.read())


@dataclass
class Host:
    """A host of the inventory: this machine, with an instance on it."""

    folder: Path
    variables: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    #: texts that no run may print
    marks: list[str] = field(default_factory=list)
    #: the inventory's group, by which the playbooks find it
    group: str = "bookwyrm"

    def hosts(self) -> dict[str, dict[str, Any]]:
        """The hosts of the inventory and their variables."""
        python = os.environ.get("TARGET_PYTHON") or sys.executable
        return {"books": {"ansible_connection": "local", "ansible_python_interpreter": python, **self.variables}}

    def command(self, playbook: str, *arguments: str, **variables: Any) -> tuple[list[str], dict[str, str]]:
        """The command line and environment of a run; what is given as variables is added to the host's."""
        inventory = self.folder.parent / f"{self.folder.name}-inventory.json"
        hosts = {name: {**host, **variables} for name, host in self.hosts().items()}
        inventory.write_text(json.dumps({self.group: {"hosts": hosts}}))
        inventory.chmod(0o600)
        environment = {
            **os.environ,
            "ANSIBLE_PIPELINING": "True",  # quicker
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
        """Run a playbook to its end, as talkative as can be: every run is a test of secrecy too."""
        command, environment = self.command(playbook, "-vvvv", "--diff", *arguments, **variables)
        done = subprocess.run(
            command, env=environment, cwd=self.folder.parent, capture_output=True, text=True, timeout=600, check=False
        )
        output = done.stdout + done.stderr
        (self.folder.parent / f"{self.folder.name}-last-run.log").write_text(output)
        shown = [line for line in output.splitlines() if any(mark in line for mark in self.marks)]
        assert not shown, f"a secret was printed: {shown[:3]}"
        for report in (
            path for path in self.folder.parent.iterdir() if re.search(r"-\d{6}(-\d+)?\.(html|json)$", path.name)
        ):
            assert not any(mark in report.read_text(encoding="utf-8") for mark in self.marks), (
                f"a secret is in {report}"
            )
        return Outcome(done.returncode, output)

    def report(self, action: str) -> tuple[Path, dict[str, Any]]:
        """The page that the last run of this kind has left, and what its JSON twin holds."""
        pages = sorted(self.folder.parent.glob(f"*-{action}-*.html"), key=lambda path: path.stat().st_mtime_ns)
        twin: dict[str, Any] = json.loads(pages[-1].with_suffix(".json").read_text(encoding="utf-8"))
        return pages[-1], twin


@dataclass
class StandIn(Host):
    """A running stand-in instance of the systemd kind."""

    port: int = 0

    def page(self, query: str = "?n=ALL") -> str:
        """The front page's HTML."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/{query}", timeout=20) as answer:
            return str(answer.read().decode())

    def images(self) -> list[str]:
        """The URLs of all covers and thumbnails in the front page, each once."""
        found = re.findall(r'(?:src|srcset)="([^"]*/images/[^"]+)"', self.page())
        return [url for url in dict.fromkeys(found) if "/static/" not in url]

    def statics(self) -> list[str]:
        """The URLs of the static assets in the front page, and of the fonts in its style sheets."""
        found = re.findall(r'(?:src|href)="([^"]*/static/[^"]+)"', self.page("?n=1"))
        sheets = [self.absolute(url) for url in found if ".css" in url]
        fonts = (
            (sheet, name)
            for sheet in sheets
            for name in re.findall(r"url\([\"']?([^)\"']+)", fetch(sheet).body.decode())
        )
        return [*map(self.absolute, found), *(urllib.parse.urljoin(sheet, name) for sheet, name in fonts)]

    def absolute(self, url: str) -> str:
        """The URL as seen from the front page."""
        return urllib.parse.urljoin(f"http://127.0.0.1:{self.port}/", url)

    def upload(self, name: str, content: bytes) -> dict[str, Any]:
        """Upload a cover as a visitor does; answers name, url and thumbnails."""
        return self._post(f"upload?name={urllib.parse.quote(name)}", content)

    def delete(self, name: str) -> dict[str, Any]:
        """Delete a cover as its owner does, by the name that upload answered."""
        return self._post(f"delete?name={urllib.parse.quote(name)}", b"")

    def _post(self, where: str, content: bytes) -> dict[str, Any]:
        request = urllib.request.Request(self.absolute(where), data=content, method="POST")
        with urllib.request.urlopen(request, timeout=20) as answer:
            result: dict[str, Any] = json.load(answer)
        return result

    def manage(self, *words: str) -> str:
        """Run the instance's manage.py."""
        python = str(self.folder / "venv" / "bin" / "python")
        done = subprocess.run(
            [python, "manage.py", *words], cwd=self.folder, capture_output=True, text=True, check=True
        )
        return done.stdout

    def set_env(self, **values: Optional[str]) -> None:
        """Set variables in the .env by hand; None removes one."""
        path = self.folder / ".env"
        lines = [line for line in path.read_text().splitlines() if line.partition("=")[0] not in values]
        path.write_text("\n".join([*lines, *(f"{k}={v}" for k, v in values.items() if v is not None)]) + "\n")

    def tree(self) -> dict[str, bytes]:
        """All files of the media folder by their names."""
        media = self.folder / "images"
        return {str(path.relative_to(media)): path.read_bytes() for path in media.rglob("*") if path.is_file()}

    def main_pids(self) -> list[str]:
        """The process ids of the services."""
        return [self.systemctl("show", "-p", "MainPID", "--value", unit).strip() for unit in UNITS]

    def systemctl(self, *words: str) -> str:
        """Run the stand-in's systemctl."""
        return subprocess.run(
            [str(self.folder / "systemd" / "systemctl"), *words], check=False, capture_output=True, text=True
        ).stdout

    def python(self) -> str:
        """A Python that finds the instance's systemctl, where the PATH of the run does not reach."""
        path = self.folder.parent / f"{self.folder.name}-python"
        path.write_text(f'#!/bin/sh\nPATH={self.folder}/systemd:$PATH exec {sys.executable} "$@"\n')
        path.chmod(0o755)
        return str(path)

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
        return read((self.folder / ".env").read_bytes())


@contextlib.contextmanager
def in_background(work: Any) -> Iterator[None]:
    """Call the work over and over in a thread while the block runs."""
    ended = threading.Event()

    def loop() -> None:
        while not ended.is_set():
            work()

    thread = threading.Thread(target=loop, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@dataclass
class Watch:
    """Looks at the front page again and again, past any cache, and notes whether it answered.

    Outages are counted, not timed: on a busy machine any answer takes its time.
    """

    site: StandIn
    #: seconds between two looks
    pause: float = 0.1
    #: of each look when it ended, and the status; 0 where nobody answered
    looks: list[tuple[float, int]] = field(default_factory=list)

    def __call__(self) -> None:
        status = 0
        with contextlib.suppress(OSError, http.client.HTTPException):
            status = fetch(self.site.absolute(f"?n=1&fresh={uuid4().hex}")).status
        self.looks.append((time.time(), status))
        time.sleep(self.pause)

    @property
    def statuses(self) -> set[int]:
        """What was answered when something was."""
        return {status for _when, status in self.looks} - {0}

    @property
    def outages(self) -> list[float]:
        """How long the page was away each time, in seconds between the two answers around it."""
        answered = [(when, number) for number, (when, status) in enumerate(self.looks) if status == 200]
        pairs = zip(answered, answered[1:])
        return [after - before for (before, first), (after, second) in pairs if second > first + 1]


@dataclass
class Visitors:
    """Upload a cover now and then and note what was accepted."""

    site: StandIn
    picture: bytes
    accepted: dict[str, bytes] = field(default_factory=dict)
    thumbnails: list[str] = field(default_factory=list)
    #: seconds from one to the next
    pause: float = 0.2

    def __call__(self) -> None:
        content = self.picture + os.urandom(20_000)
        with contextlib.suppress(OSError, http.client.HTTPException):
            done = self.site.upload("new cover.jpg", content)
            self.accepted[done["name"]] = content
            self.thumbnails += done["thumbnails"]
        time.sleep(self.pause)


#: Secrets in the .env that the migration has nothing to do with.
SECRETS_OF_ENV = ["standin $ecret #1", "a # b $c", "flower-secret", "postgres-secret"]
UNITS = ("redis", "bookwyrm", "bookwyrm-worker", "bookwyrm-scheduler")


def make_instance(folder: Path, server: Server, bucket: str, port: int, **options: Any) -> StandIn:
    """An instance whose inventory points to a bucket of the server; nothing of it runs. Options are make_instance.py's."""
    settings = {"release": "0.9.2", "domain": "localhost", "covers": 20, "thumbnails": 2, **options}
    words = [
        word
        for name, value in settings.items()
        for word in ([f"--{name}"] if value is True else [f"--{name}", str(value)])
    ]
    script = str(ROOT / "tests" / "standin" / "make_instance.py")
    places = ["--venv", str(STANDIN_VENV), "--port", str(port), "--redis-port", str(free_port())]
    subprocess.run([sys.executable, script, str(folder), *places, *words], check=True, capture_output=True, timeout=120)
    return StandIn(
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
        [server.secret_key, *SECRETS_OF_ENV],
        port=port,
    )


@contextlib.contextmanager
def standin(folder: Path, server: Server, bucket: str, start: bool = True, **options: Any) -> Iterator[StandIn]:
    """Make and start an instance whose inventory points to a bucket of the server. Options are make_instance.py's."""
    instance = make_instance(folder, server, bucket, free_port(), **options)
    try:
        if start:
            instance.systemctl("start", *UNITS)
            instance.wait()
        else:
            instance.systemctl("start", "redis")
        yield instance
    finally:
        instance.systemctl("stop", *reversed(UNITS))
