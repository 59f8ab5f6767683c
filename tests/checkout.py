# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""This checkout as ansible-test wants it: it has to lie in .../ansible_collections/NAMESPACE/NAME, and not behind a link."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Optional

ROOT = Path(__file__).resolve().parents[1]


@contextlib.contextmanager
def as_collection() -> Iterator[tuple[Path, list[str]]]:
    """A copy of what git knows or would add, as long as the block runs, and the names of its files."""
    command = ["git", "ls-files", "-coz", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")
    present = [name for name in names if name and (ROOT / name).is_file()]
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "ansible_collections" / "selfhosted" / "media"
        for name in present:
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, tree / name)
        yield tree, present


def ansible_test(tree: Path, *words: str, home: Optional[Path] = None) -> subprocess.CompletedProcess[str]:
    """Run this environment's ansible-test in such a copy; the output of both kinds is its stdout."""
    # pyenv's shims and the like answer to every name and run nothing: the real interpreter comes first
    path = [str(Path(sys.executable).parent), str(Path(sys.base_prefix) / "bin"), os.environ["PATH"]]
    hidden = ("ANSIBLE_COLLECTIONS_PATH", "PYTHONPATH", "XDG_CONFIG_HOME" if home else "")
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    environment.update(PATH=os.pathsep.join(path), HOME=str(home or Path.home()))
    return subprocess.run(
        ["ansible-test", *words, "--color", "no"],
        cwd=tree,
        env=environment,
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
