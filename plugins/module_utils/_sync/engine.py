# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring a folder and a bucket's prefix into step: plan as data, then carry out."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Optional

from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._s3.errors import (
    NotThere,
    S3Error,
    WrongCredentials,
    explained,
)
from ansible_collections.selfhosted.media.plugins.module_utils._sync.account import Account
from ansible_collections.selfhosted.media.plugins.module_utils._sync.decide import Action, Strategy
from ansible_collections.selfhosted.media.plugins.module_utils._sync.delete import Extras, delete_files, delete_objects
from ansible_collections.selfhosted.media.plugins.module_utils._sync.download import Downloader
from ansible_collections.selfhosted.media.plugins.module_utils._sync.hashing import md5_of, recorded_md5
from ansible_collections.selfhosted.media.plugins.module_utils._sync.keys import ALL_KEYS, Range, shown
from ansible_collections.selfhosted.media.plugins.module_utils._sync.listing import Listing, RemoteObject
from ansible_collections.selfhosted.media.plugins.module_utils._sync.merge import Pair, merge
from ansible_collections.selfhosted.media.plugins.module_utils._sync.pace import Pace
from ansible_collections.selfhosted.media.plugins.module_utils._sync.pool import run_all
from ansible_collections.selfhosted.media.plugins.module_utils._sync.upload import Uploader
from ansible_collections.selfhosted.media.plugins.module_utils._sync.walk import LocalFile, Tree, walk

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client

#: Threads when the user names no number: enough to hide the latency of a service, few enough for a small server.
AUTOMATIC_CONCURRENCY = 16


@dataclass
class Job:
    """What is to be brought into step, and how. The fields are media_sync's options of the same names."""

    client: S3Client
    tree: Tree
    bucket: str
    upload: bool = True
    overwrite: bool = True
    checksum: bool = False
    changed_since: Optional[float] = None
    acl: str = ""
    cache_control: str = ""
    content_types: dict[str, str] = field(default_factory=dict)
    concurrency: int = AUTOMATIC_CONCURRENCY
    bandwidth_limit: int = 0
    max_parts: int = 10_000
    delete: bool = False
    max_delete: int = 1000
    bucket_may_be_missing: bool = False

    @property
    def prefix(self) -> str:
        """The prefix as text, with its slash."""
        return self.tree.prefix.decode("utf-8")


class Step(NamedTuple):
    """A pair and what is to be done with it."""

    action: Action
    pair: Pair


@dataclass
class Run:
    """A job under way: plan() tells what would be done, carry_out() does it."""

    job: Job
    account: Account = field(default_factory=Account)
    started: float = field(default_factory=time.time)

    def __post_init__(self) -> None:
        job = self.job
        self._listing = Listing(job.client, job.bucket, job.prefix, job.bucket_may_be_missing)
        self._strategy = Strategy(job.upload, job.overwrite, job.checksum)
        self._extras = Extras(job.max_delete if job.delete else 0)

    def plan(self, span: Range = ALL_KEYS) -> Iterator[Step]:
        """Yield what is to be done in a range of keys, in key order. Changes nothing."""
        self.job.tree.check()
        for pair in self._pairs(span):
            yield Step(self._strategy.decide(pair, self._listing.clock.ahead_ns), pair)

    def carry_out(self) -> None:
        """Do what the plan says. What fails is counted with its reason and everything else is done.

        Raises MediaError only for what ends the whole run: no source, no bucket, wrong credentials, a listing that fails.
        """
        job = self.job
        job.tree.check()
        pace = Pace(job.bandwidth_limit)
        if job.upload:
            self._uploader = Uploader(
                job.client,
                job.bucket,
                job.acl,
                job.cache_control,
                job.content_types,
                pace,
                job.max_parts,
                only_absent=not job.overwrite,
            )
        else:
            self._downloader = Downloader(job.client, job.bucket, job.tree.root, job.tree.prefix, pace)
        try:
            run_all(self.plan(), self._do, job.concurrency)
        finally:
            self.account.add_requests(self._listing.requests)
        if job.delete:
            self._delete_extras()

    def preview(self) -> None:
        """Count what carry_out() would do, for check mode: reads, lists and hashes, changes nothing."""
        for step in self.plan():
            action = step.action
            if action is Action.COMPARE:
                action = self._strategy.settle(self._same_content(step.pair))
            if action is Action.TRANSFER:
                self.account.count(self._done, self._size(step.pair))
            else:
                self._note(action, step.pair)
        self.account.add_requests(self._listing.requests)
        if self.job.delete:
            for _ in self._deletable():
                self.account.count("deleted")

    # -- the two streams -------------------------------------------------------------------------------------------

    def _pairs(self, span: Range) -> Iterator[Pair]:
        job = self.job
        files = walk(job.tree, self._report, span)
        if job.changed_since is None:
            return merge(files, self._objects(span))
        since_ns = int(job.changed_since * 1e9)
        if job.upload:
            # The files' own times tell what is new: no listing, so it takes seconds even for a large tree.
            return (Pair(file.key, file, None) for file in files if max(file.mtime_ns, file.ctime_ns) >= since_ns)
        return merge(files, (found for found in self._objects(span) if self._is_newer(found, since_ns)))

    def _objects(self, span: Range) -> Iterator[RemoteObject]:
        tree, start = self.job.tree, len(self.job.tree.prefix)
        for found in self._listing.objects(span):
            if tree.chooser.chooses(found.key[start:]) and tree.shard.holds(found.key):
                yield found

    def _is_newer(self, found: RemoteObject, since_ns: int) -> bool:
        return found.modified_ns >= since_ns + self._listing.clock.ahead_ns

    def _report(self, relative: bytes, reason: str, incomplete: bool) -> None:
        self.account.remark("failed" if incomplete else "ignored", shown(relative), reason)

    # -- one pair --------------------------------------------------------------------------------------------------

    @property
    def _done(self) -> str:
        return "uploaded" if self.job.upload else "downloaded"

    def _size(self, pair: Pair) -> int:
        source = pair.local if self.job.upload else pair.remote
        assert source is not None
        return source.size

    def _note(self, action: Action, pair: Pair) -> None:
        name = shown(pair.key[len(self.job.tree.prefix) :])
        if action is Action.SKIP:
            self.account.count("skipped")
        elif action is Action.CONFLICT:
            self.account.remark("conflicts", name, "there with other content; not overwritten")
        elif action is Action.EXTRA:
            self.account.count("extra")
            self._extras.add(pair.key)

    def _do(self, step: Step) -> None:
        action, pair = step
        name = shown(pair.key[len(self.job.tree.prefix) :])
        try:
            if action is Action.COMPARE:
                action = self._strategy.settle(self._same_content(pair))
            if action is not Action.TRANSFER:
                self._note(action, pair)
            elif self.job.upload:
                assert pair.local is not None
                self._upload(pair.local, name)
            else:
                assert pair.remote is not None
                size = self._downloader.download(pair.remote)
                self.account.count("downloaded", size, 1)
        except WrongCredentials:
            raise  # no further request can succeed
        except NotThere as exc:
            if exc.code == "NoSuchBucket":
                raise  # nor can it after this
            # Downloading: removed by the application since it was listed.
            self.account.remark("failed" if self.job.upload else "vanished", name, str(exc))
        except FileNotFoundError:
            self.account.remark("vanished", name, "removed since the folder was read")
        except OSError as exc:
            self.account.remark("failed", name, exc.strerror or str(exc))
        except MediaError as exc:
            self.account.remark("failed", name, str(exc))

    def _upload(self, local: LocalFile, name: str) -> None:
        job, path = self.job, self.job.tree.path_of(local.key)
        if not job.overwrite and job.changed_since is not None and self._is_there(local, name):
            return
        try:
            sent = self._uploader.upload(path, local.key)
        except S3Error as exc:
            if exc.status != 412:
                raise
            self._is_there(local, name)  # made by the application since the listing: compared, never overwritten
            return
        self.account.count("uploaded", sent.size, sent.requests)

    def _is_there(self, local: LocalFile, name: str) -> bool:
        """Whether an object has the key already; if so it is counted, as the same or as a conflict."""
        found = self._head(local.key)
        if found is None:
            return False
        if self._same_content(Pair(local.key, local, found)):
            self.account.count("skipped")
        else:
            self._note(Action.CONFLICT, Pair(local.key, local, found))
        return True

    def _head(self, key: bytes) -> Optional[RemoteObject]:
        self.account.add_requests(1)
        try:
            with explained(f"looking for {shown(key)} in bucket {self.job.bucket}"):
                head: Any = self.job.client.head_object(Bucket=self.job.bucket, Key=key.decode("utf-8"))
        except NotThere:
            return None
        return RemoteObject(key, head["ContentLength"], head["ETag"].strip('"'), 0)

    def _same_content(self, pair: Pair) -> bool:
        assert pair.local is not None and pair.remote is not None
        if pair.local.size != pair.remote.size:
            return False
        recorded = recorded_md5(self.job.client, self.job.bucket, pair.remote)
        return recorded is not None and recorded == md5_of(self.job.tree.path_of(pair.key))

    # -- deletion --------------------------------------------------------------------------------------------------

    def _deletable(self) -> list[bytes]:
        account = self.account
        return self._extras.checked(account, account[self._done] + account["skipped"] + account["conflicts"])

    def _delete_extras(self) -> None:
        job, keys = self.job, self._deletable()
        if job.upload:
            delete_objects(job.client, job.bucket, keys, self.account, job.concurrency)
        else:
            delete_files(job.tree, keys, self.account)
