# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a value is written so that all five readers of an `.env` read it alike, and whether a line is written so."""

from __future__ import annotations

import re
from typing import Optional

from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError


class DotenvError(MediaError):
    """An `.env` that cannot be changed as asked."""


class DotenvValueError(DotenvError):
    """A variable that no spelling makes all readers read alike. Names the variable, never its value."""


NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

#: What is written without quotes.
_BARE = re.compile(r"[A-Za-z0-9_./:@%+,=-]*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

#: Lines that others wrote: spellings that all five readers take alike, wider than what is written here. Not among
#: them: `#` without quotes (older releases of compose cut there), `~` (bash expands it), escapes other than \\ and \".
_BARE_LINE = re.compile(r"[A-Za-z0-9_./:@%+,=?*^!{}\[\]\u00a1-\U0010ffff-]*")
_SINGLE_LINE = re.compile(r"'([^']*)'")
_DOUBLE_LINE = re.compile(r'"((?:[^"\\$`]|\\["\\])*)"')

#: bw-dev takes it with `sed -ne 's/^DEBUG=//p'`: quotes and blanks would become part of the value.
_NEVER_QUOTED = frozenset({"DEBUG"})


def check_name(name: str) -> None:
    """Refuse what is not the name of a variable in every reader."""
    if not NAME.fullmatch(name):
        raise DotenvValueError(
            f"{name!r} cannot be the name of a variable: letters, digits and underscores only, and no digit first."
        )


def encode(name: str, value: str) -> str:
    """The right-hand side for `NAME=` that bash, compose 1 and 2, environs and systemd all read as `value`."""
    check_name(name)
    reason = _refusal(name, value)
    if reason:
        raise DotenvValueError(
            f"The value of {name} cannot be written so that bash, docker compose, environs and systemd "
            f"all read it alike: {reason}. Choose another value."
        )
    if _BARE.fullmatch(value):
        return value
    if _fits_single_quotes(value):
        return f"'{value}'"
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _fits_single_quotes(value: str) -> bool:
    return not any(part in value for part in ("'", "\\\\", "${")) and not value.endswith("\\")


def _refusal(name: str, value: str) -> str:
    """Why no spelling fits; empty if one does."""
    if any("\ud800" <= char <= "\udfff" for char in value):
        return "it is not valid UTF-8"
    if _CONTROL.search(value):
        return "it holds a line break or another control character"
    if name in _NEVER_QUOTED and not _BARE.fullmatch(value):
        return "it would need quotes, which bw-dev takes for a part of this one"
    if "${" in value:
        return "it holds ${, which some of them expand even within quotes"
    if value.endswith("\\"):
        return "it ends in a backslash"
    if _fits_single_quotes(value) or not ("$" in value or "`" in value):
        return ""
    return (
        f"it holds {'a single quote' if chr(39) in value else 'two backslashes in a row'} together with $ or a backtick"
    )


def meaning(name: str, line: str) -> Optional[str]:
    """What all readers take the line (without its end) to give `name`; None if they disagree or may."""
    if name in _NEVER_QUOTED:
        head, _equals, bare = line.partition("=")
        return bare if head == name and _BARE.fullmatch(bare) else None
    head, equals, written = line.strip(" \t").partition("=")
    if head != name or not equals:
        return None
    if _BARE_LINE.fullmatch(written) and not any(char.isspace() for char in written):
        return written
    single = _SINGLE_LINE.fullmatch(written)
    if single:
        return single[1] if _fits_single_quotes(single[1]) else None
    double = _DOUBLE_LINE.fullmatch(written)
    if double:
        value = re.sub(r"\\(.)", r"\1", double[1])
        return None if value.endswith("\\") else value
    return None
