# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether hosts that share a tree see the same one: what lies at its top, as a number and a digest."""

from __future__ import annotations

import hashlib
import os
from typing import NamedTuple

from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._sync.keys import shown
from ansible_collections.selfhosted.media.plugins.module_utils._sync.temporary import is_temporary


class Top(NamedTuple):
    """What lies at the top of a folder. Names alone: devices, inodes and times differ with the way that storage is mounted."""

    entries: int
    digest: str


def top_of(path: bytes) -> Top:
    """Read the folder itself, and of each folder in it whether it holds anything: storage may be mounted there as well."""
    try:
        with os.scandir(path) as found:
            names = sorted(entry.name + _kind(entry) for entry in found if not is_temporary(entry.name))
    except OSError as exc:
        raise MediaError(
            f"The folder {shown(path)} cannot be read on this host: {exc.strerror}. Mount the storage there, or leave the host out with --limit. "
            "Nothing was changed."
        ) from exc
    return Top(len(names), hashlib.sha256(b"\0".join(names)).hexdigest())


def _kind(entry: os.DirEntry[bytes]) -> bytes:
    """What tells a folder from a file, and one that holds something from an empty one."""
    if not entry.is_dir(follow_symlinks=False):
        return b""
    with os.scandir(entry.path) as inside:
        return b"/+" if next(inside, None) else b"/"
