# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading an `.env` as systemd's EnvironmentFile= does."""

from __future__ import annotations

_BLANK = " \t\n\r"
_NEWLINE = "\n\r"


def parse(text: str) -> dict[str, str]:
    """Names and values as systemd before release 254 reads them, where a comment ending in a backslash runs on."""
    values: dict[str, str] = {}
    at = 0
    while at < len(text):
        if text[at] in _BLANK:
            at += 1
        elif text[at] in "#;":
            at = _after_comment(text, at)
        else:
            at = _assignment(text, at, values)
    return values


def _after_comment(text: str, at: int) -> int:
    while at < len(text) and text[at] not in _NEWLINE:
        at += 2 if text[at] == "\\" else 1
    return at + 1


def _assignment(text: str, at: int, values: dict[str, str]) -> int:
    start = at
    while at < len(text) and text[at] not in "=" + _NEWLINE:
        at += 1
    if not text.startswith("=", at):
        return at + 1
    name = text[start:at].rstrip(_BLANK)
    at, value = _value(text, at + 1)
    if name:
        values[name] = value
    return at


def _value(text: str, at: int) -> tuple[int, str]:
    """Where the value ends and what it is: quoted parts one after the other, then bare text up to the line's end."""
    parts: list[str] = []
    while at < len(text) and text[at] not in _NEWLINE:
        if text[at] == "'":
            end = text.find("'", at + 1)
            end = len(text) if end < 0 else end
            parts.append(text[at + 1 : end])
            at = end + 1
        elif text[at] == '"':
            at = _double_quoted(text, at + 1, parts)
        elif text[at] in _BLANK:
            at += 1
        else:
            return _bare(text, at, parts)
    return at + 1, "".join(parts)


def _double_quoted(text: str, at: int, parts: list[str]) -> int:
    while at < len(text) and text[at] != '"':
        if text[at] != "\\":
            parts.append(text[at])
        else:
            at += 1
            escaped = text[at : at + 1]
            if escaped and escaped in '"\\`$':
                parts.append(escaped)
            elif escaped and escaped != "\n":
                parts.append("\\" + escaped)
        at += 1
    return at + 1


def _bare(text: str, at: int, parts: list[str]) -> tuple[int, str]:
    blanks = ""  # dropped at the end of the line, kept within it
    while at < len(text) and text[at] not in _NEWLINE:
        if text[at] == "\\":
            at += 1
            parts.append(blanks)
            blanks = ""
            if text[at : at + 1] and text[at] not in _NEWLINE:
                parts.append(text[at])
        elif text[at] in _BLANK:
            blanks += text[at]
        else:
            parts.append(blanks + text[at])
            blanks = ""
        at += 1
    return at + 1, "".join(parts)
