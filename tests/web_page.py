# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads a page of HTML strictly: every element is closed where it was opened, and what it loads and links is known."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Optional

_VOID = {"br", "col", "img", "link", "meta"}
#: Attributes by which an element loads something.
_LOADS = ("src", "srcset", "data", "background", "poster", "xlink:href", "action", "formaction", "ping")


@dataclass
class Page:
    """What is in a page."""

    tags: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    mistakes: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """All that is to be read, and the titles of pictures."""
        return " ".join(self.texts)

    def all(self, tag: str) -> list[dict[str, str]]:
        """The attributes of all elements of a name."""
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def loaded(self) -> list[str]:
        """URLs that a browser fetches by itself."""
        found = [attributes[name] for _tag, attributes in self.tags for name in _LOADS if name in attributes]
        return found + [attributes.get("href", "") for attributes in self.all("link")]

    @property
    def linked(self) -> list[str]:
        """URLs that a reader can follow."""
        return [attributes["href"] for attributes in self.all("a")]

    @property
    def policy(self) -> dict[str, list[str]]:
        """The Content-Security-Policy, by directive."""
        metas = [one["content"] for one in self.all("meta") if one.get("http-equiv") == "Content-Security-Policy"]
        assert len(metas) == 1
        words = [directive.split() for directive in metas[0].split(";")]
        return {one[0]: one[1:] for one in words}


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.page = Page()
        self.open: list[str] = []
        self.ids: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, Optional[str]]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        if len(attributes) != len(attrs):
            self.page.mistakes.append(f"an attribute of {tag} is there twice")
        if attributes.get("id") in self.ids:
            self.page.mistakes.append(f"the id {attributes['id']} is there twice")
        self.ids.update([attributes["id"]] if "id" in attributes else [])
        self.page.tags.append((tag, attributes))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.page.mistakes.append(f"{tag} is closed and was not open at line {self.getpos()[0]}")

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] != "style":
            self.page.texts.append(data)

    def handle_comment(self, data: str) -> None:
        self.page.mistakes.append(f"a comment: {data}")


def read_page(text: str) -> Page:
    """The page; its mistakes are empty if it is well made."""
    reader = _Reader()
    reader.feed(text)
    reader.close()
    if reader.open:
        reader.page.mistakes.append(f"never closed: {', '.join(reader.open)}")
    if not text.startswith("<!DOCTYPE html>"):
        reader.page.mistakes.append("no document type")
    return reader.page
