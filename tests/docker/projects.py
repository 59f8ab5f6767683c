# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in instances of the docker kind: a real daemon, real compose of both generations, one project each."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from ansible_collections.selfhosted.media.tests.playbooks import ROOT, SECRETS_OF_ENV, STANDIN_VENV, Host, StandIn
from ansible_collections.selfhosted.media.tests.servers import Server, free_port

HERE = ROOT / "tests" / "docker"
CACHE = Path(os.environ.get("MEDIA_DOCKER_CACHE", Path.home() / ".cache" / "media-docker"))
BASE = "standin-base"


class DockerUnavailable(Exception):
    """No daemon, or no compose, can run here; the message says why."""


@dataclass(frozen=True)
class Docker:
    """A daemon, and where the host listens for containers."""

    host: str
    address: str

    def environment(self, compose: str) -> dict[str, str]:
        """What makes one generation of compose, v1 or v2, the one that is found."""
        chosen = {"DOCKER_HOST": self.host, "DOCKER_CONFIG": str(CACHE / "compose" / compose)}
        return {**chosen, "PATH": str(CACHE / "compose" / compose)}


def run_script(*words: str, **environment: str) -> str:
    done = subprocess.run(words, env={**os.environ, **environment}, capture_output=True, text=True, check=False)
    if done.returncode == 3:  # as the scripts tell that the machine lacks something
        raise DockerUnavailable((done.stderr or done.stdout).strip().splitlines()[-1])
    if done.returncode:
        raise RuntimeError(f"{words} ended with {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout.strip()


@contextlib.contextmanager
def docker() -> Iterator[Docker]:
    """A daemon with the base image, and compose; given up in the end."""
    CACHE.mkdir(parents=True, exist_ok=True)
    user = f"{os.getpid()}-{uuid4().hex[:8]}"  # another pytest may use the same daemon
    host = run_script(str(HERE / "docker-up.sh"), str(CACHE), user).removeprefix("DOCKER_HOST=")
    try:
        run_script(str(HERE / "compose-install.sh"), str(CACHE / "compose"))
        requirements = str(ROOT / "tests" / "standin" / "requirements.txt")
        run_script(str(HERE / "base-image.sh"), BASE, requirements, str(CACHE / "base"), DOCKER_HOST=host)
        yield Docker(host, run_script(str(HERE / "host-address.sh"), DOCKER_HOST=host))
    finally:
        run_script(str(HERE / "docker-down.sh"), str(CACHE), user)


@dataclass
class Containers(Host):
    """What docker has of an instance."""

    name: str = ""
    compose_command: list[str] = field(default_factory=list)

    def compose(self, *words: str) -> str:
        """Run compose on the project."""
        return self._command([*self.compose_command, "-p", self.name, *words])

    def docker(self, *words: str) -> str:
        """Run docker."""
        return self._command(["docker", *words])

    @contextlib.contextmanager
    def creations(self) -> Iterator[list[dict[str, str]]]:
        """The attributes of the containers that are made for the project while the block runs, complete at its end.

        They are listened to: asked afterwards, docker knows the last 256 events, and every health check is three.
        That of a volume which is made for it shows that docker is heard, at the beginning, and that all came, at the end.
        """
        command = ["docker", "events", "--filter", "event=create", "--format", "{{json .}}"]
        made: list[dict[str, str]] = []
        with tempfile.NamedTemporaryFile("w+") as told:
            with subprocess.Popen(command, cwd=self.folder, env=self._environment, stdout=told) as listener:
                try:
                    self._wait_until_heard(Path(told.name))
                    yield made
                    self._wait_until_heard(Path(told.name))
                finally:
                    listener.terminate()
            events = [json.loads(line)["Actor"]["Attributes"] for line in Path(told.name).read_text().splitlines()]
        made += [one for one in events if one.get("com.docker.compose.project") == self.name and "image" in one]

    def _wait_until_heard(self, told: Path, seconds: float = 60) -> None:
        """Make volumes until a listener to docker's events has told of one."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            volume = f"heard-{uuid4().hex}"
            self.docker("volume", "create", volume)
            self.docker("volume", "rm", volume)
            for _look in range(20):
                if volume in told.read_text():
                    return
                time.sleep(0.05)
        raise RuntimeError(f"docker events told nothing within {seconds} s")

    @property
    def _environment(self) -> dict[str, str]:
        path = os.pathsep.join([self.environment["PATH"], os.environ["PATH"]])
        return {**os.environ, **self.environment, "PATH": path}

    def _command(self, command: list[str]) -> str:
        done = subprocess.run(
            command, cwd=self.folder, env=self._environment, capture_output=True, text=True, check=False, timeout=300
        )
        if done.returncode:
            raise RuntimeError(f"{command} ended with {done.returncode}: {done.stdout}{done.stderr}")
        return done.stdout

    def containers(self) -> dict[str, dict[str, Any]]:
        """What docker tells of the container of each service."""
        labels = [f"com.docker.compose.project={self.name}", "com.docker.compose.oneoff=False"]
        ids = self.docker("ps", "-aq", *(word for label in labels for word in ("--filter", f"label={label}"))).split()
        told = json.loads(self.docker("inspect", *ids)) if ids else []
        return {item["Config"]["Labels"]["com.docker.compose.service"]: item for item in told}

    def lives(self) -> dict[str, tuple[str, str]]:
        """The id of each service's container and when it was started: whether it was made anew, or restarted."""
        return {name: (item["Id"], item["State"]["StartedAt"]) for name, item in self.containers().items()}

    def down(self) -> None:
        """Remove everything that docker has of the project."""
        for item in self.containers().values():
            self.docker("rm", "-f", "-v", item["Id"])
        self.compose("down", "-v", "--rmi", "local", "-t", "1", "--remove-orphans")


@dataclass
class Project(StandIn, Containers):
    """A stand-in instance in containers."""

    def media(self) -> Path:
        """The media folder on this machine, as docker tells it."""
        mounts = self.containers()["web"]["Mounts"]
        return Path(next(mount["Source"] for mount in mounts if mount["Destination"] == "/app/images"))

    def tree(self) -> dict[str, bytes]:
        media = self.media()
        return {str(path.relative_to(media)): path.read_bytes() for path in media.rglob("*") if path.is_file()}

    def manage(self, *words: str) -> str:
        return self.compose("exec", "-T", "web", "python", "manage.py", *words)

    def start(self) -> None:
        """Build, fill the volumes with what was seeded, start, wait for the page."""
        self.compose("build", "--quiet")
        self.compose("up", "--no-start")
        script = [sys.executable, str(ROOT / "tests" / "standin" / "make_instance.py"), str(self.folder)]
        self._command(["env", f"COMPOSE_PROJECT_NAME={self.name}", f"STANDIN_BASE={BASE}", *script, "--load-volumes"])
        self.compose("up", "-d")
        self.wait(60)


@contextlib.contextmanager
def project(
    docker: Docker, folder: Path, server: Server, bucket: str, compose: str = "v2", start: bool = True, **options: Any
) -> Iterator[Project]:
    """Make and start an instance under a project name of its own. Options are make_instance.py's."""
    port = free_port()
    settings = {"release": "0.9.2", "domain": "localhost", "covers": 8, "thumbnails": 2, **options}
    words = [
        word
        for name, value in settings.items()
        for word in ([f"--{name}"] if value is True else [f"--{name}", str(value)])
    ]
    script = str(ROOT / "tests" / "standin" / "make_instance.py")
    places = ["--kind", "docker", "--venv", str(STANDIN_VENV), "--port", str(port)]
    subprocess.run([sys.executable, script, str(folder), *places, *words], check=True, capture_output=True, timeout=120)
    made = Project(
        folder,
        {
            "bookwyrm_dir": str(folder),
            "bookwyrm_s3_provider": "ceph",
            "bookwyrm_s3_bucket": bucket,
            "bookwyrm_s3_endpoint_url": server.endpoint_url,
            "bookwyrm_s3_access_key": server.access_key,
            "bookwyrm_s3_secret_key": server.secret_key,
            "bookwyrm_health_timeout": 60,
        },
        docker.environment(compose),
        [server.secret_key, *SECRETS_OF_ENV],
        port=port,
        name=f"shelf{uuid4().hex[:8]}",
        compose_command=["docker-compose"] if compose == "v1" else ["docker", "compose"],
    )
    try:
        if start:
            made.start()
        yield made
    finally:
        made.down()
