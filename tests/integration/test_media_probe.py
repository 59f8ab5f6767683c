# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""media_probe against Ceph's real CORS and access rules, and against a web server that answers as told."""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.selfhosted.media.tests.run_module import run_ansible, run_module
from ansible_collections.selfhosted.media.tests.servers import Server, free_port

OWN, FOREIGN = "https://example.org", "https://elsewhere.example.com"
RULES = [
    {"allowed_origins": [OWN], "allowed_methods": ["GET", "PUT"], "allowed_headers": ["x-a"], "max_age_seconds": 60}
]


def run(url: str, **options: Any) -> dict[str, Any]:
    return run_module("media_probe", {"url": url, **options})


@pytest.fixture(scope="module")
def font(ceph: Server) -> str:
    """A public font in a bucket with CORS rules for OWN, and a private file beside it."""
    client = ceph.client()
    client.create_bucket(Bucket="probe")
    options = {"ContentType": "font/woff2", "CacheControl": "max-age=86400", "ACL": "public-read"}
    client.put_object(Bucket="probe", Key="static/x.woff2", Body=b"font", **options)
    client.put_object(Bucket="probe", Key="static/private", Body=b"secret")
    assert run_module("s3_cors", {**ceph.options, "bucket": "probe", "rules": RULES})["changed"]
    return f"{ceph.endpoint_url}/probe/static/x.woff2"


def test_own_pages_may_use_it(font: str) -> None:
    result = run(font, origin=OWN, sha256=hashlib.sha256(b"font").hexdigest(), size=4)
    assert result["problem"] == "none" and not result["changed"]
    assert (result["status"], result["preflight_status"], result["cors_allowed"]) == (200, 200, True)
    assert (result["content_type"], result["cache_control"]) == ("font/woff2", "max-age=86400")
    assert result["allow_origin"] == OWN


def test_foreign_pages_may_not(font: str) -> None:
    assert run(font, origin=FOREIGN, cors="denied")["problem"] == "none"
    assert not run(font, origin=FOREIGN, cors="ignored")["cors_allowed"]
    refused = run(font, origin=FOREIGN)
    assert refused["failed"] and refused["problem"] == "cors_forbidden" and refused["preflight_status"] == 403
    assert "AccessDenied" in refused["server_message"] and "s3_cors" in refused["msg"]
    admitted = run(font, origin=OWN, cors="denied")
    assert admitted["failed"] and admitted["problem"] == "cors_admitted"


def test_what_the_rules_cover(font: str) -> None:
    assert run(font, origin=OWN, method="PUT", request_headers=["X-A"])["problem"] == "none"
    assert run(font, origin=OWN, method="DELETE")["failed"]
    assert run(font, origin=OWN, request_headers=["x-other"])["failed"]


def test_private_and_missing(ceph: Server, font: str) -> None:
    url = font.replace("x.woff2", "private")
    assert run(url, public=False)["problem"] == "none"
    assert run(url)["problem"] == "forbidden"
    assert run(font, public=False)["problem"] == "readable"
    assert run(f"{ceph.endpoint_url}/no-such-bucket/x")["problem"] == "not_found"
    assert run(font, size=5)["problem"] == "different_content"
    assert run(font, sha256="00")["problem"] == "different_content"


class _Told(http.server.BaseHTTPRequestHandler):
    """Answers by the path: /<status of GET>/<status of OPTIONS>/<value of Access-Control-Allow-Origin>."""

    def _answer(self, status: str, origin: str) -> None:
        self.send_response(int(status))
        if origin:
            self.send_header("Access-Control-Allow-Origin", origin)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self) -> None:
        _root, status, _preflight, origin = self.path.split("/", 3)
        self._answer(status, origin if origin == "*" else "")

    def do_OPTIONS(self) -> None:
        _root, _status, preflight, origin = self.path.split("/", 3)
        self._answer(preflight, self.headers["Origin"] if origin == "preflight-only" else origin)

    def log_message(self, *_args: Any) -> None:
        pass


@contextlib.contextmanager
def _serving(context: ssl.SSLContext | None = None) -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Told)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"{'https' if context else 'http'}://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(scope="module")
def web() -> Iterator[str]:
    with _serving() as url:
        yield url


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("200/200/*", "none"),
        ("200/200/", "cors_header_missing"),
        ("200/200/preflight-only", "cors_header_missing"),
        ("200/403/*", "cors_forbidden"),
        ("200/302/*", "cors_forbidden"),
        ("403/200/*", "forbidden"),
        ("404/200/*", "not_found"),
        ("503/200/*", "unexpected_status"),
    ],
)
def test_answers_of_other_servers(web: str, path: str, problem: str) -> None:
    assert run(f"{web}/{path}", origin=OWN)["problem"] == problem


def test_mixed_content(web: str, monkeypatch: pytest.MonkeyPatch) -> None:
    port = web.rsplit(":", 1)[1]
    resolve = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda _host, *rest, **named: resolve("127.0.0.1", *rest, **named))
    monkeypatch.setenv("no_proxy", "*")
    mixed = run(f"http://media.example.org:{port}/200/200/*", origin=OWN)
    assert mixed["problem"] == "mixed_content" and "https" in mixed["msg"]
    assert run(f"http://media.example.org:{port}/200/200/*", origin="http://example.org")["problem"] == "none"


def test_certificates(tmp_path: Path) -> None:
    certificate = tmp_path / "cert.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=127.0.0.1"]
    command += [
        "-addext",
        "subjectAltName=IP:127.0.0.1",
        "-keyout",
        str(certificate),
        "-out",
        str(tmp_path / "only.pem"),
    ]
    subprocess.run(command, check=True, capture_output=True)
    certificate.write_text(certificate.read_text() + (tmp_path / "only.pem").read_text())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with _serving(context) as url:
        refused = run(f"{url}/200/200/*")
        assert refused["problem"] == "certificate" and "certificate of 127.0.0.1" in refused["msg"]
        assert run(f"{url}/200/200/*", ca_path=str(tmp_path / "only.pem"))["problem"] == "none"
        assert run(f"{url}/200/200/*", validate_certs=False)["problem"] == "none"
        assert "cannot be read as certificates" in run(url, ca_path=str(tmp_path / "none.pem"))["msg"]


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://127.0.0.1:{port}/x", "no answer from 127.0.0.1"),
        ("http://no-such-host.invalid/x", "no-such-host.invalid"),
    ],
)
def test_nobody_there(url: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")
    result = run(url.format(port=free_port()))
    assert (result["status"], result["problem"]) == (0, "unreachable") and said in result["msg"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"url": "media.example.org"}, "not the URL of a web server"),
        ({"origin": "https://example.org/"}, "is not an origin"),
    ],
)
def test_bad_input_has_a_sentence(web: str, options: dict[str, Any], said: str) -> None:
    assert said in run_module("media_probe", {"url": f"{web}/200/200/*", **options})["msg"]


def test_through_ansible(font: str) -> None:
    assert run_ansible("media_probe", {"url": font, "origin": OWN})["cors_allowed"]
