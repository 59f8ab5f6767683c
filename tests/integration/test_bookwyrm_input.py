# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""bookwyrm_migrate on what cannot be migrated: each input gets a sentence of its own, and nothing is changed."""

from __future__ import annotations

import http.server
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from ansible_collections.selfhosted.media.tests.matrix.environments import interpreter
from ansible_collections.selfhosted.media.tests.playbooks import StandIn, standin
from ansible_collections.selfhosted.media.tests.run_module import run_ansible
from ansible_collections.selfhosted.media.tests.servers import Server, free_port
from ansible_collections.selfhosted.media.tests.servers.ceph import STRANGER

pytestmark = pytest.mark.timeout(900)  # whole playbooks on a busy machine


@pytest.fixture(scope="module")
def site(ceph: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    with standin(tmp_path_factory.mktemp("input") / "bookwyrm", ceph, f"input-{uuid4().hex[:8]}", covers=3) as made:
        yield made


@contextmanager
def nothing_changes(site: StandIn, ceph: Server) -> Iterator[None]:
    """The instance and the server are the same afterwards."""

    def look() -> Any:
        env = site.folder / ".env"
        content = env.read_bytes() if env.is_file() else None
        return content, sorted(path.name for path in site.folder.iterdir()), site.main_pids(), buckets(ceph)

    before = look()
    yield
    assert look() == before


def buckets(server: Server) -> list[str]:
    return [bucket["Name"] for bucket in server.client().list_buckets()["Buckets"]]


def refused(site: StandIn, ceph: Server, *parts: str, **variables: Any) -> None:
    """The run fails with one paragraph, or a checklist, that holds all this, and nothing is changed."""
    with nothing_changes(site, ceph):
        run = site.play("bookwyrm_migrate", **variables)
    assert run.code == 2, run.output[-3000:]
    assert "\n" not in run.message.strip().replace("\n- ", " "), run.message
    for part in parts:
        assert part in run.message, run.message


@contextmanager
def env_of(site: StandIn, **values: Any) -> Iterator[None]:
    """The instance with other settings in its file for a moment."""
    path = site.folder / ".env"
    content, times = path.read_bytes(), path.stat()
    site.set_env(**values)
    try:
        yield
    finally:
        path.write_bytes(content)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def test_no_env(site: StandIn, ceph: Server) -> None:
    path = site.folder / ".env"
    path.rename(path.with_name("elsewhere"))
    try:
        refused(site, ceph, f"{path} does not exist", "bookwyrm_dir")
    finally:
        path.with_name("elsewhere").rename(path)


def test_settings_that_say_too_little_or_something_else(site: StandIn, ceph: Server) -> None:
    with env_of(site, DOMAIN=None):
        refused(site, ceph, "sets no DOMAIN")
    with env_of(site, USE_AZURE="true"):
        refused(site, ceph, "USE_AZURE=true", "Azure Blob Storage")
    site.marks.append("secret-of-mine")
    try:
        with env_of(site, AWS_S3_CUSTOM_DOMAIN="me:secret-of-mine@media.example"):
            refused(site, ceph, "AWS_S3_CUSTOM_DOMAIN has a user or a password in it", "write media.example")
    finally:
        site.marks.remove("secret-of-mine")


def test_another_folder(site: StandIn, ceph: Server, tmp_path: Path) -> None:
    refused(site, ceph, f"runs in {site.folder}, not in {tmp_path}", bookwyrm_dir=str(tmp_path))


@pytest.mark.parametrize("secret", ["half a\nsecret-of-mine", "it's $HOME secret-of-mine"])
def test_a_value_that_no_env_holds(site: StandIn, ceph: Server, secret: str) -> None:
    site.marks.append("secret-of-mine")
    try:
        refused(site, ceph, "AWS_SECRET_ACCESS_KEY", bookwyrm_s3_secret_key=secret)
    finally:
        site.marks.remove("secret-of-mine")


def test_keys(site: StandIn, ceph: Server) -> None:
    refused(site, ceph, "credentials", "the secret key does not fit", bookwyrm_s3_secret_key="wrong-and-long-enough")
    refused(site, ceph, "go together", bookwyrm_s3_secret_key="")


def test_a_bucket_of_somebody_else(site: StandIn, ceph: Server) -> None:
    name = f"theirs-{uuid4().hex[:8]}"
    client = ceph.as_user(*STRANGER).client()
    client.create_bucket(Bucket=name)
    try:
        refused(site, ceph, name, bookwyrm_s3_bucket=name)
        assert "Contents" not in client.list_objects_v2(Bucket=name)
    finally:
        client.delete_bucket(Bucket=name)


def test_endpoints_that_are_none(site: StandIn, ceph: Server) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    refused(site, ceph, "endpoint", nowhere, "check endpoint_url", bookwyrm_s3_endpoint_url=nowhere)

    class Hello(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<h1>It works!</h1>")

        def log_message(self, *_args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hello)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        url = f"http://127.0.0.1:{server.server_port}"
        refused(site, ceph, "endpoint", "not an S3 service", "check endpoint_url", bookwyrm_s3_endpoint_url=url)
    finally:
        server.shutdown()


def test_media_that_are_not_there(site: StandIn, ceph: Server, tmp_path: Path) -> None:
    missing = str(tmp_path / "gone")
    refused(site, ceph, missing, "does not exist", bookwyrm_media_dir=missing)
    (tmp_path / ".gitkeep").touch()
    (tmp_path / "archive.tar.gz").touch()
    refused(site, ceph, f"There are no media below {tmp_path}", "bookwyrm_media_dir", bookwyrm_media_dir=str(tmp_path))


def test_a_target_without_boto3_or_with_one_that_is_too_old(site: StandIn, ceph: Server, tmp_path: Path) -> None:
    subprocess.run(["/usr/bin/python3", "-m", "venv", "--without-pip", str(tmp_path / "bare")], check=True)
    python = str(tmp_path / "bare" / "bin" / "python")
    advice = ("Install the package python3-boto3 (Alpine: py3-boto3)", "bookwyrm_install_dependencies: true", python)
    refused(site, ceph, "where it is not installed.", *advice, ansible_python_interpreter=python)
    packages = next((tmp_path / "bare" / "lib").glob("python3.*")) / "site-packages"
    for name, version in (("boto3", "1.19.12"), ("botocore", "1.22.12")):
        (packages / name).mkdir()
        (packages / name / "__init__.py").touch()
        (packages / f"{name}-{version}.dist-info").mkdir()
        (packages / f"{name}-{version}.dist-info" / "METADATA").write_text(f"Name: {name}\nVersion: {version}\n")
    found = "where it is too old (boto3 1.19.12, botocore 1.22.12)."
    refused(site, ceph, found, *advice, ansible_python_interpreter=python)
    alone = run_ansible("s3_cors", {"bucket": "books", "rules": []}, "-e", f"ansible_python_interpreter={python}")
    assert "boto3 is too old (boto3 1.19.12, botocore 1.22.12)" in alone["msg"] and "py3-boto3" in alone["msg"]


@pytest.mark.parametrize(
    "version", ["3.8", "3.6"]
)  # one that ansible-core still sends modules to, and one that it does not
def test_a_target_whose_python_is_too_old(site: StandIn, ceph: Server, version: str) -> None:
    python, why = interpreter(version)
    if python is None:
        pytest.skip(why)
    parts = (f"Python {version}.", str(python), "need Python 3.9 or newer", "set ansible_python_interpreter")
    refused(site, ceph, *parts, ansible_python_interpreter=str(python))
