# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Gramps Web instances themselves: they start, serve, take uploads, and end with everything they have started.

Where Gramps Web is not installed, or no Docker daemon can run, the tests are skipped with the reason.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TypeVar

import pytest
from ansible_collections.selfhosted.media.tests.docker.projects import DockerUnavailable
from ansible_collections.selfhosted.media.tests.docker.projects import docker as docker_daemon
from ansible_collections.selfhosted.media.tests.grampsweb import GrampsUnavailable
from ansible_collections.selfhosted.media.tests.grampsweb import docker as containers
from ansible_collections.selfhosted.media.tests.grampsweb.addon import addon_objects
from ansible_collections.selfhosted.media.tests.grampsweb.api import Api, ApiError, Served, served
from ansible_collections.selfhosted.media.tests.grampsweb.instance import CELERY, WEB, GrampsWeb, Instance, instance
from ansible_collections.selfhosted.media.tests.grampsweb.trees import (
    AWKWARD,
    Plan,
    Tree,
    change_row,
    md5,
    picture,
)
from ansible_collections.selfhosted.media.tests.servers import Server

T = TypeVar("T")


@contextlib.contextmanager
def or_skip(made: AbstractContextManager[T]) -> Iterator[T]:
    with contextlib.ExitStack() as stack:
        try:
            entered = stack.enter_context(made)
        except (GrampsUnavailable, DockerUnavailable) as exc:
            print(f"Gramps Web tests are skipped: {exc}")
            pytest.skip(str(exc))
        yield entered


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    """One tree with everything, in one unit."""
    plan = Plan("Familie Müller", cases=AWKWARD, unlisted=2)
    with or_skip(instance(tmp_path_factory.mktemp("single") / "web", plan)) as made:
        yield made


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    """Two trees, with celery."""
    plans = Plan("Eins", clean=4), Plan("Zwei", clean=2, cases=("private", "leaves_base"))
    folder = tmp_path_factory.mktemp("multi") / "web"
    with or_skip(instance(folder, *plans, multi=True, celery=True)) as made:
        yield made


def looks(tree: Tree) -> dict[str, Served]:
    """What has to be served from disk."""
    disk = tree.on_disk()

    def look(case: str, path: str, mime: str) -> Served:
        if case in ("missing", "absolute_outside", "leaves_base"):
            return Served(404, "", "application/json")
        return Served(200, hashlib.sha256(disk[path]).hexdigest(), mime)

    return {row.handle: look(row.case, row.path, row.mime) for row in tree.rows}


def test_every_case_is_listed_as_recorded(web: Instance) -> None:
    assert {row.case for row in web.tree.rows} == {"clean", *AWKWARD}
    listed = {item["handle"]: item for item in web.login().media()}
    for row in web.tree.rows:
        item = {name: getattr(row, name) for name in ("handle", "gramps_id", "path", "mime", "checksum", "private")}
        assert listed[row.handle] == item


def test_files_are_served_from_disk_and_nothing_from_beside_the_media_folder(web: Instance) -> None:
    shown = served(web.login())
    expected = looks(web.tree)
    assert {handle: shown[handle] for handle in expected} == expected


def test_pictures_are_real_ones(web: Instance) -> None:
    api = web.login()
    thumbnails = {row.mime: api.thumbnail(row.handle) for row in web.tree.case("clean")[:4]}
    # A PDF's needs a program that not every machine has.
    assert [thumbnails[f"image/{kind}"].status for kind in ("jpeg", "png", "tiff")] == [200] * 3
    assert thumbnails["image/tiff"].type == "image/avif"
    assert thumbnails["application/pdf"].status in (200, 501)


def test_an_upload_becomes_a_media_object_with_its_file(web: Instance) -> None:
    api, content = web.login(), picture("jpeg", 700)
    item = api.upload(content, "image/jpeg")
    assert item["checksum"] == md5(content)
    assert (web.media() / item["path"]).read_bytes() == content
    assert api.file(item["handle"])[:3] == (200, content, "image/jpeg")
    api.delete(item["handle"])
    assert api.file(item["handle"]).status == 404


def test_a_missing_file_can_be_brought_later(web: Instance) -> None:
    api, row = web.login(), web.tree.case("missing")[0]
    content = picture("jpeg", 10)
    assert api.upload_missing(row.handle, b"something else", row.mime).status == 409
    assert api.upload_missing(row.handle, content, row.mime).status == 200
    assert (web.media() / row.path).read_bytes() == content
    (web.media() / row.path).unlink()


def test_a_row_can_be_changed_behind_the_application(web: Instance) -> None:
    api, row = web.login(), web.tree.rows[0]
    change_row(web.grampsdb, web.tree.id, row.handle, checksum="0" * 32)
    assert {item["handle"]: item["checksum"] for item in api.media()}[row.handle] == "0" * 32
    change_row(web.grampsdb, web.tree.id, row.handle, checksum=row.checksum)
    with pytest.raises(KeyError, match="no media object"):
        change_row(web.grampsdb, web.tree.id, "nobody", checksum="")


def test_a_wrong_login_is_a_clear_error(web: Instance) -> None:
    with pytest.raises(ApiError, match=r"POST /api/token/ was answered with 403") as caught:
        web.login(user="nobody")
    assert caught.value.status == 403


def test_an_instance_on_a_bucket_serves_what_it_served_from_disk(tmp_path: Path, moto_server: Server) -> None:
    """By hand, as the documentation has it: what the addon would upload, the settings, a restart."""
    client = moto_server.client()
    client.create_bucket(Bucket="family")
    with or_skip(instance(tmp_path / "web", Plan(clean=4))) as web:
        before, disk = served(web.login()), {md5(content): content for content in web.tree.on_disk().values()}
        for key, item in addon_objects(web.tree).items():
            client.put_object(Bucket="family", Key=key, Body=disk[key], ContentType=item.type)
        with web.env_file.open("a") as file:
            file.write(
                "GRAMPSWEB_MEDIA_BASE_DIR=s3://family\nAWS_DEFAULT_REGION=us-east-1\n"
                f"AWS_ENDPOINT_URL={moto_server.endpoint_url}\n"
                f"AWS_ACCESS_KEY_ID={moto_server.access_key}\nAWS_SECRET_ACCESS_KEY={moto_server.secret_key}\n"
            )
        web.systemctl("restart", WEB)
        web.wait()
        api, row = web.login(), web.tree.rows[0]
        assert len(before) == 4
        assert served(api) == before
        assert api.file(row.handle).redirected_to == f"{moto_server.endpoint_url}/family/{row.checksum}"
        new = api.upload(picture("png", 700), "image/png")
        assert client.head_object(Bucket="family", Key=new["checksum"])["ContentType"] == "image/png"
        pids = [web.systemctl("show", "-p", "MainPID", "--value", WEB).strip()]
        assert all(Path("/proc", pid).exists() for pid in pids)
    assert not any(Path("/proc", pid).exists() for pid in pids)


def test_the_token_is_not_sent_to_the_bucket() -> None:
    seen: list[tuple[str, str]] = []

    class Both(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append((self.path, self.headers.get("Authorization", "")))
            self.send_response(200 if self.path.startswith("/bucket") else 307)
            self.send_header("Location", f"http://{self.headers['Host']}/bucket/key?signature=x")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Both) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        answer = Api(url, "secret").file("handle")
        server.shutdown()
    assert (answer.status, answer.redirected_to) == (200, f"{url}/bucket/key")
    assert seen == [("/api/media/handle/file", "Bearer secret"), ("/bucket/key?signature=x", "")]


def test_owners_of_two_trees_see_their_own_only(trees: Instance) -> None:
    first, second = trees.trees
    assert served(trees.login(first)) == looks(first)
    assert served(trees.login(second)) == looks(second)
    assert trees.login(first).file(second.rows[0].handle).status == 404


def test_celery_works_for_an_instance(trees: Instance) -> None:
    assert trees.systemctl("is-active", WEB, CELERY).split() == ["active", "active"]
    second = trees.trees[1]
    item = trees.login(second).upload(picture("png", 701), "image/png")
    assert (trees.media(second) / item["path"]).is_file()
    end = time.monotonic() + 60
    while "update_media_usage_task" not in trees.log() or "succeeded" not in trees.log():
        assert time.monotonic() < end, trees.log()
        time.sleep(0.2)


@pytest.mark.timeout(600)  # the base image may have to be made first
def test_an_instance_in_containers_is_like_the_documentations(tmp_path: Path) -> None:
    plans = Plan("Familie Müller", clean=4, cases=("missing", "absolute_inside", "absolute_outside"))
    with (
        or_skip(docker_daemon()) as daemon,
        or_skip(containers.project(daemon, tmp_path / "web", plans, form="environment")) as site,
    ):
        made: GrampsWeb = site
        assert served(made.login()) == looks(made.tree)
        item = made.login().upload(picture("png", 702), "image/png")
        assert (site.media() / item["path"]).is_file()
        for service in ("grampsweb", "grampsweb_celery"):
            variables = site.variables_of(service)
            assert variables["GRAMPSWEB_MEDIA_BASE_DIR"] == "/app/media"
            assert variables["GRAMPSWEB_TREE"] == "Familie Müller"
            assert variables["VIRTUAL_HOST"] == ("gramps.example.org" if service == "grampsweb" else "")
            assert site.containers()[service]["Config"]["WorkingDir"] == "/app"
        name = site.name
        left = ["volume", "ls", "-q", "--filter", f"label=com.docker.compose.project={name}"]
        assert len(site.docker(*left).split()) == len(containers.VOLUMES)
        site.down()
        assert site.docker(*left) == ""


@pytest.mark.parametrize("form", containers.FORMS)
def test_compose_files_hand_the_environment_on_by_an_anchor(form: str) -> None:
    import yaml

    made = yaml.safe_load(containers.compose_file("family", 5000, "A", True, form))["services"]
    web, celery = made["grampsweb"]["environment"], made["grampsweb_celery"]["environment"]
    assert web["GRAMPSWEB_TREE"] == celery["GRAMPSWEB_TREE"] == "*"
    assert json.dumps(made["grampsweb"]["volumes"]) == json.dumps(made["grampsweb_celery"]["volumes"])
    assert (web == celery) == (form == "service")
