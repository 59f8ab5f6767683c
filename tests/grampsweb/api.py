# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A client of Gramps Web's HTTP API, as a browser is one: the token goes to the application only, never to the bucket."""

from __future__ import annotations

import hashlib
import json
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from typing import Any, NamedTuple, Optional


class ApiError(Exception):
    """The application answered something else than was asked for; the message has status, request and answer."""

    def __init__(self, request: str, status: int, body: bytes) -> None:
        super().__init__(f"{request} was answered with {status}: {body[:500].decode(errors='replace')}")
        self.status = status


class Answer(NamedTuple):
    """What came in the end."""

    status: int
    body: bytes
    type: str
    #: the bucket's URL that the application sent us to, without its signature; None: it answered itself
    redirected_to: Optional[str] = None


class Served(NamedTuple):
    """What a media object looks like from outside, for a comparison of before and after."""

    status: int
    sha256: str
    type: str


class _Stay(urllib.request.HTTPRedirectHandler):
    """A redirection is an answer like others."""

    def redirect_request(self, *args: Any, **options: Any) -> None:
        return None


#: No proxy of this machine's, and no redirection that would be followed with all headers.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}), _Stay())


def ask(url: str, data: Optional[bytes] = None, method: Optional[str] = None, **headers: str) -> tuple[Answer, str]:
    """One request and what it was answered with; also where a redirection points to."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(url, data=data, method=method, headers=names)
    try:
        with _OPENER.open(request, timeout=60) as answer:
            return Answer(answer.status, answer.read(), answer.headers.get("Content-Type", "")), ""
    except urllib.error.HTTPError as exc:
        with exc:
            return Answer(exc.code, exc.read(), exc.headers.get("Content-Type", "")), exc.headers.get("Location", "")


@dataclass
class Api:
    """The API for one user."""

    url: str
    token: str

    @classmethod
    def login(cls, url: str, user: str, password: str) -> Api:
        """Log in; the token is good for a quarter of an hour."""
        data = json.dumps({"username": user, "password": password}).encode()
        answer, _place = ask(f"{url}/api/token/", data, Content_Type="application/json")
        if answer.status != 200:
            raise ApiError("POST /api/token/", answer.status, answer.body)
        return cls(url, json.loads(answer.body)["access_token"])

    def request(self, path: str, data: Optional[bytes] = None, method: Optional[str] = None, **headers: str) -> Answer:
        """Ask the application with the token; follow one redirection without it."""
        answer, location = ask(f"{self.url}{path}", data, method, Authorization=f"Bearer {self.token}", **headers)
        if not location:
            return answer
        if answer.status != 307:
            raise ApiError(path, answer.status, f"redirected to {location}".encode())
        there, further = ask(location)
        if further:
            raise ApiError(path, there.status, b"the bucket redirects further")
        return there._replace(redirected_to=urllib.parse.urlsplit(location)._replace(query="").geturl())

    def json(self, path: str, data: Optional[bytes] = None, method: Optional[str] = None, **headers: str) -> Any:
        """The same for what must succeed and is JSON."""
        answer = self.request(path, data, method, **headers)
        if answer.status not in (200, 201):
            raise ApiError(f"{method or ('POST' if data else 'GET')} {path}", answer.status, answer.body)
        return json.loads(answer.body)

    def media(self) -> list[dict[str, Any]]:
        """The media objects that this user may see."""
        found: list[dict[str, Any]] = self.json("/api/media/?keys=handle,gramps_id,path,checksum,mime,private")
        return found

    def file(self, handle: str) -> Answer:
        """A media object's file, from wherever the application sends us."""
        return self.request(f"/api/media/{handle}/file")

    def thumbnail(self, handle: str, size: int = 64) -> Answer:
        """Its thumbnail, which the application makes (and keeps)."""
        return self.request(f"/api/media/{handle}/thumbnail/{size}")

    def upload(self, content: bytes, mime: str) -> dict[str, Any]:
        """Add a media object with its file, as the web pages and the Web Sync addon do; the object as it was recorded."""
        done = self.json("/api/media/", content, "POST", Content_Type=mime)
        item: dict[str, Any] = next(change["new"] for change in done if change["new"]["_class"] == "Media")
        return item

    def upload_missing(self, handle: str, content: bytes, mime: str) -> Answer:
        """Give a media object the file that it lacks, as the Web Sync addon does."""
        return self.request(f"/api/media/{handle}/file?uploadmissing=1", content, "PUT", Content_Type=mime)

    def delete(self, handle: str) -> None:
        """Delete a media object; its file stays."""
        self.json(f"/api/media/{handle}", method="DELETE")


def served(api: Api) -> dict[str, Served]:
    """What every media object looks like from outside, by its handle. An error's body is no content: it may have a date."""

    def look(handle: str) -> Served:
        answer = api.file(handle)
        return Served(
            answer.status, hashlib.sha256(answer.body).hexdigest() if answer.status == 200 else "", answer.type
        )

    return {item["handle"]: look(item["handle"]) for item in api.media()}
