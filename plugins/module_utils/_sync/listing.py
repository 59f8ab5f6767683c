# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""List a bucket's objects under a prefix in key order."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, NamedTuple, Optional

from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._s3.errors import S3Error, Unreachable, explained
from ansible_collections.selfhosted.media.plugins.module_utils._sync.keys import ALL_KEYS, Range, shown

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client


class RemoteObject(NamedTuple):
    """An object of the bucket as LIST shows it."""

    key: bytes
    size: int
    etag: str
    modified_ns: int


class Clock:
    """What the answers' Date headers say of the server's clock, to compare files' times with objects' times.

    A Date header counts whole seconds, so each answer bounds the difference of the clocks from both sides. As long as
    the bounds allow no difference at all, none is assumed: two machines with the right time compare exactly.
    """

    def __init__(self) -> None:
        self._low = float("-inf")
        self._high = float("inf")

    def note(self, date_header: str, sent: float, received: float) -> None:
        """Take one answer into account; sent and received are this machine's time in seconds."""
        try:
            server = parsedate_to_datetime(date_header).timestamp()
        except (TypeError, ValueError):
            return
        self._low = max(self._low, server - received)
        self._high = min(self._high, server + 1 - sent)

    @property
    def ahead_ns(self) -> int:
        """By how many nanoseconds the server's clock is ahead of this machine's; below zero when it is behind."""
        if self._low <= 0 <= self._high:
            return 0
        return int((self._low if self._low > 0 else self._high) * 1e9)


class Listing:
    """The objects under a prefix, in key order, a page at a time. The order is checked, not trusted."""

    def __init__(self, client: S3Client, bucket: str, prefix: str, bucket_may_be_missing: bool = False) -> None:
        #: bucket_may_be_missing: check mode comes before the bucket; a missing one then counts as empty
        self._client = client
        self._bucket = bucket
        self._prefix = prefix
        self._may_be_missing = bucket_may_be_missing
        self.clock = Clock()
        self.requests = 0

    def objects(self, span: Range = ALL_KEYS) -> Iterator[RemoteObject]:
        """Yield the objects whose keys lie in a range. Raises S3Error, or MediaError when the order is not S3's."""
        last: Optional[bytes] = None
        for page in self._pages(span.after):
            for content in page.get("Contents", ()):
                found = _object(content)
                if last is not None and found.key <= last:
                    raise MediaError(
                        f"the service lists keys out of order ({shown(found.key)} after {shown(last)}), "
                        "so they cannot be compared with the files; report this with the service's name"
                    )
                last = found.key
                if span.upto is not None and found.key > span.upto:
                    return
                # Some services list "directory" keys: they are no files.
                if span.holds(found.key) and not found.key.endswith(b"/"):
                    yield found

    def _pages(self, after: Optional[bytes]) -> Iterator[Any]:
        request: dict[str, Any] = {"Bucket": self._bucket, "Prefix": self._prefix, "MaxKeys": 1000}
        if after is not None:
            request["StartAfter"] = _text_before(after)
        while True:
            page = self._page(request)
            if page is None:
                return
            yield page
            if not page.get("IsTruncated"):
                return
            token = page.get("NextContinuationToken")
            if not token or token == request.get("ContinuationToken"):
                # Ending here would take what was not listed for missing.
                raise MediaError(
                    f"{self._doing} failed: the service says that there are more objects, but not how to go on"
                )
            request.pop("StartAfter", None)
            request["ContinuationToken"] = token

    @property
    def _doing(self) -> str:
        return f"listing {self._prefix or 'all objects'} in bucket {self._bucket}"

    def _page(self, request: dict[str, Any]) -> Any:
        """One answer; None for a bucket that may be missing and is."""
        sent = time.time()
        try:
            with explained(self._doing):
                page = self._client.list_objects_v2(**request)
        except S3Error as exc:
            # Only S3 services name a code in what they answer; where botocore has but the HTTP status, somebody else spoke.
            # An answer of status 200 that is no XML it gives status 500.
            if exc.code.isdigit() and exc.status not in (403, 429, 503):
                raise self._not_s3(f"HTTP status {exc.status} without an S3 error code", exc.status >= 500) from exc
            if self._may_be_missing and exc.code == "NoSuchBucket":
                return None
            raise
        if "IsTruncated" not in page and "Contents" not in page and "Name" not in page:
            raise self._not_s3("no listing in its answer")
        self.requests += 1
        self.clock.note(page["ResponseMetadata"]["HTTPHeaders"].get("date", ""), sent, time.time())
        return page

    def _not_s3(self, found: str, or_in_trouble: bool = False) -> Unreachable:
        trouble = ", or a proxy before it has trouble" if or_in_trouble else ""
        return Unreachable(
            f"{self._doing} failed: what answers at the endpoint is not an S3 service ({found}){trouble}; check endpoint_url"
        )


def _text_before(key: bytes) -> str:
    """The key as text, or, since a file's name need not be UTF-8, the part of it that is: the latest key before it."""
    try:
        return key.decode("utf-8")
    except UnicodeDecodeError as exc:
        return key[: exc.start].decode("utf-8")


def _object(content: Any) -> RemoteObject:
    return RemoteObject(
        content["Key"].encode("utf-8", "surrogateescape"),
        content["Size"],
        content.get("ETag", "").strip('"'),
        _nanoseconds(content["LastModified"]),
    )


def _nanoseconds(moment: datetime) -> int:
    """The latest moment that a listed time can mean: a service that lists whole seconds has cut the rest off."""
    whole = int(moment.timestamp())
    rest = moment.microsecond or 999_999
    return whole * 1_000_000_000 + rest * 1000
