# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The test servers themselves: each stores, gives back, and keeps strangers out as far as it can."""

from __future__ import annotations

import pytest
from ansible_collections.selfhosted.media.tests.servers import Server
from ansible_collections.selfhosted.media.tests.servers.ceph import STRANGER


def test_what_is_stored_comes_back(s3: tuple[Server, str]) -> None:
    server, bucket = s3
    client = server.client()
    client.put_object(Bucket=bucket, Key="a/b", Body=b"x")
    assert client.get_object(Bucket=bucket, Key="a/b")["Body"].read() == b"x"


def test_ceph_has_a_second_account(ceph: Server, ceph_bucket: str) -> None:
    stranger = ceph.as_user(*STRANGER).client()
    assert stranger.list_buckets()["Buckets"] == []
    with pytest.raises(stranger.exceptions.ClientError, match="AccessDenied"):
        stranger.list_objects_v2(Bucket=ceph_bucket)
