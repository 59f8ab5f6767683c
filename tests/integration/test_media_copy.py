# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One tree and several hosts: each copies its part, one dies at it, and the next run, with fewer hosts, copies what is missing."""

from __future__ import annotations

import hashlib
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from ansible_collections.selfhosted.media.tests.playbooks import Host
from ansible_collections.selfhosted.media.tests.servers import Server
from ansible_collections.selfhosted.media.tests.servers.sshd import SshServer

FILES, SIZE = 90, 20_000


@dataclass
class Copiers(Host):
    """Hosts that see the same folder; what each has beside the common variables."""

    group: str = "media_copy"
    own: dict[str, dict[str, Any]] = field(default_factory=dict)

    def hosts(self) -> dict[str, dict[str, Any]]:
        return {name: {**super(Copiers, self).hosts()["books"], **own} for name, own in self.own.items()}


@dataclass
class Tree:
    """A folder of files, and the bucket it goes to."""

    folder: Path
    server: Server
    bucket: str
    copiers: Copiers

    def in_bucket(self) -> dict[str, str]:
        """Keys and MD5s."""
        pages = self.server.client().get_paginator("list_objects_v2").paginate(Bucket=self.bucket)
        return {item["Key"]: item["ETag"].strip('"') for page in pages for item in page.get("Contents", [])}

    def on_disk(self) -> dict[str, str]:
        found = (path for path in self.folder.rglob("*") if path.is_file())
        return {f"images/{path.relative_to(self.folder)}": hashlib.md5(path.read_bytes()).hexdigest() for path in found}


@pytest.fixture(scope="module")
def tree(moto_server: Server, tmp_path_factory: pytest.TempPathFactory) -> Tree:
    folder = tmp_path_factory.mktemp("shared")
    media = folder / "media"
    for number in range(FILES):
        path = media / f"covers/{number % 7}/{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(SIZE))
    bucket = f"shared-{uuid4().hex[:8]}"
    moto_server.client().create_bucket(Bucket=bucket)
    variables = {
        **{"media_copy_path": str(media), "media_copy_s3_bucket": bucket, "media_copy_s3_prefix": "images/"},
        **{"media_copy_s3_provider": "generic", "media_copy_s3_endpoint_url": moto_server.endpoint_url},
        **{"media_copy_s3_access_key": moto_server.access_key, "media_copy_s3_secret_key": moto_server.secret_key},
    }
    copiers = Copiers(folder / "controller", variables, marks=[moto_server.secret_key])
    return Tree(media, moto_server, bucket, copiers)


@pytest.mark.parametrize("who", ["one", "all", "another"])
def test_a_host_that_does_not_see_the_tree_is_refused(tree: Tree, tmp_path: Path, who: str) -> None:
    """Where the storage is not mounted, or another one is."""
    if who == "another":
        (tmp_path / "something").mkdir()
    blind = {"media_copy_path": str(tmp_path)}
    tree.copiers.own = {"a": blind if who == "all" else {}, "b": blind}
    run = tree.copiers.play("media_copy")
    said = {
        "one": "is empty on b, and not on the other hosts: the storage is not mounted there",
        "all": "is empty, as all hosts see it, so there is nothing to copy",
        "another": "b does not see the same in",
    }
    assert run.code == 2 and said[who] in run.message and run.message.endswith("Nothing was changed.")
    assert tree.in_bucket() == {}


def test_a_host_dies_and_the_next_run_repairs_it(tree: Tree, sshd: SshServer) -> None:
    """Of three hosts one dies at its copy; two do the rest, and then there is nothing left to do."""
    # Slow enough that it is seen at work, and its sshd killed then; the other two are done long before.
    slow = {**sshd.variables, "media_copy_bandwidth_limit": 20_000}
    tree.copiers.own = {"a": {}, "b": slow, "c": {}}
    command, environment = tree.copiers.command("media_copy", "-v")
    environment["SELFHOSTED_MEDIA_PROGRESS_INTERVAL"] = "1"
    play = subprocess.Popen(
        command, env=environment, cwd=tree.folder.parent, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert play.stdout is not None
    seen = []
    for line in play.stdout:
        seen.append(line)
        if line.startswith("b: uploading"):
            sshd.die()
            break
    rest, _nothing = play.communicate(timeout=300)
    output = "".join(seen) + rest
    assert play.returncode != 0
    assert f"Not proven to be in bucket {tree.bucket}: part 2 of 3, that of b (" in output
    assert "Run again, with these hosts or fewer" in output and tree.server.secret_key not in output
    there = tree.in_bucket()
    assert 0 < len(there) < FILES and there.items() < tree.on_disk().items()

    tree.copiers.own = {"a": {}, "c": {}}
    run = tree.copiers.play("media_copy")
    assert run.code == 0, run.output[-3000:]
    assert tree.in_bucket() == tree.on_disk()
    assert f"all 2 parts proven, {FILES} files in bucket {tree.bucket}, whole" in run.output

    tree.copiers.own = {"a": {}, "b": {}, "c": {}}
    run = tree.copiers.play("media_copy")
    assert (run.code, run.changed) == (0, 0) and f"0 files (0 Bytes) copied, {FILES} there already" in run.output


def test_the_parts_are_disjoint_and_complete(tree: Tree) -> None:
    """By what the service was asked to store: each key once."""
    client = tree.server.client()
    for key in tree.in_bucket():
        client.delete_object(Bucket=tree.bucket, Key=key)
    client.put_bucket_versioning(Bucket=tree.bucket, VersioningConfiguration={"Status": "Enabled"})
    tree.copiers.own = {"a": {}, "b": {}, "c": {}}
    run = tree.copiers.play("media_copy")
    assert run.code == 0, run.output[-3000:]
    versions = client.list_object_versions(Bucket=tree.bucket)["Versions"]
    assert sorted(version["Key"] for version in versions if version["Size"]) == sorted(tree.on_disk())
