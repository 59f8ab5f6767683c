# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is read through the Web API, and what is said when it answers something else: a small server answers as told."""

from __future__ import annotations

import base64
import http.server
import json
import threading
import urllib.parse
from collections.abc import Iterator
from typing import Any, Callable

import pytest
from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._gramps.webapi import WebApi
from ansible_collections.selfhosted.media.tests.servers import free_port

PASSWORD = "a pass-word"
Answer = tuple[int, dict[str, str], Any]
Handler = Callable[[dict[str, str], bytes], Answer]


def token(**claims: Any) -> str:
    told = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"head.{told}.signature"


class Server:
    """A Web API with as many media objects as wanted; each answer can be another one."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.rows = [
            {"handle": f"h{n}", "gramps_id": f"O{n}", "path": f"{n}.jpg", "checksum": "c", "mime": None}
            for n in range(1234)
        ]
        self.claims: dict[str, Any] = {"tree": "5f3e", "permissions": ["ViewPrivate"]}
        self.token: Handler = self.give_token
        self.media: Handler = self.list_media

    def give_token(self, _query: dict[str, str], body: bytes) -> Answer:
        if json.loads(body) != {"username": "owner", "password": PASSWORD}:
            return 401, {}, {"error": "wrong"}
        return 200, {}, {"access_token": token(**self.claims)}

    def list_media(self, query: dict[str, str], _body: bytes) -> Answer:
        first = (int(query["page"]) - 1) * int(query["pagesize"])
        return 200, {"X-Total-Count": str(len(self.rows))}, self.rows[first : first + int(query["pagesize"])]

    def tree(self, user: str = "owner", password: str = PASSWORD) -> Any:
        return WebApi(self.url, user, password).tree()


@pytest.fixture
def server() -> Iterator[Server]:
    class Listener(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urllib.parse.urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            find: dict[str, Handler] = {
                "/api/token/": made.token,
                "/api/media/": made.media,
            }
            status, headers, content = find[parts.path](dict(urllib.parse.parse_qsl(parts.query)), body)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content if isinstance(content, bytes) else json.dumps(content).encode())

        do_POST = do_GET

        def log_message(self, *_words: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Listener) as listening:
        made = Server(f"http://127.0.0.1:{listening.server_port}")
        threading.Thread(target=listening.serve_forever, args=(0.02,), daemon=True).start()
        yield made
        listening.shutdown()


def test_all_pages_are_read(server: Server) -> None:
    server.url += "/"
    tree = server.tree()
    assert (tree.tree_id, len(tree.rows), tree.rows[1233]) == ("5f3e", 1234, ("h1233", "O1233", "1233.jpg", "", "c"))
    server.rows = []
    assert server.tree().rows == []


def test_an_answer_without_a_count_is_read_to_its_end(server: Server) -> None:
    server.media = lambda query, body: (200, {}, server.list_media(query, body)[2])
    assert len(server.tree().rows) == 1234


def told(server: Server, **login: str) -> str:
    with pytest.raises(MediaError) as caught:
        server.tree(**login)
    assert PASSWORD not in str(caught.value)
    return str(caught.value)


def test_who_may_not_see_everything_is_refused(server: Server) -> None:
    """What a guest does not see would be left out, and be a broken picture on S3."""
    assert "does not accept user owner with this password" in told(server, password="other")
    server.claims["permissions"] = ["EditObject"]
    assert "user owner of" in told(server) and "may not see private media, which would be left out" in told(server)
    del server.claims["permissions"]  # nothing is known
    assert len(server.tree().rows) == 1234


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ((403, {}, {}), "does not let user owner list media; its role has to be member or more"),
        ((500, {}, b"broken"), "/api/media/ answers 500"),
        ((200, {}, b"<html>"), "/api/media/ does not answer with JSON; is it a Gramps Web?"),
        ((200, {}, {"error": "x"}), "/api/media/ does not answer with a list; is it a Gramps Web?"),
        (
            (301, {"Location": "https://x.example/api/media/?a=b"}, b""),
            "answers 301 and sends on to https://x.example/api/media/",
        ),
        ((200, {"X-Total-Count": "9"}, []), "tells of 9 media objects and names 0; run again"),
        ((200, {}, [{"handle": "h"}]), "changed while its media were listed; run again"),
        ((200, {"X-Total-Count": "2"}, [{"handle": "h"}] * 2), "changed while its media were listed; run again"),
    ],
)
def test_what_is_no_list_of_media_has_a_sentence(server: Server, answer: Answer, sentence: str) -> None:
    server.media = lambda query, body: answer
    assert sentence in told(server)


def test_what_is_no_gramps_web_has_a_sentence(server: Server) -> None:
    server.token = lambda query, body: (200, {}, [])
    assert "gives no access token; is it a Gramps Web?" in told(server)
    server.token = lambda query, body: (302, {"Location": "http://x.example/"}, b"")
    assert "answers 302 and sends on to http://x.example/" in told(server)
    server.url = f"http://127.0.0.1:{free_port()}"
    assert "does not answer: [Errno 111]" in told(server)
