# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real Gramps Web is moved to S3 and back by the playbooks, and looked at through its Web API before and after."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.selfhosted.media.tests.grampsweb import GrampsUnavailable
from ansible_collections.selfhosted.media.tests.grampsweb.api import served
from ansible_collections.selfhosted.media.tests.grampsweb.instance import Instance, instance
from ansible_collections.selfhosted.media.tests.grampsweb.trees import HARMLESS, Plan, picture
from ansible_collections.selfhosted.media.tests.servers import Server
from ansible_collections.selfhosted.media.tests.web_page import read_page


@pytest.fixture
def web(tmp_path: Path, ceph: Server, bucket_name: str, request: pytest.FixtureRequest) -> Iterator[Instance]:
    plans, options = getattr(request, "param", ([Plan("Familie Müller", clean=6, cases=HARMLESS, unlisted=2)], {}))
    try:
        with instance(tmp_path / "web", *plans, server=ceph, bucket=bucket_name, **options) as web:
            web.variables["gramps_web_dir"] = str(web.folder)
            yield web
    except GrampsUnavailable as exc:
        pytest.skip(str(exc))


def objects(server: Server, bucket: str) -> dict[str, tuple[int, str]]:
    s3 = server.client()
    found = {}
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for one in page.get("Contents", []):
            found[one["Key"]] = (one["Size"], s3.head_object(Bucket=bucket, Key=one["Key"])["ContentType"])
    return found


def everything(web: Instance) -> tuple[bytes, dict[str, bytes], list[str], str]:
    """What check mode could change of an instance."""
    pids = web.systemctl("show", "-p", "MainPID", "--value", *web.units)
    media = {str(path): path.read_bytes() for path in web.media_dir.rglob("*") if path.is_file()}
    return web.env_file.read_bytes(), media, sorted(path.name for path in web.folder.iterdir()), pids


def test_there_and_back(web: Instance, ceph: Server, bucket_name: str) -> None:
    """Everything that was served before is served after, from the bucket; and from the disk again, new uploads too."""
    api = web.login()
    before = served(api)
    env_before = web.env_file.read_bytes()
    untouched = everything(web)
    planned = web.play("gramps_web_migrate", "--check", "--diff")
    assert planned.code == 0, planned.output
    assert served(api) == before and everything(web) == untouched
    plan = planned.output.partition(": The plan]")[2].partition("\nTASK ")[0]
    assert "by type: " in plan and "image/jpeg " in plan and "to stop: systemctl stop " in plan
    assert f"bucket {bucket_name}" in plan and "private: the application signs every URL" in plan
    assert f"+GRAMPSWEB_MEDIA_BASE_DIR=s3://{bucket_name}" in plan and "+AWS_SECRET_ACCESS_KEY=********" in plan
    assert bucket_name not in [one["Name"] for one in ceph.client().list_buckets()["Buckets"]]

    done = web.play("gramps_web_migrate")
    assert done.code == 0, done.output
    assert done.output.count("\nTASK [") <= 26  # two screens
    api = web.login()
    assert served(api) == before
    page, told = web.report("migrate")
    assert read_page(page.read_text(encoding="utf-8")).mistakes == []
    assert told["ok"] and told["verification"]["counts"]["verified"] == told["transfer"]["files"] > 0
    assert {step["state"] for step in told["steps"]} == {"ok"} and told["sample"] == []
    assert [probe["state"] for probe in told["probes"]] == ["ok"]
    assert "GRAMPSWEB_MEDIA_BASE_DIR" in told["settings"]
    host = ceph.endpoint_url.split("://")[1]
    for row in web.tree.rows:
        answer = api.file(row.handle)
        assert (answer.redirected_to or "").find(host) >= 0, row
    again = web.play("gramps_web_migrate")
    assert (again.code, again.changed) == (0, 0), again.output

    content = picture("png", 77)
    handle = api.upload(content, "image/png")["handle"]
    assert objects(ceph, bucket_name)[hashlib.md5(content).hexdigest()] == (len(content), "image/png")
    assert api.thumbnail(web.tree.rows[0].handle).status == 200

    back = web.play("gramps_web_rollback")
    assert back.code == 0, back.output
    assert web.env_file.read_bytes() == env_before
    assert web.report("rollback")[1]["counts"][1] == {
        "name": "Objects that only the bucket has",
        "before": 1,
        "after": 0,
    }
    api = web.login()
    after = served(api)
    assert {one: after[one] for one in before} == before
    answer = api.file(handle)
    assert (answer.status, answer.body, answer.redirected_to) == (200, content, None)
    nothing = web.play("gramps_web_rollback")
    assert (nothing.code, nothing.changed) == (0, 0), nothing.output
    assert "nothing to take back" in nothing.output
