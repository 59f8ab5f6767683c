# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The real readers of an `.env`: bash, docker compose 2, the python-dotenv of docker-compose 1, environs and systemd's own
parser. Each reads many files in one process. Where this machine lacks one a model stands for it, and a note says which."""

from __future__ import annotations

import ctypes
import functools
import glob
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Callable, Optional

from ansible_collections.selfhosted.media.plugins.module_utils._dotenv import systemd

#: What a reader takes a file to say; None if it refuses the whole file.
Reading = Optional[dict[str, str]]
Reader = Callable[[Sequence[Path]], list[Reading]]

HERE = Path(__file__).resolve().parent
#: Where the tests with containers keep compose too (tests/docker/projects.py).
COMPOSE = Path(os.environ.get("MEDIA_DOCKER_CACHE", Path.home() / ".cache" / "media-docker")) / "compose"

# --- bash ---

#: Commands in a file are not found, and what it sets is forgotten before the next one: a shell for each would take longer.
BASH = r"""
while IFS= read -r _file; do
  IFS= read -r _names
  source "$_file" </dev/null >/dev/null 2>&1
  for _name in $_names; do [ -n "${!_name+x}" ] && printf '%s=%s\0' "$_name" "${!_name}"; done
  printf '\1\0'
  unset $_names
done
"""
_NAME = re.compile(rb"(?<![A-Za-z0-9_])[A-Za-z_][A-Za-z0-9_]*(?=\+?=)")


def by_bash(paths: Sequence[Path]) -> list[Reading]:
    """As `source .env`; looks at all names that stand before an equals sign in the file."""
    asked = [b" ".join(sorted({*_NAME.findall(path.read_bytes())} - {b"PATH", b"HOME"})) for path in paths]
    orders = b"".join(b"%b\n%b\n" % (os.fsencode(path), names) for path, names in zip(paths, asked))
    environment = {"LC_ALL": "C.UTF-8", "PATH": "/nonexistent", "HOME": "/nonexistent"}
    command = ["/bin/bash", "-c", BASH]
    done = subprocess.run(command, input=orders, capture_output=True, env=environment, check=False)
    readings = done.stdout.decode("utf-8", "surrogateescape").split("\1\0")[:-1]
    assert len(readings) == len(paths), done.stderr
    return [dict(item.split("=", 1) for item in reading.split("\0")[:-1]) for reading in readings]


# --- environs and python-dotenv ---

PYTHON = r"""
import json, os, sys, warnings
for path in map(str.rstrip, sys.stdin):
    os.environ.clear()
    try:
        if sys.argv[1] == "environs":
            import environs
            reader = environs.Env()
            reader.read_env(path, recurse=False)
            # Releases before 15 put what they read into the process's environment.
            reading = dict(getattr(reader, "_environ", os.environ))
        else:
            import dotenv
            reading = dotenv.dotenv_values(path, encoding="utf-8-sig")
    except ValueError:  # not UTF-8, or a NUL, which no environment can hold
        reading = None
    print(json.dumps(reading))
"""


def _by_python(paths: Sequence[Path], python: str, library: str) -> list[Reading]:
    orders = "".join(f"{path}\n" for path in paths)
    command = [python, "-c", PYTHON, library]
    environment = {"PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(command, input=orders, capture_output=True, text=True, env=environment, check=True)
    readings = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(readings) == len(paths)
    return [reading and {k: v for k, v in reading.items() if v is not None} for reading in readings]


def by_environs(paths: Sequence[Path]) -> list[Reading]:
    """As the application does."""
    return _by_python(paths, sys.executable, "environs")


def by_python_dotenv(paths: Sequence[Path]) -> list[Reading]:
    """Today's release of what docker-compose 1 uses."""
    return _by_python(paths, sys.executable, "dotenv")


def by_old_python_dotenv(paths: Sequence[Path]) -> list[Reading]:
    """The release that docker-compose 1 uses (Debian 12: 0.21)."""
    return _by_python(paths, "/usr/bin/python3", "dotenv")


def has_old_python_dotenv() -> bool:
    code = "import sys, dotenv.version as v; sys.exit(not v.__version__.startswith('0.'))"
    try:
        return subprocess.run(["/usr/bin/python3", "-c", code], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


# --- systemd ---


@functools.cache
def systemd_library() -> tuple[Optional[ctypes.CDLL], int]:
    """systemd's shared code, which holds its parser of environment files, and its release."""
    found = [name for lib in ("lib/*", "lib*") for name in glob.glob(f"/usr/{lib}/systemd/libsystemd-shared-*.so")]
    for name in found:
        release = re.search(r"shared-(\d+)", name)
        try:
            library = ctypes.CDLL(name)
        except OSError:
            continue
        if hasattr(library, "load_env_file"):
            return library, int(release[1]) if release else 0
    return None, 0


def by_systemd(paths: Sequence[Path]) -> list[Reading]:
    """As `EnvironmentFile=`."""
    return [_by_systemd(path) for path in paths]


def _by_systemd(path: Path) -> Reading:
    library = systemd_library()[0]
    assert library is not None
    result = ctypes.POINTER(ctypes.c_char_p)()
    if library.load_env_file(None, os.fsencode(path), ctypes.byref(result)) < 0:
        return None
    reading = {}
    at = 0
    while result and result[at] is not None:
        name, _equals, value = (result[at] or b"").decode("utf-8", "surrogateescape").partition("=")
        reading[name] = value
        at += 1
    return reading


def by_systemd_model(paths: Sequence[Path]) -> list[Reading]:
    return [systemd.parse(path.read_bytes().decode("utf-8", "surrogateescape")) for path in paths]


# --- docker compose 2 ---


def compose_release(binary: str) -> int:
    """The first number of its version; 0 if it has none to tell."""
    version = subprocess.run([binary, "version", "--short"], capture_output=True, text=True, check=False).stdout
    first = version.lstrip("v").split(".")[0]
    return int(first) if first.isdigit() else 0


@functools.cache
def compose_binary() -> Optional[str]:
    """A docker compose of the second generation: this machine's, else Debian's, downloaded once (17 MB)."""
    folders = [os.environ.get("DOCKER_CONFIG", os.path.expanduser("~/.docker"))]
    folders += ["/usr/libexec/docker", "/usr/lib/docker", "/usr/local/lib/docker", "/usr/local/libexec/docker"]
    found = [f"{folder}/cli-plugins/docker-compose" for folder in [*folders, str(COMPOSE / "v2")]]
    for binary in filter(os.path.isfile, [*found, shutil.which("docker-compose") or ""]):
        if compose_release(binary) >= 2:
            return binary
    COMPOSE.parent.mkdir(parents=True, exist_ok=True)
    script = [str(HERE / "docker" / "compose-install.sh"), str(COMPOSE), "v2"]
    subprocess.run(script, capture_output=True, check=False)
    return found[-1] if os.path.isfile(found[-1]) else None


def by_compose(paths: Sequence[Path]) -> list[Reading]:
    """As `env_file:`; one project with a service for each file. It refuses all if it refuses one: then that one is looked for."""
    if not paths:
        return []
    environment = _environments(paths)
    if environment is not None:
        return [environment[f"s{number}"] for number in range(len(paths))]
    if len(paths) == 1:
        return [None]
    half = len(paths) // 2
    return by_compose(paths[:half]) + by_compose(paths[half:])


def _environments(paths: Sequence[Path]) -> Optional[dict[str, dict[str, str]]]:
    binary = compose_binary()
    assert binary is not None
    folder = paths[0].parent
    project = folder / "readers-compose.json"
    services = {f"s{number}": {"image": "none", "env_file": [str(path)]} for number, path in enumerate(paths)}
    project.write_text(json.dumps({"services": services}))
    command = [binary, "-f", str(project), "config", "--format", "json"]
    done = subprocess.run(command, capture_output=True, env={"PATH": "/usr/bin:/bin"}, cwd=folder, check=False)
    if done.returncode:
        return None
    told = {name: service.get("environment") or {} for name, service in json.loads(done.stdout)["services"].items()}
    # In its own output compose doubles every $.
    return {
        service: {name: value.replace("$$", "$") for name, value in environment.items() if value is not None}
        for service, environment in told.items()
    }


class _Refused(Exception):
    """compose refuses the whole file."""


def by_compose_model(paths: Sequence[Path]) -> list[Reading]:
    """compose-go's dotenv/parser.go, without the expansion of variables, since nothing here writes one: a value with
    a `$` that compose would expand comes out as it stands and differs from what was asked for only in the real one."""
    readings: list[Reading] = []
    for path in paths:
        try:
            readings.append(_compose_model(path.read_bytes().decode("utf-8", "surrogateescape")))
        except _Refused:
            readings.append(None)
    return readings


def _compose_model(text: str) -> dict[str, str]:
    text = text.removeprefix("\ufeff")
    blank = " \t\v\f\r\x85\xa0"
    reading: dict[str, str] = {}
    while True:
        text = text.lstrip()
        if text.startswith("#"):
            text = text.partition("\n")[2]
            continue
        if not text:
            return reading
        if re.match(r"export\s", text):
            text = text[6:].lstrip(blank)
        key, mark, rest = re.match(r"([^=:\n]*)([=:\n]?)((?s:.*))", text).groups()  # type: ignore[union-attr]
        key = key.rstrip(blank)
        if not re.fullmatch(r"[\w.\[\]-]*" if mark else r"[\w.\[\]\s-]*", key):
            raise _Refused(key)
        text = rest.lstrip(blank)
        if not mark:  # a bare name at the very end becomes the value of no name
            return {**reading, "": key}
        if mark == "\n":
            continue
        if text[:1] not in ("'", '"'):
            line, _newline, text = text.partition("\n")
            reading[key] = line.partition(" #")[0].rstrip()
            continue
        quoted = re.match(rf"(?s){text[0]}((?:\\.|[^{text[0]}\\])*){text[0]}", text)
        if not quoted:
            raise _Refused(key)
        value = re.sub(rf"(?s)\\({text[0]})", r"\1", quoted[1]) if text[0] == "'" else _unescape(quoted[1])
        reading[key] = value
        text = text[quoted.end() :]


def _unescape(text: str) -> str:
    escapes = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
    return re.sub(r'(?s)\\([abfnrtv$"\\])', lambda match: escapes.get(match[1], match[1]), text)


# --- All of them ---


@functools.cache
def readers() -> tuple[dict[str, Reader], list[str]]:
    """All readers by name, and a line for each that this machine lacks."""
    notes = []
    found: dict[str, Reader] = {
        **{"bash": by_bash, "environs": by_environs, "docker-compose 1": by_old_python_dotenv},
        **{"docker compose 2": by_compose, "systemd": by_systemd},
    }
    if not has_old_python_dotenv():
        found["docker-compose 1"] = by_python_dotenv
        notes.append("docker-compose 1: the system's Python has no python-dotenv 0.x; today's stands for it")
    if not systemd_library()[0]:
        found["systemd"] = by_systemd_model
        notes.append("systemd: no libsystemd-shared here; a model of its parser stands for it")
    if not compose_binary():
        found["docker compose 2"] = by_compose_model
        notes.append(
            "docker compose 2: none here, and none to be had by tests/docker/compose-install.sh; a model stands for it"
        )
    return found, notes


def read_by_all(contents: Iterable[bytes], folder: Path) -> dict[str, list[Reading]]:
    """What each reader reads, file by file."""
    paths = write_all(contents, folder)
    with ThreadPoolExecutor() as pool:
        readings = {name: pool.submit(reader, paths) for name, reader in readers()[0].items()}
    return {name: reading.result() for name, reading in readings.items()}


def write_all(contents: Iterable[bytes], folder: Path) -> list[Path]:
    """A file for each content."""
    folder.mkdir(exist_ok=True)
    paths = []
    for number, content in enumerate(contents):
        paths.append(folder / f"{number}.env")
        paths[-1].write_bytes(content)
    return paths
