# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring a folder and a bucket's prefix into step: plan as data, then carry out."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
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
from ansible_collections.selfhosted.media.plugins.module_utils._sync.hashing import same_content
from ansible_collections.selfhosted.media.plugins.module_utils._sync.keys import ALL_KEYS, Range, shown
from ansible_collections.selfhosted.media.plugins.module_utils._sync.listing import Listing, RemoteObject
from ansible_collections.selfhosted.media.plugins.module_utils._sync.merge import Pair, merge
from ansible_collections.selfhosted.media.plugins.module_utils._sync.pace import Pace
from ansible_collections.selfhosted.media.plugins.module_utils._sync.pool import run_all
from ansible_collections.selfhosted.media.plugins.module_utils._sync.temporary import is_temporary, remove_dead
from ansible_collections.selfhosted.media.plugins.module_utils._sync.upload import Uploader
from ansible_collections.selfhosted.media.plugins.module_utils._sync.walk import LocalFile, Tree, latest_ns, walk

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client

#: Threads when the user names no number: enough to hide the latency of a service, few enough for a small server.
AUTOMATIC_CONCURRENCY = 16
#: Linux stamps files with the time of its last tick, which is up to 10 ms behind the clock that told when a run began.
_TICK_NS = 20_000_000


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
        self._strategy = Strategy(job.upload, job.overwrite, job.checksum, job.changed_since is not None)
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
                job.tree,
                job.acl,
                job.cache_control,
                job.content_types,
                pace,
                job.max_parts,
                only_absent=not job.overwrite,
                record_md5=job.checksum,
            )
        else:
            self._downloader = self._make_downloader(pace)
            self.job = job = replace(job, tree=replace(job.tree, on_temporary=remove_dead))
        try:
            run_all(self.plan(), self._do, job.concurrency)
        finally:
            self.account.add_requests(self._listing.requests)
        if job.delete and not self.account["failed"]:
            self._delete_extras()

    def _make_downloader(self, pace: Pace) -> Downloader:
        return Downloader(self.job.client, self.job.bucket, self.job.tree.root, self.job.tree.prefix, pace)

    def preview(self) -> None:
        """Count what carry_out() would do, for check mode: reads, lists and hashes, changes nothing."""
        self.job.tree.check()
        if not self.job.upload:
            self._downloader = self._make_downloader(Pace(0))
        try:
            run_all(self.plan(), self._foresee, self.job.concurrency)
        finally:
            self.account.add_requests(self._listing.requests)
        if self.job.delete and not self.account["failed"]:
            for _key in self._deletable():
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
            return (Pair(file.key, file, None) for file in files if _is_changed(file, since_ns))
        newer = (found for found in self._objects(span) if self._is_newer(found, since_ns))
        return (pair for pair in merge(files, newer) if pair.remote is not None)

    def _objects(self, span: Range) -> Iterator[RemoteObject]:
        tree, start = self.job.tree, len(self.job.tree.prefix)
        for found in self._listing.objects(span):
            relative = found.key[start:]
            if is_temporary(relative.rpartition(b"/")[2]):
                continue  # uploaded by some other tool
            if tree.chooser.chooses(relative) and tree.shard.holds(found.key):
                yield found

    def _is_newer(self, found: RemoteObject, since_ns: int) -> bool:
        return found.modified_ns >= since_ns + self._listing.clock.ahead_ns

    def _report(self, relative: bytes, reason: str, incomplete: bool) -> None:
        # Downloading, what lies in the folder and cannot be a key stands in nobody's way.
        self.account.remark("failed" if incomplete and self.job.upload else "ignored", shown(relative), reason)

    # -- one pair --------------------------------------------------------------------------------------------------

    @property
    def _done(self) -> str:
        return "uploaded" if self.job.upload else "downloaded"

    def _size(self, pair: Pair) -> int:
        source = pair.local if self.job.upload else pair.remote
        return 0 if source is None else source.size

    def _name(self, key: bytes) -> str:
        return shown(key[len(self.job.tree.prefix) :])

    def _note(self, action: Action, pair: Pair, reason: str = "there with other content; not overwritten") -> None:
        if action is Action.SKIP:
            self.account.count("unchanged")
        elif action is Action.CONFLICT:
            self.account.remark("conflicts", self._name(pair.key), reason)
        elif action is Action.EXTRA:
            self.account.count("extra")
            self._extras.add(pair.key)

    def _do(self, step: Step) -> None:
        with self._counting_failures(step.pair.key):
            if self._is_settled(step):
                return
            pair = step.pair
            if self.job.upload and pair.local is not None:
                self._upload(pair.local)
            elif not self.job.upload and pair.remote is not None:
                self.account.count("downloaded", self._downloader.download(pair.remote), 1)

    def _foresee(self, step: Step) -> None:
        with self._counting_failures(step.pair.key):
            if self._is_settled(step):
                return
            reason = None if self.job.upload else self._downloader.why_not(step.pair.key)
            if reason:
                raise MediaError(reason)
            self.account.count(self._done, self._size(step.pair))

    def _is_settled(self, step: Step) -> bool:
        """Whether nothing has to be transferred; what was found instead is then counted."""
        job, (action, pair) = self.job, step
        if action is Action.COMPARE:
            return self._is_compared(pair)
        if action is not Action.TRANSFER:
            self._note(action, pair)
            return True
        if job.upload and not job.overwrite and job.changed_since is not None:
            return self._is_there(pair)  # nothing was listed
        return False

    @contextmanager
    def _counting_failures(self, key: bytes) -> Iterator[None]:
        """Count what fails for a key, unless no other key can succeed either."""
        upload, name = self.job.upload, self._name(key)
        try:
            yield
        except WrongCredentials:
            raise
        except NotThere as exc:
            if exc.code == "NoSuchBucket":
                raise
            # Downloading: removed by the application since it was listed.
            self.account.remark("failed" if upload else "vanished", name, str(exc))
        except OSError as exc:
            if upload and isinstance(exc, FileNotFoundError):
                self.account.remark("vanished", name, "removed since the folder was read")
            else:
                self.account.remark("failed", name, exc.strerror or str(exc))
        except MediaError as exc:
            self.account.remark("failed", name, str(exc))

    def _upload(self, local: LocalFile) -> None:
        try:
            sent = self._uploader.upload(local.key)
        except S3Error as exc:
            # Made by the application since the listing, or at this moment (409): compared, never overwritten.
            refused = exc.status == 412 or exc.code == "ConditionalRequestConflict"
            if refused and self._is_there(Pair(local.key, local, None)):
                return
            raise
        self.account.count("uploaded", sent.size, sent.requests)

    def _is_there(self, pair: Pair) -> bool:
        """Whether an object has the key already; if so it is counted, as the same or as a conflict."""
        found = self._head(pair.key)
        return found is not None and self._is_compared(pair._replace(remote=found))

    def _is_compared(self, pair: Pair) -> bool:
        """Whether file and object are found the same or may not be made so, by their content."""
        job = self.job
        if pair.local is None or pair.remote is None:
            return False
        same: Optional[bool] = False
        if pair.local.size == pair.remote.size:
            same = same_content(job.client, job.bucket, job.tree, pair.remote, self.account)
        action = Action.SKIP if same else self._strategy.settle(False)
        if action is Action.TRANSFER:
            return False
        if same is None:
            self._note(action, pair, "there with the same size, but nothing that tells its content; not overwritten")
        else:
            self._note(action, pair)
        return True

    def _head(self, key: bytes) -> Optional[RemoteObject]:
        self.account.add_requests(1)
        try:
            with explained(f"looking for {shown(key)} in bucket {self.job.bucket}"):
                head: Any = self.job.client.head_object(Bucket=self.job.bucket, Key=key.decode("utf-8"))
        except NotThere:
            return None
        return RemoteObject(key, head["ContentLength"], head.get("ETag", "").strip('"'), 0)

    # -- deletion --------------------------------------------------------------------------------------------------

    def _deletable(self) -> list[bytes]:
        account = self.account
        in_source = account[self._done] + account["unchanged"] + account["conflicts"]
        return self._extras.checked(account, in_source, account["ignored"] if self.job.upload else 0)

    def _delete_extras(self) -> None:
        job, keys = self.job, self._deletable()
        if job.upload:
            delete_objects(job.client, job.bucket, keys, self.account, job.concurrency)
        else:
            delete_files(job.tree, keys, self.account)


def _is_changed(file: LocalFile, since_ns: int) -> bool:
    return latest_ns(max(file.mtime_ns, file.ctime_ns)) + _TICK_NS >= since_ns
