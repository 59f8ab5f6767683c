# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people see of a module that takes its time, and what becomes of it when nobody looks any more.

The playbooks run as people run them, in a pseudo-terminal or into a pipe; a bandwidth limit makes the module take its time.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import pytest
from ansible_collections.selfhosted.media.tests.chaos.controller import kill_controller
from ansible_collections.selfhosted.media.tests.playbooks import ROOT
from ansible_collections.selfhosted.media.tests.servers import Server, ServerUnavailable
from ansible_collections.selfhosted.media.tests.servers.null import null_server
from ansible_collections.selfhosted.media.tests.servers.sshd import SshServer, ssh_server

#: The tree: so many files of so many bytes, and how many of them go in a second, so that it takes eight.
FILES, SIZE = 60, 100_000
LIMIT = 750_000
MODULE = "selfhosted.media.media_sync"
#: Of a line: files done, of how many, and once something of them is known: bytes done, their unit, whether of about how many, of how many.
LINE = re.compile(r"uploading (\d+) of (?:about )?(\d+) files(?:, ([\d.]+) (B|kB|MB) of (about )?([\d.]+) MB)?")
UNITS = {None: 0.0, "B": 1.0, "kB": 1e3, "MB": 1e6}
OTHER_USER = "nobody"


@pytest.fixture(scope="module")
def null() -> Iterator[Server]:
    with null_server() as server:
        yield server._replace(access_key=f"key-{uuid4().hex}", secret_key=f"secret-{uuid4().hex}")


class Book:
    """A playbook of one task, its hosts, and the folder that the target has for temporary files."""

    def __init__(self, folder: Path, server: Server) -> None:
        self.folder, self.server = folder, server
        self.media, self.temporary, self.results = folder / "media", folder / "temporary", folder / "results"
        for each in (self.media, self.temporary, self.results):
            each.mkdir()
            each.chmod(0o1777)
        for number in range(FILES):
            path = self.media / f"covers/{number % 5}/{number}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(os.urandom(SIZE))
        self.hosts: dict[str, dict[str, Any]] = {}

    def command(self, *words: str, **settings: str) -> tuple[list[str], dict[str, str]]:
        task = {
            "name": "Copy",
            MODULE: {
                **{"path": str(self.media), "bucket": "null", "prefix": "{{ inventory_hostname }}"},
                **{"bandwidth_limit": "{{ item }}", "lock": "{{ folder | default(omit) }}"},
                "show_progress": "{{ shown | default(omit) }}",
            },
            "loop": "{{ limits | default([limit]) }}",
            "register": "copied",
            # where Ansible and the module put what is to be gone in the end
            "environment": {
                **{"TMPDIR": str(self.temporary), "XDG_STATE_HOME": str(self.temporary)},
                "PYTHONPATH": "{{ python_path | default('') }}",
            },
            "check_mode": "{{ only_look | default(false) }}",
            "no_log": "{{ hidden | default(false) }}",
            "delegate_to": "{{ delegate | default(omit) }}",
            "async": "{{ seconds | default(0) }}",
            "poll": 1,
        }
        kept = {
            "name": "Keep",
            "ansible.builtin.copy": {
                "content": "{{ copied.results[0] }}",
                "dest": f"{self.results}/{{{{ inventory_hostname }}}}.json",
                "mode": "0644",
            },
            "vars": {"ansible_become": False},
            "check_mode": False,
            "diff": False,
        }
        connection = {name: value for name, value in self.server.options.items() if name != "provider"}
        play = {
            **{"hosts": "all", "gather_facts": False, "strategy": "{{ order | default('linear') }}"},
            "module_defaults": {"group/selfhosted.media.s3": {**connection, "provider": "generic"}},
            "tasks": [task, kept],
        }
        (self.folder / "play.yml").write_text(json.dumps([play]))
        common = {
            **{"ansible_connection": "local", "ansible_python_interpreter": sys.executable, "limit": LIMIT},
            # Ansible writes a job to $HOME and looks for it in the home that /etc/passwd has, which may be another one.
            "ansible_async_dir": str(self.folder / "async"),
        }
        hosts = {name: {**common, **variables} for name, variables in self.hosts.items()}
        inventory = self.folder / "inventory.json"
        inventory.write_text(json.dumps({"all": {"hosts": hosts}}))
        environment = {
            **os.environ,
            **{"ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".venv" / "collections"), "ANSIBLE_NOCOLOR": "1"},
            **{"ANSIBLE_PIPELINING": "True", "ANSIBLE_HOST_KEY_CHECKING": "False", "TERM": "xterm"},
            "SELFHOSTED_MEDIA_PROGRESS_INTERVAL": "1",
            **settings,
        }
        environment.pop("AWX_ISOLATED_DATA_DIR", None)
        playbook = str(Path(sys.executable).with_name("ansible-playbook"))
        return [playbook, str(self.folder / "play.yml"), "-i", str(inventory), *words], environment

    def start(self, *words: str, **settings: str) -> subprocess.Popen[str]:
        """Run it into a pipe."""
        command, environment = self.command(*words, **settings)
        return subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=self.folder,
        )

    def run(self, *words: str, **settings: str) -> str:
        """Run it to its end; what it has printed."""
        output, _nothing = (play := self.start(*words, **settings)).communicate(timeout=240)
        wrong = [line[:2000] for line in output.splitlines() if re.search("FAILED|UNREACHABLE|fatal:|ERROR", line)]
        assert play.returncode == 0, "\n".join([*wrong, output[-3000:]])
        return output

    def run_in_a_terminal(self, *words: str, **settings: str) -> str:
        """The same, as a terminal sees it."""
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 160, 0, 0))
        command, environment = self.command(*words, **settings)
        play = subprocess.Popen(
            command, env=environment, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
        )
        os.close(theirs)
        seen = b""
        with contextlib.suppress(OSError):  # EIO: the last who had it open has ended
            while data := os.read(ours, 65536):
                seen += data
        os.close(ours)
        assert play.wait(60) == 0, seen[-3000:].decode(errors="replace")
        return seen.decode()

    def result(self, host: str) -> dict[str, Any]:
        """What the task ended with on a host."""
        result: dict[str, Any] = json.loads((self.results / f"{host}.json").read_text())
        return result

    def left(self) -> list[str]:
        """What is left on the target. The notes about uploads are the engine's own matter."""
        found = (str(path.relative_to(self.temporary)) for path in self.temporary.rglob("*"))
        return [name for name in found if not name.startswith("selfhosted.media")]

    def wait_until_nothing_is_left(self) -> None:
        deadline = time.monotonic() + 90
        while self.left():
            assert time.monotonic() < deadline, self.left()
            time.sleep(0.1)


@pytest.fixture
def book(null: Server) -> Iterator[Book]:
    # Not below tmp_path, which nobody else may enter.
    with tempfile.TemporaryDirectory(prefix="progress-") as folder:
        os.chmod(folder, 0o755)
        yield Book(Path(folder), null)


def other_user() -> dict[str, Any]:
    """Variables of a host where the task becomes somebody else, if that is possible here."""
    python, libraries = "/usr/bin/python3", str(Path(boto3.__file__).parents[1])
    command = ["sudo", "-n", "-u", OTHER_USER, "env", f"PYTHONPATH={libraries}", python, "-c", "import boto3"]
    if os.geteuid() or not shutil.which("sudo") or subprocess.run(command, check=False, capture_output=True).returncode:
        print(f"nobody becomes {OTHER_USER}: this needs root, sudo, and a Python with boto3 that everybody may run")
        return {}
    become = {"ansible_become": True, "ansible_become_user": OTHER_USER}
    return {**become, "ansible_python_interpreter": python, "python_path": libraries}


def done_in(line: str) -> int:
    """The number of files that a line tells."""
    match = LINE.search(line)
    assert match, line
    return int(match[1])


def check_lines(lines: list[str]) -> None:
    """They tell of files and bytes, never of fewer than before, of the right total."""
    files = [done_in(line) for line in lines]
    told = [match.groups() for line in lines if (match := LINE.search(line))]
    sizes = [float(row[2] or 0) * UNITS[row[3]] for row in told]
    assert (files, sizes) == (sorted(files), sorted(sizes))
    assert {row[1] for row in told} == {str(FILES)}
    assert {row[5] for row in told if row[5] and not row[4]} == {"6.0"}
    assert len(set(files)) > 1


def check_result(result: dict[str, Any]) -> None:
    assert (result["uploaded"], result["bytes"], result["failures"]) == (FILES, FILES * SIZE, 0)
    curve = result["throughput"]
    assert curve[0] == [0, 0, 0]
    assert curve[-1][1:] == [FILES * SIZE, FILES]
    assert curve == sorted(curve)
    assert 4 < len(curve) <= 121


@pytest.mark.parametrize("way", ["local", "ssh"])
def test_on_a_terminal_one_line_is_refreshed(book: Book, way: str, request: pytest.FixtureRequest) -> None:
    settings = {}
    book.hosts["books"] = {}
    if way == "ssh":
        book.hosts["books"] = {**request.getfixturevalue("sshd").variables, **other_user()}
        # Files are copied to the target, and commands have a terminal there.
        settings = {"ANSIBLE_PIPELINING": "False", "ANSIBLE_CALLBACK_RESULT_FORMAT": "yaml"}
    seen = book.run_in_a_terminal("--diff", **settings)
    # From the banner to the task's own output there is one line, again and again, and in the end nothing of it.
    in_place = re.search(r"TASK \[Copy\] \*+\r\n(.*)\r\x1b\[K(?:--- before\r\n|changed: )", seen, re.DOTALL)
    assert in_place and "\n" not in in_place[1], seen
    frames = in_place[1].split("\x1b[K")
    assert all(frame.startswith("\rbooks: ") for frame in frames[:-1]) and not frames[-1], frames
    assert seen.count("books: uploading") == len(frames) - 1
    check_lines(frames[:-1])
    check_result(book.result("books"))
    assert book.left() == []


def test_elsewhere_a_line_for_each_host_now_and_then(book: Book) -> None:
    """Of hosts that want it; with the free strategy, loops, delegation, check mode, async and no_log in one run."""
    book.hosts = {
        "shown": {"limits": [LIMIT, 0]},
        "delegated": {"delegate": "localhost"},
        "silent": {"shown": False},
        "asynchronous": {"seconds": 120},
        "hidden": {"hidden": True},
        "looking": {"only_look": True},
    }
    output = book.run("-vvvv", "-e", "order=free", "--forks", "6", ANSIBLE_STDOUT_CALLBACK="oneline")
    for host in ("shown", "delegated"):
        lines = re.findall(rf"^{host}: (uploading .*)$", output, re.MULTILINE)
        # A second item of the loop begins anew, if it takes so long that it is shown at all.
        again = [number for number in range(1, len(lines)) if done_in(lines[number]) < done_in(lines[number - 1])]
        assert len(again) <= len(book.hosts[host].get("limits", [LIMIT])) - 1, lines
        check_lines(lines[: again[0]] if again else lines)
    assert not re.search(r"^(silent|asynchronous|hidden): (uploading|comparing)", output, re.MULTILINE)
    assert not [word for word in (book.server.access_key, book.server.secret_key) if word in output]
    for host in ("shown", "delegated", "silent", "asynchronous", "hidden"):
        check_result(book.result(host))
        # Ansible's async has a word of that name itself.
        started = book.result(host)["started"]
        assert started is True if host == "asynchronous" else time.time() - 300 < started < time.time()
    # What differs from host to host is told by Ansible itself, about the loop and the delegation.
    keys = {host: set(book.result(host)) - {"_ansible_delegated_vars"} for host in book.hosts}
    assert keys["shown"] == keys["delegated"] == keys["silent"] == keys["hidden"] == keys["looking"]
    assert keys["asynchronous"] - keys["shown"] >= {"ansible_job_id", "finished", "results_file"}
    assert book.result("looking")["uploaded"] == FILES
    assert book.left() == []


@pytest.mark.parametrize("way", ["local", "ssh", "unreachable"])
def test_a_module_that_nobody_looks_at_ends(book: Book, way: str, request: pytest.FixtureRequest) -> None:
    """And the next run, a moment later, waits until it has; meanwhile nobody else can have what it holds."""
    book.hosts["books"] = {"folder": str(book.folder)}
    if way != "local":
        with contextlib.ExitStack() as stack:
            if way == "ssh":
                server = request.getfixturevalue("sshd")
            else:
                try:
                    server = stack.enter_context(ssh_server())
                except ServerUnavailable as exc:
                    pytest.skip(str(exc))
            book.hosts["books"].update(server.variables)
            interrupt(book, way, server)
    else:
        interrupt(book, way, None)
    book.hosts["books"] = {"folder": str(book.folder), "limit": 0}
    output = book.run()
    assert "changed: [books]" in output
    book.wait_until_nothing_is_left()


def interrupt(book: Book, way: str, server: SshServer | None) -> None:
    """Begin a run and let something happen to it once the module was seen at work."""
    play = book.start()
    assert play.stdout is not None
    for line in play.stdout:
        if line.startswith("books: uploading"):
            break
    else:
        raise AssertionError("nothing was shown")
    assert book.left() != []
    if way == "unreachable":
        assert server is not None
        server.die()
        output, _nothing = play.communicate(timeout=120)
        assert re.search(r"books\s.*unreachable=1", output), output
        assert play.returncode == 4
    else:
        kill_controller(play)  # type: ignore[arg-type]
        play.stdout.close()
