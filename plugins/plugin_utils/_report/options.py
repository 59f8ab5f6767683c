# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of the module report."""

from __future__ import annotations

from typing import Any

from ansible_collections.selfhosted.media.plugins.plugin_utils._report.content import STATES
from ansible_collections.selfhosted.media.plugins.plugin_utils._report.reading import VERDICTS


def _list_of(**options: Any) -> dict[str, Any]:
    return {"type": "list", "elements": "dict", "default": [], "options": options}


_TEXT: dict[str, Any] = {"type": "str", "default": ""}
_NEEDED: dict[str, Any] = {"type": "str", "required": True}
_TEXTS: dict[str, Any] = {"type": "list", "elements": "str", "default": []}
_RESULT: dict[str, Any] = {"type": "dict", "default": {}}

ARGUMENTS: dict[str, dict[str, Any]] = {
    "application": _NEEDED,
    "instance": _NEEDED,
    "action": {**_NEEDED, "choices": list(VERDICTS)},
    "dest": _TEXT,
    "ok": {"type": "bool", "default": True},
    "headline": _TEXT,
    "notes": _TEXTS,
    "problems": _list_of(what=_TEXT, remedy=_TEXT),
    "steps": _list_of(
        name=_NEEDED,
        result=_RESULT,
        state={"type": "str", "choices": list(STATES)},
        seconds={"type": "float"},
        detail=_TEXT,
    ),
    "counts": _list_of(name=_NEEDED, before={"type": "raw"}, after={"type": "raw"}),
    "transfer": _RESULT,
    "verification": _RESULT,
    "public_url": _TEXT,
    "images": _list_of(url=_NEEDED, name=_TEXT),
    "checks": _list_of(
        name=_NEEDED, state={"type": "str", "choices": list(STATES), "default": "ok"}, detail=_TEXT, remedy=_TEXT
    ),
    "probes": _list_of(name=_NEEDED, result=_RESULT),
    "settings": {"type": "dict", "default": {}},
    "secret_settings": _TEXTS,
    "commands": _list_of(what=_NEEDED, command=_TEXT, playbook=_TEXT, extra_vars={"type": "dict", "default": {}}),
    "secrets": {**_TEXTS, "no_log": True},
}
