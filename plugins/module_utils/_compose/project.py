# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What compose makes of a file: its services, and where the variables of each stand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

from ansible_collections.selfhosted.media.plugins.module_utils._compose.nodes import BOM, Node, parse
from ansible_collections.selfhosted.media.plugins.module_utils._compose.values import (
    is_exact,
    scalar_value,
    unescaped,
)
from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError

_KINDS = {"scalar": "a single value", "map": "a map", "list": "a list"}
_STRING = "tag:yaml.org,2002:str"


def services_in(content: bytes) -> list[str]:
    """The names of the services, in the order of the file."""
    return list(Project(content).services)


def environment_of(content: bytes, service: str) -> dict[str, Optional[str]]:
    """What the file itself gives a service, anchors, merge keys and `extends` within the file resolved; None for a name
    without a value. `$$` is read as `$`, but a value that compose interpolates (`${HOST}`) is returned as written.
    """
    project = Project(content)
    project.check(service)
    return {name: None if value is None else unescaped(value) for name, value in project.environment(service).items()}


def env_files_of(content: bytes, service: str) -> list[str]:
    """The `env_file` entries of a service as they are written, the ones that win last."""
    project = Project(content)
    project.check(service)
    found: list[str] = []
    for name in reversed(project.layers(service)):
        pair = project.setting(name, "env_file")
        if pair is None or pair[1].real.null:
            continue
        entries = pair[1].real.items if pair[1].real.kind == "list" else [pair[1]]
        found += [_env_file(entry.real) for entry in entries]
    return found


def _env_file(entry: Node) -> str:
    path = find(merged(entry), "path") if entry.kind == "map" else (entry, entry)
    if path is None or path[1].real.kind != "scalar":
        raise MediaError(f"Line {entry.line}: env_file holds {_KINDS[entry.kind]} that names no path. Mend it.")
    return path[1].real.text


@dataclass(frozen=True)
class Entry:
    """A variable where it stands: the value of a map or the item of a list."""

    name: str
    node: Node
    key: Optional[Node]

    @property
    def start(self) -> int:
        return self.key.start if self.key else self.node.start

    @property
    def value(self) -> Optional[str]:
        """What compose reads before it interpolates."""
        if self.key:
            return scalar_value(self.node.real)
        _name, equals, value = self.node.real.text.partition("=")
        return value if equals else None

    def says(self, written: str) -> bool:
        """Whether every reader takes it for this."""
        return self.value == written and (self.key is None or is_exact(self.node.real))


def merged(node: Node) -> list[Node]:
    """A map and those that its merge keys bring in, the ones that win first."""
    found: list[Node] = []
    _merge_into(found, node)
    return found


def _merge_into(found: list[Node], node: Node) -> None:
    if node in found:
        return
    found.append(node)
    for key, value in node.pairs:
        if not is_merge(key):
            continue
        for source in value.real.items if value.real.kind == "list" else [value]:
            if source.real.kind != "map":
                raise MediaError(
                    f"Line {source.line}: what is merged by << has to be a map, and this is "
                    f"{_KINDS[source.real.kind]}. Mend it, then run again."
                )
            _merge_into(found, source.real)


def is_merge(key: Node) -> bool:
    return key.kind == "scalar" and key.text == "<<" and not (key.style or key.tag)


def find(maps: Sequence[Node], name: str) -> Optional[tuple[Node, Node]]:
    """The key and the value of a name in the first of the maps that has it."""
    for node in maps:
        for key, value in node.pairs:
            if key.real.kind == "scalar" and key.real.text == name and not is_merge(key):
                return key, value
    return None


def entries(container: Node) -> list[Entry]:
    """The variables that stand in a map or list itself."""
    found = []
    for key, value in container.pairs:
        if not is_merge(key):
            found.append(Entry(_scalar(key, "the name of a variable").text, value, key))
    for item in container.items:
        found.append(Entry(_scalar(item, "an entry of environment").text.partition("=")[0], item, None))
    for entry in found:
        _scalar(entry.node, f"the value of {entry.name}")
    return found


def named(container: Node, name: str) -> list[Entry]:
    return [entry for entry in entries(container) if entry.name == name]


def _scalar(node: Node, what: str) -> Node:
    if node.real.kind != "scalar":
        raise MediaError(f"Line {node.line}: {what} is {_KINDS[node.real.kind]}, and compose wants text. Mend it.")
    return node.real


class Project:
    """A compose file and its services."""

    def __init__(self, content: bytes) -> None:
        try:
            text = content.decode("utf-8")
        except UnicodeDecodeError as exc:
            line = 1 + content.count(b"\n", 0, exc.start)
            raise MediaError(
                f"Line {line} is not UTF-8, which compose files have to be. Convert the file, then run again."
            ) from None
        self.bom, self.text = (BOM, text[1:]) if text.startswith(BOM) else ("", text)
        self.root = parse(self.text)
        self.services = self._services()

    @property
    def content(self) -> bytes:
        return (self.bom + self.text).encode("utf-8")

    def _services(self) -> dict[str, Node]:
        if self.root.real.kind != "map":
            raise MediaError(
                f"The top level of the file is {_KINDS[self.root.real.kind]}, and a compose file is a map with "
                "services: in it. Check path."
            )
        pair = find(merged(self.root.real), "services")
        if pair is None or pair[1].real.kind != "map":
            where = f"Line {pair[0].line}: services is no map" if pair else "The file has no services"
            raise MediaError(
                f"{where}, so it is no compose file that can be changed here. Check path.{self._includes()}"
            )
        found: dict[str, Node] = {}
        for node in merged(pair[1].real):
            for key, value in node.pairs:
                if not is_merge(key):
                    found.setdefault(key.real.text, value)
        return found

    def _includes(self) -> str:
        pair = find([self.root], "include")
        return f" Line {pair[0].line} includes other files: look there." if pair else ""

    def check(self, service: str) -> None:
        """Refuse a service that is not here as a whole, or is written as nothing here can read it."""
        if service not in self.services:
            there = ", ".join(self.services) or "none"
            raise MediaError(f"There is no service {service} in the file; there are: {there}.{self._includes()}")
        for name in self.layers(service):
            for node in (self.services[name], *self.maps(name)):
                self._refuse_tag(node, name)
            self._check_extends(name)
            pair = self.setting(name, "environment")
            if pair:
                self._refuse_tag(pair[1], f"environment of {name}")
        for container in self.containers(service):
            self._refuse_tag(container, f"environment of {service}")
            for entry in entries(container):
                self._refuse_tag(entry.node.real, entry.name)

    @staticmethod
    def _refuse_tag(node: Node, what: str) -> None:
        if node.tag and not (node.tag == _STRING and node.kind == "scalar"):
            raise MediaError(
                f"Line {node.line}: {what} carries the YAML tag {node.tag}, whose effect is not known here. "
                "Change it by hand, or remove the tag."
            )

    def _check_extends(self, service: str) -> None:
        pair = self.setting(service, "extends")
        if pair is None:
            return
        base, file = self._base(pair[1].real)
        if file:
            raise MediaError(
                f"Line {pair[0].line}: {service} extends a service of {file}, so a part of it stands in that file. "
                f"Move the environment of {service} into one file, or change it by hand."
            )
        if base not in self.services:
            raise MediaError(f"Line {pair[0].line}: {service} extends {base or 'nothing'}, which is not in the file.")

    @staticmethod
    def _base(extends: Node) -> tuple[str, str]:
        """The service and the file that are extended."""
        if extends.kind != "map":
            return extends.text, ""
        parts = [find(merged(extends), name) for name in ("service", "file")]
        base, file = (part[1].real.text if part else "" for part in parts)
        return base, file

    def maps(self, service: str) -> list[Node]:
        """The maps that make up a service, the ones that win first."""
        node = self.services[service].real
        if node.kind != "map":
            raise MediaError(f"Line {node.line}: the service {service} is {_KINDS[node.kind]}, and not a map. Mend it.")
        return merged(node)

    def setting(self, service: str, name: str) -> Optional[tuple[Node, Node]]:
        return find(self.maps(service), name)

    def layers(self, service: str) -> list[str]:
        """The service and those that it extends within this file."""
        found: list[str] = []
        while service in self.services and service not in found:
            found.append(service)
            pair = self.setting(service, "extends")
            base, file = self._base(pair[1].real) if pair else ("", "")
            service = "" if file else base
        return found

    def own_containers(self, service: str) -> list[Node]:
        """What `environment` of the service itself is made of, the ones that win first; an empty one is a scalar."""
        pair = self.setting(service, "environment")
        if pair is None:
            return []
        node = pair[1].real
        if node.kind == "scalar" and not node.null and not node.tag:
            raise MediaError(
                f"Line {node.line}: environment of {service} is a single value, and compose wants a map or a list. Mend it."
            )
        return merged(node) if node.kind == "map" else [node]

    def containers(self, service: str) -> list[Node]:
        """Where the variables of a service stand, the ones that win first."""
        return [node for layer in self.layers(service) for node in self.own_containers(layer)]

    def holder(self, service: str, name: str) -> Optional[Node]:
        """The one that a variable of the service comes from."""
        return next((node for node in self.containers(service) if named(node, name)), None)

    def environment(self, service: str) -> dict[str, Optional[str]]:
        """What compose reads before it interpolates."""
        found: dict[str, Optional[str]] = {}
        for container in reversed(self.containers(service)):
            found.update((entry.name, entry.value) for entry in entries(container))
        return found

    def says(self, service: str, name: str, written: str) -> bool:
        """Whether every reader takes the variable of the service for this, from one place."""
        holder = self.holder(service, name)
        found = named(holder, name) if holder else []
        return len(found) == 1 and found[0].says(written)

    def reached(self, container: Node, name: str) -> set[str]:
        """The services for which a variable in this container would count."""
        found = set()
        for service in self.services:
            chain = self.containers(service)
            if container in chain and not any(named(node, name) for node in chain[: chain.index(container)]):
                found.add(service)
        return found
