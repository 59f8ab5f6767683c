# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run will need the right to, and whether this user has it: told all at once, before anything changes."""

from __future__ import annotations

import contextlib
import os
import pwd
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Optional

from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._instance.command import CommandFailed, Runner
from ansible_collections.selfhosted.media.plugins.module_utils._instance.compose import user_name
from ansible_collections.selfhosted.media.plugins.module_utils._instance.lock import path_of_lock
from ansible_collections.selfhosted.media.plugins.module_utils._instance.units import show

#: Of the modules that look at an instance.
PRIVILEGE_ARGUMENTS: dict[str, dict[str, Any]] = {
    "needs": {"type": "list", "elements": "str", "default": [], "choices": ["settings", "media", "database"]},
    "own_commands": {"type": "bool", "default": False},
}
#: How many folders are looked into, and at how many files in each: a tree has its modes from whoever made it.
_FOLDERS, _FILES = 100, 5


@dataclass(frozen=True)
class Touched:
    """What of an instance a run touches, by what it needs beside reading the media."""

    folder: str
    needs: Sequence[str]
    settings: str = ""
    media_dir: str = ""
    #: whether files right in the media folder are media
    flat: bool = False
    database: str = ""
    #: as whom the instance's commands run
    user: str = ""
    #: what systemd is to stop and start
    units: Sequence[str] = ()

    def lacks(self) -> list[str]:
        """A sentence for each right that this user lacks; none for root."""
        if os.geteuid() == 0:
            return []
        found = [*self._of_settings()] if self.settings else []
        found += self._of_tree(self.media_dir, "media folder", 0 if self.flat else 1, "media" in self.needs)
        if "database" in self.needs:
            found += self._of_tree(self.database, "folder of databases", 0, False)
        if "settings" in self.needs and self.units:
            found += _of_units(self.units)
        if self.user and self.user != user_name() and self.needs:
            found.append(f"the instance's commands run as {self.user}, not as {user_name()}: {_remedy(self.user)}")
        found += self._of_lock()
        return found

    def _of_lock(self) -> Iterator[str]:
        path = path_of_lock(self.folder)
        usable = (
            os.access(path, os.R_OK) if os.path.exists(path) else os.access(os.path.dirname(path), os.W_OK | os.X_OK)
        )
        if not usable:
            yield f"the lock of the instance, {path}, is closed to {user_name()}: {_remedy('')}"

    def _of_settings(self) -> Iterator[str]:
        path, me = os.path.realpath(self.settings), user_name()
        owner, folder = _owner(path), os.path.dirname(path)
        if not os.access(folder, os.X_OK) or (os.path.exists(path) and not os.access(path, os.R_OK)):
            yield f"{path} is not readable for {me}: {_remedy(owner)}"
        if "settings" not in self.needs:
            return
        # Where the settings are a link, the former ones are kept beside it.
        for place in dict.fromkeys((folder, os.path.dirname(os.path.abspath(self.settings)))):
            if not os.access(place, os.W_OK | os.X_OK):
                yield (
                    f"{place} is not writable for {me}, where {os.path.basename(path)} is written anew and the former one kept beside it:"
                    f" {_remedy(_owner(place))}"
                )
        if owner and owner != me:
            yield f"{path} belongs to {owner}, and written by {me} it would not any more: {_remedy(owner)}"

    def _of_tree(self, root: str, what: str, depth: int, written: bool) -> Iterator[str]:
        closed = _closed(root, depth) if root else None
        if closed:
            where = f"the {what} {root}" if closed == root else f"{closed} in the {what}"
            why = ", because docker keeps its volumes where root alone comes" if "/docker/volumes/" in root else ""
            yield f"{where} is closed to {user_name()}{why}: {_remedy(_owner(closed))}"
        elif root and written and os.path.isdir(root) and not os.access(root, os.W_OK):
            yield f"the {what} {root} is not writable for {user_name()}: {_remedy(_owner(root))}"


def checklist(lacks: Sequence[str]) -> str:
    """What is to be said of a run that lacks this."""
    return "The user of this run lacks what it needs:\n- " + "\n- ".join(lacks) + "\n- Nothing was changed."


def with_lacks(problem: MediaError, touched: Touched) -> MediaError:
    """The problem, and what else is closed to this user where that was the problem."""
    lacks = touched.lacks() if "permission denied" in str(problem).lower() else []
    told = [
        lack
        for lack in lacks
        if f"{touched.settings} is not readable" not in lack or touched.settings not in str(problem)
    ]
    return MediaError(checklist([str(problem).rstrip("."), *told])) if told else problem


def _remedy(owner: str) -> str:
    other = f", or as {owner} (--become --become-user {owner})" if owner not in ("", "root", user_name()) else ""
    return f"run as root (--become){other}"


def _owner(path: str) -> str:
    """Whose a file is; empty where that is not told."""
    try:
        uid = os.stat(path).st_uid
    except OSError:
        return ""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _closed(root: str, depth: int) -> Optional[str]:
    """The first folder or file of a sample that cannot be read; files count from this depth on."""
    if not _exists_or_hidden(root):
        return None
    waiting = [(root, 0)]
    for _folder in range(_FOLDERS):
        if not waiting:
            return None
        folder, level = waiting.pop(0)
        if not os.access(folder, os.R_OK | os.X_OK):
            return folder
        files = 0
        with contextlib.suppress(OSError), os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append((entry.path, level + 1))
                elif level >= depth and files < _FILES and entry.is_file(follow_symlinks=False):
                    files += 1
                    if not os.access(entry.path, os.R_OK):
                        return entry.path
    return None


def _exists_or_hidden(path: str) -> bool:
    try:
        os.stat(path)
    except PermissionError:
        return True
    except OSError:
        return False
    return True


def _of_units(units: Sequence[str]) -> list[str]:
    """Whether systemd lets this user start and stop units: one that runs is started, which changes nothing."""
    try:
        active = [str(unit["Id"]) for unit in show(units, "Id,ActiveState") if unit.get("ActiveState") == "active"]
        if active:
            # without the units that they want, which may be stopped on purpose
            command = ["systemctl", "--no-ask-password", "--job-mode=ignore-dependencies", "start", *active]
            Runner("/", timeout=60).run(command, "asking systemd for the right to restart")
    except CommandFailed as exc:
        said = re.search(r"Failed to start \S+: ([^\n]*?)\.?$", str(exc), re.MULTILINE)
        reason = said[1] if said else str(exc)
        return [
            f"{user_name()} may not restart {' '.join(units)} (systemd: {reason}): run as root (--become), set the role's stop_command and"
            f" start_command to what {user_name()} may run, as with sudo -n, or allow it by a rule of polkit"
        ]
    return []
