# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finding a service's entry in the provider table."""

from __future__ import annotations

import difflib
import re
from typing import Optional
from urllib.parse import urlsplit

from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._s3.provider import Provider
from ansible_collections.selfhosted.media.plugins.module_utils._s3.provider_table import PROVIDERS

__all__ = ["PROVIDERS", "Provider", "is_of", "named", "provider_for"]


def is_of(provider: Provider, host: str) -> bool:
    """Whether a host name is one of the provider's own."""
    return any(host == suffix or host.endswith("." + suffix) for suffix in provider.host_suffixes)


def named(name: str) -> Provider:
    """The table's entry for a name. Raises MediaError for one that is not in it, with those that are like it."""
    if name in PROVIDERS:
        return PROVIDERS[name]
    asked = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
    names = {alias: one.name for one in PROVIDERS.values() for alias in (one.name, *one.aliases)}
    near = [names[word] for word in difflib.get_close_matches(asked, names, cutoff=0.6)]
    parts = [one for word, one in names.items() if word in asked.split("_") or asked in word.split("_")]
    like = list(dict.fromkeys([*near, *parts]))
    known = f"known are {', '.join(PROVIDERS)}"
    advice = f"did you mean {' or '.join(like)}? {known.capitalize()}" if like else known
    raise MediaError(f"provider {name!r} is not known; {advice}")


def provider_for(name: str, endpoint_url: Optional[str]) -> Provider:
    """The table's entry for a provider's name; `auto` is told from the endpoint's host name."""
    if name != "auto":
        return named(name)
    if not endpoint_url:
        return PROVIDERS["aws"]
    host = (urlsplit(endpoint_url).hostname or "").lower()
    for provider in PROVIDERS.values():
        if is_of(provider, host):
            return provider
    return PROVIDERS["generic"]
