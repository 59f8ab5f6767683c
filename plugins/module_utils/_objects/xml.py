# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the XML of S3's answers: pages of listings, errors, multipart uploads."""

from __future__ import annotations

import calendar
import re
import time
from typing import NamedTuple, Optional
from urllib.parse import unquote_to_bytes
from xml.etree.ElementTree import Element, ParseError, fromstring


class RemoteObject(NamedTuple):
    """An object of the bucket as LIST shows it."""

    key: bytes
    size: int
    etag: str
    modified_ns: int


class Page(NamedTuple):
    """One page of a listing."""

    objects: list[RemoteObject]
    #: how the next page is asked for; None on the last
    token: Optional[str]
    is_truncated: bool


class Part(NamedTuple):
    """A part of a multipart upload that the service has."""

    number: int
    size: int
    etag: str


class Upload(NamedTuple):
    """A multipart upload that has not ended."""

    key: bytes
    upload_id: str
    #: seconds since 1970 by the service's clock
    begun: float


def parsed(content: bytes) -> Optional[Element]:
    """The root of a document, names without their namespace; None for what is no XML.

    No answer of S3 has a DOCTYPE, so none is read: expat before 2.4.1, which Debian 11 has, expands its entities without end. The
    ASCII signs are themselves in all encodings that expat takes but UTF-16, which has NUL bytes, as no document in another has.
    """
    if b"<!DOCTYPE" in content or b"\0" in content:
        return None
    try:
        root = fromstring(content)  # noqa: S314
    except (ParseError, ValueError, LookupError):  # the last for an encoding that nobody knows
        return None
    root.tag = local(root.tag)
    return root


def local(tag: str) -> str:
    """A name without its namespace: services disagree about it, and some leave it out."""
    return tag.rpartition("}")[2]


def text(root: Element, name: str) -> Optional[str]:
    """The text of the first child of a name."""
    for child in root:
        if local(child.tag) == name:
            return child.text or ""
    return None


def page_of(root: Element) -> Page:
    """Read a ListBucketResult."""
    contents, token, truncated, encoding = [], None, False, ""
    for child in root:
        name = local(child.tag)
        if name == "Contents":
            contents.append(child)
        elif name == "NextContinuationToken":
            token = child.text
        elif name == "IsTruncated":
            truncated = child.text == "true"
        elif name == "EncodingType":
            encoding = child.text or ""
    return Page([_object(entry, encoding == "url") for entry in contents], token, truncated)


# The entry of a page as all services that we know send it; Owner and the like follow.
_ENTRY = re.compile(
    rb"<Contents>\s*<Key>([^<]*)</Key>\s*<LastModified>([^<]*)</LastModified>\s*<ETag>([^<]*)</ETag>\s*"
    rb"(?:<Checksum\w+>[^<]*</Checksum\w+>\s*)*<Size>(\d+)</Size>"
)


def quick_page(content: bytes) -> Optional[Page]:
    """Read a ListBucketResult of the usual shape in a fifth of the parser's time; None for any other shape.

    Text holds no `<` but in CDATA sections and comments, so where neither occurs tags are found by their names. A page
    has a thousand entries, and what they take is the time of a run that finds nothing to do.
    """
    entries = _ENTRY.findall(content)
    if not entries or b"<!" in content or content.count(b"<Contents") != len(entries):
        return None
    is_encoded = _between(content, b"<EncodingType>", b"</EncodingType>") == b"url"
    truncated = _between(content, b"<IsTruncated>", b"</IsTruncated>")
    token = _between(content, b"<NextContinuationToken>", b"</NextContinuationToken>")
    if truncated is None or b"&" in (token or b"") or not content.rstrip().endswith(b"</ListBucketResult>"):
        return None
    objects = []
    for key, modified, etag, size in entries:
        if b"&" in key:
            return None
        if is_encoded and (b"%" in key or b"+" in key):
            key = unquote_to_bytes(key.replace(b"+", b" "))
        told = etag[6:-6] if etag.startswith(b"&quot;") else etag.strip(b'"')
        objects.append(RemoteObject(key, int(size), told.decode("latin-1"), nanoseconds(modified.decode("latin-1"))))
    return Page(objects, None if token is None else token.decode(), truncated == b"true")


def _between(text: bytes, begin: bytes, end: bytes) -> Optional[bytes]:
    """What is between the first of two tags; None where they are not."""
    start = text.find(begin)
    if start < 0:
        return None
    start += len(begin)
    stop = text.find(end, start)
    return None if stop < 0 else text[start:stop]


def _object(entry: Element, is_encoded: bool) -> RemoteObject:
    key, size, etag, modified = "", "0", "", ""
    for child in entry:
        tag = child.tag
        if tag.endswith("Key"):
            key = child.text or ""
        elif tag.endswith("LastModified"):
            modified = child.text or ""
        elif tag.endswith("ETag"):
            etag = child.text or ""
        elif tag.endswith("Size"):
            size = child.text or "0"
    return RemoteObject(decoded_key(key, is_encoded), int(size), etag.strip('"'), nanoseconds(modified))


def decoded_key(key: str, is_encoded: bool) -> bytes:
    """A key as bytes. Where it was asked for so, control characters, which XML cannot hold, come encoded as in a form."""
    if is_encoded and ("%" in key or "+" in key):
        return unquote_to_bytes(key.replace("+", " "))
    return key.encode("utf-8", "surrogatepass")


_minutes: dict[str, int] = {}


def nanoseconds(moment: str) -> int:
    """The latest moment that a listed time can mean: services cut off what is below their seconds or milliseconds.

    AWS writes `.000Z` for whole seconds. Raises ValueError for what is no time as ISO 8601 writes it in UTC.
    """
    minute = _minutes.get(moment[:16])
    if minute is None:
        if len(_minutes) > 10_000:
            _minutes.clear()
        minute = _minutes[moment[:16]] = calendar.timegm(time.strptime(moment[:16], "%Y-%m-%dT%H:%M"))
    seconds = minute + int(moment[17:19])
    fraction = moment[20:-1]  # between the point and the Z
    if not fraction.strip("0"):
        fraction = ""
    return seconds * 1_000_000_000 + int(fraction[:9].ljust(9, "9"))


def uploads_of(root: Element) -> list[Upload]:
    """Read a ListMultipartUploadsResult. Raises ValueError for times that are none."""
    is_encoded = text(root, "EncodingType") == "url"
    found = []
    for child in root:
        if local(child.tag) == "Upload":
            begun = nanoseconds(text(child, "Initiated") or "") / 1e9
            key = decoded_key(text(child, "Key") or "", is_encoded)
            found.append(Upload(key, text(child, "UploadId") or "", begun))
    return found


def parts_of(root: Element) -> tuple[list[Part], str]:
    """Read a ListPartsResult: the parts of a page, and the number after which the next page begins, or nothing."""
    found = []
    for child in root:
        if local(child.tag) == "Part":
            number, size = int(text(child, "PartNumber") or 0), int(text(child, "Size") or 0)
            found.append(Part(number, size, (text(child, "ETag") or "").strip('"')))
    more = text(root, "IsTruncated") == "true"
    return found, (text(root, "NextPartNumberMarker") or "") if more else ""
