# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbooks on stand-ins in containers, on Ceph: real Docker, real compose 2, and the essentials with compose 1.

Where no daemon can run, the tests are skipped with the reason.
"""

from __future__ import annotations

import contextlib
import json
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from ansible_collections.selfhosted.media.tests.docker import projects
from ansible_collections.selfhosted.media.tests.docker.projects import Docker, Project, project
from ansible_collections.selfhosted.media.tests.playbooks import Outcome, Visitors, Watch, fetch, in_background
from ansible_collections.selfhosted.media.tests.run_module import run_module
from ansible_collections.selfhosted.media.tests.servers import Server, ServerUnavailable
from ansible_collections.selfhosted.media.tests.servers.ceph import ceph
from ansible_collections.selfhosted.media.tests.servers.tls import behind_tls

pytestmark = pytest.mark.timeout(1200)  # a shared fixture counts for the test that asks first

COVERS = 8
CHANGING = {"web", "celery_worker", "celery_beat", "flower"}
SWITCH = "Stop, copy what is new, write the settings, start"


@dataclass
class Arguments:
    """Looks at the argument lists of all processes of this machine, those in containers too, for a secret."""

    secret: bytes
    seen: int = 0
    leaks: set[bytes] = field(default_factory=set)

    def __call__(self) -> None:
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                line = path.read_bytes()
                self.seen += b"\0-e\0AWS_SECRET_ACCESS_KEY\0" in line
                if self.secret in line:
                    self.leaks.add(line)
        time.sleep(0.1)


@dataclass
class Migrated:
    """An instance before, during and after its migration, which failed at the first attempt."""

    site: Project
    server: Server
    bucket: str
    env_before: bytes
    tree_before: dict[str, bytes]
    images_before: list[str]
    public_url: str = ""
    runs: dict[str, Outcome] = field(default_factory=dict)
    #: what docker told after each run, and the front page then
    lives: dict[str, dict[str, tuple[str, str]]] = field(default_factory=dict)
    images: dict[str, list[str]] = field(default_factory=dict)
    env: dict[str, bytes] = field(default_factory=dict)
    kept_after_failing: bool = True
    one_offs: int = 0
    watch: Watch = field(init=False)
    arguments: Arguments = field(init=False)
    visitors: Visitors = field(init=False)

    def __post_init__(self) -> None:
        self.watch, self.arguments = Watch(self.site, pause=0.2), Arguments(self.server.secret_key.encode())
        self.public_url = self.public_url or f"{self.server.endpoint_url}/{self.bucket}"
        picture = next(content for name, content in self.tree_before.items() if name.startswith("covers/"))
        self.visitors = Visitors(self.site, picture)

    def visit(self) -> None:
        """Upload once a second: every upload is work for web and for the worker, and the machine is small."""
        self.visitors()
        time.sleep(0.8)

    def objects(self) -> dict[str, dict[str, Any]]:
        """The bucket's objects."""
        pages = self.server.client().get_paginator("list_objects_v2").paginate(Bucket=self.bucket)
        return {item["Key"]: item for page in pages for item in page.get("Contents", [])}

    def play(self, name: str, *arguments: str, **variables: Any) -> None:
        """Migrate, and note what is there afterwards."""
        self.runs[name] = self.site.play("bookwyrm_migrate", *arguments, **variables)
        self.look(name)

    def look(self, name: str) -> None:
        self.site.wait(60)
        self.lives[name], self.images[name] = self.site.lives(), self.site.images()
        self.env[name] = (self.site.folder / ".env").read_bytes()

    def recreated(self, before: str, after: str) -> set[str]:
        """Services whose container is another one."""
        old, new = self.lives[before], self.lives[after]
        return {name for name in new if old[name][0] != new[name][0]}

    def restarted(self, before: str, after: str) -> set[str]:
        """Services that were started anew, in whatever container."""
        old, new = self.lives[before], self.lives[after]
        return {name for name in new if old[name][1] != new[name][1]}


@pytest.fixture(scope="module")
def docker() -> Iterator[Docker]:
    with contextlib.ExitStack() as stack:
        try:
            yield stack.enter_context(projects.docker())
        except projects.DockerUnavailable as exc:
            print(f"docker tests are skipped: {exc}")
            pytest.skip(str(exc))


@pytest.fixture(scope="module")
def server(docker: Docker) -> Iterator[Server]:
    """Ceph where containers and this machine reach it by the same URL, with keys that nothing else here has."""
    with contextlib.ExitStack() as stack:
        try:
            gateway = ceph("docker-key", "s3cret-of-the-docker-tests", address=docker.address)
            yield stack.enter_context(gateway)
        except ServerUnavailable as exc:
            pytest.skip(str(exc))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("docker")


@pytest.fixture(scope="module")
def migrated(docker: Docker, server: Server, folder: Path) -> Iterator[Migrated]:
    bucket = f"books-{uuid4().hex[:8]}"
    with project(docker, folder / "bookwyrm", server, bucket, covers=COVERS) as site:
        env, tree = (site.folder / ".env").read_bytes(), site.tree()
        done = Migrated(site, server, bucket, env, tree, site.images())
        done.look("before")
        done.play("check", "--check")
        broken = site.media() / "web-does-not-start"  # a mark of the stand-in's entrypoint
        broken.touch()
        done.play("failing", bookwyrm_health_timeout=40)
        done.kept_after_failing = (site.folder / ".env.before-s3").exists()
        broken.unlink()
        with (
            site.creations() as made,
            in_background(done.watch),
            in_background(done.visit),
            in_background(done.arguments),
        ):
            done.play("run")
        done.one_offs = sum(one["com.docker.compose.oneoff"] == "True" for one in made)
        done.play("again")
        yield done


def test_check_mode_works_to_the_end_and_changes_nothing(migrated: Migrated) -> None:
    assert migrated.runs["check"].code == 0, migrated.runs["check"].message
    assert "would be on S3" in migrated.runs["check"].output
    assert migrated.lives["check"] == migrated.lives["before"]
    assert migrated.env["check"] == migrated.env_before


def test_a_web_that_does_not_start_is_undone(migrated: Migrated) -> None:
    failing = migrated.runs["failing"]
    assert failing.code == 2
    assert failing.message.startswith("Waiting for the front page failed, so the change-over was undone.")
    assert "the site answers from its disk again" in failing.message
    assert migrated.env["failing"] == migrated.env_before
    assert not migrated.kept_after_failing
    assert migrated.recreated("check", "failing") == CHANGING
    assert migrated.images["failing"] == migrated.images_before


def test_only_the_services_that_change_are_made_anew(migrated: Migrated) -> None:
    assert migrated.runs["run"].code == 0, migrated.runs["run"].message
    assert migrated.recreated("failing", "run") == CHANGING
    # nginx knows web's old address, so it is started again, and nothing else is
    assert migrated.restarted("failing", "run") == CHANGING | {"nginx"}
    assert all(item["State"]["Running"] for item in migrated.site.containers().values())
    assert migrated.one_offs == 1  # two containers would lose the compiled themes


def test_the_page_shows_the_same_images_from_the_bucket(migrated: Migrated) -> None:
    names = {url.partition("/images/")[2] for url in migrated.images["run"]}
    assert all(url.startswith(f"{migrated.public_url}/images/") for url in migrated.images["run"])
    assert len(migrated.images_before) == COVERS * 3
    for url in migrated.images_before:
        name = url.partition("/images/")[2]
        assert name in names
        answer = fetch(f"{migrated.public_url}/images/{name}")
        assert (answer.status, answer.body) == (200, migrated.tree_before[urllib.parse.unquote(name)])
        assert answer.headers["content-type"] == ("image/webp" if name.endswith("webp") else "image/jpeg")


def test_static_assets_have_their_types_though_web_collects_them_again(migrated: Migrated) -> None:
    types = {"css": "text/css", "woff2": "font/woff2", "woff": "font/woff", "svg": "image/svg+xml"}
    statics = [url for url in migrated.site.statics() if "/static/" in url]
    assert set(types) <= {url.rpartition(".")[2] for url in statics}
    for url in statics:
        answer = fetch(url)
        assert url.startswith(f"{migrated.public_url}/static/")
        assert answer.status == 200
        ending = url.rpartition(".")[2]
        assert answer.headers["content-type"].partition(";")[0] == types.get(ending) or ending not in types
    # The image has no mime.types, so the fonts were wrong at first.
    assert migrated.runs["failing"].results("Mend the content types of the static assets")[0]["changed"]


def test_fragments_are_purged(migrated: Migrated) -> None:
    assert migrated.runs["run"].results("Forget the old URLs")[0]["fragments"] == 1
    assert 'src="/images/' not in migrated.site.page()


def test_no_upload_is_lost(migrated: Migrated) -> None:
    accepted, on_disk = migrated.visitors.accepted, migrated.site.tree()
    assert any(name in on_disk for name in accepted), "no upload met the copy"
    assert any(name not in on_disk for name in accepted), "no upload met the bucket"
    for name, content in accepted.items():
        answer = fetch(f"{migrated.public_url}/images/{urllib.parse.quote(name)}")
        assert (answer.status, answer.body == content) == (200, True), name
    deadline = time.monotonic() + 60
    while missing := {f"images/{name}" for name in migrated.visitors.thumbnails} - set(migrated.objects()):
        assert time.monotonic() < deadline, missing
        time.sleep(0.5)


def test_the_site_answers_but_for_the_restart(migrated: Migrated) -> None:
    switch = migrated.runs["run"].results(SWITCH)[0]
    assert switch["stop_seconds"] <= switch["restart_seconds"] + 5
    assert f"stood still for {switch['stop_seconds']} s" in migrated.runs["run"].output
    # one for the application, and one for nginx, which knows web's old address and is started again
    assert len(migrated.watch.outages) in (1, 2)


def test_no_secret_in_an_argument_list(migrated: Migrated) -> None:
    assert migrated.arguments.seen, "the one-off container was never met"
    assert not migrated.arguments.leaks
    for item in migrated.site.containers().values():
        assert migrated.server.secret_key not in json.dumps([item["Path"], item["Args"], item["Config"]["Cmd"]])


def test_nothing_private_is_copied(migrated: Migrated) -> None:
    assert "bookwyrm-export-5f1d3c1a.tar.gz" in migrated.tree_before
    folders = {key.split("/")[1] for key in migrated.objects() if key.startswith("images/")}
    assert folders == {"avatars", "covers", "logos", "previews", "thumbnails", "uploads"}


def test_a_second_run_changes_nothing(migrated: Migrated) -> None:
    again = migrated.runs["again"]
    assert (again.code, again.changed) == (0, 0), again.message
    assert migrated.lives["again"] == migrated.lives["run"]


def test_two_projects_and_no_folder(
    migrated: Migrated, docker: Docker, server: Server, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in docker.environment("v2").items():
        monkeypatch.setenv(name, value if name != "PATH" else f"{value}:/usr/local/bin:/usr/bin:/bin")
    found = run_module("instance_info", {"install_type": "docker"})
    assert found["instance"]["folder"] == str(migrated.site.folder)
    with project(docker, folder / "another", server, "unused", start=False, empty=True) as another:
        another.compose("up", "--no-start")
        both = run_module("instance_info", {"install_type": "docker"})
        assert both["failed"]
        assert all(f"{site.name} in {site.folder}" in both["msg"] for site in (migrated.site, another))
        assert "set bookwyrm_dir" in both["msg"]
        found = run_module("instance_info", {"dir": str(another.folder)})
        assert (found["instance"]["running"], found["instance"]["media_dir"]) == (False, str(another.media()))


def test_it_is_taken_back(migrated: Migrated) -> None:
    site, client = migrated.site, migrated.server.client()
    run = site.play("bookwyrm_rollback")
    assert run.code == 0, run.message
    migrated.look("back")
    assert migrated.env["back"] == migrated.env_before
    assert migrated.recreated("again", "back") == CHANGING
    disk, media = site.tree(), site.media()
    stored = {key[7:] for key in migrated.objects() if key.startswith("images/")}
    assert set(migrated.visitors.accepted) - set(migrated.tree_before) & stored, "nothing had to come back"
    for name in stored:
        assert disk[name] == client.get_object(Bucket=migrated.bucket, Key=f"images/{name}")["Body"].read(), name
        assert (media / name).stat().st_uid == media.stat().st_uid
    assert all(
        fetch(site.absolute(f"/images/{urllib.parse.quote(name)}")).status == 200 for name in migrated.visitors.accepted
    )
    assert migrated.images["back"] and all(url.startswith("/images/") for url in migrated.images["back"])
    again = site.play("bookwyrm_rollback")
    assert (again.code, again.changed) == (0, 0)


@pytest.fixture(scope="module")
def old(docker: Docker, server: Server, folder: Path) -> Iterator[Migrated]:
    """Summer 2021, compose 1, a file by -f, media in a folder of the host, and stopped."""
    bucket, options = f"books-{uuid4().hex[:8]}", {"release": "0.0.1", "domain": "books.example", "covers": COVERS}
    with behind_tls(server, folder) as (public, certificate), pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(certificate))
        with project(docker, folder / "old", server, bucket, "v1", start=False, **options) as site:
            usual, renamed = site.folder / "docker-compose.yml", site.folder / "books.yml"
            renamed.write_text(usual.read_text().replace("media_volume:/app/images", "./.seed/images:/app/images"))
            usual.unlink()
            site.compose_command += ["-f", "books.yml"]
            site.start()
            env = (site.folder / ".env").read_bytes()
            done = Migrated(site, server, bucket, env, site.tree(), site.images(), f"https://{public}/{bucket}")
            done.look("before")
            site.compose("stop")
            site.variables["bookwyrm_s3_custom_domain"] = f"{public}/{bucket}"
            site.variables["bookwyrm_s3_ca_bundle"] = str(certificate)
            done.play("run")
            done.play("again")
            yield done


def test_an_old_release_that_is_stopped(old: Migrated) -> None:
    assert old.runs["run"].code == 0, old.runs["run"].message
    assert old.site.media() == old.site.folder / ".seed" / "images"
    assert old.recreated("before", "run") == CHANGING
    assert all(item["State"]["Running"] for item in old.site.containers().values())
    assert len(old.images["run"]) == COVERS * 3
    for url in old.images["run"]:
        name = urllib.parse.unquote(url.removeprefix(f"{old.public_url}/images/"))
        assert fetch(url).body == old.tree_before[name]
    assert old.runs["run"].results("Forget the old URLs")[0]["connectors"] == 1
    ask = "from bookwyrm.models import Connector as C; print(C.objects.get(connector_file='self_connector').covers_url)"
    assert f"{old.public_url}/images/" in old.site.manage("shell", "-c", ask)


def test_a_second_run_on_an_old_release(old: Migrated) -> None:
    assert (old.runs["again"].code, old.runs["again"].changed) == (0, 0), old.runs["again"].message
    assert old.lives["again"] == old.lives["run"]


@pytest.fixture(scope="module")
def new(docker: Docker, server: Server, folder: Path) -> Iterator[Migrated]:
    """Code and .env only: no image, no container, no volume."""
    bucket = f"books-{uuid4().hex[:8]}"
    with project(docker, folder / "new", server, bucket, start=False, empty=True) as site:
        with (site.folder / ".env").open("a") as env:
            env.write(f"\nCOMPOSE_PROJECT_NAME={site.name}\n")
        before = (site.folder / ".env").read_bytes()
        done = Migrated(site, server, bucket, before, {"covers/none.jpg": b""}, [])
        done.runs["run"] = site.play("bookwyrm_new")
        done.lives["run"] = site.lives()
        done.runs["again"] = site.play("bookwyrm_new")
        done.lives["again"] = site.lives()
        yield done


def test_a_new_instance(new: Migrated) -> None:
    run, site = new.runs["run"], new.site
    assert run.code == 0, run.message
    assert all(item["State"]["Running"] for item in site.containers().values())
    assert "Set up" in site.page("")  # followed to the set-up
    code = site.manage("admin_code").splitlines()[2]
    assert code in run.output
    keys = set(new.objects())
    assert {"static/css/themes/bookwyrm-light.css", "static/css/themes/bookwyrm-dark.css"} <= keys
    assert not [key for key in keys if not key.startswith("static/")]


def test_a_second_run_on_a_new_instance(new: Migrated) -> None:
    assert (new.runs["again"].code, new.runs["again"].changed) == (0, 0), new.runs["again"].message
    assert new.lives["again"] == new.lives["run"]


def test_an_instance_with_users_is_not_new(new: Migrated) -> None:
    site = new.site
    code = site.manage("admin_code").splitlines()[2]
    body = urllib.parse.urlencode({"code": code, "name": "ada"}).encode()
    with urllib.request.urlopen(site.absolute("setup"), data=body, timeout=20) as answer:
        assert answer.status == 200
    site.compose("stop")
    (site.folder / ".env").write_bytes(new.env_before)
    (site.folder / ".env.before-s3").unlink()
    refused = site.play("bookwyrm_new")
    assert refused.code == 2
    assert "has users already" in refused.message
    assert "bookwyrm_migrate" in refused.message
    assert (site.folder / ".env").read_bytes() == new.env_before
