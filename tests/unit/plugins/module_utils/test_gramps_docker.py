# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Gramps Web in containers, as docker tells of it."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._gramps import compose as files
from ansible_collections.selfhosted.media.plugins.module_utils._gramps.installation import find
from ansible_collections.selfhosted.media.tests.dotenv_readers import compose_binary
from ansible_collections.selfhosted.media.tests.unit.docker_command import COMPOSE, Docker

S3_LINES = "      GRAMPSWEB_MEDIA_BASE_DIR: s3://family/media\n      AWS_ACCESS_KEY_ID: an-access-key\n"
ON_S3 = COMPOSE.replace("    volumes:\n", S3_LINES + "    volumes:\n")
PORTAINER = {"project.working_dir": "/data/compose/3", "project.config_files": "/data/compose/3/docker-compose.yml"}


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Docker:
    binary = compose_binary()
    if binary is None:
        pytest.skip("no docker compose 2 here, and none to be had (tests/docker/compose-install.sh)")
    stand_in = Docker(tmp_path, binary)
    systemctl = tmp_path / "docker" / "bin" / "systemctl"
    systemctl.write_text("#!/bin/sh\n")
    systemctl.chmod(systemctl.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{stand_in.path}:{os.environ['PATH']}")
    return stand_in


def relabel(container: dict[str, Any], **labels: str) -> None:
    for name, value in labels.items():
        container["Config"]["Labels"][f"com.docker.compose.{name}"] = value


def test_what_is_found_of_a_running_project(docker: Docker) -> None:
    compose_file = docker.write()
    docker.up()
    found = find(None)
    assert (found.install_type, found.folder, found.services) == (
        "docker",
        str(docker.home),
        ["grampsweb", "grampsweb_celery"],
    )
    assert (found.compose_file, found.env_file, found.managed_by) == (str(compose_file), "", "")
    assert found.paths == [
        ("/root/.gramps/grampsdb", str(docker.volumes / "family_db")),
        ("/app/media", str(docker.home / "media")),
    ]
    assert (found.media_base, found.media_dir) == ("/app/media", str(docker.home / "media"))
    assert found.grampsdb == str(docker.volumes / "family_db")
    assert (found.tree, found.tree_id, found.prefix_tree, found.prefix_tree_text) == ("Our Tree", "", False, "")
    assert found.environment["GRAMPSWEB_SECRET_KEY"] == "a-secret-of-the-tree"
    assert (found.release, found.running, found.restart_needed) == ("3.24.0", True, False)
    assert (found.user, found.unset_in, found.failed, found.config_file, found.remarks) == ("", [], [], "", [])
    assert find(str(docker.home) + "/", "docker") == found


def test_its_commands(docker: Docker) -> None:
    docker.write()
    docker.up()
    found = find(None)
    compose = ["docker", "compose", "-p", "family"]
    assert found.stop == [*compose, "stop", "grampsweb_celery", "grampsweb"]
    up = "docker compose -p family up -d --no-deps"
    assert found.start == ["/bin/sh", "-c", f"{up} grampsweb && {up} grampsweb_celery"]
    assert found.python == [*compose, "exec", "-T", "grampsweb", "python3"]
    assert (found.health_url, found.health_inside) == ("", "http://127.0.0.1:5000/ready")
    assert found.health_command == [*compose, "exec", "-T", "grampsweb"]


def test_no_secret_is_in_a_command_or_in_what_it_shows_of_itself(docker: Docker) -> None:
    docker.write(ON_S3)
    docker.up()
    found = find(None)
    assert "a-secret" not in repr(found)
    assert not any("a-secret" in line or "an-access-key" in line for line in docker.asked)


def test_a_project_of_which_nothing_runs(docker: Docker) -> None:
    docker.write()
    docker.up(running=False)
    found = find(None)
    assert (found.running, found.restart_needed, found.release) == (False, True, "")
    assert found.start[-1].startswith("docker compose -p family start broker && docker compose -p family up")


def test_only_nginx_is_started_again_because_it_resolves_web_once(docker: Docker) -> None:
    proxies = "  edge:\n    image: nginx\n  caddy:\n    image: valkey\n    command: caddy run\n"
    docker.write(COMPOSE.replace("volumes:\n  db:", proxies + "volumes:\n  db:"))
    docker.up()
    steps = find(None).start[-1].split(" && ")
    assert [step.partition("family ")[2] for step in steps] == [
        "up -d --no-deps grampsweb",
        "restart edge",
        "up -d --no-deps grampsweb_celery",
    ]
    docker.service("edge")["State"]["Running"] = False
    docker.tell()
    assert "edge" not in find(None).start[-1]


def test_services_are_known_by_what_they_run_whatever_they_are_called(docker: Docker) -> None:
    text = COMPOSE.replace("grampsweb_celery:", "tasks:").replace("grampsweb: &", "api: &").replace("*grampsweb", "*g")
    text = text.replace("&grampsweb", "&g").replace("celery -A gramps_webapi.celery", "sh -c 'celery -A gramps_webapi'")
    # a database that is given the same variables is none, nor is what runs once
    text = text.replace("    image: valkey\n", "    image: valkey\n    environment: {GRAMPSWEB_TREE: x}\n")
    job = "  init:\n    <<: *g\n    command: python3 -m gramps_webapi user add owner pw\n"
    docker.write(text.replace("volumes:\n  db:", job + "volumes:\n  db:"))
    docker.up()
    docker.service("init")["State"]["Running"] = False
    docker.tell()
    found = find(None)
    assert found.services == ["api", "tasks"]
    assert not found.restart_needed


def test_an_image_of_ones_own_whose_command_is_a_script(docker: Docker) -> None:
    docker.write(COMPOSE.replace("    image: reg", "    command: /start.sh\n    image: reg", 1))
    docker.up()
    found = find(None)
    assert found.services == ["grampsweb", "grampsweb_celery"]
    assert found.health_inside == "http://127.0.0.1:5000/ready"


@pytest.mark.parametrize(
    ("command", "where"),
    [
        ("gunicorn -b 0.0.0.0:8080 gramps_webapi.wsgi:app", "http://127.0.0.1:8080/ready"),
        ("gunicorn -w 2 gramps_webapi.wsgi:app", "http://127.0.0.1:9000/ready"),
        ("gunicorn --bind=:$PORT gramps_webapi.wsgi:app", "http://127.0.0.1:7000/ready"),
        ("python3 -m gramps_webapi run --port 5055 --host 0.0.0.0", "http://127.0.0.1:5055/ready"),
        ("python3 -m gramps_webapi --config /c run", "http://127.0.0.1:5000/ready"),
    ],
)
def test_where_the_application_listens_inside(docker: Docker, command: str, where: str) -> None:
    variables = '      GUNICORN_CMD_ARGS: "--bind 127.0.0.1:9000"\n      PORT: "7000"\n    volumes:\n'
    text = COMPOSE.replace("    volumes:\n", variables)
    command = command.replace("$", "$$")
    docker.write(text.replace("    image: reg", f"    command: {command}\n    image: reg", 1))
    docker.up()
    assert find(None).health_inside == where


def test_settings_that_were_written_but_not_taken_up_yet(docker: Docker) -> None:
    docker.write()
    docker.up()
    docker.write(COMPOSE.replace("    volumes:\n", "      GUNICORN_NUM_WORKERS: 3\n    volumes:\n"))
    assert not find(None).restart_needed
    docker.write(ON_S3)
    found = find(None)
    assert (found.restart_needed, found.media_base) == (True, "/app/media")


def test_settings_that_were_removed_but_are_still_in_effect(docker: Docker) -> None:
    docker.write(ON_S3)
    docker.up()
    assert not find(None).restart_needed
    docker.write()
    found = find(None)
    assert (found.restart_needed, found.media_base) == (True, "s3://family/media")


def test_a_key_that_compose_takes_from_its_callers_environment_is_no_difference(docker: Docker) -> None:
    docker.write(ON_S3.replace("AWS_ACCESS_KEY_ID: an-access-key", "AWS_ACCESS_KEY_ID:"))
    docker.up()
    docker.service("grampsweb")["Config"]["Env"].append("AWS_ACCESS_KEY_ID=of-the-shell")
    docker.tell()
    assert not find(None).restart_needed


def test_a_celery_service_that_was_forgotten_by_hand(docker: Docker) -> None:
    own = "    environment:\n      GRAMPSWEB_TREE: Our Tree\n    command: celery"
    docker.write(ON_S3.replace("    command: celery", own))
    docker.up()
    assert find(None).unset_in == ["grampsweb_celery"]


def test_media_on_s3_were_before_where_the_kept_file_or_the_image_says(docker: Docker) -> None:
    compose_file = docker.write(ON_S3)
    docker.up()
    found = find(None)
    assert (found.media_base, found.media_dir) == ("s3://family/media", str(docker.home / "media"))
    before = COMPOSE.replace(
        "    volumes:\n", "      GRAMPSWEB_MEDIA_BASE_DIR: /root/.gramps/grampsdb/m\n    volumes:\n"
    )
    compose_file.with_name(compose_file.name + ".before-s3").write_text(before)
    assert find(None).media_dir == str(docker.volumes / "family_db" / "m")


def test_media_that_lie_in_the_container_alone(docker: Docker) -> None:
    docker.write(COMPOSE.replace("      - ./media:/app/media\n", ""))
    docker.up()
    found = find(None)
    assert (found.media_base, found.media_dir) == ("/app/media", "")


def test_the_settings_file_counts_where_no_variable_does(docker: Docker) -> None:
    docker.write(COMPOSE.replace("      - ./media", "      - ./config:/app/config\n      - ./media"))
    docker.up()
    (docker.home / "config").mkdir()
    config = docker.home / "config" / "config.cfg"
    config.write_text('import os\nMEDIA_BASE_DIR = "/app/media/of-file"\nMEDIA_PREFIX_TREE = True\nTREE = os.sep\n')
    found = find(None)
    assert (found.media_base, found.prefix_tree, found.config_file) == ("/app/media", True, "")
    web = docker.service("grampsweb")["Config"]
    web["Env"] = [entry for entry in web["Env"] if not entry.startswith("GRAMPSWEB_MEDIA_BASE_DIR")]
    docker.tell()
    found = find(None)
    assert (found.media_base, found.config_file) == ("/app/media/of-file", str(config))
    assert found.media_dir == str(docker.home / "media" / "of-file")


def test_a_settings_file_in_the_image_alone_is_asked_of_the_container(docker: Docker) -> None:
    docker.write(COMPOSE)
    docker.up()
    docker.answer("3.23.0", "MEDIA_PREFIX_TREE = True")
    found = find(None)
    assert (found.prefix_tree, found.release) == (True, "3.23.0")


def test_of_several_files_the_last_that_has_the_environment(docker: Docker) -> None:
    docker.write(COMPOSE)
    ports = docker.write("services:\n  grampsweb:\n    ports: ['80:5000']\n", "ports.yml")
    docker.up("docker-compose.yml", ports.name)
    found = find(None)
    assert found.compose_file == str(docker.home / "docker-compose.yml")
    assert found.stop[2:8] == ["--project-directory", str(docker.home), "-f", found.compose_file, "-f", str(ports)]
    docker.containers.clear()
    own = docker.write("services:\n  grampsweb:\n    environment: [GRAMPSWEB_MEDIA_BASE_DIR=/app/media]\n", "own.yml")
    docker.up("docker-compose.yml", own.name, ports.name)
    assert find(None).compose_file == str(own)
    assert find(None, compose_file=str(ports)).compose_file == str(ports)


ENV_FILE = "    env_file: [web.env]\n    volumes:\n"


@pytest.mark.parametrize(
    ("text", "env", "is_it"),
    [
        (COMPOSE.replace("    volumes:\n", ENV_FILE), "AWS_DEFAULT_REGION=r\n", True),
        (COMPOSE.replace("    volumes:\n", ENV_FILE), "GRAMPSWEB_BASE_URL=http://x\n", False),
        (ON_S3.replace("    volumes:\n", ENV_FILE), "AWS_DEFAULT_REGION=r\n", False),
        (
            COMPOSE.replace("    volumes:\n", ENV_FILE).replace("      GRAMPSWEB_", "      OTHER_"),
            "GRAMPSWEB_TREE=Our Tree\n",
            True,
        ),
        (
            COMPOSE.replace("    volumes:\n", ENV_FILE).replace(
                "    command: celery", "    env_file: []\n    command: celery"
            ),
            "AWS_DEFAULT_REGION=r\n",
            False,
        ),
    ],
)
def test_an_env_file_of_all_services_that_sets_the_storage(docker: Docker, text: str, env: str, is_it: bool) -> None:
    path = docker.home / "web.env"
    path.write_text(env)
    docker.write(text)
    docker.up()
    assert find(None).env_file == (str(path) if is_it else "")


def test_an_env_file_given_to_compose_is_given_again(docker: Docker) -> None:
    docker.write(COMPOSE.replace("Our Tree", "${NAME:-none}"))
    docker.up()
    (docker.home / "of.env").write_text("NAME=Our Tree\n")
    for container in docker.containers:
        relabel(container, **{"project.environment_file": "of.env"})
    docker.tell()
    assert find(None).stop[2:4] == ["--env-file", str(docker.home / "of.env")]


@pytest.mark.parametrize(
    ("labels", "keeper"),
    [
        (PORTAINER, "Portainer (/data/compose/3/docker-compose.yml)"),
        ({"project.config_files": "/nowhere/c.yml"}, "an unknown program (/nowhere/c.yml is not on this host)"),
        ({"project.working_dir": "/nowhere", "project.config_files": ""}, "an unknown program (the label"),
    ],
)
def test_a_compose_file_that_is_kept_elsewhere(docker: Docker, labels: dict[str, str], keeper: str) -> None:
    docker.write()
    docker.up()
    for container in docker.containers:
        relabel(container, **labels)
    docker.tell()
    found = find(None)
    assert found.managed_by.startswith(keeper)
    assert (found.compose_file, found.release) == ("", "3.24.0")
    assert found.stop == ["docker", "stop", "family-grampsweb_celery-1", "family-grampsweb-1"]
    assert found.python == ["docker", "exec", "-i", "family-grampsweb-1", "python3"]
    assert found.media_dir == str(docker.home / "media")


def test_containers_of_docker_run(docker: Docker) -> None:
    image, media = "registry.example/grampsweb", {"type": "bind", "source": "/srv/m", "target": "/app/media"}
    docker.add("tree", {"image": image, "environment": {"GRAMPSWEB_TREE": "*"}, "volumes": [media]}, {})
    docker.add("tasks", {"image": image, "command": ["celery", "-A", "gramps_webapi.celery", "worker"]}, {})
    docker.add("cache", {"image": "valkey"}, {"com.docker.compose.oneoff": "True"})
    found = find(None)
    assert (found.managed_by, found.services) == ("docker run", ["plain-tree-1", "plain-tasks-1"])
    assert (found.folder, found.tree, found.media_dir) == ("", "*", "/srv/m")


def test_what_else_runs_on_the_host_is_left_alone(docker: Docker) -> None:
    docker.add("cache", {"image": "valkey"}, {})
    docker.add("bot", {"image": "valkey", "environment": {"GRAMPSWEB_URL": "http://grampsweb:5000"}}, {})
    docker.write()
    docker.up()
    assert find(None).services == ["grampsweb", "grampsweb_celery"]


def test_several_projects(docker: Docker) -> None:
    docker.write()
    docker.up()
    other = docker.home.with_name("other")
    shutil.copytree(docker.home, other)
    docker.up(home=other)
    with pytest.raises(
        MediaError, match=rf"several projects .*family in {docker.home}, other in {other}; set gramps_web_dir"
    ):
        find(None)
    assert find(str(other)).folder == str(other)


def test_several_webs_in_one_project(docker: Docker) -> None:
    second = "  second:\n    <<: *grampsweb\n"
    docker.write(COMPOSE.replace("  broker:", second + "  broker:"))
    docker.up()
    with pytest.raises(MediaError, match=r"several services of family .*: grampsweb, second; set gramps_web_services"):
        find(None)
    assert find(None, services=["grampsweb_celery", "second"]).services == ["second", "grampsweb_celery"]


def test_services_that_are_named_and_not_there(docker: Docker) -> None:
    docker.write()
    docker.up()
    with pytest.raises(
        MediaError, match=r"gramps_web_services names web, but family .* has broker, grampsweb, grampsweb_c"
    ):
        find(None, services=["web", "grampsweb_celery"])


def test_docker_that_does_not_answer(docker: Docker) -> None:
    (docker.told / "down").touch()
    with pytest.raises(
        MediaError, match=r"docker is installed but its daemon does not run at .*; start it: systemctl start"
    ):
        find(None)


def test_nothing_there(docker: Docker) -> None:
    with pytest.raises(MediaError, match=r"no Gramps Web found: no container runs .* no unit .*set gramps_web_dir"):
        find(None)
    with pytest.raises(
        MediaError, match=rf"no Gramps Web found in {docker.home}: .*compose file in {docker.home} defines no"
    ):
        find(str(docker.home), "docker")
    with pytest.raises(MediaError, match="gramps_web_dir /nowhere is not a folder"):
        find("/nowhere")
    docker.write("services:\n  broker:\n    image: valkey\n")
    with pytest.raises(MediaError, match="no Gramps Web found in"):
        find(str(docker.home))
    with pytest.raises(MediaError, match=r"gramps_web_compose_file /nowhere/c\.yml is not a file"):
        find(None, compose_file="/nowhere/c.yml")


def test_a_folder_where_nothing_was_made_yet(docker: Docker) -> None:
    compose_file = docker.write(COMPOSE.replace("Our Tree", "${NAME}"))
    (docker.home / ".env").write_text("NAME=Our Tree\n")
    found = find(str(docker.home))
    assert (found.services, found.compose_file) == (["grampsweb", "grampsweb_celery"], str(compose_file))
    assert (found.running, found.restart_needed, found.release, found.managed_by) == (False, False, "", "")
    assert (found.tree, found.media_base, found.media_dir) == ("Our Tree", "/app/media", str(docker.home / "media"))
    # of a project that was taken down, whose volume stayed
    assert found.grampsdb == str(docker.volumes / "family_db")
    assert found.start == ["docker", "compose", "up", "-d"]
    assert found.python[-2:] == ["python3", "grampsweb"]


def test_a_compose_file_of_another_name_where_nothing_was_made_yet(docker: Docker) -> None:
    path = docker.write(COMPOSE, "genealogy.yml")
    found = find(None, compose_file=str(path))
    assert (found.folder, found.compose_file) == (str(docker.home), str(path))
    assert found.start == ["docker", "compose", "--project-directory", str(docker.home), "-f", str(path), "up", "-d"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("services:\n  a: [\n", "yaml: line 2"),
        (COMPOSE.replace("a-secret-of-the-tree", '"${a-secret-of-the-tree"'), "invalid interpolation format"),
        (
            COMPOSE.replace("GRAMPSWEB_SECRET_KEY: a-sec", "GRAMPSWEB_SECRET_KEY: [x]\n      Y: a-sec"),
            "GRAMPSWEB_SECRET_KEY",
        ),
    ],
)
def test_a_compose_file_that_compose_refuses(docker: Docker, text: str, message: str) -> None:
    docker.write()
    docker.up()
    docker.write(text)
    with pytest.raises(MediaError, match=rf"in {docker.home}: .*{message}") as caught:
        find(None)
    assert "a-secret" not in str(caught.value)


def test_an_env_file_that_compose_refuses_is_not_cited(docker: Docker) -> None:
    docker.write(COMPOSE.replace("    volumes:\n", ENV_FILE))
    for content in ('AWS_SECRET_ACCESS_KEY="a-secret-with-a-quote\n', "a-secret-key$!x\n", "A B=a-secret\n"):
        (docker.home / "web.env").write_text(content)
        with pytest.raises(MediaError, match="cannot read the compose file") as caught:
            find(str(docker.home))
        assert "a-secret" not in str(caught.value), content


def test_without_ruamel_one_file_is_the_one(docker: Docker, monkeypatch: pytest.MonkeyPatch) -> None:
    compose_file = docker.write()
    docker.up()
    monkeypatch.setattr(files, "HAS_RUAMEL", False)
    assert find(None).compose_file == str(compose_file)
