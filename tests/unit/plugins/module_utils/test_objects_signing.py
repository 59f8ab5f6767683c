# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Our signatures are those of botocore's S3SigV4Auth, whatever is signed."""

from __future__ import annotations

import hashlib
import sys
import threading
import time
from datetime import datetime, timezone
from typing import Any, Optional

import botocore.auth
import pytest
from ansible_collections.selfhosted.media.plugins.module_utils._objects.signing import (
    EMPTY_SHA256,
    UNSIGNED,
    Keys,
    Signer,
    encoded_path,
    encoded_query,
)
from ansible_collections.selfhosted.media.tests.botocore_clock import set_clock
from boto3.session import Session
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from hypothesis import example, given, settings
from hypothesis import strategies as st

MOMENTS = st.datetimes(datetime(2000, 1, 1), datetime(2099, 12, 31)).map(
    lambda moment: moment.replace(microsecond=0, tzinfo=timezone.utc)
)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
#: What breaks a signature that is made carelessly, among any text.
PIECES = st.sampled_from(["a", "/", "//", ".", "..", "/./", " ", "+", "%", "%2F", "'", '"', "\n", "é", "e\u0301", "~"])
NAMES = st.lists(PIECES | TEXT, max_size=6).map("".join)
TOKENS = st.text("abcXYZ019+/=", min_size=1, max_size=20)
#: Values as they can be sent: printable, without spaces at their ends, but with runs of them inside.
VALUES = st.lists(st.text([chr(code) for code in range(33, 127)], min_size=1, max_size=6), max_size=4).map("   ".join)
HEADERS = st.dictionaries(
    st.sampled_from(["content-type", "cache-control", "content-md5", "x-amz-acl", "x-amz-meta-a", "if-none-match"]),
    VALUES,
    max_size=4,
)
HASHES = st.binary(max_size=9).map(lambda body: hashlib.sha256(body).hexdigest()) | st.sampled_from(
    [UNSIGNED, EMPTY_SHA256]
)


class Theirs(S3SigV4Auth):
    """With the body's hash given instead of the body."""

    def __init__(self, keys: Keys, region: str, body_hash: str) -> None:
        super().__init__(Credentials(keys.access_key, keys.secret_key, keys.token or None), "s3", region)
        self._hash = body_hash

    def payload(self, _request: Any) -> str:
        return self._hash


def signed_by_botocore(request: AWSRequest, keys: Keys, region: str, body_hash: str, moment: datetime) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        set_clock(patch, moment)
        Theirs(keys, region, body_hash).add_auth(request)
    return {name.lower(): value for name, value in request.headers.items()}


#: An old botocore signs an IPv6 address without its brackets, which no Host header lacks.
IPV6 = ["[::1]:8080"] if vars(botocore.auth)["_host_from_url"]("https://[::1]:8080/") == "[::1]:8080" else []


@settings(max_examples=400, deadline=None)
@example(
    "PUT", "a/../b//c.jpg", {}, {}, "s3.example", "eu-west-1", "", datetime(2026, 5, 1, tzinfo=timezone.utc), UNSIGNED
)
@given(
    method=st.sampled_from(["GET", "PUT", "POST", "HEAD", "DELETE"]),
    key=NAMES,
    query=st.dictionaries(NAMES.filter(bool), NAMES, max_size=4),
    headers=HEADERS,
    host=st.sampled_from(["s3.example", "b.s3.example", "127.0.0.1:9000", *IPV6]),
    region=st.sampled_from(["us-east-1", "eu-west-1", "garage", "auto", "é"]),
    token=st.just("") | TOKENS,
    moment=MOMENTS,
    body_hash=HASHES,
)
def test_the_signature_is_botocores(
    method: str,
    key: str,
    query: dict[str, str],
    headers: dict[str, str],
    host: str,
    region: str,
    token: str,
    moment: datetime,
    body_hash: str,
) -> None:
    keys = Keys("AKID", "secret/+=", token)
    path, text = f"/b/{encoded_path(key.encode())}", encoded_query(query)
    stamp = moment.strftime("%Y%m%dT%H%M%SZ")
    ours = Signer(keys, region).sign(method, path, text, {**headers, "host": host}, body_hash, stamp)

    request = AWSRequest(method, f"https://{host}{path}", dict(headers), params=query)
    theirs = signed_by_botocore(request, keys, region, body_hash, moment)
    assert dict(ours) == {"host": host, **theirs}
    assert [name for name, _value in ours] == [*sorted(name for name, _value in ours[:-1]), "authorization"]
    # The same when botocore reads the query as it is sent.
    sent = AWSRequest(method, f"https://{host}{path}{'?' if text else ''}{text}", dict(headers))
    assert signed_by_botocore(sent, keys, region, body_hash, moment) == theirs


@pytest.fixture(scope="module")
def boto() -> Any:
    checksums: Any = {"request_checksum_calculation": "when_required"}
    if not hasattr(Config(), "request_checksum_calculation"):  # boto3 below 1.36
        checksums = {}
    config = Config(s3={"addressing_style": "path"}, **checksums)
    session = Session("AKID", "secret", "token", region_name="eu-west-1")
    return session.client("s3", endpoint_url="http://s3.example:9000", config=config)


@pytest.mark.parametrize(
    "key",
    ["a b+c", "a%41", "q'\"&<>#?", "é e\u0301 \U0001f600", "n\nl\t\r", "x\\y", "a//b", "~-_.!*()", "-rf", "a=b;c:d"],
)
@pytest.mark.parametrize("body", [b"", b"content"])
def test_a_request_is_what_boto3_sends(boto: Any, key: str, body: bytes) -> None:
    """The whole way: the path, too, is written as botocore writes it."""
    kept: list[Any] = []

    class Enough(Exception):
        pass

    def keep(request: Any, **_unused: Any) -> Optional[Any]:
        kept.append(request)
        raise Enough

    boto.meta.events.register_last("before-send.s3.PutObject", keep, unique_id="keep")
    with pytest.raises(Enough):
        boto.put_object(Bucket="b", Key=key, Body=body, ContentType="image/jpeg", ACL="public-read")
    boto.meta.events.unregister("before-send.s3.PutObject", unique_id="keep")
    theirs = {
        name.lower(): value.decode() if isinstance(value, bytes) else value for name, value in kept[0].headers.items()
    }
    path = f"/b/{encoded_path(key.encode())}"
    assert kept[0].url == f"http://s3.example:9000{path}"
    names = theirs["authorization"].partition("SignedHeaders=")[2].partition(",")[0].split(";")
    headers = {name: theirs[name] for name in names if name in theirs and not name.startswith("x-amz-content")}
    headers = {name: value for name, value in headers.items() if name not in ("x-amz-date", "x-amz-security-token")}
    signer = Signer(Keys("AKID", "secret", "token"), "eu-west-1")
    digest = hashlib.sha256(body).hexdigest()
    ours = dict(signer.sign("PUT", path, "", {**headers, "host": "s3.example:9000"}, digest, theirs["x-amz-date"]))
    assert ours["authorization"] == theirs["authorization"]


@settings(deadline=None)
@given(moments=st.lists(MOMENTS, min_size=2, max_size=6))
def test_the_kept_signing_key_is_that_of_the_day(moments: list[datetime]) -> None:
    kept = Signer(Keys("AKID", "secret"), "eu-west-1")
    for moment in [*moments, moments[0]]:
        stamp = moment.strftime("%Y%m%dT%H%M%SZ")
        new = Signer(Keys("AKID", "secret"), "eu-west-1")
        assert kept.sign("GET", "/b", "", {}, UNSIGNED, stamp) == new.sign("GET", "/b", "", {}, UNSIGNED, stamp)


def test_threads_on_both_sides_of_midnight() -> None:
    stamps = ["20260501T235959Z", "20260502T000000Z", "20260503T000000Z"]
    keys = Keys("AKID", "secret")
    right = {stamp: Signer(keys, "eu-west-1").sign("GET", "/b", "", {}, UNSIGNED, stamp) for stamp in stamps}
    shared, wrong = Signer(keys, "eu-west-1"), []

    def sign(first: int) -> None:
        for number in range(500):
            stamp = stamps[(first + number) % 3]
            if shared.sign("GET", "/b", "", {}, UNSIGNED, stamp) != right[stamp]:
                wrong.append(stamp)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=sign, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert wrong == []


def test_the_moment_is_now(monkeypatch: pytest.MonkeyPatch) -> None:
    signer = Signer(Keys("AKID", "secret"), "eu-west-1")
    now = 1_777_679_999.9
    monkeypatch.setattr(time, "time", lambda: now)
    assert signer.now() == signer.now() == "20260501T235959Z"
    now += 0.2
    assert signer.now() == "20260502T000000Z"
    assert ("x-amz-date", "20260502T000000Z") in signer.sign("GET", "/b", "", {}, UNSIGNED)


def test_secrets_are_not_shown() -> None:
    assert repr(Keys("AKID", "marked-secret", "marked-token")) == "Keys(access_key='AKID', expiring=False)"
