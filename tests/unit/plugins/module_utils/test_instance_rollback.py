# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a rollback makes of the settings, and how it sees whether there is room."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible_collections.selfhosted.media.plugins.module_utils._dotenv.editing import edit
from ansible_collections.selfhosted.media.plugins.module_utils._dotenv.reading import read
from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._instance import rollback as module
from ansible_collections.selfhosted.media.plugins.module_utils._instance.bookwyrm import SECRET, WRITTEN
from ansible_collections.selfhosted.media.plugins.module_utils._instance.rollback import (
    DownloadedMedia,
    RestoredSettings,
    moment_of_change,
    settings_of_before,
)
from ansible_collections.selfhosted.media.plugins.module_utils._objects.address import Address
from ansible_collections.selfhosted.media.plugins.module_utils._sync.account import Account
from ansible_collections.selfhosted.media.plugins.module_utils._sync.job import Job
from ansible_collections.selfhosted.media.plugins.module_utils._sync.walk import Tree
from ansible_collections.selfhosted.media.tests.stub import FixedAccess

NAMES = (*WRITTEN, *SECRET)
KEPT = b"# mine\r\nDOMAIN=books.example\r\nUSE_S3=false\r\n# AWS_ACCESS_KEY_ID=None\r\nEMAIL_HOST_PASSWORD='a # b'\r\n"
TO_S3 = {
    "USE_S3": "true",
    "AWS_STORAGE_BUCKET_NAME": "books",
    "AWS_ACCESS_KEY_ID": "key",
    "AWS_SECRET_ACCESS_KEY": "secret#x",
}
ON_S3 = edit(KEPT, TO_S3).content


def test_settings_that_nobody_has_touched_come_back_byte_for_byte() -> None:
    assert settings_of_before(ON_S3, KEPT, NAMES) == KEPT


def test_what_was_changed_since_stays_changed() -> None:
    now = edit(ON_S3, {"EMAIL_HOST_PASSWORD": "new", "SENTRY_DSN": "x"}).content
    before = settings_of_before(now, KEPT, NAMES)
    assert before == edit(KEPT, {"EMAIL_HOST_PASSWORD": "new", "SENTRY_DSN": "x"}).content


def test_values_of_before_come_back() -> None:
    kept = KEPT + b"USE_HTTPS=false\nCSP_ADDITIONAL_HOSTS=https://cdn.example/\n"
    now = edit(kept, {**TO_S3, "USE_HTTPS": "true", "CSP_ADDITIONAL_HOSTS": "a,b", "DEBUG": "true"}).content
    found = read(settings_of_before(now, kept, NAMES))
    assert found == {**read(kept), "DEBUG": "true"}


def test_without_kept_settings_only_the_storage_changes() -> None:
    assert read(settings_of_before(ON_S3, None, NAMES)) == {**read(ON_S3), "USE_S3": "false"}


def test_kept_settings_that_are_on_s3_themselves_do_not_bring_it_back_there() -> None:
    assert read(settings_of_before(ON_S3, ON_S3, NAMES))["USE_S3"] == "false"


def test_the_moment_of_the_change_is_known_unless_the_instance_was_adopted() -> None:
    assert moment_of_change(5.0, ON_S3, KEPT) == 5.0
    assert moment_of_change(5.0, ON_S3, None) == 0
    assert moment_of_change(5.0, ON_S3, edit(ON_S3, {"USE_S3": "false"}).content) == 0


@pytest.fixture
def settings(tmp_path: Path) -> RestoredSettings:
    (tmp_path / ".env").write_bytes(ON_S3)
    (tmp_path / ".env").chmod(0o640)
    return RestoredSettings(str(tmp_path / ".env"), str(tmp_path / "s3"), KEPT)


def test_the_settings_for_s3_are_kept(settings: RestoredSettings, tmp_path: Path) -> None:
    settings.write()
    assert ((tmp_path / ".env").read_bytes(), (tmp_path / "s3").read_bytes()) == (KEPT, ON_S3)
    assert (tmp_path / "s3").stat().st_mode & 0o777 == 0o640


def test_the_settings_for_s3_come_back(settings: RestoredSettings, tmp_path: Path) -> None:
    settings.write()
    settings.put_back()
    assert (tmp_path / ".env").read_bytes() == ON_S3
    assert sorted(os.listdir(tmp_path)) == [".env"]


def test_a_rollback_that_was_cut_off_is_completed(settings: RestoredSettings, tmp_path: Path) -> None:
    settings.write()
    again = RestoredSettings(settings.env_file, settings.s3_file, KEPT)
    assert again.stays
    again.write()
    again.put_back()  # the start failed once more
    assert ((tmp_path / ".env").read_bytes(), (tmp_path / "s3").read_bytes()) == (KEPT, ON_S3)


@pytest.mark.parametrize(
    ("free_blocks", "free_files", "says"),
    [
        (
            100,
            1000,
            r"10 objects have to come back, which takes 0\.7 MB, and \S+ has room for 0\.4 MB; make 0\.3 MB more free",
        ),
        (1000, 9, "10 objects have to come back, and the file system of .* has room for 9 more files"),
    ],
)
def test_a_disk_without_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free_blocks: int, free_files: int, says: str
) -> None:
    account = Account()
    account.count("downloaded", 700_000 - 10 * 4096, 10)
    monkeypatch.setattr(module, "Run", lambda _job: SimpleNamespace(account=account, preview=lambda: None))
    place = SimpleNamespace(f_frsize=4096, f_bavail=free_blocks, f_files=1000, f_favail=free_files)
    monkeypatch.setattr(os, "statvfs", lambda _path: place)
    job = Job(
        FixedAccess(Address("books", "http", "127.0.0.1", "/books", "us-east-1")),
        Tree(os.fsencode(tmp_path), b"images/"),
    )
    with pytest.raises(MediaError, match=f"{says}.*Nothing was changed"):
        DownloadedMedia(job, job.tree.chooser).check_room()
