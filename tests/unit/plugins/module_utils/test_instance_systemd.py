# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An installation by units, as systemctl tells of it."""

from __future__ import annotations

import os
import stat
import subprocess
import time
from pathlib import Path

import pytest
from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._instance import systemd

SYSTEMCTL = """#!/bin/sh
for unit; do :; done
cat "{folder}/$unit" 2>/dev/null || printf 'Id=%s\\nLoadState=not-found\\nActiveState=inactive\\n' "$unit"
"""
EXEC = "{{ path={0} ; argv[]={0} {1} ; ignore_errors=no ; start_time=[n/a] ; stop_time=[n/a] ; pid=0 ; code=(null) ; status=0/0 }}"


class Units:
    """A folder with a BookWyrm and a systemctl that tells what the test wrote."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.home = folder, folder / "books"
        (self.home / "venv" / "bin").mkdir(parents=True)
        (self.home / "venv" / "bin" / "python").touch()
        (self.home / ".env").write_text("DOMAIN=books.example\n")
        (self.home / "VERSION").write_text("0.9.2\n")
        program = folder / "systemctl"
        program.write_text(SYSTEMCTL.format(folder=folder))
        program.chmod(program.stat().st_mode | stat.S_IXUSR)

    def unit(self, name: str = "bookwyrm", **properties: str) -> None:
        gunicorn = f"{self.home}/venv/bin/gunicorn"
        values = {
            "Id": f"{name}.service",
            "LoadState": "loaded",
            "ActiveState": "active",
            "User": "books",
            "WorkingDirectory": str(self.home),
            "ExecStart": EXEC.format(gunicorn, "bookwyrm.wsgi:application"),
            "MainPID": "0",
            **properties,
        }
        text = "".join(f"{key}={value}\n" for key, value in values.items())
        (self.folder / f"{name}.service").write_text(text)


@pytest.fixture
def units(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Units:
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return Units(tmp_path)


def test_nothing_there(units: Units, monkeypatch: pytest.MonkeyPatch) -> None:
    assert systemd.find(None) is None
    units.unit("bookwyrm-worker")  # of something else: the web unit counts
    assert systemd.find(None) is None
    monkeypatch.setenv("PATH", "/nowhere")
    assert systemd.find(None) is None


def test_what_is_found(units: Units) -> None:
    units.unit()
    units.unit("bookwyrm-worker", ActiveState="failed")
    found = systemd.find(None)
    assert found is not None
    assert (found.folder, found.user, found.running) == (str(units.home), "books", True)
    assert found.media_dir == str(units.home / "images")
    assert found.manage == [str(units.home / "venv/bin/python"), "manage.py"]
    assert found.stop == ["systemctl", "stop", "bookwyrm-worker.service", "bookwyrm.service"]
    assert found.start == ["systemctl", "start", "bookwyrm.service", "bookwyrm-worker.service"]
    assert systemd.find(str(units.home) + "/") == found


def test_another_folder_than_the_units(units: Units) -> None:
    units.unit()
    with pytest.raises(MediaError, match=rf"runs in {units.home}, not in /opt/elsewhere; set bookwyrm_dir to"):
        systemd.find("/opt/elsewhere")


def test_without_user_and_folder(units: Units) -> None:
    units.unit(User="", WorkingDirectory="", ActiveState="inactive")
    found = systemd.find(str(units.home))
    assert found is not None
    assert (found.user, found.folder, found.running) == (None, str(units.home), False)


def test_without_the_python_beside_it(units: Units) -> None:
    units.unit(ExecStart=EXEC.format("/usr/local/bin/start-bookwyrm-of-mine", ""))
    with pytest.raises(MediaError, match=r"no Python at /usr/local/bin/python.*bookwyrm_manage_command"):
        systemd.find(None)


@pytest.mark.parametrize(
    ("arguments", "address"),
    [
        ("bookwyrm.wsgi:application --bind 0.0.0.0:8000", "http://127.0.0.1:8000/"),
        ("bookwyrm.wsgi:application --bind=127.0.0.1:8001 --threads=8", "http://127.0.0.1:8001/"),
        ("-b :9000 bookwyrm.wsgi:application", "http://127.0.0.1:9000/"),
        ("-b [::]:8000 bookwyrm.wsgi:application", "http://127.0.0.1:8000/"),
        ("-b [::1]:8000 bookwyrm.wsgi:application", "http://[::1]:8000/"),
        ("--bind 192.0.2.7 bookwyrm.wsgi:application", "http://192.0.2.7:8000/"),
        ("--bind localhost:8000 bookwyrm.wsgi:application", "http://localhost:8000/"),
        ("--bind unix:/run/bookwyrm.sock bookwyrm.wsgi:application", ""),
        ("bookwyrm.wsgi:application", "http://127.0.0.1:8000/"),
        ("--umask 7 --error-logfile /x-b/y bookwyrm.wsgi:application", "http://127.0.0.1:8000/"),
        ("--bind unix:/run/bookwyrm.sock --bind 127.0.0.1:8005 app", "http://127.0.0.1:8005/"),
    ],
)
def test_where_gunicorn_listens(units: Units, arguments: str, address: str) -> None:
    units.unit(ExecStart=EXEC.format(f"{units.home}/venv/bin/gunicorn", arguments))
    found = systemd.find(None)
    assert found is not None
    assert found.health_url == address


def test_services_that_are_older_than_the_settings(units: Units) -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        try:
            units.unit(MainPID=str(process.pid))
            env = units.home / ".env"

            def needed() -> bool:
                found = systemd.find(None)
                assert found is not None
                return found.restart_needed

            os.utime(env, (time.time() - 60,) * 2)
            assert not needed()
            time.sleep(0.2)
            os.utime(env)  # nobody has looked at the process's folder in /proc before
            assert needed()
            os.utime(env, (time.time() - 60,) * 2)
            assert not needed()
        finally:
            process.kill()
    os.utime(env)
    assert not needed()
