# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Thousands of generated values and files, four times as many by `make chaos`: what dotenv writes is read back alike by the real readers of an `.env`
(tests/dotenv_readers.py), what was not asked for is there byte for byte, and what was taken away comes back."""

from __future__ import annotations

import os
import random
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Optional

import pytest
from ansible_collections.selfhosted.media.plugins.module_utils._dotenv import (
    DotenvError,
    DotenvValueError,
    edit,
    encode,
    read,
)
from ansible_collections.selfhosted.media.plugins.module_utils._dotenv.reading import decode, pieces
from ansible_collections.selfhosted.media.tests.dotenv_readers import (
    Reading,
    by_bash,
    by_compose,
    by_compose_model,
    compose_binary,
    read_by_all,
    readers,
    write_all,
)
from ansible_collections.selfhosted.media.tests.unit.dotenv_files import (
    LINES,
    NASTY_LINES,
    as_bytes,
    random_file,
    random_request,
    random_values,
)


@pytest.fixture(scope="module", autouse=True)
def _which_readers(request: pytest.FixtureRequest) -> None:
    """Say which reader this machine lacks."""
    notes = readers()[1]
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        for note in notes:
            print(f"\n{note}")


def of(reader: str, reading: Reading, names: Mapping[str, object]) -> Optional[dict[str, Optional[str]]]:
    """What the reader says of these names. Bash has the \\r of a CRLF file in every value; the line ends are the owner's matter."""
    if reading is None:
        return None
    said = {name: reading.get(name) for name in names}
    return {name: value.removesuffix("\r") if value and reader == "bash" else value for name, value in said.items()}


# --- Values ---

#: Each is another choice of values and files.
SEEDS = int(os.environ.get("GENERATED_SEEDS", "1"))
VALUES_PER_FILE = 2000


@pytest.mark.parametrize("seed", range(3 * SEEDS))
def test_values_are_read_back_alike(seed: int, tmp_path: Path) -> None:
    """2,000 nasty values through every reader."""
    values = random_values(random.Random(seed), VALUES_PER_FILE)
    edited = edit(b"", values)
    assert edited.changed_keys == list(values)
    readings = {name: files[0] or {} for name, files in read_by_all([edited.content], tmp_path).items()}
    readings["ours"] = read(edited.content)
    lines = edited.content.splitlines()
    for reader, reading in readings.items():
        wrong = [name for name, value in values.items() if reading.get(name) != value]
        assert not wrong, f"{reader} reads {lines[int(wrong[0][1:])]!r} differently"
    assert edit(edited.content, values).content == edited.content


# --- Files ---

FILES = 1500


def only_what_was_asked_for(kept: Sequence[str], mine: Sequence[str], written: Sequence[str], after: str) -> bool:
    """Whether the text is the kept parts, in order and byte for byte, with nothing between them but our lines and empty ones.

    Our lines are those written now and those of our variables that were there before.
    """
    line = "|".join([*(f"{re.escape(text)}(?=[\r\n]|$)" for text in written), *map(re.escape, mine)])
    between = rf"(?:\r\n|\n{'|' if line else ''}{line})*"
    return re.fullmatch(between + between.join(re.escape(part) + between for part in kept), after) is not None


@pytest.mark.parametrize("seed", range(SEEDS))
def test_files_that_all_can_read(seed: int, tmp_path: Path) -> None:
    """1,500 files: what was asked for is read back by all five, nothing else has changed."""
    choose = random.Random(seed)
    contents, wanted = [], []
    for _number in range(FILES):
        chunks = random_file(choose)
        values, absent = random_request(choose)
        content = as_bytes(chunks)
        edited = edit(content, values, absent)
        assert edit(edited.content, values, absent).content == edited.content
        assert edited.changed_keys or edited.content == content
        of_ours = [chunk for chunk in chunks if sets(chunk) in {*values, *absent}]
        kept = [chunk for chunk in chunks if sets(chunk) not in {*values, *absent}]
        mine = [chunk for chunk in of_ours if sets(chunk) in values]
        written = [f"{name}={encode(name, value)}" for name, value in values.items()]
        after = edited.content.decode("utf-8", "surrogateescape")
        assert only_what_was_asked_for(kept, mine, written, after), (content, values, absent, edited.content)
        contents.append(edited.content)
        wanted.append({**values, **dict.fromkeys(absent)})
    for reader, readings in read_by_all(contents, tmp_path / "after").items():
        for content, reading, names in zip(contents, readings, wanted):
            assert of(reader, reading, names) == names, f"{reader}: {content!r}"


def sets(chunk: str) -> Optional[str]:
    piece = next(pieces(chunk), None)
    return piece.sets if piece else None


@pytest.mark.parametrize("seed", range(SEEDS))
def test_what_was_set_and_removed_can_be_taken_back(seed: int, tmp_path: Path) -> None:
    """500 files, changed and changed back as a rollback does: every reader reads again what it read before."""
    choose = random.Random(2000 + seed)
    before: list[bytes] = []
    restored, asked = [], []
    while len(before) < 500:
        content = as_bytes(random_file(choose))
        values, absent = random_request(choose)
        former = {name: value for name, value in read(content).items() if name in {*values, *absent}}
        if "A" in {*values, *absent} and b"${A}" in content:
            continue  # what refers to a variable changes with it, and with its place
        try:
            changed = edit(content, values, absent).content
            back = edit(changed, former, {*values, *absent} - {*former}).content
        except DotenvValueError:
            continue  # a former value over several lines, such as no setting of the storage has
        before.append(content)
        restored.append(back)
        asked.append({**dict.fromkeys([*values, *absent]), **former})
    first = read_by_all(before, tmp_path / "before")
    for reader, readings in read_by_all(restored, tmp_path / "restored").items():
        for content, was, now, names in zip(before, first[reader], readings, asked):
            assert was is not None
            assert now is not None
            # A reader that did not read it as environs does, such as systemd behind `export`, may do so now.
            said, once = of(reader, now, names) or {}, of(reader, was, names) or {}
            assert all(said[name] in (names[name], once[name]) for name in names), f"{reader}: {content!r}"
            others = dict.fromkeys(name for name in {*was, *now} - {*names} if name.isidentifier())
            assert of(reader, now, others) == of(reader, was, others), f"{reader}: {content!r}"


HOSTILE_FILES = 1000


@pytest.mark.parametrize("seed", range(SEEDS))
def test_hostile_files(seed: int, tmp_path: Path) -> None:
    """1,000 files full of what readers stumble over: changed so that each reader that can read the file at all reads what was
    asked for, or refused; never half done, never different the second time, and no reader loses the file by it."""
    choose = random.Random(1000 + seed)
    before, after, wanted = [], [], []
    refused = 0
    for _number in range(HOSTILE_FILES):
        content = as_bytes(random_file(choose, nasty=True))
        values, absent = random_request(choose)
        try:
            edited = edit(content, values, absent)
        except DotenvError as exc:
            refused += 1
            assert any(name in str(exc) for name in [*values, *absent])
            continue
        again = edit(edited.content, values, absent)
        assert (again.content, again.changed_keys) == (edited.content, [])
        names = {*values, *absent}
        text = decode(content)[1]
        mine = [piece.text for piece in pieces(text) if piece.sets in values]
        kept = [piece.text for piece in pieces(text) if piece.sets not in names]
        written = [f"{name}={encode(name, value)}" for name, value in values.items()]
        assert only_what_was_asked_for(kept, mine, written, decode(edited.content)[1]), (content, edited.content)
        # Compose reads `export A B` at the end of a file alone: what comes behind a last line ends it first.
        before.append(content if content.endswith(b"\n") else content + b"\n")
        after.append(edited.content)
        wanted.append({**values, **dict.fromkeys(absent)})
        assert {name: read(edited.content).get(name) for name in wanted[-1]} == wanted[-1]
    assert refused < HOSTILE_FILES * 0.6
    for name, reader in {**readers()[0], "bash": by_bash_to_the_end}.items():
        # Compose refuses many files, one at a time: its model tells which.
        could = (by_compose_model if reader is by_compose else reader)(write_all(before, tmp_path / "before"))
        can = [number for number, reading in enumerate(could) if reading is not None]
        assert len(can) > len(before) * 0.1, name
        reader = by_bash if name == "bash" else reader
        now = reader(write_all([after[number] for number in can], tmp_path / "after"))
        for number, reading in zip(can, now):
            assert of(name, reading, wanted[number]) == wanted[number], (
                f"{name}: {before[number]!r} became {after[number]!r}"
            )


def by_bash_to_the_end(paths: Sequence[Path]) -> list[Reading]:
    """Bash stops at some mistakes, and at a stray apostrophe or a backslash reads on: it can read a file that has none and in
    which it sees every line that sets something."""
    lines: list[set[str]] = []
    for path in paths:
        path.write_bytes(path.read_bytes() + b"\n\nTHE_END=1\n")
        content = path.read_bytes()
        stray = re.search(rb"=[^'\"\s][^\r\n']*'|\\\r?\n", content)
        seen = re.findall(rb"(?:^|[\r\n])([A-Za-z_][A-Za-z0-9_]*)=", content)
        lines.append({"STRAY"} if stray else {name.decode() for name in seen})
    return [reading if reading and names <= {*reading} else None for names, reading in zip(lines, by_bash(paths))]


def test_the_model_of_compose_is_right(tmp_path: Path) -> None:
    """Checked once against docker compose 2.26.1 over 100,000 files of this kind; what differed, six files, was mended."""
    if not compose_binary():
        pytest.skip("no docker compose 2 here, and none to be had (tests/docker/compose-install.sh)")
    choose = random.Random(7)
    lines = [line for line in LINES + NASTY_LINES if "$" not in line and not re.search("[\udc80-\udcff]", line)]
    files = [as_bytes([line + "\n" for line in choose.choices(lines, k=3)]) for _number in range(2000)]
    said = by_compose_model(write_all(files, tmp_path / "all"))
    # What compose refuses has to be asked for one at a time.
    refused = [content for content, reading in zip(files, said) if reading is None][:20]
    readable = [content for content, reading in zip(files, said) if reading is not None]
    assert [by_compose([path])[0] for path in write_all(refused, tmp_path / "refused")] == [None] * len(refused)
    assert by_compose(write_all(readable, tmp_path / "readable")) == [
        reading for reading in said if reading is not None
    ]
