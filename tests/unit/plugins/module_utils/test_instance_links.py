# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a BookWyrm still links to as /images/..., and whether its site redirects that to the bucket."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Callable, Optional
from urllib.parse import unquote

import pytest
from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._instance.command import CommandFailed, Runner
from ansible_collections.selfhosted.media.plugins.module_utils._instance.links import Links, find_links
from ansible_collections.selfhosted.media.plugins.module_utils._instance.redirect import why_not_redirected
from ansible_collections.selfhosted.media.tests.servers import free_port

PUBLIC = "https://media.example/b"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("covers/a.jpg", "covers/a.jpg"),
        ("covers/a.jpg) and more", "covers/a.jpg"),
        ("covers/a.jpg' alt='x'>", "covers/a.jpg"),
        ("covers/a.jpg?v=1#top", "covers/a.jpg"),
        ("covers/a%20b.jpg", "covers/a b.jpg"),
        ("covers/a b.jpg", "covers/a b.jpg"),
        ("covers/zo%C3%AB%20100%25.jpg", "covers/zoë 100%.jpg"),
        ("covers/zoë.jpg", "covers/zoë.jpg"),
        ("covers/a&amp;b.jpg", "covers/a&b.jpg"),
        ("covers/a%26amp%3Bb.jpg", "covers/a&amp;b.jpg"),
        ("covers/100%.jpg", "covers/100%.jpg"),
        ("covers/a(1).jpg)", "covers/a(1).jpg"),
    ],
)
def test_a_file_that_a_text_links_to_is_kept(text: str, name: str) -> None:
    links = Links(["aaa/first.jpg", text, "zzz/last.jpg"])
    assert "links to it" in links.why_kept(name.encode())
    assert links.why_kept(name.encode() + b".webp") == ""
    assert links.why_kept(b"x" + name.encode()) == ""


def test_folders_that_others_link_to_are_kept_whatever_the_database_says() -> None:
    links = Links([])
    assert links.why_kept(b"avatars/a.jpg") and links.why_kept(b"uploads/user_1/a.jpg")
    for name in (b"covers/a.jpg", b"avatars2/a.jpg", b"previews/avatars/a.jpg", b"status/a.jpg"):
        assert links.why_kept(name) == ""


def manage_that_says(tmp_path: Path, said: str, code: int = 0) -> str:
    manage = tmp_path / "manage"
    manage.write_text(f"#!/bin/sh\nprintf '%s\\n' \"$@\" > arguments\ncat <<'END'\n{said}\nEND\nexit {code}\n")
    manage.chmod(0o755)
    return str(manage)


@pytest.mark.parametrize("line", [False, True])
def test_the_database_is_asked_by_the_applications_own_shell(tmp_path: Path, line: bool) -> None:
    manage = manage_that_says(tmp_path, 'noise\nselfhosted.media:["covers/a.jpg\\" alt"]')
    links = find_links(Runner(str(tmp_path)), f"{manage} --settings=x" if line else [manage])
    assert links.why_kept(b"covers/a.jpg")
    assert not links.why_kept(b"covers/b.jpg")
    arguments = (tmp_path / "arguments").read_text()
    assert "shell\n-c\n" in arguments
    compile(arguments.partition("-c\n")[2], "script", "exec")


def test_a_database_that_does_not_answer_never_means_no_links(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match="asking the database"):
        find_links(Runner(str(tmp_path)), [manage_that_says(tmp_path, "selfhosted.media:[]", 1)])
    with pytest.raises(MediaError, match="bookwyrm_manage_command"):
        find_links(Runner(str(tmp_path)), ["echo"])


# -- the redirect ------------------------------------------------------------------------------------------------------------

#: The status and Location for a path, decoded.
Answers = Callable[[str], tuple[int, Optional[str]]]


class Site(http.server.BaseHTTPRequestHandler):
    answers: Answers
    asked: list[tuple[str, str]]

    def do_GET(self) -> None:
        self.asked.append((self.headers["Host"], self.path))
        status, location = type(self).answers(self.path)
        self.send_response(status)
        if location:
            self.send_header("Location", location)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_words: object) -> None:
        pass


@pytest.fixture
def ask(tmp_path: Path) -> Iterator[Callable[[Answers], tuple[str, list[tuple[str, str]]]]]:
    """Asks a site that answers so, with the folders covers and uploads: why not, and what was asked."""
    (tmp_path / "covers").mkdir()
    (tmp_path / "uploads").mkdir()
    (tmp_path / "private.zip").write_bytes(b"x")
    site = type("OneSite", (Site,), {"asked": []})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), site)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()

    def do(answers: Answers) -> tuple[str, list[tuple[str, str]]]:
        site.answers = staticmethod(answers)  # type: ignore[attr-defined]
        url = f"http://127.0.0.1:{server.server_address[1]}/"
        return why_not_redirected(url, "books.example", PUBLIC, str(tmp_path)), site.asked  # type: ignore[attr-defined]

    yield do
    server.shutdown()
    server.server_close()


Ask = Callable[[Answers], tuple[str, list[tuple[str, str]]]]


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_to_the_bucket_is_found(ask: Ask, status: int) -> None:
    why_not, asked = ask(lambda path: (status, PUBLIC + path))
    assert why_not == ""
    assert {host for host, _path in asked} == {"books.example"}
    folders = {path.split("/")[2] for _host, path in asked}
    assert folders == {"avatars", "covers", "uploads"}
    assert any(" " in unquote(path) and "ë" in unquote(path) and "%" in unquote(path) for _host, path in asked)


@pytest.mark.parametrize(
    "answers",
    [
        pytest.param(lambda path: (302, PUBLIC + path.replace("%C3%AB", "%c3%ab")), id="encoded otherwise"),
        pytest.param(lambda path: (302, PUBLIC + path + "?from=images"), id="with a query"),
        pytest.param(lambda path: (302, PUBLIC.replace("media", "MEDIA") + path), id="in capitals"),
    ],
)
def test_an_odd_redirect_to_the_same_object_counts(ask: Ask, answers: Answers) -> None:
    assert ask(answers)[0] == ""


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        pytest.param(lambda _path: (200, None), "with 200 instead", id="from the disk"),
        pytest.param(lambda _path: (404, None), "with 404 instead", id="not found"),
        pytest.param(lambda path: (303, PUBLIC + path), "with 303 instead", id="see other"),
        pytest.param(lambda path: (301, "https://books.example" + path), "to https://books.example/images/", id="to itself"),
        pytest.param(lambda path: (302, path), "to http://127.0.0.1", id="relative"),
        pytest.param(lambda _path: (302, None), "to http://127.0.0.1", id="nowhere"),
        pytest.param(lambda path: (302, PUBLIC + path.removeprefix("/images")), "instead of https://media.example/b/images/", id="without images"),
        pytest.param(lambda path: (302, "https://other.example/b" + path), "to https://other.example", id="to another"),
        pytest.param(lambda path: (302, PUBLIC + path.replace("%20", "_")), "instead of", id="spaces mangled"),
        pytest.param(lambda path: (302, PUBLIC + path) if "covers" in path else (404, None), "with 404", id="one folder"),
    ],
)  # fmt: skip
def test_what_is_no_redirect_to_the_bucket_is_told(ask: Ask, answers: Answers, reason: str) -> None:
    assert reason in ask(answers)[0]


def test_a_site_that_does_not_answer_has_no_redirect(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    assert "no answer" in why_not_redirected(url, "books.example", PUBLIC, str(tmp_path))
