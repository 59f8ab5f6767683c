# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""bookwyrm_rollback on a stand-in that has been on S3 for a while: everything comes back, and it can be moved again."""

from __future__ import annotations

import os
import time
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from ansible_collections.selfhosted.media.plugins.module_utils._dotenv.reading import read
from ansible_collections.selfhosted.media.plugins.module_utils._instance.lock import instance_lock
from ansible_collections.selfhosted.media.tests.playbooks import (
    Outcome,
    StandIn,
    Visitors,
    fetch,
    in_background,
    standin,
)
from ansible_collections.selfhosted.media.tests.servers import Server

pytestmark = pytest.mark.timeout(900)  # whole playbooks on a busy machine
PREVIEW = "previews/covers/1.jpg"


@dataclass
class TakenBack:
    """An instance that was moved, used, and taken back."""

    site: StandIn
    server: Server
    bucket: str
    env_before: bytes
    never: Outcome
    visitors: Visitors
    files: dict[str, bytes]  # as the change-over left them
    check: Outcome
    untouched: dict[str, Any]
    objects: dict[str, bytes]
    run: Outcome


def objects(server: Server, bucket: str, prefix: str = "images/") -> dict[str, bytes]:
    """The contents of the media in the bucket, by name."""
    client = server.client()
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    keys = [item["Key"] for page in pages for item in page.get("Contents", [])]
    return {key[len(prefix) :]: client.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys}


def state(site: StandIn) -> dict[str, Any]:
    """Everything that check mode could change."""
    return {
        "tree": site.tree(),
        "env": (site.folder / ".env").read_bytes(),
        "names": sorted(path.name for path in site.folder.iterdir()),
        "processes": site.main_pids(),
    }


def leftovers(folder: Path) -> list[str]:
    """What a change-over or a way back may leave beside the settings."""
    return sorted(path.name for path in folder.glob(".env.*") if path.name != ".env.example")


def write(server: Server, bucket: str, name: str, content: bytes) -> None:
    """Write an object as the application does."""
    server.client().put_object(Bucket=bucket, Key=f"images/{name}", Body=content, ACL="public-read")


@pytest.fixture(scope="module")
def taken_back(ceph: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TakenBack]:
    bucket = f"back-{uuid4().hex[:8]}"
    with standin(tmp_path_factory.mktemp("rollback") / "bookwyrm", ceph, bucket, covers=6) as site:
        env = (site.folder / ".env").read_bytes()
        nothing = dict.fromkeys(("bookwyrm_s3_bucket", "bookwyrm_s3_access_key", "bookwyrm_s3_secret_key"), "")
        never = site.play("bookwyrm_rollback", **nothing)
        picture = min(content for name, content in site.tree().items() if name.startswith("covers/"))
        moved = site.play("bookwyrm_migrate")
        assert moved.code == 0, moved.message
        files, media = site.tree(), site.folder / "images"
        early = Visitors(site, picture)
        early()
        # drawn anew by the application, as long as before
        write(ceph, bucket, PREVIEW, bytes(reversed(files[PREVIEW])))
        deleted, kept, used = sorted(name for name in files if name.startswith("covers/"))[:3]
        site.delete(deleted)
        # somebody has tidied up, and put something newer on the disk, all of it by hand
        removed = [name for name in files if name.startswith(f"thumbnails/{used.rpartition('.')[0]}/")]
        (media / removed[0]).unlink()
        later = time.time() + 5
        (media / kept).write_bytes(b"put there by hand")
        os.utime(media / kept, (later, later))
        site.set_env(EMAIL_HOST_PASSWORD="changed-since")
        site.systemctl("stop", "bookwyrm-scheduler", "bookwyrm-worker", "bookwyrm")
        site.systemctl("start", "bookwyrm", "bookwyrm-worker", "bookwyrm-scheduler")
        site.wait()
        media.chmod(0o2750)
        before = state(site)
        check = site.play("bookwyrm_rollback", "--check")
        untouched = {name: (value, state(site)[name]) for name, value in before.items()}
        visitors = Visitors(site, picture, dict(early.accepted), list(early.thumbnails))
        with in_background(visitors):
            run = site.play("bookwyrm_rollback")
        yield TakenBack(
            site, ceph, bucket, env, never, visitors, {**files, kept: b"put there by hand"}, check, untouched,
            objects(ceph, bucket), run,
        )  # fmt: skip


def test_there_is_nothing_to_take_back_from_an_instance_on_its_disk(taken_back: TakenBack) -> None:
    assert (taken_back.never.code, taken_back.never.changed) == (0, 0), taken_back.never.message
    assert "There is nothing to take back" in taken_back.never.output


def test_check_mode_counts_and_changes_nothing(taken_back: TakenBack) -> None:
    assert taken_back.check.code == 0, taken_back.check.message
    assert "objects to bring back" in taken_back.check.output
    assert all(before == after for before, after in taken_back.untouched.values())


def test_every_object_is_on_the_disk(taken_back: TakenBack) -> None:
    assert taken_back.run.code == 0, taken_back.run.message
    now = taken_back.site.tree()
    by_hand = {name for name, content in taken_back.files.items() if content == b"put there by hand"}
    for name, content in taken_back.objects.items():
        if name in by_hand:
            assert now[name] == b"put there by hand"
            assert name in taken_back.run.output
        else:
            assert now.get(name) == content, name
    assert now[PREVIEW] == bytes(reversed(taken_back.files[PREVIEW]))
    assert "1 files kept because they are newer" in taken_back.run.output


def test_nothing_that_was_on_the_disk_is_lost(taken_back: TakenBack) -> None:
    now = taken_back.site.tree()
    changed = {PREVIEW, *taken_back.objects}
    assert all(now.get(name) == content for name, content in taken_back.files.items() if name not in changed)
    assert set(taken_back.files) <= set(now)


def test_no_upload_is_lost(taken_back: TakenBack) -> None:
    accepted = taken_back.visitors.accepted
    assert any(name in taken_back.objects for name in accepted), "no upload met the bucket"
    assert any(name not in taken_back.objects for name in accepted), "no upload met the disk"
    for name, content in accepted.items():
        answer = fetch(taken_back.site.absolute(f"/images/{urllib.parse.quote(name)}"))
        assert (answer.status, answer.body == content) == (200, True), name


def test_files_have_the_folders_owner_and_mode(taken_back: TakenBack) -> None:
    media = taken_back.site.folder / "images"
    for name in set(taken_back.objects) - set(taken_back.files):
        path = media / name
        assert path.stat().st_mode & 0o777 == 0o640, name
        assert path.stat().st_uid == media.stat().st_uid
    assert not [path for path in media.rglob("*") if "selfhosted-media" in path.name]


def test_the_page_is_served_from_the_disk(taken_back: TakenBack) -> None:
    site = taken_back.site
    assert site.images() and all(url.startswith("/images/") for url in site.images())
    for url in site.statics():
        assert fetch(url).status == 200
        assert taken_back.bucket not in url
    assert taken_back.server.endpoint_url not in site.page()


def test_the_settings_are_those_of_before_and_what_was_changed_since(taken_back: TakenBack) -> None:
    path = taken_back.site.folder / ".env"
    now, before = path.read_bytes(), taken_back.env_before
    assert read(now) == {**read(before), "EMAIL_HOST_PASSWORD": "changed-since"}
    others = [{line for line in env.splitlines() if b"EMAIL_HOST_PASSWORD" not in line} for env in (now, before)]
    assert others[0] == others[1]
    assert leftovers(path.parent) == []


# From here on the order counts: each test plays on the instance that the ones before it left.


def test_it_can_be_moved_again_and_a_failing_way_back_ends_on_s3(taken_back: TakenBack) -> None:
    site = taken_back.site
    moved = site.play("bookwyrm_migrate")
    assert moved.code == 0, moved.message
    before, kept = (site.folder / ".env").read_bytes(), (site.folder / ".env.before-s3").read_bytes()
    media = site.folder / "images" / "covers" / "on_disk.jpg"
    ready = "systemctl start bookwyrm bookwyrm-worker bookwyrm-scheduler; if grep -q ^USE_S3=true .env; then exit 0; fi"
    # the services run on the disk for a moment, somebody uploads, then the start turns out to have failed
    start = f"{ready}; echo meanwhile > {media}; echo the unit is masked >&2; exit 7"
    run = site.play("bookwyrm_rollback", bookwyrm_start_command=start)
    assert run.code == 2
    for part in ("Starting the services failed", "the rollback was undone", "the unit is masked", "from S3 again"):
        assert part in run.message, run.message
    assert (site.folder / ".env").read_bytes() == before
    assert (site.folder / ".env.before-s3").read_bytes() == kept
    assert not (site.folder / ".env.before-rollback").exists()
    assert objects(taken_back.server, taken_back.bucket)["covers/on_disk.jpg"] == b"meanwhile\n"
    assert all(url.startswith("http") for url in site.images())


def test_a_way_back_that_is_cut_off_is_completed(taken_back: TakenBack) -> None:
    site, folder = taken_back.site, taken_back.site.folder
    # as a power failure leaves it: the settings are written, the services stand
    site.systemctl("stop", "bookwyrm-scheduler", "bookwyrm-worker", "bookwyrm")
    (folder / ".env.before-rollback").write_bytes((folder / ".env").read_bytes())
    (folder / ".env").write_bytes((folder / ".env.before-s3").read_bytes())
    write(taken_back.server, taken_back.bucket, "covers/late.jpg", b"late")
    given = dict.fromkeys(("bookwyrm_s3_bucket", "bookwyrm_s3_access_key", "bookwyrm_s3_secret_key"), "")
    run = site.play("bookwyrm_rollback", bookwyrm_manage_command="echo no database >&2; exit 4; echo", **given)
    assert run.code == 2
    assert "no database" in run.message and "runs on its disk and nothing was undone" in run.message
    assert (folder / "images" / "covers" / "late.jpg").read_bytes() == b"late"
    assert leftovers(folder) == [".env.before-rollback", ".env.before-s3"]
    processes = site.main_pids()
    run = site.play("bookwyrm_rollback", **given)
    assert run.code == 0, run.message
    assert site.main_pids() == processes  # only the end was missing
    assert leftovers(folder) == []
    assert all(url.startswith("/images/") for url in site.images())
    again = site.play("bookwyrm_rollback")
    assert (again.code, again.changed) == (0, 0)


def test_a_disk_without_room_and_another_run_are_told_before_anything_is_changed(
    taken_back: TakenBack, small_disk: Path, ceph: Server
) -> None:
    site = taken_back.site
    moved = site.play("bookwyrm_migrate")
    assert moved.code == 0, moved.message
    before = state(site)
    with instance_lock(str(site.folder), "copying media"):
        run = site.play("bookwyrm_rollback")
    assert f"copying media, process {os.getpid()}, since 20" in run.message
    assert state(site) == before
    run = site.play("bookwyrm_rollback", bookwyrm_media_dir=str(small_disk))
    assert run.code == 2
    assert "more free. Nothing was changed" in run.message and str(small_disk) in run.message
    assert state(site) == before
    assert not list(small_disk.iterdir())
