# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gramps Web moves to every provider, each played by its profile, and works there; a second run finds nothing to do.

Two profiles that differ most, or all of them with PROFILES=all (`make profiles`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.selfhosted.media.tests.grampsweb import GrampsUnavailable
from ansible_collections.selfhosted.media.tests.grampsweb.api import served
from ansible_collections.selfhosted.media.tests.grampsweb.instance import Instance, instance
from ansible_collections.selfhosted.media.tests.grampsweb.trees import Plan, picture
from ansible_collections.selfhosted.media.tests.playbooks import fetch
from ansible_collections.selfhosted.media.tests.servers import Server
from ansible_collections.selfhosted.media.tests.servers.profiles import Played, chosen, played
from ansible_collections.selfhosted.media.tests.servers.quirks import unwelcome

pytestmark = pytest.mark.timeout(900)  # whole playbooks on a busy machine


@contextlib.contextmanager
def web_at(name: str, server: Server, bucket: str, folder: Path) -> Iterator[tuple[Played, Instance]]:
    """A small instance that is to move to a provider's bucket."""
    try:
        with (
            played(name, server) as play,
            instance(folder, Plan("Familie", clean=3), server=play.server, bucket=bucket) as web,
        ):
            web.variables.update(
                gramps_web_dir=str(web.folder),
                gramps_web_s3_provider=play.profile.provider,
                gramps_web_s3_region=play.profile.region,
            )
            yield play, web
    except GrampsUnavailable as exc:
        pytest.skip(str(exc))


@pytest.mark.parametrize("name", chosen())
def test_it_moves_and_works(name: str, ceph: Server, bucket_name: str, tmp_path: Path) -> None:
    with web_at(name, ceph, bucket_name, tmp_path / "web") as (play, web):
        before = served(web.login())
        run = web.play("gramps_web_migrate")
        assert run.code == 0, run.message
        api = web.login()
        assert served(api) == before
        content = picture("png", 77)
        answer = api.file(api.upload(content, "image/png")["handle"])
        assert answer.body == content and play.proxy.url in (answer.redirected_to or "")
        again = web.play("gramps_web_migrate")
        assert (again.code, again.changed) == (0, 0), again.message
        # media of a family are private, but where the play's owner publishes every bucket
        shown = fetch(f"{play.proxy.url}/{bucket_name}/{web.tree.rows[0].checksum}").status
        assert shown == (200 if name == "google-uniform" else 403)
        assert name.startswith("aws") or not unwelcome(play.proxy)
