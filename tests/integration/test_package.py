# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection as users get it: built, installed into an empty place beside nothing but ansible-core and boto3, run by name."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import shlex
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from ansible_collections.selfhosted.media.tests.examples import commands, yaml_blocks
from ansible_collections.selfhosted.media.tests.playbooks import ROOT, Outcome, StandIn, standin
from ansible_collections.selfhosted.media.tests.servers import Server

PLAYBOOKS = sorted(path.stem for path in ROOT.glob("playbooks/*.yml"))
PLUGINS = {
    "module": sorted(path.stem for path in ROOT.glob("plugins/modules/*.py")),
    "filter": sorted(path.stem for path in ROOT.glob("plugins/filter/*.py")),
    "role": sorted(path.parent.name for path in ROOT.glob("roles/*/tasks")),
}


@dataclass
class Installed:
    """A user's machine: one virtual environment, one collection, a home of its own."""

    folder: Path
    tarball: Path

    @property
    def programs(self) -> Path:
        return self.folder / "venv" / "bin"

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
        return {
            **kept,
            "HOME": str(self.folder),
            "ANSIBLE_COLLECTIONS_PATH": str(self.folder / "collections"),
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_LOCALHOST_WARNING": "false",
            "PATH": os.pathsep.join([str(self.programs), "/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin"]),
        }

    def run(self, *command: str, environment: dict[str, str] | None = None) -> Outcome:
        done = subprocess.run(
            [str(self.programs / command[0]), *command[1:]],
            cwd=self.folder,
            env={**self.environment, **(environment or {})},
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=280,
        )
        return Outcome(done.returncode, done.stdout + done.stderr)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    folder = tmp_path_factory.mktemp("user")
    subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True)
    # The same versions as here; the caller's pip settings, and so its index, hold.
    wanted = [f"{name}=={importlib.metadata.version(name)}" for name in ("ansible-core", "boto3")]
    pip = [str(folder / "venv" / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check", *wanted]
    subprocess.run(pip, check=True)
    build = [str(folder / "venv" / "bin" / "ansible-galaxy"), "collection", "build", "--output-path", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (tarball,) = folder.glob("selfhosted-media-*.tar.gz")
    machine = Installed(folder, tarball)
    done = machine.run(
        "ansible-galaxy", "collection", "install", "--offline", str(tarball), "-p", str(folder / "collections")
    )
    assert done.code == 0, done.output
    return machine


def test_the_tarball_holds_what_users_need_and_nothing_else(installed: Installed) -> None:
    with tarfile.open(installed.tarball) as archive:
        names = [name for name in archive.getnames() if name != "."]
    top = {name.split("/")[0] for name in names}
    assert top == {
        "CHANGELOG.rst", "COPYING", "FILES.json", "MANIFEST.json", "README.md", "bindep.txt", "requirements.txt",
        "changelogs", "docs", "meta", "playbooks", "plugins", "roles",
    }  # fmt: skip
    assert {name.split("/")[1] for name in names if name.startswith("docs/")} == {"docsite"}
    assert not [name for name in names if re.search(r"__pycache__|\.pyc$|(^|/)\.|\.tar\.gz$", name)]
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, check=True, capture_output=True)
    known = set(listed.stdout.decode().splitlines())
    files = {name for name in names if (ROOT / name).is_file()}
    assert files <= known
    assert files >= {name for name in known if name.startswith(("plugins/", "roles/", "playbooks/", "meta/"))}


@pytest.mark.parametrize("playbook", PLAYBOOKS)
def test_playbooks_are_found_by_name(installed: Installed, playbook: str) -> None:
    for option in ("--syntax-check", "--list-tasks"):
        done = installed.run("ansible-playbook", f"selfhosted.media.{playbook}", "-i", "books,", option)
        assert done.code == 0, done.output
    # the role's first task, by the application's name; `verify` finds out which
    tasks = {"verify": "The application of this host", "media_copy": "Copy this host's part"}
    application = "Gramps Web" if playbook.startswith("gramps_web") else "BookWyrm"
    assert tasks.get(playbook, application) in done.output


@pytest.mark.parametrize("kind", PLUGINS)
def test_everything_has_its_page(installed: Installed, kind: str) -> None:
    names = [f"selfhosted.media.{name}" for name in PLUGINS[kind]]
    done = installed.run("ansible-doc", "-t", kind, "--json", *names)
    assert done.code == 0, done.output
    pages, _end = json.JSONDecoder().raw_decode(done.output[done.output.index("{") :])
    assert sorted(pages) == sorted(names)


@pytest.fixture
def books(installed: Installed, tmp_path: Path, moto_server: Server, bucket_name: str) -> StandIn:  # type: ignore[misc]
    with standin(tmp_path / "bookwyrm", moto_server, bucket_name, covers=5) as instance:
        yield instance


def write_inventory(machine: Installed, instance: StandIn) -> None:
    """The inventory of README.md, whose host is the stand-in and whose service is the test server."""
    (example,) = [one for one in yaml_blocks("inventory") if one.page == "README.md" and "bookwyrm" in one.content]
    content = example.content
    (host,) = content["bookwyrm"]["hosts"].values()
    assert set(host) <= {*instance.variables, "ansible_become", "bookwyrm_s3_region"}
    host.update(
        instance.variables,
        ansible_become=False,
        ansible_connection="local",
        ansible_python_interpreter=str(machine.programs / "python"),
        bookwyrm_s3_provider="generic",
        bookwyrm_s3_region="us-east-1",
    )
    (machine.folder / example.title).write_text(yaml.safe_dump(content), encoding="utf-8")


def type_command(machine: Installed, instance: StandIn, line: str, *options: str) -> Outcome:
    path = os.pathsep.join([str(instance.folder / "systemd"), machine.environment["PATH"]])
    return machine.run(*shlex.split(line), *options, environment={"PATH": path})


#: Look first, then do it.
LINES = [line for one, line in commands() if one.page == "README.md" and ".bookwyrm_migrate " in line]


def test_bookwyrm_migrate_works_from_it(installed: Installed, books: StandIn) -> None:
    """What README.md tells to type, and nothing else."""
    look, do = LINES
    write_inventory(installed, books)
    env = (books.folder / ".env").read_bytes()
    check = type_command(installed, books, look)
    assert check.code == 0, check.output
    assert (books.folder / ".env").read_bytes() == env
    assert str(ROOT) not in check.output

    assert all(url.startswith("/images/") for url in books.images())
    done = type_command(installed, books, do)
    assert done.code == 0, done.output
    assert books.images()
    assert all(books.variables["bookwyrm_s3_bucket"] in url for url in books.images())


def test_a_wrong_value_is_told_by_its_variable(installed: Installed, books: StandIn) -> None:
    write_inventory(installed, books)
    done = type_command(installed, books, LINES[1], "-e", "bookwyrm_install_type=foo")
    assert done.code != 0
    assert "value of bookwyrm_install_type must be one of: auto, docker, systemd, got: foo" in done.output
