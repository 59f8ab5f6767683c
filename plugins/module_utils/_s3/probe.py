# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks at a URL as a browser would: without credentials, with an Origin, and with the preflight before the real request."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import ipaddress
import re
import socket
import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from functools import lru_cache
from typing import IO, Any, Optional
from urllib.parse import urlsplit

from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError

#: Methods that a browser sends without a preflight, so that a preflight's answer need not name them.
SIMPLE_METHODS = frozenset({"GET", "HEAD", "POST"})


@dataclass(frozen=True)
class Question:
    """What to look at."""

    url: str
    origin: Optional[str] = None
    method: str = "GET"
    request_headers: tuple[str, ...] = ()
    sha256: Optional[str] = None
    size: Optional[int] = None
    validate_certs: bool = True
    ca_path: Optional[str] = None
    timeout: float = 10
    #: how much of the body is to be in the answer
    keep: int = 0


@dataclass
class Answer:
    """What came back. A status of 0: no answer; then `problem` and `message` say why."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    size: Optional[int] = None
    sha256: Optional[str] = None
    beginning: bytes = b""
    server_message: str = ""
    problem: str = "none"
    message: str = ""

    def admits(self, origin: str) -> bool:
        """Whether a browser lets a page of the origin use this answer."""
        return self.headers.get("access-control-allow-origin") in ("*", origin)


@dataclass
class Look:
    """The answers to a public GET, a GET from the origin and its preflight."""

    public: Answer
    with_origin: Optional[Answer] = None
    preflight: Optional[Answer] = None


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_args: Any, **_kwargs: Any) -> None:
        return None  # a browser takes a redirect as the failure of a preflight


def look(question: Question) -> Look:
    """Ask. What goes wrong is part of the answer; only a question that makes no sense raises."""
    if urlsplit(question.url).scheme not in ("http", "https") or not urlsplit(question.url).netloc:
        raise MediaError(f"url {question.url!r} is not the URL of a web server; it begins with https:// or http://")
    public = _ask(question, "GET", {})
    if question.origin is None or not public.status:
        return Look(public)
    if urlsplit(question.origin).path or not urlsplit(question.origin).netloc:
        raise MediaError(
            f"origin {question.origin!r} is not an origin; browsers send scheme, host and port: https://example.org"
        )
    headers = {"Origin": question.origin, "Access-Control-Request-Method": question.method}
    if question.request_headers:
        headers["Access-Control-Request-Headers"] = ",".join(name.lower() for name in question.request_headers)
    return Look(
        public,
        with_origin=_ask(question, "GET", {"Origin": question.origin}),
        preflight=_ask(question, "OPTIONS", headers),
    )


def preflight_admits(answer: Answer, question: Question) -> bool:
    """Whether a browser goes on after this answer to its preflight."""

    def named(header: str) -> set[str]:
        return {one.strip().lower() for one in answer.headers.get(header, "").split(",")}

    methods, headers = named("access-control-allow-methods"), named("access-control-allow-headers")
    return (
        200 <= answer.status < 300
        and answer.admits(question.origin or "")
        and (question.method in SIMPLE_METHODS or bool({question.method.lower(), "*"} & methods))
        and ("*" in headers or {name.lower() for name in question.request_headers} <= headers)
    )


def _ask(question: Question, method: str, headers: dict[str, str]) -> Answer:
    request = urllib.request.Request(question.url, method=method, headers={"User-Agent": "selfhosted.media", **headers})  # noqa: S310
    handlers: list[urllib.request.BaseHandler] = [
        urllib.request.HTTPSHandler(context=tls_context(question.ca_path, question.validate_certs))
    ]
    if method == "OPTIONS":
        handlers.append(_NoRedirect())
    host = urlsplit(question.url).hostname or ""
    if _is_loopback(host):
        handlers.append(urllib.request.ProxyHandler({}))
    try:
        return _read(urllib.request.build_opener(*handlers).open(request, timeout=question.timeout), question, method)
    except urllib.error.HTTPError as exc:
        with exc:
            return _read(exc, question, method)
    except (OSError, http.client.HTTPException, ValueError) as exc:
        return _no_answer(exc, host)


@lru_cache(maxsize=4)  # reading the authorities takes longer than a request
def tls_context(ca_path: Optional[str], validate_certs: bool) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=ca_path)
    except OSError as exc:
        raise MediaError(f"{ca_path} cannot be read as certificates: {exc}") from exc
    if not validate_certs:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _read(response: Any, question: Question, method: str) -> Answer:
    with contextlib.closing(response):
        answer = Answer(status=response.status if hasattr(response, "status") else response.code)
        answer.headers = {name.lower(): value for name, value in response.headers.items()}
        if answer.status >= 400:
            answer.server_message = message_in(response.read(4096))
        elif method == "GET" and question.keep:
            answer.beginning = response.read(question.keep)
        elif method == "GET" and (question.sha256 or question.size is not None):
            answer.size, answer.sha256 = _measure(response)
        return answer


def _measure(body: IO[bytes]) -> tuple[int, str]:
    size, digest = 0, hashlib.sha256()
    while chunk := body.read(1 << 20):
        size += len(chunk)
        digest.update(chunk)
    return size, digest.hexdigest()


def message_in(body: bytes) -> str:
    """What an error's body says: the code and message of an S3 service, else its text without tags, shortened."""
    text = body.decode("utf-8", "replace")
    said = [match.group(1).strip() for match in re.finditer(r"<(?:Code|Message)>([^<]*)</", text)]
    if not said:
        said = [re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", text)).strip()[:200]]
    return ": ".join(one for one in said if one)


def _no_answer(exc: Exception, host: str) -> Answer:
    reason: object = exc.reason if isinstance(exc, urllib.error.URLError) else exc
    if isinstance(reason, ssl.SSLCertVerificationError):
        return Answer(problem="certificate", message=f"the certificate of {host} is not valid: {reason.verify_message}")
    if isinstance(reason, ssl.SSLError):
        return Answer(problem="certificate", message=f"no TLS connection to {host}: {reason.reason or reason}")
    if isinstance(reason, socket.gaierror):
        return Answer(
            problem="unreachable", message=f"the name {host} cannot be resolved; check the spelling and the DNS"
        )
    if isinstance(reason, (socket.timeout, TimeoutError)):
        return Answer(problem="unreachable", message=f"{host} did not answer in time; check firewall and network")
    return Answer(problem="unreachable", message=f"no answer from {host}: {reason or type(exc).__name__}")


def _is_loopback(host: str) -> bool:
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost" or host.endswith(".localhost")


def is_mixed_content(url: str, origin: Optional[str]) -> bool:
    """Whether a browser blocks the URL because the page is https and the URL is not. This machine's own address is exempt."""
    https_page = urlsplit(origin or "").scheme == "https"
    return https_page and urlsplit(url).scheme == "http" and not _is_loopback(urlsplit(url).hostname or "")


@dataclass(frozen=True)
class Expectation:
    """What is right: everybody may read it or not; pages of the origin may use it (allowed), may not (denied), or either."""

    public: bool = True
    cors: str = "ignored"


def judge(question: Question, seen: Look, expected: Expectation) -> tuple[str, str]:
    """The first problem and a sentence on it, or `none`."""
    for problem, message in (
        _judge_reading(question, seen.public, expected.public),
        _judge_mixed(question),
        judge_cors(question, seen, expected.cors),
    ):
        if problem != "none":
            return problem, message
    return "none", f"{question.url}: as expected"


def cors_allowed(question: Question, seen: Look) -> Optional[bool]:
    """Whether pages of the origin may use the URL, with and without preflight. None: not asked."""
    if seen.preflight is None or seen.with_origin is None or question.origin is None:
        return None
    # A refused GET carries no CORS headers at some services: then the preflight alone decides.
    get_admits = seen.with_origin.admits(question.origin) or seen.with_origin.status >= 400
    return preflight_admits(seen.preflight, question) and get_admits


_Verdict = tuple[str, str]
_FINE: _Verdict = ("none", "")


def _judge_reading(question: Question, answer: Answer, public: bool) -> _Verdict:
    url = question.url
    said = f" ({answer.server_message})" if answer.server_message else ""
    if not answer.status:
        return answer.problem, f"{url}: {answer.message}"
    if answer.status == 404:
        return "not_found", f"{url}: not found{said}; check the key and the public domain, or upload the file"
    if not public and 400 <= answer.status < 500:
        return _FINE
    if not public and answer.status < 400:
        return (
            "readable",
            f"{url}: everybody can read it (status {answer.status}), although it is to be private; take publication back",
        )
    if answer.status in (401, 403):
        advice = "publish its prefix (s3_bucket with public_prefixes), or upload it with the ACL that the service wants (public-read)"
        return "forbidden", f"{url}: refused with {answer.status}{said}; {advice}"
    if answer.status != 200:
        return (
            "unexpected_status",
            f"{url}: status {answer.status}{said} instead of 200; check the public domain and the service",
        )
    if question.size is not None and answer.size != question.size:
        return "different_content", f"{url}: {answer.size} bytes instead of {question.size}; upload the file again"
    if question.sha256 and answer.sha256 != question.sha256.lower():
        return (
            "different_content",
            f"{url}: other content than expected (SHA-256 {answer.sha256}); upload the file again",
        )
    return _FINE


def _judge_mixed(question: Question) -> _Verdict:
    if not is_mixed_content(question.url, question.origin):
        return _FINE
    return (
        "mixed_content",
        f"{question.url}: browsers block it on pages of {question.origin}, because the page is https and this is not; serve the bucket by"
        " https",
    )


def judge_cors(question: Question, seen: Look, expected: str) -> _Verdict:
    """The same of CORS alone, whatever the GET without an origin met."""
    allowed = cors_allowed(question, seen)
    if allowed is None or expected == "ignored" or seen.preflight is None or seen.with_origin is None:
        return _FINE
    origin, where = question.origin or "", f"{question.url}: pages of {question.origin}"
    if expected == "denied":
        if not preflight_admits(seen.preflight, question) and not seen.with_origin.admits(origin):
            return _FINE
        return "cors_admitted", f"{where} may use it, although they are not to; leave the origin out of the CORS rules"
    if allowed:
        return _FINE
    advice = "set the CORS rules of the bucket with this very origin (s3_cors); through a CDN, let it pass Origin on and purge it"
    if not seen.preflight.status:
        return seen.preflight.problem, f"{where}: the preflight got no answer: {seen.preflight.message}"
    if not 200 <= seen.preflight.status < 300:
        said = f", {seen.preflight.server_message}" if seen.preflight.server_message else ""
        return "cors_forbidden", f"{where} may not use it (preflight {seen.preflight.status}{said}); {advice}"
    if not seen.preflight.admits(origin):
        return (
            "cors_header_missing",
            f"{where} may not use it: the preflight's answer does not name the origin; {advice}",
        )
    if not preflight_admits(seen.preflight, question):
        return (
            "cors_request_refused",
            f"{where} may not send {question.method} with these headers; add them to the CORS rules",
        )
    return (
        "cors_header_missing",
        f"{where} may not use it: GET is answered without Access-Control-Allow-Origin; {advice}",
    )
