# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real Gramps Web instances for tests: trees and pictures, plain processes, containers, and a client of the HTTP API."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from ansible_collections.selfhosted.media.tests.playbooks import ROOT

HERE = ROOT / "tests" / "grampsweb"
#: Gramps Web has a virtualenv of its own, made by `make setup` where the machine's Python has GObject.
GRAMPS_VENV = Path(os.environ.get("GRAMPS_VENV", ROOT / ".venv" / "gramps"))
PYTHON = GRAMPS_VENV / "bin" / "python"


class GrampsUnavailable(Exception):
    """Gramps Web, or what an instance needs besides, is not on this machine; the message says what is missing."""


def need_gramps() -> None:
    """Raise where `make setup` could not install Gramps Web."""
    if not (GRAMPS_VENV / "bin" / "gunicorn").exists():
        raise GrampsUnavailable(f"Gramps Web is not installed in {GRAMPS_VENV}; `make setup` says why")


def run_inside(script: str, *words: str, given: str = "", environment: Mapping[str, str] | None = None) -> str:
    """Run one of the scripts here with the Python that has Gramps; what it printed."""
    need_gramps()
    done = subprocess.run(
        [str(PYTHON), str(HERE / script), *words],
        input=given,
        env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", **(environment or {})},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{script} ended with {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout
