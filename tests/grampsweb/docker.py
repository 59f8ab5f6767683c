# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real Gramps Web in containers, by compose files of the forms that its documentation gives.

The image looks as the real one from outside; its programs are this machine's, mounted read-only. For that this machine
has to have the Debian release of the base image.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Optional
from uuid import uuid4

from ansible_collections.selfhosted.media.tests.docker.projects import BASE, Containers, Docker
from ansible_collections.selfhosted.media.tests.grampsweb import GRAMPS_VENV, HERE, GrampsUnavailable, need_gramps
from ansible_collections.selfhosted.media.tests.grampsweb.instance import (
    PASSWORD,
    SECRET_KEY,
    GrampsWeb,
    owner_of,
    role_variables,
    user_database,
)
from ansible_collections.selfhosted.media.tests.grampsweb.trees import Places, Plan, Tree, make_databases
from ansible_collections.selfhosted.media.tests.servers import Server, free_port

IMAGE = "gramps-project/grampsweb:latest"
RELEASE = "bookworm"  # of tests/docker/base-image.sh
#: The named volumes, and where the application sees them.
VOLUMES = {
    "gramps_users": "/app/users",
    "gramps_index": "/app/indexdir",
    "gramps_thumb_cache": "/app/thumbnail_cache",
    "gramps_cache": "/app/cache",
    "gramps_secret": "/app/secret",
    "gramps_db": "/root/.gramps/grampsdb",
    "gramps_media": "/app/media",
    "gramps_tmp": "/tmp",
}
#: How celery gets the environment of the web service: with all of it, or with variables of its own besides.
FORMS = ("service", "environment")

_FILE = """\
services:
  grampsweb: &grampsweb
{container_name}    image: {image}
    restart: always
    stop_grace_period: 1s  # its shell does not hand on the signal, so that each stop takes as long as it may
    ports:
      - "{port}:5000"  # host:docker
    environment:{anchor}
      GRAMPSWEB_TREE: "{tree}"  # a new tree is made if there is none
{prefix}      GRAMPSWEB_CELERY_CONFIG__broker_url: "redis://grampsweb_redis:6379/0"
      GRAMPSWEB_CELERY_CONFIG__result_backend: "redis://grampsweb_redis:6379/0"
      GRAMPSWEB_RATELIMIT_STORAGE_URI: redis://grampsweb_redis:6379/1
      GUNICORN_NUM_WORKERS: 1  # optional: more are quicker, and take more memory
    depends_on:
      - grampsweb_redis
    volumes:
{volumes}
      - {venv}:/venv:ro
      - /usr:/usr:ro

  grampsweb_celery:
    <<: *grampsweb  # everything that grampsweb has
    ports: []
    container_name: {name}_celery
    depends_on:
      - grampsweb
      - grampsweb_redis
{celery_environment}    command: celery -A gramps_webapi.celery worker --loglevel=INFO --concurrency=2

  grampsweb_redis:
    image: {base}
    container_name: {name}_redis
    restart: always
    command: redis-server --save "" --protected-mode no

volumes:
{volume_names}
"""
_CELERY_ENVIRONMENT = """\
    environment:
      <<: *grampsweb-env  # everything that grampsweb has there
      # celery is not visited
      VIRTUAL_PORT: ""
      VIRTUAL_HOST: ""
"""


def compose_file(name: str, port: int, tree: str, multi: bool, form: str) -> str:
    """A compose file in one of the documentation's two forms."""
    own = form == "environment"
    return _FILE.format(
        name=name,
        port=port,
        tree="*" if multi else tree,
        prefix='      GRAMPSWEB_MEDIA_PREFIX_TREE: "true"\n' if multi else "",
        image=IMAGE,
        base=BASE,
        venv=GRAMPS_VENV.resolve(),
        container_name=f"    container_name: {name}_web\n" if own else "",
        anchor=' &grampsweb-env\n      VIRTUAL_PORT: "5000"\n      VIRTUAL_HOST: gramps.example.org' if own else "",
        celery_environment=_CELERY_ENVIRONMENT if own else "",
        volumes="\n".join(f"      - {volume}:{path}" for volume, path in VOLUMES.items()),
        volume_names="\n".join(f"  {volume}:" for volume in VOLUMES),
    )


@dataclass
class Project(GrampsWeb, Containers):
    """A Gramps Web in containers."""

    @property
    def compose_file(self) -> Path:
        return self.folder / "docker-compose.yml"

    def volume(self, name: str) -> Path:
        """Where a named volume lies on this machine."""
        return Path(json.loads(self.docker("volume", "inspect", f"{self.name}_{name}"))[0]["Mountpoint"])

    @property
    def grampsdb(self) -> Path:
        return self.volume("gramps_db")

    @property
    def media_dir(self) -> Path:
        """The media folder; the tree's is `media(tree)`."""
        return self.volume("gramps_media")

    def media(self, tree: Optional[Tree] = None) -> Path:
        """Where a tree's media lie on this machine."""
        return self.media_dir / (tree or self.tree).id if self.multi else self.media_dir

    def variables_of(self, service: str) -> dict[str, str]:
        """The environment of a service's first process, as the container has it."""
        pid = self.containers()[service]["State"]["Pid"]
        items = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
        return dict(item.split("=", 1) for item in items if "=" in item)

    def log(self) -> str:
        return self.compose("logs", "--no-color", "--tail", "50")

    def start(self) -> None:
        """Start what is stopped, and wait until it answers."""
        self.compose("up", "-d")
        self.wait(120)

    def stop(self) -> None:
        """Stop the containers."""
        self.compose("stop", "-t", "5")

    def fill(self) -> None:
        """Make the containers' volumes, and in them the trees, the files and the users."""
        self.compose("up", "--no-start")
        for tree in self.trees:
            tree.write_media(self.media(tree), self.volume("gramps_users") / "elsewhere")
        make_databases(self.grampsdb, self.trees)
        users = user_database(tuple(owner_of(tree, self.multi) for tree in self.trees))
        (self.volume("gramps_users") / "users.sqlite").write_bytes(users)
        # At a very first start both containers make one, at the same time.
        (self.volume("gramps_secret") / "secret").write_text(SECRET_KEY)


def need_release() -> None:
    """Raise where this machine's programs are not those of the base image's release."""
    release = platform.freedesktop_os_release().get("VERSION_CODENAME", "unknown")
    if release != RELEASE:
        raise GrampsUnavailable(
            f"Gramps Web in containers uses this machine's programs, which are of {release}, not {RELEASE}"
        )


def build_image(host: str) -> None:
    """Build the image, which takes a second if nothing has changed."""
    command = ["docker", "build", "-q", "-t", IMAGE, str(HERE / "image")]
    environment = {**os.environ, "DOCKER_HOST": host, "DOCKER_BUILDKIT": "0"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        raise RuntimeError(f"docker build ended with {done.returncode}: {done.stdout}{done.stderr}")


@contextlib.contextmanager
def project(
    docker: Docker,
    folder: Path,
    *plans: Plan,
    multi: bool = False,
    form: str = "service",
    compose: str = "v2",
    start: bool = True,
    server: Optional[Server] = None,
    bucket: str = "",
) -> Iterator[Project]:
    """Make and start a Gramps Web under a project name of its own. The options are those of `instance`; form is one of FORMS."""
    need_gramps()
    need_release()
    build_image(docker.host)
    port = free_port()
    made = Project(
        folder,
        role_variables(server, bucket) if server else {},
        docker.environment(compose),
        [SECRET_KEY, PASSWORD, *([server.secret_key] if server else [])],
        name=f"family{uuid4().hex[:8]}",
        compose_command=["docker-compose"] if compose == "v1" else ["docker", "compose"],
        url=f"http://127.0.0.1:{port}",
        multi=multi,
    )
    for plan in plans or (Plan(),):
        base = f"/app/media/{plan.tree_id}" if multi else "/app/media"
        made.trees.append(plan.tree(Places(base, "/app/users/elsewhere")))
    folder.mkdir(parents=True)
    made.compose_file.write_text(compose_file(made.name, port, made.tree.name, multi, form))
    (folder / ".env").write_text(f"COMPOSE_PROJECT_NAME={made.name}\n")
    try:
        made.fill()
        if start:
            made.start()
        yield made
    finally:
        made.down()
