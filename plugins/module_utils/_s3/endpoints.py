# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Endpoints and regions: what a provider's are, and what is wrong with those that are given."""

from __future__ import annotations

import difflib
import re
from urllib.parse import urlsplit

from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._s3.providers import Provider, provider_for


def endpoint_of(provider: Provider, region: str) -> str:
    """The service's endpoint in a region. Raises MediaError for a service that has none of its own, and for no region."""
    if provider.endpoint is None:
        raise MediaError(f"provider {provider.name}: endpoint_url is missing, such as {provider.endpoint_example}")
    for prefix, pattern in provider.endpoints_elsewhere.items():
        if region.startswith(prefix):
            return pattern.format(region=region)
    if "{region}" in provider.endpoint:
        check_region(provider, region)
    return provider.endpoint.format(region=region)


def check_region(provider: Provider, region: str) -> None:
    """Raise MediaError for a region that is missing or cannot be one of the provider's."""
    hint = f"; it is {provider.region_hint}" if provider.region_hint else ""
    known = f". Known are {', '.join(provider.regions)}" if provider.regions else ""
    if not region:
        raise MediaError(f"provider {provider.name}: the region is missing{hint}{known}")
    if provider.region_pattern and not re.fullmatch(provider.region_pattern, region):
        near = difflib.get_close_matches(region, provider.regions, n=1)
        near = near or [one for one in provider.regions if one.startswith(region + "-")]
        question = f"; did you mean {near[0]}?" if near else ""
        raise MediaError(
            f"provider {provider.name}: there is no region {region!r}{question or hint}{'' if question else known}"
        )


def region_in(provider: Provider, endpoint_url: str) -> str:
    """The region that an endpoint of the provider names, else an empty string."""
    host = (urlsplit(endpoint_url).hostname or "").lower()
    for pattern in filter(None, (provider.endpoint, *provider.endpoints_elsewhere.values())):
        before, separator, after = pattern.partition("://")[2].partition("{region}")
        match = re.fullmatch(f"{re.escape(before)}([a-z0-9-]+){re.escape(after)}", host)
        if separator and match:
            return match[1]
    return ""


def plain(endpoint_url: str) -> str:
    """An endpoint's scheme, host and port alone."""
    parts = urlsplit(endpoint_url)
    return f"{parts.scheme}://{parts.netloc}" if endpoint_url else ""


def check_endpoint(given: str, bucket: str) -> None:
    """Raise MediaError for an endpoint that is no URL, or has the bucket in it. An empty one is none."""
    if not given:
        return
    parts = urlsplit(given)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise MediaError(f"endpoint_url {given!r} has no scheme; write https://{given.split('://')[-1].strip('/')}")
    try:
        parts.port  # noqa: B018 (raises)
    except ValueError as exc:
        raise MediaError(f"endpoint_url {given!r} has a port that is no number") from exc
    if not bucket:
        return
    rest = ""
    if parts.path.strip("/") == bucket:
        rest = plain(given)
    elif parts.netloc.lower().startswith(f"{bucket.lower()}."):
        # Whether the first name of a host is the bucket can be told of services whose endpoints are known.
        without = f"{parts.scheme}://{parts.netloc[len(bucket) + 1 :]}"
        known = provider_for("auto", given)
        rest = without if known.endpoint == without or region_in(known, without) else ""
    if rest:
        raise MediaError(f"endpoint_url {given!r} has the bucket in it, which is named apart; write {rest}")
