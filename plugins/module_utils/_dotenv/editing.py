# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changing the variables of an `.env` and nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ansible_collections.selfhosted.media.plugins.module_utils._dotenv import systemd
from ansible_collections.selfhosted.media.plugins.module_utils._dotenv.reading import (
    BOM,
    Piece,
    decode,
    encoded,
    parse,
    pieces,
)
from ansible_collections.selfhosted.media.plugins.module_utils._dotenv.values import (
    DotenvError,
    check_name,
    encode,
    meaning,
)


@dataclass(frozen=True)
class Edited:
    """The new content, and the variables whose lines differ from the old one's, in the order they were asked for."""

    content: bytes
    changed_keys: list[str]


def edit(content: bytes, values: Mapping[str, str], absent: Iterable[str] = ()) -> Edited:
    """Give variables their values and take others away, everything else byte for byte as it was.

    The last active line of a name is rewritten, unless all readers already take it for that value, and its earlier
    duplicates go; a new variable comes after its commented default, which stays, else at the end.
    """
    written = {name: encode(name, value) for name, value in values.items()}
    gone = list(absent)
    for name in gone:
        check_name(name)
    document = _Document(content)
    changed = [name for name, right_side in written.items() if document.give(name, right_side, values[name])]
    changed += [name for name in gone if document.take_away(name)]
    _check_read_back(document, values, gone)
    return Edited(document.content(), changed)


class _Document:
    """The pieces of the file while they change."""

    def __init__(self, content: bytes) -> None:
        self.bom, text = decode(content)
        self.pieces = list(pieces(text))
        ends = [piece.end for piece in self.pieces if piece.end]
        self.line_end = "\r\n" if ends and ends[0] == "\r\n" else "\n"
        self._torn = [piece for piece in self.pieces if piece.kind == "broken" and re.search(r"[\r\n]", piece.body)]
        self._where: dict[str, list[Piece]] = {}
        for piece in self.pieces:
            if piece.sets:
                self._where.setdefault(piece.sets, []).append(piece)

    def content(self) -> bytes:
        text = "".join(piece.text for piece in self.pieces)
        # A byte order mark of a line further down must not become the file's.
        lead = self.line_end if not self.bom and text.startswith(BOM) else ""
        return encoded(self.bom + lead + text)

    def give(self, name: str, right_side: str, value: str) -> bool:
        """Make `name` have the value; whether that changed a line."""
        mine = self._lines_of(name)
        line = f"{name}={right_side}"
        if not mine:
            self._insert(name, line)
            return True
        last = mine[-1]
        self._where[name] = [last]
        for piece in mine[:-1]:
            self._drop(piece)
        at = self._index(last)
        gap = self._gap(at)
        if not gap and last.end != "\r" and meaning(name, last.body) == value:
            return len(mine) > 1
        end = self._end_like(last) if last.end else ""
        rewritten = _statement(line + end)
        self.pieces[at : at + 1] = [*self._blank(gap, last), rewritten]
        self._where[name] = [rewritten]
        return True

    def take_away(self, name: str) -> bool:
        """Make `name` have no active line; whether there was one."""
        mine = self._lines_of(name)
        for piece in mine:
            self._drop(piece)
        self._where.pop(name, None)
        return bool(mine)

    def _lines_of(self, name: str) -> list[Piece]:
        # One reader may see a line of ours in what is a part of another value for the others.
        ours = re.compile(rf"(?<![A-Za-z0-9_]){name}[^\S\r\n]*(?:\+?=|:)")
        for piece in self._torn:
            if ours.search(piece.body):
                raise DotenvError(
                    f"Line {self.line_number(piece)} starts a value that spans lines and that its readers end at "
                    f"different places, and {name} stands in it. Put these lines in order by hand, then run again."
                )
        return self._where.get(name, [])

    def _index(self, piece: Piece) -> int:
        return next(at for at, other in enumerate(self.pieces) if other is piece)

    def line_number(self, piece: Piece) -> int:
        before = "".join(other.text for other in self.pieces[: self._index(piece)])
        return 1 + len(re.findall(r"\r\n|\n|\r", before))

    def _drop(self, piece: Piece) -> None:
        at = self._index(piece)
        self.pieces[at : at + 1] = self._blank(self._gap(at), piece)

    def _insert(self, name: str, line: str) -> None:
        default = re.compile(rf"[^\S\r\n]*#[#\s]*(?:export\s+)?{name}\s*=")
        defaults = [at for at, piece in enumerate(self.pieces) if piece.kind == "comment" and default.match(piece.text)]
        at = defaults[-1] + 1 if defaults else len(self.pieces)
        above = self.pieces[at - 1] if at else Piece("", "blank")
        end = self._end_like(above)
        lead = [Piece(end, "blank")] if at and not above.end else []
        new = _statement(line + end)
        self.pieces[at:at] = [*lead, *self._blank(self._gap(at), above), new]
        self._where[name] = [new]

    def _end_like(self, piece: Piece) -> str:
        return piece.end if piece.end in ("\n", "\r\n") else self.line_end

    def _blank(self, wanted: bool, like: Piece) -> list[Piece]:
        return [Piece(self._end_like(like), "blank")] if wanted else []

    def _gap(self, at: int) -> bool:
        """Whether an empty line has to stand at this place: bash and systemd take a line for the continuation of one
        that ends in a backslash, do not see a first line behind a byte order mark, and bash ends no line at a \\r."""
        if at == 0:
            return bool(self.bom)
        above = self.pieces[at - 1]
        backslashes = len(above.body) - len(above.body.rstrip("\\"))
        return backslashes % 2 == 1 or above.end == "\r"


def _statement(text: str) -> Piece:
    return next(pieces(text))


def _check_read_back(document: _Document, values: Mapping[str, str], absent: list[str]) -> None:
    """Refuse to hand out a file in which a line above swallows what was written."""
    text = "".join(piece.text for piece in document.pieces)
    readings = (dict(parse(text)), systemd.parse(document.bom + text))
    for name, value in [*values.items(), *((name, None) for name in absent)]:
        if all(reading.get(name) == value for reading in readings):
            continue
        unclosed = [document.line_number(piece) for piece in document.pieces if piece.unclosed]
        where = f"line {unclosed[0]} opens a quote" if unclosed else "a line above it opens a quote"
        raise DotenvError(
            f"{name} cannot be changed so that all readers of the file see it: {where} that is not closed. "
            "Mend that line, then run again."
        )
