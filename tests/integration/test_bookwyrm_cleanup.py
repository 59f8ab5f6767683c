# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""bookwyrm_cleanup on a stand-in that was moved to Ceph, without and with the redirect that the docs give; and killed cleanups."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from ansible_collections.selfhosted.media.plugins.module_utils._instance.lock import instance_lock
from ansible_collections.selfhosted.media.plugins.module_utils._sync.cleanup import Cleanup
from ansible_collections.selfhosted.media.plugins.module_utils._sync.walk import Tree
from ansible_collections.selfhosted.media.tests.playbooks import ROOT, Outcome, StandIn, fetch, standin
from ansible_collections.selfhosted.media.tests.run_module import run_module
from ansible_collections.selfhosted.media.tests.servers import Server, free_port, running, wait_for_http
from ansible_collections.selfhosted.media.tests.stub import access_of

pytestmark = pytest.mark.timeout(900)  # whole playbooks on a busy machine

S3 = tuple[Server, str]
AWKWARD = "covers/zoë & 100% (of it) #1?.jpg"
ARCHIVE = "bookwyrm-export-5f1d3c1a.tar.gz"
TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
REMOVE = "Remove the files that are proven to be in the bucket"


# -- the redirect of the docs, in front of the stand-in ----------------------------------------------------------------------


def snippet() -> str:
    """What the docs page tells an administrator to put into nginx's configuration."""
    page = (ROOT / "docs" / "docsite" / "rst" / "bookwyrm_cleanup.rst").read_text(encoding="utf-8")
    found = re.findall(r"^\.\. code-block:: nginx\n\n((?:   .*\n|\n)+)", page, re.MULTILINE)
    assert len(found) == 1
    return re.sub(r"^   ", "", found[0], flags=re.MULTILINE)


def configuration(folder: Path, backend: int, port: int, public_url: str, place: Path) -> str:
    """The stand-in's own configuration with the docs' block in the place of its block for /images/."""
    text = (ROOT / "tests" / "standin" / "app" / "nginx" / "nginx.conf").read_text(encoding="utf-8")
    own = re.search(r"^ {8}location /images/ \{\n.*?^ {8}\}\n", text, re.MULTILINE | re.DOTALL)
    assert own
    changes = {
        own.group(0): snippet(),
        "https://media.example.org": public_url,
        "listen 80;": f"listen 127.0.0.1:{port};",
        "server web:8000;": f"server 127.0.0.1:{backend};",
        "root /app;": f"root {folder};",
        "/var/cache/nginx/bookwyrm_cache": f"{place}/cache",
        "http {\n": "http {\n" + "".join(f"    {name}_temp_path {place}/{name};\n" for name in TEMPORARY),
    }
    for before, after in changes.items():
        assert before in text
        text = text.replace(before, after)
    return f"daemon off;\nmaster_process off;\npid {place}/pid;\n{text}"


@contextlib.contextmanager
def nginx(folder: Path, backend: int, public_url: str, place: Path) -> Iterator[str]:
    """A real nginx in front of an instance in a folder; its URL."""
    program = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")
    if program is None:
        pytest.skip("nginx is not installed (Debian: nginx-light), so the redirect of the docs is not tried")
    place.mkdir()
    port = free_port()
    (place / "nginx.conf").write_text(configuration(folder, backend, port, public_url, place))
    command = [program, "-p", str(place), "-e", "stderr", "-c", str(place / "nginx.conf")]
    with running(command, place / "log") as process:
        wait_for_http(f"http://127.0.0.1:{port}/images/", process)
        yield f"http://127.0.0.1:{port}"


# -- an instance that was moved ----------------------------------------------------------------------------------------------


def public_url(site: StandIn) -> str:
    return f"{site.variables['bookwyrm_s3_endpoint_url']}/{site.variables['bookwyrm_s3_bucket']}"


def objects(server: Server, site: StandIn) -> dict[str, str]:
    """The bucket's keys with the ETags."""
    pages = server.client().get_paginator("list_objects_v2").paginate(Bucket=site.variables["bookwyrm_s3_bucket"])
    return {item["Key"]: item["ETag"] for page in pages for item in page.get("Contents", [])}


def link_to(site: StandIn, name: str) -> None:
    """Let a text of the database link to a picture, as a post does."""
    text = f'look <img src="/images/{name}" alt="">'
    site.manage("shell", "-c", f"from bookwyrm.models import Book; Book.objects.create(title={text!r})")


@pytest.fixture(scope="module")
def site(ceph: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    """Moved to Ceph, with files of every kind that has to stay."""
    folder = tmp_path_factory.mktemp("cleanup") / "bookwyrm"
    with standin(folder, ceph, f"cleanup-{uuid4().hex[:8]}", covers=6) as made:
        made.variables.update(bookwyrm_sample=3)
        media = made.folder / "images"
        (media / AWKWARD).write_bytes(b"a cover that somebody put there by hand")
        (media / "covers" / "large.jpg").write_bytes(os.urandom(9_000_000))  # of two parts
        (media / "covers" / "link.jpg").symlink_to("large.jpg")
        on_disk = clean(made)
        assert on_disk.code != 0 and "are on its disk" in on_disk.message
        moved = made.play("bookwyrm_migrate")
        assert moved.code == 0, moved.message
        yield made


def bucket_of(site: StandIn) -> str:
    return str(site.variables["bookwyrm_s3_bucket"])


def clean(site: StandIn, *words: str, **variables: Any) -> Outcome:
    return site.play("bookwyrm_cleanup", *words, **{"bookwyrm_cleanup_confirm": bucket_of(site), **variables})


@pytest.fixture(scope="module")
def originals(site: StandIn) -> dict[str, bytes]:
    """The files as they were before any cleanup."""
    return site.tree()


# The order counts: each test plays on the instance that the ones before it left.


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("bookwyrm_cleanup_confirm", "books", "is books, which is not the bucket"),
        ("bookwyrm_s3_bucket", "another", "says another, but the instance has its media in cleanup-"),
        (
            "bookwyrm_s3_endpoint_url",
            "http://127.0.0.1:9",
            "says http://127.0.0.1:9, but the instance has its media at",
        ),
    ],
)
def test_what_is_not_confirmed_or_not_meant_removes_nothing(
    site: StandIn, originals: dict[str, bytes], variable: str, value: str, said: str
) -> None:
    done = clean(site, **{variable: value})
    assert done.code != 0
    assert f"{variable} {said}" in done.message and "Nothing was changed" in done.message
    assert site.tree() == originals
    if variable == "bookwyrm_cleanup_confirm":
        assert re.search(r"\d+ files \(\d+\.\d+ MB\) would be removed", done.message)
        assert f"-e bookwyrm_cleanup_confirm={bucket_of(site)}" in done.message


def test_check_mode_needs_no_confirmation_and_says_what_would_go(site: StandIn, originals: dict[str, bytes]) -> None:
    done = clean(site, "--check", bookwyrm_cleanup_confirm="")
    assert done.code == 0, done.message
    assert "would be removed" in done.output and "covers/: " in done.output
    assert "/images/ is not redirected to the bucket" in done.output
    assert site.tree() == originals


def cleanup_module(site: StandIn, **options: Any) -> dict[str, Any]:
    """The result of the module alone, without what the role checks before."""
    names = ("bookwyrm_s3_endpoint_url", "bookwyrm_s3_access_key", "bookwyrm_s3_secret_key", "bookwyrm_s3_bucket")
    arguments = {name.removeprefix("bookwyrm_s3_"): site.variables[name] for name in names}
    places = {"path": str(site.folder / "images"), "prefix": "images/", "include": ["*/*"], "chdir": str(site.folder)}
    urls = {"site_url": site.absolute(""), "host": f"localhost:{site.port}", "public_url": public_url(site)}
    manage = [str(site.folder / "venv" / "bin" / "python"), "manage.py"]
    return run_module("instance_cleanup", {**arguments, **places, **urls, "manage_command": manage, **options})


def test_the_module_itself_refuses_what_a_rollback_has_changed_meanwhile(
    site: StandIn, originals: dict[str, bytes]
) -> None:
    with instance_lock(str(site.folder), "rolling back"):
        assert "rolling back" in cleanup_module(site)["msg"]
    assert "not 'another'" in cleanup_module(site, bucket="another")["msg"]
    env = (site.folder / ".env").read_bytes()
    site.set_env(USE_S3="false")
    result = cleanup_module(site)
    (site.folder / ".env").write_bytes(env)
    assert "shows what is on its disk. Nothing was removed" in result["msg"]
    assert "manage.py shell did not run" in cleanup_module(site, manage_command=["echo"])["msg"]
    assert site.tree() == originals


def test_an_instance_that_needs_a_restart_or_stands_still_keeps_all(site: StandIn, originals: dict[str, bytes]) -> None:
    env = (site.folder / ".env").read_bytes()
    site.set_env(QUERY_TIMEOUT="8")
    done = clean(site)
    assert done.code != 0 and "runs with other settings than its .env has" in done.message
    (site.folder / ".env").write_bytes(env)
    site.systemctl("stop", "bookwyrm", "bookwyrm-worker", "bookwyrm-scheduler")
    done = clean(site)
    assert done.code != 0 and "does not run" in done.message
    assert site.tree() == originals
    site.systemctl("start", "bookwyrm", "bookwyrm-worker", "bookwyrm-scheduler")
    site.wait()


def test_what_is_proven_goes_and_all_else_stays(site: StandIn, ceph: Server, originals: dict[str, bytes]) -> None:
    media, client, bucket = site.folder / "images", ceph.client(), bucket_of(site)
    covers = sorted(name for name in originals if name.startswith("covers/") and name[7].isupper())
    missing, different, newer, linked = covers[:4]
    client.delete_object(Bucket=bucket, Key=f"images/{missing}")
    content = originals[different]
    client.put_object(Bucket=bucket, Key=f"images/{different}", Body=content[:-1] + b"!", ACL="public-read")
    os.utime(media / newer)
    link_to(site, linked)
    before = objects(ceph, site)
    page = site.images()

    done = clean(site)
    assert done.code == 0, done.message
    stay = {missing, different, newer, linked, ARCHIVE, ".gitkeep", "avatars/ada.jpg", "uploads/user_1/a_post.jpg"}
    link = media / "covers" / "link.jpg"
    assert link.is_symlink() and not link.exists()
    assert site.tree() == {name: originals[name] for name in stay}
    assert sorted(path.name for path in media.iterdir() if path.is_dir()) == sorted(
        {name.partition("/")[0] for name in originals if "/" in name}
    )
    assert not [path for path in (media / "thumbnails").iterdir() if path.is_dir()]
    assert objects(ceph, site) == before
    assert site.images() == page
    result = done.results(REMOVE)[0]
    counts = {kind: result[kind] for kind in ("missing", "different", "newer", "linked", "ignored", "failures")}
    assert counts == {"missing": 1, "different": 1, "newer": 1, "linked": 3, "ignored": 1, "failures": 0}
    assert result["reasons"]["missing"][0]["name"] == missing
    assert result["removed"] == len(originals) - len(stay) - 1  # the link was read as a file
    assert f"1 not in the bucket (such as {missing})" in done.output


def test_afterwards_the_other_runs_find_nothing_to_do(site: StandIn, ceph: Server) -> None:
    before, tree = objects(ceph, site), site.tree()
    for playbook in ("bookwyrm_migrate", "bookwyrm_sync", "verify"):
        done = site.play(playbook)
        assert (done.code, done.changed) == (0, 0), (playbook, done.message)
    again = clean(site)
    assert (again.code, again.changed) == (0, 0), again.message
    assert objects(ceph, site) == before
    assert site.tree() == tree


def test_with_the_redirect_of_the_docs_what_is_linked_to_goes_too(
    site: StandIn, originals: dict[str, bytes], tmp_path: Path
) -> None:
    kept = set(site.tree())
    with nginx(site.folder, site.port, public_url(site), tmp_path / "nginx") as front:
        done = clean(site, bookwyrm_site_url=front)
        assert done.code == 0, done.message
        assert "/images/ is redirected to the bucket" in done.output
        linked = next(iter(name for name in kept if name.startswith("covers/") and name not in site.tree()))
        assert kept - set(site.tree()) == {linked, "avatars/ada.jpg", "uploads/user_1/a_post.jpg"}
        for name in (linked, AWKWARD, "covers/large.jpg", "uploads/user_1/a_post.jpg"):
            where = f"{front}/images/{urllib.parse.quote(name)}"
            assert fetch(where).body == originals[name]
            assert fetch(where + "?v=1&w=zoë%20%25".replace("ë", "%C3%AB")).body == originals[name]


def test_a_rollback_brings_everything_back(site: StandIn, ceph: Server, originals: dict[str, bytes]) -> None:
    written_anew = set(site.tree())
    done = site.play("bookwyrm_rollback")
    assert done.code == 0, done.message
    names = {key.removeprefix("images/") for key in objects(ceph, site) if key.startswith("images/")}
    tree = site.tree()
    assert names <= set(tree)
    assert {name: tree[name] for name in names - written_anew} == {
        name: originals[name] for name in names - written_anew
    }


# -- the configuration itself ------------------------------------------------------------------------------------------------


def location_of(url: str) -> tuple[int, str]:
    """The status, and where a redirect leads, as sent."""
    run = subprocess.run(
        ["curl", "--silent", "--noproxy", "*", "--path-as-is", "--output", os.devnull, "--write-out", "%{http_code} %{redirect_url}", url],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    status, _space, location = run.stdout.partition(" ")
    return int(status), location


@pytest.mark.parametrize(
    "bucket_url", ["https://b.s3.example.org", "https://s3.example.org/b", "https://media.books.example"]
)
def test_the_configuration_of_the_docs(bucket_url: str, tmp_path: Path) -> None:
    media = tmp_path / "images"
    # private: whatever lies at the top level, and whatever is no picture
    for name in ("covers/on the disk.JPG", "uploads/page.html", "mine.jpg", ARCHIVE):
        (media / name).parent.mkdir(parents=True, exist_ok=True)
        (media / name).write_text(name)
    with nginx(tmp_path, free_port(), bucket_url, tmp_path / "nginx") as front:
        assert fetch(f"{front}/images/covers/on%20the%20disk.JPG").body == b"covers/on the disk.JPG"
        for target in (
            "/images/covers/gone.jpg",
            "/images/thumbnails/covers/gone/0123.webp",
            "/images/uploads/user_1/a%20b%20zo%C3%AB%20100%25%20%23%3F.png",
            "/images/covers/gone.jpg?v=1&name=a%20b",
        ):
            assert location_of(front + target) == (302, bucket_url + target)
        for target in (
            f"/images/{ARCHIVE}",
            "/images/mine.jpg",
            "/images/gone.tar.gz",
            f"/images/covers/../{ARCHIVE}",
            "/images/covers/../mine.jpg",
            "/images/covers/%2e%2e/mine.jpg",
            "/images//mine.jpg",
            "/images/./mine.jpg",
            "/images/uploads/page.html",
            "/images/covers/a%0d%0aSet-Cookie:%20x=y.jpg",
            "/images/covers/",
            "/images/",
        ):
            assert location_of(front + target)[0] == 403, target


# -- the engine part on real servers -----------------------------------------------------------------------------------------


def make_media(folder: Path, number: int) -> dict[str, bytes]:
    """Files of many small folders, and a large one."""
    made = {f"covers/{one % 7}/ü {one}.jpg": os.urandom(2000) for one in range(number)}
    made["uploads/large.jpg"] = os.urandom(9_000_000)
    for name, content in made.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return made


def upload(s3: S3, folder: Path) -> None:
    server, bucket = s3
    done = run_module("media_sync", {**server.options, "bucket": bucket, "path": str(folder), "prefix": "images"})
    assert not done.get("failed"), done


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_every_service_gives_proof(s3: S3, tmp_path: Path) -> None:
    made = make_media(tmp_path / "media", 30)
    upload(s3, tmp_path / "media")
    server, bucket = s3
    changed = server.client()
    changed.put_object(Bucket=bucket, Key="images/covers/1/ü 1.jpg", Body=made["covers/1/ü 1.jpg"][::-1])
    cleanup = Cleanup(access_of(server, bucket), Tree(os.fsencode(tmp_path / "media"), b"images/"))
    cleanup.carry_out()
    assert (cleanup.account["removed"], cleanup.account["different"]) == (len(made) - 1, 1)
    assert set(contents(tmp_path / "media")) == {"covers/1/ü 1.jpg"}


KILLED = """
import json, os, sys
from ansible_collections.selfhosted.media.plugins.module_utils._objects.access import BotoAccess
from ansible_collections.selfhosted.media.plugins.module_utils._s3.client import Connection
from ansible_collections.selfhosted.media.plugins.module_utils._instance.lock import instance_lock
from ansible_collections.selfhosted.media.plugins.module_utils._sync.cleanup import Cleanup
from ansible_collections.selfhosted.media.plugins.module_utils._sync.walk import Tree
options, bucket, folder = json.loads(sys.argv[1])
access = BotoAccess(Connection(**options), bucket)
access.address(), access.keys()
print("ready", flush=True)
Cleanup(access, Tree(os.fsencode(folder), b"images/"), concurrency=4).carry_out()
"""


def test_a_killed_cleanup_has_removed_nothing_unproven(moto_server: Server, bucket_name: str, tmp_path: Path) -> None:
    """And the next one goes on. Some objects are not there or not the same, at all times."""
    folder, client = tmp_path / "media", moto_server.client()
    client.create_bucket(Bucket=bucket_name)
    made = make_media(folder, 400)
    upload((moto_server, bucket_name), folder)
    unproven = {name for number, name in enumerate(sorted(made)) if number % 5 == 0}
    for number, name in enumerate(sorted(unproven)):
        client.delete_object(Bucket=bucket_name, Key=f"images/{name}")
        if number % 2:
            client.put_object(Bucket=bucket_name, Key=f"images/{name}", Body=made[name][::-1])
    arguments = json.dumps([moto_server.options, bucket_name, str(folder)])
    seed = random.randrange(10_000)
    chance = random.Random(seed)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    left = []
    for _kill in range(6):
        process = subprocess.Popen(
            [sys.executable, "-c", KILLED, arguments], stdout=subprocess.PIPE, env=environment, text=True
        )
        assert process.stdout and process.stdout.readline() == "ready\n"
        time.sleep(chance.random() * 0.3)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        now = contents(folder)
        assert all(made[name] == content for name, content in now.items()), f"seed {seed}"
        assert unproven <= set(now), f"seed {seed}"
        left.append(len(now))
    assert len(made) > left[-1], f"no kill came after the first removal: seed {seed}"
    subprocess.run([sys.executable, "-c", KILLED, arguments], env=environment, check=True, stdout=subprocess.DEVNULL)
    assert set(contents(folder)) == unproven
