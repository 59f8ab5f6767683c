# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The examples of the documentation: every block of README.md, the roles' pages and the guides, and the EXAMPLES of every plugin."""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
PAGES = (
    ROOT / "README.md",
    *sorted(ROOT.glob("roles/*/README.md")),
    ROOT / "docs" / "index.rst",
    *sorted(ROOT.glob("docs/docsite/rst/*.rst")),
)
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_BLOCK = re.compile(r"^( *)\.\. code-block:: *(\S*)\n\n((?:\1 +\S.*\n|\s*\n)+)", re.MULTILINE)


@dataclass(frozen=True)
class Example:
    """A block of code and where it stands."""

    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def content(self) -> Any:
        """What a block of YAML says."""
        return yaml.safe_load(self.text)

    @property
    def title(self) -> str:
        """The name of the file that it is, as its first line says; empty for others."""
        found = re.match(r"# (\S+\.\w+)$", self.text.partition("\n")[0])
        return found[1] if found else ""

    @property
    def kind(self) -> str:
        """What a block of YAML is: a play, tasks, an inventory, or variables."""
        content = self.content
        if isinstance(content, list):
            return "play" if any("hosts" in one for one in content) else "tasks"
        return "inventory" if any(isinstance(one, dict) and "hosts" in one for one in content.values()) else "variables"


def _blocks(path: Path) -> Iterator[Example]:
    text, page = path.read_text(encoding="utf-8"), str(path.relative_to(ROOT))
    pattern = _FENCE if path.suffix == ".md" else _BLOCK
    for match in pattern.finditer(text):
        language, block = match.groups()[-2:]
        yield Example(page, text.count("\n", 0, match.start()) + 1, language, textwrap.dedent(block).strip("\n") + "\n")


@cache
def blocks() -> tuple[Example, ...]:
    """All blocks of code of the pages."""
    return tuple(one for path in PAGES for one in _blocks(path))


def yaml_blocks(kind: str) -> list[Example]:
    """The blocks of YAML of this kind."""
    return [one for one in blocks() if one.language.startswith("yaml") and one.kind == kind]


@cache
def of_plugins() -> dict[str, Example]:
    """The EXAMPLES of modules, by their names, and of other plugins."""
    found = {}
    for path in sorted(ROOT.glob("plugins/*/*.*")):
        text, page = path.read_text(encoding="utf-8"), str(path.relative_to(ROOT))
        if path.suffix == ".yml":
            found[path.stem] = Example(page, 1, "yaml", yaml.safe_load(text)["EXAMPLES"])
        elif path.suffix == ".py":
            for node in ast.parse(text).body:
                if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "EXAMPLES":
                    found[path.stem] = Example(page, node.lineno, "yaml", str(ast.literal_eval(node.value)))
    return found


def module_of(task: dict[str, Any]) -> str:
    """The name of the module or action of a task."""
    return next(key for key in task if "." in key)


@cache
def commands() -> tuple[tuple[Example, str], ...]:
    """The lines of shell that the pages show, without their prompts and comments."""
    lines = [(one, line) for one in blocks() if one.language == "console" for line in one.text.splitlines()]
    return tuple((one, line[2:].partition("   #")[0].strip()) for one, line in lines if line.startswith("$ "))
