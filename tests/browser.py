# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real browser: Chromium without a window, asked over its DevTools protocol through a pair of pipes."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Optional

NAMES = ("chromium", "chromium-browser", "google-chrome")
#: It asks its maker's servers for nothing.
OPTIONS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--remote-debugging-pipe"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"),
    *("--no-default-browser-check", "--no-proxy-server", "--hide-scrollbars"),
)
#: Seconds for an answer, on a busy machine.
PATIENCE = 60


class BrowserUnavailable(Exception):
    """There is no Chromium on this machine."""


class Browser:
    """One tab. What its pages complain of is kept in `complaints`."""

    def __init__(self, process: subprocess.Popen[bytes], asking: int, answering: int) -> None:
        self._process, self._asking, self._answering = process, asking, answering
        self._rest, self._number, self._session = b"", 0, ""
        self._events: list[dict[str, Any]] = []
        self.complaints: list[str] = []
        self.requests: dict[str, dict[str, Any]] = {}
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable")
        self.ask("Network.setCacheDisabled", cacheDisabled=True)

    def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        """The result of a method of the protocol."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._asking, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + PATIENCE
        while True:
            answer = self._next(deadline)
            if answer.get("id") == self._number:
                assert "error" not in answer, (method, answer["error"])
                result: dict[str, Any] = answer["result"]
                return result

    def open(self, url: str, width: int = 1280, height: int = 900, dark: bool = False) -> None:
        """Open a page in a window of this size and wait until it and its pictures are there."""
        self.complaints.clear()
        self.requests.clear()
        self._events.clear()
        mobile = width < 600
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=mobile)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.ask("Emulation.setEmulatedMedia", features=[scheme])
        done = self.ask("Page.navigate", url=url)
        assert "errorText" not in done, done
        deadline = time.monotonic() + PATIENCE
        while not any(event["method"] == "Page.loadEventFired" for event in self._events):
            self._next(deadline)

    def evaluate(self, expression: str) -> Any:
        """The value of an expression in the page; of a promise, what it is fulfilled with."""
        done = self.ask("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in done, done["exceptionDetails"]
        return done["result"].get("value")

    def picture(self, path: Path) -> Path:
        """The whole page as PNG."""
        done = self.ask("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(done["data"]))
        return path

    def _next(self, deadline: float) -> dict[str, Any]:
        while b"\0" not in self._rest:
            ready, _writable, _failed = select.select([self._answering], [], [], max(deadline - time.monotonic(), 0))
            chunk = os.read(self._answering, 1 << 20) if ready else b""
            assert chunk, "Chromium has died" if ready else f"Chromium did not answer within {PATIENCE} s"
            self._rest += chunk
        line, _end, self._rest = self._rest.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        if "method" in message:
            self._events.append(message)
            self._note(message["method"], message["params"])
        return message

    def _note(self, method: str, told: dict[str, Any]) -> None:
        if method == "Log.entryAdded" and told["entry"]["level"] in ("error", "warning"):
            self.complaints.append(f"{told['entry']['text']} {told['entry'].get('url', '')}")
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(str(told["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled" and told["type"] in ("error", "warning", "assert"):
            self.complaints.append(str(told["args"]))
        elif method == "Network.responseReceived":
            self.requests[told["response"]["url"]] = told["response"]


def command_of(name: Optional[str] = None) -> str:
    """The path of Chromium."""
    found = next((path for path in map(shutil.which, [name] if name else NAMES) if path), None)
    if not found:
        raise BrowserUnavailable(f"there is none of {', '.join(NAMES)} on this machine")
    return found


@contextlib.contextmanager
def browser(*options: str) -> Iterator[Browser]:
    """A browser with a profile of its own, which is gone afterwards. Options are added to its command line."""
    command = command_of()
    to_it, from_us = os.pipe()
    to_us, from_it = os.pipe()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile, contextlib.ExitStack() as stack:
        # It reads from descriptor 3 and writes to 4.
        line = f'exec 3<&{to_it} 4>&{from_it}; exec "$0" "$@"'
        process = subprocess.Popen(
            ["bash", "-c", line, command, *OPTIONS, f"--user-data-dir={profile}", *options],
            pass_fds=(to_it, from_it),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_it)
        os.close(from_it)
        stack.callback(process.wait)
        stack.callback(process.kill)
        stack.callback(os.close, from_us)
        stack.callback(os.close, to_us)
        it = Browser(process, from_us, to_us)
        yield it
        with contextlib.suppress(AssertionError, OSError):
            it.ask("Browser.close")
