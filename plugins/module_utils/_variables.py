# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the modules that change variables in a file have in common: their options, and the writing of the file."""

from __future__ import annotations

import os
import time
from typing import Any, Optional

from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._io import keep_copy, write_atomically


def plain(name: str, value: Any) -> str:
    """The text of a value as YAML gave it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, str)):
        return str(value)
    if value is None:
        raise MediaError(f"{name} has no value: give '' for an empty one, or name it in absent to remove it.")
    kind = {"float": "a fractional number", "list": "a list", "dict": "a dictionary"}.get(
        type(value).__name__, "no text"
    )
    raise MediaError(f"The value of {name} is {kind}: put it in quotes, as it shall stand in the file.")


def wanted(params: dict[str, Any]) -> dict[str, str]:
    """The variables to set, if no option contradicts another."""
    named = [*params["values"], *params["secret_values"], *dict.fromkeys(params["absent"])]
    twice = sorted({name for name in named if named.count(name) > 1})
    if twice:
        raise MediaError(f"Named in more than one of values, secret_values and absent: {', '.join(twice)}.")
    return {name: plain(name, value) for name, value in {**params["values"], **params["secret_values"]}.items()}


def replace_file(path: str, content: bytes, keep: bool) -> Optional[str]:
    """Give the file its new content; the path of the copy of the old one, if one is kept."""
    backup = None
    if keep:
        # The names that Ansible's own modules give to backups.
        backup = f"{path}.{os.getpid()}.{time.strftime('%Y-%m-%d@%H:%M:%S')}~"
        keep_copy(path, backup)
    try:
        write_atomically(path, content)
    except MediaError:
        if backup:
            os.unlink(backup)  # of a file that is still there; else every attempt would leave one
        raise
    return backup
