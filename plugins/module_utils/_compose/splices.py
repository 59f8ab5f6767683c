# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which text has to be put where, so that a variable is set or gone in one place of a compose file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ansible_collections.selfhosted.media.plugins.module_utils._compose.nodes import LINE_END, Node
from ansible_collections.selfhosted.media.plugins.module_utils._compose.project import Entry, Project, named
from ansible_collections.selfhosted.media.plugins.module_utils._compose.values import encode, encode_item, encode_key
from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError

_ENVIRONMENT = "environment"


@dataclass(frozen=True)
class Change:
    """Pieces of text to replace (start, end, new text), and the only place in the tree that may differ afterwards."""

    splices: Sequence[tuple[int, int, str]]
    place: tuple[str, ...]
    line: int

    def applied(self, text: str) -> str:
        for start, end, new in sorted(self.splices, reverse=True):
            text = text[:start] + new + text[end:]
        return text


class Splicer:
    """Makes changes in the way in which the file itself is written."""

    def __init__(self, project: Project) -> None:
        self.text = project.text
        self.root = project.root
        first = LINE_END.search(self.text)
        self.line_end = "\r\n" if first and first[0] == "\r\n" else "\n"
        self.step = self._step(project)

    def write(self, container: Node, name: str, written: str) -> Change:
        """Set a variable in a map or list; of several entries of the name all but the last go first, one by one."""
        found = named(container, name)
        if len(found) > 1:
            return self.take_away(container, name)
        place = (*container.path, name)
        if found:
            return Change([self._rewritten(container, found[0], written)], place, found[0].node.line)
        if container.kind == "scalar":
            return self._filled(container, name, written)
        new = self._entry(container.kind, name, written, container.flow)
        last = self._spans(container)[-1:]
        if container.flow:
            return Change([self._in_flow(container, new)], place, container.line)
        if container.kind == "map":
            indent = self._column(container.pairs[0][0].start) * " "
        else:
            indent, new = self._dash(container, new)
        return Change([self._below(last[0][1], [indent + new])], place, container.line)

    def take_away(self, container: Node, name: str) -> Change:
        """Remove the first entry of a name."""
        entry = named(container, name)[0]
        self._refuse_anchor(entry, entry.node)
        spans = self._spans(container)
        at = next(at for at, span in enumerate(spans) if span[0] == entry.start)
        if container.flow:
            splices = [self._out_of_flow(container, spans, at)]
        else:
            splices = [self._lines(spans[at])]
            if len(spans) == 1:
                slot = self._slot(container)
                splices.append((slot, slot, " {}" if container.kind == "map" else " []"))
        return Change(splices, (*container.path, name), entry.node.line)

    def create(self, service: Node, name: str, written: str, anchor: str = "") -> Change:
        """Give a service's map an `environment`, which merges what the anchor stands for."""
        place, line = (*service.path, _ENVIRONMENT), service.line
        if service.flow:
            new = f"{_ENVIRONMENT}: {self._flow_map(name, written, anchor)}"
            return Change([self._in_flow(service, new)], place, line)
        indent = self._column(service.pairs[0][0].start) * " "
        lines = [f"{indent}{_ENVIRONMENT}:", *self._block_map(indent, name, written, anchor)]
        return Change([self._below(service.pairs[-1][1].end, lines)], place, line)

    def detach(self, key: Node, alias: Node, name: str, written: str) -> Change:
        """Make a map of an alias, that merges what the alias stands for."""
        parent = alias.parent or alias
        if parent.flow:
            splices = [(alias.start, alias.end, self._flow_map(name, written, alias.anchor))]
        else:
            indent = self._column(parent.pairs[0][0].start) * " "
            lines = self._block_map(indent, name, written, alias.anchor)
            splices = [(self._colon(key), alias.end, ""), self._below(alias.end, lines)]
        return Change(splices, alias.path, alias.line)

    def _entry(self, kind: str, name: str, written: str, flow: bool) -> str:
        if kind == "list":
            return encode_item(name, written, flow)
        return f"{encode_key(name)}: {encode(written, flow)}"

    def _flow_map(self, name: str, written: str, anchor: str = "") -> str:
        merge = f"<<: *{anchor}, " if anchor else ""
        return "{" + merge + self._entry("map", name, written, True) + "}"

    def _block_map(self, indent: str, name: str, written: str, anchor: str = "") -> list[str]:
        inner = indent + self.step * " "
        merge = [f"{inner}<<: *{anchor}"] if anchor else []
        return [*merge, inner + self._entry("map", name, written, False)]

    def _rewritten(self, container: Node, entry: Entry, written: str) -> tuple[int, int, str]:
        self._refuse_anchor(entry, entry.node)
        node = entry.node
        if entry.key is None:
            return node.start, node.end, encode_item(entry.name, written, container.flow, node.style)
        new = encode(written, container.flow, node.style)
        if node.empty and node.start == node.end:
            lead = " " if ":" in self.text[entry.key.end : node.start] else ": "
            return node.start, node.end, lead + new
        return node.start, node.end, new

    def _filled(self, container: Node, name: str, written: str) -> Change:
        """Of an `environment` that is there and empty."""
        parent = container.parent
        if not container.empty:
            splice = (container.body, container.end, self._flow_map(name, written))
        elif parent is None or parent.flow or not parent.pairs:
            splice = (container.head, container.head, " " + self._flow_map(name, written))
        else:
            indent = self._column(parent.pairs[0][0].start) * " "
            splice = self._below(container.head, self._block_map(indent, name, written))
        return Change([splice], container.path, container.line)

    def _refuse_anchor(self, entry: Entry, node: Node) -> None:
        """A value that others refer to cannot be changed for one of them."""
        for other in self.root.all():
            if other.target is node:
                raise MediaError(
                    f"Line {node.line}: the value of {entry.name} has the anchor &{node.anchor}, which line {other.line} "
                    "refers to. Write the value out there, then run again."
                )

    def _spans(self, container: Node) -> list[tuple[int, int]]:
        """Start and end of each entry, merge keys included."""
        pairs = [(key.start, max(key.end, value.end)) for key, value in container.pairs]
        return pairs or [(item.start, item.end) for item in container.items]

    def _in_flow(self, container: Node, new: str) -> tuple[int, int, str]:
        spans = self._spans(container)
        if not spans:
            return container.body + 1, container.body + 1, new
        between = self.text[spans[-2][1] : spans[-1][0]] if len(spans) > 1 else ", "
        if not re.fullmatch(r",\s*", between):
            between = ", "
        return spans[-1][1], spans[-1][1], between + new

    def _out_of_flow(self, container: Node, spans: list[tuple[int, int]], at: int) -> tuple[int, int, str]:
        """One comma goes with the entry; comments between entries stay."""
        start, end = spans[at]
        if at and re.fullmatch(r"\s*,\s*", self.text[spans[at - 1][1] : start]):
            return spans[at - 1][1], end, ""
        following = spans[at + 1][0] if at + 1 < len(spans) else container.end - 1
        comma = re.match(r"\s*,[ \t]*", self.text[end:following])
        return start, end + (comma.end() if comma else 0), ""

    def _dash(self, container: Node, new: str) -> tuple[str, str]:
        """Indentation of a list's items, and the new one with its dash."""
        item = container.items[-1]
        start = self._line_start(item.start)
        lead = re.fullmatch(r"( *)(- +)", self.text[start : item.start])
        if not lead:
            raise _by_hand(item.line)
        return lead[1], lead[2] + new

    def _slot(self, container: Node) -> int:
        """Where an empty map could begin instead of the container's content."""
        if container.head > container.start:
            return container.head
        parent = container.parent
        for key, value in parent.pairs if parent else []:
            if value is container:
                return self._colon(key)
        raise _by_hand(container.line)

    def _colon(self, key: Node) -> int:
        """The end of the colon behind a key."""
        return self.text.index(":", key.end) + 1

    def _below(self, position: int, lines: Sequence[str]) -> tuple[int, int, str]:
        at = self._end_of_line(position)
        return at, at, "".join(self.line_end + line for line in lines)

    def _lines(self, span: tuple[int, int]) -> tuple[int, int, str]:
        """The whole lines of an entry."""
        start, end = self._line_start(span[0]), self._end_of_line(span[1])
        if not re.fullmatch(r" *(?:- +)?", self.text[start : span[0]]):
            raise _by_hand(1 + len(LINE_END.findall(self.text[:start])))
        after = LINE_END.match(self.text, end)
        if after:
            return start, after.end(), ""
        # The last line of a file that ends without a line end: the one before it goes instead.
        before = list(LINE_END.finditer(self.text, 0, start))
        return (before[-1].start() if before else start), end, ""

    def _line_start(self, position: int) -> int:
        ends = [found.end() for found in LINE_END.finditer(self.text, 0, position)]
        return ends[-1] if ends else 0

    def _end_of_line(self, position: int) -> int:
        found = LINE_END.search(self.text, position)
        return found.start() if found else len(self.text)

    def _column(self, position: int) -> int:
        return position - self._line_start(position)

    def _step(self, project: Project) -> int:
        """How far the file indents the settings of its services."""
        for name, service in project.services.items():
            if service.kind == "map" and service.pairs and service.parent and not service.flow:
                inner, outer = service.pairs[0][0].start, service.parent.pairs[0][0].start
                if self._column(inner) > self._column(outer) and name:
                    return self._column(inner) - self._column(outer)
        return 2


def _by_hand(line: int) -> MediaError:
    return MediaError(
        f"Line {line} is written in a way that nothing can be changed in without touching more. Change it by hand."
    )
