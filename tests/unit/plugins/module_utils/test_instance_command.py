# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An instance's own commands: as whom they run, what they are given and what is told of them."""

from __future__ import annotations

import getpass
import os
import pwd
import time
from pathlib import Path

import pytest
from ansible_collections.selfhosted.media.plugins.module_utils._instance.command import (
    CommandFailed,
    Runner,
    command_of,
    expanded,
)


def test_a_line_and_a_list(tmp_path: Path) -> None:
    runner = Runner(str(tmp_path))
    assert runner.run("echo $((1 + 1)); pwd", "it") == f"2\n{tmp_path}\n"
    assert runner.run(["echo", "$((1 + 1))"], "it") == "$((1 + 1))\n"
    assert command_of(["a line"]) == "a line"
    assert command_of(["two", "words"]) == ["two", "words"]


def test_the_environment_reaches_the_process_alone(tmp_path: Path) -> None:
    runner = Runner(str(tmp_path), secrets={"KEY": "secret-1"}, settings={"USE_S3": "true"})
    assert runner.run('echo "$KEY $USE_S3"; tr "\\0" " " < /proc/$$/cmdline', "it").startswith("secret-1 true\n")
    assert "secret-1" not in runner.run("tr '\\0' ' ' < /proc/$$/cmdline", "it")
    assert "KEY" not in os.environ
    assert "secret-1" not in repr(runner)


def test_the_names_of_variables_in_an_argument_list() -> None:
    words = ["docker", "compose", "run", "{environment}", "web"]
    assert expanded(words, {"A": "1", "B": "2"}) == ["docker", "compose", "run", "-e", "A", "-e", "B", "web"]
    assert expanded(words, {}) == ["docker", "compose", "run", "web"]


def test_a_failure_tells_what_was_said_without_secrets(tmp_path: Path) -> None:
    runner = Runner(str(tmp_path), secrets={"KEY": "secret-1", "EMPTY": ""})
    with pytest.raises(CommandFailed) as caught:
        runner.run("echo out; echo bad key $KEY >&2; exit 5 # secret-1", "collecting")
    message = str(caught.value)
    assert "collecting failed" in message and "ended with 5" in message and "bad key ********" in message
    assert "secret-1" not in message and "out" not in message.partition("5: ")[2]
    with pytest.raises(CommandFailed, match="ended with 1: only out"):
        runner.run("echo only out; exit 1", "it")
    with pytest.raises(CommandFailed) as caught:
        runner.run("head -c 100000 /dev/zero | tr '\\0' x; exit 1", "it")
    assert len(str(caught.value)) < 3000


def test_programs_and_folders_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match="it failed: No such file or directory: no-such-program"):
        Runner(str(tmp_path)).run(["no-such-program"], "it")
    with pytest.raises(CommandFailed, match=r"No such file or directory: .*gone"):
        Runner(str(tmp_path / "gone")).run(["true"], "it")


def test_what_takes_too_long_is_ended_with_all_it_started(tmp_path: Path) -> None:
    began = time.monotonic()
    with pytest.raises(CommandFailed, match="no end after 1 s"):
        Runner(str(tmp_path), timeout=0.5 + 0.2).run("sleep 30 & echo $! > child; wait", "it")
    assert time.monotonic() - began < 10
    child = (tmp_path / "child").read_text().strip()
    for _attempt in range(50):
        status = Path(f"/proc/{child}/stat")
        if not status.exists() or status.read_text().rpartition(")")[2].split()[0] == "Z":
            break
        time.sleep(0.1)
    else:
        raise AssertionError("what the command started lives on")


def test_a_service_that_stays_does_not_hold_the_command(tmp_path: Path) -> None:
    began = time.monotonic()
    said = Runner(str(tmp_path)).run("sleep 20 & echo $!", "starting")
    assert time.monotonic() - began < 10
    os.kill(int(said), 9)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_it_runs_as_the_services_user(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    nobody = pwd.getpwnam("nobody")
    runner = Runner("/tmp", "nobody")
    said = runner.run(
        "id -u; id -g; id -G; echo $HOME $USER; touch /tmp/of-nobody-$$; stat -c %u /tmp/of-nobody-$$", "it"
    )
    uid, gid, groups, names, owner = said.splitlines()
    assert (int(uid), int(gid), int(owner)) == (nobody.pw_uid, nobody.pw_gid, nobody.pw_uid)
    assert names == f"{nobody.pw_dir} nobody"
    assert "0" not in groups.split()
    with pytest.raises(CommandFailed, match="the user no-such-user, as whom the service runs, does not exist"):
        Runner("/tmp", "no-such-user").run(["true"], "it")


def test_somebody_else_stays_who_he_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    assert Runner(str(tmp_path), "no-such-user").run(["id", "-un"], "it").strip() == getpass.getuser()
