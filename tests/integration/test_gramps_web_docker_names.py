# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What only containers show: names of their own, a compose file that is somewhere else, an env_file, a container that does not start.

All cases share one project, and each begins with its media on the disk. Where no daemon can run, or Gramps Web is not to be
had, the tests are skipped with the reason.
"""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from ansible_collections.selfhosted.media.plugins.module_utils._dotenv.reading import read
from ansible_collections.selfhosted.media.tests.docker import projects
from ansible_collections.selfhosted.media.tests.docker.projects import Docker
from ansible_collections.selfhosted.media.tests.grampsweb import GrampsUnavailable
from ansible_collections.selfhosted.media.tests.grampsweb.api import served
from ansible_collections.selfhosted.media.tests.grampsweb.docker import Project, project
from ansible_collections.selfhosted.media.tests.grampsweb.trees import Plan, picture
from ansible_collections.selfhosted.media.tests.servers import Server, ServerUnavailable
from ansible_collections.selfhosted.media.tests.servers.ceph import ceph
from ansible_collections.selfhosted.media.tests.servers.proxy import Proxy, port_of

pytestmark = pytest.mark.timeout(1200)  # a shared fixture counts for the test that asks first

#: A name that docker gives the service inside the containers.
NAME = "s3.family.internal"
SERVICES = ("grampsweb", "grampsweb_celery")
ROWS = 4


@dataclass
class Site:
    """The project, and its bucket's service by both names."""

    web: Project
    server: Server
    bucket: str
    #: the compose file of the beginning
    file: bytes

    @property
    def inner_url(self) -> str:
        """Where containers find the service by a name."""
        return f"http://{NAME}:{port_of(self.server)}"

    def there(self) -> bool:
        """Whether the bucket is there."""
        return self.bucket in [found["Name"] for found in self.server.client().list_buckets()["Buckets"]]

    def objects(self) -> int:
        """How many objects it holds."""
        return int(self.server.client().list_objects_v2(Bucket=self.bucket)["KeyCount"])

    def variables(self, name: str) -> set[str]:
        """What a variable is in the processes of both services."""
        return {self.web.variables_of(service).get(name, "") for service in SERVICES}

    def all_right(self, where: str) -> str:
        """The sentence of a run that has looked at everything."""
        return f"{ROWS} of {ROWS} media objects looked at as a user came as the database records them, from {where}"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A project that runs, and Ceph where containers and this machine reach it by the same address."""
    with contextlib.ExitStack() as stack:
        try:
            docker: Docker = stack.enter_context(projects.docker())
            # With signs that compose files and files of variables write in ways of their own.
            server = stack.enter_context(ceph("docker-key", "s3cret$of #the-family", address=docker.address))
            folder = tmp_path_factory.mktemp("names") / "web"
            plan = Plan("Familie Müller", clean=ROWS)
            web = stack.enter_context(project(docker, folder, plan, server=server, bucket="unused", start=False))
        except (projects.DockerUnavailable, ServerUnavailable, GrampsUnavailable) as exc:
            pytest.skip(str(exc))
        plain = web.compose_file.read_text()
        more = f'    extra_hosts: ["{NAME}:{docker.address}"]\n'
        web.compose_file.write_text(plain.replace("    restart: always\n", f"    restart: always\n{more}", 1))
        web.variables["gramps_web_dir"] = str(folder)
        yield Site(web, server, "", web.compose_file.read_bytes())


@pytest.fixture
def site(shared: Site, bucket_name: str) -> Site:
    """The project on its disk, with a bucket that is not there yet."""
    web = shared.web
    for left in web.folder.glob("*.before-*"):
        left.unlink()
    web.compose_file.write_bytes(shared.file)
    web.start()
    shared.bucket = web.variables["gramps_web_s3_bucket"] = bucket_name
    return shared


def test_a_name_that_only_containers_know_needs_another_for_this_host(site: Site) -> None:
    lives = site.web.lives()
    names: dict[str, Any] = {"gramps_web_s3_endpoint_url": site.inner_url}
    refused = site.web.play("gramps_web_migrate", **names)
    assert refused.code, refused.output
    assert f"the name {NAME} cannot be resolved" in refused.message
    assert "gramps_web_s3_local_endpoint_url" in refused.message
    assert (site.web.lives(), site.web.compose_file.read_bytes(), site.there()) == (lives, site.file, False)

    done = site.web.play("gramps_web_migrate", **names, gramps_web_s3_local_endpoint_url=site.server.endpoint_url)
    assert done.code == 0, done.output
    assert f"WARNING: Gramps Web sends browsers to {site.inner_url} for every picture." in done.output
    assert site.all_right(f"{NAME}:{port_of(site.server)}") in done.output
    assert site.variables("AWS_ENDPOINT_URL") == {site.inner_url}
    assert site.variables("AWS_SECRET_ACCESS_KEY") == {site.server.secret_key}
    assert site.objects() == ROWS


def test_an_address_that_only_this_host_knows_is_refused(site: Site) -> None:
    lives = site.web.lives()
    host = urlsplit(site.server.endpoint_url).hostname or ""
    with Proxy(port_of(site.server), upstream_host=host) as proxy:
        refused = site.web.play("gramps_web_migrate", gramps_web_s3_endpoint_url=proxy.url)
        assert proxy.seen(path=site.bucket)  # this host was answered
    assert refused.code, refused.output
    assert f"From where the application runs {proxy.url} does not answer" in refused.message
    assert "gramps_web_s3_endpoint_url" in refused.message
    assert (site.web.lives(), site.web.compose_file.read_bytes(), site.there()) == (lives, site.file, False)


def test_keys_that_are_refused_are_not_taken_for_a_name(site: Site) -> None:
    refused = site.web.play("gramps_web_migrate", gramps_web_s3_secret_key="another-than-the-family-has")
    assert refused.code, refused.output
    assert "the secret key does not fit the access key" in refused.message
    assert "gramps_web_s3_local_endpoint_url" not in refused.message


def test_where_somebody_else_keeps_the_compose_file_its_settings_are_printed(site: Site, tmp_path: Path) -> None:
    web, lives, before = site.web, site.web.lives(), served(site.web.login())
    elsewhere = tmp_path / "docker-compose.yml"
    shutil.move(web.compose_file, elsewhere)
    printed = web.play("gramps_web_migrate")
    assert printed.code == 0, printed.output
    assert site.objects() == ROWS
    assert (web.lives(), sorted(path.name for path in web.folder.iterdir())) == (lives, [".env"])
    told = printed.output.partition(": Print the settings]")[2]
    block = dict(re.findall(r'"((?:GRAMPSWEB|AWS)_\w+)": "([^"]*)"', told))
    assert block["GRAMPSWEB_MEDIA_BASE_DIR"] == f"s3://{site.bucket}"
    assert (block["AWS_ACCESS_KEY_ID"], block["AWS_SECRET_ACCESS_KEY"]) == ("<access key>", "<secret key>")

    keys = {"AWS_ACCESS_KEY_ID": site.server.access_key, "AWS_SECRET_ACCESS_KEY": site.server.secret_key}
    written = "".join(f'      {name}: "{value}"\n' for name, value in {**block, **keys}.items()).replace("$", "$$")
    elsewhere.write_text(elsewhere.read_text().replace("    environment:\n", f"    environment:\n{written}", 1))
    web.compose("--project-directory", str(web.folder), "-f", str(elsewhere), "up", "-d")
    web.wait(120)
    elsewhere.unlink()  # as in a container of the one who keeps it
    lives = web.lives()
    taken_up = web.play("gramps_web_migrate")
    assert (taken_up.code, taken_up.changed, web.lives()) == (0, 0, lives), taken_up.output
    assert site.all_right(urlsplit(site.server.endpoint_url).netloc) in taken_up.output
    assert served(web.login()) == before


def test_variables_in_an_env_file_stay_there(site: Site) -> None:
    web, env_file = site.web, site.web.folder / "grampsweb.env"
    start, environment, rest = re.split(r"    environment:\n((?:      .*\n)+)", site.file.decode(), maxsplit=1)
    lines = re.findall(r'^      (\w+): "?([^"#\n]*?)"?(?:  #.*)?$', environment, re.MULTILINE)
    env_before = "# of the family\n" + "".join(f"{name}={value}\n" for name, value in lines)
    env_file.write_text(env_before)
    compose_before = f"{start}    env_file: grampsweb.env\n{rest}"
    web.compose_file.write_text(compose_before)
    web.start()
    before = served(web.login())

    done = web.play("gramps_web_migrate")
    assert done.code == 0, done.output
    assert web.compose_file.read_text() == compose_before
    assert env_file.read_text().startswith(env_before)
    assert read(env_file.read_bytes())["AWS_SECRET_ACCESS_KEY"] == site.server.secret_key
    assert site.variables("GRAMPSWEB_MEDIA_BASE_DIR") == {f"s3://{site.bucket}"}
    assert site.variables("AWS_SECRET_ACCESS_KEY") == {site.server.secret_key}
    assert served(web.login()) == before
    assert web.login().file(web.tree.rows[0].handle).redirected_to

    back = web.play("gramps_web_rollback")
    assert back.code == 0, back.output
    assert env_file.read_text() == env_before
    assert site.variables("GRAMPSWEB_MEDIA_BASE_DIR") == {"/app/media"}
    assert served(web.login()) == before


def test_a_container_that_does_not_start_on_s3_goes_back_to_its_disk(site: Site) -> None:
    web, content = site.web, picture("jpeg", 78)
    item = web.login().upload(content, "image/jpeg")
    before = served(web.login())
    mark = web.volume("gramps_users") / "not-on-s3"
    mark.touch()
    try:
        failed = web.play("gramps_web_migrate", gramps_web_health_timeout=30)
    finally:
        mark.unlink()
    assert failed.code, failed.output
    assert failed.message.startswith("Waiting for the front page failed, so the change-over was undone. "), (
        failed.message
    )
    assert "the web container does not stay up, and its log tells why" in failed.message
    assert "The settings of before are in effect and the site answers from its disk again." in failed.message
    assert web.compose_file.read_bytes() == site.file
    assert site.variables("GRAMPSWEB_MEDIA_BASE_DIR") == {"/app/media"}
    assert served(web.login()) == before
    assert web.login().file(item["handle"]).body == content
    web.login().delete(item["handle"])
    (web.media() / item["path"]).unlink()
