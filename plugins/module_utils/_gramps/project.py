# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which containers, or services of a compose file, are a Gramps Web's: told by what they run, whatever they are called."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Optional

from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._gramps.compose import unescaped, variables_of
from ansible_collections.selfhosted.media.plugins.module_utils._gramps.settings import (
    CONFIG_FILE,
    IMAGE,
    IMAGE_FOLDER,
    PREFIX,
    NoSuchService,
    role_of,
)
from ansible_collections.selfhosted.media.plugins.module_utils._instance.compose import (
    Container,
    containers,
    inspected,
    label,
    mounts_of,
    runs,
    same,
    variables,
)

_IMAGE_NAME = re.compile(r"(?:^|/)gramps-?web[^/]*$", re.IGNORECASE)


@dataclass(frozen=True)
class Service:
    """A service, as its container or the compose file tells it."""

    name: str
    image: str
    command: str
    environment: Mapping[str, str] = field(repr=False)
    mounts: Sequence[tuple[str, str]]
    folder: str = IMAGE_FOLDER
    running: bool = False
    container: Optional[Container] = field(default=None, repr=False)

    @property
    def recognised(self) -> tuple[int, str]:
        """How sure it is that this is Gramps Web, from 0 to 3, and which part of it."""
        role = role_of(self.command)
        if role:
            return 3, role
        if CONFIG_FILE in self.environment or _IMAGE_NAME.search(self.image):
            return (2 if self.command else 3), "web"  # the image's own command serves
        return int(any(name.startswith(PREFIX) for name in self.environment)), "web"


@dataclass(frozen=True)
class Project:
    """A compose project, or all containers that belong to none."""

    folder: str
    name: str
    services: Mapping[str, Service]

    def __str__(self) -> str:
        return f"{self.name} in {self.folder}" if self.folder else self.name or "containers without a compose project"

    @property
    def certainty(self) -> int:
        """How sure it is that a web service of Gramps Web is among them."""
        return max((sure for sure, role in self._recognised if role == "web"), default=0)

    @property
    def _recognised(self) -> list[tuple[int, str]]:
        return [service.recognised for service in self.services.values()]

    @property
    def running(self) -> bool:
        return any(service.running for service in self.services.values())

    def chosen(self, wanted: Sequence[str]) -> list[str]:
        """The services of Gramps Web, the web one first. Raises MediaError when that is not clear."""
        if wanted:
            missing = [name for name in wanted if name not in self.services]
            if missing:
                raise NoSuchService(
                    f"gramps_web_services names {', '.join(missing)}, but {self} has {', '.join(sorted(self.services))}"
                )
            # The web one is that which is known best for one.
            known = {name: self.services[name].recognised for name in wanted}
            return sorted(wanted, key=lambda name: (known[name][1] != "web", -known[name][0]))
        webs = [name for name, service in self.services.items() if service.recognised == (self.certainty, "web")]
        if len(webs) > 1:
            raise MediaError(
                f"several services of {self} run Gramps Web: {', '.join(sorted(webs))}; "
                "set gramps_web_services to those of one, its celery service among them"
            )
        return webs + sorted(name for name, service in self.services.items() if service.recognised[1] == "celery")


def matching(projects: Sequence[Project], home: str, wanted: Sequence[str]) -> list[Project]:
    """The projects that run Gramps Web as surely as any, in the folder, and with the services if they are named."""
    found = [project for project in projects if project.certainty or (wanted and set(wanted) <= set(project.services))]
    if home:
        found = [project for project in found if project.folder and same(project.folder, home)]
    if wanted:
        found = [project for project in found if set(wanted) <= set(project.services)] or found
    surest = max((project.certainty for project in found), default=0)
    if not wanted:
        found = [project for project in found if project.certainty == surest]
    if len({os.path.realpath(project.folder) for project in found}) == 1:
        # What was left stopped in the same folder, as under a former project name, does not count beside what runs.
        found = [project for project in found if project.running] or found
    return found


def all_projects() -> list[Project]:
    found: dict[tuple[str, str], dict[str, Service]] = {}
    for container in containers(()):
        labels = container["Config"].get("Labels") or {}
        project = label(container, "project") or str(labels.get("com.docker.stack.namespace", ""))
        services = found.setdefault((label(container, "project.working_dir"), project), {})
        service = _service(container)
        if service.name not in services or service.running:
            services[service.name] = service
    return [Project(home, name, services) for (home, name), services in found.items()]


def _service(container: Container) -> Service:
    config = container["Config"]
    words = [*_words(config.get("Entrypoint")), *_words(config.get("Cmd"))]
    return Service(
        label(container, "service") or str(container["Name"]).lstrip("/"),
        _untagged(str(config.get("Image") or "")),
        " ".join(words),
        variables(config.get("Env")),
        mounts_of(container),
        config.get("WorkingDir") or IMAGE_FOLDER,
        runs(container),
        container,
    )


def _words(command: Any) -> list[str]:
    return [command] if isinstance(command, str) else [str(word) for word in command or ()]


def _untagged(image: str) -> str:
    folder, slash, name = image.rpartition("/")
    return folder + slash + re.split("[:@]", name, maxsplit=1)[0]


def given(defined: Mapping[str, Any]) -> dict[str, str]:
    return {name: value for name, value in variables_of(defined).items() if value is not None}


def _service_of(name: str, service: Mapping[str, Any], volumes: Mapping[str, str]) -> Service:
    words = [*_words(service.get("entrypoint")), *_words(service.get("command"))]
    image = _untagged(str(service.get("image") or ""))
    environment, found = given(service), []
    for volume in service.get("volumes") or []:
        if isinstance(volume, str):  # as compose 1 tells them
            source, _colon, rest = volume.partition(":")
            volume = {"source": source, "target": rest.partition(":")[0]}
        source = str(volume.get("source") or "")
        outside = source if source.startswith("/") else volumes.get(source, "")
        if outside:
            found.append((str(volume["target"]), outside))
    made = Service(
        name, image, unescaped(" ".join(words)), environment, sorted(found, key=lambda pair: len(pair[0]), reverse=True)
    )
    return replace(made, environment={**IMAGE, **environment}) if made.recognised[0] else made


def _places_of_volumes(told_by_compose: Mapping[str, Any]) -> dict[str, str]:
    """Where on the host the named volumes lie that were made before, as of a project that was taken down."""
    volumes = told_by_compose.get("volumes") or {}
    names = {name: str((volume or {}).get("name") or name) for name, volume in volumes.items()}
    there = inspected(["docker", "volume", "inspect"], sorted(names.values()))
    places = {str(volume["Name"]): str(volume.get("Mountpoint") or "") for volume in there}
    return {name: places[called] for name, called in names.items() if places.get(called)}


def project_of(home: str, told_by_compose: Mapping[str, Any]) -> Project:
    """The project of a folder, without a container yet."""
    volumes = _places_of_volumes(told_by_compose)
    services = {
        name: _service_of(name, service or {}, volumes)
        for name, service in (told_by_compose.get("services") or {}).items()
    }
    return Project(home, str(told_by_compose.get("name") or ""), services)
