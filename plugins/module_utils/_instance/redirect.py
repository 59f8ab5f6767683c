# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a site sends its browsers on to the bucket for pictures that are not on its disk."""

from __future__ import annotations

import http.client
import os
import secrets
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import quote, unquote, urljoin, urlsplit

_REDIRECTS = (301, 302, 307, 308)
_TIMEOUT = 10


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_args: Any, **_kwargs: Any) -> None:
        return None


def why_not_redirected(site_url: str, host: str, public_url: str, media_dir: str) -> str:
    """Why the pictures below a folder cannot be taken for redirected, or nothing.

    site_url is where the site is asked, host the name that it goes by, public_url where browsers see the bucket.
    """
    for name in _names(media_dir):
        target = f"/images/{quote(name)}"
        status, location = _ask(site_url.rstrip("/") + target, host)
        if status not in _REDIRECTS:
            return f"{site_url} answers {target} with {status or location} instead of a redirect to the bucket"
        if not _is_same(location, public_url.rstrip("/") + target):
            return f"{site_url} redirects {target} to {location} instead of {public_url.rstrip('/')}{target}"
    return ""


def _names(media_dir: str) -> list[str]:
    """Two names for each folder that nobody has: a proxy may go on serving what is on the disk, and that is no matter."""
    with os.scandir(os.fsencode(media_dir)) as entries:
        found = {entry.name.decode("utf-8", "replace") for entry in entries if entry.is_dir()}
    folders = sorted(found | {"avatars", "covers", "uploads"})
    nobodys = secrets.token_hex(8)
    return [f"{folder}/{name}" for folder in folders for name in (f"{nobodys}.jpg", f"a b/{nobodys} 100% zoë.webp")]


def _ask(url: str, host: str) -> tuple[int, str]:
    """The status and where it redirects to; 0 and the reason where no answer comes."""
    # Not by the proxy that this machine may have for the outside: the site is its own.
    opener = urllib.request.build_opener(_NoRedirect, urllib.request.ProxyHandler({}))
    headers = {"User-Agent": "selfhosted.media", "Host": host}
    try:
        with opener.open(urllib.request.Request(url, headers=headers), timeout=_TIMEOUT) as answer:  # noqa: S310
            return answer.status, ""
    except urllib.error.HTTPError as exc:
        with exc:
            return exc.code, urljoin(url, exc.headers.get("Location") or "")
    except (OSError, http.client.HTTPException, ValueError) as exc:
        return 0, f"no answer ({getattr(exc, 'reason', exc)})"


def _is_same(one: str, other: str) -> bool:
    """Whether two URLs mean the same object: names may be encoded in several ways, a query means nothing there."""

    def parts(url: str) -> tuple[str, str, str]:
        split = urlsplit(url)
        return split.scheme, split.netloc.lower(), unquote(split.path)

    return parts(one) == parts(other)
