# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a family tree's database says of its media."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Optional


class Row(NamedTuple):
    """A media object of Gramps: what its file is called and under which checksum it is stored."""

    handle: str
    gramps_id: str
    path: str
    mime: str
    checksum: str

    @property
    def name(self) -> str:
        """What the row is called in messages."""
        return f"{self.gramps_id} ({self.path})"


@dataclass(frozen=True)
class FamilyTree:
    """A family tree with the rows of its media."""

    tree_id: str
    name: str
    rows: list[Row]
    #: the folder of its database; nothing when it was read through the Web API
    folder: str = ""
    #: the base of relative paths that the database itself records; None when it records none
    media_path: Optional[str] = None
