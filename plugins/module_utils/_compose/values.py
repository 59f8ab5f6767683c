# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a value is written in a compose file, and what compose takes a written one for."""

from __future__ import annotations

import re
from typing import Optional

from ansible_collections.selfhosted.media.plugins.module_utils._compose.nodes import Node
from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError

#: Strings in every reader, in block and flow style, when written without quotes; unless they are one of the words.
_BARE = re.compile(r"[A-Za-z/](?:[A-Za-z0-9_./@+-]|:(?=[A-Za-z0-9_./@+-]))*")
_BARE_IN_FLOW = re.compile(r"[A-Za-z/][A-Za-z0-9_./-]*")
_BARE_ITEM = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=(?:[A-Za-z0-9_./@+-]|:(?=[A-Za-z0-9_./@+-]))*")
_BARE_ITEM_IN_FLOW = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=[A-Za-z0-9_./-]*")
_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})

#: Numbers and dates of YAML 1.1 and 1.2, whose text a reader may change: 0x1F, 1_000, 010, 1.50, 12:30:00, .inf
_NUMBER = re.compile(
    r"[-+]?(?:[0-9_]*\.?[0-9_]*(?:[eE][-+]?[0-9]+)?|0[xX][0-9a-fA-F_]+|0o?[0-7_]+|0b[01_]+|[0-9_]+(?::[0-9_.]+)+"
    r"|\.(?:inf|Inf|INF|nan|NaN|NAN))|[0-9]{4}-[0-9][0-9]?-[0-9][0-9]?(?:[Tt \t].*)?"
)
_WHOLE_NUMBER = re.compile(r"0|-?[1-9][0-9]{0,15}")

_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def escaped(name: str, value: str) -> str:
    """The value with every `$` doubled, so that compose does not look for a variable there."""
    if any("\ud800" <= char <= "\udfff" for char in value):
        reason = "it is not valid UTF-8"
    elif _CONTROL.search(value):
        reason = "it holds a line break or another control character"
    else:
        return value.replace("$", "$$")
    raise MediaError(f"The value of {name} cannot be written to a compose file: {reason}. Choose another value.")


def unescaped(written: str) -> str:
    """The value that the service gets. One that compose interpolates (`${HOST}`) stays as it is written."""
    return written if "$" in written.replace("$$", "") else written.replace("$$", "$")


def encode_key(name: str) -> str:
    return f'"{name}"' if name.lower() in _WORDS else name


def encode(written: str, flow: bool = False, style: str = "") -> str:
    """The YAML of a map's value; `style` is the quote that the old value had."""
    bare = (_BARE_IN_FLOW if flow else _BARE).fullmatch(written) and written.lower() not in _WORDS
    return written if bare and style not in ("'", '"') else _quoted(written, style)


def encode_item(name: str, written: str, flow: bool = False, style: str = "") -> str:
    """The YAML of a list's item, which is quoted as a whole."""
    item = f"{name}={written}"
    bare = (_BARE_ITEM_IN_FLOW if flow else _BARE_ITEM).fullmatch(item)
    return item if bare and style not in ("'", '"') else _quoted(item, style)


def _quoted(text: str, style: str) -> str:
    if style == "'" and text.isprintable():
        return "'" + text.replace("'", "''") + "'"
    return '"' + "".join(map(_sign, text)) + '"'


def _sign(char: str) -> str:
    if char in ('"', "\\"):
        return "\\" + char
    if char.isprintable():
        return char
    return "\\t" if char == "\t" else f"\\U{ord(char):08x}"


def scalar_value(node: Node) -> Optional[str]:
    """What compose reads, before it interpolates; None for a name without a value, which it passes through."""
    if node.null:
        return None
    if node.tag or node.style or node.text.lower() not in ("true", "false"):
        return node.text
    return node.text.lower()


def is_exact(node: Node) -> bool:
    """Whether every reader takes the scalar for its very text, however it is written."""
    if node.style or node.tag:
        return True
    if node.text in ("true", "false") or _WHOLE_NUMBER.fullmatch(node.text):
        return True
    return not (node.null or node.text.lower() in _WORDS or _NUMBER.fullmatch(node.text))
