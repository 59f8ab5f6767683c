# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Content types by name, the same on every machine and for every Python."""

from __future__ import annotations

import mimetypes
import subprocess
import sys
from pathlib import Path
from typing import Optional

import pytest
from ansible_collections.selfhosted.media.plugins.module_utils._sync import content_type as module
from ansible_collections.selfhosted.media.plugins.module_utils._sync.content_type import guess

TABLE = [
    ("covers/a.jpg", "image/jpeg", None),
    ("covers/a.JPG", "image/jpeg", None),
    ("a.jpeg", "image/jpeg", None),
    ("a.png", "image/png", None),
    ("a.gif", "image/gif", None),
    ("a.webp", "image/webp", None),
    ("a.avif", "image/avif", None),
    ("a.bmp", "image/bmp", None),
    ("a.svg", "image/svg+xml", None),
    ("a.svgz", "image/svg+xml", "gzip"),
    ("favicon.ico", "image/x-icon", None),
    ("fonts/icomoon.woff", "font/woff", None),
    ("fonts/icomoon.woff2", "font/woff2", None),
    ("fonts/icomoon.ttf", "font/ttf", None),
    ("fonts/icomoon.otf", "font/otf", None),
    ("fonts/icomoon.eot", "application/vnd.ms-fontobject", None),
    ("a.css", "text/css", None),
    ("a.js", "text/javascript", None),
    ("a.json", "application/json", None),
    ("a.mp4", "video/mp4", None),
    ("a.pdf", "application/pdf", None),
    ("exports/a.tar.gz", "application/x-tar", "gzip"),
    ("exports/A.TAR.GZ", "application/x-tar", "gzip"),
    ("a.gz", "application/octet-stream", "gzip"),
    ("README", "application/octet-stream", None),
    (".htaccess", "application/octet-stream", None),
    ("folder.jpg/name", "application/octet-stream", None),
    ("a.unheardof", "application/octet-stream", None),
    ("data:text/html,x", "application/octet-stream", None),
    ("http://x/a.jpg", "image/jpeg", None),
    ("a.", "application/octet-stream", None),
    ("caf\u00e9 +%.png", "image/png", None),
]


@pytest.mark.parametrize(("name", "kind", "encoding"), TABLE)
def test_types(name: str, kind: str, encoding: Optional[str]) -> None:
    assert guess(name, {}) == (kind, encoding)


def test_overrides_win() -> None:
    assert guess("a.JPG", {".jpg": "x/y"}) == ("x/y", None)
    assert guess("a.tar.gz", {".gz": "application/gzip"}) == ("application/gzip", None)


def test_the_machines_own_table_changes_nothing(tmp_path: Path) -> None:
    table = tmp_path / "mime.types"
    table.write_text("x/wrong jpg png webp woff2 unheardof\n")
    program = f"""
import importlib.util, mimetypes
mimetypes.init([{str(table)!r}])
mimetypes.add_type("x/wrong", ".gif")
assert mimetypes.guess_type("a.jpg")[0] == "x/wrong"
spec = importlib.util.spec_from_file_location("content_type", {module.__file__!r})
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
for name, kind, encoding in {TABLE!r}:
    assert module.guess(name, {{}}) == (kind, encoding), name
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_later_changes_of_the_process_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(mimetypes.types_map, ".jpg", "x/wrong")
    assert guess("a.jpg", {}).content_type == "image/jpeg"
