# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Showing a compose file without its secrets."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Optional

from ansible_collections.selfhosted.media.plugins.module_utils._compose.nodes import LINE_END, Node
from ansible_collections.selfhosted.media.plugins.module_utils._compose.project import Project
from ansible_collections.selfhosted.media.plugins.module_utils._compose.values import unescaped
from ansible_collections.selfhosted.media.plugins.module_utils._dotenv.masking import (
    LOOKS_SECRET,
    MASK,
    SHORTEST_HIDDEN,
    TELLTALE,
    URL_USER,
    URL_USER_IN_VALUE,
)

#: `API_KEY=x`, `--password=x`, `password: x` in a comment or in the middle of something else; not a volume's `secret:/path`.
_NAMED = r"((?<![A-Za-z0-9_])[A-Za-z0-9_.-]*(?:{names})[A-Za-z0-9_.-]*['\"]?[^\S\r\n]*(?:=|:(?=\s))[^\S\r\n]*)(?=\S).+"
_COMMENT = re.compile("(?<![^\\s,\\[\\]{}])#[^\n\r\x85\u2028\u2029]*")


def compose_diff(
    path: str, before: bytes, after: bytes, secret_names: Collection[str], changed: Collection[str] = ()
) -> dict[str, str]:
    """Ansible's diff of a compose file, secrets masked on both sides; one that has changed says so on the second."""
    old, new = _Painter(before, secret_names), _Painter(after, secret_names)
    hidden = {*old.secret_texts(), *new.secret_texts()}
    return {
        "before": old.paint(hidden),
        "after": new.paint(hidden, changed),
        "before_header": path,
        "after_header": path,
    }


class _Painter:
    """Masks the values of secrets: of the names given and of names that look like a secret's, anywhere in the file, in
    comments too; passwords in URLs; and the values themselves wherever else they stand.
    """

    def __init__(self, content: bytes, secret_names: Collection[str]) -> None:
        project = Project(content)
        self.text = project.text
        self.lead = project.bom
        self.hidden: list[str] = []
        self.secret_names = frozenset(secret_names)
        names = "|".join([TELLTALE, *map(re.escape, sorted(secret_names))])
        self.named = re.compile(_NAMED.format(names=names), re.IGNORECASE | re.DOTALL)
        self.scalars = [node for node in project.root.all() if node.kind in ("scalar", "alias")]
        #: The node of a secret's value, and the name of the secret.
        self.secrets = {id(value.real): name for name, value in self._secret_values(project.root)}

    def _is_secret(self, name: str) -> bool:
        return name in self.secret_names or bool(LOOKS_SECRET.search(name))

    def _secret_values(self, root: Node) -> Iterator[tuple[str, Node]]:
        for node in root.all():
            for key, value in node.pairs:
                if self._is_secret(key.real.text) and value.real.kind == "scalar":
                    yield key.real.text, value
            for item in node.items:
                name, equals, written = item.real.text.partition("=")
                if equals and written and self._is_secret(name):
                    yield name, item

    def secret_texts(self) -> Iterator[str]:
        """The values of secrets as they stand in the file and as they are read."""
        for node in self.scalars:
            if id(node) not in self.secrets:
                continue
            prefix = self.secrets[id(node)] + "="
            read = node.text[len(prefix) :] if node.text.startswith(prefix) else node.text
            texts = (read, unescaped(read), self.text[node.body : node.end])
            yield from (text for text in texts if len(text) >= SHORTEST_HIDDEN)

    def paint(self, hidden: Collection[str], changed: Collection[str] = ()) -> str:
        """The text as it may be shown."""
        self.hidden = sorted(hidden, key=len, reverse=True)
        shown, at, beside_secret = [self.lead], 0, False
        for node in self.scalars:
            between = self.text[at : node.body]
            shown.append(self._comments(between, beside_secret))
            beside_secret = beside_secret and not LINE_END.search(between)
            name = self.secrets.get(id(node))
            shown.append(self._value(node, name, changed))
            beside_secret = beside_secret or name is not None
            at = node.end
        shown.append(self._comments(self.text[at:], beside_secret))
        return "".join(shown)

    def _value(self, node: Node, name: Optional[str], changed: Collection[str]) -> str:
        if name is None or node.null:
            return self._text(self.text[node.body : node.end], value=True)
        # Of an item the name stays; a key is a node of its own.
        lead = f"{name}=" if node.text.startswith(f"{name}=") else ""
        return f"{lead}{MASK}{' (changed)' if name in changed else ''}"

    def _comments(self, between: str, beside_secret: bool) -> str:
        """What stands between two values; a comment in the line of a secret may hold the one before it."""
        line_end = LINE_END.search(between)
        same_line = (line_end.start() if line_end else len(between)) if beside_secret else 0

        def masked(comment: re.Match[str]) -> str:
            return f"# {MASK}" if comment.start() < same_line else self._text(comment[0])

        return _COMMENT.sub(masked, between)

    def _text(self, text: str, value: bool = False) -> str:
        text = self.named.sub(rf"\1{MASK}", text)
        text = (URL_USER_IN_VALUE if value else URL_USER).sub(rf"://{MASK}@", text)
        for secret in self.hidden:
            text = text.replace(secret, MASK)
        return text
