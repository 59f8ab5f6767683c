# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""bookwyrm_new on instances that were never started, other releases, and instances that somebody moved by hand."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from ansible_collections.selfhosted.media.plugins.module_utils._dotenv.editing import edit
from ansible_collections.selfhosted.media.plugins.module_utils._s3.settings import bookwyrm, derive
from ansible_collections.selfhosted.media.tests.playbooks import Outcome, StandIn, fetch, standin
from ansible_collections.selfhosted.media.tests.run_module import run_module
from ansible_collections.selfhosted.media.tests.servers import Server

CONNECTORS = (
    "from bookwyrm.models import Connector as C; print(*C.objects.values_list('identifier', 'covers_url'), sep='\\n')"
)

pytestmark = pytest.mark.timeout(900)  # whole playbooks on a busy machine


def objects(server: Server, bucket: str) -> dict[str, Any]:
    """The bucket's objects and when they were written."""
    pages = server.client().get_paginator("list_objects_v2").paginate(Bucket=bucket)
    return {item["Key"]: item["LastModified"] for page in pages for item in page.get("Contents", [])}


def covers(site: StandIn) -> dict[str, str]:
    """covers_url of every connector."""
    lines = re.findall(r"^\('(.*)', '(.*)'\)$", site.manage("shell", "-c", CONNECTORS), re.MULTILINE)
    return dict(lines)


def succeeded(run: Outcome) -> Outcome:
    assert run.code == 0, run.message or run.output[-3000:]
    return run


# -- new --


@pytest.fixture(scope="module")
def empty(ceph: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    folder = tmp_path_factory.mktemp("new") / "bookwyrm"
    with standin(folder, ceph, f"new-{uuid4().hex[:8]}", start=False, empty=True) as site:
        yield site


def test_an_instance_that_was_never_started(empty: StandIn, ceph: Server) -> None:
    bucket = empty.variables["bookwyrm_s3_bucket"]
    env = (empty.folder / ".env").read_bytes()
    succeeded(empty.play("bookwyrm_new", "--check"))
    assert (empty.folder / ".env").read_bytes() == env
    assert bucket not in [item["Name"] for item in ceph.client().list_buckets()["Buckets"]]

    run = succeeded(empty.play("bookwyrm_new"))
    empty.wait()
    assert "0" not in empty.main_pids()
    public = f"{ceph.endpoint_url}/{bucket}"
    assert {fetch(f"{public}/static/css/themes/bookwyrm-{name}.css").status for name in ("light", "dark")} == {200}
    code = next(line for line in empty.manage("admin_code").splitlines() if re.fullmatch(r"[0-9a-f-]{36}", line))
    assert code in run.output
    assert (empty.folder / ".env.before-s3").exists()

    again = succeeded(empty.play("bookwyrm_new"))
    assert again.changed == 0
    assert code in again.output
    assert (empty.folder / ".env").stat().st_mode & 0o777 == 0o600
    # what is uploaded from now on goes to the bucket alone
    name = empty.upload("first.jpg", next((empty.folder / "static").rglob("logo.png"), Path(__file__)).read_bytes())[
        "name"
    ]
    assert f"images/{name}" in objects(ceph, bucket)


def test_instances_that_are_not_new(ceph: Server, tmp_path: Path) -> None:
    bucket = f"used-{uuid4().hex[:8]}"
    with standin(tmp_path / "bookwyrm", ceph, bucket, covers=1) as site:
        env = (site.folder / ".env").read_bytes()
        running = site.play("bookwyrm_new")
        assert running.code == 2 and "runs already" in running.message and "bookwyrm_migrate" in running.message
        site.systemctl("stop", "bookwyrm-scheduler", "bookwyrm-worker", "bookwyrm")
        users = site.play("bookwyrm_new")
        assert users.code == 2 and "has users already" in users.message and "bookwyrm_migrate" in users.message
        assert (site.folder / ".env").read_bytes() == env
        assert bucket not in [item["Name"] for item in ceph.client().list_buckets()["Buckets"]]


# -- other releases --


def test_release_0_7(ceph: Server, tmp_path: Path) -> None:
    """The ACL is written into its code, and USE_HTTPS decides about the scheme of its URLs."""
    bucket = f"old-{uuid4().hex[:8]}"
    with standin(tmp_path / "bookwyrm", ceph, bucket, covers=3, release="0.7.0") as site:
        env, images = (site.folder / ".env").read_bytes(), site.images()
        refused = site.play("bookwyrm_migrate", bookwyrm_s3_public_method="policy")
        assert refused.code == 2 and "Upgrade BookWyrm to 0.8.0" in refused.message, refused.message
        https = site.play("bookwyrm_migrate", bookwyrm_s3_custom_domain="media.books.invalid")
        assert https.code == 2 and "needs USE_HTTPS=true" in https.message, https.message
        assert "https://localhost/ does not" in https.message and "Nothing was changed" in https.message
        assert (site.folder / ".env").read_bytes() == env
        assert bucket not in [item["Name"] for item in ceph.client().list_buckets()["Buckets"]]

        before = covers(site)
        succeeded(site.play("bookwyrm_migrate"))
        public = f"{ceph.endpoint_url}/{bucket}"
        assert {url.partition("/images/")[2] for url in site.images()} == {
            url.partition("/images/")[2] for url in images
        }
        assert all(fetch(url).status == 200 for url in site.images() if url.startswith(public))
        assert covers(site) == before
        assert "AWS_DEFAULT_ACL" not in site.env
        name = site.upload("anew.jpg", b"picture")["name"]
        assert fetch(f"{public}/images/{name}").status == 200


def test_release_of_2021(ceph: Server, tmp_path: Path) -> None:
    """It has a connector of its own. (Its media URLs are https whatever the storage is, so it cannot be moved to a test server.)"""
    bucket = f"ancient-{uuid4().hex[:8]}"
    with standin(tmp_path / "bookwyrm", ceph, bucket, start=False, covers=1, release="0.0.1") as site:
        before = covers(site)
        options = {
            "manage_command": [str(site.folder / "venv" / "bin" / "python"), "manage.py"],
            "chdir": str(site.folder),
            "base_url": "http://localhost",
            "public_url": "https://media.example",
        }
        assert run_module("instance_refresh", options, check=True)["changed"] is False
        done = run_module("instance_refresh", options)
        assert (done["changed"], done["connectors"]) == (True, 1)
        assert {k: v for k, v in covers(site).items() if before[k] != v} == {
            "localhost": "https://media.example/images/"
        }
        assert run_module("instance_refresh", options)["changed"] is False
        assert run_module("instance_refresh", {**options, "storage": "disk"})["connectors"] == 1
        assert covers(site)["localhost"] == "http://localhost/images/"


# -- moved by hand --


def test_an_instance_that_was_moved_by_hand(ceph: Server, tmp_path: Path) -> None:
    bucket, client = f"hand-{uuid4().hex[:8]}", ceph.client()
    host, _colon, port = ceph.endpoint_url.removeprefix("http://").partition(":")
    with standin(tmp_path / "bookwyrm", ceph, bucket, covers=3) as site:
        client.create_bucket(Bucket=bucket)
        media = site.tree()
        names = sorted(name for name in media if "/" in name)
        for name in names[1:]:  # one was forgotten, and one has no type
            client.put_object(
                Bucket=bucket,
                Key=f"images/{name}",
                Body=media[name],
                ACL="public-read",
                CacheControl="max-age=86400",
                ContentType="binary/octet-stream" if name == names[1] else "image/jpeg",
            )
        site.set_env(
            USE_S3="true",
            AWS_ACCESS_KEY_ID=ceph.access_key,
            AWS_SECRET_ACCESS_KEY=ceph.secret_key,
            AWS_STORAGE_BUCKET_NAME=bucket,
            AWS_S3_REGION_NAME="default",
            AWS_S3_ENDPOINT_URL=ceph.endpoint_url,
            HOST_OF_STORAGE=host,
            AWS_S3_CUSTOM_DOMAIN=f'"${{HOST_OF_STORAGE}}:{port}/${{AWS_STORAGE_BUCKET_NAME}}"',
            AWS_S3_URL_PROTOCOL="http:",
            CSP_ADDITIONAL_HOSTS=f"{ceph.endpoint_url}/{bucket}/",
        )
        site.manage("compile_themes")
        site.manage("collectstatic", "--no-input")
        font = "static/fonts/standin.woff2"
        client.copy_object(
            Bucket=bucket,
            Key=font,
            CopySource={"Bucket": bucket, "Key": font},
            MetadataDirective="REPLACE",
            ContentType="application/octet-stream",
            ACL="public-read",
        )
        site.systemctl("restart", "bookwyrm", "bookwyrm-worker", "bookwyrm-scheduler")
        site.wait()
        before = objects(ceph, bucket)
        for name in [name for name in site.variables if name.startswith("bookwyrm_s3_")]:
            del site.variables[name]

        succeeded(site.play("bookwyrm_migrate"))
        after = objects(ceph, bucket)
        written = {key for key, time in after.items() if before.get(key) != time}
        assert {key for key in written if key.startswith("images/")} == {f"images/{name}" for name in names[:2]}
        assert client.head_object(Bucket=bucket, Key=f"images/{names[1]}")["ContentType"].startswith("image/")
        assert client.head_object(Bucket=bucket, Key=font)["ContentType"] == "font/woff2"
        rules = client.get_bucket_cors(Bucket=bucket)["CORSRules"]
        assert f"http://localhost:{site.port}" in rules[0]["AllowedOrigins"]
        assert (site.folder / ".env.before-s3").read_text().count("USE_S3=false") == 1
        assert all(fetch(url).status == 200 for url in site.images())

        assert succeeded(site.play("bookwyrm_migrate")).changed == 0
        assert objects(ceph, bucket) == after


# -- what is derived for AWS works in the application --

LOOK = """
from django.test import Client
page = Client(raise_request_exception=False, headers={"x-forwarded-proto": "https"}).get("/", secure=True)
print("answer:", page.status_code)
print(page.headers.get("Content-Security-Policy"))
print(page.content.decode())
"""


@pytest.mark.parametrize("bucket", ["books-media", "books.with.dots"])
def test_plain_aws(ceph: Server, tmp_path: Path, bucket: str) -> None:
    with standin(tmp_path / "bookwyrm", ceph, bucket, start=False, covers=2, domain="books.example") as site:
        place = derive("aws", bucket, "eu-central-1")
        env = site.folder / ".env"
        keys = {"AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s"}
        env.write_bytes(edit(env.read_bytes(), {**bookwyrm(place, "policy", (0, 9, 2)), **keys}).content)
        status, policy, page = site.manage("shell", "-c", LOOK).partition("answer: ")[2].split("\n", 2)
        assert status == "200"
        assert "None" not in policy + page
        urls = re.findall(r'(?:src|href|srcset)="([^"]+\.[a-z0-9]+)"', page)
        assert urls and all(url.startswith(f"https://{place.domain}/") for url in urls)
        sources = policy.partition("default-src ")[2].partition(";")[0].split()
        allowed = [source for source in sources if source.startswith("https://")]
        # a source with a path must end in a slash, or it allows that one name
        assert any(urls[0].startswith(source if source.count("/") > 2 else source + "/") for source in allowed)
        if "/" in place.domain:
            assert f"https://{place.domain}/" in allowed
