# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Family trees as Gramps keeps them, made by hand in no time: what the modules read of them and nothing else."""

from __future__ import annotations

import hashlib
import json
import pickle
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Optional


def md5(data: bytes) -> str:
    return hashlib.md5(data).hexdigest()


class Tree:
    """A family tree below a grampsdb, and the folder that its files lie in."""

    def __init__(
        self, grampsdb: Path, media: Path, tree_id: str = "5f3e1a2b", name: str = "Müller", release: int = 6
    ) -> None:
        self.id, self.name, self.media, self.release = tree_id, name, media, release
        self.folder = grampsdb / tree_id
        self.folder.mkdir(parents=True)
        media.mkdir(parents=True, exist_ok=True)
        (self.folder / "name.txt").write_text(name + "\n")
        (self.folder / "database.txt").write_text("sqlite\n")
        column = "json_data TEXT" if release == 6 else "value BLOB"
        rows = (
            "gramps_id TEXT, json_data TEXT" if release == 6 else "gramps_id TEXT, path TEXT, mime TEXT, checksum TEXT"
        )
        self._do(f"CREATE TABLE media (handle TEXT PRIMARY KEY, {rows})")
        self._do(f"CREATE TABLE metadata (setting TEXT PRIMARY KEY, {column})")

    def _do(self, statement: str, *values: object) -> list[tuple[object, ...]]:
        with sqlite3.connect(self.folder / "sqlite.db") as database:
            return database.execute(statement, values).fetchall()

    def add(
        self,
        path: str,
        data: Optional[bytes] = None,
        *,
        checksum: Optional[str] = None,
        mime: str = "image/jpeg",
        at: Optional[Path] = None,
    ) -> str:
        """A row, with its file unless data is None; returns its Gramps ID."""
        number = int(str(self._do("SELECT count(*) FROM media")[0][0]))
        if data is not None:
            file = at or self.media / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
        recorded = checksum if checksum is not None else md5(data or b"gone")
        row = {"handle": f"h{number}", "gramps_id": f"O{number:04}", "path": path, "mime": mime, "checksum": recorded}
        if self.release == 6:
            self._do(
                "INSERT INTO media (handle, gramps_id, json_data) VALUES (?,?,?)",
                *list(row.values())[:2],
                json.dumps(row),
            )
        else:
            self._do("INSERT INTO media VALUES (?,?,?,?,?)", *row.values())
        return f"O{number:04}"

    def add_all(self, files: Iterable[tuple[str, bytes]]) -> None:
        """Many rows with their files, at once."""
        rows = []
        for number, (path, data) in enumerate(files):
            file = self.media / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
            row = {
                "handle": f"h{number}",
                "gramps_id": f"O{number:05}",
                "path": path,
                "mime": "image/jpeg",
                "checksum": md5(data),
            }
            rows.append((row["handle"], row["gramps_id"], json.dumps(row)))
        with sqlite3.connect(self.folder / "sqlite.db") as database:
            database.executemany("INSERT INTO media (handle, gramps_id, json_data) VALUES (?,?,?)", rows)

    def set_media_path(self, path: Optional[str]) -> None:
        """The base of relative paths that the database records."""
        told = json.dumps({"type": "str", "value": path}) if self.release == 6 else pickle.dumps(path)
        self._do("REPLACE INTO metadata VALUES ('media-path', ?)", told)
