# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Showing an `.env` without its secrets."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator

from ansible_collections.selfhosted.media.plugins.module_utils._dotenv.reading import Piece, decode, parse, pieces

MASK = "********"

TELLTALE = r"(?:KEY|SECRET|PASS|PWD|TOKEN|CREDENTIAL|DSN|AUTH|HEADERS)"
LOOKS_SECRET = re.compile(TELLTALE, re.IGNORECASE)
#: `password: x`, `--api-key=x`, `SECRET_KEY = x` in the middle of something else.
_NAMED_SECRET = re.compile(
    rf"([A-Za-z0-9_.-]*{TELLTALE}[A-Za-z0-9_.-]*['\"]?[^\S\r\n]*[=:][^\S\r\n]*)(?=\S).+", re.IGNORECASE | re.DOTALL
)
_COMMENTED = re.compile(r"[^\S\r\n]*#[#\s]*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*[=:]\s*(.*)", re.DOTALL)
_ASSIGNED = re.compile(r"[^=:]*(?:=|:)[^\S\r\n]*")
#: User and password of a URL: up to the last @, since a password may hold any sign.
URL_USER = re.compile(r"://(?:[^\s:]*:\S*|[^\s/]*)@")
URL_USER_IN_VALUE = re.compile(r"://(?:[^:]*:.*|[^/]*)@", re.DOTALL)

#: Shorter values are too common as a part of something else to be hidden wherever they stand.
SHORTEST_HIDDEN = 8


def masked_change(
    before: bytes, after: bytes, secret_names: Collection[str], changed: Collection[str]
) -> tuple[str, str]:
    """Both sides of a diff; a changed variable that is masked says so on the second side."""
    hidden = {*_secrets(before, secret_names), *_secrets(after, secret_names)}
    return masked(before, secret_names, hidden=hidden), masked(after, secret_names, changed, hidden)


def env_diff(
    path: str, before: bytes, after: bytes, secret_names: Collection[str], changed: Collection[str]
) -> dict[str, str]:
    """Ansible's diff of an `.env`, secrets masked."""
    old, new = masked_change(before, after, secret_names, changed)
    return {"before": old, "after": new, "before_header": path, "after_header": path}


def masked(
    content: bytes,
    secret_names: Collection[str],
    changed: Collection[str] = (),
    hidden: Iterable[str] = (),
) -> str:
    """The text with the values of secrets replaced by asterisks: of `secret_names` and of names that look like a
    secret's, active or commented, passwords in URLs, and the texts in `hidden` wherever they stand.

    Secrets named in `changed` are marked, so that a diff shows the change.
    """
    painter = _Painter(secret_names, changed, {*hidden, *_secrets(content, secret_names)})
    bom, text = decode(content)
    shown = bom + "".join(painter.paint(piece) for piece in pieces(text))
    return shown.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _is_secret(name: str, secret_names: Collection[str]) -> bool:
    return name in secret_names or bool(LOOKS_SECRET.search(name))


def _secrets(content: bytes, secret_names: Collection[str]) -> Iterator[str]:
    """The values of secrets, as they stand and as they are read."""
    for piece in pieces(decode(content)[1]):
        name, written = _assignment(piece)
        if name and _is_secret(name, secret_names):
            read = [value or "" for _name, value in parse(f"X={written}")]
            yield from (value for value in [written, *read] if len(value) >= SHORTEST_HIDDEN)


def _assignment(piece: Piece) -> tuple[str, str]:
    """Name and right-hand side of a piece, also of a commented one; the name is empty if it is neither."""
    if piece.kind == "comment":
        match = _COMMENTED.match(piece.body)
        return (match[1], match[2]) if match else ("", "")
    head = _ASSIGNED.match(piece.body)
    name = piece.sets or piece.key
    return (name, piece.body[head.end() :]) if head and name else ("", "")


class _Painter:
    """Masks piece after piece; knows where a secret that spans lines is still open."""

    def __init__(self, secret_names: Collection[str], changed: Collection[str], hidden: Collection[str]) -> None:
        self.secret_names = secret_names
        self.changed = changed
        self.hidden = sorted(hidden, key=len, reverse=True)
        self.open_quote = ""  # of a secret that the pieces before did not close
        self.open_in = ""  # the kind of the piece that opened it
        self.continued = False  # the line before is a secret's and ends in a backslash

    def paint(self, piece: Piece) -> str:
        """The piece as it may be shown."""
        if piece.kind == "blank":
            return piece.text
        if self.open_in == "comment" != piece.kind:
            self.open_quote = self.open_in = ""
        if self.open_quote or self.continued:
            return self._rest_of_secret(piece)
        name, written = _assignment(piece)
        head = piece.body[: len(piece.body) - len(written)]
        if not name:
            # What is neither assignment nor comment may be a part of a secret that some reader sees there.
            return (self._text(piece.body) if piece.kind == "comment" else MASK) + piece.end
        if _is_secret(name, self.secret_names):
            self._follow(piece, written)
            shown = MASK if written.strip() else ""
        else:
            shown = self._text(written, value=piece.kind != "comment")
        mark = " (changed)" if shown != written and name in self.changed and piece.kind != "comment" else ""
        return head + shown + mark + piece.end

    def _follow(self, piece: Piece, written: str) -> None:
        """Remember what the readers, or a reader of the comment, would take for the rest of this secret."""
        self.continued = piece.kind != "comment" and written.endswith("\\")
        quote = written[:1]
        if quote in ("'", '"') and (piece.unclosed or piece.kind == "comment") and quote not in written[1:]:
            self.open_quote, self.open_in = quote, piece.kind

    def _rest_of_secret(self, piece: Piece) -> str:
        self.continued = self.continued and piece.body.endswith("\\")
        if self.open_quote and self.open_quote in piece.body:
            self.open_quote = ""
        return MASK + piece.end

    def _text(self, text: str, value: bool = False) -> str:
        text = _NAMED_SECRET.sub(rf"\1{MASK}", text)
        text = (URL_USER_IN_VALUE if value else URL_USER).sub(rf"://{MASK}@", text)
        for secret in self.hidden:
            text = text.replace(secret, MASK)
        return text
