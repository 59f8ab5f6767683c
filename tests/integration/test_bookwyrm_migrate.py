# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""bookwyrm_migrate on a running stand-in with visitors, on Ceph; then the runs after it: again, sync, verify."""

from __future__ import annotations

import contextlib
import re
import time
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest
from ansible_collections.selfhosted.media.tests.browser import Browser, BrowserUnavailable, browser
from ansible_collections.selfhosted.media.tests.playbooks import (
    ROOT,
    Outcome,
    StandIn,
    Visitors,
    Watch,
    fetch,
    in_background,
    standin,
)
from ansible_collections.selfhosted.media.tests.servers import Server
from ansible_collections.selfhosted.media.tests.web_page import read_page

COVERS = 20

pytestmark = pytest.mark.timeout(900)  # whole playbooks on a busy machine


@dataclass
class Migrated:
    """An instance before, during and after its migration."""

    site: StandIn
    server: Server
    bucket: str
    env_before: bytes
    tree_before: dict[str, bytes]
    images_before: list[str]
    statics_before: list[str]
    untouched: list[tuple[Any, Any]]
    check: Outcome
    preflight: Outcome
    too_early: Outcome
    run: Outcome
    watch: Watch
    visitors: Visitors

    @property
    def public_url(self) -> str:
        return f"{self.server.endpoint_url}/{self.bucket}"

    def objects(self) -> dict[str, dict[str, Any]]:
        """The bucket's objects."""
        pages = self.server.client().get_paginator("list_objects_v2").paginate(Bucket=self.bucket)
        return {item["Key"]: item for page in pages for item in page.get("Contents", [])}


def snapshot(site: StandIn, server: Server) -> dict[str, Any]:
    """Everything that check mode could change."""
    return {
        "tree": site.tree(),
        "env": (site.folder / ".env").read_bytes(),
        "kept": (site.folder / ".env.before-s3").exists(),
        "processes": site.main_pids(),
        "folder": sorted(path.name for path in site.folder.iterdir()),
        "static": sorted(str(path) for path in (site.folder / "static").rglob("*")),
        "buckets": [bucket["Name"] for bucket in server.client().list_buckets()["Buckets"]],
    }


@pytest.fixture(scope="module")
def migrated(ceph: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Migrated]:
    bucket = f"books-{uuid4().hex[:8]}"
    with standin(tmp_path_factory.mktemp("migrate") / "bookwyrm", ceph, bucket, covers=COVERS) as site:
        images, statics = site.images(), site.statics()
        env, tree = (site.folder / ".env").read_bytes(), site.tree()
        before = snapshot(site, ceph)
        check = site.play("bookwyrm_migrate", "--check")
        untouched = [(before, snapshot(site, ceph))]
        preflight = site.play("bookwyrm_migrate", "--tags", "preflight")
        too_early = site.play("bookwyrm_migrate", "--tags", "switch")
        untouched += [(before, snapshot(site, ceph))]
        watch, visitors = Watch(site), Visitors(site, min(v for k, v in tree.items() if k.startswith("covers/")))
        with in_background(watch), in_background(visitors):
            run = site.play("bookwyrm_migrate")
        yield Migrated(
            site,
            ceph,
            bucket,
            env,
            tree,
            images,
            statics,
            untouched,
            check,
            preflight,
            too_early,
            run,
            watch,
            visitors,
        )


def test_check_mode_works_to_the_end_and_changes_nothing(migrated: Migrated) -> None:
    assert migrated.check.code == 0, migrated.check.output
    assert "would be on S3" in migrated.check.output
    for before, after in migrated.untouched:
        assert before == after


def test_the_plan_tells_what_would_be_done(migrated: Migrated) -> None:
    site, plan = migrated.site, migrated.check.output.partition(": The plan]")[2].partition("\nTASK ")[0]
    files = {name: content for name, content in migrated.tree_before.items() if "/" in name}
    covers = [name for name in files if name.startswith("covers/")]
    jpegs = [name for name in files if name.endswith(".jpg")]
    assert f"{len(files)} files (" in plan
    assert f"by folder: covers {len(covers)} files, " in plan
    assert f"by type: jpg {len(jpegs)} files, " in plan
    assert re.search(rf"about {len(files) + 1} requests: .* at \d+ ms a request", plan)
    assert f"bucket {migrated.bucket} would be made" in plan
    assert "everybody may read images/ and static/, by the ACL of each object" in plan
    assert f"CORS: GET, HEAD, POST, PUT, DELETE from http://localhost:{site.port}, " in plan
    assert "+USE_S3=true" in plan and "-USE_S3=false" in plan
    assert "+AWS_SECRET_ACCESS_KEY=********" in plan
    for doing in ("make the static assets: ", "stop: ", "start: systemctl start ", "forget the old URLs: "):
        assert f"to {doing}" in plan


def test_the_preflight_alone_ends_with_a_short_plan(migrated: Migrated) -> None:
    run = migrated.preflight
    assert (run.code, run.changed) == (0, 0), run.message
    plan = run.output.partition(": The plan]")[2]
    assert "settings to change: USE_S3, " in plan and "+USE_S3" not in plan
    assert "the media are still on the disk; the change-over was left out" in plan
    assert "Make the bucket" not in run.output


def test_nothing_changes_over_without_the_copy_of_the_same_run(migrated: Migrated) -> None:
    assert (migrated.too_early.code, migrated.too_early.changed) == (2, 0)
    assert (
        "needs the copy and the static assets of the same run, which --tags or --skip-tags has left out"
        in migrated.too_early.message
    )


def test_a_run_fits_on_two_screens(migrated: Migrated) -> None:
    # Each task takes three lines; at this verbosity the lines themselves tell nothing.
    assert migrated.run.output.count("\nTASK [") <= 30
    recap = migrated.run.output.partition("PLAY RECAP")[2]
    assert int(re.findall(r"skipped=(\d+)", recap)[0]) <= 6


def test_it_ends_well(migrated: Migrated) -> None:
    assert migrated.run.code == 0, migrated.run.message
    assert migrated.run.failed == 0


def test_the_page_shows_the_same_images_from_the_bucket(migrated: Migrated) -> None:
    site = migrated.site
    assert len(migrated.images_before) == COVERS * 3
    now = site.images()
    assert all(url.startswith(f"{migrated.public_url}/images/") for url in now)
    names_now = {url.partition("/images/")[2] for url in now}
    for url in migrated.images_before:
        name = url.partition("/images/")[2]
        assert name in names_now
        answer = fetch(f"{migrated.public_url}/images/{name}")
        assert answer.status == 200
        assert answer.body == migrated.tree_before[urllib.parse.unquote(name)]
        assert answer.headers["content-type"] == ("image/webp" if name.endswith("webp") else "image/jpeg")
        assert answer.headers["cache-control"] == "max-age=86400"
    assert (
        f"default-src 'self' {migrated.server.endpoint_url}"
        in fetch(site.absolute("")).headers["content-security-policy"].replace(";", " ")
        or migrated.public_url + "/" in fetch(site.absolute("")).headers["content-security-policy"]
    )


def test_static_assets_come_from_the_bucket(migrated: Migrated) -> None:
    types = {"css": "text/css", "woff2": "font/woff2", "woff": "font/woff", "svg": "image/svg+xml"}
    statics = migrated.site.statics()
    endings = {url.rpartition(".")[2] for url in statics}
    assert {"css", "js", "svg", "woff2", "woff"} <= endings
    for url in statics:
        if "/static/" not in url:
            continue  # the logo is media
        answer = fetch(url)
        assert url.startswith(f"{migrated.public_url}/static/")
        assert answer.status == 200
        assert answer.headers["cache-control"] == "max-age=86400"
        ending = url.rpartition(".")[2]
        if ending in types:
            assert answer.headers["content-type"] == types[ending]


@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
def test_only_pages_of_the_instance_may_load_the_font(migrated: Migrated, method: str) -> None:
    font = next(url for url in migrated.site.statics() if url.endswith("woff2"))

    def allowed(origin: str) -> bool:
        answer = fetch(font, method, Origin=origin, Access_Control_Request_Method="GET")
        return answer.status == 200 and answer.headers.get("access-control-allow-origin") in ("*", origin)

    assert allowed(f"http://localhost:{migrated.site.port}")
    assert not allowed("https://elsewhere.example")


def test_nothing_else_is_public(migrated: Migrated) -> None:
    archive = "bookwyrm-export-5f1d3c1a.tar.gz"
    assert archive in migrated.tree_before
    assert not [key for key in migrated.objects() if archive in key or ".gitkeep" in key]
    assert fetch(migrated.public_url + "/").status == 403
    assert fetch(f"{migrated.public_url}/?list-type=2&prefix=images/").status == 403
    client = migrated.server.client()
    for key in ("exports/secret.tar.gz", "secret.txt"):
        client.put_object(Bucket=migrated.bucket, Key=key, Body=b"x")
        assert fetch(f"{migrated.public_url}/{key}").status == 403
        client.delete_object(Bucket=migrated.bucket, Key=key)
    assert not [key for key in migrated.objects() if "selfhosted-media" in key]


def test_no_upload_is_lost(migrated: Migrated) -> None:
    accepted = migrated.visitors.accepted
    assert len(accepted) >= 10
    on_disk = migrated.site.tree()
    assert any(name in on_disk for name in accepted), "no upload met the copy"
    assert any(name not in on_disk for name in accepted), "no upload met the bucket"
    for name, content in accepted.items():
        answer = fetch(f"{migrated.public_url}/images/{urllib.parse.quote(name)}")
        assert (answer.status, answer.body == content) == (200, True), name
    deadline = time.monotonic() + 60
    while missing := {f"images/{name}" for name in migrated.visitors.thumbnails} - set(migrated.objects()):
        assert time.monotonic() < deadline, missing
        time.sleep(0.5)


def test_the_site_answers_but_for_the_restart(migrated: Migrated) -> None:
    switch = migrated.run.results("Stop, copy what is new, write the settings, start")[0]
    assert switch["stop_seconds"] <= switch["restart_seconds"] + 5
    assert len(migrated.watch.outages) == 1
    assert migrated.watch.statuses == {200}
    assert f"stood still for {switch['stop_seconds']} s" in migrated.run.output


def test_fragments_are_purged(migrated: Migrated) -> None:
    assert migrated.run.results("Forget the old URLs")[0]["fragments"] == 1
    assert 'src="/images/' not in migrated.site.page()
    assert 'src="/static/' not in migrated.site.page()


def test_the_settings_of_before_are_kept(migrated: Migrated) -> None:
    env, kept = migrated.site.folder / ".env", migrated.site.folder / ".env.before-s3"
    assert kept.read_bytes() == migrated.env_before
    for name in ("st_mode", "st_uid", "st_gid"):
        assert getattr(kept.stat(), name) == getattr(env.stat(), name)
    assert kept.stat().st_mode & 0o777 == 0o600
    assert migrated.site.env["USE_S3"] == "true"
    assert migrated.site.env["AWS_SECRET_ACCESS_KEY"] == migrated.server.secret_key
    assert migrated.site.env["EMAIL_HOST_PASSWORD"] == "a # b $c"
    assert not [path.name for path in migrated.site.folder.iterdir() if path.name.startswith(".env.self")]


def test_local_media_stay(migrated: Migrated) -> None:
    now = migrated.site.tree()
    assert {name: now.get(name) for name in migrated.tree_before} == migrated.tree_before


def test_the_report_tells_what_was_done(migrated: Migrated) -> None:
    """In the folder from which the playbook was called, and nothing inside the collection that it was run from."""
    assert '"html": ' not in migrated.check.output
    page, told = migrated.site.report("migrate")
    assert f'"html": "{page}"' in migrated.run.output
    assert not [*ROOT.glob("*.html"), *(ROOT / "playbooks").glob("*.html")]
    assert told["ok"] and told["headline"] == f"The media of {told['instance']} are on S3"
    assert {step["state"] for step in told["steps"]} == {"ok"}
    stood_still = next(step for step in told["steps"] if step["name"].startswith("Stop, "))
    assert (
        stood_still["seconds"]
        >= migrated.run.results("Stop, copy what is new, write the settings, start")[0]["stop_seconds"]
    )
    files = len([name for name in migrated.tree_before if "/" in name])
    assert told["verification"]["counts"]["verified"] >= files
    assert told["transfer"]["files"] >= files and told["transfer"]["bytes"] > 0
    assert len(told["sample"]) == 20
    # Ceph tells no region
    assert {check["name"]: check["state"] for check in told["checks"] if check["state"] != "ok"} == {
        "region": "unknown"
    }
    assert {"cors", "public_read", "multipart"} <= {check["name"] for check in told["checks"]}
    assert [probe["state"] for probe in told["probes"]] == ["ok", "ok"]
    assert told["settings"]["AWS_STORAGE_BUCKET_NAME"] == migrated.bucket
    assert set(told["secret_settings"]) == {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
    assert told["problems"] == []
    assert [one["command"].split()[1] for one in told["commands"]] == [
        "selfhosted.media.verify",
        "selfhosted.media.bookwyrm_rollback",
        "selfhosted.media.bookwyrm_cleanup",
    ]
    assert read_page(page.read_text(encoding="utf-8")).mistakes == []


@pytest.fixture(scope="module")
def tab() -> Iterator[Browser]:
    with contextlib.ExitStack() as stack:
        try:
            opened = stack.enter_context(browser())
        except BrowserUnavailable as exc:
            pytest.skip(str(exc))
        yield opened


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (1280, True), (390, False), (390, True)])
def test_the_report_shows_the_bucket_s_pictures(migrated: Migrated, tab: Browser, width: int, dark: bool) -> None:
    page, told = migrated.site.report("migrate")
    tab.open(f"file://{page}", width=width, dark=dark)
    kind = f"{'desktop' if width > 600 else 'phone'}-{'dark' if dark else 'light'}"
    tab.picture(ROOT / "build" / "report" / f"bookwyrm-migrate-{kind}.png")
    assert tab.complaints == []
    pictures = {one["url"] for one in told["sample"] if one["url"].endswith(("jpg", "png", "webp", "svg"))}
    asked = {url: answer["status"] for url, answer in tab.requests.items() if url.startswith("http")}
    assert asked == dict.fromkeys(pictures, 200)
    assert all(url.startswith(f"{migrated.public_url}/images/") for url in asked)
    assert all(tab.evaluate("[...document.images].map(image => image.naturalWidth > 1)"))
    assert tab.evaluate("document.documentElement.scrollWidth") <= width


def test_a_page_of_the_instance_loads_its_font_only_with_cors(migrated: Migrated, tab: Browser) -> None:
    client = migrated.server.client()
    load = "Promise.all([...document.fonts].map(font => font.load().then(() => 'loaded', () => 'blocked')))"
    site = f"http://localhost:{migrated.site.port}/?n=1"
    tab.open(site)
    assert set(tab.evaluate(load)) == {"loaded"}
    assert tab.complaints == []
    rules = client.get_bucket_cors(Bucket=migrated.bucket)["CORSRules"]
    client.delete_bucket_cors(Bucket=migrated.bucket)
    try:
        tab.open(site)
        assert set(tab.evaluate(load)) == {"blocked"}
        assert "CORS" in " ".join(tab.complaints)
    finally:
        client.put_bucket_cors(Bucket=migrated.bucket, CORSConfiguration={"CORSRules": rules})


# From here on the order counts: each test plays on the instance that the ones before it left.


def test_a_second_run_changes_nothing(migrated: Migrated) -> None:
    written = [name for name, item in migrated.objects().items() if name.startswith("images/previews/covers/1.jpg")]
    migrated.server.client().put_object(
        Bucket=migrated.bucket, Key=written[0], Body=b"drawn anew by the application", ACL="public-read"
    )
    removed = next(name for name in migrated.visitors.accepted if name in migrated.site.tree())
    gone = migrated.site.delete(removed)["removed"]
    before = migrated.objects()
    processes = migrated.site.main_pids()
    again = migrated.site.play("bookwyrm_migrate")
    assert (again.code, again.changed) == (0, 0), again.message
    assert migrated.objects() == before
    assert migrated.site.main_pids() == processes
    count = again.results("Count the media and what there is to copy")[0]
    assert (count["uploaded"], count["conflicts"]) == (len(gone), 1)
    assert f"{len(gone)} are not (deleted since" in again.output


@pytest.mark.parametrize(
    "other", [{"bookwyrm_s3_bucket": "another"}, {"bookwyrm_s3_endpoint_url": "http://127.0.0.1:9"}]
)
def test_another_bucket_is_refused(migrated: Migrated, other: dict[str, str]) -> None:
    run = migrated.site.play("bookwyrm_migrate", **other)
    assert run.code == 2
    assert "exists only there" in run.message and "bookwyrm_rollback, then migrate. Nothing was changed" in run.message
    # It ends with what is wrong, and so does its report.
    assert run.output.rindex("exists only there") > run.output.rindex('"html": ')
    _page, told = migrated.site.report("migrate")
    assert told["headline"] == f"The media of {told['instance']} are on S3, but not all went well"
    assert not told["ok"] and [one["what"] for one in told["problems"]] == [run.message]
    assert [one["command"].split()[1] for one in told["commands"]] == ["selfhosted.media.bookwyrm_migrate"]


def test_sync_brings_what_is_missing_and_overwrites_nothing(migrated: Migrated) -> None:
    media = migrated.site.folder / "images"
    (media / "covers" / "by_hand.jpg").write_bytes(b"put there by hand")
    preview = media / "previews" / "covers" / "1.jpg"
    preview.write_bytes(b"an older idea of the same preview")
    before = migrated.objects()
    done = migrated.site.play("bookwyrm_sync")
    assert done.code == 0, done.message
    assert set(migrated.objects()) - set(before) == {"images/covers/by_hand.jpg"}
    assert migrated.objects()["images/previews/covers/1.jpg"] == before["images/previews/covers/1.jpg"]
    assert "1 files uploaded" in done.output
    assert "1 there with other content and not overwritten" in done.output
    assert "previews/covers/1.jpg" in done.output
    assert fetch(f"{migrated.public_url}/images/covers/by_hand.jpg").body == b"put there by hand"
    _page, told = migrated.site.report("sync")
    assert (told["ok"], told["transfer"]["files"]) == (True, 1)
    again = migrated.site.play("bookwyrm_sync", bookwyrm_report=False)
    assert migrated.site.report("sync")[0] == _page
    assert (again.code, again.changed) == (0, 0)


def test_verify_tells_what_differs(migrated: Migrated) -> None:
    before = migrated.objects()
    done = migrated.site.play("verify", bookwyrm_compare="checksum")
    assert (done.code, done.changed) == (0, 0), done.message
    assert "1 differ" in done.output
    assert migrated.objects() == before
    _page, told = migrated.site.report("verify")
    assert told["ok"] and told["verification"]["counts"]["different"] == 1
    assert "files of localhost are in the bucket" in told["headline"]
