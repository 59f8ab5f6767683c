# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Users and passwords in URLs: secrets wherever they stand."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError

#: Up to the last @ before the path: a password may hold any sign.
_URL_USER = re.compile(r"://([^/?#\s]+)@")
#: The same where a URL begins, or a host without its scheme.
_LEADING_USER = re.compile(r"^(\w+://)?[^/?#\s]*@")


def url_secrets(value: Any) -> Iterator[str]:
    """Users and passwords in the URLs of a value, whatever it is made of."""
    for user_info in _url_users(value):
        yield from (word for word in (user_info, user_info.partition(":")[2]) if word)


def refuse_user(url: str, option: str) -> None:
    """Raise MediaError for a URL or host with a user in it where others can read it, as in pages and command lines."""
    plain = _LEADING_USER.sub(r"\1", url)
    if plain != url:
        raise MediaError(f"{option} has a user or a password in it, and others can read it; write {plain}")


def _url_users(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield from _URL_USER.findall(value)
    elif isinstance(value, dict):
        yield from (found for item in value.values() for found in _url_users(item))
    elif isinstance(value, (list, tuple)):
        yield from (found for item in value for found in _url_users(item))
