# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real Gramps Web as a systemd server has it: gunicorn and celery in units, settings in an EnvironmentFile."""

from __future__ import annotations

import contextlib
import functools
import json
import shutil
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional

from ansible_collections.selfhosted.media.plugins.module_utils._dotenv.reading import read
from ansible_collections.selfhosted.media.tests.grampsweb import (
    GRAMPS_VENV,
    GrampsUnavailable,
    need_gramps,
    run_inside,
)
from ansible_collections.selfhosted.media.tests.grampsweb.api import Api
from ansible_collections.selfhosted.media.tests.grampsweb.trees import Places, Plan, Tree, make_databases
from ansible_collections.selfhosted.media.tests.playbooks import ROOT, Host
from ansible_collections.selfhosted.media.tests.servers import Server, free_port, running

#: As `python -m gramps_webapi user add --role` takes them.
GUEST, MEMBER, CONTRIBUTOR, EDITOR, OWNER, ADMIN = range(6)
WEB, CELERY = "grampsweb", "grampsweb-celery"
SECRET_KEY = "flask-s3cret #of the tests, as long as it has to be"
PASSWORD = "owner's pass-word"


@dataclass(frozen=True)
class User:
    """A user; without a tree in installations of one tree."""

    name: str
    role: int
    tree: str = ""


def owner_of(tree: Tree, multi: bool) -> User:
    """The owner that every tree has."""
    return User(f"owner-{tree.id}", OWNER, tree.id) if multi else User("owner", OWNER)


def add_users(environment: Mapping[str, str], *users: User) -> None:
    """Add users as an administrator does; makes the tables if there are none."""
    lines = [
        [user.name, PASSWORD, "--role", str(user.role), *(["--tree", user.tree] if user.tree else [])] for user in users
    ]
    run_inside("add_users.py", given=json.dumps(lines), environment=environment)


def settings(folder: Path, tree: str, multi: bool) -> dict[str, str]:
    """What Gramps Web needs to know, with everything below the folder."""
    caches = {
        f"GRAMPSWEB_{kind}_CACHE_CONFIG__CACHE_DIR": str(folder / "cache" / f"{kind.lower()}_cache")
        for kind in ("THUMBNAIL", "REQUEST", "PERSISTENT")
    }
    return {
        "GRAMPSWEB_TREE": "*" if multi else tree,
        **({"GRAMPSWEB_MEDIA_PREFIX_TREE": "true"} if multi else {}),
        "GRAMPSWEB_SECRET_KEY": SECRET_KEY,
        "GRAMPSWEB_USER_DB_URI": f"sqlite:///{folder}/users.sqlite",
        "GRAMPSWEB_MEDIA_BASE_DIR": str(folder / "media"),
        "GRAMPSWEB_SEARCH_INDEX_DB_URI": f"sqlite:///{folder}/search_index.db",
        **caches,
        "GRAMPSWEB_REPORT_DIR": str(folder / "cache" / "reports"),
        "GRAMPSWEB_EXPORT_DIR": str(folder / "cache" / "export"),
        "GRAMPSWEB_STATIC_PATH": str(folder / "static"),
        "GRAMPSHOME": str(folder),
        "GRAMPS_DATABASE_PATH": str(folder / "grampsdb"),
        "GRAMPSWEB_RATELIMIT_ENABLED": "false",
        "GRAMPSWEB_DISABLE_TELEMETRY": "true",
    }


@functools.cache
def user_database(users: tuple[User, ...]) -> bytes:
    """A user database, made once: it takes four seconds. It holds no path, so it can be copied."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "grampsdb").mkdir()
        environment = settings(folder, "users", multi=bool(users[0].tree))
        add_users(environment, *users)
        return (folder / "users.sqlite").read_bytes()


@dataclass
class GrampsWeb(Host):
    """A Gramps Web with its trees, however it is run."""

    group: str = "gramps_web"
    url: str = ""
    trees: list[Tree] = field(default_factory=list)
    multi: bool = False

    @property
    def tree(self) -> Tree:
        """The first tree."""
        return self.trees[0]

    def login(self, tree: Optional[Tree] = None, user: str = "") -> Api:
        """The API as the tree's owner sees it, or another user."""
        return Api.login(self.url, user or owner_of(tree or self.tree, self.multi).name, PASSWORD)

    def ready(self) -> bool:
        """Whether it answers."""
        try:
            with urllib.request.urlopen(f"{self.url}/ready", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def alive(self) -> bool:
        """Whether it is worth waiting for an answer."""
        return True

    def log(self) -> str:
        """What it has printed."""
        return ""

    def wait(self, seconds: float = 60) -> None:
        """Wait until it answers."""
        end = time.monotonic() + seconds
        while not self.ready():
            if time.monotonic() > end or not self.alive():
                raise RuntimeError(f"Gramps Web does not answer at {self.url}: {self.log()[-2000:]}")
            time.sleep(0.05)


@dataclass
class Instance(GrampsWeb):
    """A Gramps Web in units."""

    celery: bool = False

    @property
    def env_file(self) -> Path:
        """The units' EnvironmentFile."""
        return self.folder / "gramps.env"

    @property
    def env(self) -> dict[str, str]:
        """The settings in it."""
        return read(self.env_file.read_bytes())

    @property
    def grampsdb(self) -> Path:
        return self.folder / "grampsdb"

    @property
    def media_dir(self) -> Path:
        """The media folder; the tree's is `media(tree)`."""
        return self.folder / "media"

    def media(self, tree: Optional[Tree] = None) -> Path:
        """Where a tree's media lie."""
        return self.media_dir / (tree or self.tree).id if self.multi else self.media_dir

    @property
    def units(self) -> tuple[str, ...]:
        return (WEB, CELERY) if self.celery else (WEB,)

    def systemctl(self, *words: str) -> str:
        """Run the stand-in's systemctl."""
        command = [str(self.folder / "systemd" / "systemctl"), *words]
        return subprocess.run(command, check=False, capture_output=True, text=True).stdout

    def alive(self) -> bool:
        return self.systemctl("is-active", WEB).strip() == "active"

    def log(self) -> str:
        logs = (self.folder / "systemd" / ".run").glob("*.log")
        return "".join(f"--- {path.name}\n{path.read_text(errors='replace')}" for path in logs)

    def start(self) -> None:
        """Start it and wait until it answers."""
        self.systemctl("start", *self.units)
        self.wait()

    def stop(self) -> None:
        """Stop its processes."""
        self.systemctl("stop", *reversed(self.units))

    def add_user(self, name: str, role: int, tree: Optional[Tree] = None) -> None:
        """One more user, with the password of all."""
        add_users(self.env, User(name, role, (tree or self.tree).id if self.multi else ""))


def _write_units(web: Instance, port: int) -> None:
    units = web.folder / "systemd"
    units.mkdir()
    shutil.copy(ROOT / "tests" / "standin" / "systemctl", units / "systemctl")
    programs = {
        WEB: f"gunicorn -w 1 -b 127.0.0.1:{port} --timeout 120 --limit-request-line 8190 gramps_webapi.wsgi:app",
        CELERY: "celery -A gramps_webapi.celery worker --loglevel=INFO --concurrency=1",
    }
    for name in web.units:
        (units / f"{name}.service").write_text(
            f"[Unit]\nDescription=Gramps Web ({name})\n\n[Service]\nWorkingDirectory={web.folder}\n"
            f"EnvironmentFile={web.env_file}\nExecStart={GRAMPS_VENV}/bin/{programs[name]}\n"
            "Restart=on-failure\nTimeoutStopSec=20\n\n[Install]\nWantedBy=multi-user.target\n"
        )


def _write_settings(web: Instance, values: dict[str, str]) -> None:
    lines = ["# Settings of Gramps Web, read by systemd", *(f'{name}="{value}"' for name, value in values.items())]
    web.env_file.write_text("\n".join(lines) + "\n")
    web.env_file.chmod(0o600)


@contextlib.contextmanager
def _redis(folder: Path) -> Iterator[str]:
    """A Redis for celery; its URL."""
    program = shutil.which("redis-server")
    if not program:
        raise GrampsUnavailable("redis-server is not installed, which celery needs")
    port = free_port()
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    with running(command, folder / "redis.log"):
        yield f"redis://127.0.0.1:{port}"


def role_variables(server: Server, bucket: str) -> dict[str, str]:
    """Where the role is to move the media."""
    return {
        "gramps_web_s3_provider": "ceph",
        "gramps_web_s3_bucket": bucket,
        "gramps_web_s3_endpoint_url": server.endpoint_url,
        "gramps_web_s3_access_key": server.access_key,
        "gramps_web_s3_secret_key": server.secret_key,
    }


@contextlib.contextmanager
def instance(
    folder: Path,
    *plans: Plan,
    multi: bool = False,
    celery: bool = False,
    start: bool = True,
    server: Optional[Server] = None,
    bucket: str = "",
    port: int = 0,
) -> Iterator[Instance]:
    """Make and start a Gramps Web with the planned trees; more than one tree needs multi. Port 0: any that is free."""
    need_gramps()
    if len(plans) > 1 and not multi:
        raise ValueError("several trees need multi=True")
    folder.mkdir(parents=True)
    port = port or free_port()
    web = Instance(
        folder,
        role_variables(server, bucket) if server else {},
        {"PATH": str(folder / "systemd")},
        [SECRET_KEY, PASSWORD, *([server.secret_key] if server else [])],
        url=f"http://127.0.0.1:{port}",
        multi=multi,
        celery=celery,
    )
    for plan in plans or (Plan(),):
        base = web.media_dir / plan.tree_id if multi else web.media_dir
        web.trees.append(plan.tree(Places(str(base), str(folder / "elsewhere"))))
    make_databases(web.grampsdb, web.trees)
    for tree in web.trees:
        tree.write_media(web.media(tree), folder / "elsewhere")
    (folder / "static").mkdir()
    (folder / "static" / "index.html").write_text("<title>Gramps Web</title>\n")
    (folder / "cache").mkdir()
    (folder / "users.sqlite").write_bytes(user_database(tuple(owner_of(tree, multi) for tree in web.trees)))
    values = settings(folder, web.tree.name, multi)
    with contextlib.ExitStack() as stack:
        if celery:
            url = stack.enter_context(_redis(folder))
            values["GRAMPSWEB_CELERY_CONFIG__broker_url"] = values["GRAMPSWEB_CELERY_CONFIG__result_backend"] = (
                f"{url}/0"
            )
        _write_settings(web, values)
        _write_units(web, port)
        try:
            if start:
                web.start()
            yield web
        finally:
            web.stop()
