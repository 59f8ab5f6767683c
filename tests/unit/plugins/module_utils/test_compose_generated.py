# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hundreds of generated compose files: PyYAML, which the editor does not use, finds the named variables of the named services
changed and nothing else, and the lines that do not concern them are there byte for byte."""

from __future__ import annotations

import difflib
import random
import re
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from ansible_collections.selfhosted.media.plugins.module_utils._compose.editing import edit, environment_of
from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.tests.unit.compose_files import (
    NAMES,
    NASTY,
    NEW_NAMES,
    any_file,
    any_value,
    environments,
    loaded,
    rest,
)

FILES = 20


def lines_kept(before: bytes, after: bytes, concerned: Sequence[str]) -> bool:
    """Whether every line that has gone names one of the variables, or begins an environment or an extension field."""
    old, new = (content.decode().splitlines(keepends=True) for content in (before, after))
    ours = re.compile("|".join([*map(re.escape, concerned), r"^\s*(?:environment|x-\w+):"]))
    for tag, start, end, new_start, new_end in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        gone = [] if tag in ("equal", "insert") else old[start:end]
        # The last line of the file gets a line end when something comes behind it, or loses it with what goes behind it.
        came = [line.strip() for line in new[new_start:new_end]]
        if not all(ours.search(line) or line.strip() in came for line in gone):
            return False
    return True


def as_text(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else str(value)


def check(before: bytes, after: bytes, named: Sequence[str], values: Mapping[str, str], absent: Sequence[str]) -> None:
    old, new = loaded(before), loaded(after)
    assert rest(new) == rest(old)
    expected, found = environments(old), environments(new)
    for service in named:
        expected[service].update({name: value.replace("$", "$$") for name, value in values.items()})
        for name in absent:
            expected[service].pop(name, None)
        for name, value in values.items():
            # A number or boolean that already reads the same is left as it is.
            found[service][name] = as_text(found[service][name])
            assert environment_of(after, service)[name] == value
    assert found == expected
    assert lines_kept(before, after, [*values, *absent])


@pytest.mark.parametrize("seed", range(5))
def test_only_what_was_named_changes(seed: int) -> None:
    choose = random.Random(seed)
    done = 0
    for number in range(FILES):
        content, services = any_file(choose)
        named = choose.sample(services, choose.randint(1, len(services)) if number % 2 else len(services))
        keys = choose.sample([*NAMES, *NEW_NAMES], 4)
        values = {name: any_value(choose) for name in keys[:3]}
        absent = keys[choose.randint(2, 4) :] if choose.random() < 0.5 else keys[3:]
        absent = [name for name in absent if name not in values]
        try:
            edited = edit(content, named, values, absent)
        except MediaError as exc:
            # Only what is shared with a service that was not named may stop it.
            assert "cannot be changed alone" in str(exc), (content.decode(), named, values, absent)
            assert len(named) < len(services), (str(exc), content.decode(), named, values, absent)
            continue
        done += 1
        try:
            check(content, edited.content, named, values, absent)
            again = edit(edited.content, named, values, absent)
        except AssertionError:
            print(content.decode(), edited.content.decode(), named, values, absent, sep="\n-----\n")
            raise
        assert (again.content, again.changed_keys) == (edited.content, [])
        assert bool(edited.changed_keys) == (edited.content != content)
    assert done > FILES / 2


@pytest.mark.parametrize(
    "form", ["services:\n  a:\n    environment:\n      X: old\n", "services: {a: {environment: {X: old}}}"]
)
@pytest.mark.parametrize("kind", ["map", "list"])
def test_every_value_is_read_back_as_it_is(form: str, kind: str) -> None:
    before = (
        form.replace("X: old", "X: old" if "{" in form else "- X=old").encode() if kind == "list" else form.encode()
    )
    if kind == "list" and "{" in form:
        before = form.replace("{X: old}", "[X=old]").encode()
    names = {f"V{number}": value for number, value in enumerate(NASTY)}
    after = edit(before, ["a"], names).content
    found = environments(loaded(after))["a"]
    assert {name: value.replace("$", "$$") for name, value in names.items()} == {name: found[name] for name in names}
    assert environment_of(after, "a") == {"X": "old", **names}
    assert edit(after, ["a"], names).content == after
