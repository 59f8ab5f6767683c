# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which object stands in for a file of the disk: the one that the family trees' rows mean by it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass

from ansible_collections.selfhosted.media.plugins.module_utils._gramps.survey import Survey
from ansible_collections.selfhosted.media.plugins.module_utils._sync.proof import Unproven
from ansible_collections.selfhosted.media.plugins.module_utils._sync.walk import LocalFile


def named_in(surveys: Iterable[Survey]) -> dict[str, dict[bytes, set[bytes]]]:
    """For each media folder, the keys that rows mean by each file in it, by its name below the folder."""
    folders: dict[str, dict[bytes, set[bytes]]] = {}
    for one in surveys:
        folder, place = one.place.media_dir, one.place
        if not os.path.isdir(folder):
            continue
        names = folders.setdefault(folder, {})
        for row in one.tree.rows:
            path = place.path_of(row.path)
            if path is not None and row.checksum:
                name = os.fsencode(os.path.relpath(path, folder))
                names.setdefault(name, set()).add(place.key_of(row.checksum))
    return folders


@dataclass
class Named:
    """What Cleanup asks about a file."""

    names: dict[bytes, set[bytes]]

    def why_kept(self, name: bytes) -> str:
        """The reason why a file stays, whatever is in the bucket."""
        keys = self.names.get(name)
        if not keys:
            return "no family tree names it"
        return "family trees record several checksums for it" if len(keys) > 1 else ""

    def key_of(self, file: LocalFile, _md5: str) -> bytes:
        """The key under which Gramps Web looks for it."""
        keys = self.names.get(file.key)
        if not keys:
            raise Unproven("linked", "no family tree names it")
        return next(iter(keys))
