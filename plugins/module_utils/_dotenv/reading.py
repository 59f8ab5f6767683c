# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading an `.env` as environs does, which hands it to python-dotenv: every byte belongs to exactly one piece."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Optional, Union

from ansible_collections.selfhosted.media.plugins.module_utils._dotenv.values import DotenvError
from ansible_collections.selfhosted.media.plugins.module_utils._io import read_file

BOM = "\ufeff"

_BLANK = re.compile(r"\s*")
_INDENT = re.compile(r"[^\S\r\n]*")
_EXPORT = re.compile(r"(?:export[^\S\r\n]+)?")
_COMMENT = re.compile(r"(?:[^\S\r\n]*#[^\r\n]*)?")
_LINE_END = re.compile(r"[^\S\r\n]*(?:\r\n|\n|\r|\Z)")
_REST_OF_LINE = re.compile(r"[^\r\n]*(?:\r\n|\n|\r)?")
_UNQUOTED = re.compile(r"[^\r\n]*")
_KEY = re.compile(r"([^=#\s]+)")
_QUOTED_KEY = re.compile(r"'([^']+)'")
_QUOTED = {
    "'": re.compile(r"'((?:\\.|[^'\\])*)'", re.DOTALL),
    '"': re.compile(r'"((?:\\.|[^"\\])*)"', re.DOTALL),
}
_ESCAPES = {"'": re.compile(r"\\([\\'])"), '"': re.compile(r"\\([\\'\"abfnrtv])")}
_ESCAPED = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_REFERENCE = re.compile(r"\$\{([^}:]*)(?::-([^}]*))?\}")

#: The variable that at least one reader takes a piece to set: also `NAME: x` (compose), `NAME+=x` (bash), a bare NAME
#: (which unsets it for environs) and what is too broken for python-dotenv.
_SETS = re.compile(r"[^\S\r\n]*(?:export[^\S\r\n]+)?'?([A-Za-z_][A-Za-z0-9_]*)'?[^\S\r\n]*(?:\+?=|:|[\r\n]|\Z)")


@dataclass(frozen=True)
class Piece:
    """A comment, a statement over one or more lines, or blank lines; `text` includes the line's end."""

    text: str
    kind: str  # blank, comment, statement, broken (python-dotenv skips it)
    key: Optional[str] = None  # as python-dotenv reads it
    value: Optional[str] = None
    unclosed: bool = False  # opens a quote that the file never closes

    @property
    def sets(self) -> Optional[str]:
        """The variable that at least one reader takes this to set."""
        if self.kind not in ("statement", "broken"):
            return None
        match = _SETS.match(self.text)
        return match[1] if match else None

    @property
    def body(self) -> str:
        """The text without the end of its last line."""
        return self.text[: len(self.text) - len(self.end)]

    @property
    def end(self) -> str:
        """The end of the last line; empty where the file ends without one."""
        if self.text.endswith("\r\n"):
            return "\r\n"
        return self.text[-1] if self.text.endswith(("\n", "\r")) else ""


class _BrokenError(Exception):
    """python-dotenv gives up at this place and skips the rest of the line."""

    def __init__(self, at: int, unclosed: bool = False) -> None:
        super().__init__(at)
        self.at = at
        self.unclosed = unclosed


def decode(content: bytes) -> tuple[str, str]:
    """The byte order mark, if there is one, and the text after it; bytes that are not UTF-8 survive encode()."""
    text = content.decode("utf-8", "surrogateescape")
    return (BOM, text[1:]) if text.startswith(BOM) else ("", text)


def encoded(text: str) -> bytes:
    """What decode() was given."""
    return text.encode("utf-8", "surrogateescape")


def pieces(text: str) -> Iterator[Piece]:
    """The whole text, in order, piece by piece."""
    at = 0
    while at < len(text):
        first = _end(_BLANK, text, at)
        start = first
        if first < len(text):
            start = max(at, text.rfind("\n", at, first) + 1, text.rfind("\r", at, first) + 1)
        if start > at:
            yield Piece(text[at:start], "blank")
        if start < len(text):
            piece = _statement(text, start, first)
            start += len(piece.text)
            yield piece
        at = start


def parse(content: Union[bytes, str]) -> list[tuple[str, Optional[str]]]:
    """Names and values of all statements as they stand, nothing expanded; None for a name without `=`."""
    text = decode(content)[1] if isinstance(content, bytes) else content
    return [(piece.key, piece.value) for piece in pieces(text) if piece.kind == "statement" and piece.key is not None]


def expand(assignments: Iterable[tuple[str, Optional[str]]]) -> dict[str, Optional[str]]:
    """The values with `${NAME}` and `${NAME:-default}` replaced by what stands before them; the last of a name wins."""
    values: dict[str, Optional[str]] = {}
    for name, value in assignments:
        values[name] = None if value is None else _REFERENCE.sub(lambda match: _referred(match, values), value)
    return values


def read(source: Union[bytes, str]) -> dict[str, str]:
    """The settings of a file (its path as str, or its content as bytes) as environs' read_env gives them to an
    application whose own environment holds none of them. Bytes that are not UTF-8 come backslash-escaped."""
    content = read_file(source) if isinstance(source, str) else source
    if content is None:
        raise DotenvError(f"There is no file {source!r}.")
    settings = expand(parse(content)).items()
    return {name: encoded(value).decode("utf-8", "backslashreplace") for name, value in settings if value is not None}


def _referred(match: re.Match[str], values: dict[str, Optional[str]]) -> str:
    default = match[2] or ""
    return values.get(match[1], default) or ""


def _end(pattern: re.Pattern[str], text: str, at: int) -> int:
    """Where the pattern, which may match nothing, ends."""
    match = pattern.match(text, at)
    return match.end() if match else at


def _statement(text: str, start: int, first: int) -> Piece:
    """The piece whose line starts at `start` and whose first sign that is not blank stands at `first`."""
    if text[first] == "#":
        return Piece(text[start : _end(_REST_OF_LINE, text, first)], "comment")
    try:
        at, key, value = _binding(text, first)
    except _BrokenError as broken:
        return Piece(text[start : _end(_REST_OF_LINE, text, broken.at)], "broken", unclosed=broken.unclosed)
    return Piece(text[start:at], "statement", key, value)


def _binding(text: str, at: int) -> tuple[int, Optional[str], Optional[str]]:
    """Where a statement ends, its key and its value."""
    at = _end(_EXPORT, text, at)
    at, key = _key(text, at)
    at = _end(_INDENT, text, at)
    value = None
    if text.startswith("=", at):
        blank = _end(_INDENT, text, at + 1)
        if blank > at + 1 and text.startswith("#", blank):  # `NAME= # comment`
            at, value = blank, ""
        else:
            at, value = _value(text, blank)
    at = _end(_COMMENT, text, at)
    end = _LINE_END.match(text, at)
    if not end:
        raise _BrokenError(at)
    return end.end(), key, value


def _key(text: str, at: int) -> tuple[int, Optional[str]]:
    if text.startswith("#", at):  # `export # comment`
        return at, None
    match = (_QUOTED_KEY if text.startswith("'", at) else _KEY).match(text, at)
    if not match:
        raise _BrokenError(at)
    return match.end(), _in_text_mode(match[1])


def _value(text: str, at: int) -> tuple[int, str]:
    quote = text[at : at + 1]
    if quote not in _QUOTED:
        end = _end(_UNQUOTED, text, at)
        return end, re.sub(r"\s+#.*", "", text[at:end]).rstrip()
    match = _QUOTED[quote].match(text, at)
    if not match:
        raise _BrokenError(at, unclosed=True)
    inner = _in_text_mode(match[1])
    return match.end(), _ESCAPES[quote].sub(lambda escape: _ESCAPED.get(escape[1], escape[1]), inner)


def _in_text_mode(text: str) -> str:
    """python-dotenv never sees a \\r: Python takes it for a line's end."""
    return re.sub(r"\r\n?", "\n", text)
