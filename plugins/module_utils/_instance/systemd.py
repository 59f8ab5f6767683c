# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A BookWyrm installed without containers: units of systemd and a virtual environment."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Mapping
from typing import Optional

from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._instance.bookwyrm import (
    EMPTY_PROXY_CACHE,
    Installation,
    media_below,
    read_release,
    read_settings,
    themes_and_static,
)
from ansible_collections.selfhosted.media.plugins.module_utils._instance.units import address, show

#: In the order in which they are started. The worker and the scheduler write media too.
UNITS = ("bookwyrm.service", "bookwyrm-worker.service", "bookwyrm-scheduler.service")
_PROPERTIES = "Id,LoadState,ActiveState,User,WorkingDirectory,ExecStart,ActiveEnterTimestamp,MainPID"


class OtherFolder(MediaError):
    """The units run in another folder than the one that is meant."""


def find(folder: Optional[str]) -> Optional[Installation]:
    """The installation whose units are loaded, or None."""
    if shutil.which("systemctl") is None:
        return None
    units = {name: _unit(name) for name in UNITS}
    loaded = [name for name, unit in units.items() if unit.get("LoadState") == "loaded"]
    if UNITS[0] not in loaded:
        return None
    web = units[UNITS[0]]
    home = web.get("WorkingDirectory") or folder or "/opt/bookwyrm"
    if folder and os.path.realpath(folder) != os.path.realpath(home):
        raise OtherFolder(f"{UNITS[0]} runs in {home}, not in {folder}; set bookwyrm_dir to {home}")
    settings, release = read_settings(home), read_release(home)
    started = web.get("ExecStart", "")
    python = _python(started, home)
    active = [name for name in loaded if units[name].get("ActiveState") in ("active", "activating", "reloading")]
    return Installation(
        install_type="systemd",
        folder=home,
        media_dir=media_below(home, settings),
        exports_dir=os.path.join(home, "exports"),
        user=web.get("User") or None,
        running=bool(active),
        restart_needed=any(_older_than(units[name], settings.path) for name in active),
        manage=[python, "manage.py"],
        manage_running=[python, "manage.py"],
        static=["/bin/sh", "-c", themes_and_static(release, python)],
        stop=["systemctl", "stop", *reversed(loaded)],
        start=["systemctl", "start", *loaded],
        is_failed=["systemctl", "is-failed", UNITS[0]],
        purge_proxy=["/bin/sh", "-c", EMPTY_PROXY_CACHE],
        prepare=[],
        health_url=address(started),
        health_command=[],
    )


def _unit(name: str) -> Mapping[str, str]:
    return show([name], _PROPERTIES)[0]


def _python(exec_start: str, home: str) -> str:
    """The interpreter beside the program that the unit starts."""
    found = re.search(r"path=(\S+)", exec_start)
    folder = os.path.dirname(found.group(1)) if found else os.path.join(home, "venv", "bin")
    python = os.path.join(folder, "python")
    if not os.path.exists(python):
        raise MediaError(f"no Python at {python}, beside the program of {UNITS[0]}; set bookwyrm_manage_command")
    return python


def _older_than(unit: Mapping[str, str], path: str) -> bool:
    """Whether a unit was started before a file was changed: the settings are read once, at the start."""
    try:
        started = _start_of(int(unit.get("MainPID") or 0))
    except (OSError, ValueError, IndexError):
        return False
    return started < os.stat(path).st_mtime


def _start_of(pid: int) -> float:
    """When a process was started. The times of its folder in /proc tell only when somebody first looked there."""
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
        ticks = int(file.read().rpartition(")")[2].split()[19])
    booted = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    return booted + ticks / os.sysconf("SC_CLK_TCK")
