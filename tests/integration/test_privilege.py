# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""As whom a run works: by sudo from a login of its own, as the instance's own user, and what is said to whom it does not."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from ansible_collections.selfhosted.media.tests.accounts import (
    Account,
    AccountsUnavailable,
    account,
    open_folder,
    python_for_everybody,
)
from ansible_collections.selfhosted.media.tests.playbooks import STANDIN_VENV, UNITS, StandIn, standin
from ansible_collections.selfhosted.media.tests.servers import Server, ServerUnavailable
from ansible_collections.selfhosted.media.tests.servers.sshd import ssh_server

LABEL = b"system_u:object_r:etc_t:s0\0"


@dataclass
class Place:
    """A running instance that belongs to a user of its own, with modes that let nobody else in."""

    site: StandIn
    owner: Account
    login: Account
    ssh: dict[str, Any]
    bucket: str
    label: bool

    def as_user(self, who: Account) -> dict[str, Any]:
        """The variables of a host on which this user logs in."""
        return {**self.ssh, "ansible_user": who.name}

    @property
    def settings(self) -> list[tuple[bytes, str, str, bytes]]:
        """Content, owner, mode and SELinux label of the .env, and of the one of before if there is one."""
        found = []
        for path in (self.site.folder / ".env", self.site.folder / ".env.before-s3"):
            if path.exists():
                label = os.getxattr(path, "security.selinux") if self.label else b""
                found.append((path.read_bytes(), path.owner(), oct(stat.S_IMODE(path.stat().st_mode)), label))
        return found


def closed(folder: Path) -> None:
    """Take all rights of others away."""
    for path in [folder, *folder.rglob("*")]:
        if not path.is_symlink():
            path.chmod(stat.S_IMODE(path.stat().st_mode) & 0o700)


@pytest.fixture(scope="module")
def place(ceph: Server) -> Iterator[Place]:
    bucket = f"privilege-{uuid4().hex[:8]}"
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(open_folder())
        home = folder / "bookwyrm"
        try:
            owner = stack.enter_context(account(folder, sudo=f"{home}/systemd/systemctl"))
            login = stack.enter_context(account(folder, sudo="ALL"))
            server = stack.enter_context(ssh_server())
            # a login whose files nobody else may read
            before = f"umask 077\nexport PATH={home}/systemd:$PATH"
            python = python_for_everybody(folder / "python", before=before)
            options: dict[str, Any] = {"user": owner.name, "covers": 2, "thumbnails": 1}
            site = stack.enter_context(standin(home, ceph, bucket, start=False, **options))
            (home / "venv").unlink()
            (libraries,) = (STANDIN_VENV / "lib").glob("python3.*/site-packages")
            # Redis's library wants it of Python 3.11.0 to 3.11.2, which the environment was not made with.
            (folder / "libraries").mkdir()
            (folder / "libraries" / "async_timeout.py").write_text("from asyncio import timeout\n")
            python_for_everybody(home / "venv" / "bin" / "python", libraries, folder / "libraries")
        except (AccountsUnavailable, ServerUnavailable) as exc:
            print(f"tests of privilege are skipped: {exc}")
            pytest.skip(str(exc))
        gunicorn = home / "venv" / "bin" / "gunicorn"
        gunicorn.write_text('#!/bin/sh\nexec "${0%/*}/python" -m gunicorn "$@"\n')
        gunicorn.chmod(0o755)
        os.chown(home / "systemd", 0, 0)  # units are root's
        closed(home / "images")
        try:
            os.setxattr(home / ".env", "security.selinux", LABEL)
            label = True
        except OSError as exc:
            print(f"labels are not looked at: {exc}")
            label = False
        key = Path(server.variables["ansible_ssh_private_key_file"])
        key.parent.chmod(0o755)  # the server reads its public half as the user
        site.systemctl("start", *UNITS)
        site.wait()
        yield Place(site, owner, login, {**server.variables, "ansible_python_interpreter": str(python)}, bucket, label)


def test_what_is_lacking_is_told_all_at_once(place: Place, ceph: Server) -> None:
    home, before = place.site.folder, place.settings
    stranger = place.site.play("bookwyrm_migrate", **place.as_user(place.login))
    assert stranger.code == 2
    name, owner = place.login.name, place.owner.name
    for part in (
        f"Cannot read {home}/.env: permission denied",
        f"\n- {home} is not writable for {name}, where .env is written anew and the former one kept beside it: run as root (--become), or",
        f"\n- {home}/.env belongs to {owner}, and written by {name} it would not any more: run as root (--become), or as {owner} ",
        f"\n- the media folder {home}/images is closed to {name}: run as root (--become), or as {owner} (--become --become-user {owner})",
        "\n- Nothing was changed.",
    ):
        assert part in stranger.message, stranger.message
    own = place.site.play("bookwyrm_migrate", **place.as_user(place.owner))
    assert own.code == 2
    assert (
        f"\n- {owner} may not restart bookwyrm.service bookwyrm-worker.service bookwyrm-scheduler.service (systemd: Interactive authentication "
        "required): run as root (--become), set the role's stop_command and start_command to what" in own.message
    ), own.message
    assert own.message.count("\n- ") == 2, own.message  # it lacks nothing else
    assert place.settings == before
    assert place.bucket not in [bucket["Name"] for bucket in ceph.client().list_buckets()["Buckets"]]


def test_root_by_sudo_from_a_login_of_its_own(place: Place) -> None:
    site, (before,) = place.site, place.settings
    done = site.play("bookwyrm_migrate", **place.as_user(place.login), ansible_become=True)
    assert done.code == 0, done.message
    assert all(f"/{place.bucket}/images/" in url for url in site.images())
    now, kept = place.settings
    assert kept == before
    assert now[1:] == before[1:] == (place.owner.name, "0o600", LABEL if place.label else b"")
    assert f"{place.bucket}".encode() in now[0]


def test_back_as_the_instances_own_user(place: Place) -> None:
    """What came meanwhile comes back with the owner and the modes that the media have, static assets so that a web server reads them."""
    site = place.site
    name = site.upload("new.jpg", b"a cover " * 1000)["name"]
    systemctl = f"sudo -n {site.folder}/systemd/systemctl"
    names = "bookwyrm bookwyrm-worker bookwyrm-scheduler"
    commands = {f"bookwyrm_{verb}_command": f"{systemctl} {verb} {names}" for verb in ("stop", "start")}
    done = site.play("bookwyrm_rollback", **place.as_user(place.owner), **commands)
    assert done.code == 0, done.message
    back = site.folder / "images" / name
    assert (back.owner(), oct(stat.S_IMODE(back.stat().st_mode))) == (place.owner.name, "0o600")
    assert [entry[1:3] for entry in place.settings] == [(place.owner.name, "0o600")]
    assert not any("/static/" in url and place.bucket in url for url in site.statics())
    made = [path for path in (site.folder / "static").rglob("*") if path.is_file()]
    assert made and all(path.stat().st_mode & 0o044 == 0o044 for path in made)
