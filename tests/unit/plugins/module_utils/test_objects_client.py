# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests about objects: what is tried again, what is refused, and what is said then. The services are made up."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.selfhosted.media.plugins.module_utils._objects import client as client_module
from ansible_collections.selfhosted.media.plugins.module_utils._objects import retry
from ansible_collections.selfhosted.media.plugins.module_utils._objects.client import ObjectClient
from ansible_collections.selfhosted.media.plugins.module_utils._objects.connection import FilePart
from ansible_collections.selfhosted.media.plugins.module_utils._objects.signing import UNSIGNED
from ansible_collections.selfhosted.media.plugins.module_utils._objects.xml import Part
from ansible_collections.selfhosted.media.plugins.module_utils._s3 import errors
from ansible_collections.selfhosted.media.plugins.module_utils._s3.client import Connection, connect
from ansible_collections.selfhosted.media.plugins.module_utils._s3.errors import (
    NotAllowed,
    NotThere,
    S3Error,
    Throttled,
    Unreachable,
    WrongCredentials,
    explained,
)
from ansible_collections.selfhosted.media.tests.servers import free_port
from ansible_collections.selfhosted.media.tests.stub import Asked, FixedAccess, Reply, Stub, error
from botocore.retries import standard


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that would have been waited."""
    waited: list[float] = []

    def note(tries: int, retry_after: str = "") -> float:
        waited.append(retry.pause(tries, retry_after))
        return 0.0

    monkeypatch.setattr(client_module, "pause", note)
    return waited


class Service(Stub):
    """Gives the answers that a test puts there in turn, then successes."""

    def __init__(self, *answers: Reply) -> None:
        super().__init__(lambda _asked: self.answers.pop(0) if self.answers else Reply(headers={"ETag": '"e"'}))
        self.answers = list(answers)


@pytest.fixture
def service() -> Iterator[Service]:
    with Service() as running:
        yield running


@pytest.fixture
def client(service: Service) -> Iterator[ObjectClient]:
    made = ObjectClient(service.access)
    yield made
    made.close()


def put(client: ObjectClient) -> str:
    return client.put(b"a b/\xc3\xa9", b"content", {"content-type": "x/y"}, "writing k")


def test_our_tables_hold_what_botocore_tries_again() -> None:
    transient: Any = standard.TransientRetryableChecker
    throttled: Any = standard.ThrottledRetryableChecker
    assert set(transient._TRANSIENT_STATUS_CODES) <= retry.PASSING_STATUSES
    assert set(transient._TRANSIENT_ERROR_CODES) <= retry.PASSING_CODES
    assert set(throttled._THROTTLED_ERROR_CODES) <= retry.THROTTLING_CODES
    assert not (retry.PASSING_CODES | retry.THROTTLING_CODES) & (errors.NOT_ALLOWED | errors.NOT_THERE)


@pytest.mark.parametrize(
    "answer",
    [
        error(500, "InternalError"),
        Reply(500),
        Reply(502, b"<html>"),
        error(503, "SlowDown"),
        error(503, "ServiceUnavailable"),
        Reply(504),
        Reply(429),
        error(429, "TooManyRequests"),
        error(400, "RequestTimeout"),
        error(409, "OperationAborted"),
        error(400, "ThrottlingException"),
        Reply(200, b"", {"Content-Length": "7"}, cut=0),
        Reply(500, b"half an answer", cut=5),
    ],
)
def test_what_passes_is_tried_again(service: Service, client: ObjectClient, pauses: list[float], answer: Reply) -> None:
    service.answers = [answer, answer]
    assert put(client) == "e"
    assert client.requests == 3
    assert len(pauses) == 2
    assert [asked.body for asked in service.asked] == [b"content"] * 3


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (error(403, "AccessDenied"), NotAllowed),
        (Reply(403), NotAllowed),
        (error(404, "NoSuchBucket"), NotThere),
        (error(403, "SignatureDoesNotMatch"), WrongCredentials),
        (error(403, "InvalidAccessKeyId"), WrongCredentials),
        (error(400, "EntityTooLarge"), S3Error),
        (error(412, "PreconditionFailed"), S3Error),
        (Reply(418, b"<html>teapot</html>"), S3Error),
        (error(400, "BadDigest"), S3Error),
    ],
)
def test_what_does_not_pass_is_not_tried_again(
    service: Service, client: ObjectClient, pauses: list[float], answer: Reply, kind: type[S3Error]
) -> None:
    service.answers = [answer]
    with pytest.raises(kind) as caught:
        put(client)
    assert (client.requests, pauses) == (1, [])
    assert str(caught.value).startswith("writing k failed: ")
    assert caught.value.status == answer.status


@pytest.mark.parametrize(
    ("answer", "tries"), [(error(500, "InternalError"), retry.TRIES), (error(503, "SlowDown"), retry.THROTTLED_TRIES)]
)
def test_what_does_not_end_is_told_in_the_end(
    service: Service, client: ObjectClient, pauses: list[float], answer: Reply, tries: int
) -> None:
    service.answers = [answer] * 50
    with pytest.raises(S3Error, match="writing k failed") as caught:
        put(client)
    assert client.requests == len(service.asked) == tries
    assert len(pauses) == tries - 1
    assert isinstance(caught.value, Throttled) is (answer.status == 503)


def test_nobody_answers(pauses: list[float]) -> None:
    client = ObjectClient(_at(f"127.0.0.1:{free_port()}"))
    with pytest.raises(Unreachable, match=r"Connection refused.*check endpoint_url"):
        put(client)
    assert len(pauses) == retry.TRIES - 1


def _at(host: str) -> FixedAccess:
    with Stub(lambda _asked: Reply()) as stub:
        return FixedAccess(replace(stub.access.where, host=host))


def test_pauses_grow_and_differ() -> None:
    for tries, longest in ((1, 1), (2, 2), (3, 4), (5, 16), (6, 20), (50, 20)):
        found = [retry.pause(tries) for _number in range(200)]
        assert all(0 <= pause <= longest for pause in found)
        assert max(found) > longest / 2
        assert len(set(found)) > 100


@pytest.mark.parametrize(
    ("said", "least"), [("7", 7.0), ("3600", 60.0), ("", 0), ("-5", 0), ("Fri, 01 May 2026", 0), ("²", 0), ("1e9", 0)]
)
def test_the_service_may_say_how_long_to_wait(said: str, least: float) -> None:
    assert least <= retry.pause(1, said) <= max(least, 1.0)


def test_it_is_asked_to_wait(service: Service, client: ObjectClient, pauses: list[float]) -> None:
    service.answers = [replace(error(503, "SlowDown"), headers={"Retry-After": "9"})]
    put(client)
    assert pauses == [9.0]


def test_observers_are_told() -> None:
    told: list[tuple[bool, bool]] = []
    with Service(error(503, "SlowDown"), error(500, "InternalError")) as service:
        client = ObjectClient(service.access, observe=lambda seconds, slow: told.append((seconds >= 0, slow)))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(client_module, "pause", lambda *_words: 0)
            put(client)
            client.look("looking")  # tells nothing of an object's time
        client.close()
    assert told == [(True, True), (True, False)]


# -- the same sentences as through boto3 ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        error(403, "AccessDenied", "Access Denied"),
        error(404, "NoSuchKey", "The specified key does not exist."),
        error(404, "NoSuchBucket", "The specified bucket does not exist"),
        error(403, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist"),
        error(403, "SignatureDoesNotMatch", "The request signature we calculated does not match"),
        error(403, "RequestTimeTooSkewed", "The difference is too large."),
        error(400, "ExpiredToken", "The provided token has expired."),
        error(501, "NotImplemented", "A header you provided implies functionality that is not implemented"),
        error(409, "Odd", "Odd"),
    ],
)
def test_refusals_read_as_those_of_boto3(answer: Reply) -> None:
    with Stub(lambda _asked: answer) as stub:
        boto = connect(Connection(provider="generic", **_options(stub)), retries={"max_attempts": 1})
        with pytest.raises(S3Error) as theirs, explained("reading k"):
            boto.get_object(Bucket="b", Key="k")
        client = ObjectClient(stub.access)
        with pytest.raises(S3Error) as ours, client.get(b"k", "reading k"):
            pass
        client.close()
    assert str(ours.value) == str(theirs.value)
    assert type(ours.value) is type(theirs.value)
    assert (ours.value.code, ours.value.status) == (theirs.value.code, theirs.value.status)


def _options(stub: Stub) -> dict[str, Any]:
    server = stub.server
    return {
        "endpoint_url": server.endpoint_url,
        "access_key": server.access_key,
        "secret_key": server.secret_key,
        "region": server.region,
    }


# -- operations ----------------------------------------------------------------------------------------------------------


def test_what_is_asked(service: Service, client: ObjectClient, tmp_path: Path) -> None:
    put(client)
    client.head(b"k", "", part_number=1)
    client.delete(b"k", "")
    client.look("")
    asked = [(one.method, one.path, one.query) for one in service.asked]
    assert asked == [
        ("PUT", "/b/a b/é", {}),
        ("HEAD", "/b/k", {"partNumber": "1"}),
        ("DELETE", "/b/k", {}),
        ("HEAD", "/b", {}),
    ]
    assert service.asked[0].headers["content-type"] == "x/y"
    (tmp_path / "f").write_bytes(b"0123456789")
    with (tmp_path / "f").open("rb") as stream:
        etag = client.put_part(b"k", "u&=", 7, FilePart(stream.fileno(), 2, 5), {"content-md5": "m"}, UNSIGNED, "")
    last = service.asked[-1]
    assert (etag, last.query, last.body) == ("e", {"partNumber": "7", "uploadId": "u&="}, b"23456")
    assert last.headers["x-amz-content-sha256"] == UNSIGNED


def test_the_head_of_an_object(service: Service, client: ObjectClient) -> None:
    headers = {"Content-Length": "5", "ETag": '"abc"', "X-Amz-Meta-A": "1"}
    service.answers = [Reply(headers=headers), Reply(404)]
    head = client.head(b"k", "")
    assert (head.size, head.etag, head.metadata("a")) == (5, "abc", "1")
    assert not head.metadata("b")
    with pytest.raises(NotThere):
        client.head(b"k", "")


@pytest.mark.parametrize(
    "said",
    [
        b"<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>",
        b'<InitiateMultipartUploadResult xmlns="urn:x"><UploadId>u</UploadId></InitiateMultipartUploadResult>',
        b"<InitiateMultipartUpload><Key>k</Key><UploadId>u</UploadId></InitiateMultipartUpload>",  # rclone
    ],
)
def test_beginning_parts(service: Service, client: ObjectClient, said: bytes) -> None:
    service.answers = [Reply(body=said)]
    assert client.begin_parts(b"k", {}, "") == "u"


@pytest.mark.parametrize("said", [b"", b"<html/>", b"<InitiateMultipartUploadResult/>", b"<a><UploadId/></a>"])
def test_beginning_parts_without_an_id(service: Service, client: ObjectClient, said: bytes) -> None:
    service.answers = [Reply(body=said)]
    with pytest.raises(Unreachable, match="not an S3 service"):
        client.begin_parts(b"k", {}, "writing k")


def test_parts_come_in_pages(service: Service, client: ObjectClient) -> None:
    part = "<Part><PartNumber>{}</PartNumber><ETag>e</ETag><Size>5</Size></Part>"
    for number, more in ((1, "true"), (2, "false")):
        told = f"<IsTruncated>{more}</IsTruncated><NextPartNumberMarker>{number}</NextPartNumberMarker>"
        service.answers.append(
            Reply(body=f"<ListPartsResult><UploadId>u</UploadId>{told}{part.format(number)}</ListPartsResult>".encode())
        )
    assert client.parts(b"k", "u", "") == [Part(1, 5, "e"), Part(2, 5, "e")]
    assert [asked.query.get("part-number-marker") for asked in service.asked] == [None, "1"]


def test_parts_that_cannot_be_put_together(service: Service, client: ObjectClient, pauses: list[float]) -> None:
    """The status is 200 before that is known; what went wrong is in the body, and may pass."""
    late = b'<?xml version="1.0" encoding="UTF-8"?>\n\n<Error><Code>%s</Code><Message>m</Message></Error>'
    service.answers = [Reply(body=late % b"InternalError")]
    client.end_parts(b"k", "u", [(1, "e&"), (2, "f")], {}, "writing k")
    assert (len(service.asked), len(pauses)) == (2, 1)
    assert b"<PartNumber>1</PartNumber><ETag>e&amp;</ETag>" in service.asked[0].body
    service.answers = [Reply(body=late % b"EntityTooSmall")]
    with pytest.raises(S3Error, match="writing k failed: EntityTooSmall"):
        client.end_parts(b"k", "u", [(1, "e")], {}, "writing k")


def test_an_object_that_looks_like_an_error_is_no_error(service: Service, client: ObjectClient) -> None:
    service.answers = [Reply(body=b"<Error><Code>InternalError</Code></Error>")]
    with client.get(b"k", "") as found:
        assert found.read() == b"<Error><Code>InternalError</Code></Error>"


def test_a_body_that_is_not_read_to_its_end_is_left_behind(service: Service, client: ObjectClient) -> None:
    service.answers = [Reply(body=b"x" * 1_000_000)]
    with client.get(b"k", "") as found:
        assert found.read(5) == b"xxxxx"
    assert put(client) == "e"


@pytest.mark.parametrize("cut", [0, 5])
def test_an_answer_that_breaks_off_is_told_to_the_reader(service: Service, client: ObjectClient, cut: int) -> None:
    service.answers = [Reply(body=b"x" * 10, cut=cut)]
    with (
        pytest.raises(Unreachable, match="reading k failed: the answer broke off"),
        client.get(b"k", "reading k") as found,
    ):
        while found.read():
            pass
    assert put(client) == "e"


def test_errors_of_the_disk_are_not_the_services(client: ObjectClient) -> None:
    with pytest.raises(OSError, match="No space"), client.get(b"k", "reading k"):
        raise OSError(28, "No space left on device")


# -- connections ---------------------------------------------------------------------------------------------------------


def test_each_thread_keeps_a_connection_of_its_own() -> None:
    seen: dict[int, set[Any]] = {}
    with Service() as service:
        client = ObjectClient(service.access)

        def work(thread: int) -> None:
            for _number in range(5):
                put(client)
                seen.setdefault(thread, set()).add(client._connection()._socket)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert client.requests == len(service.asked) == 20
        client.close()
    assert all(len(sockets) == 1 for sockets in seen.values())
    assert len({id(socket) for sockets in seen.values() for socket in sockets}) == len(seen)


class Forgetful(Stub):
    """Closes each connection after a while without telling."""

    def __init__(self) -> None:
        super().__init__(self._answer)

    def _answer(self, _asked: Asked) -> Reply:
        return Reply(headers={"ETag": "e"}, cut=0)


@pytest.mark.parametrize("idle", [0.0, 0.05])
def test_a_connection_that_the_service_gave_up_costs_no_pause(
    monkeypatch: pytest.MonkeyPatch, pauses: list[float], idle: float
) -> None:
    from ansible_collections.selfhosted.media.plugins.module_utils._objects import connection

    monkeypatch.setattr(connection, "_IDLE", 0.01 if idle else 60)
    with Forgetful() as service:
        client = ObjectClient(service.access)
        for _number in range(3):
            assert put(client) == "e"
            time.sleep(idle or 0.02)
        client.close()
    assert len(service.asked) == 3
    assert pauses == []
