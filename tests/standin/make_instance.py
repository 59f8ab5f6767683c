# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make a stand-in instance: code, .env, covers, database, units. Needs nothing but Python; the rest is in --venv.

Afterwards it prints what it made as JSON. See README.md for how to start and stop one.
"""

from __future__ import annotations

import argparse
import grp
import json
import os
import pwd
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
VARIABLES_SINCE = {"AWS_S3_URL_PROTOCOL": (0, 7, 4), "AWS_DEFAULT_ACL": (0, 8), "CSP_ADDITIONAL_HOSTS": (0, 6)}
UNIT_COMMANDS = {
    "bookwyrm": "venv/bin/gunicorn bookwyrm.wsgi:application --bind 127.0.0.1:{port}",
    "bookwyrm-worker": "venv/bin/python -m celerywyrm worker",
    "bookwyrm-scheduler": "venv/bin/python -m celerywyrm beat",
}


@dataclass
class Instance:
    """What is wanted; make() makes it."""

    directory: Path
    release: str = "0.9.2"
    kind: str = "systemd"
    domain: str = "localhost"
    covers: int = 20
    thumbnails: int = 2
    port: int = 8000
    redis_port: int = 6379
    seed: int = 1
    venv: Path = Path(sys.prefix)
    user: str = ""
    empty: bool = False
    crlf: bool = False

    def __post_init__(self) -> None:
        self.directory, self.venv = Path(self.directory).resolve(), Path(self.venv).absolute()
        self.version = tuple(int(part) for part in self.release.split("."))
        self.user = self.user or pwd.getpwuid(os.geteuid()).pw_name

    @property
    def docker(self) -> bool:
        return self.kind == "docker"

    def make(self) -> dict[str, object]:
        """Make the folder; it must not hold anything yet."""
        if self.directory.exists() and any(self.directory.iterdir()):
            raise SystemExit(f"{self.directory} is not empty")
        ignored = shutil.ignore_patterns("__pycache__", "db", "*.css", ".*_cache")
        shutil.copytree(HERE / "app", self.directory, dirs_exist_ok=True, ignore=ignored)
        self.age_code()
        self.write_env()
        if not self.docker:
            (self.directory / "venv").symlink_to(self.venv)
            self.write_units()
        made = self.run_seed()
        if self.version < (0, 5, 4):
            (self.directory / "bookwyrm/management/commands/compile_themes.py").unlink()
        if os.geteuid() == 0 and self.user != "root":
            subprocess.run(["chown", "-Rh", f"{self.user}:{self.group}", self.directory], check=True)
        return {"directory": str(self.directory), "release": self.release, "kind": self.kind, **made}

    @property
    def group(self) -> str:
        return grp.getgrgid(pwd.getpwnam(self.user).pw_gid).gr_name

    def edit(self, name: str, pattern: str, replacement: str) -> None:
        """Replace lines of a file of the code."""
        path = self.directory / name
        path.write_text(re.sub(pattern, replacement, path.read_text(encoding="utf-8"), flags=re.M), encoding="utf-8")

    def age_code(self) -> None:
        """Make the code look like the release that is asked for."""
        (self.directory / "VERSION").write_text(f"{self.release}\n")
        if self.version < (0, 7):
            (self.directory / "VERSION").unlink()
            self.edit("bookwyrm/settings.py", r"^VERSION = .*", f'VERSION = "{self.release}"')
            self.edit("Dockerfile", r" VERSION ", " ")
        if self.version < (0, 5, 4):
            self.edit("bw-dev", r"^    compile_themes\)\n.*\n.*;;\n", "")
            self.edit("bw-dev", r"^.*compile_themes.*\n", "")
            self.edit("entrypoint.sh", r"^.*compile_themes.*\n", "")
            self.edit(".dockerignore", r"^.*\.css\n", "")
        if self.version < (0, 8):
            self.edit(".env.example", r"^DEBUG=false$", "DEBUG=false\nUSE_HTTPS=true")
        for name, since in VARIABLES_SINCE.items():
            if self.version < since:
                self.edit(".env.example", rf"^(# )?{name}=.*\n", "")

    def write_env(self) -> None:
        """Write .env as an administrator would leave it: valid, commented, not tidy."""
        host = "" if self.docker else "127.0.0.1"
        local = self.domain.partition(":")[0] in ("localhost", "127.0.0.1")
        values = {
            "SECRET_KEY": "'standin $ecret #1, of no use elsewhere'",
            "DOMAIN": self.domain,
            "EMAIL": '"admin@example.org"',
            "USE_HTTPS": "false" if local else "true",
            "NGINX_SETUP": "reverse_proxy",
            "PORT": str(self.port),
            "EMAIL_HOST": "localhost",
            "EMAIL_HOST_PASSWORD": "'a # b $c'",
            "REDIS_ACTIVITY_HOST": host or "redis_activity",
            "REDIS_BROKER_HOST": host or "redis_broker",
            "FLOWER_PASSWORD": "flower-secret",
            "POSTGRES_PASSWORD": "postgres-secret",
        }
        if self.docker:
            values.update(REDIS_ACTIVITY_PASSWORD="activity-secret", REDIS_BROKER_PASSWORD="broker-secret")
        else:
            values.update(REDIS_ACTIVITY_PORT=str(self.redis_port), REDIS_BROKER_PORT=str(self.redis_port))
        text = (self.directory / ".env.example").read_text(encoding="utf-8")
        for name, value in values.items():
            text = re.sub(rf"^(?:# )?{name}=.*", lambda _match, line=f"{name}={value}": line, text, count=1, flags=re.M)
        text += "\n".join(
            [
                "",
                "## added on a rainy Sunday -- do not touch!",
                "QUERY_TIMEOUT=7",  # a second time, and the last one counts
                'MAINTAINER_NOTE="Zoë said: \\"leave this\\" = as it is"',
                f"STANDIN_THUMBNAILS={self.thumbnails}",
                "   # an indented comment, and no newline at the end",
            ]
        )
        path = self.directory / ".env"
        path.write_bytes(text.replace("\n", "\r\n" if self.crlf else "\n").encode())
        path.chmod(0o600)

    def write_units(self) -> None:
        """Write the units, one for Redis, and systemctl into systemd/."""
        units = self.directory / "systemd"
        units.mkdir()
        shutil.copy(HERE / "systemctl", units / "systemctl")
        for name, command in UNIT_COMMANDS.items():
            text = (self.directory / f"contrib/systemd/{name}.service").read_text(encoding="utf-8")
            text = text.replace("/opt/bookwyrm", str(self.directory))
            text = re.sub(r"^User=.*\nGroup=.*", f"User={self.user}\nGroup={self.group}", text, flags=re.M)
            command = command.format(port=self.port)
            text = re.sub(r"^ExecStart=.*", f"ExecStart={self.directory}/{command}", text, flags=re.M)
            (units / f"{name}.service").write_text(text, encoding="utf-8")
        port, server = self.redis_port, shutil.which("redis-server")
        command = f"{server} --port {port} --bind 127.0.0.1 --save '' --appendonly no"
        if not server:
            shutil.copy(HERE / "mini_redis.py", units)
            command = f"{self.venv}/bin/python {units}/mini_redis.py {port}"
        (units / "redis.service").write_text(f"[Unit]\nDescription=Redis\n\n[Service]\nExecStart={command}\n")

    def run_seed(self) -> dict[str, object]:
        """Let the instance's own code fill database and media; .seed/ holds them for the volumes of containers."""
        home = self.directory / ".seed" if self.docker else self.directory
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "PYTHONDONTWRITEBYTECODE": "1",
            "MEDIA_ROOT": str(home / "images"),
            "STANDIN_DB": str(home / "db/bookwyrm.sqlite3"),
        }
        command = [self.venv / "bin/python", HERE / "seed.py", "--covers", str(self.covers), "--seed", str(self.seed)]
        flags = {"--empty": self.empty, "--no-static": self.docker, "--ship-css": self.version < (0, 5, 4)}
        command += [flag for flag, on in flags.items() if on]
        run = subprocess.run(
            command, cwd=self.directory, env=environment, stdout=subprocess.PIPE, check=True, text=True
        )
        return json.loads(run.stdout.splitlines()[-1])


def load_volumes(directory: Path) -> None:
    """Put what was seeded into the volumes of the compose project, which `up --no-start` has created."""
    image = os.environ.get("STANDIN_BASE", "standin-base")
    project = os.environ.get("COMPOSE_PROJECT_NAME", directory.resolve().name)
    for folder, volume in (("images", "media_volume"), ("db", "pgdata")):
        name = f"{project}_{volume}"
        subprocess.run(["docker", "volume", "inspect", name], check=True, stdout=subprocess.DEVNULL)
        mounts = ["-v", f"{directory.resolve()}/.seed/{folder}:/from:ro", "-v", f"{name}:/to"]
        subprocess.run(["docker", "run", "--rm", *mounts, image, "cp", "-a", "/from/.", "/to/"], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Make a stand-in instance.")
    parser.add_argument("directory", type=Path)
    parser.add_argument("--release", default="0.9.2", help="as 0.9.2 (new), 0.7.0 (old), 0.0.1 (git of 2021)")
    parser.add_argument("--kind", choices=("systemd", "docker"), default="systemd")
    parser.add_argument("--domain", default="localhost")
    parser.add_argument("--covers", type=int, default=20)
    parser.add_argument("--thumbnails", type=int, default=2, help="per cover, up to 12")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--redis-port", type=int, default=6379)
    parser.add_argument("--seed", type=int, default=1, help="the same seed makes the same covers")
    parser.add_argument("--venv", type=Path, default=Path(sys.prefix), help="has requirements.txt installed")
    parser.add_argument("--user", default="", help="whom the files and the units belong to; default: you")
    parser.add_argument("--empty", "--no-start", action="store_true", help="code and .env only, nothing set up")
    parser.add_argument("--crlf", action="store_true", help="an .env with Windows line ends")
    parser.add_argument("--load-volumes", action="store_true", help="do only this: fill the volumes of a docker kind")
    options = vars(parser.parse_args())
    if options.pop("load_volumes"):
        load_volumes(options["directory"])
    else:
        print(json.dumps(Instance(**options).make(), indent=2))


if __name__ == "__main__":
    main()
