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


class NoAnswer(MediaError):
    """The docker command is there, but its daemon does not answer."""


def find(folder: Optional[str]) -> Optional[Installation]:
    """The compose project that runs BookWyrm, or that lies in the folder without a container yet; None if neither."""
    if shutil.which("docker") is None:
        return None
    projects = _projects()
    if folder:
        projects = {home: found for home, found in projects.items() if _same(home, folder)}
    if len(projects) > 1:
        raise MediaError(
            f"several compose projects run BookWyrm: {', '.join(sorted(projects))}; set bookwyrm_dir to one"
        )
    if projects:
        ((home, containers),) = projects.items()
        return _running(folder or home, containers)
    home = folder or "/opt/bookwyrm"
    if any(os.path.exists(os.path.join(home, name)) for name in _USUAL_FILES):
        return _not_made_yet(home)
    return None


def _same(one: str, other: str) -> bool:
    return os.path.realpath(one) == os.path.realpath(other)


def _projects() -> dict[str, list[dict[str, Any]]]:
    """The containers of each compose project that lies in the folder of a BookWyrm, by that folder."""
    runner = Runner("/", timeout=60)
    try:
        ids = runner.run(["docker", "ps", "-aq", "--filter", f"label={_LABEL}service=web"], "asking docker").split()
    except CommandFailed as exc:
        raise NoAnswer(f"docker is installed but does not answer: {exc}") from exc
    found: dict[str, list[dict[str, Any]]] = {}
    for container in _inspect(runner, ids):
        home, project = _label(container, "project.working_dir"), _label(container, "project")
        if not home or not os.path.exists(os.path.join(home, "bw-dev")) or home in found:
            continue
        filters = ["--filter", f"label={_LABEL}project={project}", "--filter", f"label={_LABEL}oneoff=False"]
        found[home] = _inspect(runner, runner.run(["docker", "ps", "-aq", *filters], "asking docker").split())
    return found


def _inspect(runner: Runner, ids: list[str]) -> list[dict[str, Any]]:
    if not ids:
        return []
    containers: list[dict[str, Any]] = json.loads(runner.run(["docker", "inspect", *ids], "asking docker"))
    return containers


def _label(container: dict[str, Any], name: str) -> str:
    return str((container["Config"].get("Labels") or {}).get(_LABEL + name, ""))


def _compose(home: str, container: Optional[dict[str, Any]] = None) -> list[str]:
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
    files = [os.path.join(home, name) for name in _label(container, "project.config_files").split(",") if name]
    if len(files) != 1 or os.path.basename(files[0]) not in _USUAL_FILES:
        command += [word for name in files for word in ("-f", name)]
    return [*command, "-p", _label(container, "project")]


def _running(home: str, containers: list[dict[str, Any]]) -> Installation:
    by_service = {_label(container, "service"): container for container in containers}
    web = by_service["web"]
    settings, present = read_settings(home), [name for name in SERVICES if name in by_service]
    compose = _compose(home, web)
    start = [*compose, "up", "-d", "--no-deps", *present]
    if "nginx" in by_service:
        # nginx resolves web's address once, and web gets a new one.
        start = ["/bin/sh", "-c", shlex.join(start) + " && " + shlex.join([*compose, "restart", "nginx"])]
    state = [by_service[name]["State"].get("Running", False) for name in present]
    return _installation(
        home,
        compose,
        media_dir=_mounted(web, _inside(web, settings)),
        running=any(state),
        restart_needed=any(state) and _is_on_s3(web) != settings.is_true("USE_S3"),
        stop=[*compose, "stop", *reversed(present)],
        start=start,
        purge_proxy=[*compose, "exec", "-T", "nginx", "sh", "-c", EMPTY_PROXY_CACHE] if "nginx" in by_service else [],
        prepare=[],
    )


def _not_made_yet(home: str) -> Installation:
    compose = _compose(home)
    return _installation(
        home,
        compose,
        media_dir=None,
        running=False,
        restart_needed=False,
        stop=[*compose, "stop", *reversed(SERVICES)],
        start=[*compose, "up", "-d"],
        purge_proxy=[],
        # "run" builds the image where it is absent, and without --no-deps it starts what web depends on.
        prepare=[*compose, "run", "--rm", "-T", "web", "python", "--version"],
    )


def _installation(home: str, compose: list[str], **rest: Any) -> Installation:
    one_off = [*compose, "run", "--rm", "-T", "--no-deps", ENVIRONMENT, "web"]
    return Installation(
        install_type="docker",
        folder=home,
        user=None,
        manage=[*one_off, "python", "manage.py"],
        manage_running=[*compose, "exec", "-T", "web", "python", "manage.py"],
        static=[*one_off, "sh", "-c", themes_and_static(read_release(home), "python")],
        health_url="",
        health_command=[*compose, "exec", "-T", "web"],
        **rest,
    )


def _inside(web: dict[str, Any], settings: Settings) -> str:
    """MEDIA_ROOT inside the container."""
    home = web["Config"].get("WorkingDir") or "/app"
    return os.path.normpath(os.path.join(home, settings.values.get("MEDIA_ROOT") or "images"))


def _mounted(web: dict[str, Any], destination: str) -> str:
    """Where on the host the container's media folder lies: a volume's mount point, or a bind mount's source."""
    mounts: list[dict[str, Any]] = web.get("Mounts") or []
    for mount in sorted(mounts, key=lambda mount: len(mount["Destination"]), reverse=True):
        inner = os.path.relpath(destination, mount["Destination"])
        if not inner.startswith(".."):
            return os.path.normpath(os.path.join(mount["Source"], inner))
    raise MediaError(f"{destination} of the web container is neither a volume nor a bind mount; set bookwyrm_media_dir")


def _is_on_s3(web: dict[str, Any]) -> bool:
    environment = dict(entry.split("=", 1) for entry in web["Config"].get("Env") or [] if "=" in entry)
    return environment.get("USE_S3", "").strip().lower() in TRUE
