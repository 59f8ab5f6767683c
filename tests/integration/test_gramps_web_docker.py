# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real Gramps Web in containers is moved to S3 and back, with both anchor forms of its documentation and both composes.

Where no daemon can run, or Gramps Web is not to be had, the tests are skipped with the reason.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.selfhosted.media.tests.docker import projects
from ansible_collections.selfhosted.media.tests.docker.projects import Docker
from ansible_collections.selfhosted.media.tests.grampsweb import GrampsUnavailable
from ansible_collections.selfhosted.media.tests.grampsweb.api import served
from ansible_collections.selfhosted.media.tests.grampsweb.docker import project
from ansible_collections.selfhosted.media.tests.grampsweb.trees import HARMLESS, Plan, picture
from ansible_collections.selfhosted.media.tests.servers import Server, ServerUnavailable
from ansible_collections.selfhosted.media.tests.servers.ceph import ceph

pytestmark = pytest.mark.timeout(1200)  # a shared fixture counts for the test that asks first


@pytest.fixture(scope="module")
def docker() -> Iterator[Docker]:
    with contextlib.ExitStack() as stack:
        try:
            yield stack.enter_context(projects.docker())
        except projects.DockerUnavailable as exc:
            pytest.skip(str(exc))


@pytest.fixture(scope="module")
def server(docker: Docker) -> Iterator[Server]:
    """Ceph where containers and this machine reach it by the same URL, with keys that nothing else here has."""
    with contextlib.ExitStack() as stack:
        try:
            gateway = ceph("docker-key", "s3cret-of-the-family-tests", address=docker.address)
            yield stack.enter_context(gateway)
        except ServerUnavailable as exc:
            pytest.skip(str(exc))


@pytest.mark.parametrize(("form", "compose", "multi"), [("environment", "v2", False), ("service", "v1", True)])
def test_there_and_back(
    docker: Docker, server: Server, bucket_name: str, tmp_path: Path, form: str, compose: str, multi: bool
) -> None:
    plans = [Plan("Familie Müller", clean=4, cases=HARMLESS, unlisted=1)] + ([Plan("Zweite", clean=2)] if multi else [])
    options: dict[str, Any] = {
        "form": form,
        "compose": compose,
        "multi": multi,
        "server": server,
        "bucket": bucket_name,
    }
    with contextlib.ExitStack() as stack:
        try:
            web = stack.enter_context(project(docker, tmp_path / "web", *plans, **options))
        except GrampsUnavailable as exc:
            pytest.skip(str(exc))
        web.variables["gramps_web_dir"] = str(web.folder)
        before = [served(web.login(tree)) for tree in web.trees]
        file_before = web.compose_file.read_bytes()

        done = web.play("gramps_web_migrate")
        assert done.code == 0, done.output
        web.wait(60)
        assert [served(web.login(tree)) for tree in web.trees] == before
        assert web.login().file(web.tree.rows[0].handle).redirected_to
        for service in ("grampsweb", "grampsweb_celery"):
            variables = web.variables_of(service)
            assert variables["GRAMPSWEB_MEDIA_BASE_DIR"] == f"s3://{bucket_name}", service
            assert variables["AWS_SECRET_ACCESS_KEY"] == server.secret_key, service
        written = web.compose_file.read_text()
        assert written.count("GRAMPSWEB_MEDIA_BASE_DIR") == 1  # the other service has it by the anchor
        lines = iter(written.splitlines())
        assert all(line in lines for line in file_before.decode().splitlines())  # nothing else was touched
        again = web.play("gramps_web_migrate")
        assert (again.code, again.changed) == (0, 0), again.output

        content = picture("jpeg", 78)
        handle = web.login().upload(content, "image/jpeg")["handle"]
        key = (f"{web.tree.id}/" if multi else "") + hashlib.md5(content).hexdigest()
        assert server.client().head_object(Bucket=bucket_name, Key=key)["ContentLength"] == len(content)

        back = web.play("gramps_web_rollback")
        assert back.code == 0, back.output
        web.wait(60)
        assert web.compose_file.read_bytes() == file_before
        assert web.variables_of("grampsweb_celery")["GRAMPSWEB_MEDIA_BASE_DIR"] == "/app/media"
        after = [served(web.login(tree)) for tree in web.trees]
        assert [{one: now[one] for one in then} for now, then in zip(after, before)] == before
        assert web.login().file(handle).body == content
