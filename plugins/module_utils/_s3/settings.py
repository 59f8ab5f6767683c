# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings that an application needs, derived from provider, region, bucket and endpoint."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Optional
from urllib.parse import urlsplit

from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._s3.providers import (
    PROVIDERS,
    Provider,
    is_of,
    provider_for,
)

Release = tuple[int, ...]


@dataclass(frozen=True)
class Place:
    """Where a bucket is, for an application and for browsers."""

    provider: Provider
    bucket: str
    region: str
    endpoint_url: str
    #: host[:port][/path] of public URLs
    domain: str
    #: http or https of public URLs
    scheme: str

    @property
    def public_url(self) -> str:
        """What comes before the key in a public URL, without the slash between."""
        return f"{self.scheme}://{self.domain}"


def derive(
    provider: str,
    bucket: str,
    region: Optional[str] = None,
    endpoint_url: Optional[str] = None,
    custom_domain: Optional[str] = None,
) -> Place:
    """All there is to know of a bucket's place. Raises MediaError for what is missing or cannot be."""
    if provider not in ("auto", *PROVIDERS):
        raise MediaError(f"provider {provider!r} is not known; known are {', '.join(PROVIDERS)}")
    if not bucket:
        raise MediaError("the bucket's name is missing")
    known = provider_for(provider, _set(endpoint_url))
    region = _set(region) or _default_region(known)
    endpoint = _endpoint(known, _set(endpoint_url), region)
    host = urlsplit(endpoint).netloc
    domain, scheme = _custom(_set(custom_domain))
    if not domain:
        if known.public_domain is None:
            raise MediaError(f"provider {known.name}: public URLs need a custom_domain, such as media.example.org")
        domain = _public_domain(known, bucket, host).format(bucket=bucket, region=region, endpoint_host=host)
    # A domain at the endpoint's own host speaks what the endpoint speaks; another one, in front of it, https.
    at_endpoint = domain.split("/")[0] == host
    return Place(
        known, bucket, region, endpoint, domain, scheme or (urlsplit(endpoint).scheme if at_endpoint else "https")
    )


def _public_domain(provider: Provider, bucket: str, host: str) -> str:
    pattern = provider.public_domain or ""
    # No certificate covers a bucket name with dots before the host; and a host that is not the provider's own, such as that of a
    # test server or a gateway, need not answer for names before it.
    own = not provider.host_suffixes or is_of(provider, host.partition(":")[0].lower())
    return pattern if own and not ("{bucket}." in pattern and "." in bucket) else "{endpoint_host}/{bucket}"


def _set(value: Optional[str]) -> str:
    """An option's value; empty for what half-finished settings hold, such as None as a word."""
    text = (value or "").strip()
    return "" if text.lower() in ("none", "null") else text


def _default_region(provider: Provider) -> str:
    if provider.endpoint and "{region}" in provider.endpoint:
        raise MediaError(f"provider {provider.name}: the region is missing")
    return provider.signing_region


def _endpoint(provider: Provider, given: str, region: str) -> str:
    if not given:
        if provider.endpoint is None:
            raise MediaError(f"provider {provider.name}: endpoint_url is missing, such as https://s3.example.org")
        china = ".cn" if provider.name == "aws" and region.startswith("cn-") else ""
        return provider.endpoint.format(region=region) + china
    parts = urlsplit(given)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise MediaError(f"endpoint_url {given!r} has no scheme; write https://{given.split('://')[-1]}")
    if parts.path.strip("/") or parts.query:
        raise MediaError(
            f"endpoint_url {given!r} has a path; the bucket is named apart. Write {parts.scheme}://{parts.netloc}"
        )
    return f"{parts.scheme}://{parts.netloc}"


def _custom(given: str) -> tuple[str, str]:
    """A custom domain in the form that applications want, and its scheme if it was given with one."""
    scheme, separator, rest = given.partition("://")
    if separator and scheme not in ("http", "https"):
        raise MediaError(f"custom_domain {given!r}: write host, host:port or host/path")
    domain = (rest if separator else given).rstrip("/")
    if domain and not re.fullmatch(r"[A-Za-z0-9.-]+(:\d+)?(/[A-Za-z0-9._~/-]+)?", domain):
        raise MediaError(
            f"custom_domain {given!r} is not a host; write host, host:port or host/path, such as media.example.org"
        )
    return domain, scheme if separator else ""


def release_of(text: Optional[str]) -> Optional[Release]:
    """A release such as 0.7.5 as numbers, None if it is not known."""
    if not text:
        return None
    match = re.match(r"v?(\d+)\.(\d+)(?:\.(\d+))?", text.strip())
    if not match:
        raise MediaError(f"release {text!r} is not a release number such as 0.9.2")
    return tuple(int(number or 0) for number in match.groups())


def bookwyrm(
    place: Place, method: str, release: Optional[Release] = None, site_protocol: str = "https"
) -> dict[str, str]:
    """The variables of BookWyrm's `.env` other than the two keys. A release that is not known counts as a current one."""
    release = release or (99,)
    values = {
        "USE_S3": "true",
        "AWS_STORAGE_BUCKET_NAME": place.bucket,
        "AWS_S3_REGION_NAME": place.region,
        "AWS_S3_CUSTOM_DOMAIN": place.domain,
        "AWS_S3_ENDPOINT_URL": place.endpoint_url,
    }
    number = ".".join(map(str, release))
    if release >= (0, 8):
        values["AWS_DEFAULT_ACL"] = "public-read" if method == "acl" else ""
    elif method != "acl":
        raise MediaError(
            f"BookWyrm {number} uploads everything with the ACL public-read, so media can only be published by object ACL, not by"
            f" {method!r}. Upgrade BookWyrm to 0.8.0 or newer first, or set public_method: acl if the service honours object ACLs"
        )
    if release >= (0, 7, 4) and "http" in (place.scheme, site_protocol):
        values["AWS_S3_URL_PROTOCOL"] = place.scheme + ":"
    if "/" in place.domain and release >= (0, 6):
        # without the slash at its end the browser takes the path for one file
        values["CSP_ADDITIONAL_HOSTS"] = place.public_url + "/"
    elif "/" in place.domain and release >= (0, 5, 5):
        raise MediaError(
            f"BookWyrm {number} sends a Content-Security-Policy that blocks the media domain {place.domain}, because it has a path, and"
            " has no setting to add to it. Upgrade BookWyrm to 0.6.0 or newer first, or give a custom_domain that is a host of its own"
        )
    return values


#: The settings of an application, by its name.
APPLICATIONS = {"bookwyrm": bookwyrm}
