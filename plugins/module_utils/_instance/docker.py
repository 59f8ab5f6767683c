# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A BookWyrm installed with docker compose. Project, services and volumes are asked for, never assumed."""

from __future__ import annotations

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
from ansible_collections.selfhosted.media.plugins.module_utils._instance.command import ENVIRONMENT
from ansible_collections.selfhosted.media.plugins.module_utils._instance.compose import (
    USUAL_FILES,
    Container,
    check_reached,
    command_of,
    containers,
    env_files_of,
    files_of,
    label,
    mounts_of,
    on_host,
    runs,
    same,
    variables,
)
from ansible_collections.selfhosted.media.plugins.module_utils._instance.folders import check_is_bookwyrm

#: The services that read the media settings, in the order in which they are started. Never the database or Redis.
SERVICES = ("web", "celery_worker", "celery_beat", "flower")


def find(folder: Optional[str], media_dir: str = "") -> Optional[Installation]:
    """The compose project that runs BookWyrm, or that lies in the folder without a container yet; None if neither.

    The media folder is asked for unless it is given.
    """
    if shutil.which("docker") is None:
        return None
    projects = [found for found in _projects() if not folder or same(found[0], folder)]
    if len({os.path.realpath(home) for home, _services in projects}) == 1:
        # What was left stopped in the same folder, as under a former project name, does not count beside what runs.
        projects = [found for found in projects if any(map(runs, found[1].values()))] or projects
    if len(projects) > 1:
        names = sorted(f"{label(services['web'], 'project')} in {home}" for home, services in projects)
        hint = "set bookwyrm_dir to the folder of one" if not folder else "remove the containers of all but one"
        raise MediaError(f"several compose projects run BookWyrm: {', '.join(names)}; {hint}")
    if projects:
        return _made(*projects[0], media_dir)
    home = folder or "/opt/bookwyrm"
    if any(os.path.exists(os.path.join(home, name)) for name in USUAL_FILES):
        check_is_bookwyrm(home)
        return _not_made_yet(home)
    return None


def _projects() -> list[tuple[str, dict[str, Container]]]:
    """The compose projects that lie in the folder of a BookWyrm: that folder, and the container of each service."""
    found: dict[tuple[str, str], dict[str, Container]] = {}
    for container in containers():
        home, project = label(container, "project.working_dir"), label(container, "project")
        if home and os.path.exists(os.path.join(home, "bw-dev")):
            found.setdefault((home, project), {})[label(container, "service")] = container
    return [(home, services) for (home, _project), services in found.items() if "web" in services]


def _made(home: str, services: dict[str, Container], media_dir: str) -> Installation:
    """An installation whose containers exist."""
    web, settings, release = services["web"], read_settings(home), read_release(home)
    compose = command_of(home, label(web, "project"), files_of(home, web), env_files_of(home, web))
    check_reached(compose, home, web)
    present = [name for name in SERVICES if name in services]
    state = [runs(services[name]) for name in present]
    stale = [_is_on_s3(services[name]) != settings.is_true("USE_S3") for name in present]
    return _installation(
        home,
        compose,
        release,
        media_dir=_media_folder(services, settings, media_dir),
        exports_dir=on_host(os.path.join(_home(web), "exports"), mounts_of(web)),
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
    return [*compose, "start", *rest] if rest and not any(map(runs, services.values())) else []


def _not_made_yet(home: str) -> Installation:
    compose = command_of(home)
    return _installation(
        home,
        compose,
        read_release(home),
        media_dir=None,
        exports_dir=None,
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


def _inside(service: Container, settings: Settings) -> str:
    """MEDIA_ROOT inside the container, as it was made; the .env may have changed since."""
    has = variables(service["Config"].get("Env")).get("MEDIA_ROOT") or settings.values.get("MEDIA_ROOT") or "images"
    return os.path.normpath(os.path.join(_home(service), has))


def _home(web: Container) -> str:
    """The application's folder inside the container."""
    return str(web["Config"].get("WorkingDir") or "/app")


def _media_folder(services: dict[str, Container], settings: Settings, given: str) -> str:
    """Where on the host the media lie: a volume's mount point, or a bind mount's source.

    The worker writes media too, such as previews: were only one of two folders copied, the other's files would be lost.
    """
    web, worker = (
        on_host(_inside(services[name], settings), mounts_of(services[name])) if name in services else None
        for name in ("web", "celery_worker")
    )
    if "celery_worker" in services and (web or worker) and not (web and worker and same(web, worker)):
        raise MediaError(
            f"web keeps its media in {web or 'its container alone'}, and celery_worker in {worker or 'its container alone'}: which are the media is not"
            " clear, and the files of one would be lost. Bring them together in one volume or folder, give it to both services in the compose"
            " file, start them, and run again"
        )
    if not web and not given:
        raise MediaError(
            f"{_inside(services['web'], settings)} of the web container is neither a volume nor a bind mount; set bookwyrm_media_dir"
        )
    return given or web or ""


def _is_on_s3(service: Container) -> bool:
    return variables(service["Config"].get("Env")).get("USE_S3", "").strip().lower() in TRUE
