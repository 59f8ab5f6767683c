# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A client with an endpoint of its own asks nobody else, whichever release of boto3 it is of (tests/boto3_releases)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Optional

import pytest
from ansible_collections.selfhosted.media.plugins.module_utils._s3.client import Connection, connect
from ansible_collections.selfhosted.media.tests.stub import Asked, Reply, Stub, error

KEYS: dict[str, Any] = {"access_key": "key", "secret_key": "secret"}
CORS: Any = {"CORSRules": [{"AllowedOrigins": ["*"], "AllowedMethods": ["GET"]}]}


def region_of(asked: Asked) -> str:
    return asked.headers["authorization"].split("/")[2]


@pytest.mark.parametrize(
    ("status", "code"), [(400, "AuthorizationHeaderMalformed"), (301, "PermanentRedirect"), (307, "TemporaryRedirect")]
)
@pytest.mark.parametrize("endpoint", [None, "http://localhost:{port}"])
def test_a_hint_at_another_region_does_not_lead_away(status: int, code: str, endpoint: Optional[str]) -> None:
    """As MinIO gives it for a wrong region, and Ceph for a bucket of another zone group."""

    def answer(asked: Asked) -> Reply:
        if region_of(asked) == "eu-west-3":
            return Reply()
        refusal = error(status, code)
        refusal.body = refusal.body.replace(b"<Message>", b"<Region>eu-west-3</Region><Message>")
        return replace(refusal, headers={"x-amz-bucket-region": "eu-west-3"})

    with Stub(answer) as stub:
        url = endpoint.format(port=stub.port) if endpoint else stub.server.endpoint_url
        client = connect(
            Connection(provider="generic", endpoint_url=url, region="us-east-1", **KEYS), retries={"max_attempts": 1}
        )
        client.put_bucket_cors(Bucket="media", CORSConfiguration=CORS)
        client.put_object(Bucket="media", Key="a b", Body=b"private")
    # Boto3 remembers the region that it was told.
    assert [region_of(asked) for asked in stub.asked] == ["us-east-1", "eu-west-3", "eu-west-3"]
    assert [asked.path for asked in stub.asked] == ["/media", "/media", "/media/a b"]
    assert stub.asked[-1].body == b"private"


def test_aws_leads_to_its_own_endpoints() -> None:
    """Where no other endpoint is given, a bucket in another region is asked there."""
    hosts: list[str] = []

    class Told(Exception):
        pass

    def answer(request: Any, **_unused: Any) -> Any:
        from botocore.awsrequest import AWSResponse
        from botocore.compat import HTTPHeaders

        hosts.append(request.url.split("/")[2])
        if len(hosts) == 2:
            raise Told
        headers = HTTPHeaders()
        headers["x-amz-bucket-region"] = "eu-west-3"
        return AWSResponse(request.url, 301, headers, type("Raw", (), {"stream": lambda self: [b""]})())

    client = connect(Connection(provider="aws", region="eu-central-1", **KEYS), retries={"max_attempts": 1})
    client.meta.events.register("before-send.s3", answer)
    with pytest.raises(Told):
        client.get_bucket_cors(Bucket="media")
    assert hosts == ["media.s3.eu-central-1.amazonaws.com", "media.s3.eu-west-3.amazonaws.com"]
