# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options that media_sync and media_verify share; documented in the fragment selfhosted.media.tree."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._sync.account import Account
from ansible_collections.selfhosted.media.plugins.module_utils._sync.job import AUTOMATIC_CONCURRENCY
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
#: Read by the action plugins; documented in the fragment selfhosted.media.progress.
PROGRESS_ARGUMENTS: dict[str, dict[str, Any]] = {"show_progress": {"type": "bool", "default": True}}
#: The reasons take no more than this many bytes of a module's result, which stays below 10 kB.
_REASONS_BYTES = 7_000


def tree_of(params: dict[str, Any]) -> Tree:
    """The part of a folder that the options describe. Raises MediaError for values that make no sense."""
    if not params["bucket"].strip():
        raise MediaError("bucket is empty; give the bucket's name")
    shard = ONLY_SHARD
    if params["shard"]:
        shard = Shard(**params["shard"])
        if shard.count < 1:
            raise MediaError(f"shard: count {shard.count} is below 1; it is the number of hosts that share the tree")
        if not 0 <= shard.index < shard.count:
            raise MediaError(
                f"shard: index {shard.index} is not in 0 to {shard.count - 1}; it counts from 0 to count - 1"
            )
    prefix = clean_prefix(params["prefix"])
    try:
        encoded = prefix.encode("utf-8")
    except UnicodeEncodeError as exc:
        raise MediaError("prefix is not UTF-8, which object keys must be") from exc
    return Tree(
        os.fsencode(params["path"]),
        encoded,
        Chooser(params["include"], params["exclude"]),
        shard,
    )


def concurrency_of(params: Mapping[str, Any]) -> int:
    """The number of threads in effect."""
    wanted = params["concurrency"]
    if wanted is not None and not 1 <= wanted <= 512:
        raise MediaError(f"concurrency {wanted} is not in 1 to 512")
    return wanted or AUTOMATIC_CONCURRENCY


def first_reason(account: Account, kind: str) -> str:
    """The first name of a kind with its reason, for a sentence."""
    remarks = account.remarks(kind)
    return f"{remarks[0]['name']}: {remarks[0]['reason']}" if remarks else ""


def request_seconds_of(account: Account) -> dict[str, float]:
    """How long a request took on average, as a part of a result."""
    return {"request_seconds": round(account.seconds / account.timed, 4)} if account.timed else {}


def reasons_of(account: Account, kinds: tuple[str, ...]) -> dict[str, list[dict[str, str]]]:
    """The first names of each kind that was met, with their reasons; fewer where names and reasons are long."""
    reasons = {kind: account.remarks(kind) for kind in kinds if account[kind]}
    while len(json.dumps(reasons)) > _REASONS_BYTES:
        longest = max(reasons.values(), key=len)
        if len(longest) == 1:
            break
        longest.pop()
    return reasons
