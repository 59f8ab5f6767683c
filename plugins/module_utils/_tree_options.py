# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options that media_sync and media_verify share; documented in the fragment selfhosted.media.tree."""

from __future__ import annotations

import os
from typing import Any

from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._sync.account import Account
from ansible_collections.selfhosted.media.plugins.module_utils._sync.engine import AUTOMATIC_CONCURRENCY
from ansible_collections.selfhosted.media.plugins.module_utils._sync.keys import (
    ONLY_SHARD,
    Chooser,
    Shard,
    clean_prefix,
)
from ansible_collections.selfhosted.media.plugins.module_utils._sync.walk import Tree

TREE_ARGUMENTS: dict[str, dict[str, Any]] = {
    "path": {"type": "path", "required": True},
    "bucket": {"type": "str", "required": True},
    "prefix": {"type": "str", "default": ""},
    "compare": {"type": "str", "default": "size", "choices": ["size", "checksum"]},
    "include": {"type": "list", "elements": "str", "default": []},
    "exclude": {"type": "list", "elements": "str", "default": []},
    "shard": {
        "type": "dict",
        "options": {"index": {"type": "int", "required": True}, "count": {"type": "int", "required": True}},
    },
    "concurrency": {"type": "int"},
}


def tree_of(params: dict[str, Any]) -> Tree:
    """The part of a folder that the options describe. Raises MediaError for values that make no sense."""
    if not params["bucket"].strip():
        raise MediaError("bucket is empty; give the bucket's name")
    shard = ONLY_SHARD
    if params["shard"]:
        shard = Shard(**params["shard"])
        if not 0 <= shard.index < shard.count:
            raise MediaError(
                f"shard: index {shard.index} is not in 0 to {shard.count - 1}; it counts from 0 to count - 1"
            )
    return Tree(
        os.fsencode(params["path"]),
        clean_prefix(params["prefix"]).encode("utf-8"),
        Chooser(params["include"], params["exclude"]),
        shard,
    )


def concurrency_of(params: dict[str, Any]) -> int:
    """The number of threads in effect."""
    wanted = params["concurrency"]
    if wanted is not None and not 1 <= wanted <= 512:
        raise MediaError(f"concurrency {wanted} is not in 1 to 512")
    return wanted or AUTOMATIC_CONCURRENCY


def first_reason(account: Account, kind: str) -> str:
    """The first name of a kind with its reason, for a sentence."""
    remarks = account.remarks(kind)
    return f"{remarks[0]['name']}: {remarks[0]['reason']}" if remarks else ""
