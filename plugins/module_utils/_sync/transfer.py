# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one process does of a job: compare ranges of keys and transfer what is to be transferred."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Callable, NamedTuple, Optional, Union

from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._objects.access import Access
from ansible_collections.selfhosted.media.plugins.module_utils._objects.client import ObjectClient
from ansible_collections.selfhosted.media.plugins.module_utils._objects.xml import RemoteObject
from ansible_collections.selfhosted.media.plugins.module_utils._s3.errors import NotThere, S3Error, ends_everything
from ansible_collections.selfhosted.media.plugins.module_utils._sync.absence import Absence
from ansible_collections.selfhosted.media.plugins.module_utils._sync.account import Account
from ansible_collections.selfhosted.media.plugins.module_utils._sync.clients import find_object, object_client
from ansible_collections.selfhosted.media.plugins.module_utils._sync.concurrency import Concurrency
from ansible_collections.selfhosted.media.plugins.module_utils._sync.decide import Action, Restoration, Strategy
from ansible_collections.selfhosted.media.plugins.module_utils._sync.delete import Extras
from ansible_collections.selfhosted.media.plugins.module_utils._sync.download import Downloader
from ansible_collections.selfhosted.media.plugins.module_utils._sync.hashing import same_content
from ansible_collections.selfhosted.media.plugins.module_utils._sync.job import Job
from ansible_collections.selfhosted.media.plugins.module_utils._sync.keys import ALL_KEYS, Range, shown
from ansible_collections.selfhosted.media.plugins.module_utils._sync.lane import IS_POSSIBLE, Lane, Put
from ansible_collections.selfhosted.media.plugins.module_utils._sync.listing import Listing
from ansible_collections.selfhosted.media.plugins.module_utils._sync.merge import Pair, merge
from ansible_collections.selfhosted.media.plugins.module_utils._sync.multipart import Multipart, part_size_of
from ansible_collections.selfhosted.media.plugins.module_utils._sync.pace import Pace
from ansible_collections.selfhosted.media.plugins.module_utils._sync.pool import Pool
from ansible_collections.selfhosted.media.plugins.module_utils._sync.progress import Board, Stretch
from ansible_collections.selfhosted.media.plugins.module_utils._sync.streams import (
    objects,
    run_side_by_side,
)
from ansible_collections.selfhosted.media.plugins.module_utils._sync.temporary import remove_dead
from ansible_collections.selfhosted.media.plugins.module_utils._sync.unfinished import Unfinished
from ansible_collections.selfhosted.media.plugins.module_utils._sync.upload import PART_SIZE, Dress, Uploader
from ansible_collections.selfhosted.media.plugins.module_utils._sync.walk import Folders, LocalFile, is_changed

#: Largest file, in bytes, that goes over the lane: so much for each connection is held in memory.
_SMALL = 256 * 1024


class Step(NamedTuple):
    """A pair and what is to be done with it."""

    action: Action
    pair: Pair


class Outcome(NamedTuple):
    """What a process hands over at its end."""

    account: Account
    extras: Extras
    #: whether the service lists in an order that is not S3's, so that some of it was compared wrongly
    out_of_order: bool = False
    #: what ended the work before everything was done; what had been done is in the account
    failure: Optional[MediaError] = None


@dataclass
class Transfer:
    """Works on ranges of a job's keys. With dry it only counts what would be done."""

    job: Job
    folders: Folders
    pace: Pace
    concurrency: int
    dry: bool = False
    in_order: bool = True
    account: Account = field(default_factory=Account)
    board: Board = field(default_factory=Board)
    #: which of the processes this is
    number: int = 0

    def __post_init__(self) -> None:
        job = self.job
        self._strategy: Union[Strategy, Restoration] = Strategy(
            job.upload, job.overwrite, job.checksum, job.changed_since is not None, job.tree.known_md5
        )
        if job.restore_since is not None:
            self._strategy = Restoration(int(job.restore_since * 1e9), job.checksum)
        self._extras = Extras(job.max_delete if job.delete else 0)
        self._tree = job.tree
        if not job.upload and not self.dry:
            self._tree = replace(job.tree, on_temporary=remove_dead)

    def work(self, access: Access, spans: Iterator[Range]) -> Outcome:
        """Go through ranges until there are none left. What fails is counted with its reason and everything else is done.

        Only what ends the whole run is a failure: no bucket, wrong credentials, a listing that fails.
        """
        concurrency = Concurrency(self.concurrency)
        pool: Pool[Step] = Pool(self._foresee if self.dry else self._do, concurrency)
        out_of_order, failure = False, None
        try:
            with object_client(access, self.account, pace=self.pace.take, observe=concurrency.observe) as client:
                self.begin(client, pool)
                lane = Lane(client, concurrency, self._prepare, pool.put, lambda: pool.active)
                out_of_order = run_side_by_side(
                    spans, lambda span: self._go_through(span, lane, pool), [lane, pool], self.concurrency
                )
        except MediaError as exc:
            failure = exc
        return Outcome(self.account, self._extras, out_of_order, failure)

    def begin(self, client: ObjectClient, pool: Pool[Step]) -> None:
        """Make what the transfers need."""
        job = self.job
        self._tally = self.board.tally(self.number)
        self._client = client
        self._listing = Listing(client, job.prefix, job.bucket_may_be_missing)
        if not job.upload:
            self._downloader = Downloader(client, job.tree.root, job.tree.prefix, self.pace, self._tally.moved)
            return
        self._absence = None if job.overwrite else Absence(client, job.tree.prefix)
        unfinished = Unfinished(client.address.url, job.tree.prefix)
        self._uploader = Uploader(
            client,
            job.tree,
            Dress(job.acl, job.cache_control, job.content_types),
            Multipart(client, unfinished, job.max_parts, self._absence, pool.invite, self._tally.moved),
            absence=self._absence,
            record_md5=job.checksum,
        )

    # -- the plan --------------------------------------------------------------------------------------------------

    def plan(self, span: Range = ALL_KEYS) -> Iterator[Step]:
        """Yield what is to be done in a range of keys, in key order. Changes nothing."""
        decide, clock = self._strategy.decide, self._listing.clock
        for pair in self._pairs(span):
            yield Step(decide(pair, clock.ahead_ns), pair)

    def _pairs(self, span: Range) -> Iterator[Pair]:
        job = self.job
        files = self._tree.walk(self._report, span, self.folders)
        if job.changed_since is None:
            return merge(files, self._objects(span))
        since_ns = int(job.changed_since * 1e9)
        if job.upload:
            # The files' own times tell what is new: no listing, so it takes seconds even for a large tree.
            return (Pair(file.key, file, None) for file in files if is_changed(file, since_ns))
        newer = (found for found in self._objects(span) if self._is_newer(found, since_ns))
        return (pair for pair in merge(files, newer) if pair.remote is not None)

    def _objects(self, span: Range) -> Iterator[RemoteObject]:
        return objects(self._listing, self._tree, span, self.in_order)

    def _is_newer(self, found: RemoteObject, since_ns: int) -> bool:
        return found.modified_ns >= since_ns + self._listing.clock.ahead_ns

    def _report(self, relative: bytes, reason: str, incomplete: bool) -> None:
        # Downloading, what lies in the folder and cannot be a key stands in nobody's way.
        if incomplete and self.job.upload:
            self._tally.failed()
            self.account.remark("failed", shown(relative), reason)
        else:
            self.account.remark("ignored", shown(relative), reason)

    def _go_through(self, span: Range, lane: Lane[Step], pool: Pool[Step]) -> None:
        unchanged, stretch = 0, Stretch(self._tally)
        try:
            for step in self.plan(span):
                if step.action is Action.SKIP:
                    unchanged += 1
                    stretch.met(0, is_done=True)
                elif step.action is Action.TRANSFER or step.action is Action.COMPARE:
                    stretch.met(self._size_of(step), is_done=False)
                    if not (lane if self._is_for_lane(step) else pool).put(step):
                        return
                else:
                    if step.action is Action.CONFLICT:
                        stretch.met(0, is_done=True)
                    self._note(step.action, step.pair)
            stretch.tell()
            self._tally.range_ended()
        finally:
            self.account.count("unchanged", number=unchanged)

    def _size_of(self, step: Step) -> int:
        source = step.pair.local if self.job.upload else step.pair.remote
        return 0 if source is None else source.size

    def _is_for_lane(self, step: Step) -> bool:
        """Whether a step is the plain writing of a small object, for which nothing has to be found out before."""
        job, local = self.job, step.pair.local
        if not IS_POSSIBLE or not job.upload or self.dry or job.bandwidth_limit or local is None:
            return False
        if local.size > _SMALL:
            return False
        if step.action is not Action.TRANSFER:
            return False
        return self._absence is None or (job.changed_since is None and self._absence.is_kept)

    def _prepare(self, step: Step) -> Put:
        local = step.pair.local
        if local is None:
            raise MediaError("there is no file to read")
        put = self._uploader.prepare(local)

        def written() -> None:
            put.written()
            self._count_done(local.key, len(put.body))
            self._tally.done(local.size)

        return put._replace(written=written)

    # -- one pair --------------------------------------------------------------------------------------------------

    def _name(self, key: bytes) -> str:
        return shown(self.job.tree.name_of(key))

    def _count_done(self, key: bytes, size: int) -> None:
        tree = self.job.tree
        self.account.transferred(self.job.done, size, tree.folder_of(key), tree.type_of(key))

    def _note(self, action: Action, pair: Pair, reason: str = "there with other content; not overwritten") -> None:
        if action is Action.SKIP:
            self.account.count("unchanged")
        elif action is Action.CONFLICT:
            self.account.remark("conflicts", self._name(pair.key), reason)
        elif action is Action.EXTRA:
            self.account.count("extra")
            self._extras.add(pair.key)

    def _do(self, step: Step) -> None:
        self._attempt(step, self._transfer)

    def _foresee(self, step: Step) -> None:
        self._attempt(step, self._count)

    def _attempt(self, step: Step, work: Callable[[Step], None]) -> None:
        """Do something with a step if nothing settles it before. What fails is counted."""
        try:
            if not self._is_settled(step):
                work(step)
        except (MediaError, OSError) as exc:
            self._count_failure(step.pair.key, exc)
        self._tally.done(self._size_of(step))

    def _transfer(self, step: Step) -> None:
        pair = step.pair
        if self.job.upload and pair.local is not None:
            self._upload(pair.local)
        elif not self.job.upload and pair.remote is not None:
            self._count_done(pair.key, self._downloader.download(pair.remote))

    def _count(self, step: Step) -> None:
        reason = None if self.job.upload else self._downloader.why_not(step.pair.key)
        if reason:
            raise MediaError(reason)
        size = self._size_of(step)
        self._count_done(step.pair.key, size)
        self.account.add_requests(requests_for(size, self.job.max_parts) if self.job.upload else 1)

    def _count_failure(self, key: bytes, exc: Exception) -> None:
        """Count what failed for a key. Raises it when no other key can succeed either."""
        upload, name = self.job.upload, self._name(key)
        if ends_everything(exc):
            raise exc
        if isinstance(exc, NotThere) and not upload:
            self.account.remark("vanished", name, str(exc))  # removed by the application since it was listed
        elif isinstance(exc, FileNotFoundError) and upload:
            self.account.remark("vanished", name, "removed since the folder was read")
        else:
            reason = exc.strerror if isinstance(exc, OSError) else None
            self._tally.failed()
            self.account.remark("failed", name, reason or str(exc))

    def _is_settled(self, step: Step) -> bool:
        """Whether nothing has to be transferred; what was found instead is then counted."""
        job, (action, pair) = self.job, step
        if action is Action.COMPARE:
            return self._is_compared(pair)
        if job.upload and not job.overwrite and job.changed_since is not None:
            return self._is_there(pair)  # nothing was listed
        return False

    def _upload(self, local: LocalFile) -> None:
        try:
            size = self._uploader.upload(local.key)
        except S3Error as exc:
            # Made by the application since the listing, or at this moment (409): compared, never overwritten.
            refused = exc.status == 412 or exc.code == "ConditionalRequestConflict"
            if refused and self._is_there(Pair(local.key, local, None)):
                return
            raise
        self._count_done(local.key, size)

    def _is_there(self, pair: Pair) -> bool:
        """Whether an object has the key already; if so it is counted, as the same or as a conflict."""
        found = find_object(self._client, pair.key)
        return found is not None and self._is_compared(pair._replace(remote=found))

    def _is_compared(self, pair: Pair) -> bool:
        """Whether file and object are found the same or may not be made so, by their content."""
        if pair.local is None or pair.remote is None:
            return False
        same: Optional[bool] = False
        if pair.local.size == pair.remote.size:
            same = same_content(self._client, self.job.tree, pair.remote)
        action = Action.SKIP if same else self._strategy.settle(pair, self._listing.clock.ahead_ns)
        if action is Action.TRANSFER:
            return False
        if same is None:
            self._note(action, pair, "there with the same size, but nothing that tells its content; not overwritten")
        else:
            self._note(action, pair)
        return True


def requests_for(size: int, max_parts: int) -> int:
    """How many requests the upload of a file takes: one, or those for its parts and two around them."""
    return 1 if size <= PART_SIZE else 2 - (-size // part_size_of(size, max_parts))
