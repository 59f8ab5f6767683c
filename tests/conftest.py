# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures that all tests share: real S3 servers, started once per session and only when a test asks for one."""

from __future__ import annotations

import contextlib
import os
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.selfhosted.media.tests.servers import Server, ServerUnavailable
from ansible_collections.selfhosted.media.tests.servers.sshd import SshServer, ssh_server
from hypothesis import settings

# What the administrator of this machine has set for AWS must not reach the tests.
for _name in [name for name in os.environ if name.startswith("AWS_")]:
    del os.environ[_name]
os.environ.update(
    AWS_CONFIG_FILE="/dev/null", AWS_SHARED_CREDENTIALS_FILE="/dev/null", AWS_EC2_METADATA_DISABLED="true"
)


# The same examples in every run: a test that fails by chance proves nothing. HYPOTHESIS_PROFILE=default looks for new ones.
settings.register_profile("repeatable", derandomize=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))


#: Files of tests that take minutes. They begin first: with `--dist=loadfile` one that comes last would keep one worker busy alone.
LONG = (
    *("test_other_dockers", "test_privilege"),
    *("test_gramps_web_docker", "test_bookwyrm_docker", "test_gramps_web_docker_names", "test_provider_bookwyrm"),
    *("test_bookwyrm_kills", "test_bookwyrm_faults", "test_gramps_web_kills", "test_secrets", "test_media_kills"),
    *("test_gramps_web_migrate", "test_bookwyrm_migrate", "test_provider_gramps_web", "test_bookwyrm_return"),
    *(
        "test_s3_policy",
        "test_gramps_web_cases",
        "test_bookwyrm_rollback",
        "test_media_chaos",
        "test_gramps_web_instances",
        "test_fleet",
        "test_foreign_code",
        "test_media_copy",
        "test_media_progress",
        "test_examples",
    ),
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest; the order within a file stays."""
    items.sort(key=lambda item: LONG.index(item.path.stem) if item.path.stem in LONG else len(LONG))


@pytest.fixture(scope="session", autouse=True)
def state_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Notes about unfinished uploads are not written to the home of whoever runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("state")
        patch.setenv("XDG_STATE_HOME", str(folder))
        yield folder


@pytest.fixture(scope="module")
def quick_clients() -> Iterator[None]:
    """botocore reads its description of S3 once, not for each client."""
    import botocore.loaders
    import botocore.session

    with pytest.MonkeyPatch.context() as patch:
        loader = botocore.loaders.create_loader()
        patch.setattr(botocore.session, "create_loader", lambda *_words: loader)
        yield


@contextlib.contextmanager
def _or_skip(server: AbstractContextManager[Server]) -> Iterator[Server]:
    with contextlib.ExitStack() as stack:
        try:
            running = stack.enter_context(server)
        except ServerUnavailable as exc:
            pytest.skip(str(exc))
        yield running


@pytest.fixture(scope="module")
def sshd() -> Iterator[SshServer]:
    """A way to this machine as to any other."""
    with contextlib.ExitStack() as stack:
        try:
            server = stack.enter_context(ssh_server())
        except ServerUnavailable as exc:
            pytest.skip(str(exc))
        yield server


@pytest.fixture(scope="session")
def ceph() -> Iterator[Server]:
    """A Ceph gateway: the truth about ACL, policy and CORS. Its second account is `tests.servers.ceph.STRANGER`."""
    from ansible_collections.selfhosted.media.tests.servers import ceph as module

    with _or_skip(module.ceph()) as server:
        yield server


@pytest.fixture(scope="session")
def moto_server() -> Iterator[Server]:
    from ansible_collections.selfhosted.media.tests.servers import moto as module

    with _or_skip(module.moto_server()) as server:
        yield server


@pytest.fixture(scope="session")
def rclone_server() -> Iterator[Server]:
    from ansible_collections.selfhosted.media.tests.servers import rclone as module

    with _or_skip(module.rclone_server()) as server:
        yield server


@pytest.fixture(scope="session", params=["ceph", "moto_server", "rclone_server"])
def any_server(request: pytest.FixtureRequest) -> Server:
    """Each of the servers in turn."""
    server: Server = request.getfixturevalue(request.param)
    return server


@pytest.fixture
def bucket_name() -> str:
    """A name that no other test uses."""
    return f"media-{uuid.uuid4().hex[:12]}"


def _empty_and_delete(client: Any, name: str) -> None:
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=name)
    for item in (item for page in pages for item in page.get("Contents", [])):
        client.delete_object(Bucket=name, Key=item["Key"])
    client.delete_bucket(Bucket=name)


@contextlib.contextmanager
def _bucket(server: Server, name: str) -> Iterator[str]:
    client = server.client()
    client.create_bucket(Bucket=name)
    try:
        yield name
    finally:
        with contextlib.suppress(client.exceptions.ClientError):
            _empty_and_delete(client, name)


@pytest.fixture
def ceph_bucket(ceph: Server, bucket_name: str) -> Iterator[str]:
    """A new private bucket on Ceph."""
    with _bucket(ceph, bucket_name) as name:
        yield name


@pytest.fixture(params=["ceph", "moto_server", "rclone_server"])
def s3(request: pytest.FixtureRequest, bucket_name: str) -> Iterator[tuple[Server, str]]:
    """Each of the servers in turn, with a new bucket on it."""
    server: Server = request.getfixturevalue(request.param)
    with _bucket(server, bucket_name) as name:
        yield server, name


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a file system of 256 KiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "none", str(folder)], check=False, capture_output=True, text=True
    )
    if mount.returncode:
        pytest.skip(f"no file system of a fixed size can be mounted here: {mount.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)
