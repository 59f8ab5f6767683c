# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the preflight prints, what keeps a host from answering, and what it says of regions and publication."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any, Optional

import pytest
from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._s3.checklist import (
    FAILED,
    OK,
    UNKNOWN,
    Check,
    Checklist,
    Plan,
    summary,
)
from ansible_collections.selfhosted.media.plugins.module_utils._s3.client import Connection, connect
from ansible_collections.selfhosted.media.plugins.module_utils._s3.errors import NotAllowed, S3Error, Unreachable
from ansible_collections.selfhosted.media.plugins.module_utils._s3.preflight import policy_for
from ansible_collections.selfhosted.media.plugins.module_utils._s3.preflight_public import how_to_publish
from ansible_collections.selfhosted.media.plugins.module_utils._s3.providers import PROVIDERS
from ansible_collections.selfhosted.media.plugins.module_utils._s3.reach import proxy_for, trouble_with
from ansible_collections.selfhosted.media.tests.servers.tls import behind_tls
from ansible_collections.selfhosted.media.tests.stub import Asked, Reply, Stub, error
from botocore.exceptions import HTTPClientError


def test_failures_come_first_each_with_what_to_do() -> None:
    checks = [
        Check("endpoint", OK, "s3.example.org"),
        Check("bucket", OK),
        Check("list", FAILED, "refused (AccessDenied)", "allow the key s3:ListBucket"),
        Check("write", UNKNOWN, "not tried"),
        Check("read", UNKNOWN, "not tried"),
        Check("cors", FAILED, "no"),
    ]
    assert summary(checks).splitlines() == [
        "2 of 6 checks failed:",
        "- list: refused (AccessDenied); allow the key s3:ListBucket",
        "- cors: no",
        "- not known: write, read: not tried",
        "- well: endpoint (s3.example.org), bucket",
    ]
    assert summary(checks[:2]).startswith("all checks passed:\n")
    assert summary([checks[1], checks[3]]).startswith("no check failed, 1 of 2 could not be made:\n")


def test_the_first_result_of_a_check_counts() -> None:
    checklist = Checklist(("list",))
    checklist.failed("list", NotAllowed("listing failed: AccessDenied; ask", "AccessDenied", 403), "allow it")
    checklist.failed("list", S3Error("something else"))
    checklist.failed("write", NotAllowed("nobody asked for it", "AccessDenied", 403))
    assert checklist.refused == ["list"] and checklist.state("list") == FAILED and not checklist.wants("write")
    checks = {check.name: check for check in checklist.finish("not tried")}
    assert checks["list"] == Check("list", FAILED, "refused (AccessDenied)", "ask")
    assert checks["bucket"] == Check("bucket", UNKNOWN, "not tried") and "write" not in checks


@pytest.mark.parametrize("need", ["public_read", "cors"])
def test_what_browsers_do_needs_the_public_domain(need: str) -> None:
    assert Checklist((need,)).wants("public_domain") and not Checklist(("read",)).wants("public_domain")


@pytest.mark.parametrize(
    ("needs", "on_bucket", "on_objects"),
    [
        (("list",), ["s3:ListBucket"], []),
        (("create_bucket", "read"), ["s3:CreateBucket"], ["s3:PutObject", "s3:GetObject", "s3:DeleteObject"]),
        (("public_domain",), [], []),
    ],
)
def test_the_policy_allows_what_is_tried(needs: tuple[str, ...], on_bucket: list[str], on_objects: list[str]) -> None:
    plan = Plan("media", "images/", needs, PROVIDERS["aws"])
    allowed = {one["Resource"][0]: one["Action"] for one in policy_for(plan, "cn-north-1")["Statement"]}
    expected = {"arn:aws-cn:s3:::media": on_bucket, "arn:aws-cn:s3:::media/images/*": on_objects}
    assert allowed == {name: actions for name, actions in expected.items() if actions}


@pytest.mark.parametrize("provider", PROVIDERS.values(), ids=PROVIDERS)
@pytest.mark.parametrize("but", ["", "acl"])
def test_there_is_always_something_to_do(provider: Any, but: str) -> None:
    advice = how_to_publish(provider, but)
    assert advice and (not but or "public_method: acl" not in advice)


@pytest.mark.parametrize(
    ("url", "environment", "proxy"),
    [
        ("https://s3.example.org", {}, ""),
        ("https://s3.example.org", {"https_proxy": "http://user:word@proxy:3128"}, "proxy:3128"),
        ("http://s3.example.org", {"https_proxy": "http://proxy:3128"}, ""),
        ("https://s3.example.org", {"https_proxy": "http://proxy:3128", "no_proxy": "example.org"}, ""),
    ],
)
def test_proxies(url: str, environment: dict[str, str], proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        for spelling in (name, name.upper()):
            monkeypatch.delenv(spelling, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert proxy_for(url) == proxy


def test_hosts_that_answer(tmp_path: Path) -> None:
    with Stub(lambda _asked: Reply(403)) as stub, behind_tls(stub.server, tmp_path) as (host, certificate):
        assert trouble_with(stub.server.endpoint_url, "public_url") is None
        assert trouble_with(f"https://{host}", "public_url", ca_path=str(certificate)) is None
        assert trouble_with(f"https://{host}", "public_url", validate_certs=False) is None


def test_a_bucket_with_dots_before_the_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    resolve = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda _host, *words, **named: resolve("127.0.0.1", *words, **named))
    with Stub(lambda _asked: Reply()) as stub, behind_tls(stub.server, tmp_path) as (host, certificate):
        url = f"https://my.media.s3.example.org:{host.rpartition(':')[2]}"
        found = trouble_with(url, "public_url", "my.media", ca_path=str(certificate))
        assert found and found.part == "tls" and "the bucket's has dots" in found.detail
        found = trouble_with(url, "public_url", "media", ca_path=str(certificate))
        assert found and "of another name" in found.detail


def test_a_port_that_says_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        found = trouble_with(f"https://127.0.0.1:{port}", "endpoint_url", timeout=0.2)
    assert found and found.part == "tls" and "check the port of endpoint_url" in found.remedy


@pytest.mark.parametrize(
    ("failure", "part", "said"),
    [
        (socket.timeout("timed out"), "port", "did not answer within 10 s"),
        (OSError(101, "Network is unreachable"), "port", "no way leads to s3.example.org:443"),
        (UnicodeError("label too long"), "name", "cannot be resolved"),
    ],
)
def test_networks_that_fail(failure: Exception, part: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_words: Any, **_named: Any) -> None:
        raise failure

    monkeypatch.setattr(socket, "create_connection", fail)
    found = trouble_with("https://s3.example.org", "endpoint_url")
    assert found and found.part == part and said in found.detail


@pytest.mark.parametrize(
    ("status", "headers", "code", "refused"),
    [
        (301, {"Location": "https://s3.example.org/"}, "", True),
        (308, {"Location": "/login"}, "", True),
        (301, {}, "PermanentRedirect", False),
        (301, {"x-amz-bucket-region": "eu-west-1", "Location": "https://s3.eu-west-1.amazonaws.com/"}, "", False),
    ],
)
def test_only_redirects_of_other_servers_are_refused(
    status: int, headers: dict[str, str], code: str, refused: bool
) -> None:
    def answer(asked: Asked) -> Reply:
        first = code and len(stub.asked) == 1
        return Reply(status, error(status, code).body if first else b"", headers)

    raised: Optional[BaseException] = None
    with Stub(answer) as stub:
        client = connect(Connection(**stub.server.options), retries={"max_attempts": 1})
        try:
            client.list_objects_v2(Bucket="media")
        # boto3 follows a redirect of AWS's, and the stub redirects for ever; Python 3.14 notices inside boto3's HTTP client
        except (MediaError, client.exceptions.ClientError, RecursionError, HTTPClientError) as exc:
            raised = exc
    assert isinstance(raised, Unreachable) is refused
    if refused:
        assert "sends elsewhere" in str(raised) and " as endpoint_url" in str(raised)
