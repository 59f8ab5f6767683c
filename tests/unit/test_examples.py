# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the documentation shows can be typed as it stands. tests/integration/test_examples.py runs what runs here."""

from __future__ import annotations

import ast
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible import cli as ansible_cli
from ansible.cli.adhoc import AdHocCLI
from ansible.cli.galaxy import GalaxyCLI
from ansible.cli.playbook import PlaybookCLI
from ansible.cli.vault import VaultCLI
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible_collections.selfhosted.media.plugins.plugin_utils._progress.line import Pace, Report, line_of
from ansible_collections.selfhosted.media.tests.examples import ROOT, Example, blocks, commands, of_plugins, yaml_blocks

#: How the other languages' blocks are checked.
LANGUAGES = {
    "console": "test_a_command_can_be_typed",
    "text": "test_messages_are_those_of_the_code, test_the_progress_is_shown_as_it_is",
    "python": "test_examples.py of the integration tests: a Django site runs with these settings",
    "jinja": "test_s3_permissions.py: test_the_guide_shows_what_the_filter_yields",
    "json": "test_s3_permissions.py: test_the_guide_shows_what_the_filter_yields",
    "nginx": "test_bookwyrm_cleanup.py: test_the_configuration_of_the_docs",
}
PROGRAMS: dict[str, type[ansible_cli.CLI]] = {
    "ansible": AdHocCLI,
    "ansible-galaxy": GalaxyCLI,
    "ansible-playbook": PlaybookCLI,
    "ansible-vault": VaultCLI,
}
INVENTORIES = yaml_blocks("inventory")
#: Modules of other collections are not here.
OF_OTHERS = ("amazon.aws.",)
PLAYS = [one for one in yaml_blocks("play") if not any(name in one.text for name in OF_OTHERS)]


def options_of(role: str) -> set[str]:
    """The variables of a role."""
    specs = yaml.safe_load((ROOT / "roles" / role / "meta" / "argument_specs.yml").read_text(encoding="utf-8"))
    return {name for entry in specs["argument_specs"].values() for name in entry["options"]}


def unknown(variables: dict[str, Any]) -> set[str]:
    """Those that look like a role's and are none of it."""
    roles = {path.parent.name for path in ROOT.glob("roles/*/tasks")}
    return {
        name
        for role in roles
        for name in variables
        if name.startswith(f"{role}_") and not name.startswith(f"vault_{role}") and name not in options_of(role)
    }


def test_every_block_is_known_how_to_check() -> None:
    assert len(blocks()) > 60
    assert [str(one) for one in blocks() if one.language not in (*LANGUAGES, "yaml", "yaml+jinja")] == []
    # a file's name on the first line is what the commands call it
    named = {one.title for kind in ("play", "inventory", "variables") for one in yaml_blocks(kind)}
    used = {word for _one, line in commands() for word in shlex.split(line) if word.endswith(".yml")}
    assert used <= named


@pytest.mark.parametrize("example", INVENTORIES, ids=str)
def test_an_inventory_is_one(example: Example, tmp_path: Path) -> None:
    path = tmp_path / "inventory.yml"
    path.write_text(example.text, encoding="utf-8")
    inventory = InventoryManager(loader=DataLoader(), sources=[str(path)])
    assert inventory.get_hosts()
    for group, content in example.content.items():
        assert group in ("bookwyrm", "gramps_web", "media_copy"), "the playbooks work on these"
        for variables in ((content.get("vars") or {}), *((one or {}) for one in content["hosts"].values())):
            assert unknown(variables) == set()
        for host in inventory.groups[group].get_hosts():
            known = {**inventory.groups[group].get_vars(), **host.get_vars()}
            assert {f"{group}_s3_provider", f"{group}_s3_bucket", f"{group}_s3_access_key"} <= set(known)


def test_the_inventories_of_readme_and_guide_are_the_same() -> None:
    def of(page: str, group: str) -> Any:
        return next(one.content[group] for one in INVENTORIES if one.page.endswith(page) and group in one.content)

    assert of("README.md", "bookwyrm") == of("bookwyrm_migration.rst", "bookwyrm")
    assert of("README.md", "gramps_web") == of("gramps_web_migration.rst", "gramps_web")


@pytest.mark.parametrize("example,line", commands(), ids=str)
def test_a_command_can_be_typed(example: Example, line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    program, *words = shlex.split(line)
    if program == "make":
        targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
        assert words[0] in targets
        return
    if program == "molecule":
        scenario = words[words.index("-s") + 1]
        assert (ROOT / "extensions" / "molecule" / scenario / "molecule.yml").exists()
        return
    if program == "jq":
        if not shutil.which("jq"):
            pytest.skip("jq is not installed")
        subprocess.run(["jq", "--null-input", f"def it: {words[1]}; true"], check=True)
        return
    monkeypatch.setattr("ansible.context.CLIARGS", {})
    PROGRAMS[program]([program, *words]).parse()  # ends the process for an option that there is not
    for name in re.findall(r"selfhosted\.media\.(\w+)", line):
        assert (ROOT / "playbooks" / f"{name}.yml").exists() or (ROOT / "plugins" / "modules" / f"{name}.py").exists()


def test_plays_are_plays(tmp_path: Path) -> None:
    """All at once: starting Ansible takes a second."""
    for number, example in enumerate(PLAYS):
        (tmp_path / f"{number}.yml").write_text(example.text, encoding="utf-8")
    paths = sorted(str(path) for path in tmp_path.glob("*.yml"))
    assert len(paths) >= 8
    done = subprocess.run(
        ["ansible-playbook", "--syntax-check", "-i", "localhost,", *paths],
        env={**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".venv" / "collections")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("example", PLAYS, ids=str)
def test_a_play_sets_variables_that_its_roles_have(example: Example) -> None:
    for play in example.content:
        for one in (*play.get("tasks", ()), *play.get("roles", ())):
            assert unknown(one.get("vars") or {}) == set()
            included = one.get("ansible.builtin.include_role") or {}
            name = str(included.get("name") or one.get("role") or "").rpartition(".")[2]
            if name:
                assert (ROOT / "roles" / name / "tasks" / f"{included.get('tasks_from', 'main')}.yml").exists()


def test_every_module_and_filter_has_examples() -> None:
    plugins = [path for path in ROOT.glob("plugins/*/*.py") if path.parent.name in ("modules", "filter")]
    assert {path.stem for path in plugins} == set(of_plugins())
    assert all(one.kind == "tasks" and all(task.get("name") for task in one.content) for one in of_plugins().values())


# -- troubleshooting: who searches for a message finds it --


def sentences() -> str:
    """What the code says: the literals of Python, joined where they are written in pieces, and the roles' texts."""
    found = []
    for path in ROOT.glob("plugins/**/*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = (one.value if isinstance(one, ast.Constant) else "\0" for one in node.values)
                found.append("".join(str(one) for one in parts))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    for path in ROOT.glob("roles/**/*.yml"):
        found.append(re.sub(r"\{\{.*?\}\}", "\0", path.read_text(encoding="utf-8"), flags=re.DOTALL))
    return re.sub(r"\s+", " ", "\n".join(found))


#: What the code puts together itself.
COMPOSED = {
    "belongs to somebody else, or this key may neither list nor write it": (
        "or this key may",
        "neither list nor write it",
    ),
}
MESSAGES = [
    line
    for one in blocks()
    if one.page.endswith("troubleshooting.rst") and one.language == "text"
    for line in one.text.splitlines()
]


def test_messages_are_those_of_the_code() -> None:
    said = sentences()
    assert len(MESSAGES) > 50
    parts = [part.strip(" ,;:()'") for line in MESSAGES for part in line.split("...")]
    pieces = [piece for part in parts for piece in COMPOSED.get(part, (part,))]
    assert [piece for piece in pieces if len(piece) > 3 and piece not in said] == []


def test_the_code_s_own_remedies_are_found() -> None:
    """Each error code of S3 for which the code has a remedy stands on the page."""
    page = (ROOT / "docs" / "docsite" / "rst" / "troubleshooting.rst").read_text(encoding="utf-8")
    for code in ("SignatureDoesNotMatch", "InvalidAccessKeyId", "RequestTimeTooSkewed", "PermanentRedirect"):
        assert code in page


# -- the site --


def test_every_guide_is_in_the_menus() -> None:
    sections = yaml.safe_load((ROOT / "docs" / "docsite" / "extra-docs.yml").read_text(encoding="utf-8"))["sections"]
    listed = [name for one in sections for name in one["toctree"]]
    assert sorted(listed) == sorted(path.stem for path in ROOT.glob("docs/docsite/rst/*.rst"))


def test_links_of_the_pages_lead_to_files() -> None:
    for path in (ROOT / "README.md", *ROOT.glob("roles/*/README.md")):
        links = re.findall(r"\]\((?!https?:)([^)#]+)\)", path.read_text(encoding="utf-8"))
        assert [one for one in links if not (path.parent / one).exists()] == []


def test_the_progress_is_shown_as_it_is() -> None:
    """The line in README.md is one that the collection prints."""
    (shown,) = [one.text for one in blocks() if one.page == "README.md" and one.language == "text"]
    pace = Pace()
    for seconds, files, size in ((0.0, 45_163, 5.1e9 - 310e6), (10.0, 48_213, 5.1e9)):
        report = Report("uploading", seconds, files, int(size), 0, 412_900, int(42.3e9), True)
        pace.see(report)
    assert shown == f"books.example.org: {line_of(report, pace)}\n"
