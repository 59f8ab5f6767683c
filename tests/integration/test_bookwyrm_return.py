# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a rollback does to the media, without an instance around it: strange buckets, strange disks, on real servers."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._instance.change import check_untouched
from ansible_collections.selfhosted.media.plugins.module_utils._instance.rollback import DownloadedMedia
from ansible_collections.selfhosted.media.plugins.module_utils._objects.explicit import access_to
from ansible_collections.selfhosted.media.plugins.module_utils._s3.client import Connection
from ansible_collections.selfhosted.media.plugins.module_utils._sync.job import Job
from ansible_collections.selfhosted.media.plugins.module_utils._sync.keys import Chooser
from ansible_collections.selfhosted.media.plugins.module_utils._sync.walk import Tree
from ansible_collections.selfhosted.media.tests.servers import Server

S3 = tuple[Server, str]


def media_of(s3: S3, folder: Path, since: float = 0) -> DownloadedMedia:
    server, bucket = s3
    access = access_to(Connection(**server.options), bucket)
    job = Job(access, Tree(os.fsencode(folder), b"images/"), upload=False, restore_since=since)
    return DownloadedMedia(job, Chooser(["*/*"], []))


def put(s3: S3, key: str, body: bytes = b"x") -> None:
    server, bucket = s3
    server.client().put_object(Bucket=bucket, Key=key, Body=body)


def files_in(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    return folder


def bring_all(media: DownloadedMedia) -> Any:
    media.check_room()
    media.bring()
    media.bring()
    return media.account


def test_everything_comes_back_and_a_second_time_nothing(s3: S3, disk: Path) -> None:
    names = ["covers/a b.jpg", "covers/é.jpg", "thumbnails/covers/x/1.webp", "archive.tar.gz", "covers/100% +?.jpg"]
    for name in names:
        put(s3, f"images/{name}", name.encode())
    put(s3, "static/css/x.css")
    assert bring_all(media_of(s3, disk))["downloaded"] == len(names)
    assert files_in(disk) == {name: name.encode() for name in names}
    assert bring_all(media_of(s3, disk))["downloaded"] == 0


def test_folders_made_by_a_console_do_not_stand_in_the_way(ceph: Server, ceph_bucket: str, disk: Path) -> None:
    s3 = (ceph, ceph_bucket)
    for key in ("images/", "images/covers/", "images/empty/"):
        put(s3, key, b"")
    put(s3, "images/covers/a.jpg")
    assert bring_all(media_of(s3, disk))["downloaded"] == 1
    assert files_in(disk) == {"covers/a.jpg": b"x"}


def test_what_cannot_be_a_file_is_told_before_anything_is_changed(ceph: Server, ceph_bucket: str, disk: Path) -> None:
    s3 = (ceph, ceph_bucket)
    put(s3, "images/covers/../../../escaped.jpg")
    put(s3, "images/covers/a.jpg")
    with pytest.raises(MediaError, match=r"1 object cannot become a file.*escaped\.jpg.*Nothing was changed"):
        media_of(s3, disk).check_room()
    assert files_in(disk) == {}


def test_settings_that_somebody_changes_meanwhile_are_not_overwritten(tmp_path: Path) -> None:
    env = tmp_path / ".env"
    env.write_bytes(b"USE_S3=true\n")
    check_untouched(str(env), b"USE_S3=true\n")
    env.write_bytes(b"USE_S3=true\nDEBUG=true\n")
    with pytest.raises(MediaError, match=r"changed by somebody else meanwhile; nothing was changed"):
        check_untouched(str(env), b"USE_S3=true\n")


def test_what_was_put_on_the_disk_meanwhile_and_is_newer_stays(s3: S3, disk: Path) -> None:
    put(s3, "images/covers/a.jpg", b"of the bucket")
    (disk / "covers").mkdir()
    (disk / "covers" / "a.jpg").write_bytes(b"newer")
    future = 4_000_000_000
    os.utime(disk / "covers" / "a.jpg", (future, future))
    media = media_of(s3, disk)
    bring_all(media)
    assert media.last["conflicts"] == 1
    assert files_in(disk) == {"covers/a.jpg": b"newer"}


def test_a_failing_rollback_publishes_no_private_archive(s3: S3, disk: Path) -> None:
    server, bucket = s3
    media = media_of(s3, disk)
    (disk / "covers").mkdir()
    (disk / "covers" / "new.jpg").write_bytes(b"uploaded meanwhile")
    (disk / "export.tar.gz").write_bytes(b"private")
    media.take_back(0)
    listed = server.client().list_objects_v2(Bucket=bucket).get("Contents", [])
    assert [item["Key"] for item in listed] == ["images/covers/new.jpg"]


def test_a_disk_that_fills_up_loses_nothing(ceph: Server, ceph_bucket: str, small_disk: Path) -> None:
    s3 = (ceph, ceph_bucket)
    put(s3, "images/covers/a.jpg", os.urandom(100_000))
    media = media_of(s3, small_disk)
    media.check_room()
    (small_disk / "somebody.else").write_bytes(os.urandom(200_000))
    with pytest.raises(MediaError, match=r"1 file could not be brought back.*No space left on device"):
        media.bring()
    assert [path.name for path in small_disk.rglob("*") if path.is_file()] == ["somebody.else"]
