# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""s3_preflight at every provider, each played by its profile: where all is well it says so."""

from __future__ import annotations

import pytest
from ansible_collections.selfhosted.media.tests.run_module import run_module
from ansible_collections.selfhosted.media.tests.servers import Server
from ansible_collections.selfhosted.media.tests.servers.profiles import PROFILES, played

ORIGIN = "https://example.org"
#: How media are published at these, where that is not what the provider table begins with.
PUBLISHED_OTHERWISE = {"google-uniform": "none"}


@pytest.mark.parametrize("name", PROFILES)
def test_all_is_well_at_every_provider(name: str, ceph: Server, bucket_name: str) -> None:
    """What a provider does otherwise is no mistake of the administrator's."""
    with played(name, ceph) as play:
        publication = {"public_prefixes": ["images/"], "public_method": PUBLISHED_OTHERWISE.get(name, "auto")}
        made = run_module("s3_bucket", {**play.server.options, "name": bucket_name, **publication})
        assert not made.get("failed"), made
        needs = ["list", "write", "read", "public_read", "public_list", "multipart", "delete"]
        rules = [{"allowed_origins": [ORIGIN], "allowed_methods": ["GET"]}]
        supported = run_module("s3_cors", {**play.server.options, "bucket": bucket_name, "rules": rules}).get(
            "supported"
        )
        needs += (["acl"] if made["object_acl"] else []) + (["cors"] if supported else [])
        where = {"bucket": bucket_name, "prefix": "images/", "public_url": play.public_url(bucket_name)}
        result = run_module("s3_preflight", {**play.server.options, **where, "origin": ORIGIN, "needs": needs})
        assert result["ok"], result["msg"]
        assert {check["name"] for check in result["checks"] if check["state"] != "ok"} <= {"region"}
