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
from ansible_collections.selfhosted.media.plugins.module_utils._s3.endpoints import (
    check_endpoint,
    check_region,
    endpoint_of,
    plain,
    region_in,
)
from ansible_collections.selfhosted.media.plugins.module_utils._s3.providers import Provider, is_of, provider_for
from ansible_collections.selfhosted.media.plugins.module_utils._url_users import refuse_user

Release = tuple[int, ...]


@dataclass(frozen=True)
class Place:
    """Where a bucket is, for an application and for browsers."""

    provider: Provider
    bucket: str
    region: str
    endpoint_url: str
    #: host[:port][/path] of public URLs; empty where there is none
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
    *,
    is_public: bool = True,
) -> Place:
    """All there is to know of a bucket's place. Raises MediaError for what is missing or cannot be.

    A bucket that is not public needs no public domain, which some services do not have before one has been set up.
    """
    if not bucket:
        raise MediaError("the bucket's name is missing")
    given = _set(endpoint_url)
    refuse_user(given, "endpoint_url")
    check_endpoint(given, bucket)
    if urlsplit(given).path.strip("/") or urlsplit(given).query:
        raise MediaError(f"endpoint_url {given!r} has a path; S3 services have none. Write {plain(given)}")
    known = provider_for(provider, given)
    region = _set(region) or region_in(known, given) or _default_region(known)
    # Beside an endpoint the region is what requests are signed for; some services take any, and their guides name another one.
    if not (region and given):
        check_region(known, region)
    endpoint = plain(given) or endpoint_of(known, region)
    host = urlsplit(endpoint).netloc
    domain, scheme = _custom(_set(custom_domain), host, bucket)
    if not domain and (is_public or known.public_domain):
        domain = _public_domain(known, bucket, host).format(bucket=bucket, region=region, endpoint_host=host)
    # A domain at the endpoint's own host speaks what the endpoint speaks; another one, in front of it, https.
    at_endpoint = domain.split("/")[0] == host
    scheme = scheme or (urlsplit(endpoint).scheme if at_endpoint else "https")
    return Place(known, bucket, region, endpoint, domain, scheme)


def _public_domain(provider: Provider, bucket: str, host: str) -> str:
    if provider.public_domain is None:
        raise MediaError(
            f"provider {provider.name}: there is no public domain of a bucket before you have set one up; give it as custom_domain, such as"
            f" media.example.org ({provider.public_domain_hint})"
        )
    # No certificate covers a bucket name with dots before the host; and a host that is not the provider's own, such as that of a
    # test server or a gateway, need not answer for names before it.
    own = not provider.host_suffixes or is_of(provider, host.partition(":")[0].lower())
    in_front = "{bucket}." in provider.public_domain
    return provider.public_domain if own and not (in_front and "." in bucket) else "{endpoint_host}/{bucket}"


def _set(value: Optional[str]) -> str:
    """An option's value; empty for what half-finished settings hold, such as None as a word."""
    text = (value or "").strip()
    return "" if text.lower() in ("none", "null") else text


def _default_region(provider: Provider) -> str:
    # Where the region is part of the endpoint, signing with another one would not help.
    return "" if "{region}" in (provider.endpoint or "") else provider.signing_region


def _custom(given: str, endpoint_host: str, bucket: str) -> tuple[str, str]:
    """A custom domain in the form that applications want, and its scheme if it was given with one."""
    scheme, separator, rest = given.partition("://")
    domain = rest if separator else given
    refuse_user(domain, "custom_domain")
    # With http:// a domain says that it does without TLS; https is what applications take for granted.
    if separator and scheme != "http":
        raise MediaError(
            f"custom_domain {given!r} has a scheme, which applications add themselves; write {domain.rstrip('/')}"
        )
    if domain.endswith("/") or domain.startswith("/"):
        raise MediaError(
            f"custom_domain {given!r} has a slash at its {'end' if domain.endswith('/') else 'beginning'}, which would be doubled in"
            f" every URL; write {domain.strip('/')}"
        )
    if domain and not re.fullmatch(r"[A-Za-z0-9.-]+(:\d+)?(/[A-Za-z0-9._~/-]+)?", domain):
        raise MediaError(
            f"custom_domain {given!r} is not a host; write host, host:port or host/path, such as media.example.org"
        )
    if domain.lower() == endpoint_host.lower():
        return (
            "",
            "",
        )  # the service's own host without the bucket, which the first step of a guide leaves: nothing is there
    host = domain.partition("/")[0].lower()
    if "." in bucket and host == f"{bucket}.{endpoint_host}".lower() and scheme != "http":
        raise MediaError(
            f"custom_domain {given!r}: the service's certificate does not cover a bucket's name with dots before its host, so browsers"
            f" refuse it; write {endpoint_host}/{bucket}, leave it away, or choose a name without dots"
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
    place: Place, method: str, release: Optional[Release] = None, site_protocol: str = "", exports: str = ""
) -> dict[str, str]:
    """The variables of BookWyrm's `.env` other than the two keys. A release that is not known counts as a current one.

    Media by http are refused only where the site is said to speak https. `exports` is the bucket of the archives that users make of
    their data, if they are to be kept on S3 too.
    """
    release = release or (99,)
    number = ".".join(map(str, release))
    if place.scheme == "http" and site_protocol == "https":
        raise MediaError(
            f"the media would come from {place.public_url} by http, and the site speaks https: browsers refuse such mixed content."
            f" Give the service a certificate and an https endpoint_url, or a custom_domain that speaks https in front of it"
        )
    values = {
        "USE_S3": "true",
        "AWS_STORAGE_BUCKET_NAME": place.bucket,
        "AWS_S3_REGION_NAME": place.region,
        "AWS_S3_CUSTOM_DOMAIN": place.domain,
        # on AWS too: exports, old releases and bw-dev need it
        "AWS_S3_ENDPOINT_URL": place.endpoint_url,
    }
    if release >= (0, 8):
        values["AWS_DEFAULT_ACL"] = "public-read" if method == "acl" else ""
    elif method != "acl":
        raise MediaError(
            f"BookWyrm {number} uploads everything with the ACL public-read, so media can only be published by object ACL, not by"
            f" {method!r}. Upgrade BookWyrm to 0.8.0 or newer first, or set public_method: acl if the service honours object ACLs"
        )
    if release >= (0, 7, 4):
        values["AWS_S3_URL_PROTOCOL"] = place.scheme + ":"
    if "/" in place.domain and release >= (0, 6):
        # without the slash at its end the browser takes the path for one file
        values["CSP_ADDITIONAL_HOSTS"] = place.public_url + "/"
    elif "/" in place.domain and release >= (0, 5, 5):
        raise MediaError(
            f"BookWyrm {number} sends a Content-Security-Policy that blocks the media domain {place.domain}, because it has a path, and"
            " has no setting to add to it. Upgrade BookWyrm to 0.6.0 or newer first, or give a custom_domain that is a host of its own"
        )
    return {**values, **(_exports(place, exports, release) if exports else {})}


def _exports(place: Place, bucket: str, release: Release) -> dict[str, str]:
    if release < (0, 8):
        raise MediaError(
            f"BookWyrm {'.'.join(map(str, release))} cannot keep exports on S3; upgrade it to 0.8.0 or newer first, or leave"
            " bookwyrm_exports_s3_bucket away"
        )
    if bucket == place.bucket:
        raise MediaError(
            f"the exports' bucket {bucket} is that of the media, parts of which everybody may read; exports are private and need a bucket"
            " of their own"
        )
    return {"USE_S3_FOR_EXPORTS": "true", "EXPORTS_STORAGE_BUCKET_NAME": bucket}


def gramps_web(place: Place, release: Optional[Release] = None, prefix: str = "") -> dict[str, str]:
    """The variables of Gramps Web other than the two keys. A release that is not known counts as a current one.

    Up to 0.4 it reads the name without GRAMPSWEB_ only. A slash at the end would be doubled below a tree's id.
    """
    base = f"s3://{place.bucket}/{prefix.strip('/')}".rstrip("/")
    values = {"GRAMPSWEB_MEDIA_BASE_DIR": base, "AWS_DEFAULT_REGION": place.region}
    if release is not None and release < (0, 5):
        values["MEDIA_BASE_DIR"] = base
    # without it boto3 asks AWS, whose own endpoint needs no setting; one of a private network does
    if place.provider.name != "aws" or place.endpoint_url != endpoint_of(place.provider, place.region):
        values["AWS_ENDPOINT_URL"] = place.endpoint_url
    return values


#: The names of the applications whose settings are known.
APPLICATIONS = ("bookwyrm", "gramps_web")
