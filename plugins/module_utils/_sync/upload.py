# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write files as objects, with the headers that the application itself would set."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Optional

from ansible_collections.selfhosted.media.plugins.module_utils._objects.client import ObjectClient
from ansible_collections.selfhosted.media.plugins.module_utils._sync.absence import Absence
from ansible_collections.selfhosted.media.plugins.module_utils._sync.content_type import guess
from ansible_collections.selfhosted.media.plugins.module_utils._sync.hashing import MD5_METADATA, new_md5
from ansible_collections.selfhosted.media.plugins.module_utils._sync.keys import shown
from ansible_collections.selfhosted.media.plugins.module_utils._sync.lane import Put
from ansible_collections.selfhosted.media.plugins.module_utils._sync.multipart import Multipart
from ansible_collections.selfhosted.media.plugins.module_utils._sync.source import Changing, Source
from ansible_collections.selfhosted.media.plugins.module_utils._sync.walk import LocalFile, Tree

#: Larger files go in parts.
PART_SIZE = 8 * 1024 * 1024
_TRIES = 5
_PAUSE = 0.2


@dataclass(frozen=True)
class Dress:
    """What every new object is given besides its content."""

    acl: str = ""
    cache_control: str = ""
    #: content types by extension, dot included; they win over the guess by name
    content_types: dict[str, str] = field(default_factory=dict)

    def headers(self, key: bytes, content_type: str = "") -> dict[str, str]:
        """The headers of a key's object, whose content type is guessed unless it is known."""
        headers = {"content-type": content_type}
        if not content_type:
            kind = guess(key.decode("utf-8"), self.content_types)
            headers["content-type"] = kind.content_type
            if kind.content_encoding:
                headers["content-encoding"] = kind.content_encoding
        if self.cache_control:
            headers["cache-control"] = self.cache_control
        if self.acl:
            headers["x-amz-acl"] = self.acl
        return headers


@dataclass
class Uploader:
    """Writes files to one bucket. Used from several threads."""

    client: ObjectClient
    tree: Tree
    dress: Dress
    multipart: Multipart
    absence: Optional[Absence] = None
    #: store the MD5 with every object, not only with those in parts: where a bucket encrypts, no ETag tells it
    record_md5: bool = False

    def upload(self, key: bytes) -> int:
        """Write the file that has a key; its size. Taken again when it changes before the object is there.

        Raises FileNotFoundError when it has vanished, OSError when it cannot be read, Changing, or S3Error; the status
        of that is 412 where only what is absent is written and there is an object already.
        """
        for tries_left in reversed(range(_TRIES)):
            with Source(self.tree, key) as source:
                try:
                    if source.size > PART_SIZE:
                        self.multipart.upload(source, self._headers(key))
                    else:
                        self._whole(source)
                    source.check_unchanged()  # else its last change would never be seen: the object is newer
                    return source.size
                except Changing:
                    if not tries_left:
                        raise
            time.sleep(_PAUSE)
        raise AssertionError("not reached")

    def prepare(self, local: LocalFile) -> Put:
        """Read a small file for a lane. Raises as upload() does."""
        with Source(self.tree, local.key, local.inode) as source:
            data, headers = self._read(source)
        return Put(local.key, data, headers, source.check_unchanged)

    def _whole(self, source: Source) -> None:
        data, headers = self._read(source)
        if self.absence is not None and not self.absence.is_kept:
            self.absence.check(source.key)
        self.client.put(source.key, data, headers, f"writing {shown(source.key)} to bucket {self.client.bucket}")

    def _headers(self, key: bytes) -> dict[str, str]:
        return self.dress.headers(key, self.tree.content_type_of(key))

    def _read(self, source: Source) -> tuple[bytes, dict[str, str]]:
        """A file's content, and the headers of its object."""
        data = source.read_all()
        source.check_unchanged()
        headers = self._headers(source.key)
        if self.record_md5:
            headers[f"x-amz-meta-{MD5_METADATA}"] = new_md5(data).hexdigest()
        if self.absence is not None:
            headers.update(self.absence.headers())
        return data, headers
