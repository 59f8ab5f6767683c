# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A docker command that tells of containers as docker would make them from a compose file, which the real compose reads."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from pathlib import Path
from typing import Any, Optional

IMAGE_ENV = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "GRAMPS_API_CONFIG": "/app/config/config.cfg",
    "GRAMPSWEB_MEDIA_BASE_DIR": "/app/media",
    "GRAMPSWEB_THUMBNAIL_CACHE_CONFIG__CACHE_DIR": "/app/thumbnail_cache",
    "GRAMPSHOME": "/root",
    "GRAMPS_DATABASE_PATH": "/root/.gramps/grampsdb",
}
SERVE = "gunicorn -w ${GUNICORN_NUM_WORKERS:-8} -b 0.0.0.0:5000 gramps_webapi.wsgi:app --timeout 120"
#: The image's own entrypoint and command.
IMAGES: dict[str, dict[str, Any]] = {
    "registry.example/grampsweb": {
        "Env": [f"{name}={value}" for name, value in IMAGE_ENV.items()],
        "Entrypoint": ["/docker-entrypoint.sh"],
        "Cmd": ["/bin/sh", "-c", SERVE],
        "WorkingDir": "/app",
    },
    "nginx": {
        "Env": ["NGINX_VERSION=1.29"],
        "Entrypoint": ["/docker-entrypoint.sh"],
        "Cmd": ["nginx", "-g", "daemon off;"],
    },
    "valkey": {"Env": [], "Entrypoint": ["docker-entrypoint.sh"], "Cmd": ["valkey-server"]},
}
COMPOSE = """\
services:
  grampsweb: &grampsweb
    image: registry.example/grampsweb:latest
    environment:
      GRAMPSWEB_TREE: "Our Tree"
      GRAMPSWEB_SECRET_KEY: a-secret-of-the-tree
    volumes:
      - db:/root/.gramps/grampsdb
      - ./media:/app/media
  grampsweb_celery:
    <<: *grampsweb
    command: celery -A gramps_webapi.celery worker --concurrency=2
  broker:
    image: valkey
volumes:
  db:
"""
_DOCKER = """#!/bin/sh
cd "{told}" && printf '%s\\n' "$*" >>asked
cd "$OLDPWD" || exit 1
case "$1" in
  ps)
    [ ! -e "{told}/down" ] || {{ echo "Cannot connect to the Docker daemon. Is the docker daemon running?" >&2; exit 1; }}
    cat "{told}/ids" ;;
  inspect) cat "{told}/containers.json" ;;
  image) cat "{told}/images.json" ;;
  volume) cat "{told}/volumes.json"; exit 1 ;;
  exec) cat "{told}/answer" ;;
  compose)
    shift
    case " $* " in
      *" config "*) exec "{compose}" "$@" ;;
      *" exec "*) cat "{told}/answer" ;;
    esac ;;
esac
"""


class Docker:
    """The stand-in, and the folder of a project."""

    def __init__(self, folder: Path, compose: str) -> None:
        self.told, self.home = folder / "docker", folder / "family"
        self.compose = compose
        self.containers: list[dict[str, Any]] = []
        for path in (self.told / "bin", self.home / "media", folder / "volumes" / "family_db"):
            path.mkdir(parents=True)
        self.volumes = folder / "volumes"
        self.path = str(self.told / "bin")
        program = self.told / "bin" / "docker"
        program.write_text(_DOCKER.format(told=self.told, compose=compose))
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        images = [{"Id": f"sha256:{name}", "Config": image} for name, image in IMAGES.items()]
        (self.told / "images.json").write_text(json.dumps(images))
        volumes = [{"Name": "family_db", "Mountpoint": str(self.volumes / "family_db")}]
        (self.told / "volumes.json").write_text(json.dumps(volumes))
        self.answer("3.24.0")
        self.tell()

    def answer(self, release: str, config: str = "") -> None:
        """What the application's Python says."""
        (self.told / "answer").write_text(json.dumps({"release": release, "config": config}) + "\n")

    def write(self, text: str = COMPOSE, name: str = "docker-compose.yml") -> Path:
        path = self.home / name
        path.write_text(text)
        return path

    def up(self, *names: str, running: bool = True, home: Optional[Path] = None) -> None:
        """Make the containers that compose would make of the files."""
        home = home or self.home
        files = [str(home / name) for name in names or ["docker-compose.yml"]]
        command = [self.compose, "--project-directory", str(home), *(word for name in files for word in ("-f", name))]
        environment = {**os.environ, "COMPOSE_PROFILES": "*"}
        done = subprocess.run(
            [*command, "config", "--format", "json"], capture_output=True, check=True, env=environment
        )
        project = json.loads(done.stdout)
        for name, service in project["services"].items():
            labels = {
                "project": project["name"],
                "service": name,
                "oneoff": "False",
                "project.working_dir": str(home),
                "project.config_files": ",".join(files),
            }
            self.add(name, service, {f"com.docker.compose.{key}": value for key, value in labels.items()}, running)

    def add(self, name: str, service: dict[str, Any], labels: dict[str, str], running: bool = True) -> dict[str, Any]:
        """Make one container."""
        base = str(service["image"]).partition(":")[0]
        image = IMAGES[base]
        given = {key: value.replace("$$", "$") for key, value in (service.get("environment") or {}).items() if value}
        environment = {**dict(entry.split("=", 1) for entry in image["Env"]), **given}
        container = {
            "Id": f"{len(self.containers):064x}",
            "Name": f"/{labels.get('com.docker.compose.project', 'plain')}-{name}-1",
            "Image": f"sha256:{base}",
            "State": {"Running": running},
            "Mounts": [self._mount(volume) for volume in service.get("volumes") or []],
            "Config": {
                "Image": service["image"],
                "Env": [f"{key}={value}" for key, value in environment.items()],
                "Entrypoint": service.get("entrypoint") or image["Entrypoint"],
                "Cmd": [word.replace("$$", "$") for word in service.get("command") or image["Cmd"]],
                "WorkingDir": image.get("WorkingDir", ""),
                "Labels": labels,
            },
        }
        self.containers.append(container)
        self.tell()
        return container

    def _mount(self, volume: dict[str, Any]) -> dict[str, str]:
        source = str(volume.get("source", ""))
        place = str(self.volumes / f"family_{source}") if volume["type"] == "volume" else source
        return {"Type": volume["type"], "Source": place, "Destination": volume["target"]}

    def service(self, name: str) -> dict[str, Any]:
        """The container of a service."""
        return next(
            found for found in self.containers if found["Config"]["Labels"].get("com.docker.compose.service") == name
        )

    def tell(self) -> None:
        """Let the command tell of the containers as they are now."""
        (self.told / "ids").write_text("".join(f"{container['Id']}\n" for container in self.containers))
        (self.told / "containers.json").write_text(json.dumps(self.containers))

    @property
    def asked(self) -> list[str]:
        return (self.told / "asked").read_text().splitlines()
