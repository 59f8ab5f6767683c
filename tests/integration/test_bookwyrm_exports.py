# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The archives that users make of their data: in a private bucket of their own, and back on the disk."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

from ansible_collections.selfhosted.media.tests.playbooks import Outcome, StandIn, fetch, standin
from ansible_collections.selfhosted.media.tests.servers import Server

SAVE = """
from django.core.files.base import ContentFile
from django.core.files.storage import storages
name = storages["exports"].save("new.tar.gz", ContentFile(b"archive"))
print("saved", name, storages["exports"].url(name))
"""


def played(site: StandIn, playbook: str, **variables: str) -> Outcome:
    run = site.play(playbook, **variables)
    assert run.code == 0, run.message or run.output[-2000:]
    return run


def test_archives_go_to_a_private_bucket_and_come_back(ceph: Server, tmp_path: Path) -> None:
    bucket, exports = f"media-{uuid4().hex[:8]}", f"exports-{uuid4().hex[:8]}"
    with standin(tmp_path / "bookwyrm", ceph, bucket, covers=2) as site:
        folder = site.folder / "exports"
        (folder / "user").mkdir(parents=True)
        (folder / "user" / "old.tar.gz").write_bytes(b"of the disk")
        refused = site.play("bookwyrm_migrate", bookwyrm_exports_s3_bucket=bucket)
        assert "exports are private and need a bucket of their own" in refused.output
        assert bucket not in [item["Name"] for item in ceph.client().list_buckets()["Buckets"]]

        played(site, "bookwyrm_migrate", bookwyrm_exports_s3_bucket=exports)
        assert (site.env["USE_S3_FOR_EXPORTS"], site.env["EXPORTS_STORAGE_BUCKET_NAME"]) == ("true", exports)
        stored = ceph.client().get_object(Bucket=exports, Key="exports/user/old.tar.gz")["Body"].read()
        assert stored == b"of the disk"
        # the application's own storage, with its own keys
        url = site.manage("shell", "-c", SAVE).split("saved ")[1].split()[1]
        assert fetch(url).body == b"archive"
        for key in ("exports/user/old.tar.gz", "exports/new.tar.gz", ""):
            assert fetch(f"{ceph.endpoint_url}/{exports}/{key}").status == 403
        assert played(site, "bookwyrm_migrate", bookwyrm_exports_s3_bucket=exports).changed == 0

        played(site, "bookwyrm_rollback")
        assert (folder / "new.tar.gz").read_bytes() == b"archive"
        assert "USE_S3_FOR_EXPORTS" not in site.env
        kept = {one["Key"] for one in ceph.client().list_objects_v2(Bucket=exports)["Contents"]}
        assert kept == {"exports/new.tar.gz", "exports/user/old.tar.gz"}
