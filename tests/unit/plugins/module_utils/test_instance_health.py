# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looking at the front page: what counts as healthy, and what is told when it is not."""

from __future__ import annotations

import http.server
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Optional, Union

import pytest
from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._instance import health
from ansible_collections.selfhosted.media.plugins.module_utils._instance.command import Runner
from ansible_collections.selfhosted.media.plugins.module_utils._instance.health import (
    ContainerLooker,
    HttpLooker,
    NotUp,
    Page,
    Unhealthy,
    looker_of,
    urls_in,
    wait_until_healthy,
)


@contextmanager
def page(
    status: int, body: bytes = b"", pause: float = 0, headers: Optional[dict[str, str]] = None
) -> Iterator[tuple[str, list[Any]]]:
    """A server with one page; yields its URL and the headers of the requests."""
    asked: list[Any] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.headers)
            time.sleep(pause)
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/", asked
    finally:
        server.shutdown()


@pytest.mark.parametrize(
    ("answer", "healthy"),
    [
        (Page(200, "", ""), True),
        (Page(302, "/setup", ""), True),
        (Page(302, "", ""), False),
        (Page(500, "", ""), False),
        (Page(404, "", ""), False),
        (Page(204, "", ""), False),
    ],
)
def test_what_is_healthy(answer: Page, healthy: bool) -> None:
    assert answer.healthy is healthy


def test_it_asks_as_the_proxy_does_and_follows_nothing() -> None:
    with page(302, headers={"Location": "https://elsewhere.invalid/"}) as (url, asked):
        seen = HttpLooker(url, {"Host": "books.example", "X-Forwarded-Proto": "https"}).look()
    assert (seen.status, seen.location) == (302, "https://elsewhere.invalid/")
    assert [(headers["Host"], headers["X-Forwarded-Proto"]) for headers in asked] == [("books.example", "https")]


def test_errors_of_the_server_and_of_the_line() -> None:
    with page(500, b"oops") as (url, _asked):
        assert HttpLooker(url).look() == Page(500, "", "oops")
        with pytest.raises(Unhealthy, match="the front page answers 500, for 0 s"):
            wait_until_healthy(HttpLooker(url), 0.2, pause=0.05)
    with pytest.raises(Unhealthy, match=r"http://127.0.0.1:1/ does not answer: .*refused"):
        HttpLooker("http://127.0.0.1:1/").look()
    with (
        page(200, b"short", headers={"Content-Length": "50"}) as (url, _asked),
        pytest.raises(Unhealthy, match="IncompleteRead"),
    ):
        HttpLooker(url).look()


def test_a_server_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "TIMEOUT", 0.3)
    with page(200, pause=2) as (url, _asked), pytest.raises(Unhealthy, match="does not answer: timed out, for 0 s"):
        wait_until_healthy(HttpLooker(url), 0.1, pause=0.05)


def test_it_waits_until_it_is_healthy() -> None:
    answers: Iterator[Union[Unhealthy, Page]] = iter(
        [Unhealthy("nothing there"), Page(502, "", ""), Page(200, "", "ready")]
    )

    class Looker:
        def look(self) -> Page:
            answer = next(answers)
            if isinstance(answer, Unhealthy):
                raise answer
            return answer

    assert wait_until_healthy(Looker(), 10, pause=0).body == "ready"


@pytest.mark.parametrize(
    ("seen", "told"),
    [
        ([NotUp("restarts"), NotUp("restarts"), Unhealthy("refused")], "restarts, for 0 s"),
        ([NotUp("starts"), Unhealthy("refused"), Unhealthy("timed out")], "timed out, for 0 s"),
        ([NotUp("starts"), NotUp("starts"), Page(500, "", "")], "the front page answers 500, for 0 s"),
    ],
)
def test_a_look_between_two_starts_of_a_container_does_not_hide_them(
    monkeypatch: pytest.MonkeyPatch, seen: list[Union[Unhealthy, Page]], told: str
) -> None:
    now = [0.0]
    monkeypatch.setattr(health, "time", SimpleNamespace(monotonic=lambda: now[0], sleep=lambda _seconds: None))

    class Looker:
        def look(self) -> Page:
            now[0] += 0.1
            answer = seen[round(now[0] * 10) - 1]
            if isinstance(answer, Unhealthy):
                raise answer
            return answer

    with pytest.raises(Unhealthy) as caught:
        wait_until_healthy(Looker(), 0.25, pause=0)
    assert str(caught.value) == told


def test_inside_a_container(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.symlink_to("/usr/bin/python3")
    runner = Runner(str(tmp_path))
    before = ("env", f"PATH={tmp_path}:/usr/bin:/bin")
    with page(200, b"<h1>books</h1>\n\nsecond line") as (url, asked):
        assert ContainerLooker(runner, before, url, {"Host": "b"}).look() == Page(
            200, "", "<h1>books</h1>\n\nsecond line\n"
        )
    assert asked[0]["Host"] == "b"
    with page(302, headers={"Location": "/setup"}) as (url, _asked):
        assert ContainerLooker(runner, before, url).look()[:2] == (302, "/setup")
    with pytest.raises(Unhealthy, match=r"does not answer inside the web container: .*refused"):
        ContainerLooker(runner, before, "http://127.0.0.1:1/").look()
    with pytest.raises(Unhealthy, match="does not answer inside the web container"):
        ContainerLooker(runner, ("false",), url).look()
    with pytest.raises(Unhealthy, match="inside the web container"):
        ContainerLooker(runner, ("true",), url).look()
    # What docker compose 2 says of a container that starts again and again.
    restarting = ("sh", "-c", "echo 'unable to upgrade to tcp, received 409' >&2; exit 1")
    with pytest.raises(Unhealthy, match="the web container does not stay up"):
        ContainerLooker(runner, restarting, url).look()


def test_which_way_is_taken(tmp_path: Path) -> None:
    runner = Runner(str(tmp_path))
    options = {"health_url": "", "health_command": [], "health_headers": {"Host": "b"}}
    assert isinstance(looker_of({**options, "health_url": "http://x/"}, runner), HttpLooker)
    assert isinstance(looker_of({**options, "health_command": ["docker", "exec"]}, runner), ContainerLooker)
    with pytest.raises(MediaError, match="set bookwyrm_health_url"):
        looker_of(options, runner)


def test_urls_in_a_page() -> None:
    body = (
        "<img src=\"https://m/b/a.jpg\"> <a href='https://m/b/c.jpg?x=1&amp;y=2'> url(https://m/b/f.woff2) "
        '"https://m/b/a.jpg" https://m/bother/x.jpg'
    )
    assert urls_in(body, "https://m/b") == ["https://m/b/a.jpg", "https://m/b/c.jpg?x=1&y=2", "https://m/b/f.woff2"]


def test_urls_with_letters_as_they_are() -> None:
    body = '<img src="https://m/b/é+1.jpg"> <img src="https://m/b/%C3%A9_%281%29.jpg">'
    assert urls_in(body, "https://m/b") == ["https://m/b/%C3%A9+1.jpg", "https://m/b/%C3%A9_%281%29.jpg"]
