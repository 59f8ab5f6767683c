# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The media of family trees in a change of storage. Rows and checksums tell what is where, so no moment has to be known."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from typing import NamedTuple

from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._gramps.media import StoredMedia, check_verified
from ansible_collections.selfhosted.media.plugins.module_utils._gramps.survey import Survey
from ansible_collections.selfhosted.media.plugins.module_utils._instance.rollback import check_room
from ansible_collections.selfhosted.media.plugins.module_utils._objects.xml import RemoteObject
from ansible_collections.selfhosted.media.plugins.module_utils._s3.errors import NotThere, ends_everything
from ansible_collections.selfhosted.media.plugins.module_utils._sync.account import Account
from ansible_collections.selfhosted.media.plugins.module_utils._sync.clients import object_client
from ansible_collections.selfhosted.media.plugins.module_utils._sync.concurrency import Concurrency
from ansible_collections.selfhosted.media.plugins.module_utils._sync.download import Downloader
from ansible_collections.selfhosted.media.plugins.module_utils._sync.pool import Pool

#: Passes until everything is there; more are needed only while somebody goes on writing.
_PASSES = 3


class Wanted(NamedTuple):
    """A file that the disk lacks, and the object that it comes from."""

    remote: RemoteObject
    relative: bytes  # below the root
    name: str


@dataclass
class UploadedTrees:
    """From the disk to S3."""

    media: StoredMedia
    account: Account = field(init=False)
    standing: bool = False

    def __post_init__(self) -> None:
        self.account = self.media.account

    def bring(self) -> None:
        """Look through the databases, upload what is new, verify. The first time the services run, then they stand."""
        self.media.look_through(self.standing)
        self.standing = True
        self.media.check()
        self.media.upload()
        check_verified(self.media.verify())

    def take_back(self, _since: float) -> None:
        """Download what services have stored since they were started on S3."""
        ReturnedTrees(self.media, self.media.account, standing=True).bring()


@dataclass
class ReturnedTrees:
    """From S3 to the disk: each file that a row names and the disk lacks. What is there is never touched."""

    media: StoredMedia
    account: Account = field(default_factory=Account)
    standing: bool = False

    def check_room(self) -> tuple[int, int]:
        """How many files have to come, and their bytes. Raises MediaError, with numbers, when there is no room for them."""
        self.media.look_through()
        count = size = 0
        for one in self.media.surveys:
            wanted = self._wanted(one)
            count, size = count + len(wanted), size + sum(each.remote.size for each in wanted)
            if wanted:
                check_room(_root_of(one), count, size)  # the trees lie beside each other
                self._check_fit(one, wanted)
        return count, size

    def _check_fit(self, one: Survey, wanted: list[Wanted]) -> None:
        with object_client(self.media.access, self.account) as client:
            downloader = Downloader(client, os.fsencode(_root_of(one)), b"")
            for each in wanted:
                reason = downloader.why_not_at(each.relative)
                if reason:
                    raise MediaError(f"{each.name} cannot come back to the disk: {reason}. Nothing was changed")

    def bring(self) -> None:
        """Download until a pass finds nothing more to do: that one proves the others."""
        for _pass in range(_PASSES):
            self.media.look_through(self.standing)
            missing = [(one, self._wanted(one)) for one in self.media.surveys]
            if not any(wanted for _one, wanted in missing):
                self.standing = True
                return
            for one, wanted in missing:
                if wanted:
                    self._download(one, wanted)
            if self.account["failed"]:
                first = self.account.remarks("failed")[0]
                count = self.account["failed"]
                raise MediaError(
                    f"{count} files could not be brought back; the first: {first['name']}: {first['reason']}"
                )
        raise MediaError("files go on missing: something else than this instance's services changes the media folder")

    def take_back(self, _since: float) -> None:
        """Upload what services have written to the disk since they were started on it."""
        self.media.look_through(standing=True)
        self.media.upload()

    def _wanted(self, one: Survey) -> list[Wanted]:
        there, root = self.media.objects_of(one, one.absent), _root_of(one)
        return [
            Wanted(there[absent.key], os.fsencode(os.path.relpath(absent.path, root)), absent.row.name)
            for absent in {absent.path: absent for absent in one.absent}.values()
            if absent.key in there
        ]

    def _download(self, one: Survey, wanted: list[Wanted]) -> None:
        with object_client(self.media.access, self.account) as client:
            downloader = Downloader(client, os.fsencode(_root_of(one)), b"")

            def fetch(each: Wanted) -> None:
                try:
                    self.account.count("downloaded", downloader.download(_dated(each.remote), each.relative))
                except NotThere:
                    self.account.count("vanished")  # deleted by a user since
                except (MediaError, OSError) as exc:
                    if ends_everything(exc):
                        raise
                    reason = exc.strerror if isinstance(exc, OSError) else None
                    self.account.remark("failed", each.name, reason or str(exc))

            pool: Pool[Wanted] = Pool(fetch, Concurrency(min(self.media.concurrency, 32)))
            for each in wanted:
                if not pool.put(each):
                    break
            pool.finish()


def _dated(remote: RemoteObject) -> RemoteObject:
    """An object that was asked for by itself has no time; the epoch is none that a file should show."""
    return remote if remote.modified_ns else remote._replace(modified_ns=time.time_ns())


def _root_of(one: Survey) -> str:
    """The media folder, or the nearest one above it that exists: a new tree's own is made like that."""
    folder = one.place.media_dir
    while not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    return folder
