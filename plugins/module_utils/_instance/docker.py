# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A BookWyrm installed with docker compose. Project, services and volumes are asked for, never assumed."""

from __future__ import annotations

import json
import os
import shlex
import shutil
from typing import Any, Optional

from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._instance.bookwyrm import (
    EMPTY_PROXY_CACHE,
    TRUE,
    Installation,
    Release,
    Settings,
    read_release,
    read_settings,
    themes_and_static,
)
from ansible_collections.selfhosted.media.plugins.module_utils._instance.command import (
    ENVIRONMENT,
    CommandFailed,
    Runner,
)

#: The services that read the media settings, in the order in which they are started. Never the database or Redis.
SERVICES = ("web", "celery_worker", "celery_beat", "flower")
_USUAL_FILES = ("docker-compose.yml", "docker-compose.yaml", "compose.yml", "compose.yaml")
_LABEL = "com.docker.compose."
Container = dict[str, Any]


class NoAnswer(MediaError):
    """The docker command is there, but its daemon does not answer."""


def find(folder: Optional[str]) -> Optional[Installation]:
    """The compose project that runs BookWyrm, or that lies in the folder without a container yet; None if neither."""
    if shutil.which("docker") is None:
        return None
    projects = [found for found in _projects() if not folder or _same(found[0], folder)]
    if len({os.path.realpath(home) for home, _services in projects}) == 1:
        # What was left stopped in the same folder, as under a former project name, does not count beside what runs.
        projects = [found for found in projects if any(map(_runs, found[1].values()))] or projects
    if len(projects) > 1:
        names = sorted(f"{_label(services['web'], 'project')} in {home}" for home, services in projects)
        hint = "set bookwyrm_dir to the folder of one" if not folder else "remove the containers of all but one"
        raise MediaError(f"several compose projects run BookWyrm: {', '.join(names)}; {hint}")
    if projects:
        return _made(*projects[0])
    home = folder or "/opt/bookwyrm"
    if any(os.path.exists(os.path.join(home, name)) for name in _USUAL_FILES):
        return _not_made_yet(home)
    return None


def _same(one: str, other: str) -> bool:
    return os.path.realpath(one) == os.path.realpath(other)


def _projects() -> list[tuple[str, dict[str, Container]]]:
    """The compose projects that lie in the folder of a BookWyrm: that folder, and the container of each service."""
    found: dict[tuple[str, str], dict[str, Container]] = {}
    for container in _containers():
        home, project = _label(container, "project.working_dir"), _label(container, "project")
        if home and os.path.exists(os.path.join(home, "bw-dev")):
            found.setdefault((home, project), {})[_label(container, "service")] = container
    return [(home, services) for (home, _project), services in found.items() if "web" in services]


def _containers() -> list[Container]:
    """All containers of compose's services, whether they run or not."""
    runner, listing = Runner("/", timeout=60), ["docker", "ps", "-aq", "--filter", f"label={_LABEL}oneoff=False"]
    try:
        ids = runner.run(listing, "asking docker").split()
    except CommandFailed as exc:
        raise NoAnswer(f"docker is installed but does not answer: {exc}") from exc
    # Those that have gone since they were listed make the command fail, but the others are told all the same.
    told = runner.run(["/bin/sh", "-c", 'docker inspect "$@" || true', "sh", *ids], "asking docker") if ids else "[]"
    containers: list[Container] = json.loads(told or "[]")
    return containers


def _label(container: Container, name: str) -> str:
    return str((container["Config"].get("Labels") or {}).get(_LABEL + name, ""))


def _runs(container: Container) -> bool:
    return bool(container["State"].get("Running"))


def _compose(home: str, container: Optional[Container] = None) -> list[str]:
    """The compose command, with the project and the files that the running containers were made with."""
    runner = Runner(home, timeout=60)
    try:
        runner.run(["docker", "compose", "version"], "asking for docker compose")
        command = ["docker", "compose"]
    except CommandFailed:
        if shutil.which("docker-compose") is None:
            raise MediaError("neither 'docker compose' nor docker-compose is there; install one of them") from None
        command = ["docker-compose"]
    if container is None:
        return command
    # compose 1 tells the files as they were given, compose 2 with their folder
    files = [os.path.join(home, name) for name in _label(container, "project.config_files").split(",") if name]
    if files and files not in [[os.path.join(home, name)] for name in _USUAL_FILES]:
        command += ["--project-directory", home, *(word for name in files for word in ("-f", name))]
    return [*command, "-p", _label(container, "project")]


def _made(home: str, services: dict[str, Container]) -> Installation:
    """An installation whose containers exist."""
    web, settings, release = services["web"], read_settings(home), read_release(home)
    compose, present = _compose(home, web), [name for name in SERVICES if name in services]
    state = [_runs(services[name]) for name in present]
    stale = [_is_on_s3(services[name]) != settings.is_true("USE_S3") for name in present]
    return _installation(
        home,
        compose,
        release,
        media_dir=_mounted(web, _inside(web, settings)),
        running=any(state),
        restart_needed=not all(state) or any(stale),
        stop=[*compose, "stop", *reversed(present)],
        start=["/bin/sh", "-c", _start(compose, services, present)],
        purge_proxy=[*compose, "exec", "-T", "nginx", "sh", "-c", EMPTY_PROXY_CACHE] if "nginx" in services else [],
        prepare=_start_backing(compose, services),
    )


def _start(compose: list[str], services: dict[str, Container], present: list[str]) -> str:
    """The shell line that starts the services, made anew where their settings changed, and nothing else.

    One by one, so that compose waits for none of them to become healthy: a web that does not come up would hold the
    command for ever, and the others need not wait for it, since web's own start changes nothing here.
    """
    steps = [_start_backing(compose, services)]
    for name in present:
        steps.append([*compose, "up", "-d", "--no-deps", name])
        if name == "web" and "nginx" in services:
            # nginx resolves web's address once, and web gets a new one.
            steps.append([*compose, "restart", "nginx"])
    return " && ".join(map(shlex.join, filter(None, steps)))


def _start_backing(compose: list[str], services: dict[str, Container]) -> list[str]:
    """What starts the rest of a project of which nothing runs: its containers as they are. Empty if something runs."""
    rest = [name for name in services if name not in (*SERVICES, "nginx")]
    return [*compose, "start", *rest] if rest and not any(map(_runs, services.values())) else []


def _not_made_yet(home: str) -> Installation:
    compose = _compose(home)
    return _installation(
        home,
        compose,
        read_release(home),
        media_dir=None,
        running=False,
        restart_needed=False,
        stop=[*compose, "stop", *reversed(SERVICES)],
        start=[*compose, "up", "-d"],
        purge_proxy=[],
        # "run" builds the image where it is absent, and without --no-deps it starts what web depends on.
        prepare=[*compose, "run", "--rm", "-T", "web", "python", "--version"],
    )


def _installation(home: str, compose: list[str], release: Release, **rest: Any) -> Installation:
    one_off = [*compose, "run", "--rm", "-T", "--no-deps", ENVIRONMENT, "web"]
    return Installation(
        install_type="docker",
        is_failed=[],  # compose's containers are started again and again
        folder=home,
        user=None,
        manage=[*one_off, "python", "manage.py"],
        manage_running=[*compose, "exec", "-T", "web", "python", "manage.py"],
        static=[*one_off, "sh", "-c", themes_and_static(release, "python")],
        health_url="",
        health_command=[*compose, "exec", "-T", "web"],
        **rest,
    )


def _inside(web: Container, settings: Settings) -> str:
    """MEDIA_ROOT inside the container."""
    home = web["Config"].get("WorkingDir") or "/app"
    return os.path.normpath(os.path.join(home, settings.values.get("MEDIA_ROOT") or "images"))


def _mounted(web: Container, destination: str) -> str:
    """Where on the host the container's media folder lies: a volume's mount point, or a bind mount's source."""
    mounts: list[dict[str, Any]] = web.get("Mounts") or []
    for mount in sorted(mounts, key=lambda mount: len(mount["Destination"]), reverse=True):
        inner = os.path.relpath(destination, mount["Destination"])
        if not inner.startswith(".."):
            return os.path.normpath(os.path.join(mount["Source"], inner))
    raise MediaError(f"{destination} of the web container is neither a volume nor a bind mount; set bookwyrm_media_dir")


def _is_on_s3(service: Container) -> bool:
    environment = dict(entry.split("=", 1) for entry in service["Config"].get("Env") or [] if "=" in entry)
    return environment.get("USE_S3", "").strip().lower() in TRUE
