# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options that say which Gramps Web is meant; documented in the fragment selfhosted.media.gramps_web."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.selfhosted.media.plugins.module_utils._gramps.installation import Installation, find

INSTANCE_ARGUMENTS: dict[str, dict[str, Any]] = {
    "dir": {"type": "str", "default": ""},
    "install_type": {"type": "str", "default": "auto", "choices": ["auto", "docker", "systemd"]},
    "compose_file": {"type": "str", "default": ""},
    "services": {"type": "list", "elements": "str", "default": []},
}


def instance_of(params: Mapping[str, Any]) -> Installation:
    """The installation that these options mean. Raises MediaError when there is none, or more than one."""
    return find(params["dir"] or None, params["install_type"], params["services"], params["compose_file"])
