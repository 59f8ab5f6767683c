# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  grampsdb:
    description:
      - The folder that holds a folder for each family tree. Their SQLite databases are read, never written.
      - If neither this nor O(url) is given, C(~/.local/share/gramps/grampsdb) or C(~/.gramps/grampsdb), where Gramps keeps them.
    type: path
  tree:
    description:
      - Name or id of the family tree, as C(gramps -O) takes it; V(*) stands for all trees.
      - If omitted, the only one there is.
    type: str
    default: ''
  trees:
    description: Names or ids of several family trees, instead of O(tree).
    type: list
    elements: str
    default: []
  url:
    description:
      - Address of a Gramps Web whose Web API tells the media of O(user)'s family tree.
      - For databases other than SQLite; not used where O(grampsdb) holds SQLite databases.
    type: str
    default: ''
  user:
    description: A user of it who may see private media, so with the role member or more.
    type: str
    default: ''
  password:
    description: The user's password.
    type: str
    default: ''
  media_dir:
    description:
      - The folder on the target that relative paths start from, which is C(GRAMPSWEB_MEDIA_BASE_DIR) of an instance on its disk. What the
        database names outside it is left out, since Gramps Web does not show it.
      - If omitted, the folder that the family tree itself records, or the user's pictures, as in the desktop application; files outside it take
        part then.
    type: path
  media_prefix_tree:
    description: Whether files lie, and are stored, below the id of their family tree, as with C(GRAMPSWEB_MEDIA_PREFIX_TREE).
    type: bool
    default: false
  path_map:
    description: Folders in absolute paths of the database, as a container sees them, and as they are called on the target.
    type: dict
    default: {}
  bucket:
    description: Name of the bucket.
    type: str
    required: true
  prefix:
    description: Where in the bucket the media lie, as in C(GRAMPSWEB_MEDIA_BASE_DIR=s3://bucket/prefix).
    type: str
    default: ''
  on_mismatch:
    description:
      - What to do with a file whose MD5 is not the checksum that the database records. Gramps Web shows it from the disk, and does not find it on S3.
      - V(fail) stops before anything is changed. V(skip) leaves it out, so that its picture is broken on S3. V(store_as_recorded) stores
        it under the checksum that the database records, so that it is shown as before.
    type: str
    default: fail
    choices: [fail, skip, store_as_recorded]
  missing_allowed:
    description: Whether rows whose file is neither on the disk nor in the bucket are only counted. They are broken pictures before and after.
    type: bool
    default: false
  allow_shared:
    description: Whether the bucket, used without O(prefix), may hold objects that are not Gramps Web's.
    type: bool
    default: false
  compare:
    description:
      - How it is found out whether a file and an object are the same.
      - V(size) compares size and ETag as listed, which tells the content of all objects but those uploaded in parts or encrypted with a key of
        the user's. V(checksum) compares the content of those too.
    type: str
    default: size
    choices: [size, checksum]
  concurrency:
    description: Most files that are worked on at a time, 1 to 512. If omitted, the most is 256.
    type: int
"""
