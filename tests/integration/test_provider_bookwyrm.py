# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""BookWyrm moves to every provider, each played by its profile, and works there; a second run finds nothing to do.

Two profiles that differ most, or all of them with PROFILES=all (`make profiles`); always the one to which it must not move.
"""

from __future__ import annotations

import contextlib
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.selfhosted.media.tests.playbooks import StandIn, fetch, standin
from ansible_collections.selfhosted.media.tests.servers import Server
from ansible_collections.selfhosted.media.tests.servers.profiles import Played, chosen, played
from ansible_collections.selfhosted.media.tests.servers.quirks import unwelcome

pytestmark = pytest.mark.timeout(900)  # whole playbooks on a busy machine

#: Pages cannot load fonts and scripts from there, which nothing can change.
WITHOUT_CORS = "linode-e2"


@contextlib.contextmanager
def site_at(name: str, server: Server, bucket: str, folder: Path) -> Iterator[tuple[Played, StandIn]]:
    """A small instance that is to move to a provider's bucket."""
    with played(name, server) as play, standin(folder, play.server, bucket, covers=2) as site:
        site.variables.update(
            bookwyrm_s3_provider=play.profile.provider,
            bookwyrm_s3_region=play.profile.region,
            bookwyrm_s3_custom_domain=play.custom_domain(bucket),
        )
        yield play, site


@pytest.mark.parametrize("name", [name for name in chosen() if name != WITHOUT_CORS])
def test_it_moves_and_works(name: str, ceph: Server, bucket_name: str, tmp_path: Path) -> None:
    with site_at(name, ceph, bucket_name, tmp_path / "bookwyrm") as (play, site):
        tree, public = site.tree(), play.public_url(bucket_name)
        assert len(site.images()) == 6
        run = site.play("bookwyrm_migrate")
        assert run.code == 0, run.message
        images = site.images()
        assert len(images) == 6
        for url in images:
            assert url.startswith(f"{public}/images/")
            assert fetch(url).body == tree[urllib.parse.unquote(url.partition("/images/")[2])]
        statics = [url for url in site.statics() if "/static/" in url]
        assert statics and {fetch(url).status for url in statics} == {200}
        picture = min(content for path, content in tree.items() if path.startswith("covers/"))
        uploaded = site.upload("new.jpg", picture)["name"]
        assert fetch(f"{public}/images/{urllib.parse.quote(uploaded)}").body == picture
        assert {fetch(f"{public}{rest}").status for rest in ("", "/?list-type=2&prefix=images/")} <= {403, 404}
        again = site.play("bookwyrm_migrate")
        assert (again.code, again.changed) == (0, 0), again.message
        assert name.startswith("aws") or not unwelcome(play.proxy)


def test_it_stays_where_pages_could_not_load_its_fonts(ceph: Server, bucket_name: str, tmp_path: Path) -> None:
    with site_at(WITHOUT_CORS, ceph, bucket_name, tmp_path / "bookwyrm") as (_play, site):
        before = ((site.folder / ".env").read_bytes(), site.main_pids(), site.images())
        run = site.play("bookwyrm_migrate")
        assert run.code != 0 and "CORS" in run.message
        assert before == ((site.folder / ".env").read_bytes(), site.main_pids(), site.images())
