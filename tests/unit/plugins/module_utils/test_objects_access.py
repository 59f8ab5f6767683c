# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The address and the keys are those that boto3 itself would use."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Optional

import botocore.httpsession
import pytest
from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._objects import client as client_module
from ansible_collections.selfhosted.media.plugins.module_utils._objects.access import BotoAccess
from ansible_collections.selfhosted.media.plugins.module_utils._objects.client import ObjectClient
from ansible_collections.selfhosted.media.plugins.module_utils._objects.signing import Keys, Signer, encoded_path
from ansible_collections.selfhosted.media.plugins.module_utils._s3.client import Connection, connect
from ansible_collections.selfhosted.media.plugins.module_utils._s3.errors import S3Error, WrongCredentials
from ansible_collections.selfhosted.media.tests.stub import Asked, Reply, Stub, error
from botocore.httpsession import get_cert_path

pytestmark = pytest.mark.usefixtures("quick_clients")

KEYS: dict[str, Any] = {"access_key": "AKID", "secret_key": "secret"}
AWS = {"provider": "aws", **KEYS}
HERE = {"provider": "generic", "endpoint_url": "http://127.0.0.1:9000", "region": "us-east-1", **KEYS}


class Enough(Exception):
    """The request is known and need not be sent."""


def sent_by_boto3(monkeypatch: pytest.MonkeyPatch, connection: Connection, bucket: str, key: str) -> Any:
    """What reaches boto3's HTTP session when an object is asked for."""
    kept: list[Any] = []

    def keep(_session: Any, request: Any) -> Any:
        kept.append(request)
        raise Enough

    with monkeypatch.context() as patch:
        patch.setattr(botocore.httpsession.URLLib3Session, "send", keep)
        with pytest.raises(Enough):
            connect(connection, retries={"max_attempts": 1}).get_object(Bucket=bucket, Key=key)
    return kept[0]


@pytest.mark.parametrize(
    ("options", "bucket"),
    [
        (HERE, "media"),
        ({**HERE, "addressing_style": "virtual", "endpoint_url": "https://s3.example"}, "media"),
        ({**HERE, "addressing_style": "path", "endpoint_url": "https://s3.example:8443"}, "media"),
        ({**HERE, "endpoint_url": "https://s3.example/some/path"}, "media"),
        ({**HERE, "endpoint_url": "https://s3.example/some/path/", "addressing_style": "virtual"}, "media"),
        ({**HERE, "endpoint_url": "http://s3.example:80"}, "media"),
        ({**HERE, "endpoint_url": "https://s3.example:443"}, "media"),
        ({**HERE, "endpoint_url": "http://[::1]:9000"}, "media"),
        ({**HERE, "endpoint_url": "https://s3.example", "region": "garage"}, "media"),
        ({**AWS, "region": "eu-central-1"}, "media"),
        ({**AWS, "region": "us-east-1"}, "media"),
        ({**AWS, "region": "cn-north-1"}, "media"),
        ({**AWS, "region": "eu-central-1"}, "with.dots"),
        ({**AWS, "region": "eu-central-1", "addressing_style": "path"}, "media"),
        ({**AWS, "region": "eu-central-1", "session_token": "token+/="}, "media"),
        ({**AWS, "region": "eu-central-1"}, "arn:aws:s3:eu-west-1:123456789012:accesspoint/mine"),
    ],
)
def test_the_address_is_where_boto3_sends_to(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], bucket: str
) -> None:
    connection = Connection(**options)
    access = BotoAccess(connection, bucket)
    address, keys = access.address(), access.keys()
    request = sent_by_boto3(monkeypatch, connection, bucket, "covers/a b+c.jpg")
    path = f"{address.base_path}/{encoded_path(b'covers/a b+c.jpg')}"
    asked = request.url.replace(":80/", "/").replace(":443/", "/")  # urllib3 leaves out the scheme's own port
    assert asked == f"{address.scheme}://{address.host}{path}"
    theirs = {
        name.lower(): value.decode() if isinstance(value, bytes) else value for name, value in request.headers.items()
    }
    names = theirs["authorization"].partition("SignedHeaders=")[2].partition(",")[0].split(";")
    headers = {name: theirs[name] for name in names if name in theirs}
    for made in ("x-amz-date", "x-amz-content-sha256", "x-amz-security-token"):
        headers.pop(made, None)
    signer = Signer(keys, address.region)
    ours = signer.sign(
        "GET", path, "", {**headers, "host": address.host}, theirs["x-amz-content-sha256"], theirs["x-amz-date"]
    )
    assert dict(ours)["authorization"] == theirs["authorization"]


def test_the_port_and_the_name() -> None:
    address = BotoAccess(Connection(**HERE), "media").address()
    assert (address.name, address.port, address.url) == ("127.0.0.1", 9000, "http://127.0.0.1:9000/media")
    plain = replace(address, scheme="https", host="[::1]")
    assert (plain.name, plain.port) == ("::1", 443)
    assert replace(address, host="s3.example").port == 80


def test_asking_for_the_address_sends_nothing_and_leaves_nothing() -> None:
    with Stub(lambda _asked: error(404, "NoSuchBucket")) as stub:
        access = BotoAccess(Connection(**{**HERE, "endpoint_url": stub.server.endpoint_url}), "media")
        access.address()
        assert stub.asked == []
        _session, client = access._boto()
        with pytest.raises(client.exceptions.NoSuchBucket):
            client.list_objects_v2(Bucket="media")
        assert len(stub.asked) == 1


def test_timeouts_come_from_the_settings() -> None:
    address = BotoAccess(Connection(**HERE), "media", connect_timeout=3, read_timeout=4).address()
    assert (address.connect_timeout, address.read_timeout) == (3, 4)


@pytest.mark.parametrize("bucket", ["no such bucket", "", "a/b"])
def test_names_that_no_bucket_can_have(bucket: str) -> None:
    with pytest.raises(S3Error, match="finding out where bucket"):
        BotoAccess(Connection(**{**AWS, "region": "us-east-1"}), bucket).address()


# -- proxies and certificate authorities ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variables", "endpoint", "proxy"),
    [
        ({}, "http://s3.example", ""),
        ({"http_proxy": "http://proxy:3128"}, "http://s3.example", "http://proxy:3128"),
        ({"http_proxy": "http://proxy:3128"}, "https://s3.example", ""),
        ({"HTTPS_PROXY": "http://me:p%40ss@proxy:3128"}, "https://s3.example", "http://me:p%40ss@proxy:3128"),
        ({"HTTPS_PROXY": "proxy:3128"}, "https://s3.example", "http://proxy:3128"),
        ({"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": "example"}, "https://s3.example", ""),
        ({"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": "other"}, "https://s3.example", "http://proxy:3128"),
        ({"HTTP_PROXY": "http://proxy:3128", "NO_PROXY": "127.0.0.1"}, "http://127.0.0.1:9000", ""),
        ({"HTTP_PROXY": "http://proxy:3128", "no_proxy": "*"}, "http://s3.example", ""),
    ],
)
def test_proxies(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], endpoint: str, proxy: str) -> None:
    for name in ("http_proxy", "https_proxy", "no_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    address = BotoAccess(Connection(**{**HERE, "endpoint_url": endpoint}), "media").address()
    assert address.proxy == proxy
    assert "p%40ss" not in repr(address)


def test_certificate_authorities(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def bundle(**options: Any) -> Optional[str]:
        return BotoAccess(Connection(**{**HERE, **options}), "media").address().ca_bundle

    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    assert bundle() == get_cert_path(True)
    assert bundle(validate_certs=False) is None
    assert bundle(aws_ca_bundle="/of/the/option.pem") == "/of/the/option.pem"
    config = tmp_path / "config"
    config.write_text("[profile p]\nca_bundle = /of/the/profile.pem\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_PROFILE", "p")
    assert bundle() == "/of/the/profile.pem"
    monkeypatch.setenv("AWS_CA_BUNDLE", "/of/the/variable.pem")
    assert bundle() == "/of/the/variable.pem"
    assert bundle(aws_ca_bundle="/of/the/option.pem") == "/of/the/option.pem"
    assert bundle(validate_certs=False) is None
    with pytest.raises(S3Error, match="/of/the/option"):
        ObjectClient(
            BotoAccess(
                Connection(**{**HERE, "endpoint_url": "https://s3.example", "aws_ca_bundle": "/of/the/option.pem"}), "b"
            )
        )


# -- credentials ---------------------------------------------------------------------------------------------------------


def without_keys(**more: Any) -> Connection:
    return Connection(provider="generic", endpoint_url="http://127.0.0.1:9", region="us-east-1", **more)


def test_keys_from_the_options() -> None:
    assert BotoAccess(Connection(**HERE), "b").keys() == Keys("AKID", "secret")
    assert BotoAccess(Connection(**{**HERE, "session_token": "t"}), "b").keys() == Keys("AKID", "secret", "t")


def test_keys_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "ENV")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "env-secret")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "env-token")
    assert BotoAccess(without_keys(), "b").keys() == Keys("ENV", "env-secret", "env-token")


def test_keys_from_a_profile(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "credentials").write_text("[mine]\naws_access_key_id = FILE\naws_secret_access_key = file-secret\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    assert BotoAccess(without_keys(profile="mine"), "b").keys() == Keys("FILE", "file-secret")
    with pytest.raises(MediaError, match="another"):
        BotoAccess(without_keys(profile="another"), "b").address()


def test_no_keys_at_all() -> None:
    access = BotoAccess(without_keys(), "b")
    for ask in (access.address, access.keys):
        with pytest.raises(WrongCredentials, match="no credentials; set access_key and secret_key, or profile"):
            ask()
    with pytest.raises(WrongCredentials, match="Unable to locate credentials"):
        ObjectClient(access)


@pytest.fixture
def process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A credential_process that gives what is in a file, and counts its calls in another one."""
    answer = tmp_path / "answer.json"
    script = tmp_path / "give.py"
    script.write_text(
        f"open({str(tmp_path / 'calls')!r}, 'a').write('x')\nprint(open({str(answer)!r}).read())\n", encoding="utf-8"
    )
    (tmp_path / "config").write_text(f"[profile mine]\ncredential_process = {sys.executable} {script}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    return answer


def give(answer: Path, number: int, seconds: float) -> None:
    until = datetime.now(timezone.utc) + timedelta(seconds=seconds)
    keys = {"AccessKeyId": f"KEY{number}", "SecretAccessKey": "s", "SessionToken": f"token{number}"}
    answer.write_text(json.dumps({"Version": 1, **keys, "Expiration": until.isoformat()}))


def test_keys_that_end_in_mid_run_are_renewed(process: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the service has to say so: botocore renews them in time, and is asked for them again and again."""
    monkeypatch.setattr(client_module, "_KEYS_LAST", 0.0)
    give(process, 1, 3600)
    with Stub(lambda _asked: Reply()) as stub:
        connection = replace(without_keys(profile="mine"), endpoint_url=stub.server.endpoint_url)
        access = BotoAccess(connection, "b")
        client = ObjectClient(access)
        client.put(b"k", b"x", {}, "writing")
        credentials: Any = access._boto()[0].get_credentials()
        # An hour passes: what botocore has is about to end.
        monkeypatch.setattr(credentials, "_expiry_time", datetime.now(timezone.utc) + timedelta(seconds=30))
        give(process, 2, 3600)
        for _number in range(3):
            client.put(b"k", b"x", {}, "writing")
        client.close()
    assert [asked.headers["x-amz-security-token"] for asked in stub.asked] == ["token1", "token2", "token2", "token2"]
    assert ["KEY2/" in asked.headers["authorization"] for asked in stub.asked] == [False, True, True, True]
    assert (process.parent / "calls").read_text() == "xx"


def test_keys_that_the_service_finds_ended_are_asked_for_once_more(process: Path) -> None:
    """As when this machine sleeps or its clock is wrong."""
    give(process, 1, 3600)

    def answer(asked: Asked) -> Reply:
        return error(400, "ExpiredToken") if asked.headers["x-amz-security-token"] == "token1" else Reply()

    with Stub(answer) as stub:
        access = BotoAccess(replace(without_keys(profile="mine"), endpoint_url=stub.server.endpoint_url), "b")
        client = ObjectClient(access)
        with pytest.raises(WrongCredentials, match="temporary credentials have expired"):
            client.put(b"k", b"x", {}, "writing")
        assert len(stub.asked) == 2
        credentials: Any = access._boto()[0].get_credentials()
        give(process, 2, 3600)
        credentials._expiry_time = datetime.now(timezone.utc)
        client.put(b"k", b"x", {}, "writing")
        client.close()
    assert [asked.headers["x-amz-security-token"] for asked in stub.asked[2:]] == ["token1", "token2"]


def test_keys_of_the_user_that_have_ended_are_not_asked_for_again() -> None:
    with Stub(lambda _asked: error(400, "ExpiredToken")) as stub:
        options = {**HERE, "endpoint_url": stub.server.endpoint_url, "session_token": "t"}
        client = ObjectClient(BotoAccess(Connection(**options), "b"))
        with pytest.raises(WrongCredentials, match="expired"):
            client.put(b"k", b"x", {}, "writing")
        client.close()
    assert len(stub.asked) == 1


# -- another region ----------------------------------------------------------------------------------------------------


def region_of(asked: Asked) -> str:
    return asked.headers["authorization"].split("/")[2]


@pytest.mark.parametrize(
    ("status", "code"),
    [(400, "AuthorizationHeaderMalformed"), (301, "PermanentRedirect"), (301, ""), (307, "TemporaryRedirect")],
)
def test_a_bucket_in_another_region(status: int, code: str) -> None:
    """It is found out once; what is asked afterwards goes there at once."""

    def answer(asked: Asked) -> Reply:
        if region_of(asked) == "eu-west-3":
            return Reply()
        refusal = error(status, code) if code else Reply(status)
        refusal.body = refusal.body.replace(b"<Message>", b"<Region>eu-west-3</Region><Message>")
        return replace(refusal, headers={"x-amz-bucket-region": "eu-west-3"})

    with Stub(answer) as stub:
        options = {**AWS, "region": "us-east-1", "endpoint_url": stub.server.endpoint_url}
        client = ObjectClient(BotoAccess(Connection(**options), "media"))
        for _number in range(3):
            client.put(b"k", b"x", {}, "writing")
        client.close()
    puts = [region_of(asked) for asked in stub.asked if asked.method == "PUT"]
    assert puts == ["us-east-1", "eu-west-3", "eu-west-3", "eu-west-3"]
    assert client.address.region == "eu-west-3"


def test_a_service_that_does_not_tell_where_else_to_go() -> None:
    """What it said first is told, and nothing is asked for ever."""
    malformed = error(400, "AuthorizationHeaderMalformed", "the region should be garage")

    def answer(asked: Asked) -> Reply:
        return malformed if asked.method != "HEAD" else Reply(400)

    with Stub(answer) as stub:
        client = ObjectClient(BotoAccess(Connection(**{**HERE, "endpoint_url": stub.server.endpoint_url}), "media"))
        with pytest.raises(
            S3Error, match=r"the region should be garage.*the region is not the one the service signs for"
        ):
            client.put(b"k", b"x", {}, "writing")
        client.close()
    assert len(stub.asked) < 6
