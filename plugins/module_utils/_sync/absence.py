# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write only what is not there: by the service itself where it can, else by looking right before.

`If-None-Match: *` is honoured by some services, ignored by others, and refused by yet others. So it is tried on an object
of our own before it is relied on.
"""

from __future__ import annotations

import contextlib
import secrets
import threading
from dataclasses import dataclass
from typing import Optional

from ansible_collections.selfhosted.media.plugins.module_utils._objects.client import ObjectClient
from ansible_collections.selfhosted.media.plugins.module_utils._s3.errors import NotThere, S3Error, ends_everything
from ansible_collections.selfhosted.media.plugins.module_utils._sync.keys import shown
from ansible_collections.selfhosted.media.plugins.module_utils._sync.temporary import PROBE

_HEADERS = {"if-none-match": "*"}
#: What a service answers that does not know the header; some take it for a mistake in the request.
UNKNOWN = (400, 405, 501)
#: What it answers that keeps to it: there already, or being written at this moment.
_KEPT = (409, 412)


@dataclass
class Absence:
    """How one process sees to it that no object is overwritten. Used from several threads."""

    client: ObjectClient
    prefix: bytes

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        #: whether the service keeps to the header, and whether it takes it at all
        self._known: Optional[tuple[bool, bool]] = None

    @property
    def is_kept(self) -> bool:
        """Whether the service itself overwrites nothing when a PUT says so. The first call finds out."""
        return self._found_out()[0]

    def headers(self) -> dict[str, str]:
        """The headers for a write that must not overwrite."""
        return _HEADERS if self._found_out()[1] else {}

    def check(self, key: bytes) -> None:
        """Look right before a write. Raises what a service that keeps to the header answers: S3Error with status 412."""
        with contextlib.suppress(NotThere):
            self.client.head(key, f"looking for {shown(key)} in bucket {self.client.bucket}")
            raise S3Error(f"{shown(key)} is in bucket {self.client.bucket} already", "PreconditionFailed", 412)

    def _found_out(self) -> tuple[bool, bool]:
        with self._lock:
            if self._known is None:
                self._known = self._probe()
            return self._known

    def _probe(self) -> tuple[bool, bool]:
        key = self.prefix + PROBE + secrets.token_hex(8).encode()
        doing = f"writing {shown(key)} to bucket {self.client.bucket}, to see whether it keeps to If-None-Match"
        try:
            for _time in range(2):
                self.client.put(key, b"", _HEADERS, doing)
        except S3Error as exc:
            if ends_everything(exc):
                raise
            # Whatever else it is, for instance a missing permission, what follows meets it too, and tells.
            return exc.status in _KEPT, exc.status not in UNKNOWN
        finally:
            with contextlib.suppress(S3Error):  # left to remove_probes of this run, or of a later one
                self.client.delete(key, f"deleting {shown(key)} in bucket {self.client.bucket}")
        return False, True


def remove_probes(client: ObjectClient, prefix: bytes) -> None:
    """Remove what killed runs have left of theirs. Where that is not allowed it stays: it is empty, and never takes part."""
    where = (prefix + PROBE).decode("utf-8")
    doing = f"looking for objects of our own in bucket {client.bucket}"
    with contextlib.suppress(S3Error):
        page, _answer, _sent, _received = client.page({"prefix": where, "max-keys": "1000"}, doing)
        for found in page.objects:
            if not found.size:
                client.delete(found.key, doing)
