# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read family trees from Gramps' SQLite databases. Nothing is ever written there."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pickle
import re
import sqlite3
import urllib.parse
from collections.abc import Sequence
from typing import Any, Optional

from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._gramps.rows import FamilyTree, Row

#: Where Gramps keeps its trees: since 6.0, and before (gramps/gen/const.py).
_USUAL = ("~/.local/share/gramps/grampsdb", "~/.gramps/grampsdb")
#: Seconds to wait for whoever is writing to a database.
LOCK_TIMEOUT = 30.0
#: Stands for all trees.
ALL = "*"


def find_grampsdb(given: str = "") -> str:
    """The folder of the trees: the one given, or the one where Gramps keeps them. Raises MediaError."""
    if given:
        if not os.path.isdir(given):
            raise MediaError(
                f"grampsdb: {given} is not a folder; give the folder that holds a folder for each family tree"
            )
        return given
    usual = [os.path.expanduser(path) for path in _USUAL]
    found = next((path for path in usual if os.path.isdir(path)), "")
    if not found:
        raise MediaError(f"no family trees in {' or '.join(usual)}; give the folder that holds them as grampsdb")
    return found


def holds_sqlite(grampsdb: str) -> bool:
    """Whether any family tree in a folder is kept in SQLite."""
    if not os.path.isdir(grampsdb):
        return False
    return any(_text(os.path.join(grampsdb, one, "database.txt")) == "sqlite" for one in os.listdir(grampsdb))


def read_trees(grampsdb: str, wanted: Sequence[str] = ()) -> list[FamilyTree]:
    """The trees with these names or ids, or the only one there is; * stands for all. Raises MediaError."""
    names = _names(grampsdb)
    if not names:
        raise MediaError(f"there is no family tree in {grampsdb}")
    if ALL in wanted:
        chosen = sorted(names)
    elif wanted:
        chosen = [_chosen(grampsdb, names, one) for one in dict.fromkeys(wanted)]
    elif len(names) == 1:
        chosen = list(names)
    else:
        raise MediaError(f"{grampsdb} holds several family trees: {_listed(names)}; say by tree which one is meant")
    return [_read(os.path.join(grampsdb, tree_id), tree_id, names[tree_id]) for tree_id in chosen]


def _names(grampsdb: str) -> dict[str, str]:
    """The name of each tree by its id, which is the name of its folder."""
    try:
        folders = sorted(os.listdir(grampsdb))
    except OSError as exc:
        raise MediaError(f"{grampsdb} cannot be read: {exc.strerror}") from exc
    names: dict[str, str] = {}
    for folder in folders:
        name = _text(os.path.join(grampsdb, folder, "name.txt"))
        if name is not None:
            names[folder] = name
    return names


def _text(path: str) -> Optional[str]:
    """The first line of a file; None if there is no such file."""
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.readline().strip()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as exc:
        raise MediaError(f"{path} cannot be read: {exc.strerror}") from exc


def _chosen(grampsdb: str, names: dict[str, str], wanted: str) -> str:
    if wanted in names:
        return wanted
    found = [tree_id for tree_id, name in names.items() if name == wanted]
    if len(found) == 1:
        return found[0]
    if found:
        raise MediaError(
            f"{len(found)} family trees are called {wanted}: give the id of one: {', '.join(sorted(found))}"
        )
    raise MediaError(f"{grampsdb} holds no family tree {wanted}; there is {_listed(names)}")


def _listed(names: dict[str, str]) -> str:
    return ", ".join(f"{name} ({tree_id})" for tree_id, name in sorted(names.items()))


def _read(folder: str, tree_id: str, name: str) -> FamilyTree:
    backend = _text(os.path.join(folder, "database.txt")) or "none"
    if backend != "sqlite":
        raise MediaError(
            f"family tree {name} ({tree_id}) is kept in {backend}, not in SQLite; let its media be read through the Web "
            "API: give url, user and password"
        )
    path = os.path.join(folder, "sqlite.db")
    if not os.path.exists(path):
        raise MediaError(f"family tree {name} ({tree_id}) has no database: {path} is not there; is the volume mounted?")
    address = f"file:{urllib.parse.quote(os.path.abspath(path))}?mode=ro"
    try:
        with contextlib.closing(sqlite3.connect(address, uri=True, timeout=LOCK_TIMEOUT)) as database:
            database.text_factory = _text_of
            return FamilyTree(tree_id, name, _rows(database), folder, _media_path(database))
    except ValueError as exc:
        raise MediaError(f"the database of family tree {name} ({tree_id}) holds a row that is not JSON: {exc}") from exc
    except sqlite3.Error as exc:
        raise MediaError(f"the database of family tree {name} ({tree_id}) cannot be read: {exc}{_advice(exc)}") from exc


def _rows(database: sqlite3.Connection) -> list[Row]:
    """The rows of the media. Since Gramps 6.0 the application reads their JSON; the columns beside it are for looking up."""
    columns = {row[1] for row in database.execute("PRAGMA table_info(media)")}
    if "json_data" not in columns:
        rows = database.execute("SELECT handle, gramps_id, path, mime, checksum FROM media ORDER BY gramps_id")
        return [Row(*(value or "" for value in row)) for row in rows]
    found = [json.loads(row[0]) for row in database.execute("SELECT json_data FROM media ORDER BY gramps_id")]
    return [Row(*(str(one.get(name) or "") for name in Row._fields)) for one in found]


def _advice(exc: sqlite3.Error) -> str:
    if "locked" in str(exc):
        return f" for {LOCK_TIMEOUT:.0f} s; wait until whoever is writing to it has ended (an import?), then run again"
    if "no such" in str(exc):
        return "; it is not one of Gramps 5.2 or 6: open it with a newer Gramps once"
    return ""


def _text_of(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _media_path(database: sqlite3.Connection) -> Optional[str]:
    """The setting media-path: JSON since Gramps 6.0, a pickled string before."""
    columns = {row[1] for row in database.execute("PRAGMA table_info(metadata)")}
    for column, decode in (("json_data", _from_json), ("value", _from_pickle)):
        if column not in columns:
            continue
        row = database.execute(f"SELECT {column} FROM metadata WHERE setting = 'media-path'").fetchone()  # noqa: S608
        if row is not None and row[0] is not None:
            value = decode(row[0])
            return value if isinstance(value, str) else None
    return None


def _from_json(text: str) -> Any:
    try:
        return json.loads(text).get("value")
    except (ValueError, AttributeError):
        return None


class _OnlyText(pickle.Unpickler):
    """Builds no objects: what a string is pickled as needs none."""

    def find_class(self, _module: str, _name: str) -> Any:
        raise pickle.UnpicklingError("only text is expected here")


def _from_pickle(data: Any) -> Any:
    try:
        return _OnlyText(io.BytesIO(bytes(data))).load()
    except (pickle.UnpicklingError, EOFError, TypeError, ValueError):
        return None


def media_base(tree: FamilyTree) -> str:
    """The folder that a tree's relative paths start from, as the desktop finds it (gramps.gen.utils.file.expand_media_path)."""
    path = tree.media_path
    if path is None:
        return _pictures()
    known = {**os.environ, "GRAMPSHOME": os.environ.get("GRAMPSHOME", os.path.expanduser("~"))}
    path = re.sub(r"\{(\w+)\}", lambda match: known.get(match[1], match[0]), path)
    if not os.path.isabs(path):
        path = os.path.join(os.path.abspath(tree.folder or os.path.expanduser("~")), path)
    return os.path.normpath(path)


def _pictures() -> str:
    """The user's folder for pictures (freedesktop.org, xdg-user-dirs), or the one where Gramps keeps everything else."""
    home = os.path.expanduser("~")
    config = os.environ.get("XDG_CONFIG_HOME") or os.path.join(home, ".config")
    try:
        with open(os.path.join(config, "user-dirs.dirs"), encoding="utf-8") as stream:
            found = re.findall(r'^XDG_PICTURES_DIR="(.*)"', stream.read(), re.MULTILINE)
    except OSError:
        found = []
    if found:
        return os.path.normpath(os.path.join(home, found[-1].replace("$HOME", home)))
    return os.path.join(os.environ.get("XDG_DATA_HOME") or os.path.join(home, ".local/share"), "gramps")
