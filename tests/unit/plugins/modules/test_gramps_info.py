# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the application's settings mean, and what the module tells of an installation."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.selfhosted.media.plugins.module_utils._gramps.settings import (
    Settings,
    literals,
    role_of,
    shown,
)
from ansible_collections.selfhosted.media.tests.dotenv_readers import compose_binary
from ansible_collections.selfhosted.media.tests.run_module import run_module
from ansible_collections.selfhosted.media.tests.unit.docker_command import COMPOSE, Docker

SECRETS = {
    "AWS_ACCESS_KEY_ID": "access-key-of-the-tree",
    "AWS_SECRET_ACCESS_KEY": "secret-key-of-the-tree",
    "GRAMPSWEB_SECRET_KEY": "a-secret-of-the-tree",
    "GRAMPSWEB_EMAIL_HOST_PASSWORD": "password-of-the-mail",
    "GRAMPSWEB_USER_DB_URI": "postgresql://gramps:password-of-the-database@db/users",
    "AWS_ENDPOINT_URL": "https://user:password-of-the-proxy@s3.example",
}
S3_COMPOSE = COMPOSE.replace(
    "    volumes:\n",
    "".join(f"      {name}: {value}\n" for name, value in SECRETS.items() if name != "GRAMPSWEB_SECRET_KEY")
    + "      AWS_DEFAULT_REGION: garage\n      GRAMPSWEB_MEDIA_BASE_DIR: s3://family/of/ours\n    volumes:\n",
)


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Docker:
    binary = compose_binary()
    if binary is None:
        pytest.skip("no docker compose 2 here, and none to be had (tests/docker/compose-install.sh)")
    stand_in = Docker(tmp_path, binary)
    monkeypatch.setenv("PATH", f"{stand_in.path}:{os.environ['PATH']}")
    return stand_in


def look(**options: Any) -> dict[str, Any]:
    result = run_module("gramps_info", {"install_type": "docker", **options}, check=True)
    assert result["changed"] is False
    gramps: dict[str, Any] = result["gramps"]
    return gramps


@pytest.mark.parametrize(
    ("environment", "base"),
    [
        ({}, ""),
        ({"MEDIA_BASE_DIR": "/old"}, "/old"),
        ({"MEDIA_BASE_DIR": "s3://old", "GRAMPSWEB_MEDIA_BASE_DIR": "/app/media"}, "/app/media"),
        ({"MEDIA_BASE_DIR": "/old", "GRAMPSWEB_MEDIA_BASE_DIR": ""}, ""),
        ({"GRAMPSWEB_MEDIA_BASE_DIR": '"s3://quoted"'}, "s3://quoted"),
        ({"GRAMPSWEB_MEDIA_BASE_DIR": "null"}, ""),
    ],
)
def test_where_the_media_are(environment: dict[str, str], base: str) -> None:
    assert Settings(environment).media_base == base
    assert Settings(environment, {"MEDIA_BASE_DIR": "/file"}).media_base == (base if environment else "/file")


@pytest.mark.parametrize(
    ("text", "on"),
    [("true", True), ("false", False), ("True", True), ("False", True), ("1", True), ("0", False), ("", False)],
)
def test_whether_trees_have_folders_of_their_own(text: str, on: bool) -> None:
    settings = Settings({"GRAMPSWEB_MEDIA_PREFIX_TREE": text})
    assert (settings.prefix_tree, settings.prefix_tree_text) == (on, text)
    # without the prefix it is not read at all
    assert not Settings({"MEDIA_PREFIX_TREE": "true"}).prefix_tree


@pytest.mark.parametrize(
    ("environment", "folder"),
    [
        ({"GRAMPS_DATABASE_PATH": "/db", "GRAMPSHOME": "/root"}, "/db"),
        ({"GRAMPS_DATABASE_PATH": "~/db"}, "/root/db"),
        ({"GRAMPSHOME": "/srv/g"}, "/srv/g/gramps/grampsdb"),
        ({"XDG_DATA_HOME": "/data"}, "/data/gramps/grampsdb"),
        ({"HOME": "/home/g"}, "/home/g/.local/share/gramps/grampsdb"),
        ({}, "/root/.local/share/gramps/grampsdb"),
    ],
)
def test_where_the_trees_are(environment: dict[str, str], folder: str) -> None:
    assert Settings(environment).grampsdb("/root")[0] == folder


@pytest.mark.parametrize(
    ("command", "role"),
    [
        ("/docker-entrypoint.sh /bin/sh -c gunicorn -w ${N:-8} -b 0.0.0.0:5000 gramps_webapi.wsgi:app", "web"),
        ("/opt/celery/bin/gunicorn gramps_webapi.wsgi:app", "web"),
        ("uwsgi --module gramps_webapi.wsgi:app", "web"),
        ("python3 -m gramps_webapi --config /app/config.cfg run --port 5000", "web"),
        ("celery -A gramps_webapi.celery worker --loglevel=INFO", "celery"),
        ("sh -c 'exec celery --app=gramps_webapi.celery beat'", "celery"),
        ("/venv/bin/python -m celery -A gramps_webapi worker", "celery"),
        ("python3 -m gramps_webapi user migrate", "job"),
        ("sh -c 'python3 -m gramps_webapi search index-full; echo run'", "job"),
        ("celery -A other.app worker", ""),
        ("valkey-server", ""),
    ],
)
def test_what_a_command_does(command: str, role: str) -> None:
    assert role_of(command) == role


def test_a_settings_file_is_read_and_never_run(tmp_path: Path) -> None:
    source = (
        f'import os\nTREE = "*"\nos.mkdir("{tmp_path}/made")\nMEDIA_BASE_DIR = os.sep\nA = B = 2\nif 1:\n    C = 3\n'
    )
    assert literals(source) == {"TREE": "*", "A": 2, "B": 2}
    assert not (tmp_path / "made").exists()
    assert literals("TREE = (") == literals("\0") == {}


def test_what_is_shown_of_an_environment() -> None:
    environment = {
        **SECRETS,
        "GRAMPSWEB_REQUEST_CACHE_CONFIG__CACHE_DIR": "/cache",
        "GRAMPSWEB_REQUEST_CACHE_CONFIG": '{"CACHE_REDIS_PASSWORD": "x"}',
        "GRAMPSWEB_BASE_URL": "https://tree.example",
        "PATH": "/bin",
    }
    assert shown(environment) == {
        "AWS_ENDPOINT_URL": "https://********@s3.example",
        "GRAMPSWEB_REQUEST_CACHE_CONFIG__CACHE_DIR": "/cache",
        "GRAMPSWEB_BASE_URL": "https://tree.example",
    }


def test_an_instance_on_disk(docker: Docker) -> None:
    docker.write()
    docker.up()
    gramps = look(dir=str(docker.home))
    assert (gramps["state"], gramps["switched"], gramps["bucket"], gramps["prefix"]) == ("disk", 0.0, "", "")
    assert gramps["kept_file"] == f"{docker.home}/docker-compose.yml.before-s3"
    assert gramps["paths"][1] == ["/app/media", str(docker.home / "media")]
    assert gramps["settings"]["GRAMPSWEB_TREE"] == "Our Tree"
    assert gramps["commands"]["stop"][-1] == "grampsweb"
    assert gramps["health"]["inside"] == "http://127.0.0.1:5000/ready"
    assert (gramps["boto3"], gramps["ruamel"]) == (True, True)


def test_an_instance_on_s3(docker: Docker) -> None:
    compose_file = docker.write(S3_COMPOSE)
    docker.up()
    gramps = look()
    assert (gramps["state"], gramps["bucket"], gramps["prefix"]) == ("s3_by_hand", "family", "of/ours")
    kept = Path(f"{compose_file}.before-s3")
    kept.write_text(COMPOSE)
    switched = time.time() - 86400
    os.utime(kept, (switched, switched))
    gramps = look()
    assert (gramps["state"], round(gramps["switched"])) == ("s3", round(switched))
    assert gramps["media_dir"] == str(docker.home / "media")


def test_no_secret_is_in_the_result(docker: Docker) -> None:
    docker.write(S3_COMPOSE)
    docker.up()
    text = json.dumps(look())
    assert "s3.example" in text
    for secret in (*SECRETS.values(), "password-of-the-database", "password-of-the-proxy"):
        assert secret not in text


def test_no_secret_is_in_an_error(docker: Docker) -> None:
    docker.write(S3_COMPOSE)
    docker.up()
    # a mistake of ours, behind the moment when the secrets are known
    (docker.home / "docker-compose.yml.before-s3").symlink_to("/proc/self/mem/secret-key-of-the-tree")
    docker.write(S3_COMPOSE.replace("services:", "services: [secret-key-of-the-tree"))
    result = run_module("gramps_info", {"dir": str(docker.home)})
    assert result["failed"]
    assert "secret-key-of-the-tree" not in json.dumps(result)


def test_what_the_options_know_better(docker: Docker) -> None:
    docker.write()
    own = docker.write(COMPOSE, "own.yml")
    docker.up()
    gramps = look(media_dir="/srv/media", grampsdb="/srv/db", services=["grampsweb"], compose_file=str(own))
    assert (gramps["media_dir"], gramps["grampsdb"], gramps["services"]) == ("/srv/media", "/srv/db", ["grampsweb"])
    assert gramps["compose_file"] == str(own)


def test_there_is_none(docker: Docker) -> None:
    result = run_module("gramps_info", {"install_type": "docker"})
    assert result["failed"]
    assert "no Gramps Web found" in result["msg"]
