# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Services that fail, stall, throttle or list strangely: what passes is tried again, what does not is told, nothing is lost."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Optional

import pytest
from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._objects import client as client_module
from ansible_collections.selfhosted.media.plugins.module_utils._objects import retry
from ansible_collections.selfhosted.media.plugins.module_utils._s3.errors import S3Error, WrongCredentials
from ansible_collections.selfhosted.media.plugins.module_utils._sync import split as split_module
from ansible_collections.selfhosted.media.plugins.module_utils._sync.account import Account
from ansible_collections.selfhosted.media.plugins.module_utils._sync.engine import Run
from ansible_collections.selfhosted.media.plugins.module_utils._sync.job import Job
from ansible_collections.selfhosted.media.plugins.module_utils._sync.verify import Check, Verification
from ansible_collections.selfhosted.media.plugins.module_utils._sync.walk import Tree
from ansible_collections.selfhosted.media.tests.servers import Server
from ansible_collections.selfhosted.media.tests.servers.proxy import (
    Answer,
    Close,
    Half,
    Ignore,
    Proxy,
    Reorder,
    Rule,
    Stall,
    Throttle,
    port_of,
)
from ansible_collections.selfhosted.media.tests.stub import access_of

FILES = 60
LIST: dict[str, Any] = {"method": "GET", "query": "list-type"}
PUT: dict[str, Any] = {"method": "PUT"}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ranges of a few keys, so that a small tree has many; and pauses that are short."""
    monkeypatch.setattr(split_module, "_KEYS", 10)
    monkeypatch.setattr(client_module, "pause", lambda *words: retry.pause(*words) / 100)


class Place:
    """A bucket behind a proxy, and a folder."""

    def __init__(self, server: Server, name: str, proxy: Proxy, folder: Path) -> None:
        self.server, self.name, self.proxy, self.folder = server, name, proxy, folder
        self.client = server.client()
        for number in range(FILES):
            path = folder / f"{number % 6}" / f"{number:03}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(f"content {number}".encode())

    def access(self, **settings: Any) -> Any:
        return access_of(self.server._replace(endpoint_url=self.proxy.url), self.name, **settings)

    def run(self, *rules: Rule, dry: bool = False, folder: Optional[Path] = None, **options: Any) -> Run:
        """A run while the proxy plays the rules."""
        self.proxy.rules[:] = rules
        self.proxy.forget()
        access = self.access(read_timeout=options.pop("read_timeout", 10))
        sync = Run(Job(access, Tree(os.fsencode(folder or self.folder), b"images/"), **{"concurrency": 8, **options}))
        try:
            if dry:
                sync.preview()
            else:
                sync.carry_out()
        finally:
            self.proxy.rules.clear()
        return sync

    def verify(self, *rules: Rule, **options: Any) -> Verification:
        self.proxy.rules[:] = rules
        verification = Verification(Check(self.access(), Tree(os.fsencode(self.folder), b"images/"), **options))
        verification.carry_out()
        self.proxy.rules.clear()
        return verification

    def put(self, key: str, data: bytes = b"x") -> None:
        self.client.put_object(Bucket=self.name, Key=key, Body=data)

    @property
    def objects(self) -> dict[str, bytes]:
        """The objects below the prefix, with what they hold."""
        found = self.client.list_objects_v2(Bucket=self.name, Prefix="images/").get("Contents", [])
        keys = [item["Key"] for item in found]
        with ThreadPoolExecutor(8) as pool:
            contents = pool.map(lambda key: self.client.get_object(Bucket=self.name, Key=key)["Body"].read(), keys)
            return {key[len("images/") :]: content for key, content in zip(keys, contents)}

    @property
    def files(self) -> dict[str, bytes]:
        return files_in(self.folder)


def files_in(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(params=["ceph", "moto_server", "rclone_server"])
def place(request: pytest.FixtureRequest, bucket_name: str, tmp_path: Path) -> Iterator[Place]:
    server: Server = request.getfixturevalue(request.param)
    server.client().create_bucket(Bucket=bucket_name)
    with Proxy(port_of(server)) as proxy:
        yield Place(server, bucket_name, proxy, tmp_path / "media")


@pytest.fixture
def moto_place(moto_server: Server, bucket_name: str, tmp_path: Path) -> Iterator[Place]:
    """moto checks no signatures, so what the proxy changes need not be signed anew."""
    moto_server.client().create_bucket(Bucket=bucket_name)
    with Proxy(port_of(moto_server)) as proxy:
        yield Place(moto_server, bucket_name, proxy, tmp_path / "media")


def counts(account: Account) -> dict[str, int]:
    return {kind: number for kind, number in account._counts.items() if number}


# No more faults than one request may meet: which of those under way meets them is chance.

# -- what passes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "rules",
    [
        [Rule(Answer(500, "InternalError"), first=2, times=5)],
        [Rule(Answer(503, "SlowDown"), first=2, times=11)],
        [Rule(Answer(429), first=2, times=11)],
        [Rule(Answer(502), **LIST, times=2), Rule(Answer(504), **PUT, first=5, times=3)],
        [Rule(Close("head"), first=2, times=5)],
        [Rule(Close("body"), first=2, times=5)],
        [Rule(Close("answer"), first=2, times=5)],
        [Rule(Close("body", reset=True), first=2, times=5)],
        [Rule(Half(), first=2, times=5)],
        [Rule(Half(0.0), first=2, times=5)],
    ],
    ids=["500", "503", "429", "50x", "close-head", "close-body", "close-answer", "reset", "half", "no-body"],
)
def test_troubles_that_pass_are_not_seen(place: Place, tmp_path: Path, rules: list[Rule]) -> None:
    sync = place.run(*rules)
    assert counts(sync.account) == {"uploaded": FILES}
    assert sync.account.requests == len(place.proxy.seen())
    assert place.objects == place.files
    for rule in rules:
        rule.matched = 0
    down = tmp_path / "down"
    down.mkdir()
    assert counts(place.run(*rules, folder=down, upload=False).account) == {"downloaded": FILES}
    assert files_in(down) == place.files
    for rule in rules:
        rule.matched = 0
    assert counts(place.verify(*rules, checksum=True).account) == {"verified": FILES}


@pytest.mark.parametrize("when", ["head", "body", "answer"])
def test_a_service_that_stalls_is_asked_again(moto_place: Place, when: str) -> None:
    """It is waited for as long as the settings say, not for ever."""
    place = moto_place
    started = time.monotonic()
    rules = [Rule(Stall(60, when), **LIST, times=1), Rule(Stall(60, when), **PUT, first=3, times=2)]
    sync = place.run(*rules, read_timeout=1)
    assert counts(sync.account) == {"uploaded": FILES}
    assert place.objects == place.files
    assert time.monotonic() - started < 30


def test_a_service_that_throttles_above_a_rate(place: Place) -> None:
    """It gets everything in the end, with fewer requests at a time."""
    sync = place.run(Rule(Throttle(per_second=20)), concurrency=64)
    assert counts(sync.account) == {"uploaded": FILES}
    assert 503 in place.proxy.statuses()
    assert place.objects == place.files


# -- what does not pass ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("upload", "fault", "reason"),
    [
        pytest.param(upload, fault, reason, id=f"{'up' if upload else 'down'}-{name}")
        for upload in (True, False)
        for name, fault, reason in (
            ("500", Answer(500, "InternalError"), "InternalError"),
            ("503", Answer(503, "SlowDown"), "SlowDown"),
            ("403", Answer(403, "AccessDenied"), "AccessDenied"),
            ("close", Close("body"), "no answer from the endpoint"),
            ("half", Half(), "no answer|ended|InternalError"),
        )
        # an upload is done when its answer breaks off, and that answer has no body
        if not (upload and name == "half")
    ],
)
def test_what_fails_is_named_and_the_rest_is_done(
    moto_place: Place, tmp_path: Path, upload: bool, fault: Any, reason: str
) -> None:
    place = moto_place
    folder = place.folder
    if not upload:
        place.run()
        folder = tmp_path / "down"
        folder.mkdir()
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    bad: dict[str, Any] = {"method": "PUT" if upload else "GET", "path": "/(0/000|5/05[39])"}
    sync = place.run(Rule(fault, **bad), folder=folder, upload=upload)
    assert counts(sync.account) == {"uploaded" if upload else "downloaded": FILES - 3, "failed": 3}
    assert sorted(remark["name"] for remark in sync.account.remarks("failed")) == [
        "0/000.jpg",
        "5/053.jpg",
        "5/059.jpg",
    ]
    for remark in sync.account.remarks("failed"):
        assert re.search(reason, remark["reason"]), remark
    if upload:
        assert {path: path.read_bytes() for path in before} == before
        assert len(place.objects) == FILES - 3
        again = place.run()
        assert counts(again.account) == {"uploaded": 3, "unchanged": FILES - 3}
        assert place.objects == place.files
    else:
        assert len(files_in(folder)) == FILES - 3


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Answer(500, "InternalError"), "InternalError"),
        (Answer(403, "AccessDenied"), "AccessDenied"),
        (Close("body"), "no answer from the endpoint"),
        (Half(), "no answer from the endpoint"),
    ],
    ids=["500", "403", "close", "half"],
)
@pytest.mark.parametrize("first", [1, 3])
def test_a_listing_that_fails_ends_the_run(moto_place: Place, fault: Any, words: str, first: int) -> None:
    """What is not listed must not be taken for missing, nor for there."""
    place = moto_place
    place.put("images/extra")
    for delete in (False, True):
        with pytest.raises(S3Error, match=words):
            place.run(Rule(fault, **LIST, first=first), delete=delete)
        assert place.objects["extra"] == b"x"
    with pytest.raises(S3Error, match=words):
        place.verify(Rule(fault, **LIST, first=first))


@pytest.mark.parametrize("code", ["InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken"])
def test_keys_that_are_refused_in_mid_run_end_it(moto_place: Place, code: str) -> None:
    place = moto_place
    with pytest.raises(WrongCredentials, match=code):
        place.run(Rule(Answer(403, code), **PUT, first=10))
    assert len(place.proxy.seen("PUT")) < FILES


# -- strange listings ------------------------------------------------------------------------------------------------------


QUIRKS = {
    "ignored-start": Rule(Ignore(parameters=["start-after"])),
    "reversed": Rule(Reorder(), **LIST),
    "last-first": Rule(Reorder(reverse=False), **LIST),
}


@pytest.mark.parametrize("quirk", list(QUIRKS))
def test_a_service_that_lists_in_its_own_way(moto_place: Place, tmp_path: Path, quirk: str) -> None:
    place, rule = moto_place, QUIRKS[quirk]
    place.put("images/3/extra.jpg")
    place.put("images/2/014.jpg", b"another")
    check = place.run(rule, dry=True)
    first = place.run(rule)
    assert counts(first.account) == counts(check.account) == {"uploaded": FILES, "extra": 1}
    puts = [seen.path for seen in place.proxy.seen("PUT")]
    assert len(puts) == len(set(puts)) == FILES
    again = place.run(rule)
    assert counts(again.account) == {"unchanged": FILES, "extra": 1}
    assert counts(place.run(rule, checksum=True).account) == {"unchanged": FILES, "extra": 1}
    for checksum in (False, True):
        verification = place.verify(rule, checksum=checksum, sample=5)
        assert counts(verification.account) == {"verified": FILES, "extra": 1}
        assert len({local.key for local in verification.drawn}) == 5
    down = tmp_path / "down"
    down.mkdir()
    (down / "mine").write_bytes(b"x")
    downloaded = place.run(rule, folder=down, upload=False, delete=True)
    assert counts(downloaded.account) == {"downloaded": FILES + 1, "extra": 1, "deleted": 1}
    deleted = place.run(rule, delete=True)
    assert counts(deleted.account) == {"unchanged": FILES, "extra": 1, "deleted": 1}
    assert place.objects == place.files


def test_a_service_that_begins_anew_with_each_page_is_not_asked_for_ever(moto_place: Place) -> None:
    """It ignores the token as well, so its listing never ends."""
    moto_place.run()
    with pytest.raises(MediaError):
        moto_place.run(
            Rule(Ignore(parameters=["start-after", "continuation-token"])),
            Rule(SmallPages(), **LIST),
            delete=True,
        )
    assert moto_place.objects == moto_place.files


class SmallPages(Ignore):
    """Pages of seven keys."""

    def on_request(self, request: Any, proxy: Proxy) -> None:
        request.set_query(request.query.replace("max-keys=1000", "max-keys=7"))


def test_pages_that_are_small(moto_place: Place) -> None:
    moto_place.run()
    sync = moto_place.run(Rule(SmallPages(), **LIST))
    assert counts(sync.account) == {"unchanged": FILES}
    assert len(moto_place.proxy.seen("GET")) > FILES / 7


# -- deletion ----------------------------------------------------------------------------------------------------------------


def test_nothing_is_deleted_after_a_run_with_failures(moto_place: Place) -> None:
    place = moto_place
    place.put("images/extra")
    sync = place.run(Rule(Answer(403, "AccessDenied"), method="PUT", path="/0/000"), delete=True)
    assert counts(sync.account) == {"uploaded": FILES - 1, "failed": 1, "extra": 1}
    assert place.objects["extra"] == b"x"
    assert counts(place.run(delete=True).account) == {"uploaded": 1, "unchanged": FILES - 1, "extra": 1, "deleted": 1}
    assert place.objects == place.files


def test_deletions_that_fail_are_counted(moto_place: Place) -> None:
    place = moto_place
    for number in range(5):
        place.put(f"images/extra{number}")
    sync = place.run(Rule(Answer(403, "AccessDenied"), method="DELETE", path="extra3"), delete=True)
    assert (sync.account["deleted"], sync.account["failed"]) == (4, 1)
    assert [remark["name"] for remark in sync.account.remarks("failed")] == ["images/extra3"]


# -- several processes -------------------------------------------------------------------------------------------------------


SEVERAL = """
import json, os, sys
from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._objects import client as client_module, retry
from ansible_collections.selfhosted.media.plugins.module_utils._sync import split
from ansible_collections.selfhosted.media.plugins.module_utils._sync.engine import Run
from ansible_collections.selfhosted.media.plugins.module_utils._sync.job import Job
from ansible_collections.selfhosted.media.plugins.module_utils._sync.verify import Check, Verification
from ansible_collections.selfhosted.media.plugins.module_utils._sync.walk import Tree
from ansible_collections.selfhosted.media.tests.servers import Server
from ansible_collections.selfhosted.media.tests.stub import access_of
split._KEYS = 10
client_module.pause = lambda *words: retry.pause(*words) / 100
server, bucket, folder, what, options = json.loads(sys.argv[1])
access = access_of(Server(*server), bucket)
tree = Tree(os.fsencode(folder), b"images/")
try:
    if what == "verify":
        done = Verification(Check(access, tree, processes=2, **options))
        done.carry_out()
    else:
        done = Run(Job(access, tree, processes=2, **options))
        done.carry_out()
    found = dict(done.account._counts)
    remarks = done.account.remarks("failed") + done.account.remarks("ignored")
    counts = {kind: number for kind, number in found.items() if number}
    print(json.dumps([counts, remarks, done.account.requests, done.account.bytes]))
except MediaError as exc:
    print(json.dumps(str(exc)))
assert "boto3" in sys.modules
try:
    os.waitpid(-1, os.WNOHANG)
except ChildProcessError:
    pass
else:
    raise AssertionError
"""


def in_two_processes(place: Place, what: str, folder: Optional[Path] = None, *rules: Rule, **options: Any) -> Any:
    place.proxy.rules[:] = rules
    place.proxy.forget()
    server = place.server._replace(endpoint_url=place.proxy.url)
    words = json.dumps([list(server), place.name, str(folder or place.folder), what, options])
    done = subprocess.run(
        [sys.executable, "-c", SEVERAL, words],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_two_processes(place: Place, tmp_path: Path) -> None:
    place.put("images/3/extra.jpg")
    found, _reasons, requests, size = in_two_processes(place, "sync")
    assert found == {"uploaded": FILES, "extra": 1}
    assert requests == len(place.proxy.seen())
    assert size == sum(len(data) for data in place.files.values())
    found, _reasons, requests, size = in_two_processes(place, "sync", delete=True)
    assert (found, size) == ({"unchanged": FILES, "extra": 1, "deleted": 1}, 0)
    assert requests == len(place.proxy.seen())
    assert place.objects == place.files
    assert in_two_processes(place, "verify", checksum=True)[0] == {"verified": FILES}
    down = tmp_path / "down"
    down.mkdir()
    assert in_two_processes(place, "sync", down, upload=False)[0] == {"downloaded": FILES}
    assert files_in(down) == place.files


def test_two_processes_and_troubles(place: Place) -> None:
    """In each of them."""
    rules = [
        Rule(Answer(403, "AccessDenied"), method="PUT", path="/(0/000|5/05[39])"),
        Rule(Answer(500, "InternalError"), first=2, times=3),
        Rule(Close("answer"), first=30, times=2),
    ]
    found, reasons, _requests, _size = in_two_processes(place, "sync", None, *rules)
    assert found == {"uploaded": FILES - 3, "failed": 3}
    assert sorted(remark["name"] for remark in reasons) == ["0/000.jpg", "5/053.jpg", "5/059.jpg"]
    said = in_two_processes(place, "sync", None, Rule(Answer(403, "InvalidAccessKeyId"), method="PUT"))
    assert "InvalidAccessKeyId" in said
    said = in_two_processes(place, "sync", None, Rule(Answer(403, "AccessDenied"), query="list-type", first=3))
    assert "AccessDenied" in said


@pytest.mark.parametrize("quirk", list(QUIRKS))
def test_two_processes_and_a_service_that_lists_in_its_own_way(moto_place: Place, quirk: str) -> None:
    place, rule = moto_place, QUIRKS[quirk]
    place.put("images/3/extra.jpg")
    assert in_two_processes(place, "sync", None, rule)[0] == {"uploaded": FILES, "extra": 1}
    assert in_two_processes(place, "verify", None, rule)[0] == {"verified": FILES, "extra": 1}
    found = in_two_processes(place, "sync", None, rule, delete=True)[0]
    assert found == {"unchanged": FILES, "extra": 1, "deleted": 1}
    assert place.objects == place.files


def test_two_processes_and_a_hostile_tree(place: Place, tmp_path: Path) -> None:
    """Each name is met by one of them, and told once."""
    (tmp_path / "outside").mkdir()
    names = [
        "a b",
        "a+b",
        "a%41",
        "q'\"",
        "\u00e9",
        "e\u0301",
        "\U0001f600",
        "a-",
        "a.",
        ".dot",
        "&<>",
        "#?",
        "x\\y",
        "~",
    ]
    for number, name in enumerate(names):
        (place.folder / f"{number % 6}" / name).write_bytes(name.encode())
    (place.folder / "2" / "outside").symlink_to("../../outside")
    (place.folder / "3" / "up").symlink_to("..")
    (place.folder / "4" / "dangling").symlink_to("nowhere")
    os.mkfifo(place.folder / "5" / "pipe")
    long = place.folder
    for _number in range(5):
        long = long / ("n" * 200)
    long.mkdir(parents=True)
    (long / ("y" * 200)).write_bytes(b"x")
    Path(os.fsdecode(os.fsencode(place.folder) + b"/1/\xff")).write_bytes(b"x")
    found, reasons, _requests, _size = in_two_processes(place, "sync")
    assert found == {"uploaded": FILES + len(names), "failed": 3, "ignored": 3}
    assert len({remark["name"] for remark in reasons}) == 6
    stored = place.objects
    assert {name: stored[f"{number % 6}/{name}"] for number, name in enumerate(names)} == {
        name: name.encode() for name in names
    }
    again = in_two_processes(place, "sync")[0]
    assert again == {"unchanged": FILES + len(names), "failed": 3, "ignored": 3}


# -- the pace ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("size", [20_000, 300_000])
def test_a_limit_of_bandwidth_holds(moto_place: Place, processes: int, size: int) -> None:
    """Never more than a tenth above it; below it only as far as a busy machine is to blame."""
    place, total = moto_place, 6_000_000
    for path in place.folder.rglob("*.jpg"):
        path.unlink()
    for number in range(total // size):
        (place.folder / f"{number % 6}" / f"{number:03}.jpg").write_bytes(os.urandom(size))
    limit = 2_000_000
    started = time.monotonic()
    if processes == 1:
        assert place.run(bandwidth_limit=limit, concurrency=16).account.bytes == total
    else:
        assert in_two_processes(place, "sync", bandwidth_limit=limit, concurrency=16)[3] == total
    seconds = time.monotonic() - started
    seen = place.proxy.seen("PUT")
    sending = max(one.at + one.seconds for one in seen) - min(one.at for one in seen)
    assert sending >= (total - 16 * size) / limit / 1.1 - 0.1
    assert seconds >= total / limit / 1.1
    assert sending <= total / limit * 2 + 0.5
