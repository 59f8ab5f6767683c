# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  path:
    description:
      - The folder on the target. Its files have the keys O(prefix) plus their name relative to it.
      - Symbolic links are followed only where they lead to a place inside the folder.
    type: path
    required: true
  bucket:
    description: Name of the bucket.
    type: str
    required: true
  prefix:
    description: Where in the bucket the folder lies. A slash is added at the end if there is none, so V(images) never matches C(images-old/).
    type: str
    default: ''
  compare:
    description:
      - How it is found out whether a file and an object are the same.
      - V(size) uses the listing alone, one request for 1,000 objects.
      - V(checksum) also compares the file's MD5 with the object's ETag. Of an object uploaded in parts, the MD5 stored with it is compared,
        or else the ETag with that of the file's parts.
    type: str
    default: size
    choices: [size, checksum]
  include:
    description:
      - Shell patterns of the names, relative to O(path), that take part. If empty, all do.
      - C(*) also matches slashes, so V(*/*) is everything in sub-folders and nothing at the top level.
    type: list
    elements: str
    default: []
  exclude:
    description: Shell patterns of the names that do not take part, even when O(include) matches.
    type: list
    elements: str
    default: []
  shard:
    description: The part of the keys that this host takes when several share one tree. Stable, by a hash of the key.
    type: dict
    suboptions:
      index:
        description: Number of this part, from 0.
        type: int
        required: true
      count:
        description: Number of parts.
        type: int
        required: true
  concurrency:
    description:
      - Most files, or parts of large ones, that are worked on at a time, and most listings side by side.
      - Within it, 1 to 512, the number follows the service's answers, up while that makes it faster, half as many when the service asks to slow
        down. If omitted, the most is 256.
    type: int
"""
