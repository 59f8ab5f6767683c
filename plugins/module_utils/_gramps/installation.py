# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find the Gramps Web of this host, however it is installed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Optional

from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._gramps import docker, systemd
from ansible_collections.selfhosted.media.plugins.module_utils._gramps.settings import Installation, NoSuchService
from ansible_collections.selfhosted.media.plugins.module_utils._instance.command import CommandFailed
from ansible_collections.selfhosted.media.plugins.module_utils._instance.compose import NoAnswer, NoCompose
from ansible_collections.selfhosted.media.plugins.module_utils._instance.folders import check_open

__all__ = ["Installation", "find"]


def find(
    folder: Optional[str], kind: str = "auto", services: Sequence[str] = (), compose_file: str = ""
) -> Installation:
    """The installation that is meant. Raises MediaError when there is none, or more than one."""
    found: Optional[Installation] = None
    problem: Optional[MediaError] = None
    if kind in ("auto", "docker"):
        try:
            found = docker.find(folder, services, compose_file)
        except (NoAnswer, NoCompose, NoSuchService) as exc:
            problem = exc  # it only matters if there are no units either
    if kind == "systemd" or (kind == "auto" and (found is None or not found.running) and not compose_file):
        try:
            found = systemd.find(folder, services) or found
        except MediaError as exc:
            problem = problem if problem and isinstance(exc, (CommandFailed, NoSuchService)) else exc
    if found:
        return found
    if problem:
        raise problem
    if folder:
        check_open(folder)
    if folder and not os.path.isdir(folder):
        raise MediaError(
            f"gramps_web_dir {folder} is not a folder on this host, nor one that a container was made from"
        )
    raise MediaError(_nothing(folder, kind, services, compose_file))


def _nothing(folder: Optional[str], kind: str, services: Sequence[str], compose_file: str) -> str:
    searched = []
    if kind != "systemd":
        searched.append("no container runs gramps_webapi or has variables GRAMPSWEB_...")
        if folder or compose_file:
            searched.append(f"{compose_file or f'a compose file in {folder}'} defines no such service")
    if kind != "docker":
        searched.append("no unit of systemd starts gramps_webapi")
    named = f" with the services {', '.join(services)}" if services else ""
    return (
        f"no Gramps Web found{named}{f' in {folder}' if folder else ''}: {', '.join(searched)}; set gramps_web_dir to "
        "its folder, gramps_web_install_type to docker or systemd, or gramps_web_services to the services that run it"
    )
