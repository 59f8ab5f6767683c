# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the addon S3MediaUploader (0.1.11) of Gramps desktop would put into an empty bucket.

It takes one row for each checksum, the last one in the table; leaves out files that are missing or whose MD5, in lower
case, is not the recorded checksum; and looks at no borders of the media folder. The key is the checksum, without a prefix;
the content type is the row's MIME type; it gives no ACL, no metadata and no other headers.
"""

from __future__ import annotations

from typing import NamedTuple

from ansible_collections.selfhosted.media.tests.grampsweb.trees import Tree, md5


class Expected(NamedTuple):
    """An object of the bucket."""

    size: int
    type: str


def addon_objects(tree: Tree) -> dict[str, Expected]:
    """The bucket's objects by their keys."""
    disk = tree.on_disk()
    chosen = {row.checksum: row for row in tree.rows}
    return {
        checksum: Expected(len(disk[row.path]), row.mime)
        for checksum, row in chosen.items()
        if row.path in disk and md5(disk[row.path]) == checksum
    }
