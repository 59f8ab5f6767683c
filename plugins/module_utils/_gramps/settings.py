# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the environment of a Gramps Web says, read as gramps_webapi reads it."""

from __future__ import annotations

import ast
import json
import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.selfhosted.media.plugins.module_utils._dotenv.masking import MASK, URL_USER_IN_VALUE
from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError

PREFIX = "GRAMPSWEB_"
CONFIG_FILE = "GRAMPS_API_CONFIG"
#: Settings that are read from variables without the prefix too, where they are not empty. The prefixed one wins.
_UNPREFIXED = frozenset({"TREE", "MEDIA_BASE_DIR", "BASE_URL"})
#: Variables that say where the media are.
STORAGE = re.compile(r"(GRAMPSWEB_)?MEDIA_(BASE_DIR|PREFIX_TREE)|AWS_\w+")
#: Variables that are no secrets and which a run needs to know.
SHOWN = re.compile(
    r"(GRAMPSWEB_)?(MEDIA_BASE_DIR|MEDIA_PREFIX_TREE|TREE|TREE_ID|BASE_URL)"
    r"|AWS_DEFAULT_REGION|AWS_ENDPOINT_URL(_S3)?|GRAMPSWEB_\w+__CACHE_DIR|GRAMPSWEB_(REPORT|EXPORT)_DIR"
)
#: ENV of the application's image (its Dockerfile), as far as it matters here.
IMAGE = {
    CONFIG_FILE: "/app/config/config.cfg",
    "GRAMPSWEB_MEDIA_BASE_DIR": "/app/media",
    "GRAMPSWEB_THUMBNAIL_CACHE_CONFIG__CACHE_DIR": "/app/thumbnail_cache",
    "GRAMPSWEB_REQUEST_CACHE_CONFIG__CACHE_DIR": "/app/cache/request_cache",
    "GRAMPSWEB_PERSISTENT_CACHE_CONFIG__CACHE_DIR": "/app/cache/persistent_cache",
    "GRAMPSWEB_REPORT_DIR": "/app/cache/reports",
    "GRAMPSWEB_EXPORT_DIR": "/app/cache/export",
    "GRAMPSHOME": "/root",
    "GRAMPS_DATABASE_PATH": "/root/.gramps/grampsdb",
}
IMAGE_FOLDER = "/app"
S3 = "s3://"  # in capitals it would be a local folder
_CELERY = re.compile(r"""(?:^|[\s/;"'])celery["']?\s(?:.*\s)?(?:-A|--app)[ =]?["']?gramps_webapi\b""", re.DOTALL)
_SERVES = re.compile(r"gramps_webapi\.(?:wsgi|app)\b")
#: The application's own server, and its options.
RUN = re.compile(r"gramps_webapi(?:\s+--config[ =]\S+)?\s+run\b(.*)", re.DOTALL)
_REFERENCE = re.compile(r"\$(?:\{(\w+)(?::?-([^}]*))?\}|(\w+))")


class NoSuchService(MediaError):
    """A service that the administrator named is not there."""


@dataclass(frozen=True)
class Installation:
    """How a Gramps Web is installed, what it is told, and how it is commanded."""

    install_type: str
    folder: str
    #: services or units that run gramps_webapi, the web one first
    services: list[str]
    compose_file: str
    env_file: str
    #: what the web process really has, secrets among it
    environment: dict[str, str] = field(repr=False)
    #: services whose storage differs from the web one's
    unset_in: list[str]
    #: paths inside the web container and on the host, the longest first
    paths: list[tuple[str, str]]
    media_base: str
    media_dir: str
    prefix_tree: bool
    prefix_tree_text: str
    tree: str
    tree_id: str
    grampsdb: str
    #: path on the host of the Python file with settings, "" if none is on the host
    config_file: str
    release: str
    running: bool
    restart_needed: bool
    user: str
    stop: list[str]
    start: list[str]
    #: ends with 0 when the web service has failed for good; empty where nothing tells
    failed: list[str]
    #: what comes before "-c SCRIPT"; for units the environment and the user have to be given by the caller
    python: list[str]
    #: where /ready is asked on this host, or else inside the container by what comes before "python3 -c"
    health_url: str
    health_command: list[str]
    health_inside: str
    #: who keeps the compose file, if not this host
    managed_by: str
    #: sentences on what is not known
    remarks: list[str]


@dataclass(frozen=True)
class Settings:
    """The configuration that gramps_webapi makes of its environment and its settings file."""

    environment: Mapping[str, str] = field(repr=False)
    file: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def value(self, name: str) -> Any:
        """A setting: the file's, unless a variable sets it. A prefixed one is JSON where it can be read so."""
        if PREFIX + name in self.environment:
            text = self.environment[PREFIX + name]
            try:
                return json.loads(text)
            except ValueError:
                return text
        if name in _UNPREFIXED and self.environment.get(name):
            return self.environment[name]
        return self.file.get(name, "")

    def text(self, name: str) -> str:
        """A setting that is a text."""
        value = self.value(name)
        return "" if value is None or value is False else str(value)

    def is_in_file(self, name: str) -> bool:
        """Whether the file alone sets it."""
        by_variable = PREFIX + name in self.environment or (name in _UNPREFIXED and self.environment.get(name))
        return name in self.file and not by_variable

    @property
    def media_base(self) -> str:
        return self.text("MEDIA_BASE_DIR")

    @property
    def prefix_tree(self) -> bool:
        """Whether each tree has a folder of its own. The words True and False are no JSON, and so both are true."""
        return bool(self.value("MEDIA_PREFIX_TREE"))

    @property
    def prefix_tree_text(self) -> str:
        """The same as it is written."""
        name = "MEDIA_PREFIX_TREE"
        return self.environment.get(PREFIX + name, str(self.file[name]) if name in self.file else "")

    @property
    def storage(self) -> dict[str, Any]:
        """Where the media are and how they are reached: what all services must agree on."""
        keys = {name: value for name, value in self.environment.items() if name.startswith("AWS_")}
        return {**keys, "MEDIA_BASE_DIR": self.media_base, "MEDIA_PREFIX_TREE": self.prefix_tree}

    def grampsdb(self, home: str) -> list[str]:
        """Folders where Gramps may keep its trees, the most likely first, for a process with this home."""
        path = self.environment.get("GRAMPS_DATABASE_PATH", "")
        if path:
            return [posixpath.join(home, path[2:]) if path.startswith("~/") else path]
        if self.environment.get("GRAMPSHOME"):
            return [posixpath.join(self.environment["GRAMPSHOME"], "gramps", "grampsdb")]
        home = self.environment.get("HOME") or home
        data = self.environment.get("XDG_DATA_HOME") or posixpath.join(home, ".local", "share")
        # Gramps 6 and 5.2, and what was there before them.
        return [posixpath.join(data, "gramps", "grampsdb"), posixpath.join(home, ".gramps", "grampsdb")]


def shown(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that are no secrets."""
    return {
        name: URL_USER_IN_VALUE.sub(f"://{MASK}@", value)
        for name, value in environment.items()
        if SHOWN.fullmatch(name)
    }


def literals(source: str) -> dict[str, Any]:
    """The settings that a file, which is Python, plainly assigns. What it works out is not known; nothing is run."""
    values: dict[str, Any] = {}
    try:
        body = ast.parse(source).body
    except (SyntaxError, ValueError):
        return {}  # the application does not start with it either
    for statement in body:
        names = [target.id for target in getattr(statement, "targets", []) if isinstance(target, ast.Name)]
        if isinstance(statement, ast.Assign) and names:
            try:
                values.update(dict.fromkeys(names, ast.literal_eval(statement.value)))
            except (ValueError, TypeError):
                continue
    return values


def role_of(command: str) -> str:
    """What a command of gramps_webapi's does: web, celery, or job for one that ends by itself. Empty for another's."""
    if _CELERY.search(command):
        return "celery"
    if _SERVES.search(command) or RUN.search(command):
        return "web"
    return "job" if re.search(r"\bgramps_webapi\b", command) else ""


def expanded(command: str, environment: Mapping[str, str]) -> str:
    """A command with its variables replaced, as the shell or systemd does."""

    def value(match: re.Match[str]) -> str:
        return environment.get(match[1] or match[3]) or match[2] or ""

    return _REFERENCE.sub(value, command)


#: Asked of the application's own Python: its release, and its settings file, which may lie in the image alone.
ASK = """
import importlib.metadata, json, os, sys
told = {"release": "", "config": ""}
try:
    told["release"] = importlib.metadata.version("gramps-webapi")
except Exception:
    pass
try:
    with open(sys.argv[1], encoding="utf-8", errors="replace") as file:
        told["config"] = file.read(1000000)
except Exception:
    pass
print(json.dumps(told))
"""


def told(said: str) -> dict[str, str]:
    """The answer to ASK; what else is written to standard output stands before it."""
    try:
        answer = json.loads(said.strip().splitlines()[-1])
    except (ValueError, IndexError):
        return {"release": "", "config": ""}
    return {name: str(answer.get(name, "")) for name in ("release", "config")}
