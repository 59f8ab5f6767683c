# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The media of family trees on their way to a bucket: looked through, checked, uploaded, verified."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Callable

from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._gramps.rows import FamilyTree
from ansible_collections.selfhosted.media.plugins.module_utils._gramps.survey import (
    NO_FILE,
    Absent,
    Hashes,
    Place,
    Survey,
    survey,
)
from ansible_collections.selfhosted.media.plugins.module_utils._objects.access import Access
from ansible_collections.selfhosted.media.plugins.module_utils._objects.client import ObjectClient
from ansible_collections.selfhosted.media.plugins.module_utils._objects.xml import RemoteObject
from ansible_collections.selfhosted.media.plugins.module_utils._s3.errors import NotThere
from ansible_collections.selfhosted.media.plugins.module_utils._sync.account import Account
from ansible_collections.selfhosted.media.plugins.module_utils._sync.clients import find_object, object_client
from ansible_collections.selfhosted.media.plugins.module_utils._sync.concurrency import Concurrency
from ansible_collections.selfhosted.media.plugins.module_utils._sync.engine import Run
from ansible_collections.selfhosted.media.plugins.module_utils._sync.job import AUTOMATIC_CONCURRENCY, Job
from ansible_collections.selfhosted.media.plugins.module_utils._sync.keys import shown
from ansible_collections.selfhosted.media.plugins.module_utils._sync.listing import Listing
from ansible_collections.selfhosted.media.plugins.module_utils._sync.pool import Pool
from ansible_collections.selfhosted.media.plugins.module_utils._sync.progress import Progress
from ansible_collections.selfhosted.media.plugins.module_utils._sync.verify import Check, Verification
from ansible_collections.selfhosted.media.plugins.module_utils._sync.walk import Tree

#: What may be done with a file whose content is not what the database records.
ON_MISMATCH = ("fail", "skip", "store_as_recorded")
#: Keys that Gramps Web itself makes: checksums and its archives of media, below a tree's id too.
_ITS_OWN = re.compile(rb"([^/]+/)?([0-9a-fA-F]{32}|media_archives/.*)", re.DOTALL)
#: Objects asked for at a time.
_ASKED_AT_A_TIME = 16
#: For more objects than this a listing takes fewer requests, and less time.
_ASKED_FOR_ALONE = 200
#: What is the matter with rows, in the words of a sentence: for one and for several.
_PROBLEMS = {
    "empty_checksum": "without a checksum in the database (let Gramps' Media Verify tool make it, or upload the file anew)",
    "missing": "whose file is missing (bring it back, remove the object in Gramps, or allow missing ones)",
    "mismatched": "whose file is not the one that the database records (see on_mismatch)",
    "failed": "whose file cannot be read",
}


@dataclass
class StoredMedia:
    """The media of family trees and the bucket that they are stored in."""

    access: Access
    read: Callable[[], list[FamilyTree]]
    place_of: Callable[[FamilyTree], Place]
    on_mismatch: str = "fail"
    missing_allowed: bool = False
    checksum: bool = False
    concurrency: int = AUTOMATIC_CONCURRENCY
    max_parts: int = 10_000
    #: check mode comes before the bucket
    bucket_may_be_missing: bool = False
    #: an instance that is on S3 needs no folder of media any more
    folder_may_be_missing: bool = False
    #: whether the databases can be read while the services stand
    reads_files: bool = True
    account: Account = field(default_factory=Account)
    surveys: list[Survey] = field(default_factory=list)
    hashes: Hashes = field(default_factory=Hashes)
    started: float = field(default_factory=time.time)
    progress: Progress = field(default_factory=Progress)

    def look_through(self, standing: bool = False) -> None:
        """Read the databases and compare each row with its file. Raises MediaError when a source is not there.

        While the services stand, the Web API does not answer: the rows are those of before, and what came since is
        looked for when they run again.
        """
        if self.reads_files or not standing:
            self._trees = self.read()
        self.surveys = []
        for tree in self._trees:
            place = self.place_of(tree)
            if any(place.is_confined or not os.path.isabs(row.path) for row in tree.rows):
                self._check_folder(place.media_dir)
            tally = self.progress.begin("reading", 1, 1, len(tree.rows), charted=False).tally()
            with self.progress.ticking():
                as_recorded = self.on_mismatch == "store_as_recorded"
                self.surveys.append(survey(tree, place, self.hashes, as_recorded, tally))
        self.seen = Account()
        for one in self.surveys:
            self.seen.count("rows", number=len(one.tree.rows))
            self.seen.add(one.account)
            self._ask_for_absent(one)

    def _check_folder(self, media_dir: str) -> None:
        """A folder that is not mounted is no reason to call everything missing."""
        if self.folder_may_be_missing and not os.path.lexists(media_dir):
            return
        if not media_dir:
            raise MediaError("it is not known where the media lie on this host; set media_dir")
        Tree(os.fsencode(media_dir), b"").check()

    def _ask_for_absent(self, one: Survey) -> None:
        """A row without a file is a picture all the same if its object is in the bucket."""
        alone = [absent for absent in one.absent if absent.key in one.empty_keys]
        there = self.objects_of(one, alone)
        for absent in alone:
            if absent.key in there:
                self.seen.count("in_bucket")
            else:
                self.seen.remark("missing", absent.row.name, NO_FILE)

    def objects_of(self, one: Survey, absent: list[Absent]) -> dict[bytes, RemoteObject]:
        """The objects, by their keys, of rows without a file."""
        if not absent:
            return {}
        with object_client(self.access, self.account) as client:
            return _objects_of(client, {row.key for row in absent}, one.place.prefix)

    def check(self) -> None:
        """Raise MediaError when a media object would be a broken picture on S3."""
        allowed = {"missing"} if self.missing_allowed else set()
        if self.on_mismatch == "skip":
            allowed.add("mismatched")
        met = {kind: self.seen[kind] for kind in _PROBLEMS if kind not in allowed and self.seen[kind]}
        if not met:
            return
        if "missing" in met:
            self._check_mounted()
        told = [f"{count} {_PROBLEMS[kind]}: {self._names(kind)}" for kind, count in met.items()]
        raise MediaError(
            f"{sum(met.values())} media objects would be broken pictures on S3, so nothing was changed: {'; '.join(told)}"
        )

    def _check_mounted(self) -> None:
        for one in self.surveys:
            folder = one.place.media_dir
            if one.absent and not os.listdir(folder):
                raise MediaError(
                    f"{folder} is empty, and the database tells of media: is it mounted? Nothing was changed"
                )

    def _names(self, kind: str) -> str:
        names = [remark["name"] for remark in self.seen.remarks(kind)[:5]]
        more = self.seen[kind] - len(names)
        return ", ".join(names) + (f" and {more} more" if more else "")

    def check_dedicated(self) -> None:
        """Raise MediaError when the bucket holds what Gramps Web has not made; a missing bucket is an empty one."""
        known = {key for one in self.surveys for key in (one.manifest.listed_keys() or [])}
        with object_client(self.access, self.account) as client:
            try:
                for found in Listing(client, "", bucket_may_be_missing=True).objects():
                    if not _ITS_OWN.fullmatch(found.key) and found.key not in known:
                        raise MediaError(
                            f"bucket {client.bucket} is not Gramps Web's alone: it holds {shown(found.key)}. Give it a "
                            "bucket of its own or a prefix; nothing was changed"
                        )
            except NotThere:
                return

    # -- the way -------------------------------------------------------------------------------------------------------

    def preview(self) -> None:
        """Count what upload() would do."""
        for run in self._runs():
            run.preview()
            self.account.add(run.account)

    def upload(self) -> None:
        """Upload what the bucket lacks. Raises MediaError when a file fails."""
        for run in self._runs():
            run.carry_out()
            self.account.add(run.account)
        if self.account["failed"] or self.account["vanished"]:
            kind = "failed" if self.account["failed"] else "vanished"
            first = self.account.remarks(kind)[0]
            raise MediaError(
                f"{self.account[kind]} files could not be copied; the first: {first['name']}: {first['reason']}"
            )

    def _filled(self) -> list[Survey]:
        return [one for one in self.surveys if one.manifest.listed_keys()]

    def _runs(self) -> Iterator[Run]:
        for one in self._filled():
            yield Run(
                Job(
                    self.access,
                    one.manifest,
                    checksum=self.checksum,
                    concurrency=self.concurrency,
                    max_parts=self.max_parts,
                    bucket_may_be_missing=self.bucket_may_be_missing,
                ),
                progress=self.progress,
            )

    def verify(self, charted: bool = False) -> Account:
        """Compare every file with its object, reading the bucket anew."""
        done = Account()
        for one in self._filled():
            check = Check(self.access, one.manifest, self.checksum, self.concurrency)
            verification = Verification(check, progress=self.progress, charted=charted)
            verification.carry_out()
            done.add(verification.account)
        self.account.requests += done.requests
        return done

    def unreferenced(self) -> tuple[int, int]:
        """How many files of the media folders no row means, and their bytes: they are not uploaded."""
        count = size = 0
        for folder in dict.fromkeys(one.place.media_dir for one in self.surveys if one.tree.rows):
            if not os.path.isdir(folder):
                continue  # an instance that is on S3 needs none
            meant = {path for one in self.surveys for path in one.paths}
            for file in Tree(os.fsencode(folder), b"").walk(lambda *_unused: None):
                if f"{folder.rstrip('/')}/{os.fsdecode(file.key)}" not in meant:
                    count, size = count + 1, size + file.size
        return count, size


def check_verified(done: Account) -> None:
    """Raise MediaError when a verification has found that the bucket does not hold what the disk does."""
    for kind in ("missing", "different", "unverifiable", "failed"):
        if done[kind]:
            first = done.remarks(kind)[0]
            raise MediaError(
                f"the bucket does not hold what was copied, {done[kind]} {kind}; the first: {first['name']}: {first['reason']}"
            )


def _objects_of(client: ObjectClient, keys: set[bytes], prefix: str) -> dict[bytes, RemoteObject]:
    """The objects that some of these keys have. A missing bucket holds none."""
    if len(keys) > _ASKED_FOR_ALONE:
        objects = Listing(client, prefix, bucket_may_be_missing=True).objects()
        return {found.key: found for found in objects if found.key in keys}
    there: dict[bytes, RemoteObject] = {}

    def ask(key: bytes) -> None:
        found = find_object(client, key)
        if found is not None:
            there[key] = found

    pool: Pool[bytes] = Pool(ask, Concurrency(_ASKED_AT_A_TIME))
    for key in keys:
        if not pool.put(key):
            break
    pool.finish()
    return there
