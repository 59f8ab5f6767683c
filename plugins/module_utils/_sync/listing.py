# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""List a bucket's objects under a prefix in key order."""

from __future__ import annotations

from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from typing import Optional

from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._objects.client import ObjectClient
from ansible_collections.selfhosted.media.plugins.module_utils._objects.xml import Page, RemoteObject
from ansible_collections.selfhosted.media.plugins.module_utils._s3.errors import S3Error, not_s3
from ansible_collections.selfhosted.media.plugins.module_utils._sync.keys import ALL_KEYS, Range, shown


class OutOfOrder(MediaError):
    """The service lists keys in another order than S3's, or does not begin where it is told to."""


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
    """The objects under a prefix, in key order, a page at a time. The order is checked, not trusted.

    Several threads may each read a range of their own.
    """

    def __init__(self, client: ObjectClient, prefix: str, bucket_may_be_missing: bool = False) -> None:
        #: bucket_may_be_missing: check mode comes before the bucket; a missing one then counts as empty
        self._client = client
        self._prefix = prefix
        self._may_be_missing = bucket_may_be_missing
        self._doing = f"listing {prefix or 'all objects'} in bucket {client.bucket}"
        self.clock = Clock()

    def objects(self, span: Range = ALL_KEYS) -> Iterator[RemoteObject]:
        """Yield the objects whose keys lie in a range. Raises S3Error, or OutOfOrder."""
        last = _bytes_before(span.after)
        for page in self._pages(span.after):
            # The whole page before any of it is used: what is compared wrongly is transferred for nothing.
            for found in page.objects:
                if last is not None and found.key <= last:
                    raise OutOfOrder(
                        f"the service lists keys out of order ({shown(found.key)} after {shown(last)}), "
                        "so they cannot be compared with the files; report this with the service's name"
                    )
                last = found.key
            for found in page.objects:
                if span.upto is not None and found.key > span.upto:
                    return
                # Some services list "directory" keys: they are no files.
                if span.holds(found.key) and not found.key.endswith(b"/"):
                    yield found

    def sorted_objects(self) -> Iterator[RemoteObject]:
        """Yield all objects in key order where the service has another one: all of them are held in memory for it."""
        found = [one for page in self._pages(None) for one in page.objects if not one.key.endswith(b"/")]
        found.sort()
        yield from found

    def _pages(self, after: Optional[bytes]) -> Iterator[Page]:
        request = {"prefix": self._prefix, "max-keys": "1000"}
        if after is not None:
            request["start-after"] = _text_before(after)
        while True:
            page = self._page(request)
            if page is None:
                return
            yield page
            if not page.is_truncated:
                return
            if not page.token or page.token == request.get("continuation-token"):
                # Ending here would take what was not listed for missing.
                raise MediaError(
                    f"{self._doing} failed: the service says that there are more objects, but not how to go on"
                )
            request.pop("start-after", None)
            request["continuation-token"] = page.token

    def _page(self, request: dict[str, str]) -> Optional[Page]:
        """One answer; None for a bucket that may be missing and is."""
        try:
            page, answer, sent, received = self._client.page(request, self._doing)
        except S3Error as exc:
            # Only S3 services name a code in what they answer; where there is but the HTTP status, somebody else spoke.
            if exc.code.isdigit() and exc.status not in (403, 429, 503):
                raise not_s3(self._doing, f"HTTP status {exc.status} without an S3 error code", exc.status) from exc
            if self._may_be_missing and exc.code == "NoSuchBucket":
                return None
            raise
        self.clock.note(answer.headers.get("date"), sent, received)
        return page


def _text_before(key: bytes) -> str:
    """The key as text, or, since a file's name need not be UTF-8, the part of it that is: the latest key before it."""
    try:
        return key.decode("utf-8")
    except UnicodeDecodeError as exc:
        return key[: exc.start].decode("utf-8")


def _bytes_before(key: Optional[bytes]) -> Optional[bytes]:
    return None if key is None else _text_before(key).encode()
