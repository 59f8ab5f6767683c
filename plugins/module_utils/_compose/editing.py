# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changing the environment of services in a compose file and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Optional

from ansible_collections.selfhosted.media.plugins.module_utils._compose.nodes import Node
from ansible_collections.selfhosted.media.plugins.module_utils._compose.project import (
    Project,
    env_files_of,
    environment_of,
    find,
    services_in,
)
from ansible_collections.selfhosted.media.plugins.module_utils._compose.splices import Change, Splicer
from ansible_collections.selfhosted.media.plugins.module_utils._compose.values import escaped
from ansible_collections.selfhosted.media.plugins.module_utils._dotenv.values import check_name
from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError

__all__ = ["Edited", "edit", "env_files_of", "environment_of", "services_in"]


@dataclass(frozen=True)
class Edited:
    """The new content, and the names of the variables that were changed in any of the services, sorted."""

    content: bytes
    changed_keys: list[str]


def edit(content: bytes, services: Sequence[str], values: Mapping[str, str], absent: Sequence[str] = ()) -> Edited:
    """Give services variables and take others away, everything else byte for byte as it was.

    What services have in common by an anchor, a merge key or `extends` is written once, in the place that serves those
    named here and no other. If there is none, or the result would not read as asked for, nothing is handed out.
    """
    for name in (*values, *absent):
        check_name(name)
    wanted: dict[str, Optional[str]] = {name: escaped(name, value) for name, value in values.items()}
    contradicting = sorted({*values} & {*absent})
    if contradicting:
        raise MediaError(f"To be set and to be absent at once: {', '.join(contradicting)}.")
    wanted.update(dict.fromkeys(absent))
    if not services:
        raise MediaError("Name at least one service whose environment is to be changed.")
    before = Project(content)
    for service in services:
        before.check(service)
    project, changed = before, set()
    for name, written in wanted.items():
        for service in services:
            while not _is_so(project, service, name, written):
                project = _after(project, _change(project, services, service, name, written))
                changed.add(name)
    _check_result(before, project, services, wanted)
    return Edited(project.content, sorted(changed))


def _is_so(project: Project, service: str, name: str, written: Optional[str]) -> bool:
    if written is None:
        return project.holder(service, name) is None
    return project.says(service, name, written)


def _change(project: Project, services: Sequence[str], service: str, name: str, written: Optional[str]) -> Change:
    """The next step towards what is wanted of one variable of a service."""
    splicer, allowed = Splicer(project), set(services)
    holder = project.holder(service, name)
    if holder and project.reached(holder, name) <= allowed:
        if written is None:
            return splicer.take_away(holder, name)
        return splicer.write(holder, name, written)
    if holder and written is None:
        raise _shared(project, service, name, holder, allowed)
    if written is None:
        raise MediaError(f"{name} of {service} cannot be removed.")
    chain = project.containers(service)
    container = _widest(project, chain[: chain.index(holder)] if holder else chain, name, allowed)
    if container:
        return splicer.write(container, name, written)
    return _new_environment(project, splicer, service, name, written, allowed)


def _widest(project: Project, containers: Sequence[Node], name: str, allowed: set[str]) -> Optional[Node]:
    """Of the places that serve only allowed services the one that serves most of them; else the nearest."""
    reached = [(len(served), node) for node in containers if (served := project.reached(node, name)) <= allowed]
    return max(reached, key=lambda pair: pair[0])[1] if reached else None


def _new_environment(
    project: Project, splicer: Splicer, service: str, name: str, written: str, allowed: set[str]
) -> Change:
    """The change that gives a service an `environment` of its own, or its service map one that others share."""
    own = project.services[service].real
    pair = project.setting(service, "environment")
    if pair is None:
        served = [(len(users), node) for node, users in _creators(project, service) if users <= allowed]
        if served:
            return splicer.create(max(served, key=lambda found: found[0])[1], name, written)
        raise _shared(project, service, name, own, allowed)
    key, value = pair
    if value.real.kind == "map":
        if value.kind == "alias" and _users(project, key) <= allowed:
            return splicer.detach(key, value, name, written)
        in_own = find([own], "environment")
        anchor = value.anchor
        if not in_own and anchor and value.real.start < own.start and _heirs(project, own) <= allowed:
            return splicer.create(own, name, written, anchor)
    raise _shared(project, service, name, value.real, allowed)


def _users(project: Project, key: Node) -> set[str]:
    """The services whose `environment` is this very one."""
    pairs = {service: project.setting(service, "environment") for service in project.services}
    return {service for service, pair in pairs.items() if pair and pair[0] is key}


def _heirs(project: Project, service_map: Node) -> set[str]:
    """The services that would have an `environment` from this map if it had one."""
    found = set()
    for service in project.services:
        for layer in project.layers(service):
            maps = project.maps(layer)
            if service_map in maps and not find(maps[: maps.index(service_map)], "environment"):
                found.add(service)
    return found


def _creators(project: Project, service: str) -> list[tuple[Node, set[str]]]:
    """The maps that could give a service without `environment` one, and the services that would get it from there."""
    found = []
    for layer in project.layers(service):
        if project.setting(layer, "environment"):
            break
        for node in project.maps(layer):
            users = _heirs(project, node)
            # It must not come before an environment that one of them has from further behind.
            hidden = [
                other
                for user in users
                for other in project.layers(user)
                if node in project.maps(other) and project.setting(other, "environment")
            ]
            if not hidden:
                found.append((node, users))
    return found


def _shared(project: Project, service: str, name: str, node: Node, allowed: set[str]) -> MediaError:
    if node in project.containers(service):
        users = {other for other in project.services if node in project.containers(other)}
    else:
        users = _heirs(project, node)
    others = ", ".join(sorted(users - allowed)) or "another part of the file"
    return MediaError(
        f"{name} of {service} cannot be changed alone: what stands in line {node.line} is also what {others} gets. "
        f"Name {others} in services too, or give {service} an environment of its own."
    )


def _after(project: Project, change: Change) -> Project:
    """The file after a change, if that changed one place in its tree and nothing else."""
    text = project.bom + change.applied(project.text)
    try:
        after = Project(text.encode("utf-8"))
        same = _skeleton(project.root, change.place) == _skeleton(after.root, change.place)
    except MediaError as exc:
        raise _unsafe(change, str(exc)) from exc
    if not same:
        raise _unsafe(change, "something else would change with it")
    return after


def _unsafe(change: Change, reason: str) -> MediaError:
    return MediaError(
        f"Line {change.line}: {change.place[-1]} cannot be changed there ({reason.rstrip('.')}). Change it by hand."
    )


def _skeleton(node: Node, without: tuple[str, ...]) -> Any:
    """The tree as it can be compared, one place left out. Aliases stay aliases."""
    if node.kind == "alias":
        return ("*", node.anchor)
    if node.kind == "scalar":
        return (node.anchor, node.tag, node.text, not node.style)
    inside = node.path == without[:-1]
    children: list[Any] = []
    for key, value in node.pairs:
        if not (inside and key.real.text == without[-1]):
            children.append((_skeleton(key, without), _skeleton(value, without)))
    for item in node.items:
        if not (inside and item.real.text.partition("=")[0] == without[-1]):
            children.append(_skeleton(item, without))
    return (node.kind, node.anchor, node.tag, children)


def _check_result(
    before: Project, after: Project, services: Sequence[str], wanted: Mapping[str, Optional[str]]
) -> None:
    """Every service has what it had, and those named have what they shall have."""
    for service in before.services:
        expected = before.environment(service)
        if service in services:
            expected.update(wanted)
            expected = {
                name: value for name, value in expected.items() if not (name in wanted and wanted[name] is None)
            }
        if after.environment(service) != expected:
            raise MediaError(
                f"The environment of {service} would not be what it has to be afterwards. Change it by hand: this is a "
                "mistake of the collection, please report it."
            )
