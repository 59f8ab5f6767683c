# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an instance's own files say of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._instance.bookwyrm import (
    Release,
    Settings,
    media_below,
    read_release,
    read_settings,
    themes_and_static,
)


@pytest.mark.parametrize(
    ("release", "env", "url"),
    [
        ("0.9.2", {"DOMAIN": "books.example"}, "https://books.example"),
        ("0.9.2", {"DOMAIN": "books.example", "PORT": "1333"}, "https://books.example"),
        ("0.9.2", {"DOMAIN": "books.example", "USE_HTTPS": "false"}, "https://books.example"),
        ("0.9.2", {"DOMAIN": "localhost"}, "http://localhost"),
        ("0.9.2", {"DOMAIN": "localhost", "PORT": "80"}, "http://localhost"),
        ("0.9.2", {"DOMAIN": "localhost", "PORT": "1333"}, "http://localhost:1333"),
        ("0.8.0", {"DOMAIN": "books.example", "DEBUG": "true"}, "https://books.example"),
        ("0.7.5", {"DOMAIN": "books.example"}, "https://books.example"),
        ("0.7.5", {"DOMAIN": "books.example", "USE_HTTPS": "true", "PORT": "443"}, "https://books.example"),
        ("0.7.5", {"DOMAIN": "books.example", "USE_HTTPS": "false"}, "http://books.example"),
        ("0.7.5", {"DOMAIN": "books.example", "USE_HTTPS": "false", "PORT": "80"}, "http://books.example"),
        ("0.7.5", {"DOMAIN": "books.example", "USE_HTTPS": "false", "PORT": "8000"}, "http://books.example:8000"),
        ("0.7.5", {"DOMAIN": "books.example", "DEBUG": "true"}, "http://books.example"),
        ("0.7.5", {"DOMAIN": "books.example", "DEBUG": "true", "USE_HTTPS": "yes"}, "https://books.example"),
        ("0.7.5", {"DOMAIN": " books.example "}, "https://books.example"),
    ],
)
def test_the_url_that_browsers_see(release: str, env: dict[str, str], url: str) -> None:
    assert Settings("/.env", env).base_url(Release(release)) == url


@pytest.mark.parametrize("env", [{}, {"DOMAIN": ""}, {"DOMAIN": "  "}])
def test_without_a_domain(env: dict[str, str]) -> None:
    with pytest.raises(MediaError, match=r"/srv/\.env sets no DOMAIN"):
        print(Settings("/srv/.env", env).domain)


@pytest.mark.parametrize("word", ["true", "True", "1", "yes", "on", " t "])
def test_true_as_environs_reads_it(word: str) -> None:
    assert Settings("", {"USE_S3": word}).is_true("USE_S3")


@pytest.mark.parametrize("word", ["false", "0", "", "no", "None", "truth"])
def test_all_else_is_not_true(word: str) -> None:
    assert not Settings("", {"USE_S3": word}).is_true("USE_S3", default=True)


def test_no_secret_is_shown() -> None:
    env = {"AWS_SECRET_ACCESS_KEY": "s", "AWS_ACCESS_KEY_ID": "k", "SECRET_KEY": "x", "DOMAIN": "d", "USE_S3": "true"}
    assert Settings("", env).shown == {"DOMAIN": "d", "USE_S3": "true"}
    assert Settings("", env).secret == {"AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s"}


@pytest.mark.parametrize(
    ("name", "value", "instead"),
    [
        ("DOMAIN", "me:hidden@books.example", "books.example"),
        ("AWS_S3_CUSTOM_DOMAIN", "me:hidden@media.example/b", "media.example/b"),
        ("AWS_S3_ENDPOINT_URL", " https://me:hid@den@s3.example ", "https://s3.example"),
    ],
)
def test_a_user_in_a_url_is_no_setting_to_be_shown(name: str, value: str, instead: str) -> None:
    with pytest.raises(MediaError) as raised:
        print(Settings("/srv/.env", {"DOMAIN": "books.example", "MEDIA_ROOT": "a@b", name: value}).shown)
    assert str(raised.value).startswith(f"/srv/.env: {name} has a user or a password in it")
    assert str(raised.value).endswith(f"write {instead}")


@pytest.mark.parametrize(
    ("name", "number", "compiles", "https"),
    [
        ("0.9.2", (0, 9, 2), True, False),
        ("0.8.0", (0, 8, 0), True, False),
        ("0.7.5", (0, 7, 5), True, True),
        ("0.5.4", (0, 5, 4), True, True),
        ("0.5.3", (0, 5, 3), False, True),
        ("0.0.1", (0, 0, 1), False, True),
        ("0.10.0-rc1", (0, 10, 0), True, False),
    ],
)
def test_how_releases_differ(name: str, number: tuple[int, ...], compiles: bool, https: bool) -> None:
    release = Release(name)
    assert (release.number, release.compiles_themes, release.decides_https) == (number, compiles, https)
    assert ("compile_themes" in themes_and_static(release, "python")) is compiles


def test_the_release_is_in_version_or_in_the_settings(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="no BookWyrm in"):
        read_release(str(tmp_path))
    (tmp_path / "celerywyrm").mkdir()
    (tmp_path / "celerywyrm" / "settings.py").write_text("VERSION = '0.3.0'\n")
    assert read_release(str(tmp_path)).name == "0.3.0"
    (tmp_path / "bookwyrm").mkdir()
    (tmp_path / "bookwyrm" / "settings.py").write_text('import os\nVERSION = "0.5.1"\n')
    assert read_release(str(tmp_path)).name == "0.5.1"
    (tmp_path / "VERSION").write_text("0.8.3\n")
    assert read_release(str(tmp_path)).name == "0.8.3"
    (tmp_path / "VERSION").write_text("\n")
    assert read_release(str(tmp_path)).name == "0.5.1"


def test_settings_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"\.env does not exist; set bookwyrm_dir"):
        read_settings(str(tmp_path))
    (tmp_path / ".env").mkdir()
    with pytest.raises(MediaError, match="is a directory"):
        read_settings(str(tmp_path))


@pytest.mark.parametrize(
    ("env", "media"),
    [
        ({}, "/srv/books/images"),
        ({"MEDIA_ROOT": ""}, "/srv/books/images"),
        ({"MEDIA_ROOT": "images/"}, "/srv/books/images"),
        ({"MEDIA_ROOT": "/data/media/"}, "/data/media"),
        ({"MEDIA_ROOT": "../media"}, "/srv/media"),
    ],
)
def test_where_the_media_are(env: dict[str, str], media: str) -> None:
    assert media_below("/srv/books", Settings("", env)) == media
