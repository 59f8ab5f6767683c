# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Gramps Web that runs in containers. Project, services and mounts are asked for, never assumed."""

from __future__ import annotations

import os
import posixpath
import re
import shlex
import shutil
from collections.abc import Mapping, Sequence
from typing import Any, Optional

from ansible_collections.selfhosted.media.plugins.module_utils._compose.nodes import HAS_RUAMEL
from ansible_collections.selfhosted.media.plugins.module_utils._dotenv.reading import read
from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._gramps.compose import (
    definition,
    keeper_of,
    place_of,
    usual_files,
    variables_of,
)
from ansible_collections.selfhosted.media.plugins.module_utils._gramps.project import (
    Project,
    Service,
    all_projects,
    given,
    matching,
    project_of,
)
from ansible_collections.selfhosted.media.plugins.module_utils._gramps.settings import (
    ASK,
    CONFIG_FILE,
    IMAGE,
    PREFIX,
    RUN,
    S3,
    Installation,
    Settings,
    expanded,
    literals,
    role_of,
    told,
)
from ansible_collections.selfhosted.media.plugins.module_utils._instance.command import CommandFailed, Runner
from ansible_collections.selfhosted.media.plugins.module_utils._instance.compose import (
    check_reached,
    command_of,
    env_files_of,
    files_of,
    inspected,
    label,
    on_host,
    variables,
)
from ansible_collections.selfhosted.media.plugins.module_utils._instance.units import address
from ansible_collections.selfhosted.media.plugins.module_utils._io import read_file

_NGINX = re.compile(r"(?:^|[\s/])nginx(?:\s|$)")
_MEDIA_BASE = PREFIX + "MEDIA_BASE_DIR"


def find(folder: Optional[str], wanted: Sequence[str] = (), compose_file: str = "") -> Optional[Installation]:
    """The project that runs Gramps Web, or that lies in the folder without a container yet; None if neither."""
    if shutil.which("docker") is None:
        return None
    if compose_file and not os.path.isfile(compose_file):
        raise MediaError(f"gramps_web_compose_file {compose_file} is not a file on this host")
    home = folder or os.path.dirname(os.path.abspath(compose_file) if compose_file else "")
    found = matching(all_projects(), home, wanted)
    if len(found) > 1:
        several = ", ".join(sorted(map(str, found)))
        hint = "remove the containers of all but one" if folder else "set gramps_web_dir to the folder of one"
        raise MediaError(f"several projects run Gramps Web: {several}; {hint}")
    if found:
        names = found[0].chosen(wanted)
        container = found[0].services[names[0]].container or {}
        keeper = keeper_of(container)
        if keeper and not (compose_file and label(container, "project")):
            return _kept_elsewhere(found[0], names, keeper)
        return _made(found[0], names, compose_file)
    files = [os.path.abspath(compose_file)] if compose_file else usual_files(home) if home else []
    return _not_made_yet(home, files, wanted, bool(compose_file)) if files else None


def _made(project: Project, names: list[str], compose_file: str) -> Installation:
    """An installation whose containers exist."""
    web = project.services[names[0]]
    container = web.container or {}
    home = project.folder if os.path.isdir(project.folder) else os.path.dirname(os.path.abspath(compose_file))
    files = files_of(home, container) or usual_files(home)
    named = os.path.abspath(compose_file) if compose_file else ""
    if named and named not in files:
        files = [named]

    def compose_with(files: Sequence[str]) -> list[str]:
        return command_of(home, project.name, files, env_files_of(home, container))

    compose = compose_with(files)
    check_reached(compose, home, container)
    defined = definition(compose, home).get("services") or {}
    written, env_file = place_of([named] if named else files, names)
    kept, former = (env_file or written) + ".before-s3", {}
    if os.path.exists(kept):
        before = compose_with([kept if name == written else name for name in files])
        former = read(kept) if env_file else given(definition(before, home)["services"].get(web.name) or {})
    images = _environments_of_images([project.services[name] for name in names])
    stale = any(_stale(project.services[name], defined.get(name), images.get(name) or IMAGE) for name in names)
    return _installation(
        project,
        names,
        [*compose, "exec", "-T", web.name],
        former=Settings({**(images.get(web.name) or IMAGE), **former}).media_base,
        restart_needed=stale or not all(project.services[name].running for name in names),
        compose_file=written,
        env_file=env_file,
        stop=[*compose, "stop", *reversed(names)],
        start=["/bin/sh", "-c", _start(compose, project, names)],
        remarks=[] if written else [_no_place(files, web.name)],
    )


def _kept_elsewhere(project: Project, names: list[str], keeper: str) -> Installation:
    """An installation whose compose file is not ours to change, or that has none."""
    services = [project.services[name] for name in names]
    called = [str((service.container or {}).get("Name")).lstrip("/") for service in services]
    image = _environments_of_images(services[:1]).get(names[0]) or IMAGE
    return _installation(
        project,
        names,
        ["docker", "exec", "-i", called[0]],
        former=image.get(_MEDIA_BASE, ""),
        restart_needed=not all(service.running for service in services),
        stop=["docker", "stop", *reversed(called)],
        start=["docker", "start", *called],
        managed_by=keeper,
    )


def _no_place(files: Sequence[str], service: str) -> str:
    if len(files) > 1 and not HAS_RUAMEL:
        return "which of the compose files sets its variables is not known without ruamel.yaml"
    return f"none of {', '.join(files)} itself defines {service}; set gramps_web_compose_file to the file that does"


def _environments_of_images(services: Sequence[Service]) -> dict[str, dict[str, str]]:
    """What the services' images set by themselves."""
    ids = {service.name: str((service.container or {}).get("Image") or "") for service in services}
    images = inspected(["docker", "image", "inspect"], sorted({name for name in ids.values() if name}))
    environments = {str(image["Id"]): variables(image["Config"].get("Env")) for image in images}
    return {name: environments[image] for name, image in ids.items() if image in environments}


def _stale(service: Service, defined: Optional[Mapping[str, Any]], image: Mapping[str, str]) -> bool:
    """Whether the container's storage is another than that which compose would give it now."""
    if defined is None:
        return False
    # What compose took from the environment of whoever called it is not in the file, and so not known.
    taken = {name for name, value in variables_of(defined).items() if value is None}
    has, gets = (
        Settings({name: value for name, value in environment.items() if name not in taken})
        for environment in (service.environment, {**image, **given(defined)})
    )
    return has.storage != gets.storage


def _start(compose: list[str], project: Project, names: Sequence[str]) -> str:
    """The shell line that starts the services, made anew where their settings changed, and nothing else.

    One by one, so that compose waits for none of them to become healthy. nginx resolves web's address once, and web
    gets a new one; other proxies look again.
    """
    others = {name: service for name, service in project.services.items() if name not in names}
    proxies = [name for name, service in others.items() if _NGINX.search(service.command)]
    backing = [name for name, service in others.items() if name not in proxies and role_of(service.command) != "job"]
    steps = [[*compose, "start", *backing]] if backing and not project.running else []
    for name in names:
        steps.append([*compose, "up", "-d", "--no-deps", name])
        if name == names[0]:
            steps += [[*compose, "restart", proxy] for proxy in proxies if others[proxy].running or not project.running]
    return " && ".join(map(shlex.join, steps))


def _not_made_yet(home: str, files: list[str], wanted: Sequence[str], named: bool) -> Optional[Installation]:
    compose = command_of(home, "", files if named else ())
    project = project_of(home, definition(compose, home))
    if not project.certainty and not wanted:
        return None
    names = project.chosen(wanted)
    written, env_file = place_of(files, names)
    return _installation(
        project,
        names,
        [*compose, "exec", "-T", names[0]],
        former=IMAGE[_MEDIA_BASE],
        restart_needed=False,
        python=[*compose, "run", "--rm", "-T", "--no-deps", "--entrypoint", "python3", names[0]],
        compose_file=written,
        env_file=env_file,
        stop=[*compose, "stop", *reversed(names)],
        start=[*compose, "up", "-d"],
        remarks=[] if written else [_no_place(files, names[0])],
    )


def _installation(
    project: Project, names: list[str], inside: list[str], former: str, remarks: Sequence[str] = (), **rest: Any
) -> Installation:
    """The description; `former` is where the media were before they were on S3."""
    web = project.services[names[0]]
    config = posixpath.join(web.folder, web.environment.get(CONFIG_FILE, "")) if CONFIG_FILE in web.environment else ""
    answer = _ask([*inside, "python3"], project.folder, config) if web.running else told("")
    outside = on_host(config, web.mounts) if config else None
    content = (read_file(outside) or b"").decode("utf-8", "replace") if outside else answer["config"]
    settings = Settings(web.environment, literals(content))
    services = [project.services[name] for name in names]
    base = former if settings.media_base.startswith(S3) else settings.media_base
    grampsdb = [_outside(path, web) for path in settings.grampsdb("/root")]
    return Installation(
        install_type="docker",
        folder=project.folder,
        services=names,
        environment=dict(web.environment),
        unset_in=[
            service.name
            for service in services[1:]
            if Settings(service.environment, settings.file).storage != settings.storage
        ],
        paths=list(web.mounts),
        media_base=settings.media_base,
        media_dir=_outside(base, web) if base and not base.startswith(S3) else "",
        prefix_tree=settings.prefix_tree,
        prefix_tree_text=settings.prefix_tree_text,
        tree=settings.text("TREE"),
        tree_id=settings.text("TREE_ID"),
        grampsdb=next((path for path in grampsdb if path and os.path.isdir(path)), next(filter(None, grampsdb), "")),
        config_file=(outside or config) if settings.is_in_file("MEDIA_BASE_DIR") else "",
        release=answer["release"],
        running=any(service.running for service in services),
        user="",
        failed=[],  # compose's containers are started again and again
        health_url="",
        health_command=inside,
        health_inside=_listens(web) + "ready",
        remarks=list(remarks),
        **{"compose_file": "", "env_file": "", "managed_by": "", "python": [*inside, "python3"], **rest},
    )


def _outside(path: str, web: Service) -> str:
    """Where on the host a path of the web container lies; empty if in the container alone."""
    return on_host(posixpath.join(web.folder, path), web.mounts) or ""


def _ask(python: Sequence[str], folder: str, config: str) -> dict[str, str]:
    try:
        return told(
            Runner(folder if os.path.isdir(folder) else "/", timeout=60).run(
                [*python, "-c", ASK, config], "asking for the release"
            )
        )
    except CommandFailed:
        return told("")  # as of a container that starts again and again


def _listens(web: Service) -> str:
    """Where the application listens inside its container."""
    command = expanded(web.command, web.environment)
    run = RUN.search(command)
    if run:
        port = re.search(r"(?:--port[ =]|-p ?)(\d+)", run[1])
        return f"http://127.0.0.1:{port[1] if port else '5000'}/"
    if "gunicorn" not in command:
        return "http://127.0.0.1:5000/"  # the image's port
    arguments = web.environment.get("GUNICORN_CMD_ARGS", "")
    return address(f"{arguments} {command}" if " -b" not in command and "--bind" not in command else command)
