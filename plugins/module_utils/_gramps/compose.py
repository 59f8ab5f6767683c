# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The compose files of a Gramps Web: what they define, where its variables stand, and who keeps them."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any, Optional

from ansible_collections.selfhosted.media.plugins.module_utils._compose.nodes import HAS_RUAMEL, RUAMEL_PACKAGES
from ansible_collections.selfhosted.media.plugins.module_utils._compose.project import (
    env_files_of,
    environment_of,
    services_in,
)
from ansible_collections.selfhosted.media.plugins.module_utils._dotenv.reading import read
from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._gramps.settings import PREFIX, STORAGE
from ansible_collections.selfhosted.media.plugins.module_utils._instance.command import CommandFailed, Runner
from ansible_collections.selfhosted.media.plugins.module_utils._instance.compose import (
    LABEL,
    USUAL_FILES,
    Container,
    files_of,
    label,
)
from ansible_collections.selfhosted.media.plugins.module_utils._io import read_file

#: Labels that tell who keeps a container that is no compose service's.
_KEEPERS = (
    ("com.docker.swarm.service.name", "Docker Swarm"),
    ("io.kubernetes.pod.name", "Kubernetes"),
    ("net.unraid.docker.managed", "Unraid"),
)
#: Where managers keep compose files that they write anew themselves.
_KEPT_BY = (("/data/compose/", "Portainer"), ("/.ix-apps/", "TrueNAS"), ("/data/coolify/", "Coolify"))


def usual_files(folder: str) -> list[str]:
    """The compose files that compose itself takes in a folder: one, and the override beside it."""
    # in compose's own order
    bases = [name for name in reversed(USUAL_FILES) if os.path.exists(os.path.join(folder, name))]
    bases.sort(key=lambda name: not name.startswith("compose."))
    if not bases:
        return []
    stem = os.path.splitext(bases[0])[0]
    overrides = [f"{stem}.override{end}" for end in (".yml", ".yaml")]
    there = [name for name in overrides if os.path.exists(os.path.join(folder, name))]
    return [os.path.join(folder, name) for name in (bases[0], *there[:1])]


def keeper_of(container: Container) -> str:
    """Who keeps the compose file of a container, if it is not simply there; empty if it is."""
    labels = container["Config"].get("Labels") or {}
    for name, keeper in _KEEPERS:
        if name in labels:
            return keeper
    if not label(container, "project"):
        return "docker run"
    home = label(container, "project.working_dir")
    names = files_of(home, container) or usual_files(home)
    if not names:
        return f"an unknown program (the label {LABEL}project.config_files names no file)"
    for part, keeper in _KEPT_BY:
        if any(part in name for name in names):
            return f"{keeper} ({', '.join(names)})"
    missing = [name for name in names if not os.path.exists(name)]
    return f"an unknown program ({', '.join(missing)} is not on this host)" if missing else ""


def definition(compose: Sequence[str], home: str) -> dict[str, Any]:
    """What compose makes of its files, whole: files merged, variables put in, env_file read. Raises MediaError."""
    # services of every profile
    runner, command = Runner(home, timeout=60, settings={"COMPOSE_PROFILES": "*"}), [*compose, "config"]
    try:
        said = runner.run([*command, "--format", "json"], "reading the compose file")
        if not said:  # compose 1 knows no such option, tells how it is used, and ends with 0
            return _of_compose_1(runner.run(command, "reading the compose file"))
    except CommandFailed as exc:
        raise MediaError(f"compose cannot read the compose file in {home}: {_harmless(str(exc))}") from None
    found: dict[str, Any] = json.loads(said)
    return found


def _of_compose_1(said: str) -> dict[str, Any]:
    if not HAS_RUAMEL:
        raise MediaError(
            f"docker-compose 1 tells its configuration as YAML, and ruamel.yaml is missing {RUAMEL_PACKAGES}"
        )
    from ruamel.yaml import YAML

    found = YAML(typ="safe", pure=True).load(said)
    return {"services": (found or {}).get("services") or {}, "volumes": (found or {}).get("volumes") or {}}


def _harmless(said: str) -> str:
    """What compose complains of, without the values that it cites: they may be secrets."""
    said = re.sub(r"^.*? ended with -?\d+: ", "", said, flags=re.DOTALL).strip()
    said = re.split(r"\n| near |(?<=unterminated quoted value)", said, maxsplit=1)[0]
    said = re.sub(r'(?i)^(invalid interpolation format for .*): ".*$', r"\1", said)
    return re.sub(r'`[^`]*`|"(?:\\.|[^"\\])*"?', "...", said)


def variables_of(service: Mapping[str, Any]) -> dict[str, Optional[str]]:
    """The environment of a service in what compose told; None for what it takes from the caller's."""
    given = service.get("environment") or {}
    if isinstance(given, list):
        given = {name: value if equals else None for name, equals, value in (entry.partition("=") for entry in given)}
    return {str(name): None if value is None else unescaped(str(value)) for name, value in given.items()}


def unescaped(text: str) -> str:
    """A text of compose's own output, in which every $ is doubled so that it could read it again."""
    return text.replace("$$", "$")


def place_of(names: Sequence[str], services: Sequence[str]) -> tuple[str, str]:
    """The compose file in which the variables of the services are to be written, and the env_file if it is that.

    Of several files the last one counts that sets the storage already, else that has an environment.
    """
    contents = {name: read_file(name) or b"" for name in names}
    if not HAS_RUAMEL:
        return (names[0] if len(names) == 1 else ""), ""
    there = {name: _set_in(name, content, services) for name, content in contents.items()}
    ranked = [
        [name for name, found in there.items() if any(map(STORAGE.fullmatch, _names(found)))],
        [name for name, found in there.items() if len(found) == len(services) and any(found.values())],
        [name for name, found in there.items() if services[0] in found and any(found.values())],
        [name for name, found in there.items() if services[0] in found][:1],
    ]
    chosen = next((found[-1] for found in ranked if found), "")
    inline = {name for found in there.values() for name in _names(found)}
    return chosen, _env_file(contents, services, inline)


def _names(found: Mapping[str, Sequence[str]]) -> list[str]:
    return [name for names in found.values() for name in names]


def _set_in(path: str, content: bytes, services: Sequence[str]) -> dict[str, list[str]]:
    """The services that a file defines, and the variables that it sets for each."""
    try:
        defined = services_in(content)
        return {name: list(environment_of(content, name)) for name in services if name in defined}
    except MediaError as exc:
        raise MediaError(f"{path}: {exc}") from exc


def _env_file(contents: Mapping[str, bytes], services: Sequence[str], inline: set[str]) -> str:
    """The env_file of all services that sets their storage, or all that is the application's own; else empty."""
    if any(map(STORAGE.fullmatch, inline)):
        return ""
    read_by: dict[str, set[str]] = {}
    for path, content in contents.items():
        for service in set(services) & set(services_in(content)):
            for name in env_files_of(content, service):
                read_by.setdefault(os.path.join(os.path.dirname(path), name), set()).add(service)
    common = [name for name, readers in read_by.items() if len(readers) == len(services) and os.path.isfile(name)]
    sets = {name: list(read(name)) for name in common}
    own = any(name.startswith(PREFIX) for name in inline)
    found = [name for name in common if any(map(STORAGE.fullmatch, sets[name]))] or [
        name for name in common if not own and any(entry.startswith(PREFIX) for entry in sets[name])
    ]
    return os.path.normpath(found[-1]) if found else ""
