# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a folder is that somebody takes for a BookWyrm's."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._instance.compose import USUAL_FILES, user_name

#: Where its settings are and were: no other application has them.
_ITS_FILES = ("bookwyrm/settings.py", "celerywyrm/settings.py")


class NotBookWyrm(MediaError):
    """A folder that holds something else, or nothing."""


def check_folder(path: str) -> None:
    """Raise MediaError for what is no folder, or one that this user must not look into."""
    check_open(path)
    if not os.path.exists(path):
        raise MediaError(f"bookwyrm_dir {path} is not a folder on this host")
    if not os.path.isdir(path):
        raise MediaError(
            f"bookwyrm_dir {path} is a file; set it to the folder of the instance, in which BookWyrm's manage.py and .env lie"
        )


def check_open(path: str) -> None:
    """Raise MediaError for a folder that this user must not look into."""
    try:
        closed = stat.S_ISDIR(os.stat(path).st_mode) and not os.access(path, os.R_OK | os.X_OK)
    except OSError as exc:
        closed = isinstance(exc, PermissionError)
    if closed:
        raise MediaError(
            f"{path} is closed to the user {user_name()} (permission denied); run as root (--become) or as the user of the instance"
        )


def is_bookwyrm(folder: str) -> bool:
    return any(os.path.exists(os.path.join(folder, name)) for name in _ITS_FILES)


def check_is_bookwyrm(folder: str) -> None:
    """Raise NotBookWyrm, with what the folder is instead, or where an instance is close by."""
    if is_bookwyrm(folder):
        return
    close_by = next(filter(is_bookwyrm, _around(folder)), "")
    if close_by:
        raise NotBookWyrm(f"{folder} is not the folder of a BookWyrm, {close_by} is; set bookwyrm_dir to {close_by}")
    composed = [name for name in USUAL_FILES if os.path.exists(os.path.join(folder, name))]
    holds = f"a {composed[0]}, but of another application" if composed else "nothing of it"
    raise NotBookWyrm(
        f"{folder} is not the folder of a BookWyrm: it holds {holds} (there is no {_ITS_FILES[0]}); set bookwyrm_dir to the folder in which"
        " BookWyrm's manage.py and .env lie"
    )


def _around(folder: str) -> Iterator[str]:
    """The folders above, and those in it."""
    above = os.path.dirname(os.path.abspath(folder))
    while above != os.path.dirname(above):
        yield above
        above = os.path.dirname(above)
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return
    yield from (os.path.join(folder, name) for name in names)
