# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the client sends, and what it does with answers that no test server gives."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from typing import Any
from unittest import mock

import pytest
from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._s3 import bucket, errors, retry
from ansible_collections.selfhosted.media.plugins.module_utils._s3.client import Connection, connect
from ansible_collections.selfhosted.media.plugins.module_utils._s3.providers import PROVIDERS, provider_for
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.stub import Stubber

KEYS: dict[str, Any] = {"access_key": "key", "secret_key": "secret"}
CORS: Any = {"CORSRules": [{"AllowedOrigins": ["*"], "AllowedMethods": ["GET"]}]}


def client(**options: Any) -> Any:
    return connect(Connection(**{"provider": "aws", "region": "eu-central-1", **KEYS, **options}))


def sent(s3: Any, call: Callable[[Any], Any]) -> Any:
    """The request that a call would send."""
    requests = []

    def keep(request: Any, **_unused: Any) -> AWSResponse:
        requests.append(request)
        return AWSResponse(request.url, 200, HTTPHeaders(), mock.Mock(stream=lambda: [b""]))

    s3.meta.events.register("before-send.s3", keep)
    call(s3)
    return requests[0]


@pytest.mark.parametrize(
    "call",
    [
        lambda s3: s3.put_bucket_cors(Bucket="media", CORSConfiguration=CORS),
        lambda s3: s3.put_bucket_policy(Bucket="media", Policy=json.dumps({"Statement": []})),
        lambda s3: s3.put_bucket_acl(Bucket="media", ACL="private"),
        lambda s3: s3.delete_objects(Bucket="media", Delete={"Objects": [{"Key": "a"}]}),
    ],
)
def test_off_aws_content_md5_replaces_other_checksums(call: Callable[[Any], Any]) -> None:
    request = sent(client(provider="generic", endpoint_url="http://127.0.0.1:1"), call)
    body = request.body.encode() if isinstance(request.body, str) else request.body or b""
    expected = base64.b64encode(hashlib.md5(body).digest()).decode()
    said = request.headers["Content-MD5"]
    assert (said.decode() if isinstance(said, bytes) else said) == expected
    assert "content-md5" in str(request.headers["Authorization"])  # it is signed
    assert not [name for name in request.headers if "checksum" in name.lower()]


def test_keys_never_show_in_a_traceback() -> None:
    assert "secret" not in repr(Connection(**KEYS))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"endpoint_url": "s3.example.org"}, "write https://s3.example.org"),
        ({"profile": "p"}, "exclude each other"),
        ({"secret_key": None}, "go together"),
        ({"access_key": None, "secret_key": None, "profile": "nobody"}, "cannot be set up"),
    ],
)
def test_connections_that_cannot_be(options: dict[str, Any], said: str) -> None:
    with pytest.raises(MediaError) as caught:
        client(**options)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("endpoint", "name"),
    [
        (None, "aws"),
        ("https://s3.eu-central-1.amazonaws.com", "aws"),
        ("https://notamazonaws.com", "generic"),
        ("https://objects.example.org", "generic"),
    ],
)
def test_the_provider_is_told_from_the_endpoint(endpoint: str, name: str) -> None:
    assert provider_for("auto", endpoint).name == name


@pytest.fixture
def stubbed(monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Stubber]:
    monkeypatch.setattr(retry, "_PAUSES", (0.0, 0.0))
    s3 = client()
    stub = Stubber(s3)
    stub.activate()
    return s3, stub


def test_creation_goes_on_after_another_operation(stubbed: tuple[Any, Stubber]) -> None:
    s3, stub = stubbed
    wanted = {"Bucket": "media", "CreateBucketConfiguration": {"LocationConstraint": "eu-central-1"}}
    stub.add_client_error("create_bucket", "OperationAborted", http_status_code=409, expected_params=wanted)
    stub.add_response("create_bucket", {}, wanted)
    stub.add_response("head_bucket", {"ResponseMetadata": {"HTTPHeaders": {}}}, {"Bucket": "media"})
    bucket.create(s3, PROVIDERS["aws"], "media")
    stub.assert_no_pending_responses()


def test_a_taken_name_that_is_ours_after_all(stubbed: tuple[Any, Stubber]) -> None:
    s3, stub = stubbed
    stub.add_client_error("create_bucket", "BucketAlreadyExists", http_status_code=409)
    for _look in range(2):
        stub.add_response("head_bucket", {"ResponseMetadata": {"HTTPHeaders": {}}}, {"Bucket": "media"})
    bucket.create(s3, PROVIDERS["aws"], "media")


def test_a_taken_name(stubbed: tuple[Any, Stubber]) -> None:
    s3, stub = stubbed
    stub.add_client_error("create_bucket", "BucketAlreadyExists", http_status_code=409)
    stub.add_client_error("head_bucket", "404", http_status_code=404)
    with pytest.raises(errors.S3Error, match="the name is taken"):
        bucket.create(s3, PROVIDERS["aws"], "media")


def test_a_retry_ends(stubbed: tuple[Any, Stubber]) -> None:
    s3, stub = stubbed
    for _attempt in range(3):
        stub.add_client_error("head_bucket", "SlowDown", http_status_code=503)
    with pytest.raises(errors.Throttled):
        retry.ask(lambda: s3.head_bucket(Bucket="media"), "looking")


@pytest.mark.parametrize(("region", "location"), [("us-east-1", None), ("eu-central-1", "eu-central-1")])
def test_the_location_of_a_bucket_on_aws(region: str, location: str) -> None:
    configuration = bucket.location_of(PROVIDERS["aws"], region).get("CreateBucketConfiguration", {})
    assert configuration.get("LocationConstraint") == location
    assert bucket.location_of(PROVIDERS["ceph"], region) == {}


@pytest.mark.parametrize("name", ["a/b", "ab", "x" * 64, "Media", "media_1", "-media", "a..b", "10.0.0.1"])
def test_names_that_no_service_takes(name: str) -> None:
    with pytest.raises(MediaError, match="bucket name"):
        bucket.check_name(name)


@pytest.mark.parametrize(
    ("code", "status", "cls"),
    [
        ("AccessDenied", 403, errors.NotAllowed),
        ("403", 403, errors.NotAllowed),
        ("InvalidAccessKeyId", 403, errors.WrongCredentials),
        ("SignatureDoesNotMatch", 403, errors.WrongCredentials),
        ("NoSuchBucket", 404, errors.NotThere),
        ("NoSuchCORSConfiguration", 404, errors.NotThere),
        ("NotImplemented", 501, errors.NotSupported),
        ("SlowDown", 503, errors.Throttled),
        ("Strange", 418, errors.S3Error),
    ],
)
def test_errors_are_told_apart(stubbed: tuple[Any, Stubber], code: str, status: int, cls: type[errors.S3Error]) -> None:
    s3, stub = stubbed
    stub.add_client_error("head_bucket", code, "what the service said", status)
    with pytest.raises(Exception, match=code) as caught:
        s3.head_bucket(Bucket="media")
    error = errors.explain(caught.value, "looking at bucket media")
    assert error.__class__ is cls
    assert str(error).startswith("looking at bucket media failed") and "what the service said" in str(error)
    assert errors.explain(error, "again") is error
