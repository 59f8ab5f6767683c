# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Users of this machine that are made for a test, and a Python that they may run."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4


class AccountsUnavailable(Exception):
    """No users can be made here; the message says why."""


@dataclass(frozen=True)
class Account:
    """A user, whose password nobody has."""

    name: str
    home: Path

    @property
    def uid(self) -> int:
        return pwd.getpwnam(self.name).pw_uid


@contextlib.contextmanager
def open_folder() -> Iterator[Path]:
    """A folder that everybody may enter, unlike pytest's."""
    with tempfile.TemporaryDirectory(prefix="places-", dir="/var/tmp") as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


@contextlib.contextmanager
def account(folder: Path, sudo: str = "") -> Iterator[Account]:
    """A user with a home in the folder, who may run this by sudo, or ALL."""
    if os.geteuid() or not shutil.which("useradd") or not shutil.which("sudo"):
        raise AccountsUnavailable("users are made by root, with useradd and sudo")
    name = f"media{uuid4().hex[:8]}"
    # "*" is a password that nothing fits; sshd does not let in whose account is locked
    subprocess.run(
        ["useradd", "-m", "-d", str(folder / name), "-s", "/bin/sh", "-p", "*", name], check=True, capture_output=True
    )
    rule = Path("/etc/sudoers.d", name)
    try:
        if sudo:
            rule.write_text(f"{name} ALL=(ALL) NOPASSWD: {sudo}\n")
            rule.chmod(0o440)
        yield Account(name, folder / name)
    finally:
        rule.unlink(missing_ok=True)
        subprocess.run(["userdel", "--force", name], check=False, capture_output=True)


def python_for_everybody(path: Path, *libraries: Path, before: str = "") -> Path:
    """A Python at this path that everybody may run, with libraries of ours, and what a shell does before: this one may lie in root's home."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    candidates = [sys.executable, f"/usr/bin/python{version}"]
    reachable = next((one for one in candidates if _may_run(one)), None)
    if reachable is None:
        raise AccountsUnavailable(f"there is no Python {version} here that everybody may run")
    places = libraries or (Path(sysconfig.get_paths()["purelib"]),)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f'#!/bin/sh\n{before}\nexport PYTHONPATH={os.pathsep.join(map(str, places))}\nexec {reachable} "$@"\n'
    )
    path.chmod(0o755)
    return path


def _may_run(python: str) -> bool:
    command = ["sudo", "-n", "-u", "nobody", python, "-c", ""]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0
