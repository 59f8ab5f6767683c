# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report in a real browser: it stays in its width, obeys its own policy, and a hostile one does nothing."""

from __future__ import annotations

import contextlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.selfhosted.media.plugins.plugin_utils._report import files
from ansible_collections.selfhosted.media.tests.browser import Browser, BrowserUnavailable, browser
from ansible_collections.selfhosted.media.tests.unit.report_options import BUCKET, FULL, HOSTILE, report, with_texts

#: A picture of one blue pixel.
PICTURE = b"BM:\0\0\0\0\0\0\0006\0\0\0(\0\0\0\1\0\0\0\1\0\0\0\1\0\x18\0\0\0\0\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\xff\0\0\0"


@pytest.fixture(scope="module")
def tab() -> Iterator[Browser]:
    with contextlib.ExitStack() as stack:
        try:
            # No name leads anywhere; what is loaded is seen as a request all the same.
            opened = stack.enter_context(browser("--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"))
        except BrowserUnavailable as exc:
            pytest.skip(str(exc))
        yield opened


@pytest.fixture
def pictures() -> Iterator[str]:
    """The address of a server that has one picture."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "image/bmp")
            self.send_header("Content-Length", str(len(PICTURE)))
            self.end_headers()
            self.wfile.write(PICTURE)

        def log_message(self, format: str, *_words: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize("width", [1280, 390, 360])
def test_a_page_stays_in_its_width(width: int, tab: Browser, tmp_path: Path, pictures: str) -> None:
    options = {**FULL, "public_url": pictures, "images": [{"url": f"{pictures}/own.bmp"}]}
    html, _twin = files.write(report(**options), str(tmp_path))
    tab.open(f"file://{html}", width=width)
    assert tab.complaints == []
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    assert tab.evaluate("[...document.images].map(image => image.naturalWidth)") == [1, 1]


def test_the_policy_stops_what_does_not_belong(tab: Browser, tmp_path: Path, pictures: str) -> None:
    """Were something smuggled in all the same, the browser would refuse it."""
    html, _twin = files.write(report(images=[{"url": f"{pictures}/own.bmp"}]), str(tmp_path))
    smuggled = (
        '<img src="http://127.0.0.1:1/x.png"><style>h1{display:none}</style><script>document.title="mine"</script>'
    )
    path = Path(html)
    path.write_text(path.read_text(encoding="utf-8").replace("<main>", f"<main>{smuggled}"), encoding="utf-8")
    tab.open(f"file://{html}")
    refused = [complaint for complaint in tab.complaints if "Content Security Policy" in complaint]
    assert len(refused) >= 3, tab.complaints
    assert tab.evaluate("document.title") != "mine"
    assert tab.evaluate("getComputedStyle(document.querySelector('h1')).display") == "block"
    assert [url for url in tab.requests if url.startswith("http")] == [f"{pictures}/own.bmp"]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_texts_neither_run_nor_widen_the_page(text: str, tab: Browser, tmp_path: Path) -> None:
    html, _twin = files.write(report(**{**with_texts(FULL, text), "public_url": "", "images": []}), str(tmp_path))
    tab.open(f"file://{html}", width=360)
    assert tab.complaints == []
    assert tab.evaluate("document.scripts.length + document.images.length") == 0
    assert tab.evaluate("document.documentElement.scrollWidth") <= 360
    assert BUCKET not in " ".join(tab.requests)
