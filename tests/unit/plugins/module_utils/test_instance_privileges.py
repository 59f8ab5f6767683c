# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which rights a user lacks, asked as that user."""

from __future__ import annotations

import json
import os
import pwd
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.selfhosted.media.plugins.module_utils._instance.privileges import Touched
from ansible_collections.selfhosted.media.tests.accounts import open_folder

NOBODY = pwd.getpwnam("nobody")


@pytest.fixture
def home() -> Iterator[Path]:
    """An instance of nobody's, where it lacks nothing."""
    if os.geteuid():
        pytest.skip("only root becomes somebody else")
    with open_folder() as folder:
        for name in ("media/a", "trees"):
            (folder / name).mkdir(parents=True)
        for name in ("media/a.jpg", "media/a/b.jpg", "trees/sqlite.db", ".env"):
            (folder / name).touch()
        for path in [folder, *folder.rglob("*")]:
            os.chown(path, NOBODY.pw_uid, NOBODY.pw_gid)
        yield folder


def lacks(home: Path, *needs: str, **options: Any) -> list[str]:
    """What nobody lacks."""
    given: dict[str, Any] = {"settings": f"{home}/.env", "media_dir": f"{home}/media", "database": f"{home}/trees"}
    touched = Touched(str(home), needs, **{**given, **options})
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(NOBODY.pw_gid)
            os.setuid(NOBODY.pw_uid)
            os.write(writing, json.dumps(touched.lacks()).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as told:
        said = told.read()
    os.waitpid(child, 0)
    found: list[str] = json.loads(said)
    return found


def test_its_own_user_lacks_nothing(home: Path) -> None:
    assert lacks(home, "settings", "media", "database", flat=True, user="nobody") == []


@pytest.mark.parametrize(
    ("path", "needs", "sentence"),
    [
        (".env", [], "{home}/.env is not readable for nobody: run as root (--become)"),
        ("media", [], "the media folder {home}/media is closed to nobody: run as root (--become)"),
        ("media/a", [], "{home}/media/a in the media folder is closed to nobody: run as root (--become)"),
        ("media/a/b.jpg", [], "{home}/media/a/b.jpg in the media folder is closed to nobody: run as root (--become)"),
        ("trees", ["database"], "the folder of databases {home}/trees is closed to nobody: run as root (--become)"),
        ("trees", [], None),
        ("media/a.jpg", [], None),  # at the top level lies what is private, unless the folder is flat
    ],
)
def test_what_is_closed(home: Path, path: str, needs: list[str], sentence: str | None) -> None:
    os.chown(home / path, 0, 0)
    (home / path).chmod(0o700)
    assert lacks(home, *needs) == ([sentence.format(home=home)] if sentence else [])


def test_what_would_be_written(home: Path) -> None:
    os.chown(home / "media", 0, 0)
    os.chown(home / ".env", 0, 0)
    assert lacks(home) == []
    assert lacks(home, "media") == [f"the media folder {home}/media is not writable for nobody: run as root (--become)"]
    told = f"{home}/.env belongs to root, and written by nobody it would not any more: run as root (--become)"
    assert lacks(home, "settings") == [told]
    assert lacks(home, "settings", settings="") == []  # kept by somebody else
    os.chown(home / "media" / "a.jpg", 0, 0)
    (home / "media" / "a.jpg").chmod(0o600)
    assert f"{home}/media/a.jpg in the media folder is closed to nobody" in lacks(home, flat=True)[0]


def test_another_user_than_the_services(home: Path) -> None:
    advice = "run as root (--become), or as daemon (--become --become-user daemon)"
    assert lacks(home, "settings", user="daemon") == [f"the instance's commands run as daemon, not as nobody: {advice}"]
    assert lacks(home, user="daemon") == []  # none is run


def test_a_docker_volume(home: Path) -> None:
    volume = home / "docker" / "volumes" / "books_media" / "_data"
    volume.mkdir(parents=True)
    (home / "docker").chmod(0o710)
    assert lacks(home, media_dir=str(volume)) == [
        f"the media folder {volume} is closed to nobody, because docker keeps its volumes where root alone comes: run as root (--become)"
    ]


def test_root_lacks_nothing(home: Path) -> None:
    (home / "media").chmod(0)
    assert Touched(str(home), ["settings"], media_dir=f"{home}/media", user="daemon").lacks() == []
