# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run `ansible-test sanity` on a copy of this checkout; arguments are passed on (`--test pylint`, names of files).

It finds nothing to test in an ignored folder, which it calls success; hence the look at which files it has seen. It makes
its virtual environments below $HOME with a get-pip.py from a host of its own; hence a private $HOME, where our stand-in for
that script installs pip from the index with the wheel that Python bundles, so that only the package index is needed.
"""

from __future__ import annotations

import configparser
import importlib.util
import os
import re
import sys
from pathlib import Path

from ansible_collections.selfhosted.media.tests.checkout import ansible_test, as_collection

HOME = Path(sys.prefix) / "sanity"

GET_PIP = """
import ensurepip, pathlib, runpy, sys, sysconfig
bundled = sysconfig.get_config_var("WHEEL_PKG_DIR") or pathlib.Path(ensurepip.__file__).parent / "_bundled"
sys.path.insert(0, str(next(pathlib.Path(bundled).glob("pip-*.whl"))))
sys.argv[1:] = ["install", *(arg for arg in sys.argv[1:] if arg not in ("--no-setuptools", "--no-wheel"))]
runpy.run_module("pip.__main__", run_name="__main__", alter_sys=True)
"""


def write_get_pip() -> None:
    """Put the stand-in where ansible-test keeps what it has downloaded."""
    found = importlib.util.find_spec("ansible_test")
    if found is None or found.origin is None:
        raise SystemExit("there is no ansible-test here; run make setup")
    internal = Path(found.origin).parent / "_internal" / "python_requirements.py"
    versions = set(re.findall(r"pip='([\d.]+)'", internal.read_text(encoding="utf-8")))
    if not versions:
        raise SystemExit(f"{internal} does not say which get-pip.py it wants")
    cache = HOME / ".ansible" / "test" / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    for version in versions:
        (cache / f"get_pip_{version.replace('.', '_')}.py").write_text(GET_PIP, encoding="utf-8")


def write_pip_settings() -> None:
    """ansible-test keeps PIP_* from its children and our $HOME hides the user's files: settle both in files there."""
    home, config = Path.home(), os.environ.get("XDG_CONFIG_HOME")
    ours = [HOME / ".pip" / "pip.conf", HOME / ".config" / "pip" / "pip.conf"]
    candidates = [
        Path(os.environ.get("PIP_CONFIG_FILE", "")),
        (Path(config) if config else home / ".config") / "pip" / "pip.conf",
        home / ".pip" / "pip.conf",
    ]
    merged = configparser.RawConfigParser(strict=False)
    merged.read([path for path in reversed(candidates) if path.is_file()], encoding="utf-8")
    if not merged.has_section("global"):
        merged.add_section("global")
    for name, value in os.environ.items():
        if name.startswith("PIP_") and name != "PIP_CONFIG_FILE":
            merged.set("global", name[4:].lower().replace("_", "-"), value)
    for path in ours:
        path.unlink(missing_ok=True)
    ours[-1].parent.mkdir(parents=True, exist_ok=True)
    with ours[-1].open("w", encoding="utf-8") as file:
        merged.write(file)


def unseen(output: str, names: list[str]) -> list[str]:
    """The Python files of plugins/ that no command of ansible-test has named."""
    commands = "\n".join(line for line in output.splitlines() if line.startswith("Run command"))
    return [name for name in names if re.fullmatch(r"plugins/.*\.py", name) and f" {name}" not in commands]


def main() -> int:
    write_get_pip()
    write_pip_settings()
    version = "{}.{}".format(*sys.version_info)
    with as_collection() as (tree, names):
        done = ansible_test(tree, "sanity", "--local", "--python", version, "-v", *sys.argv[1:], home=HOME)
    for line in done.stdout.splitlines():
        if line.startswith(("Running sanity test", "ERROR", "FATAL", "WARNING: Skip", "See documentation")):
            print(line)
    if done.returncode:
        print(done.stdout[-2000:] if "ERROR" not in done.stdout else "ansible-test sanity has failed")
        return 1
    missing = [] if sys.argv[1:] else unseen(done.stdout, names)
    if missing:
        print("ansible-test sanity has not looked at:", *missing)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
