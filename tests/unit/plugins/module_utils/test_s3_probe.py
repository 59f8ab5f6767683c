# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a browser makes of an answer."""

from __future__ import annotations

from typing import Any, Optional

import pytest
from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._s3.probe import (
    Answer,
    Expectation,
    Look,
    Question,
    is_mixed_content,
    judge,
    look,
    message_in,
    preflight_admits,
)

URL, ORIGIN = "https://media.example.org/x.woff2", "https://example.org"
ADMITS = {"access-control-allow-origin": ORIGIN}


def answer(status: int = 200, headers: Optional[dict[str, str]] = None, **fields: Any) -> Answer:
    return Answer(status=status, headers=headers or {}, **fields)


@pytest.mark.parametrize(
    ("method", "asked", "status", "headers", "admitted"),
    [
        ("GET", (), 200, ADMITS, True),
        ("GET", (), 204, {"access-control-allow-origin": "*"}, True),
        ("GET", (), 200, {}, False),
        ("GET", (), 200, {"access-control-allow-origin": "https://other.example.org"}, False),
        ("GET", (), 403, ADMITS, False),
        ("GET", (), 302, ADMITS, False),
        ("PUT", (), 200, ADMITS, False),
        ("PUT", (), 200, {**ADMITS, "access-control-allow-methods": "GET, PUT"}, True),
        ("GET", ("X-A",), 200, ADMITS, False),
        ("GET", ("X-A",), 200, {**ADMITS, "access-control-allow-headers": "x-a,x-b"}, True),
        ("GET", ("X-A",), 200, {**ADMITS, "access-control-allow-headers": "*"}, True),
    ],
)
def test_preflights(method: str, asked: tuple[str, ...], status: int, headers: dict[str, str], admitted: bool) -> None:
    question = Question(URL, ORIGIN, method=method, request_headers=asked)
    assert preflight_admits(answer(status, headers), question) is admitted


@pytest.mark.parametrize(
    ("public", "expected", "problem"),
    [
        (answer(), {}, "none"),
        (answer(403), {}, "forbidden"),
        (answer(403), {"public": False}, "none"),
        (answer(400), {"public": False}, "none"),
        (answer(200), {"public": False}, "readable"),
        (answer(404), {}, "not_found"),
        (answer(404), {"public": False}, "not_found"),
        (answer(500), {}, "unexpected_status"),
        (answer(500), {"public": False}, "unexpected_status"),
        (answer(0, problem="certificate"), {}, "certificate"),
        (answer(size=3, sha256="aa"), {}, "different_content"),
    ],
)
def test_reading(public: Answer, expected: dict[str, Any], problem: str) -> None:
    question = Question(URL, size=4 if public.size else None)
    assert judge(question, Look(public), Expectation(**expected))[0] == problem


@pytest.mark.parametrize(
    ("get", "preflight", "cors", "problem"),
    [
        (answer(200, ADMITS), answer(200, ADMITS), "allowed", "none"),
        (answer(200), answer(403), "allowed", "cors_forbidden"),
        (answer(200), answer(200), "allowed", "cors_header_missing"),
        (answer(200), answer(200, ADMITS), "allowed", "cors_header_missing"),
        (answer(403), answer(200, ADMITS), "allowed", "none"),
        (answer(200), answer(403), "denied", "none"),
        (answer(200, ADMITS), answer(403), "denied", "cors_admitted"),
        (answer(200), answer(200, ADMITS), "denied", "cors_admitted"),
        (answer(200), answer(403), "ignored", "none"),
        (answer(200), answer(0, problem="unreachable"), "allowed", "unreachable"),
    ],
)
def test_cors(get: Answer, preflight: Answer, cors: str, problem: str) -> None:
    seen = Look(answer(), with_origin=get, preflight=preflight)
    assert judge(Question(URL, ORIGIN), seen, Expectation(cors=cors))[0] == problem


def test_a_request_that_the_rules_do_not_cover() -> None:
    seen = Look(answer(), with_origin=answer(200, ADMITS), preflight=answer(200, ADMITS))
    assert judge(Question(URL, ORIGIN, method="PUT"), seen, Expectation(cors="allowed"))[0] == "cors_request_refused"


@pytest.mark.parametrize(
    ("url", "origin", "mixed"),
    [
        ("http://media.example.org/x", "https://example.org", True),
        ("http://media.example.org/x", "http://example.org", False),
        ("https://media.example.org/x", "https://example.org", False),
        ("http://127.0.0.1:8000/x", "https://example.org", False),
        ("http://localhost/x", "https://example.org", False),
        ("http://media.example.org/x", None, False),
    ],
)
def test_mixed_content(url: str, origin: Optional[str], mixed: bool) -> None:
    assert is_mixed_content(url, origin) is mixed


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"<?xml?><Error><Code>AccessDenied</Code><Message>No.</Message></Error>", "AccessDenied: No."),
        (b"<Error><Code>AccessDenied</Code><Message></Message></Error>", "AccessDenied"),
        (b"<html><h1>403</h1>\nno \xff</html>", "403 no \N{REPLACEMENT CHARACTER}"),
        (b"", ""),
    ],
)
def test_the_servers_message(body: bytes, said: str) -> None:
    assert message_in(body) == said


@pytest.mark.parametrize("question", [Question("media.example.org/x"), Question("ftp://example.org/x")])
def test_urls_that_are_none(question: Question) -> None:
    with pytest.raises(MediaError, match="not the URL of a web server"):
        look(question)
