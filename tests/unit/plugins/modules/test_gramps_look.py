# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is seen when media are looked at as a user does, and which of it fails a run: small servers answer as told."""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import json
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._gramps.look import Seen, look
from ansible_collections.selfhosted.media.plugins.module_utils._instance.command import CommandFailed, Runner
from ansible_collections.selfhosted.media.plugins.modules.gramps_look import unexpected

PASSWORD = "a pass-word"
PICTURE = b"a picture"
MD5 = hashlib.md5(PICTURE).hexdigest()


@contextlib.contextmanager
def answering(answers: dict[str, tuple[int, dict[str, str], bytes]]) -> Iterator[tuple[str, list[dict[str, str]]]]:
    """A server; its URL, and the headers of each request."""
    asked: list[dict[str, str]] = []

    class Listener(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(dict(self.headers))
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, headers, content = answers[self.path.partition("?")[0]]
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET

        def log_message(self, *_words: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Listener) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()


def looked(url: str, folder: Path, **asked: Any) -> tuple[int, list[Seen]]:
    runner = Runner(str(folder), None, 60, {"LOOK_USER": "owner", "LOOK_PASSWORD": PASSWORD})
    options = {"url": url, "trees": [], "sample": 20, "seed": 1, "clear": False, **asked}
    return look(runner, [sys.executable], **options)


def test_a_picture_is_followed_to_the_bucket_without_the_token(tmp_path: Path) -> None:
    rows = [
        {"handle": handle, "gramps_id": handle.upper(), "path": f"{handle}.jpg", "checksum": MD5.upper(), "mime": None}
        for handle in ("right", "gone", "other", "here", "broken")
    ]
    stored = {
        f"/bucket/{name}": (200, {"Content-Type": "image/jpeg"}, content)
        for name, content in (("right", PICTURE), ("other", b"another"))
    }
    stored["/bucket/gone"] = (404, {}, b"<Code>NoSuchKey</Code>")
    with answering(stored) as (bucket, asked_there):
        answers: dict[str, tuple[int, dict[str, str], bytes]] = {
            f"/api/media/{name}/file": (307, {"Location": f"{bucket}/bucket/{name}?X-Amz-Signature=s"}, b"")
            for name in ("right", "gone", "other")
        }
        answers["/api/media/here/file"] = (200, {}, PICTURE)
        answers["/api/media/broken/file"] = (500, {}, b"Internal error")
        answers["/api/token/"] = (200, {}, b'{"access_token": "the-token"}')
        answers["/api/media/"] = (200, {}, json.dumps(rows).encode())
        with answering(answers) as (url, _asked_here):
            number, seen = looked(url, tmp_path)
    assert number == len(seen) == 5
    found = {one.name.partition(" ")[0]: one for one in seen}
    host = bucket.partition("//")[2]
    assert {name: one.is_right for name, one in found.items()} == {
        "RIGHT": True,
        "HERE": True,
        "GONE": False,
        "OTHER": False,
        "BROKEN": False,
    }
    assert (found["RIGHT"].redirected_to, found["HERE"].redirected_to) == (host, "")
    assert found["GONE"].reason == f"{host} answers 404: <Code>NoSuchKey</Code>"
    assert found["BROKEN"].reason == "Gramps Web answers 500: Internal error"
    assert "other content than the database records" in found["OTHER"].reason
    assert asked_there and not any("Authorization" in headers for headers in asked_there)


@pytest.mark.parametrize(
    ("answers", "sentence"),
    [
        ({"/api/token/": (401, {}, b"")}, "user owner cannot log in: 401"),
        (
            {"/api/token/": (200, {}, b'{"access_token": "t"}'), "/api/media/": (500, {}, b"no such tree")},
            "the list of media is answered with 500: no such tree",
        ),
    ],
)
def test_an_application_that_does_not_answer_as_it_should_is_no_reason_to_leave_it_out(
    tmp_path: Path, answers: dict[str, Any], sentence: str
) -> None:
    with answering(answers) as (url, _asked), pytest.raises(MediaError) as caught:
        looked(url, tmp_path)
    assert not isinstance(caught.value, CommandFailed)  # which may mean that no token can be made
    assert sentence in str(caught.value)
    assert PASSWORD not in str(caught.value)


def test_what_was_known_before_fails_no_run() -> None:
    missing = [Seen(f"m{n}", MD5, "", 404) for n in range(2)]
    different, broken = Seen("d", MD5, "", 200, "other"), Seen("b", MD5, "", 500)
    strict = {"missing_allowed": False, "not_stored": 0, "different_allowed": False}
    wrong = [*missing, different, broken]
    assert unexpected(wrong, strict) == wrong
    assert unexpected(wrong, {**strict, "not_stored": 2}) == [different, broken]
    assert unexpected(wrong, {**strict, "not_stored": 1}) == wrong
    assert unexpected(wrong, {**strict, "missing_allowed": True, "different_allowed": True}) == [broken]
