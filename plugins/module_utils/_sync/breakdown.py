# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sum up files and bytes by a name, such as that of a folder. Small however many names there are."""

from __future__ import annotations

from ansible_collections.selfhosted.media.plugins.module_utils._sync.keys import shown

#: Names that are told apart while counting, and those that are told in the end; all others are one.
_COUNTED = 200
_TOLD = 20
_OTHER = b"other"
_LONGEST = 80


class Breakdown:
    """Files and bytes by name."""

    def __init__(self) -> None:
        self._sums: dict[bytes, list[int]] = {}

    def add(self, name: bytes, size: int, files: int = 1) -> None:
        """Count a file of a name, or several."""
        sums = self._sums.get(name)
        if sums is None:
            if len(self._sums) >= _COUNTED:
                name = _OTHER
            sums = self._sums.setdefault(name, [0, 0])
        sums[0] += files
        sums[1] += size

    def merge(self, other: Breakdown) -> None:
        """Take over what another one has counted."""
        for name, (files, size) in other._sums.items():
            self.add(name, size, files)

    def told(self) -> dict[str, dict[str, int]]:
        """The names with most bytes, those first, and all others as one; plain data."""
        rest = self._sums.get(_OTHER, [0, 0])
        names = [name for name in self._sums if name != _OTHER]
        names.sort(key=lambda name: (-self._sums[name][1], -self._sums[name][0], name))
        if len(names) + bool(rest[0]) > _TOLD:
            left_out = [self._sums[name] for name in names[_TOLD - 1 :]]
            names = names[: _TOLD - 1]
            rest = [rest[0] + sum(files for files, _size in left_out), rest[1] + sum(size for _files, size in left_out)]
        told = {shown(name)[:_LONGEST]: self._sums[name] for name in names}
        if rest[0]:
            told[_OTHER.decode()] = rest
        return {name: {"files": files, "bytes": size} for name, (files, size) in told.items()}
