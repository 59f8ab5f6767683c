# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A module that goes on in a process of its own: what is said of it, and that it ends when nobody looks any more."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Callable

import pytest
from ansible_collections.selfhosted.media.plugins.module_utils._watched import names
from ansible_collections.selfhosted.media.tests.processes import descendants

#: A module: what it does comes after it has gone apart. It leaves a file when it was interrupted, as a lock or a payload is left.
MODULE = """
import os, signal, sys, time
from ansible_collections.selfhosted.media.plugins.module_utils._sync.progress import Progress
from ansible_collections.selfhosted.media.plugins.module_utils._watched import relay, supervisor
relay.PATIENCE, supervisor.GRACE = float(os.environ.get("PATIENCE", "60")), 1.0
if "FULL_DISK" in os.environ:
    def fail(**_options): raise OSError(28, "No space left on device")
    relay.tempfile.mkdtemp = fail
work, place = sys.argv[1:]
watched = relay.go_apart()
def leave(name):
    with open(os.path.join(place, name + ".new"), "w") as stream:
        stream.write(str(os.getpid()))
    os.rename(os.path.join(place, name + ".new"), os.path.join(place, name))
leave("began")
try:
    exec(work)
except KeyboardInterrupt:
    leave("interrupted")
    raise
"""
SLOW = "progress = Progress(watched.progress, watched.supervisor)\nwith progress.ticking(): time.sleep(120)"


@pytest.fixture
def start(tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
    """Start such a module, watched unless said otherwise."""

    def begin(work: str, watch: str = "30:0", **environment: str) -> subprocess.Popen[str]:
        own = {names.WATCH: watch, "TMPDIR": str(tmp_path), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        return subprocess.Popen(
            [sys.executable, "-c", MODULE, work, str(tmp_path)],
            env={**os.environ, **own, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    return begin


def wait_for(condition: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + 60
    while not (found := condition()):
        assert time.monotonic() < deadline, what
        time.sleep(0.02)
    return found


def folders(place: Path) -> list[Path]:
    return [path for path in place.iterdir() if path.name.startswith(names.FOLDER)]


def check_stopped(place: Path) -> None:
    """It was interrupted as by Ctrl-C, and its folder is gone."""
    wait_for((place / "interrupted").exists, "it goes on")
    wait_for(lambda: not folders(place), "its folder is left")


def handed_over(process: subprocess.Popen[str], place: Path) -> tuple[Path, int]:
    """The folder and the supervisor of a module whose relay has ended."""
    output, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")
    told = json.loads(output)[names.HANDED_OVER]
    assert Path(told["folder"]).parent == place
    return Path(told["folder"]), told["pid"]


@pytest.mark.parametrize("watch", ["30:0", ""])
@pytest.mark.parametrize(
    ("work", "code"),
    [
        ("print('out' * 50000); sys.stderr.write('err'); sys.exit(3)", 3),
        ("print('x')", 0),
        ("print('half a', flush=True); os.kill(os.getpid(), 9)", None),
    ],
)
def test_what_ends_soon_is_passed_on_as_it_is(
    start: Callable[..., subprocess.Popen[str]], tmp_path: Path, work: str, code: int | None, watch: str
) -> None:
    process = start(work, watch)
    output, errors = process.communicate(timeout=60)
    if code is None:  # killed: as a shell tells it
        assert (process.returncode, output, errors) == (137 if watch else -9, "half a\n", "")
    else:
        assert (process.returncode, errors) == (code, "err" if code else "")
        assert output == {3: "out" * 50000 + "\n", 0: "x\n"}[code]
    wait_for(lambda: not folders(tmp_path), "the folder is left")


def test_what_takes_longer_is_handed_over(start: Callable[..., subprocess.Popen[str]], tmp_path: Path) -> None:
    work = "open(place + '/go', 'x').close()\nwhile os.path.exists(place + '/go'): time.sleep(0.02)\nprint('done')"
    folder, supervisor = handed_over(start(work, PATIENCE="0.2"), tmp_path)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert not (folder / names.ENDED).exists()
    (tmp_path / "go").unlink()
    wait_for((folder / names.ENDED).exists, "it has not ended")
    assert ((folder / names.ENDED).read_text(), (folder / names.OUTPUT).read_text()) == ("0\n", "done\n")
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    wait_for(lambda: not Path(f"/proc/{supervisor}").exists(), "the supervisor is left")


def test_it_stops_when_nobody_looks(start: Callable[..., subprocess.Popen[str]], tmp_path: Path) -> None:
    folder, _supervisor = handed_over(start(SLOW, "1:0", PATIENCE="0.2"), tmp_path)
    for _look in range(8):  # longer than it would wait
        (folder / names.LOOKED).touch()
        time.sleep(0.25)
    assert not (tmp_path / "interrupted").exists()
    check_stopped(tmp_path)


def test_it_stops_when_it_is_told_to(start: Callable[..., subprocess.Popen[str]], tmp_path: Path) -> None:
    folder, _supervisor = handed_over(start(SLOW, PATIENCE="0.2"), tmp_path)
    wait_for((folder / names.PROGRESS).exists, "it does not tell how far it is")
    assert json.loads((folder / names.PROGRESS).read_text())["files"] == 0
    (folder / names.STOP).touch()
    check_stopped(tmp_path)


def test_it_stops_when_the_relay_is_killed(start: Callable[..., subprocess.Popen[str]], tmp_path: Path) -> None:
    process = start(SLOW)
    wait_for((tmp_path / "began").exists, "it does not begin")
    process.kill()
    process.wait()
    check_stopped(tmp_path)


@pytest.mark.parametrize("patience", ["0.2", "60"])
def test_it_stops_when_who_looks_is_gone(
    start: Callable[..., subprocess.Popen[str]], tmp_path: Path, patience: str
) -> None:
    with subprocess.Popen(["sleep", "60"]) as controller:
        process = start(SLOW, f"30:{controller.pid}", PATIENCE=patience)
        wait_for((tmp_path / "began").exists, "it does not begin")
        if patience == "0.2":
            handed_over(process, tmp_path)
        os.kill(controller.pid, signal.SIGKILL)  # and not buried before the end of the block
        check_stopped(tmp_path)
    process.communicate(timeout=60)


def test_it_stops_when_the_supervisor_is_killed(start: Callable[..., subprocess.Popen[str]], tmp_path: Path) -> None:
    folder, supervisor = handed_over(start(SLOW, PATIENCE="0.2"), tmp_path)
    os.kill(supervisor, signal.SIGKILL)
    wait_for((tmp_path / "interrupted").exists, "it goes on")
    assert folder.exists()  # nobody is left to remove it


def test_what_does_not_let_itself_be_interrupted_is_killed(
    start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    work = "signal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(120)"
    folder, supervisor = handed_over(start(work, PATIENCE="0.2"), tmp_path)
    (module,) = descendants(supervisor)[1:]
    (folder / names.STOP).touch()
    wait_for(lambda: not Path(f"/proc/{module}").exists(), "it goes on")
    wait_for(lambda: not folders(tmp_path), "its folder is left")


def test_without_a_place_for_the_folder_it_works_as_ever(
    start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    output, _errors = start("print(watched)", FULL_DISK="1").communicate(timeout=60)
    assert output == "Watched(folder='', supervisor=0)\n"
    assert not folders(tmp_path)
