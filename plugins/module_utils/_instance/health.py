# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look at the instance's front page, as its proxy would ask for it, from where the application answers."""

from __future__ import annotations

import html
import http.client
import json
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Callable, NamedTuple, Protocol

from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._instance.command import CommandFailed, Runner

# Asked inside a container: web's port is not published on the host, and a guard may stand before the proxy.
_IN_CONTAINER = """
import json, sys, urllib.error, urllib.request
class Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args): return None
url, headers = sys.argv[1], json.loads(sys.argv[2])
try:
    answer = urllib.request.build_opener(Stay, urllib.request.ProxyHandler({})).open(
        urllib.request.Request(url, headers=headers), timeout=20)
except urllib.error.HTTPError as exc:
    answer = exc
print(answer.status if hasattr(answer, "status") else answer.code)
print(answer.headers.get("Location") or "")
print(answer.read().decode("utf-8", "replace"))
"""
#: What docker and both composes say of a container that starts again and again, or has ended.
_NOT_UP = re.compile(r"received 409|is restarting|is not running|No container found|cannot exec in a stopped")
#: Seconds for one answer.
TIMEOUT = 20


class Page(NamedTuple):
    """An answer of the application."""

    status: int
    location: str
    body: str

    @property
    def healthy(self) -> bool:
        """200, or a redirect as a new instance sends to its set-up and a closed one to its login."""
        return self.status == 200 or (self.status in (301, 302, 303, 307, 308) and bool(self.location))


class Unhealthy(MediaError):
    """The application does not answer, or not as it should."""


class NotUp(Unhealthy):
    """The container in which it should answer has ended, or starts again and again."""


class Looker(Protocol):
    """Something that can fetch the front page. Raises Unhealthy when nothing answers."""

    def look(self) -> Page: ...


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_args: object, **_kwargs: object) -> None:
        return None


@dataclass(frozen=True)
class HttpLooker:
    """Asks an address of this machine."""

    url: str
    headers: dict[str, str] = field(default_factory=dict)

    def look(self) -> Page:
        """Fetch the page, without a proxy and without following redirects."""
        opener = urllib.request.build_opener(_Stay, urllib.request.ProxyHandler({}))
        request = urllib.request.Request(self.url, headers=self.headers)  # noqa: S310 (the administrator's own URL)
        try:
            with opener.open(request, timeout=TIMEOUT) as answer:
                return Page(answer.status, answer.headers.get("Location") or "", _text(answer.read()))
        except urllib.error.HTTPError as exc:
            return Page(exc.code, exc.headers.get("Location") or "", _text(exc.read()))
        except (OSError, http.client.HTTPException) as exc:
            raise Unhealthy(f"{self.url} does not answer: {getattr(exc, 'reason', exc)}") from exc


@dataclass(frozen=True)
class ContainerLooker:
    """Asks inside the web container."""

    runner: Runner
    command: tuple[str, ...]  # what comes before "python -c ..."
    url: str
    headers: dict[str, str] = field(default_factory=dict)
    python: str = "python"

    def look(self) -> Page:
        """Fetch the page by the container's own Python."""
        words = [*self.command, self.python, "-c", _IN_CONTAINER, self.url, json.dumps(self.headers)]
        try:
            said = self.runner.run(words, "asking for the front page")
        except CommandFailed as exc:
            said = re.split(r" ended with -?\d+: ", str(exc), maxsplit=1)[-1]  # without the command, which is long
            last = (said.strip().splitlines() or ["nothing was said"])[-1]
            if _NOT_UP.search(last):
                raise NotUp(f"the web container does not stay up, and its log tells why: {last}") from exc
            raise Unhealthy(f"{self.url} does not answer inside the web container: {last}") from exc
        status, _newline, rest = said.partition("\n")
        location, _newline, body = rest.partition("\n")
        if not status.isdigit():
            raise Unhealthy(
                f"{self.url} was not asked for inside the web container: {said.strip()[:200] or 'no answer'}"
            )
        return Page(int(status), location, body)


#: Options of the modules that look at the page.
HEALTH_ARGUMENTS: dict[str, dict[str, Any]] = {
    "health_url": {"type": "str", "default": ""},
    "health_command": {"type": "list", "elements": "str", "default": []},
    "health_headers": {"type": "dict", "default": {}},
}


def looker_of(params: Mapping[str, Any], runner: Runner) -> Looker:
    """How the front page is fetched, from these options."""
    if params["health_url"]:
        return HttpLooker(params["health_url"], params["health_headers"])
    if params["health_command"]:
        command = tuple(params["health_command"])
        return ContainerLooker(runner, command, "http://127.0.0.1:8000/", params["health_headers"])
    raise MediaError("it is not known where the application answers (a socket has no URL); set bookwyrm_health_url")


#: What stands for itself in a URL, the sign of what is encoded already among it.
_URL_CHARACTERS = "%:/?#[]@!$&'()*+,;=~"


def urls_in(body: str, beginning: str) -> list[str]:
    """The URLs in a page that begin so, each once, in their order."""
    found = re.findall(re.escape(beginning) + r"/[^\s\"'<>)\\]*", body)
    # As a browser sends them: templates that put a name behind MEDIA_URL leave its letters as they are.
    return list(dict.fromkeys(urllib.parse.quote(html.unescape(url), safe=_URL_CHARACTERS) for url in found))


def wait_until_healthy(
    looker: Looker, seconds: float, pause: float = 0.5, has_died: Callable[[], bool] = lambda: False
) -> Page:
    """Look until the page is healthy.

    Raises Unhealthy when the time is over, with the last thing seen or with what most looks have met of a container that
    is not up, or at once when the service has died for good.
    """
    deadline = time.monotonic() + seconds
    unanswered: list[Unhealthy] = []
    while True:
        try:
            page = looker.look()
            if page.healthy:
                return page
            problem = f"the front page answers {page.status}"
        except Unhealthy as exc:
            unanswered.append(exc)
            problem = str(_telling(unanswered))
        if has_died():
            raise Unhealthy(f"{problem}: the service has ended by itself; its log tells why")
        if time.monotonic() > deadline:
            raise Unhealthy(f"{problem}, for {seconds:.0f} s")
        time.sleep(pause)


def _telling(unanswered: list[Unhealthy]) -> Unhealthy:
    """The last thing seen, unless most looks have met a container that is not up.

    Docker starts one that ends again and again; a look at the moment in between (one in twelve on a busy machine) is
    taken, and ends with it or meets nothing that listens yet.
    """
    not_up = [seen for seen in unanswered if isinstance(seen, NotUp)]
    return not_up[-1] if len(not_up) * 2 > len(unanswered) else unanswered[-1]


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")
