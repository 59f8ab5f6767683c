# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Gramps Web by units, with the stand-in for systemctl and processes that only wait."""

from __future__ import annotations

import getpass
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._gramps import systemd
from ansible_collections.selfhosted.media.plugins.module_utils._gramps.installation import Installation, find
from ansible_collections.selfhosted.media.plugins.module_utils._instance.units import show

ROOT = Path(__file__).resolve().parents[4]
WEB = "gunicorn -w 2 -b 127.0.0.1:5055 gramps_webapi.wsgi:app"
CELERY = "celery -A gramps_webapi.celery worker --concurrency=2"


class Units:
    """Units of a Gramps Web in a folder, as systemd would have them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.home, self.env = folder / "systemd", folder / "family", folder / "family.env"
        for path in (self.folder, self.home / "media", folder / "home" / ".gramps" / "grampsdb"):
            path.mkdir(parents=True)
        self.systemctl = self.folder / "systemctl"
        shutil.copy(ROOT / "tests" / "standin" / "systemctl", self.systemctl)
        self.bin = folder / "venv" / "bin"
        self.bin.mkdir(parents=True)
        (self.bin / "python").symlink_to(sys.executable)
        for name in ("gunicorn", "celery"):
            program = self.bin / name
            program.write_text(f"#!{self.bin}/python\nimport time\ntime.sleep(60)\n")
            program.chmod(0o755)
        self.write(f"MEDIA={self.home}", GRAMPSWEB_TREE='"Our Tree"', GRAMPSWEB_MEDIA_BASE_DIR=str(self.home / "media"))
        self.names: list[str] = []

    def write(self, *lines: str, **values: str) -> None:
        """The file with their environment."""
        self.env.write_text("\n".join([*lines, *(f"{name}={value}" for name, value in values.items())]) + "\n")

    def unit(self, name: str = "grampsweb", command: str = WEB, **settings: str) -> None:
        given = {"WorkingDirectory": str(self.home), "EnvironmentFile": str(self.env), **settings}
        lines = [f"{key}={value}" for key, value in given.items() if value]
        program = command if command.startswith("/") else f"{self.bin}/{command}"
        (self.folder / f"{name}.service").write_text("\n".join(["[Service]", *lines, f"ExecStart={program}", ""]))
        self.names.append(name)

    def do(self, verb: str, *names: str) -> None:
        subprocess.run([self.systemctl, verb, *(names or self.names)], check=True)

    def start(self) -> None:
        """Start them, until their programs run in place of the supervisor's copy of itself."""
        self.do("start")
        for name in self.names:
            pid = show([name], "MainPID")[0]["MainPID"]
            deadline = time.monotonic() + 10
            while b"GRAMPSWEB" not in Path(f"/proc/{pid}/environ").read_bytes() and time.monotonic() < deadline:
                time.sleep(0.01)


@pytest.fixture
def units(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Units]:
    made = Units(tmp_path)
    monkeypatch.setenv("PATH", f"{made.folder}:{os.environ['PATH']}")
    monkeypatch.setattr(systemd.Unit, "home", str(tmp_path / "home"))
    yield made
    if made.names:
        made.do("stop")


def look(folder: str = "", *services: str) -> Installation:
    return find(folder or None, "systemd", services)


def test_what_is_found(units: Units) -> None:
    units.unit(User=getpass.getuser())
    units.unit("grampsweb-celery", CELERY)
    units.unit("cache", "/bin/sleep 60")
    units.unit("backup", f"{units.bin}/python -m gramps_webapi search index-full")
    found = look()
    assert (found.install_type, found.folder, found.user) == ("systemd", str(units.home), getpass.getuser())
    assert found.services == ["grampsweb.service", "grampsweb-celery.service"]
    assert (found.env_file, found.compose_file, found.managed_by, found.paths) == (str(units.env), "", "", [])
    assert (found.media_base, found.media_dir) == (str(units.home / "media"),) * 2
    assert (found.tree, found.unset_in, found.remarks) == ("Our Tree", [], [])
    assert found.grampsdb == str(units.home.parent / "home" / ".gramps" / "grampsdb")
    assert (found.running, found.restart_needed) == (False, False)
    assert found.stop == ["systemctl", "stop", "grampsweb-celery.service", "grampsweb.service"]
    assert found.start == ["systemctl", "start", "grampsweb.service", "grampsweb-celery.service"]
    assert found.failed == ["systemctl", "is-failed", "grampsweb.service"]
    assert found.python == [str(units.bin / "python")]
    assert (found.health_url, found.health_command) == ("http://127.0.0.1:5055/ready", [])


def test_what_its_process_has_counts_and_what_the_file_says_now_is_told(units: Units) -> None:
    units.unit()
    units.unit("worker", CELERY)
    units.start()
    units.write(GRAMPSWEB_TREE="New", GRAMPSWEB_MEDIA_BASE_DIR=str(units.home / "media"))
    found = look()
    assert (found.running, found.restart_needed, found.unset_in, found.tree) == (True, False, [], "Our Tree")
    units.write(GRAMPSWEB_TREE="New", GRAMPSWEB_MEDIA_BASE_DIR="s3://family", AWS_SECRET_ACCESS_KEY="secret")
    found = look()
    assert (found.restart_needed, found.media_base) == (True, str(units.home / "media"))
    units.do("stop", "grampsweb")
    units.do("start", "grampsweb")
    found = look()
    assert (found.media_base, found.restart_needed, found.unset_in) == ("s3://family", True, ["worker.service"])
    assert found.environment["AWS_SECRET_ACCESS_KEY"] == "secret"
    assert "secret" not in repr(found)


def test_media_on_s3_were_before_where_the_kept_file_says(units: Units) -> None:
    units.unit()
    kept = Path(f"{units.env}.before-s3")
    shutil.copy(units.env, kept)
    units.write(GRAMPSWEB_MEDIA_BASE_DIR="s3://family")
    assert look().media_dir == str(units.home / "media")
    kept.unlink()
    assert look().media_dir == ""


def test_variables_of_the_unit_itself(units: Units) -> None:
    given = '"GRAMPSWEB_TREE=My \\"old\\" Tree" GRAMPSWEB_MEDIA_PREFIX_TREE=true \'GRAMPSWEB_X=a b\''
    units.unit(EnvironmentFile="", Environment=given)
    found = look()
    assert (found.tree, found.prefix_tree, found.prefix_tree_text) == ('My "old" Tree', True, "true")
    assert found.environment["GRAMPSWEB_X"] == "a b"
    assert found.env_file == ""
    assert "grampsweb.service read no EnvironmentFile in common" in found.remarks[0]


def test_the_last_file_that_all_units_read(units: Units) -> None:
    other = units.home / "web.env"
    other.write_text("GRAMPSWEB_MEDIA_BASE_DIR=media/web\n")
    units.unit(EnvironmentFile=f"{units.env}\nEnvironmentFile=-{units.home}/none.env\nEnvironmentFile={other}")
    units.unit("worker", CELERY, EnvironmentFile=f"-{units.env}")
    found = look()
    assert (found.env_file, found.media_base) == (str(units.env), "media/web")
    assert found.media_dir == str(units.home / "media" / "web")
    assert found.unset_in == ["worker.service"]


def test_a_unit_that_starts_a_script(units: Units) -> None:
    script = units.bin / "start"
    script.write_text(f"#!/bin/sh\nexec {units.bin}/gunicorn gramps_webapi.wsgi:app\n")
    script.chmod(0o755)
    units.unit(command=str(script))
    with pytest.raises(MediaError, match="no Gramps Web found"):
        look()
    units.start()
    pid = show(["grampsweb"], "MainPID")[0]["MainPID"]
    deadline = time.monotonic() + 10
    while b"gramps_webapi" not in Path(f"/proc/{pid}/cmdline").read_bytes() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert look().services == ["grampsweb.service"]
    units.do("stop")
    found = look("", "grampsweb")
    assert (found.services, found.running) == (["grampsweb.service"], False)


def test_a_settings_file(units: Units) -> None:
    config = units.home / "config.cfg"
    config.write_text('TREE = "*"\nMEDIA_BASE_DIR = "/srv/media"\nMEDIA_PREFIX_TREE = False\nSECRET_KEY = open("x")\n')
    units.write("GRAMPS_API_CONFIG=config.cfg")
    units.unit()
    found = look()
    assert (found.tree, found.media_base, found.media_dir) == ("*", "/srv/media", "/srv/media")
    assert (found.config_file, found.prefix_tree, found.prefix_tree_text) == (str(config), False, "False")
    units.write("GRAMPS_API_CONFIG=config.cfg", MEDIA_BASE_DIR="/srv/other")
    found = look()
    assert (found.media_base, found.config_file) == ("/srv/other", "")
    units.write("")
    units.unit("other", f"{units.bin}/python -m gramps_webapi --config {config} run")
    assert look("", "other").config_file == str(config)


def test_the_release_is_asked_of_the_applications_python(units: Units, monkeypatch: pytest.MonkeyPatch) -> None:
    units.unit()
    assert look().release == ""
    told = units.home / "gramps_webapi-3.24.0.dist-info"
    told.mkdir()
    (told / "METADATA").write_text("Metadata-Version: 2.1\nName: gramps-webapi\nVersion: 3.24.0\n")
    monkeypatch.setenv("PYTHONPATH", str(units.home))
    assert look().release == "3.24.0"


@pytest.mark.parametrize(
    ("command", "address"),
    [
        ("gunicorn -b 0.0.0.0:8080 gramps_webapi.wsgi:app", "http://127.0.0.1:8080/ready"),
        ("gunicorn gramps_webapi.wsgi:app", "http://127.0.0.1:8000/ready"),
        ("gunicorn --bind 127.0.0.1:${PORT} gramps_webapi.wsgi:app", "http://127.0.0.1:5006/ready"),
        ("gunicorn --bind unix:/run/gramps.sock gramps_webapi.wsgi:app", ""),
        ("python -m gramps_webapi --config /c run --port=5001", "http://127.0.0.1:5001/ready"),
        ("python -m gramps_webapi run -p 5002 --host 192.0.2.7", "http://192.0.2.7:5002/ready"),
    ],
)
def test_where_it_listens(units: Units, command: str, address: str) -> None:
    units.write(PORT="5006")
    units.unit(command=command)
    found = look()
    assert found.health_url == address
    assert bool(found.remarks) is not bool(address)


@pytest.mark.parametrize(
    ("program", "first_line", "python"),
    [
        ("venv/bin/gunicorn", "#!/usr/bin/env python3", "venv/bin/python"),
        ("local/gunicorn", f"#!{sys.executable}", sys.executable),
        ("local/gunicorn", "#!/usr/bin/env python3", None),
    ],
)
def test_its_python(units: Units, program: str, first_line: str, python: str) -> None:
    path = units.home.parent / program
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"{first_line}\n")
    units.unit(command=f"{path} gramps_webapi.wsgi:app")
    found = look()
    assert found.python == ([str(units.home.parent / python)] if python else [])
    assert any("Python" in remark for remark in found.remarks) is (python is None)


def test_several_and_which_is_meant(units: Units, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    units.unit()
    units.unit("tasks", CELERY)
    units.unit("cousins", WEB, WorkingDirectory=str(other), EnvironmentFile=f"{other}/env")
    units.unit("cousins-tasks", CELERY, WorkingDirectory=str(other), EnvironmentFile=f"{other}/env")
    (other / "env").write_text("GRAMPSWEB_TREE=Cousins\n")
    with pytest.raises(
        MediaError, match=r"several units run Gramps Web: cousins\.service in .*, grampsweb\.service in"
    ):
        look()
    assert look(str(other)).services == ["cousins.service", "cousins-tasks.service"]
    assert look("", "tasks", "grampsweb").services == ["grampsweb.service", "tasks.service"]
    with pytest.raises(MediaError, match=r"gramps_web_services names nobody\.service, which systemd does not know"):
        look("", "nobody")
    assert find(str(other)).tree == "Cousins"


def test_where_systemd_is_installed_but_does_not_run_the_host(units: Units) -> None:
    script = '#!/bin/sh\n[ $1 = list-unit-files ] && echo a.service enabled && exit\necho "no systemd" >&2; exit 1\n'
    units.systemctl.write_text(script)
    with pytest.raises(MediaError, match="no Gramps Web found: no unit of systemd"):
        look()


def test_where_no_systemd_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(MediaError, match="no Gramps Web found: no unit of systemd"):
        look()
