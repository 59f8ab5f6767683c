# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything at once between the engine and Ceph: a run ends complete, or failed with a true sentence and nothing damaged."""

from __future__ import annotations

import contextlib
import functools
import os
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Optional, Union

import pytest
from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._objects import client as client_module
from ansible_collections.selfhosted.media.plugins.module_utils._objects import retry
from ansible_collections.selfhosted.media.plugins.module_utils._objects.client import ObjectClient
from ansible_collections.selfhosted.media.plugins.module_utils._s3.errors import (
    Gone,
    NotThere,
    S3Error,
    WrongCredentials,
)
from ansible_collections.selfhosted.media.plugins.module_utils._sync import split as split_module
from ansible_collections.selfhosted.media.plugins.module_utils._sync.account import Account
from ansible_collections.selfhosted.media.plugins.module_utils._sync.engine import Run
from ansible_collections.selfhosted.media.plugins.module_utils._sync.job import Job
from ansible_collections.selfhosted.media.plugins.module_utils._sync.source import Source
from ansible_collections.selfhosted.media.plugins.module_utils._sync.verify import Check, Verification
from ansible_collections.selfhosted.media.plugins.module_utils._sync.walk import Tree
from ansible_collections.selfhosted.media.tests.chaos.engine import (
    PART,
    PREFIX,
    Bucket,
    check_nothing_lost,
    files_in,
    make_tree,
    small_parts,
    write,
)
from ansible_collections.selfhosted.media.tests.servers import Server
from ansible_collections.selfhosted.media.tests.servers.ceph import gateway
from ansible_collections.selfhosted.media.tests.servers.proxy import (
    Answer,
    Call,
    CallOnce,
    Chaos,
    Close,
    Fault,
    Half,
    HalfSent,
    Ignore,
    Proxy,
    Rule,
    Stall,
    Twice,
    port_of,
)
from ansible_collections.selfhosted.media.tests.stub import access_of

PUT: dict[str, Any] = {"method": "PUT", "path": PREFIX}
GET: dict[str, Any] = {"method": "GET", "path": f"/{PREFIX}"}
#: What can be true of a single name after all tries.
SENTENCES = re.compile(
    r"InternalError|SlowDown|no answer from the endpoint|broke off|not what the service says|\b50[03]\b"
)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ranges of a few keys, so that a small tree has many; short pauses; small parts."""
    monkeypatch.setattr(split_module, "_KEYS", 30)
    monkeypatch.setattr(client_module, "pause", lambda *words: retry.pause(*words) / 50)
    small_parts(monkeypatch.setattr)


class Place:
    """A bucket behind a proxy, a folder, and the notes of what was begun."""

    def __init__(self, server: Server, name: str, proxy: Proxy, work: Path) -> None:
        server.client().create_bucket(Bucket=name)
        self.bucket, self.proxy, self.folder, self.state = Bucket(server, name), proxy, work / "media", work / "state"
        self.behind = server._replace(endpoint_url=proxy.url)
        self.folder.mkdir()

    def _job(self, folder: Optional[Path]) -> dict[str, Any]:
        access = access_of(self.behind, self.bucket.name, connect_timeout=5, read_timeout=self.read_timeout)
        return {"access": access, "tree": Tree(os.fsencode(folder or self.folder), PREFIX.encode())}

    read_timeout = 10.0

    def run(self, *rules: Rule, folder: Optional[Path] = None, **options: Any) -> Run:
        """A run while the proxy plays the rules."""
        self.proxy.rules[:] = rules
        self.proxy.forget()
        self.last = Run(Job(**self._job(folder), **{"concurrency": 8, **options}))
        try:
            self.last.carry_out()
        finally:
            self.proxy.rules.clear()
        return self.last

    def verify(self, *rules: Rule, **options: Any) -> Verification:
        self.proxy.rules[:] = rules
        self.last = Verification(Check(**self._job(None), **options))
        try:
            self.last.carry_out()
        finally:
            self.proxy.rules.clear()
        return self.last

    def check(self, folder: Optional[Path] = None) -> None:
        check_nothing_lost(self.bucket, folder or self.folder, self.state)

    last: Union[Run, Verification]


@pytest.fixture
def place(ceph: Server, bucket_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    with Proxy(port_of(ceph)) as proxy:
        yield Place(ceph, bucket_name, proxy, tmp_path)


@pytest.fixture
def small(place: Place) -> Place:
    """With a tree of small files."""
    make_tree(place.folder, 1, large=0)
    return place


def counts(account: Account) -> dict[str, int]:
    return {kind: number for kind, number in account._counts.items() if number}


# -- a fifth of all requests ---------------------------------------------------------------------------------------------


def everything(seed: int) -> Chaos:
    faults: dict[str, Fault] = {
        "500": Answer(500, "InternalError"),
        "503": Answer(503, "SlowDown"),
        "reset": Close("body", reset=True),
        "reset after it was done": Close("answer", reset=True),
        "stalled": Stall(3, "body"),
        "stalled after it was done": Stall(3, "answer"),
        "request cut": HalfSent(),
        "answer cut": Half(),
        "asked twice": Twice(),
        "answered twice": Twice(asked=False),
    }
    print("seed", seed)
    return Chaos(faults, 0.2, seed)


def is_told(account: Account, *kinds: str) -> bool:
    """Whether something failed; then with a reason that is true."""
    remarks = [remark for kind in kinds for remark in account.remarks(kind)]
    for remark in remarks:
        assert SENTENCES.search(remark["reason"]), remark
    return bool(remarks)


@pytest.mark.parametrize("seed", [int(os.environ.get("CHAOS_SEED", "0")) + number for number in (1, 2, 3)])
def test_a_fifth_of_all_requests_goes_wrong(place: Place, tmp_path: Path, seed: int) -> None:
    """Up, compared by content, deleted, down: after each at most one plain run is needed."""
    make_tree(place.folder, seed)
    place.read_timeout = 0.7
    chaos = everything(seed)
    never: dict[str, Any] = {"overwrite": False} if seed % 2 else {}

    def plainly(expected: bool, folder: Optional[Path] = None, **options: Any) -> None:
        place.read_timeout = 10
        account = place.run(folder=folder, **options).account
        assert set(counts(account)) <= {
            "unchanged",
            "deleted",
            "extra",
            *(["uploaded", "downloaded"] if expected else []),
        }
        place.read_timeout = 0.7

    with contextlib.suppress(S3Error):
        is_told(place.run(Rule(chaos), **never).account, "failed")
    plainly(True, **never)
    place.check()

    with contextlib.suppress(S3Error):
        verification = place.verify(Rule(chaos), checksum=True)
        if not is_told(verification.account, "failed", "unverifiable"):
            assert counts(verification.account) == {"verified": len(files_in(place.folder))}

    for number in range(40):
        place.bucket.put(f"extra/{number}")
    with contextlib.suppress(MediaError):
        is_told(place.run(Rule(chaos), delete=True).account, "failed")
    plainly(False, delete=True)
    place.check()

    down = tmp_path / "down"
    down.mkdir()
    with contextlib.suppress(S3Error):
        is_told(place.run(Rule(chaos), folder=down, upload=False).account, "failed")
        assert files_in(down).items() <= files_in(place.folder).items()
    plainly(True, folder=down, upload=False)
    place.check(down)
    assert len(chaos.played) == len(chaos.faults)
    print(chaos.played)


# -- what ends a run -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["ExpiredToken", "InvalidAccessKeyId"])
@pytest.mark.parametrize("direction", ["up", "down", "verify"])
def test_keys_that_end_in_mid_run(small: Place, tmp_path: Path, direction: str, code: str) -> None:
    """The run ends with one sentence, and what was done stays done."""
    place, folder = small, small.folder
    if direction != "up":
        place.run()
    if direction == "verify":
        # What was listed with another ETag takes a HEAD, which is told no code: its status is named for each.
        with pytest.raises(WrongCredentials, match=code):
            place.verify(Rule(Answer(403, code), first=3), checksum=True)
        return
    if direction == "down":
        folder = tmp_path / "down"
        folder.mkdir()
    wanted = PUT if direction == "up" else GET
    with pytest.raises(WrongCredentials, match=code):
        place.run(Rule(Answer(403, code), **wanted, first=20), folder=folder, upload=direction == "up")
    assert len(place.proxy.seen(wanted["method"], PREFIX)) < len(files_in(place.folder))
    assert counts(place.last.account)[{"up": "uploaded", "down": "downloaded"}[direction]] >= 1
    place.run(folder=folder, upload=direction == "up")
    place.check(folder)


def test_an_account_that_is_locked_and_keys_that_are_revoked_in_mid_run(
    tmp_path: Path, bucket_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the service's own administration; then its restart, which costs a running upload nothing."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    with gateway(store_mb=512) as ceph, Proxy(port_of(ceph.server), delay=0.01) as proxy:
        place = Place(ceph.server, bucket_name, proxy, tmp_path)
        make_tree(place.folder, 1, large=1)
        at = max(1, len(files_in(place.folder)) // 3)
        key = ["--uid", "owner", "--access-key", ceph.server.access_key]
        for words, undo, code in (
            (["user", "suspend", "--uid", "owner"], ["user", "enable", "--uid", "owner"], "UserSuspended"),
            (
                ["key", "rm", *key],
                ["key", "create", *key, "--secret-key", ceph.server.secret_key],
                "InvalidAccessKeyId",
            ),
        ):
            for name in files_in(place.folder):
                os.utime(place.folder / name)
            with pytest.raises(WrongCredentials, match=code):
                place.run(Rule(CallOnce(functools.partial(ceph.admin, *words)), **PUT, first=at), concurrency=4)
            assert 0 < place.last.account["uploaded"] < len(files_in(place.folder))
            ceph.admin(*undo)
            time.sleep(0.5)
            place.run()
            place.check()

        for name in files_in(place.folder):
            os.utime(place.folder / name)
        begun, over = threading.Event(), threading.Event()

        def restart() -> None:
            # In a thread that lives on: the kernel ends the server with the thread that started it.
            begun.wait(60)
            ceph.kill()
            time.sleep(1)
            ceph.start()
            over.wait(60)

        thread = threading.Thread(target=restart)
        thread.start()
        run = place.run(Rule(Call(begun.set), **PUT, first=at, times=1))
        seen = counts(run.account)
        stored = seen.pop("unchanged", 0)  # by a request whose answer the end of the server took away
        assert seen == {"uploaded": len(files_in(place.folder)) - stored}, run.account.remarks("failed")
        assert stored <= 8  # as many as there can be under way
        place.check()
        over.set()
        thread.join()


@pytest.mark.parametrize("direction", ["up", "down"])
def test_a_bucket_that_is_deleted_in_mid_run(small: Place, tmp_path: Path, direction: str) -> None:
    place, down = small, tmp_path / "down"
    down.mkdir()
    place.run()
    if direction == "up":
        for name in files_in(place.folder):
            os.utime(place.folder / name)
    before = files_in(place.folder)
    wanted = PUT if direction == "up" else GET
    with pytest.raises(NotThere, match=r"NoSuchBucket.*create it first"):
        place.run(
            Rule(Call(place.bucket.delete), **wanted, first=30, times=1),
            folder=place.folder if direction == "up" else down,
            upload=direction == "up",
        )
    assert files_in(place.folder) == before
    assert files_in(down).items() <= before.items()
    assert [path for path in down.rglob("*") if path.name.startswith(".selfhosted-media-")] == []
    place.bucket.client.create_bucket(Bucket=place.bucket.name)
    place.run()
    place.check()


@pytest.mark.parametrize("fault", [Close("head"), Stall(60, "head")], ids=["refuses", "says nothing"])
@pytest.mark.parametrize("direction", ["up", "down", "verify", "delete"])
def test_a_service_that_is_gone_for_good_ends_the_run(
    small: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, direction: str, fault: Fault
) -> None:
    """With one sentence, not with one for every file, each of which would be tried for a while."""
    monkeypatch.setattr(client_module, "PATIENCE", 1.0)
    place, files = small, len(files_in(small.folder))
    down = tmp_path / "down"
    down.mkdir()
    if direction != "up":
        place.run()
    for number in range(30 if direction == "delete" else 0):
        place.bucket.put(f"extra/{number}")
    place.read_timeout = 0.5
    with pytest.raises(Gone, match=r"no answer from the endpoint.*nothing answers there.*run again"):
        if direction == "up":
            place.run(Rule(fault, first=40), concurrency=4)
        elif direction == "down":
            place.run(Rule(fault, first=40), folder=down, upload=False, concurrency=4)
        elif direction == "delete":
            place.run(Rule(fault, method="DELETE|HEAD", first=3), delete=True, concurrency=4)
        else:
            place.verify(Rule(fault, first=2), checksum=True)
    assert counts(place.last.account).get("failed", 0) < files / 4
    assert [path for path in down.rglob("*") if path.name.startswith(".selfhosted-media-")] == []
    place.read_timeout = 10
    place.run(delete=True)
    place.check()


def test_a_name_that_gets_no_answer_does_not_end_the_run(small: Place) -> None:
    """Something between us and the service may dislike its content; everything else is done, also when it comes last."""
    write(small.folder / "zz" / "last.jpg", b"x")
    run = small.run(Rule(Close("body"), method="PUT", path="last.jpg"))
    assert counts(run.account) == {"uploaded": len(files_in(small.folder)) - 1, "failed": 1}
    assert "no answer from the endpoint" in run.account.remarks("failed")[0]["reason"]
    small.run()
    small.check()


@pytest.mark.parametrize(("off", "side"), [(-1200, "behind"), (1200, "ahead of")])
@pytest.mark.parametrize("options", [{}, {"changed_since": 0.0}, {"changed_since": 0.0, "overwrite": False}])
def test_a_clock_that_is_20_minutes_off(
    small: Place, monkeypatch: pytest.MonkeyPatch, off: int, side: str, options: dict[str, Any]
) -> None:
    """Ceph itself refuses such a time; one sentence tells how far off it is, whatever was asked first."""
    real = time.time
    with monkeypatch.context() as patch:
        patch.setattr(time, "time", lambda: real() + off)
        words = (
            rf"RequestTimeTooSkewed \(this machine's clock is 1(199|20[0-2]) s {side} the service's\); .*set the clock"
        )
        with pytest.raises(S3Error, match=words):
            small.run(**options)
    assert small.bucket.objects == {}
    small.run()
    small.check()


# -- never overwriting ---------------------------------------------------------------------------------------------------


def services(server: Server) -> dict[str, list[Rule]]:
    return {
        "honours": [],
        "ignores": [Rule(Ignore(headers=["if-none-match"], signer=server))],
        "knows it not": [Rule(Answer(501, "NotImplemented"), header="if-none-match")],
        "knows it with PUT only": [Rule(Answer(501, "NotImplemented"), method="POST", header="if-none-match")],
        "takes it for a mistake": [Rule(Answer(400, "InvalidArgument"), header="if-none-match")],
        "allows no probe": [Rule(Answer(403, "AccessDenied"), path="selfhosted-media-probe")],
    }


@pytest.mark.parametrize("service", list(services(Server("", "", ""))))
@pytest.mark.parametrize("since", [None, 0.0], ids=["listed", "since"])
def test_what_the_application_wrote_after_the_listing_is_not_overwritten(
    place: Place, monkeypatch: pytest.MonkeyPatch, service: str, since: Optional[float]
) -> None:
    """However the service takes If-None-Match, of small files and of large ones."""
    rules = services(place.bucket.server)[service]
    for name in ("a.jpg", "b.jpg", "same.jpg", "c/large.bin", "c/other.bin"):
        write(place.folder / name, name.encode() * (2 * PART // len(name) if "bin" in name else 1))
    init, seen = Source.__init__, set[bytes]()

    def late(source: Source, tree: Tree, key: bytes, inode: int = 0) -> None:
        """The application writes when the file has been compared and is about to be read."""
        if key not in seen and key.endswith((b"a.jpg", b"large.bin")):
            place.bucket.put(key.decode()[len(PREFIX) :], b"the application's")
        elif key not in seen and key.endswith(b"same.jpg"):
            place.bucket.put("same.jpg", b"same.jpg")
        seen.add(key)
        init(source, tree, key, inode)

    with monkeypatch.context() as patch:
        patch.setattr(Source, "__init__", late)
        run = place.run(*rules, overwrite=False, changed_since=since)
    assert counts(run.account) == {"uploaded": 2, "unchanged": 1, "conflicts": 2}, run.account.remarks("failed")
    assert place.bucket.get("a.jpg") == place.bucket.get("c/large.bin") == b"the application's"
    assert (place.bucket.uploads, len(place.bucket.objects)) == ([], 5)
    probes = place.proxy.seen("PUT", "selfhosted-media-probe")
    assert 1 <= len(probes) <= 2
    assert all("x-amz-acl" not in probe.headers for probe in probes)
    if service not in ("honours", "knows it with PUT only"):
        for name in ("b.jpg", "same.jpg"):
            asked = [one.method for one in place.proxy.seen(path=name)]
            assert "PUT" not in asked or asked[asked.index("PUT") - 1] == "HEAD", asked
    # Nothing to write: nothing is tried.
    again = place.run(overwrite=False)
    assert counts(again.account) == {"unchanged": 3, "conflicts": 2}
    assert place.proxy.seen("PUT") == []


def test_a_probe_that_stays_behind_is_removed_later_and_never_takes_part(small: Place, tmp_path: Path) -> None:
    """Where it may not be deleted, as of a killed run."""
    small.run(Rule(Answer(403, "AccessDenied"), method="DELETE"), overwrite=False)
    [left] = [name for name in small.bucket.objects if "probe" in name]
    assert small.bucket.get(left) == b""
    down = tmp_path / "down"
    down.mkdir()
    assert counts(small.run(folder=down, upload=False).account) == {"downloaded": len(files_in(small.folder))}
    assert counts(small.verify().account) == {"verified": len(files_in(small.folder))}
    small.bucket.client.put_object(Bucket=small.bucket.name, Key=".selfhosted-media-probe-0123456789abcdef", Body=b"")
    assert set(counts(small.run(overwrite=False).account)) == {"unchanged"}
    small.check()
    small.bucket.client.head_object(Bucket=small.bucket.name, Key=".selfhosted-media-probe-0123456789abcdef")


@pytest.mark.parametrize("overwrite", [True, False])
def test_an_upload_whose_beginning_was_never_answered_is_given_up(place: Place, overwrite: bool) -> None:
    """The service has begun it, nobody knows its id: it is told by its time, and by holding nothing."""
    write(place.folder / "one.bin", b"x" * (PART + 1))
    theirs = place.bucket.client.create_multipart_upload(Bucket=place.bucket.name, Key=PREFIX + "one.bin.more")
    time.sleep(3.1)  # an upload of the same key that is older than ours
    place.run(Rule(Close("answer"), method="POST", query="uploads", times=2), overwrite=overwrite)
    check_nothing_lost_but(place, [PREFIX + "one.bin.more"])
    assert theirs


def check_nothing_lost_but(place: Place, uploads: list[str]) -> None:
    assert place.bucket.uploads == uploads
    assert place.bucket.objects == files_in(place.folder)


# -- hostile buckets -----------------------------------------------------------------------------------------------------

HOSTILE = [
    *(
        "..",
        ".",
        "../up",
        "a/..",
        "a/../b",
        "a/../../up",
        "/etc/abs",
        "//double",
        "a//b",
        "./c",
        "a/./b",
        "...//..",
        "/",
    ),
    *("slash/", "deep/slash/", "link/evil", "link/deeper/evil", "both", "both/below", "folder", "file/below"),
    *("n" * 256, "deep/" * 30 + "n" * 256),
]
HARMLESS = [
    *(
        "Case",
        "case",
        "CASE/x",
        "back\\..\\slash",
        "...",
        "..a",
        "a/...",
        "\u00e9",
        "e\u0301",
        "tab\t",
        "two\nlines",
        "cr\r",
    ),
    *("\x01\x7f", "-rf", "$(id)", "deep/" * 30 + "n" * 255, "points", " ", "a/ /b", "\u202e"),
]


@pytest.mark.parametrize("prefix", [b"images/", b""], ids=["prefix", "whole bucket"])
@pytest.mark.parametrize("processes", [1, 2])
def test_a_hostile_bucket_writes_nothing_outside_the_folder(
    place: Place, tmp_path: Path, prefix: bytes, processes: int
) -> None:
    client = ObjectClient(access_of(place.behind, place.bucket.name))
    for name in [*HOSTILE, *HARMLESS]:
        with contextlib.suppress(S3Error):  # the service may have rules of its own
            client.put(prefix + name.encode(), b"evil", {}, "writing")
    page = client.page({"prefix": prefix.decode()}, "listing")[0]
    there = {found.key[len(prefix) :].decode() for found in page.objects}
    client.close()
    assert set(HARMLESS) <= there
    assert {"..", "../up", "a/../../up", "/etc/abs", "slash/", "both", "both/below", "link/evil"} <= there
    root, outside = tmp_path / "a" / "b" / "down", tmp_path / "outside"
    for folder in (root / "folder", outside):
        folder.mkdir(parents=True)
    (outside / "secret").write_bytes(b"secret")
    (root / "file").write_bytes(b"mine")
    (root / "link").symlink_to("../../../outside")
    (root / "points").symlink_to("../../../outside/secret")
    access = access_of(place.behind, place.bucket.name)
    run = Run(Job(access, Tree(os.fsencode(root), prefix), upload=False, delete=True, processes=processes))
    run.carry_out()
    assert {path.name: path.read_bytes() for path in outside.iterdir()} == {"secret": b"secret"}
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == ["down"]
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b"]
    written = {name for name in files_in(root) if (root / name).read_bytes() == b"evil"}
    assert written - {"both", "both/below"} == set(HARMLESS)
    assert len(written & {"both", "both/below"}) == 1
    assert (root / "file").read_bytes() == b"mine"
    assert (root / "folder").is_dir()
    # Each of the others is told, but for names that end in a slash, which stand for folders; so are the links that lead
    # out. After failures nothing was deleted, not even what only the folder has.
    told = len([name for name in there if not name.endswith("/")]) - len(written)
    assert counts(run.account) == {"downloaded": len(written), "failed": told, "extra": 1, "ignored": 2}
