# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Gramps Web installed without containers: units of systemd and a Python of their own."""

from __future__ import annotations

import glob
import os
import posixpath
import pwd
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Optional

from ansible_collections.selfhosted.media.plugins.module_utils._dotenv import systemd as environment_file
from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._gramps.settings import (
    ASK,
    CONFIG_FILE,
    RUN,
    S3,
    Installation,
    NoSuchService,
    Settings,
    expanded,
    literals,
    role_of,
    told,
)
from ansible_collections.selfhosted.media.plugins.module_utils._instance.command import CommandFailed, Runner
from ansible_collections.selfhosted.media.plugins.module_utils._instance.compose import same
from ansible_collections.selfhosted.media.plugins.module_utils._instance.units import address, show
from ansible_collections.selfhosted.media.plugins.module_utils._io import read_file

_PROPERTIES = "Id,LoadState,ActiveState,User,WorkingDirectory,ExecStart,Environment,EnvironmentFiles,MainPID"
_ARGV = re.compile(r"argv\[\]=(.*?) ; ignore_errors=", re.DOTALL)
#: As systemctl shows them: a part in quotes has its blanks kept.
_ASSIGNMENT = re.compile(r"""(?:"((?:\\.|[^"\\])*)"|'([^']*)'|(\S+))""")
_FILE = re.compile(r"(?m)^(.*?)(?: \(ignore_errors=\w+\))?$")


@dataclass(frozen=True)
class Unit:
    """A unit of systemd, and the process that it runs."""

    name: str
    command: str
    folder: str
    user: str
    active: bool
    #: what its files give it, the later ones winning
    written: Mapping[str, str] = field(repr=False)
    files: Sequence[str]
    #: what its process has; None if none runs, or if it does not tell
    has: Optional[Mapping[str, str]] = field(repr=False)

    @property
    def environment(self) -> Mapping[str, str]:
        return self.written if self.has is None else self.has

    @property
    def role(self) -> str:
        return role_of(self.command)

    @property
    def home(self) -> str:
        try:
            return pwd.getpwnam(self.user or "root").pw_dir
        except KeyError:
            return "/"

    def lies_in(self, folder: str) -> bool:
        """Whether it works in a folder, or what it runs or reads lies there."""
        inner = os.path.realpath(folder) + "/"
        paths = [self.folder, *self.files, *(word for word in self.command.split() if word.startswith("/"))]
        return any(same(path, folder) or os.path.realpath(path).startswith(inner) for path in paths if path)


def find(folder: Optional[str], wanted: Sequence[str] = ()) -> Optional[Installation]:
    """The installation whose units run gramps_webapi, or None."""
    if shutil.which("systemctl") is None:
        return None
    asked = [name if "." in name else f"{name}.service" for name in wanted]
    units = _units(asked or _names())
    if asked:
        missing = [name for name in asked if name not in units]
        if missing:
            raise NoSuchService(f"gramps_web_services names {', '.join(missing)}, which systemd does not know")
        found = [units[name] for name in asked]
        return _installation(sorted(found, key=lambda unit: unit.role != "web"))
    webs, workers = ([unit for unit in units.values() if unit.role == role] for role in ("web", "celery"))
    if folder:
        webs, workers = ([unit for unit in found if unit.lies_in(folder)] for found in (webs, workers))
    if len(webs) > 1:
        names = ", ".join(sorted(f"{unit.name} in {unit.folder or '/'}" for unit in webs))
        raise MediaError(
            f"several units run Gramps Web: {names}; set gramps_web_dir, or gramps_web_services to those of one"
        )
    return _installation([*webs, *sorted(workers, key=lambda unit: unit.name)]) if webs else None


def _names() -> list[str]:
    """All services that systemd knows, started or not; a template is none, but what was made of it is."""
    names: set[str] = set()
    for verb in (["list-units", "--all"], ["list-unit-files"]):
        listing = ["systemctl", *verb, "--type=service", "--no-legend", "--no-pager", "--plain"]
        try:
            said = Runner("/", timeout=30).run(listing, "asking systemd for its units")
        except CommandFailed:
            return []  # systemd is installed, but is not what runs this host
        names.update(line.split()[0] for line in said.splitlines() if line.strip())
    return sorted(name for name in names if not name.endswith("@.service"))


def _units(names: Sequence[str]) -> dict[str, Unit]:
    """The loaded units among these."""
    found = show(names, _PROPERTIES) if names else []
    return {unit["Id"]: _unit(unit) for unit in found if unit.get("LoadState") == "loaded" and "Id" in unit}


def _unit(shown: Mapping[str, str]) -> Unit:
    argv = _ARGV.search(shown.get("ExecStart", ""))
    user = shown.get("User", "")
    pid = shown.get("MainPID", "0")
    files = [path for line in _FILE.findall(shown.get("EnvironmentFiles", "")) if line for path in _existing(line)]
    written = _assignments(shown.get("Environment", ""))
    for path in files:
        written.update(_read(path))
    command = expanded(argv[1] if argv else "", written)
    if not role_of(command) and pid != "0":
        command = " ".join(_words_of(pid, "cmdline")) or command  # as of a script that starts it
    folder = shown.get("WorkingDirectory", "").lstrip("!-")
    has = _process(pid)
    return Unit(
        shown["Id"],
        command,
        folder,
        user,
        shown.get("ActiveState") in ("active", "activating", "reloading"),
        written,
        files,
        has,
    )


def _existing(path: str) -> list[str]:
    return sorted(glob.glob(path)) or [path]


def _assignments(shown: str) -> dict[str, str]:
    values: dict[str, str] = {}
    for quoted, single, bare in _ASSIGNMENT.findall(shown):
        name, equals, value = (re.sub(r"\\(.)", r"\1", quoted) or single or bare).partition("=")
        if equals:
            values[name] = value
    return values


def _read(path: str) -> dict[str, str]:
    content = read_file(path)
    return environment_file.parse(content.decode("utf-8", "backslashreplace")) if content else {}


def _process(pid: str) -> Optional[dict[str, str]]:
    """The environment that a process was started with. What renames itself may have written its name over it."""
    found = dict(entry.split("=", 1) for entry in _words_of(pid, "environ") if "=" in entry)
    return found if "PATH" in found else None


def _words_of(pid: str, what: str) -> list[str]:
    try:
        with open(f"/proc/{pid}/{what}", "rb") as file:
            return file.read().decode("utf-8", "backslashreplace").strip("\0").split("\0")
    except OSError:
        return []


def _installation(units: list[Unit]) -> Installation:
    web, names = units[0], [unit.name for unit in units]
    common = [path for path in web.files if all(path in unit.files for unit in units)]
    env_file = common[-1] if common else ""
    folder = web.folder if web.folder.startswith("/") else web.home if web.folder else os.path.dirname(env_file) or "/"
    config = posixpath.join(folder, _config_of(web))
    answer = _ask(web, config)
    settings = Settings(web.environment, literals(answer["config"]))
    base, remarks = settings.media_base, []
    if base.startswith(S3):
        kept = env_file + ".before-s3"
        base = Settings(_read(kept), settings.file).media_base if env_file and os.path.exists(kept) else ""
    url = _listens(web)
    if not url:
        remarks.append(f"{web.name} listens on a socket, which has no URL; set gramps_web_url")
    if not env_file:
        remarks.append(f"{' and '.join(names)} read no EnvironmentFile in common, where settings could be written")
    python = _python(web)
    if not python:
        remarks.append(f"the Python that {web.name} runs with is not known from its ExecStart")
    trees = [posixpath.join(folder, path) for path in settings.grampsdb(web.home)]
    return Installation(
        install_type="systemd",
        folder=folder,
        services=names,
        compose_file="",
        env_file=env_file,
        environment=dict(web.environment),
        unset_in=[
            unit.name for unit in units[1:] if Settings(unit.environment, settings.file).storage != settings.storage
        ],
        paths=[],
        media_base=settings.media_base,
        media_dir="" if not base or base.startswith(S3) else os.path.normpath(posixpath.join(folder, base)),
        prefix_tree=settings.prefix_tree,
        prefix_tree_text=settings.prefix_tree_text,
        tree=settings.text("TREE"),
        tree_id=settings.text("TREE_ID"),
        grampsdb=next((path for path in trees if os.path.isdir(path)), trees[0]),
        config_file=config if settings.is_in_file("MEDIA_BASE_DIR") else "",
        release=answer["release"],
        running=any(unit.active for unit in units),
        restart_needed=any(map(_stale, units)),
        user=web.user,
        stop=["systemctl", "stop", *reversed(names)],
        start=["systemctl", "start", *names],
        failed=["systemctl", "is-failed", web.name],
        python=python,
        health_url=url + "ready" if url else "",
        health_command=[],
        health_inside="",
        managed_by="",
        remarks=remarks,
    )


def _stale(unit: Unit) -> bool:
    """Whether its process has another storage than its files say now."""
    return unit.has is not None and Settings(unit.has).storage != Settings(unit.written).storage


def _config_of(unit: Unit) -> str:
    given = re.search(r"gramps_webapi\b.*?\s--config[ =](\S+)", unit.command)
    return given[1] if given else unit.environment.get(CONFIG_FILE, "")


def _ask(unit: Unit, config: str) -> dict[str, str]:
    """The release, asked as the service's user, and the settings file."""
    python = _python(unit)
    content = (read_file(config) or b"").decode("utf-8", "replace") if os.path.isfile(config) else ""
    try:
        runner = Runner("/", unit.user or None, timeout=60)
        release = (
            told(runner.run([*python, "-c", ASK, os.devnull], "asking for the release"))["release"] if python else ""
        )
    except CommandFailed:
        release = ""
    return {"release": release, "config": content}


def _python(unit: Unit) -> list[str]:
    """The interpreter of the program that the unit starts: itself, that of its first line, or the one beside it."""
    for program in (word.strip("\"'") for word in unit.command.split()):
        if not (program.startswith("/") and os.path.isfile(program)):
            continue
        if os.path.basename(program).startswith("python"):
            return [program]
        with open(program, "rb") as file:
            first = file.readline(500).decode("utf-8", "replace")
        script = re.match(r"#!\s*(/\S*/python[\w.]*)\s*$", first)
        if script and os.path.exists(script[1]):
            return [script[1]]
        for folder in (os.path.dirname(program), os.path.dirname(os.path.realpath(program))):
            for name in ("python", "python3"):
                if os.path.exists(os.path.join(folder, name)):
                    return [os.path.join(folder, name)]
    return []


def _listens(unit: Unit) -> str:
    """Where the application listens, as seen from this machine; empty for a socket."""
    run = RUN.search(unit.command)
    if run:
        port, host = (re.search(rf"(?:{option})[ =]?(\S+)", run[1]) for option in (r"--port|-p", "--host"))
        address_of_host = f"{host[1] if host else '127.0.0.1'}:{port[1] if port else '5000'}"
        return address(f"--bind {address_of_host}")
    arguments = unit.environment.get("GUNICORN_CMD_ARGS", "")
    bound = re.search(r"(?<!\S)(?:-b|--bind)", unit.command)
    return address(unit.command if bound else f"{arguments} {unit.command}")
