# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Large files in parts on real servers: side by side, taken up again after a killed run, never somebody else's."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.selfhosted.media.plugins.module_utils._objects import client as client_module
from ansible_collections.selfhosted.media.plugins.module_utils._objects import retry
from ansible_collections.selfhosted.media.plugins.module_utils._sync import multipart as multipart_module
from ansible_collections.selfhosted.media.plugins.module_utils._sync import upload as upload_module
from ansible_collections.selfhosted.media.plugins.module_utils._sync.engine import Run
from ansible_collections.selfhosted.media.plugins.module_utils._sync.hashing import MD5_METADATA
from ansible_collections.selfhosted.media.plugins.module_utils._sync.job import Job
from ansible_collections.selfhosted.media.plugins.module_utils._sync.unfinished import Unfinished
from ansible_collections.selfhosted.media.plugins.module_utils._sync.walk import Tree
from ansible_collections.selfhosted.media.tests.servers import Server, ServerUnavailable
from ansible_collections.selfhosted.media.tests.servers.ceph import gateway
from ansible_collections.selfhosted.media.tests.servers.proxy import Answer, Call, Close, Proxy, Rule, Stall, port_of
from ansible_collections.selfhosted.media.tests.stub import access_of

MIB = 1024 * 1024
PART = 5 * MIB  # S3's lower limit


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(upload_module, "PART_SIZE", PART)
    monkeypatch.setattr(multipart_module, "PART_SIZE", PART)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


class Bucket:
    """A bucket behind a proxy, and a folder that is brought into it."""

    def __init__(self, server: Server, name: str, proxy: Proxy, folder: Path) -> None:
        self.server, self.name, self.proxy, self.folder = server, name, proxy, folder
        self.client = server.client()

    def write(self, name: str, size: int) -> bytes:
        data = os.urandom(size)
        (self.folder / name).write_bytes(data)
        return data

    def run(self, **options: Any) -> Run:
        access = access_of(self.server._replace(endpoint_url=self.proxy.url), self.name)
        sync = Run(Job(access, Tree(os.fsencode(self.folder), b"images/"), **options))
        sync.carry_out()
        print(sync.account.remarks("failed"))
        return sync

    def get(self, name: str) -> bytes:
        data: bytes = self.client.get_object(Bucket=self.name, Key=f"images/{name}")["Body"].read()
        return data

    @property
    def uploads(self) -> list[tuple[str, str]]:
        """Keys and ids of the unfinished uploads."""
        found = self.client.list_multipart_uploads(Bucket=self.name).get("Uploads", [])
        return [(item["Key"], item["UploadId"]) for item in found]

    def parts_sent(self) -> list[int]:
        """The numbers of the parts that reached the server."""
        return sorted(
            int(seen.query["partNumber"])
            for seen in self.proxy.seen("PUT")
            if "partNumber" in seen.query and seen.status
        )

    def killed(self, *rules: Rule, parts: int) -> None:
        """A run that is killed when so many parts have been sent."""
        self.proxy.rules[:] = list(rules)
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        server = self.server._replace(endpoint_url=self.proxy.url)
        command = [sys.executable, "-c", KILLED, repr(tuple(server)), self.name, str(self.folder)]
        process = subprocess.Popen(command, env=environment)
        try:
            end = time.monotonic() + 60
            while len(self.parts_sent()) < parts and time.monotonic() < end:
                assert process.poll() is None
                time.sleep(0.02)
            assert len(self.parts_sent()) >= parts
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
        time.sleep(0.1)  # what is on its way arrives
        self.proxy.rules.clear()


KILLED = f"""
import ast, os, sys
from ansible_collections.selfhosted.media.plugins.module_utils._sync import multipart, upload
from ansible_collections.selfhosted.media.plugins.module_utils._sync.engine import Run
from ansible_collections.selfhosted.media.plugins.module_utils._sync.job import Job
from ansible_collections.selfhosted.media.plugins.module_utils._sync.walk import Tree
from ansible_collections.selfhosted.media.tests.servers import Server
from ansible_collections.selfhosted.media.tests.stub import access_of
multipart.PART_SIZE = upload.PART_SIZE = {PART}
server = Server(*ast.literal_eval(sys.argv[1]))
Run(Job(access_of(server, sys.argv[2]), Tree(os.fsencode(sys.argv[3]), b"images/"))).carry_out()
"""


@pytest.fixture(params=["ceph", "moto_server"])
def bucket(request: pytest.FixtureRequest, bucket_name: str, tmp_path: Path) -> Iterator[Bucket]:
    server: Server = request.getfixturevalue(request.param)
    server.client().create_bucket(Bucket=bucket_name)
    (tmp_path / "media").mkdir()
    with Proxy(port_of(server)) as proxy:
        yield Bucket(server, bucket_name, proxy, tmp_path / "media")


def notes(tmp_path: Path) -> list[Path]:
    return [path for path in (tmp_path / "state").rglob("*") if path.is_file()]


def test_parts_are_sent_side_by_side(bucket: Bucket, tmp_path: Path) -> None:
    bucket.proxy.delay = 0.03
    one, other = bucket.write("one", 7 * PART + 1), bucket.write("other", 2 * PART)
    assert bucket.run().account["uploaded"] == 2
    assert bucket.proxy.most_open >= 4
    assert sorted(seen.body_bytes for seen in bucket.proxy.seen("PUT", "one")) == [1, *[PART] * 7]
    for name, data in (("one", one), ("other", other)):
        assert bucket.get(name) == data
        head = bucket.client.head_object(Bucket=bucket.name, Key=f"images/{name}")
        assert head["Metadata"][MD5_METADATA] == hashlib.md5(data).hexdigest()
    assert (bucket.uploads, notes(tmp_path)) == ([], [])
    assert bucket.run().account["unchanged"] == 2
    assert bucket.run(checksum=True).account["unchanged"] == 2


@pytest.mark.parametrize(
    ("size", "max_parts", "sizes"),
    [
        (2 * PART, 10_000, [PART, PART]),
        (3 * PART, 2, [8 * MIB, 7 * MIB]),
        (3 * PART + 1, 3, [6 * MIB, 6 * MIB, 3 * MIB + 1]),
        (2 * PART, 1, [2 * PART]),
        (PART + 1, 10_000, [PART, 1]),
    ],
)
def test_a_limit_on_the_number_of_parts(bucket: Bucket, size: int, max_parts: int, sizes: list[int]) -> None:
    """All but the last are of one size, as R2 wants it."""
    data = bucket.write("one", size)
    bucket.run(max_parts=max_parts)
    sent = {int(seen.query["partNumber"]): seen.body_bytes for seen in bucket.proxy.seen("PUT")}
    assert [sent[number] for number in sorted(sent)] == sizes
    assert bucket.get("one") == data


def test_an_upload_of_a_killed_run_is_taken_up_again(bucket: Bucket, tmp_path: Path) -> None:
    data = bucket.write("one", 6 * PART)
    bucket.killed(Rule(Stall(60, "head"), method="PUT", query="partNumber=[56]"), parts=4)
    before = bucket.uploads
    assert len(before) == len(notes(tmp_path)) == 1
    bucket.proxy.forget()
    sync = bucket.run()
    assert sync.account["uploaded"] == 1
    assert bucket.parts_sent() == [5, 6]
    assert "uploads" not in [name for seen in bucket.proxy.seen("POST") for name in seen.query]
    assert bucket.get("one") == data
    assert (bucket.uploads, notes(tmp_path)) == ([], [])


def _other_content(bucket: Bucket) -> dict[str, Any]:
    bucket.write("one", 6 * PART)
    return {}


def _other_headers(_bucket: Bucket) -> dict[str, Any]:
    return {"cache_control": "no-cache"}


def _other_parts(_bucket: Bucket) -> dict[str, Any]:
    return {"max_parts": 5}


@pytest.mark.parametrize("change", [_other_content, _other_headers, _other_parts])
def test_another_upload_is_begun_anew(bucket: Bucket, tmp_path: Path, change: Any) -> None:
    bucket.write("one", 6 * PART)
    bucket.killed(Rule(Stall(60, "head"), method="PUT", query="partNumber=[56]"), parts=4)
    [before] = bucket.uploads
    bucket.proxy.forget()
    assert bucket.run(**change(bucket)).account["uploaded"] == 1
    assert len(bucket.parts_sent()) == (6 if change is not _other_parts else 5)
    [aborted] = bucket.proxy.seen("DELETE")
    assert aborted.query["uploadId"] == before[1]
    assert bucket.get("one") == (bucket.folder / "one").read_bytes()
    assert (bucket.uploads, notes(tmp_path)) == ([], [])


def test_what_others_have_begun_is_left_alone(bucket: Bucket) -> None:
    where = {"Bucket": bucket.name, "Key": "images/one"}
    theirs = bucket.client.create_multipart_upload(**where)["UploadId"]
    bucket.client.upload_part(**where, UploadId=theirs, PartNumber=1, Body=b"x" * PART)
    data = bucket.write("one", 2 * PART)
    bucket.run()
    assert bucket.get("one") == data
    assert bucket.uploads == [("images/one", theirs)]
    bucket.client.abort_multipart_upload(**where, UploadId=theirs)


def test_a_leftover_whose_file_is_gone_is_given_up(bucket: Bucket, tmp_path: Path) -> None:
    bucket.write("one", 2 * PART)
    bucket.write("two", 2 * PART)
    bucket.killed(Rule(Stall(60, "head"), method="PUT", query="partNumber=2"), parts=2)
    assert len(bucket.uploads) == len(notes(tmp_path)) == 2
    (bucket.folder / "one").unlink()
    dry = Run(Job(access_of(bucket.server, bucket.name), Tree(os.fsencode(bucket.folder), b"images/")))
    dry.preview()
    bucket.run(changed_since=time.time() + 1000)  # which looks at a part of the files only
    assert len(bucket.uploads) == 2
    # Another tree of the same bucket has nothing to do with it.
    access = access_of(bucket.server._replace(endpoint_url=bucket.proxy.url), bucket.name)
    (tmp_path / "empty").mkdir()
    Run(Job(access, Tree(os.fsencode(tmp_path / "empty"), b"images-old/"))).carry_out()
    assert len(bucket.uploads) == 2
    assert bucket.run().account["uploaded"] == 1
    assert (bucket.uploads, notes(tmp_path)) == ([], [])


def test_an_upload_that_a_dead_gateway_keeps_locked_is_made_anew(
    tmp_path: Path, bucket_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lock is Ceph's own, as a gateway leaves it that is killed while it puts the parts together."""
    monkeypatch.setattr(client_module, "pause", lambda *words: retry.pause(*words) / 50)
    with contextlib.ExitStack() as stack:
        try:
            ceph = stack.enter_context(gateway(store_mb=512))
        except ServerUnavailable as exc:
            pytest.skip(str(exc))
        ceph.server.client().create_bucket(Bucket=bucket_name)
        (tmp_path / "media").mkdir()
        bucket = Bucket(ceph.server, bucket_name, stack.enter_context(Proxy(port_of(ceph.server))), tmp_path / "media")
        data = bucket.write("one", 2 * PART + 1)
        bucket.proxy.rules[:] = [Rule(Call(ceph.lock_completion), method="POST", query="^uploadId=", times=1)]
        account = bucket.run().account
        assert (account["uploaded"], account["failed"]) == (1, 0)
        refused = [one for one in bucket.proxy.seen("POST") if one.status == 500]
        assert len(refused) == retry.TRIES
        assert bucket.get("one") == data
        assert (bucket.uploads, notes(tmp_path)) == ([], [])


@pytest.mark.parametrize("ours", [True, False])
def test_parts_that_may_be_an_objects_are_not_given_up(bucket: Bucket, tmp_path: Path, ours: bool) -> None:
    """A gateway that dies once it has written the object leaves the upload too, and giving that up removes the content."""
    data = bucket.write("one", 2 * PART)
    where = {"Bucket": bucket.name, "Key": "images/one"}
    upload_id = bucket.client.create_multipart_upload(**where)["UploadId"]
    bucket.client.upload_part(**where, UploadId=upload_id, PartNumber=1, Body=data[:PART])
    mark = Unfinished(
        access_of(bucket.server._replace(endpoint_url=bucket.proxy.url), bucket.name).address().url, b""
    ).take(b"images/one", "what")
    mark.upload_id, mark.begun = upload_id, time.time()
    mark.write()
    mark.release()
    metadata = {MD5_METADATA: hashlib.md5(data).hexdigest()} if ours else {}
    bucket.client.put_object(**where, Body=data, Metadata=metadata)
    assert bucket.run().account["unchanged"] == 1
    assert (len(bucket.uploads), len(notes(tmp_path))) == ((1, 1) if ours else (0, 0))
    # Written anew, the object has parts of its own, and the old ones are nobody's.
    data = bucket.write("one", 2 * PART + 5)
    assert bucket.run().account["uploaded"] == 1
    assert bucket.get("one") == data
    assert (bucket.uploads, notes(tmp_path)) == ([], [])


def test_an_upload_that_the_service_has_forgotten(bucket: Bucket, tmp_path: Path) -> None:
    """As lifecycle rules make it."""
    data = bucket.write("one", 2 * PART)
    bucket.killed(Rule(Stall(60, "head"), method="PUT", query="partNumber=2"), parts=1)
    [(key, upload_id)] = bucket.uploads
    bucket.client.abort_multipart_upload(Bucket=bucket.name, Key=key, UploadId=upload_id)
    assert bucket.run().account["uploaded"] == 1
    assert bucket.get("one") == data
    assert (bucket.uploads, notes(tmp_path)) == ([], [])


@pytest.mark.parametrize("state", ["/dev/null/state", "/proc/state"])
def test_notes_that_cannot_be_written(bucket: Bucket, monkeypatch: pytest.MonkeyPatch, state: str) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", state)
    data = bucket.write("one", 2 * PART)
    assert bucket.run().account["uploaded"] == 1
    assert bucket.get("one") == data
    assert bucket.uploads == []


@pytest.mark.parametrize("query", ["partNumber=2", "^uploadId=", "uploads"])
def test_parts_that_are_refused_leave_nothing_behind(bucket: Bucket, tmp_path: Path, query: str) -> None:
    bucket.write("one", 3 * PART)
    bucket.write("small", 5)
    bucket.proxy.rules[:] = [Rule(Answer(403, "AccessDenied"), method="PUT|POST", query=query)]
    sync = bucket.run()
    assert (sync.account["uploaded"], sync.account["failed"]) == (1, 1)
    [remark] = sync.account.remarks("failed")
    assert remark["name"] == "one"
    assert "AccessDenied" in remark["reason"]
    assert (bucket.uploads, notes(tmp_path)) == ([], [])
    bucket.proxy.rules.clear()
    assert bucket.run().account["uploaded"] == 1


def test_an_upload_that_cannot_be_given_up_at_once_is_given_up_later(bucket: Bucket, tmp_path: Path) -> None:
    bucket.write("one", 3 * PART)
    bucket.proxy.rules[:] = [
        Rule(Answer(403, "AccessDenied"), method="PUT", query="partNumber=2"),
        Rule(Answer(403, "AccessDenied"), method="DELETE"),
    ]
    assert bucket.run().account["failed"] == 1
    assert len(bucket.uploads) == len(notes(tmp_path)) == 1
    bucket.proxy.rules.clear()
    assert bucket.run().account["uploaded"] == 1
    assert (bucket.uploads, notes(tmp_path)) == ([], [])


@pytest.mark.parametrize("when", ["head", "body", "answer"])
@pytest.mark.parametrize(("method", "query"), [("POST", "uploads"), ("PUT", "partNumber=2"), ("POST", "^uploadId=")])
def test_a_connection_that_ends(bucket: Bucket, tmp_path: Path, method: str, query: str, when: str) -> None:
    """Also when the service has done what was asked and its answer is lost."""
    data = bucket.write("one", 3 * PART)
    bucket.proxy.rules[:] = [Rule(Close(when), method=method, query=query, times=1)]
    sync = bucket.run()
    assert (sync.account["uploaded"], sync.account["failed"]) == (1, 0)
    assert bucket.get("one") == data
    assert notes(tmp_path) == []
    if (query, when) != ("uploads", "answer"):  # its id has never been known
        assert bucket.uploads == []


def test_a_file_that_changes_between_its_parts(bucket: Bucket, tmp_path: Path) -> None:
    bucket.write("one", 3 * PART)
    path = bucket.folder / "one"

    class Change(Stall):
        def on_head(self, request: Any, proxy: Proxy) -> None:
            with path.open("r+b") as stream:
                stream.seek(3 * PART - 5)
                stream.write(b"other")

    bucket.proxy.rules[:] = [Rule(Change(0, "never"), method="PUT", query="partNumber=1&", times=1)]
    sync = bucket.run()
    assert (sync.account["uploaded"], sync.account["failed"]) == (1, 0)
    assert bucket.get("one") == path.read_bytes()
    assert bucket.get("one").endswith(b"other")
    assert (bucket.uploads, notes(tmp_path)) == ([], [])


# -- the notes alone -----------------------------------------------------------------------------------------------------


def test_a_note_belongs_to_one_process_at_a_time(tmp_path: Path) -> None:
    book = Unfinished("http://s3/b", b"images/", str(tmp_path / "notes"))
    first = book.take(b"images/a\xff", "what")
    first.upload_id = "u1"
    first.write()
    second = book.take(b"images/a\xff", "what")
    assert (second.upload_id, second.is_same, book.left_behind()) == ("", False, [])
    second.upload_id = "u2"
    second.write()
    second.remove()
    first.release()  # as its end does it
    [left] = book.left_behind()
    assert (left.key, left.upload_id) == (b"images/a\xff", "u1")
    left.remove()
    assert list((tmp_path / "notes").iterdir()) == []


def test_notes_tell_whose_they_are(tmp_path: Path) -> None:
    folder = str(tmp_path / "notes")
    made = Unfinished("http://s3/b", b"images/", folder).take(b"images/a", "what")
    made.upload_id = "u1"
    made.write()
    made.release()
    assert (tmp_path / "notes").stat().st_mode & 0o777 == 0o700
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in (tmp_path / "notes").iterdir())
    for scope, prefix in (("http://s3/other", b"images/"), ("http://s3/b", b"images-old/")):
        assert Unfinished(scope, prefix, folder).left_behind() == []
    again = Unfinished("http://s3/b", b"images/", folder).take(b"images/a", "what")
    assert (again.upload_id, again.is_same) == ("u1", True)
    again.release()
    other = Unfinished("http://s3/b", b"images/", folder).take(b"images/a", "else")
    assert (other.upload_id, other.is_same) == ("u1", False)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b"null", b'{"scope": 1, "key": 2}', b"{" * 100_000])
def test_notes_that_say_nothing(tmp_path: Path, content: bytes) -> None:
    folder = tmp_path / "notes"
    folder.mkdir()
    book = Unfinished("http://s3/b", b"", str(folder))
    mark = book.take(b"a", "what")
    mark.write()
    mark.release()
    [path] = folder.iterdir()
    path.write_bytes(content)
    (folder / "folder").mkdir()
    (folder / "link").symlink_to("/etc/passwd")
    assert book.left_behind() == []
    found = book.take(b"a", "what")
    assert (found.upload_id, found.is_same) == ("", False)
