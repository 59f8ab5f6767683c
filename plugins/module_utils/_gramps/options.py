# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of the modules about the media of family trees; documented in the fragment selfhosted.media.gramps."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Callable

from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._gramps.database import (
    ALL,
    find_grampsdb,
    holds_sqlite,
    media_base,
    read_trees,
)
from ansible_collections.selfhosted.media.plugins.module_utils._gramps.media import ON_MISMATCH, StoredMedia
from ansible_collections.selfhosted.media.plugins.module_utils._gramps.rows import FamilyTree
from ansible_collections.selfhosted.media.plugins.module_utils._gramps.survey import Place
from ansible_collections.selfhosted.media.plugins.module_utils._gramps.webapi import WebApi
from ansible_collections.selfhosted.media.plugins.module_utils._objects.explicit import access_to
from ansible_collections.selfhosted.media.plugins.module_utils._s3.client import Connection
from ansible_collections.selfhosted.media.plugins.module_utils._sync.keys import clean_prefix
from ansible_collections.selfhosted.media.plugins.module_utils._tree_options import concurrency_of

GRAMPS_ARGUMENTS: dict[str, dict[str, Any]] = {
    "grampsdb": {"type": "path"},
    "tree": {"type": "str", "default": ""},
    "trees": {"type": "list", "elements": "str", "default": []},
    "url": {"type": "str", "default": ""},
    "user": {"type": "str", "default": ""},
    "password": {"type": "str", "default": "", "no_log": True},
    "media_dir": {"type": "path"},
    "media_prefix_tree": {"type": "bool", "default": False},
    "path_map": {"type": "dict", "default": {}},
    "bucket": {"type": "str", "required": True},
    "prefix": {"type": "str", "default": ""},
    "on_mismatch": {"type": "str", "default": "fail", "choices": list(ON_MISMATCH)},
    "missing_allowed": {"type": "bool", "default": False},
    "allow_shared": {"type": "bool", "default": False},
    "compare": {"type": "str", "default": "size", "choices": ["size", "checksum"]},
    "concurrency": {"type": "int"},
}


def media_of(params: Mapping[str, Any], connection: Connection, **rest: Any) -> StoredMedia:
    """The media that these options describe; the rest is StoredMedia's. Raises MediaError for values that make no sense."""
    if not params["bucket"].strip():
        raise MediaError("bucket is empty; give the bucket's name")
    return StoredMedia(
        # A service that does not answer is told at once, rather than while the site stands still.
        access_to(connection, params["bucket"], connect_timeout=10),
        _reader(params),
        lambda tree: place_of(params, tree),
        on_mismatch=params["on_mismatch"],
        missing_allowed=params["missing_allowed"],
        checksum=params["compare"] == "checksum",
        concurrency=concurrency_of(params),
        max_parts=connection.known.max_parts,
        reads_files=_reads_files(params),
        **rest,
    )


def _reads_files(params: Mapping[str, Any]) -> bool:
    """Whether the databases are read, and not the Web API asked, which is for those that are not SQLite."""
    return not params["url"] or (bool(params["grampsdb"]) and holds_sqlite(params["grampsdb"]))


def _reader(params: Mapping[str, Any]) -> Callable[[], list[FamilyTree]]:
    if params["tree"] and params["trees"]:
        raise MediaError("tree and trees both say which family trees are meant; give one of the two")
    wanted = [params["tree"]] if params["tree"] else params["trees"]
    if _reads_files(params):
        return lambda: read_trees(find_grampsdb(params["grampsdb"] or ""), wanted)
    if not (params["user"] and params["password"]):
        raise MediaError("user or password is missing; the Web API at url needs both")
    if not params["media_dir"]:
        raise MediaError("media_dir is missing; the Web API does not tell where the files lie")
    if ALL in wanted or len(wanted) > 1:
        raise MediaError(
            f"the Web API tells of one family tree, that of user {params['user']}, and several are wanted; only SQLite "
            "databases can be read together"
        )
    return lambda: [WebApi(params["url"], params["user"], params["password"]).tree()]


def place_of(params: Mapping[str, Any], tree: FamilyTree) -> Place:
    """Where the files of a tree lie, and under which keys they are stored."""
    prefix, media_dir = clean_prefix(params["prefix"]), params["media_dir"]
    is_confined = bool(media_dir)
    folder = media_dir or media_base(tree)
    if params["media_prefix_tree"]:
        if not tree.tree_id:
            raise MediaError("the Web API does not tell the tree's id, which media_prefix_tree needs")
        folder, prefix = os.path.join(folder, tree.tree_id), f"{prefix}{tree.tree_id}/"
    return Place(os.path.normpath(folder), prefix, tuple(params["path_map"].items()), is_confined)
