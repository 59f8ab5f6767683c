# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find the BookWyrm of this host, however it is installed."""

from __future__ import annotations

from typing import Optional

from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._instance import docker, systemd
from ansible_collections.selfhosted.media.plugins.module_utils._instance.bookwyrm import Installation
from ansible_collections.selfhosted.media.plugins.module_utils._instance.command import CommandFailed
from ansible_collections.selfhosted.media.plugins.module_utils._instance.compose import NoAnswer, NoCompose
from ansible_collections.selfhosted.media.plugins.module_utils._instance.folders import (
    NotBookWyrm,
    check_folder,
    check_is_bookwyrm,
)

#: What is wrong with docker only matters if there are no units either: it may be there for something else.
_OF_DOCKER = (NoAnswer, NoCompose, NotBookWyrm)


def find(folder: Optional[str], kind: str = "auto", media_dir: str = "") -> Installation:
    """The installation that is meant. Raises MediaError when there is none, or more than one."""
    if folder:
        check_folder(folder)
    found: Optional[Installation] = None
    problems: list[MediaError] = []
    if kind in ("auto", "docker"):
        try:
            found = docker.find(folder, media_dir)
        except _OF_DOCKER as exc:
            problems.append(exc)
    # A folder that holds a compose file and runs by units is a dockerless install of the same code.
    if kind == "systemd" or (kind == "auto" and (found is None or not found.running)):
        try:
            found = systemd.find(folder) or found
        except MediaError as exc:
            if kind == "systemd":
                raise
            problems.append(exc)  # it only matters if no containers are found: the units may be another folder's
    if found is None:
        raise _first(problems, folder)
    return found


def _first(problems: list[MediaError], folder: Optional[str]) -> MediaError:
    """What is to be said where nothing was found."""
    of_units = [problem for problem in problems if not isinstance(problem, (*_OF_DOCKER, CommandFailed))]
    if folder:
        try:
            check_is_bookwyrm(folder)
        except NotBookWyrm as exc:
            return of_units[0] if of_units else exc
    # Of units in another folder nothing is wrong here.
    return next(
        iter([problem for problem in of_units if not isinstance(problem, systemd.OtherFolder)] + problems),
        MediaError(
            "no BookWyrm found: no compose project runs it, and no unit bookwyrm.service is loaded; "
            "set bookwyrm_dir to its folder, and bookwyrm_install_type to docker or systemd"
        ),
    )
