# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a BookWyrm that has changed over must forget."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._instance.command import Runner
from ansible_collections.selfhosted.media.plugins.module_utils._instance.refresh import refresh, wrong_urls

BASE, PUBLIC = "https://books.example", "https://media.example/b"


@pytest.mark.parametrize(
    ("fragment", "wrong"),
    [
        ('<img src="/images/covers/a.jpg">', True),
        ("<img src='/images/thumbnails/covers/a/b.webp'>", True),
        ('<source srcset="/images/a.webp 1x, /images/b.webp 2x">', True),
        ("background: url(/static/x.png)", True),
        ('<link href="/static/css/x.css">', True),
        (f'<img src="{BASE}/images/covers/a.jpg">', True),
        (f'<img src="{BASE}:443/images/covers/a.jpg">', True),
        ('<img src="/images/uploads/user_1/a.jpg">', False),
        (f'<img src="{BASE}/images/uploads/user_1/a.jpg">', False),
        (f'<img src="{PUBLIC}/images/covers/a.jpg">', False),
        ('<img src="https://other.example/images/covers/a.jpg">', False),
        ("books and images/of them", False),
    ],
)
def test_urls_of_the_disk(fragment: str, wrong: bool) -> None:
    assert bool(re.search(wrong_urls(BASE, PUBLIC, on_s3=True), fragment)) is wrong


def test_urls_of_a_bucket_that_has_got_another_domain() -> None:
    pattern = wrong_urls(BASE, PUBLIC, on_s3=True, former_url="https://old.example")
    assert re.search(pattern, '"https://old.example/images/covers/a.jpg"')
    assert re.search(pattern, '"/images/covers/a.jpg"')
    assert not re.search(pattern, f'"{PUBLIC}/images/covers/a.jpg" "https://old.example/images/uploads/a.jpg"')


def test_urls_of_the_bucket() -> None:
    pattern = wrong_urls(BASE, PUBLIC, on_s3=False)
    assert re.search(pattern, f'"{PUBLIC}/images/covers/a.jpg"')
    assert re.search(pattern, f'"{PUBLIC}/static/a.css"')
    assert not re.search(pattern, '"https://media.example/bother/images/a.jpg" "/images/a.jpg"')


@pytest.mark.parametrize("line", [False, True])
def test_the_script_goes_to_manage(tmp_path: Path, line: bool) -> None:
    manage = tmp_path / "manage"
    manage.write_text(
        '#!/bin/sh\nprintf \'%s\\n\' "$@" > arguments\necho noise\necho \'selfhosted.media:{"fragments": 3, "connectors": 1}\'\n'
    )
    manage.chmod(0o755)
    command = f"{manage} --settings=x" if line else [str(manage)]
    done = refresh(Runner(str(tmp_path)), command, BASE, PUBLIC)
    assert done == (3, 1)
    arguments = (tmp_path / "arguments").read_text()
    assert "shell\n-c\n" in arguments
    compile(arguments.partition("-c\n")[2], "script", "exec")
    assert json.dumps(f"{PUBLIC}/images/").strip('"') in arguments
    refresh(Runner(str(tmp_path)), command, BASE, PUBLIC, on_s3=False)
    assert f"{BASE}/images/" in (tmp_path / "arguments").read_text()


def test_a_manage_command_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="bookwyrm_manage_command"):
        refresh(Runner(str(tmp_path)), ["echo"], BASE, PUBLIC)


@pytest.mark.parametrize("option", ["base_url", "public_url", "former_url"])
def test_no_user_of_a_url_gets_into_the_command_line(tmp_path: Path, option: str) -> None:
    urls = {"base_url": BASE, "public_url": PUBLIC, "former_url": "https://old.example"}
    urls[option] = "https://me:secret@x.example/b"
    with pytest.raises(MediaError) as raised:
        refresh(
            Runner(str(tmp_path)),
            ["touch", "begun"],
            urls["base_url"],
            urls["public_url"],
            former_url=urls["former_url"],
        )
    said = str(raised.value)
    assert said == f"{option} has a user or a password in it, and others can read it; write https://x.example/b"
    assert not (tmp_path / "begun").exists()
