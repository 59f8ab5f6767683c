# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A new Gramps Web on S3, the media of a desktop's tree in its bucket, and its disk freed: by the playbooks, on the real one."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.selfhosted.media.tests.grampsweb import GrampsUnavailable
from ansible_collections.selfhosted.media.tests.grampsweb.addon import addon_objects
from ansible_collections.selfhosted.media.tests.grampsweb.api import served
from ansible_collections.selfhosted.media.tests.grampsweb.instance import Instance, instance
from ansible_collections.selfhosted.media.tests.grampsweb.trees import Places, Plan, make_databases, md5, picture
from ansible_collections.selfhosted.media.tests.servers import Server


@pytest.fixture
def web(tmp_path: Path, ceph: Server, bucket_name: str, request: pytest.FixtureRequest) -> Iterator[Instance]:
    try:
        with instance(
            tmp_path / "web", Plan("Familie", clean=6), server=ceph, bucket=bucket_name, start=request.param
        ) as web:
            web.variables["gramps_web_dir"] = str(web.folder)
            yield web
    except GrampsUnavailable as exc:
        pytest.skip(str(exc))


@pytest.mark.parametrize("web", [False], indirect=True)
def test_a_new_instance_and_a_desktops_tree(web: Instance, ceph: Server, bucket_name: str, tmp_path: Path) -> None:
    """Its tree is made by its first start; the desktop's media are there before."""
    refused = web.play("gramps_web_new")
    assert "has family trees already, with its media on the disk" in refused.message
    shutil.rmtree(web.grampsdb)
    shutil.rmtree(web.media_dir)
    web.media_dir.mkdir()
    home = tmp_path / "home"
    desktop = Plan("My Family Tree", clean=4, id="d1", media_path=str(home / "Pictures")).tree(
        Places(str(home / "Pictures"), str(home / "elsewhere"))
    )
    desktop.write_media(home / "Pictures", home / "elsewhere")
    make_databases(home / ".local/share/gramps/grampsdb", [desktop])
    web.environment["HOME"] = str(home)

    checked = web.play("gramps_web_new", "--check", gramps_web_desktop_tree="My Family Tree")
    assert checked.code == 0, checked.output
    assert not web.ready()
    done = web.play("gramps_web_new", gramps_web_desktop_tree="My Family Tree")
    assert done.code == 0, done.output
    assert "My Family Tree: 4 media objects, 4 files uploaded, 4 verified in the bucket" in done.output
    assert web.ready()
    pages = ceph.client().list_objects_v2(Bucket=bucket_name)["Contents"]
    assert {one["Key"]: one["Size"] for one in pages} == {
        key: expected.size for key, expected in addon_objects(desktop).items()
    }
    assert web.env["GRAMPSWEB_MEDIA_BASE_DIR"] == f"s3://{bucket_name}"


@pytest.mark.parametrize("web", [True], indirect=True)
def test_the_disk_is_freed_of_what_is_proven(web: Instance, ceph: Server, bucket_name: str) -> None:
    early = web.play("gramps_web_cleanup")
    assert "on its disk, and that is where it needs them" in early.message
    (web.media_dir / "notes.txt").write_text("in no family tree")
    assert web.play("gramps_web_migrate", gramps_web_s3_prefix="family/").code == 0
    web.variables["gramps_web_s3_prefix"] = "family"
    before = served(web.login())
    damaged = web.tree.rows[0]
    ceph.client().put_object(Bucket=bucket_name, Key=f"family/{damaged.checksum}", Body=b"another")
    files = {path for path in web.media_dir.rglob("*") if path.is_file()}

    asked = web.play("gramps_web_cleanup", gramps_web_sample=0)
    assert "5 files" in asked.message and f"gramps_web_cleanup_confirm={bucket_name}" in asked.message
    assert {path for path in web.media_dir.rglob("*") if path.is_file()} == files
    done = web.play("gramps_web_cleanup", gramps_web_cleanup_confirm=bucket_name, gramps_web_sample=0)
    assert done.code == 0, done.output
    left = {str(path.relative_to(web.media_dir)) for path in web.media_dir.rglob("*") if path.is_file()}
    assert left == {damaged.path, "notes.txt"}
    assert "1 that no family tree names" in done.output and "1 other than their objects" in done.output

    # What the disk still has mends what is damaged, and everything comes back.
    assert web.play("gramps_web_migrate").code == 0
    assert served(web.login()) == before
    handle = web.login().upload(picture("png", 91), "image/png")["handle"]
    assert web.play("verify").code == 0
    back = web.play("gramps_web_rollback")
    assert back.code == 0, back.output
    after = served(web.login())
    assert {one: after[one] for one in before} == before
    assert after[handle].status == 200
    for row in web.tree.rows:
        assert md5((web.media_dir / row.path).read_bytes()) == row.checksum
