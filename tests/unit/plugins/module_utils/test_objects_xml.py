# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is read from S3's XML is what botocore reads from it."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any, NamedTuple, Optional, cast
from urllib.parse import quote, quote_plus
from xml.sax.saxutils import escape

import pytest
from ansible_collections.selfhosted.media.plugins.module_utils._objects.xml import (
    Page,
    Part,
    RemoteObject,
    decoded_key,
    nanoseconds,
    page_of,
    parsed,
    parts_of,
    text,
)
from botocore.handlers import decode_list_object_v2
from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.parsers import create_parser
from hypothesis import given, settings
from hypothesis import strategies as st

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
#: Any character of a key; the control characters that XML cannot hold are among them.
KEYS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
#: Those that XML can hold as they are; it reads a carriage return as the end of a line.
PLAIN = KEYS.filter(lambda key: all(ord(char) >= 32 and char not in "\ufffe\uffff" for char in key))


class Entry(NamedTuple):
    key: str
    size: int = 1
    etag: str = '"0123456789abcdef0123456789abcdef"'
    modified: str = "2026-05-01T12:00:00.000Z"

    def xml(self, encode: bool) -> str:
        key = quote_plus(self.key, safe="/-_.*") if encode else self.key
        return (
            f"<Contents><Key>{escape(key)}</Key><LastModified>{self.modified}</LastModified>"
            f"<ETag>{escape(self.etag, {chr(34): '&quot;'})}</ETag><ChecksumAlgorithm>CRC32</ChecksumAlgorithm>"
            f"<Size>{self.size}</Size><StorageClass>STANDARD</StorageClass>"
            "<Owner><ID>Key</ID><DisplayName>n</DisplayName></Owner></Contents>"
        )


def listing(*entries: Entry, namespace: str = NAMESPACE, encode: bool = True, token: Optional[str] = None) -> bytes:
    told = "<EncodingType>url</EncodingType>" if encode else ""
    more = f"<NextContinuationToken>{escape(token)}</NextContinuationToken>" if token else ""
    contents = "".join(entry.xml(encode) for entry in entries)
    # EncodingType comes after the keys on some services, before them on others.
    first, last = (told, "") if len(entries) % 2 else ("", told)
    xmlns = f' xmlns="{namespace}"' if namespace else ""
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult{xmlns}><Name>b</Name>{first}'
        f"<IsTruncated>{'true' if token else 'false'}</IsTruncated>{contents}{more}{last}</ListBucketResult>"
    ).encode()


def read(content: bytes) -> Page:
    root = parsed(content)
    assert root is not None
    assert root.tag == "ListBucketResult"
    return page_of(root)


SHAPE = ServiceModel(Loader().load_service_model("s3", "service-2")).operation_model("ListObjectsV2").output_shape


def read_by_botocore(content: bytes) -> Page:
    answer: Any = create_parser("rest-xml").parse(
        {"status_code": 200, "headers": {}, "body": content}, cast(Any, SHAPE)
    )
    decode_list_object_v2(answer, {"encoding_type_auto_set": True})
    objects = []
    for item in answer.get("Contents", []):
        since = item["LastModified"] - datetime(1970, 1, 1, tzinfo=timezone.utc)
        nanos = (since.days * 86_400 + since.seconds) * 10**9 + (since.microseconds * 1000 or 999_999_999)
        objects.append(RemoteObject(item["Key"].encode(), item["Size"], item["ETag"].strip('"'), nanos))
    return Page(objects, answer.get("NextContinuationToken"), answer["IsTruncated"])


def assert_same(page: Page, theirs: Page) -> None:
    """The same but for what a time's last digit leaves open, which we read as its end."""
    assert page._replace(objects=[one._replace(modified_ns=0) for one in page.objects]) == theirs._replace(
        objects=[one._replace(modified_ns=0) for one in theirs.objects]
    )
    for one, other in zip(page.objects, theirs.objects):
        assert 0 <= one.modified_ns - other.modified_ns < 10**6


MODIFIED = st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1)).flatmap(
    lambda moment: st.sampled_from(
        [f"{moment:%Y-%m-%dT%H:%M:%S}Z", f"{moment:%Y-%m-%dT%H:%M:%S.%f}Z", f"{moment:%Y-%m-%dT%H:%M:%S.%f}"[:23] + "Z"]
    )
)


def entries(keys: st.SearchStrategy[str]) -> st.SearchStrategy[list[Entry]]:
    etags = st.sampled_from(['"abc-2"', "abc", '"abc"', ""])
    return st.lists(st.builds(Entry, keys, st.integers(0, 2**45), etags, MODIFIED), max_size=4)


@settings(deadline=None)
@given(found=entries(KEYS), namespace=st.sampled_from([NAMESPACE, "", "urn:other"]), token=st.none() | PLAIN)
def test_a_page_is_read_as_botocore_reads_it(found: list[Entry], namespace: str, token: Optional[str]) -> None:
    content = listing(*found, namespace=namespace, token=token)
    page = read(content)
    assert_same(page, read_by_botocore(content))
    assert [item.key for item in page.objects] == [entry.key.encode() for entry in found]
    assert page.is_truncated is bool(token)


@settings(deadline=None)
@given(found=entries(PLAIN))
def test_a_service_that_does_not_encode(found: list[Entry]) -> None:
    content = listing(*found, encode=False)
    page = read(content)
    assert_same(page, read_by_botocore(content))
    assert [item.key for item in page.objects] == [entry.key.encode() for entry in found]


@given(KEYS)
def test_decoding_inverts_what_services_encode(key: str) -> None:
    for encoded in (quote_plus(key, safe="/"), quote_plus(key), quote(key), quote(key, safe="/~*!'()")):
        assert decoded_key(encoded, True) == key.encode()
    assert decoded_key(key, False) == key.encode()


@pytest.mark.parametrize(
    ("moment", "seconds", "rest"),
    [
        ("1970-01-01T00:00:00Z", 0, 999_999_999),
        ("1970-01-01T00:00:00.000Z", 0, 999_999_999),
        ("2026-05-01T23:59:59.5Z", 1_777_679_999, 599_999_999),
        ("2026-05-01T23:59:59.065Z", 1_777_679_999, 65_999_999),
        ("2026-05-01T23:59:59.123456789Z", 1_777_679_999, 123_456_789),
        ("2026-05-01T23:59:59.1234567891Z", 1_777_679_999, 123_456_789),
        ("2024-02-29T00:00:00Z", 1_709_164_800, 999_999_999),
    ],
)
def test_times(moment: str, seconds: int, rest: int) -> None:
    assert nanoseconds(moment) == seconds * 10**9 + rest


@pytest.mark.parametrize(
    "moment", ["", "yesterday", "2026-13-01T00:00:00Z", "2026-05-01", "2026-05-01Txx:00:00Z", "2026-05-01T00:00:00.xZ"]
)
def test_times_that_are_none(moment: str) -> None:
    with pytest.raises(ValueError):
        nanoseconds(moment)


@pytest.mark.parametrize(
    "content",
    [
        listing(Entry("k")).replace(b"<Size>1<", b"<Size>many<"),
        listing(Entry("k")).replace(b"2026", b"never"),
        listing(Entry("k")).replace(b"LastModified", b"Elsewhen"),
    ],
)
def test_entries_that_are_none(content: bytes) -> None:
    with pytest.raises(ValueError):
        read(content)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"nothing",
        b"<",
        b"<!DOCTYPE html><p>Welcome to nginx!",
        b"<a><b></a>",
        listing(Entry("k"))[:-5],
        listing(Entry("k")) + b"<more/>",
        b"<Key>\x01</Key>",
        b"<Key>&#1;</Key>",
        b"<Key>\xff</Key>",
        b'<?xml version="1.0" encoding="no-such"?><a/>',
    ],
)
def test_what_is_no_xml(content: bytes) -> None:
    assert parsed(content) is None


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "iso-8859-1"])
def test_entities_are_not_expanded_without_end(encoding: str) -> None:
    lines = "".join(f'<!ENTITY e{number + 1} "{f"&e{number};" * 100}">' for number in range(20))
    bomb = f'<?xml version="1.0" encoding="{encoding}"?><!DOCTYPE a [<!ENTITY e0 "ha">{lines}]><a>&e20;</a>'
    assert parsed(bomb.encode(encoding)) is None
    # nor are few of them
    assert parsed('<!DOCTYPE a [<!ENTITY e0 "ha">]><a>&e0;</a>'.encode(encoding)) is None


def test_the_first_text_of_a_name() -> None:
    root = parsed(f'<Error xmlns="{NAMESPACE}"><Code>A</Code><Code>B</Code><Message/></Error>'.encode())
    assert root is not None
    assert (root.tag, text(root, "Code"), text(root, "Message"), text(root, "Other")) == ("Error", "A", "", None)


@pytest.mark.parametrize("xmlns", ["", f' xmlns="{NAMESPACE}"'])
def test_parts(xmlns: str) -> None:
    part = "<Part><PartNumber>2</PartNumber><ETag>&quot;e&quot;</ETag><Size>7</Size></Part>"
    for truncated, marker in (("true", "2"), ("false", "")):
        parts = parsed(
            f"<ListPartsResult{xmlns}><IsTruncated>{truncated}</IsTruncated>"
            f"<NextPartNumberMarker>2</NextPartNumberMarker>{part}</ListPartsResult>".encode()
        )
        assert parts is not None
        assert parts_of(parts) == ([Part(2, 7, "e")], marker)
