# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What docker and docker compose tell of the containers on this host."""

from __future__ import annotations

import json
import os
import posixpath
import pwd
import re
import shutil
from collections.abc import Sequence
from typing import Any, Optional

from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._instance.command import CommandFailed, Runner

USUAL_FILES = ("docker-compose.yml", "docker-compose.yaml", "compose.yml", "compose.yaml")
LABEL = "com.docker.compose."
#: Of a compose project; podman-compose too labels its containers so.
OF_PROJECTS = ("--filter", f"label={LABEL}project")
Container = dict[str, Any]
#: The oldest releases that do what is asked of them. 1.25 tells the folder of a project by a label; from 2.3 to 2.9
#: "up --no-deps" ends with "no such service" where the service waits for another (docker/compose#9302, #9591).
OLDEST = {1: (1, 25, 0), 2: (2, 10, 0)}
_RELEASE = re.compile(r"^docker[ -]compose version:? v?(\d+(?:\.\d+)+)", re.IGNORECASE | re.MULTILINE)
_ADDRESS = re.compile(r"(?:unix|tcp|ssh|http)://[^\s;]*[^\s;.:]")
_NOBODY = re.compile(r"Cannot connect to the Docker daemon|failed to connect to the docker API|daemon is running")


class NoAnswer(MediaError):
    """The docker command is there, but its daemon does not answer."""

    def __init__(self, said: str) -> None:
        address = _ADDRESS.search(said)
        where = address[0] if address else "its socket"
        if "permission denied" in said:
            super().__init__(
                f"docker refuses the user {user_name()} at {where} (permission denied); run as root (--become), or make that user a member of the"
                " group docker"
            )
        elif _NOBODY.search(said):
            start = "systemctl --user start docker, as its user" if "/run/user/" in where else "systemctl start docker"
            super().__init__(
                f"docker is installed but its daemon does not run at {where}; start it: {start}. If the containers are another daemon's, as of a"
                " rootless docker, run as its user, or set DOCKER_HOST in the environment of the tasks"
            )
        else:
            super().__init__(f"docker is installed but does not answer: {said}")


class NoCompose(MediaError):
    """No compose command that serves."""


def user_name() -> str:
    """As whom this process runs."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def containers(chosen: Sequence[str] = OF_PROJECTS) -> list[Container]:
    """All containers that are chosen, whether they run or not, without what "compose run" has left behind."""
    runner, listing = Runner("/", timeout=60), ["docker", "ps", "-aq", *chosen]
    try:
        ids = runner.run(listing, "asking docker").split()
    except CommandFailed as exc:
        raise NoAnswer(str(exc)) from exc
    return [container for container in inspected(["docker", "inspect"], ids) if label(container, "oneoff") != "True"]


def inspected(command: Sequence[str], names: Sequence[str]) -> list[dict[str, Any]]:
    """What docker tells of things by these names."""
    if not names:
        return []
    # Those that have gone since they were listed make the command fail, but the others are told all the same.
    line = ["/bin/sh", "-c", '"$@" || true', "sh", *command, *names]
    told: list[dict[str, Any]] = json.loads(Runner("/", timeout=60).run(line, "asking docker") or "[]")
    return told


def label(container: Container, name: str) -> str:
    """One of compose's labels."""
    return str((container["Config"].get("Labels") or {}).get(LABEL + name, ""))


def check_reached(compose: Sequence[str], home: str, container: Container) -> None:
    """Raise MediaError where the compose command cannot do with a container what docker can: that is so only with podman.

    There the docker command asks podman itself, and compose a socket, which may be another's or nobody's.
    """
    if "IsInfra" not in container:  # what podman alone tells of each container
        return
    project = label(container, "project")
    if "io.podman.compose.project" in (container["Config"].get("Labels") or {}):
        raise MediaError(
            f"the containers of {project} in {home} were made by podman-compose, which does not make a service anew when its settings have"
            " changed, so that a change-over would come to nothing; make them by docker-compose through podman's socket (systemctl enable --now"
            " podman.socket) and run again"
        )
    try:
        seen = Runner(home, timeout=60).run(
            [*compose, "ps", "-a", "-q", label(container, "service")], "asking compose for its containers"
        )
    except CommandFailed as exc:
        seen = str(exc)
    if str(container.get("Id")) not in seen.split():
        raise MediaError(
            f"docker is podman here, and {compose[0]} does not reach the podman that runs {project} in {home}: let podman listen (systemctl enable"
            " --now podman.socket; of a user: systemctl --user) and set DOCKER_HOST in the environment of the tasks to its socket, as"
            " unix:///run/podman/podman.sock, or unix:///run/user/UID/podman/podman.sock of a user, as whom the tasks then have to run"
        )


def runs(container: Container) -> bool:
    return bool(container["State"].get("Running"))


def same(one: str, other: str) -> bool:
    """Whether two paths name one folder."""
    return os.path.realpath(one) == os.path.realpath(other)


def variables(entries: Optional[Sequence[str]]) -> dict[str, str]:
    """An environment that is told as a list of NAME=value."""
    return dict(entry.split("=", 1) for entry in entries or () if "=" in entry)


def files_of(home: str, container: Container) -> list[str]:
    """The compose files that a container was made with."""
    # compose 1 tells the files as they were given, compose 2 with their folder
    return [os.path.join(home, name) for name in label(container, "project.config_files").split(",") if name]


def env_files_of(home: str, container: Container) -> list[str]:
    """The files that compose was given by --env-file when it made a container, instead of .env."""
    names = label(container, "project.environment_file").split(",")
    return [os.path.join(home, name) for name in names if name and os.path.exists(os.path.join(home, name))]


def command_of(home: str, project: str = "", files: Sequence[str] = (), env_files: Sequence[str] = ()) -> list[str]:
    """The compose command for a project in a folder; the files are named unless compose finds them by itself."""
    command = _compose(Runner(home, timeout=60))
    if files and list(files) not in [[os.path.join(home, name)] for name in USUAL_FILES]:
        command += ["--project-directory", home, *(word for name in files for word in ("-f", name))]
    command += [word for name in env_files for word in ("--env-file", name)]
    return [*command, "-p", project] if project else command


def _compose(runner: Runner) -> list[str]:
    """The compose of this host that serves: docker's plugin, else the program of former times."""
    problems = []
    for command in (["docker", "compose"], ["docker-compose"]):
        try:
            problem = _too_old(runner.run([*command, "version"], "asking for docker compose"))
        except CommandFailed as exc:
            # that docker knows no such command is not worth a word
            problem = str(exc) if len(command) == 1 and shutil.which(command[0]) else ""
        else:
            if not problem:
                return command
        problems += [problem] if problem else []
    raise NoCompose(
        problems[0]
        if problems
        else "neither 'docker compose' nor docker-compose is there; install one (package docker-compose-plugin, docker-compose-v2 or docker-compose)"
    )


def _too_old(said: str) -> str:
    """What is to be said of a compose by what it tells of itself; empty if it serves, or is a build without a number."""
    found = _RELEASE.search(said)
    number = tuple(map(int, found[1].split("."))) if found else ()
    if not number or number >= OLDEST.get(number[0], ()):
        return ""
    lowest = {generation: ".".join(map(str, release)) for generation, release in OLDEST.items()}
    return (
        f"the docker compose of this host is too old: it is {found[1] if found else ''}, and {lowest[2]} or newer is needed, or {lowest[1]} or newer"
        " of docker-compose 1; update it (package docker-compose-plugin, docker-compose-v2 or docker-compose)"
    )


def mounts_of(container: Container) -> list[tuple[str, str]]:
    """Paths inside a container and where they lie on the host, the longest first: of volumes and bind mounts."""
    found = [(mount["Destination"], mount["Source"]) for mount in container.get("Mounts") or [] if mount.get("Source")]
    return sorted(found, key=lambda mount: len(mount[0]), reverse=True)


def on_host(path: str, mounts: Sequence[tuple[str, str]]) -> Optional[str]:
    """Where on the host a path inside the container lies; None if in the container alone."""
    for inside, outside in mounts:
        inner = posixpath.relpath(path, inside)
        if inner != ".." and not inner.startswith("../"):
            return os.path.normpath(os.path.join(outside, inner))
    return None
