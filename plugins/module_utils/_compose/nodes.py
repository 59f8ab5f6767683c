# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A YAML document as a tree that knows where in the text everything stands, aliases included. ruamel.yaml reads it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Optional

from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError

try:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    HAS_RUAMEL = True
except ImportError:
    HAS_RUAMEL = False

#: Where the library comes from, for the sentence that says it is missing.
RUAMEL_PACKAGES = "(Debian, Ubuntu: package python3-ruamel.yaml; Fedora: python3-ruamel-yaml; pip: ruamel.yaml)"

BOM = "\ufeff"

#: What ends a line for the readers of YAML 1.1, compose among them.
LINE_END = re.compile("\r\n|[\n\r\x85\u2028\u2029]")

_PROPERTY = re.compile(r"[&!][^\s,\[\]{}]*")
_COLON = re.compile(r"\s*:")
_BETWEEN = re.compile(r"(?:\s+(?:#.*)?)*")


@dataclass(eq=False)
class Node:
    """A scalar, map, list or alias. `start` is where its anchor or tag begins, `body` where what they belong to does."""

    kind: str
    line: int
    path: tuple[str, ...]
    start: int
    body: int
    end: int
    #: The end of anchor and tag; of a node without them, where it starts.
    head: int
    anchor: str = ""  # of an alias: the name that it refers to
    tag: str = ""
    text: str = ""  # what a scalar says
    style: str = ""  # a scalar's quote or block sign
    flow: bool = False
    parent: Optional[Node] = None
    pairs: list[tuple[Node, Node]] = field(default_factory=list)
    items: list[Node] = field(default_factory=list)
    target: Optional[Node] = None

    @property
    def real(self) -> Node:
        """What an alias stands for; the node itself if it is none."""
        return self.target or self

    @property
    def empty(self) -> bool:
        """Whether nothing is written here: the value of `KEY:`."""
        return self.kind == "scalar" and not self.style and self.body >= self.end

    @property
    def null(self) -> bool:
        """Whether it is a null in every reader."""
        return self.kind == "scalar" and not (self.style or self.tag) and self.text in ("", "~", "null", "Null", "NULL")

    def children(self) -> Iterator[Node]:
        for key, value in self.pairs:
            yield key
            yield value
        yield from self.items

    def all(self) -> Iterator[Node]:
        """The node and all below it in the order of the text, aliases not followed."""
        yield self
        for child in self.children():
            yield from child.all()


def parse(text: str) -> Node:
    """The tree of a text that holds one document."""
    if not HAS_RUAMEL:
        raise MediaError(f"ruamel.yaml is missing. Install it {RUAMEL_PACKAGES}, then run again.")
    try:
        return _Tree(text).root()
    except MarkedYAMLError as exc:
        mark = exc.problem_mark or exc.context_mark
        where = f"Line {mark.line + 1}, column {mark.column + 1}" if mark else "The file"
        problem = exc.problem or exc.context or "it cannot be read"
        raise MediaError(f"{where} is not valid YAML: {problem}. Mend it, then run again.") from None
    except YAMLError as exc:
        line = 1 + len(LINE_END.findall(text[: getattr(exc, "position", 0)]))
        raise MediaError(
            f"Line {line} holds a character that YAML does not allow. Remove it, then run again."
        ) from None
    except RecursionError:
        raise MediaError("The file is nested too deeply to be read.") from None


class _Tree:
    """Builds the tree from the parser's events."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.events: Iterator[Any] = iter(YAML(typ="safe", pure=True).parse(text))
        self.anchors: dict[str, Node] = {}
        self.open: list[Node] = []

    def root(self) -> Node:
        root: Optional[Node] = None
        for event in self.events:
            if type(event).__name__ != "DocumentStartEvent":
                continue
            if root:
                raise MediaError(
                    f"Line {event.start_mark.line + 1} starts a second document, and compose reads one. "
                    "Keep one document in the file."
                )
            root = self.node(next(self.events), (), None)
        if root is None:
            raise MediaError("The file is empty: there are no services in it.")
        return root

    def node(self, event: Any, path: tuple[str, ...], parent: Optional[Node]) -> Node:
        kind = type(event).__name__
        start, end = event.start_mark.index, event.end_mark.index
        anchor = str(event.anchor or "")
        if kind == "AliasEvent":
            target = self._target(anchor, event.start_mark.line + 1)
            line = event.start_mark.line + 1
            return Node("alias", line, path, start, start, end, start, anchor=anchor, parent=parent, target=target)
        tag = str(event.tag or "")
        head, body = self._behind_properties(start, bool(anchor) + bool(tag))
        node = Node("scalar", event.start_mark.line + 1, path, start, body, end, head, anchor, tag, parent=parent)
        if anchor:
            self.anchors[anchor] = node
        self.open.append(node)
        if kind == "ScalarEvent":
            self._scalar(node, event)
        elif kind == "MappingStartEvent":
            self._map(node, event)
        else:
            self._list(node, event)
        self.open.pop()
        return node

    def _target(self, anchor: str, line: int) -> Node:
        target = self.anchors.get(anchor)
        if target is None:
            raise MediaError(f"Line {line} refers to *{anchor}, but nothing above it has the anchor &{anchor}.")
        if target in self.open:
            raise MediaError(f"Line {line} refers to *{anchor} within &{anchor} itself. Remove that.")
        return target

    def _behind_properties(self, start: int, count: int) -> tuple[int, int]:
        """Where anchor and tag end, and where what they belong to starts."""
        head = body = start
        for _property in range(count):
            found = _PROPERTY.match(self.text, body)
            head = found.end() if found else body
            between = _BETWEEN.match(self.text, head)
            body = between.end() if between else head
        return head, body

    def _scalar(self, node: Node, event: Any) -> None:
        node.text, node.style = str(event.value), str(event.style or "")
        if node.style in ("|", ">"):
            node.end = self._end_of_block(node.body, node.end)
        node.body = min(node.body, node.end)

    def _end_of_block(self, body: int, end: int) -> int:
        """The end of a block scalar's last line; the parser looks for it in the line after."""
        header = LINE_END.split(self.text[body:end], maxsplit=1)[0].partition("#")[0]
        written = self.text[body:end]
        if "+" not in header:
            return body + len(written.rstrip(" \t\r\n"))
        last = [found.start() for found in LINE_END.finditer(written)]
        return body + last[-1] if last else end

    def _map(self, node: Node, event: Any) -> None:
        node.kind, node.flow = "map", bool(event.flow_style)
        names: dict[str, int] = {}
        for after in self.events:
            if type(after).__name__ == "MappingEndEvent":
                break
            key = self.node(after, (*node.path, "?"), node)
            name = key.real.text if key.real.kind == "scalar" else ""
            key.path = (*node.path, name, "?")
            value = self.node(next(self.events), (*node.path, name), node)
            self._place_empty(key, value)
            node.pairs.append((key, value))
            if name in names and key.real.kind == "scalar":
                raise MediaError(
                    f"Line {key.line}: {name} stands in the same map a second time, first in line {names[name]}. "
                    "Remove one of them."
                )
            names[name] = key.line
        self._close(node, after)

    def _place_empty(self, key: Node, value: Node) -> None:
        """Of an empty value the parser gives the start of what comes next."""
        if value.empty and not (value.anchor or value.tag):
            colon = _COLON.match(self.text, key.end)
            at = colon.end() if colon else key.end
            value.start = value.head = value.body = value.end = at
            value.line = key.line

    def _list(self, node: Node, event: Any) -> None:
        node.kind, node.flow = "list", bool(event.flow_style)
        for after in self.events:
            if type(after).__name__ == "SequenceEndEvent":
                break
            node.items.append(self.node(after, (*node.path, str(len(node.items))), node))
        self._close(node, after)

    @staticmethod
    def _close(node: Node, event: Any) -> None:
        """Of block style the parser gives the start of what comes next, which may be far below."""
        last = [*node.children()]
        node.end = last[-1].end if last and not node.flow else event.end_mark.index
        if not node.flow and last:
            node.body = last[0].start
