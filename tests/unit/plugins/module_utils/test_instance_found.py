# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which BookWyrm is meant, and what is said where it is none, or where it is not clear which."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, Optional

import pytest
from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._instance.bookwyrm import Installation
from ansible_collections.selfhosted.media.plugins.module_utils._instance.compose import NoAnswer
from ansible_collections.selfhosted.media.plugins.module_utils._instance.installation import find

DOCKER = """#!/bin/sh
case "$1" in
  ps) cat "{told}/ids" ;;
  inspect) cat "{told}/containers.json" ;;
  compose) [ -e "{told}/compose" ] && cat "{told}/compose" ;;
esac
"""
COMPOSE_2 = "Docker Compose version v2.26.1"
COMPOSE_1 = "docker-compose version 1.29.2, build unknown\ndocker-py version: 5.0.3\nCPython version: 3.11.2"


class Host:
    """A host whose docker tells what the test wrote."""

    def __init__(self, folder: Path) -> None:
        self.told, self.home = folder / "told", folder / "books"
        self.told.mkdir()
        (self.home / "bookwyrm").mkdir(parents=True)
        for name, text in {
            "bookwyrm/settings.py": "",
            "VERSION": "0.9.2",
            "bw-dev": "",
            "docker-compose.yml": "services: {}",
            ".env": "DOMAIN=books.example",
        }.items():
            (self.home / name).write_text(text)
        self.containers: list[dict[str, Any]] = []
        self.program("docker", DOCKER.format(told=self.told))
        self.compose(COMPOSE_2)
        self.tell()

    def program(self, name: str, text: str) -> None:
        (self.told / name).write_text(text)
        (self.told / name).chmod(0o755)

    def compose(self, plugin: str, program: Optional[str] = None) -> None:
        """What docker compose and docker-compose tell of themselves; nothing where they are not there."""
        (self.told / "compose").unlink(missing_ok=True)
        if plugin:
            (self.told / "compose").write_text(f"{plugin}\n")
        if program is not None:
            self.program("docker-compose", f"#!/bin/sh\n{program}\n")

    def up(
        self, service: str, mounts: dict[str, str], project: str = "books", running: bool = True, env: str = ""
    ) -> None:
        labels = {"project": project, "service": service, "project.working_dir": str(self.home), "oneoff": "False"}
        self.containers.append(
            {
                "Config": {
                    "Labels": {f"com.docker.compose.{name}": value for name, value in labels.items()},
                    "Env": [env] if env else [],
                    "WorkingDir": "/app",
                },
                "State": {"Running": running},
                "Mounts": [{"Destination": inside, "Source": outside} for inside, outside in mounts.items()],
            }
        )
        self.tell()

    def tell(self) -> None:
        (self.told / "ids").write_text("".join(f"{number}\n" for number in range(len(self.containers))))
        (self.told / "containers.json").write_text(json.dumps(self.containers))

    def found(self, folder: Optional[Path] = None, media_dir: str = "") -> Installation:
        return find(str(folder or self.home), "docker", media_dir)


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    monkeypatch.setenv("PATH", f"{tmp_path}/told:/nowhere")
    for name in ("sh", "cat"):
        (tmp_path / name).symlink_to(shutil.which(name, path="/usr/bin:/bin") or name)
    made = Host(tmp_path)
    for name in ("sh", "cat"):
        (tmp_path / name).rename(made.told / name)
    return made


@pytest.mark.parametrize(
    ("what", "sentence"),
    [
        ("nothing", r"bookwyrm_dir .*/nothing is not a folder on this host"),
        ("books/.env", r"bookwyrm_dir .*/books/\.env is a file; set it to the folder of the instance"),
        (
            "books/bookwyrm",
            r"books/bookwyrm is not the folder of a BookWyrm, .*/books is; set bookwyrm_dir to .*/books$",
        ),
        (".", r" is not the folder of a BookWyrm, .*/books is; set bookwyrm_dir to .*/books$"),
        ("family", r"it holds a compose\.yaml, but of another application .*; set bookwyrm_dir to the folder in which"),
        (
            "plain",
            r"it holds nothing of it \(there is no bookwyrm/settings\.py\); set bookwyrm_dir to the folder in which",
        ),
    ],
)
def test_a_folder_that_is_not_bookwyrm(host: Host, tmp_path: Path, what: str, sentence: str) -> None:
    for name in ("family", "plain"):
        (tmp_path / name).mkdir()
    (tmp_path / "family" / "compose.yaml").write_text("services:\n  web:\n    image: family\n")
    (tmp_path / "family" / "VERSION").write_text("25.1.0\n")
    with pytest.raises(MediaError, match=sentence):
        host.found(tmp_path / what)


def test_a_daemon_that_does_not_run(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the docker command of this machine says it."""
    docker = shutil.which("docker", path="/usr/local/bin:/usr/bin:/bin")
    if docker is None:
        pytest.skip("there is no docker command here")
    (host.told / "docker").unlink()
    (host.told / "docker").symlink_to(docker)
    monkeypatch.setenv("DOCKER_HOST", f"unix://{host.told}/docker.sock")
    with pytest.raises(
        NoAnswer, match=rf"its daemon does not run at unix://{host.told}/docker\.sock; start it: systemctl start"
    ):
        host.found()
    (host.home / "bookwyrm" / "settings.py").unlink()
    with pytest.raises(MediaError, match="is not the folder of a BookWyrm"):  # docker has nothing to do with it
        host.found()


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        (
            "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?",
            r"does not run at unix:///var/run/docker\.sock; start it: systemctl start docker\. ",
        ),
        (
            "failed to connect to the docker API at unix:///run/user/1000/docker.sock; check if the path is correct and if the daemon is running: "
            "dial unix /run/user/1000/docker.sock: connect: no such file or directory",
            r"does not run at unix:///run/user/1000/docker\.sock; start it: systemctl --user start docker, as its user\. ",
        ),
        (
            "permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock: Get "
            '"http://%2Fvar%2Frun%2Fdocker.sock/v1.24/containers/json?all=1": dial unix /var/run/docker.sock: connect: permission denied',
            r"docker refuses the user \S+ at unix:///var/run/docker\.sock \(permission denied\); run as root \(--become\), or make that user a member",
        ),
        ("context deadline exceeded", "docker is installed but does not answer: context deadline exceeded"),
    ],
)
def test_what_docker_says(said: str, sentence: str) -> None:
    with pytest.raises(NoAnswer, match=sentence):
        raise NoAnswer(said)


@pytest.mark.parametrize(
    ("plugin", "program", "command"),
    [
        (COMPOSE_2, None, ["docker", "compose"]),
        ("Docker Compose version 2.26.1-4", None, ["docker", "compose"]),
        ("Docker Compose version v2.10.0", None, ["docker", "compose"]),
        ("Docker Compose version v5.0.0", None, ["docker", "compose"]),
        ("Docker Compose version dev", None, ["docker", "compose"]),
        ("", f"echo '{COMPOSE_1}'", ["docker-compose"]),
        ("", "echo 'docker-compose version 1.25.0, build 0a186604'", ["docker-compose"]),
        ("", "echo 'Docker Compose version v2.20.0'", ["docker-compose"]),
        ("Docker Compose version v2.9.0", f"echo '{COMPOSE_1}'", ["docker-compose"]),
    ],
)
def test_the_compose_that_serves(host: Host, plugin: str, program: Optional[str], command: list[str]) -> None:
    host.compose(plugin, program)
    assert host.found().stop[: len(command)] == command


@pytest.mark.parametrize(
    ("plugin", "program", "sentence"),
    [
        ("", None, r"neither 'docker compose' nor docker-compose is there; install one \(package "),
        (
            "Docker Compose version v2.9.0",
            None,
            r"too old: it is 2\.9\.0, and 2\.10\.0 or newer is needed, or 1\.25\.0 or newer of docker-compose 1",
        ),
        (
            "",
            "echo 'docker-compose version 1.24.1, build 4667896b'",
            r"it is 1\.24\.1, and 2\.10\.0 or newer is needed",
        ),
        (
            "",
            "echo 'No module named distutils' >&2; exit 1",
            r"docker-compose version ended with 1: No module named distutils",
        ),
    ],
)
def test_no_compose_that_serves(host: Host, plugin: str, program: Optional[str], sentence: str) -> None:
    host.compose(plugin, program)
    for made in (False, True):
        if made:
            host.up("web", {"/app/images": "/srv/media"})
        with pytest.raises(MediaError, match=sentence):
            host.found()


def test_a_docker_without_compose_does_not_matter_to_units(host: Host) -> None:
    host.compose("")
    (host.home / "venv" / "bin").mkdir(parents=True)
    (host.home / "venv" / "bin" / "python").touch()
    told = f"LoadState=loaded\\nActiveState=inactive\\nWorkingDirectory={host.home}\\nExecStart=path={host.home}/venv/bin/gunicorn\\n"
    host.program("systemctl", f"#!/bin/sh\nprintf '{told}'\n")
    assert find(str(host.home)).install_type == "systemd"


def test_where_the_media_are(host: Host) -> None:
    host.up("web", {"/app": str(host.home), "/app/images": "/srv/media"})
    host.up("celery_worker", {"/app/images": "/srv/media/"})
    host.up("flower", {"/app": str(host.home)})  # writes none
    assert host.found().media_dir == "/srv/media"


def test_the_container_knows_better_than_the_env(host: Host) -> None:
    (host.home / ".env").write_text("DOMAIN=books.example\nMEDIA_ROOT=images/\n")
    host.up("web", {"/app/images": "/srv/unused", "/data": "/srv/data"}, env="MEDIA_ROOT=/data/media/")
    assert host.found().media_dir == "/srv/data/media"


@pytest.mark.parametrize(
    ("mounts", "where"),
    [({"/app/images": "/srv/other"}, "/srv/other"), ({"/app/static": "/srv/s"}, "its container alone")],
)
@pytest.mark.parametrize("given", ["", "/srv/media"])
def test_two_media_folders(host: Host, mounts: dict[str, str], where: str, given: str) -> None:
    host.up("web", {"/app/images": "/srv/media"})
    host.up("celery_worker", mounts)
    with pytest.raises(
        MediaError, match=rf"web keeps its media in /srv/media, and celery_worker in {where}: .* Bring them together"
    ):
        host.found(media_dir=given)


def test_media_in_a_container_alone(host: Host) -> None:
    host.up("web", {"/app/static": "/srv/static"})
    with pytest.raises(
        MediaError, match=r"/app/images of the web container is neither a volume nor .*set bookwyrm_media_dir"
    ):
        host.found()
    assert host.found(media_dir="/srv/elsewhere").media_dir == "/srv/elsewhere"


def test_two_projects_in_a_folder(host: Host) -> None:
    host.up("web", {"/app/images": "/srv/one"}, "one")
    host.up("web", {"/app/images": "/srv/two"}, "two", running=False)
    assert host.found().media_dir == "/srv/one"  # the other is left of a former name
    host.up("celery_worker", {"/app/images": "/srv/two"}, "two")
    with pytest.raises(
        MediaError, match=r"several compose projects .*one in .*, two in .*; remove the containers of all but one"
    ):
        host.found()
