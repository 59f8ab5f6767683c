# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make Gramps trees with media objects by Gramps itself. Runs with the Python that has Gramps Web.

Reads {grampsdb, trees: [{id, name, media_path, rows: [{handle, gramps_id, path, mime, checksum, private, desc}]}]} as JSON.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from gramps.gen.config import set as set_option
from gramps.gen.db import DbTxn
from gramps.gen.lib import Media
from gramps_webapi.dbmanager import WebDbManager


def media(row: dict[str, Any]) -> Media:
    """The media object of a row; the checksum is kept as it is given."""
    item = Media()
    item.set_handle(row["handle"])
    item.set_gramps_id(row["gramps_id"])
    item.set_path(row["path"])
    item.set_mime_type(row["mime"])
    item.set_checksum(row["checksum"])
    item.set_privacy(row["private"])
    item.set_description(row["desc"])
    return item


def make(tree: dict[str, Any]) -> None:
    """Create one tree as Gramps Web does at its first start, and add the rows."""
    database = WebDbManager(dirname=tree["id"], name=tree["name"]).get_db(readonly=False).db
    with DbTxn("Media", database) as transaction:
        for row in tree["rows"]:
            database.add_media(media(row), transaction)
    if tree["media_path"]:
        database.set_mediapath(tree["media_path"])
    database.close()


if __name__ == "__main__":
    given = json.load(sys.stdin)
    Path(given["grampsdb"]).mkdir(parents=True, exist_ok=True)
    set_option("database.path", given["grampsdb"])
    for wanted in given["trees"]:
        make(wanted)
