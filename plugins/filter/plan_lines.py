# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Callable, Optional

from ansible.errors import AnsibleFilterError
from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._s3.providers import provider_for
from ansible_collections.selfhosted.media.plugins.module_utils._text.plan import full_plan, short_plan


def plan_lines(
    media: Mapping[str, Any],
    settings: Mapping[str, Any],
    publication: Optional[Mapping[str, Any]] = None,
    commands: Optional[Mapping[str, Sequence[str]]] = None,
    provider: str = "auto",
    endpoint_url: str = "",
    full: bool = False,
) -> list[str]:
    """The plan of a run as lines of text."""
    if not full:
        return short_plan(media, settings.get("changed_keys") or [])
    try:
        service = provider_for(provider, endpoint_url or None)
    except MediaError as exc:
        raise AnsibleFilterError(f"plan_lines: {exc}") from exc
    return full_plan(media, settings, publication or {}, commands or {}, service)


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"plan_lines": plan_lines}
