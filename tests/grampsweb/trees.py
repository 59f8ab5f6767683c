# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gramps trees with media: clean ones, and every awkward case that a migration can meet.

A `Plan` says what a tree shall hold. With the media folder it becomes a `Tree`: rows as Gramps records them, and files.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Callable, Optional

from ansible_collections.selfhosted.media.tests.grampsweb import run_inside

MIMES = {"jpeg": "image/jpeg", "png": "image/png", "pdf": "application/pdf", "tiff": "image/tiff"}
SUFFIXES = {"jpeg": ".jpg", "png": ".png", "pdf": ".pdf", "tiff": ".tif"}
KINDS = tuple(MIMES)
#: Names as families give them: blanks, umlauts, folders in folders.
FOLDERS = ("", "Großeltern/", "scans 1890-1920/Hof/", "Sommer & Meer/Île de Ré/")
TITLES = ("Hochzeit", "grandma's house", "Kirchenbuch Seite", "été 1921")
#: Pictures of each kind that have pixels of their own.
PICTURES = 16


@dataclass(frozen=True)
class Row:
    """A media object as Gramps records it, and the file that lies under its path."""

    case: str
    path: str
    mime: str
    checksum: str
    #: what the file holds; None: there is no file, or another row has brought it
    content: Optional[bytes] = None
    private: bool = False
    handle: str = ""
    gramps_id: str = ""

    def recorded(self) -> dict[str, Any]:
        """What Gramps stores."""
        names = ("handle", "gramps_id", "path", "mime", "checksum", "private")
        return {"desc": f"{self.case} {self.gramps_id}", **{name: getattr(self, name) for name in names}}


def md5(content: bytes) -> str:
    """The checksum that Gramps records."""
    return hashlib.md5(content).hexdigest()


@functools.cache
def _pictures() -> dict[str, list[bytes]]:
    made = json.loads(run_inside("make_pictures.py", str(PICTURES)))
    return {kind: [base64.b64decode(text) for text in texts] for kind, texts in made.items()}


def picture(kind: str, number: int) -> bytes:
    """A real picture; each number is another file. Beyond PICTURES they differ only in bytes after the picture."""
    content = _pictures()[kind][number % PICTURES]
    return content if number < PICTURES else content + f"\n%{number}\n".encode()


@dataclass(frozen=True)
class Places:
    """Where the application sees a tree's media folder, and a folder beside it that is not its business."""

    base: str
    outside: str


def _row(case: str, kind: str, number: int, path: str = "", **changes: Any) -> Row:
    content = picture(kind, number)
    made = Row(
        case, path or f"{case}/{TITLES[number % 4]} {number}{SUFFIXES[kind]}", MIMES[kind], md5(content), content
    )
    return replace(made, **changes)


def clean(places: Places, count: int = 8) -> list[Row]:
    """As many files as wanted, of all kinds, each recorded as it is."""
    return [
        _row("clean", kind, n, f"{FOLDERS[n // 2 % 4]}{TITLES[n % 4]} {n}{SUFFIXES[kind]}")
        for n, kind in ((n, KINDS[n % 4]) for n in range(count))
    ]


def _missing(places: Places) -> list[Row]:
    return [_row("missing", "jpeg", 10, content=None), _row("missing", "pdf", 10, content=None)]


def _mismatch(places: Places) -> list[Row]:
    return [
        _row("mismatch", "jpeg", 11, checksum=md5(picture("jpeg", 12))),
        _row("mismatch", "tiff", 11, checksum=md5(b"older")),
    ]


def _empty_checksum(places: Places) -> list[Row]:
    return [_row("empty_checksum", "png", 10, checksum="")]


def _upper_case(places: Places) -> list[Row]:
    row = _row("upper_case", "jpeg", 13)
    return [replace(row, checksum=row.checksum.upper())]


def _same_path(places: Places) -> list[Row]:
    row = _row("same_path", "png", 11)
    return [row, replace(row, content=None)]


def _two_paths(places: Places) -> list[Row]:
    return [_row("two_paths", "jpeg", 14, f"two_paths/{name}.jpg") for name in ("first", "second")]


def _no_mime(places: Places) -> list[Row]:
    return [_row("no_mime", "tiff", 12, mime="")]


def _absolute_inside(places: Places) -> list[Row]:
    return [_row("absolute_inside", "jpeg", 15, f"{places.base}/absolute_inside/Vater.jpg")]


def _absolute_outside(places: Places) -> list[Row]:
    return [_row("absolute_outside", "png", 12, f"{places.outside}/absolute.png")]


def _leaves_base(places: Places) -> list[Row]:
    return [_row("leaves_base", "png", 13, "../leaves_base.png")]


def _private(places: Places) -> list[Row]:
    return [_row("private", "pdf", 11, private=True)]


CASES: dict[str, Callable[[Places], list[Row]]] = {
    "missing": _missing,
    "mismatch": _mismatch,
    "empty_checksum": _empty_checksum,
    "upper_case": _upper_case,
    "same_path": _same_path,
    "two_paths": _two_paths,
    "no_mime": _no_mime,
    "absolute_inside": _absolute_inside,
    "absolute_outside": _absolute_outside,
    "leaves_base": _leaves_base,
    "private": _private,
}
AWKWARD = tuple(CASES)
#: Cases after which every media object is served from the bucket as it was from disk.
HARMLESS = ("upper_case", "same_path", "two_paths", "no_mime", "absolute_inside", "private")


@dataclass(frozen=True)
class Plan:
    """What a tree shall hold: clean rows, awkward cases by name, files that no row knows."""

    name: str = "Gramps Web"
    clean: int = 8
    cases: tuple[str, ...] = ()
    unlisted: int = 0
    id: str = ""
    #: the database's own setting of the media folder, which Gramps desktop uses
    media_path: str = ""

    @property
    def tree_id(self) -> str:
        """The name of its folder below grampsdb: as Gramps desktop names them, if nothing else is given."""
        return self.id or hashlib.sha256(self.name.encode()).hexdigest()[:8]

    def tree(self, places: Places) -> Tree:
        """The tree for a media folder."""
        rows = [*clean(places, self.clean), *(row for case in self.cases for row in CASES[case](places))]
        numbered = [
            replace(row, handle=md5(f"{self.tree_id} {n}".encode())[:26], gramps_id=f"O{n:04}")
            for n, row in enumerate(rows)
        ]
        strays = {f"not in Gramps/{n}.png": picture("png", 500 + n) for n in range(self.unlisted)}
        return Tree(self.tree_id, self.name, places, numbered, strays, self.media_path)


@dataclass
class Tree:
    """A tree as it was made."""

    id: str
    name: str
    places: Places
    rows: list[Row]
    #: files below the media folder that are in no row
    unlisted: dict[str, bytes] = field(default_factory=dict)
    media_path: str = ""

    def case(self, *names: str) -> list[Row]:
        """The rows of some cases."""
        return [row for row in self.rows if row.case in names]

    def on_disk(self) -> dict[str, bytes]:
        """What lies under each recorded path."""
        return {row.path: row.content for row in self.rows if row.content is not None}

    def files(self, base: Path, outside: Path) -> Iterator[tuple[Path, bytes]]:
        """Every file of the tree, with the two folders as this machine sees them."""
        for row in self.rows:
            if row.content is None:
                continue
            inside = row.path.removeprefix(f"{self.places.base}/")
            beside = row.path.removeprefix(f"{self.places.outside}/")
            yield (base / inside if beside == row.path else outside / beside), row.content
        for name, content in self.unlisted.items():
            yield base / name, content

    def write_media(self, base: Path, outside: Path) -> None:
        """Write the files."""
        base.mkdir(parents=True, exist_ok=True)
        for path, content in self.files(base, outside):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


def make_databases(grampsdb: Path, trees: list[Tree]) -> None:
    """Have Gramps make the trees below grampsdb."""
    wanted = [
        {
            "id": tree.id,
            "name": tree.name,
            "media_path": tree.media_path,
            "rows": [row.recorded() for row in tree.rows],
        }
        for tree in trees
    ]
    home = grampsdb.parent / "gramps-home"
    home.mkdir(parents=True, exist_ok=True)
    run_inside(
        "make_trees.py",
        given=json.dumps({"grampsdb": str(grampsdb), "trees": wanted}),
        environment={"GRAMPSHOME": str(home)},
    )


def change_row(grampsdb: Path, tree: str, handle: str, **values: str) -> None:
    """Change path, mime or checksum of a row behind the application's back, in both places where Gramps has them."""
    connection = sqlite3.connect(grampsdb / tree / "sqlite.db")
    with closing(connection), connection:
        for name, value in values.items():
            done = connection.execute(
                f"UPDATE media SET {name} = ?, json_data = json_set(json_data, '$.{name}', ?) WHERE handle = ?",
                (value, value, handle),
            )
            if done.rowcount != 1:
                raise KeyError(f"tree {tree} has no media object {handle}")
