# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""HTML from nested calls: what is not made by element() is escaped."""

from __future__ import annotations

import html
import re
from typing import Union
from urllib.parse import urlsplit

_VOID = ("br", "col", "img", "link", "meta")
#: What has no place in HTML, and what would turn the direction of the text after it.
_UNFIT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
_HOST = re.compile(r"(?:[A-Za-z0-9_](?:[A-Za-z0-9._-]*)|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


Child = Union[str, None]


def escape(text: str) -> Markup:
    """The text as HTML that shows it."""
    return text if isinstance(text, Markup) else Markup(html.escape(_UNFIT.sub("\ufffd", text)))


def join(*children: Child) -> Markup:
    """Children side by side; None is left out."""
    return Markup("".join(escape(child) for child in children if child is not None))


def element(tag: str, /, *children: Child, **attributes: Union[str, int, float, None]) -> Markup:
    """An element. In names of attributes _ stands for -, one at the end is dropped; None leaves an attribute out."""
    written = "".join(
        f' {attribute.rstrip("_").replace("_", "-")}="{escape(str(value))}"'
        for attribute, value in attributes.items()
        if value is not None
    )
    if tag in _VOID:
        return Markup(f"<{tag}{written}>")
    return Markup(f"<{tag}{written}>{join(*children)}</{tag}>")


def web_origin(url: str) -> str:
    """The scheme, host and port of a URL by http or https; empty for anything else, which is not linked."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    # Nothing but these may reach the policy of the page, where ; and blanks have a meaning.
    if parts.scheme not in ("http", "https") or not _HOST.fullmatch(parts.netloc):
        return ""
    return "" if re.search(r"[\s\"'<>\\]", url) else f"{parts.scheme}://{parts.netloc.lower()}"
