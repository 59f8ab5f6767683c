# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring a folder and a bucket's prefix into step: split the keys into ranges, share them out, account, delete at last."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from ansible_collections.selfhosted.media.plugins.module_utils._objects.client import ObjectClient
from ansible_collections.selfhosted.media.plugins.module_utils._sync.absence import remove_probes
from ansible_collections.selfhosted.media.plugins.module_utils._sync.account import Account
from ansible_collections.selfhosted.media.plugins.module_utils._sync.clients import object_client
from ansible_collections.selfhosted.media.plugins.module_utils._sync.concurrency import Concurrency
from ansible_collections.selfhosted.media.plugins.module_utils._sync.delete import Extras, delete_files, delete_objects
from ansible_collections.selfhosted.media.plugins.module_utils._sync.job import Job
from ansible_collections.selfhosted.media.plugins.module_utils._sync.keys import ALL_KEYS, Range
from ansible_collections.selfhosted.media.plugins.module_utils._sync.multipart import Multipart
from ansible_collections.selfhosted.media.plugins.module_utils._sync.pace import Pace
from ansible_collections.selfhosted.media.plugins.module_utils._sync.pool import Pool
from ansible_collections.selfhosted.media.plugins.module_utils._sync.processes import automatic_number, share_out
from ansible_collections.selfhosted.media.plugins.module_utils._sync.progress import Progress
from ansible_collections.selfhosted.media.plugins.module_utils._sync.split import Split, split
from ansible_collections.selfhosted.media.plugins.module_utils._sync.transfer import Outcome, Step, Transfer
from ansible_collections.selfhosted.media.plugins.module_utils._sync.unfinished import Unfinished
from ansible_collections.selfhosted.media.plugins.module_utils._sync.walk import Folders

#: Bytes per second that each transfer at a time should have under a bandwidth limit.
_LEAST_SHARE = 64 * 1024


@dataclass
class Run:
    """A job under way: plan() tells what would be done, preview() counts it, carry_out() does it."""

    job: Job
    account: Account = field(default_factory=Account)
    started: float = field(default_factory=time.time)
    progress: Progress = field(default_factory=Progress)

    def __post_init__(self) -> None:
        self._extras = Extras(self.job.max_delete if self.job.delete else 0)

    def plan(self, span: Range = ALL_KEYS) -> Iterator[Step]:
        """Yield what is to be done in a range of keys, in key order. Changes nothing."""
        self.job.tree.check()
        transfer = Transfer(self.job, Folders(self.job.tree), Pace(0), 1, dry=True, account=self.account)
        transfer.begin(ObjectClient(self.job.access), Pool(lambda _step: None, Concurrency(1)))
        return transfer.plan(span)

    def carry_out(self) -> None:
        """Do what the plan says. What fails is counted with its reason and everything else is done.

        Raises MediaError only for what ends the whole run: no source, no bucket, wrong credentials, a listing that fails.
        """
        self._go_through_all(dry=False)
        if self.job.delete and not self.account["failed"]:
            self._delete_extras()

    def preview(self) -> None:
        """Count what carry_out() would do, for check mode: reads, lists and hashes, changes nothing."""
        self._go_through_all(dry=True)
        if self.job.delete and not self.account["failed"]:
            self.account.count("deleted", number=len(self._deletable()))

    def _go_through_all(self, dry: bool) -> None:
        job = self.job
        job.tree.check()
        outcomes = self._share_out(split(job.tree), dry)
        first = Account()
        if any(outcome.out_of_order for outcome in outcomes):
            for outcome in outcomes:
                first.add(outcome.account)
            outcomes = self._share_out(Split(0, [ALL_KEYS], Folders(job.tree)), dry, in_order=False)
        for outcome in outcomes:
            self.account.add(outcome.account)
            self._extras.add(*outcome.extras.keys)
        self.account.requests += first.requests
        for outcome in outcomes:
            if outcome.failure is not None:
                raise outcome.failure
        if not dry:
            # What had been transferred before the order was found wrong has been found unchanged since.
            self.account.add_transferred(first)
            self.account.move(min(first[job.done], self.account["unchanged"]), "unchanged", job.done)
            self._give_up_unfinished()

    def _share_out(self, parts: Split, dry: bool, in_order: bool = True) -> list[Outcome]:
        job = self.job
        processes = job.processes or automatic_number(parts.estimate)
        processes = min(processes, len(parts.ranges), job.concurrency)
        concurrency = job.concurrency // processes
        if job.bandwidth_limit:
            # Each transfer at a time gets its share: with too many, a connection would be silent for so long that it ends.
            concurrency = max(1, min(concurrency, job.bandwidth_limit // _LEAST_SHARE // processes))
        if in_order:
            phase = "comparing" if dry else "uploading" if job.upload else "downloading"
            board = self.progress.begin(phase, processes, len(parts.ranges), parts.estimate)
        else:
            board = self.progress.begin_again(processes)
        worker = Transfer(job, parts.folders, Pace(job.bandwidth_limit), concurrency, dry, in_order, board=board)
        return share_out(parts.ranges, worker, job.access, processes, self.progress)

    def _give_up_unfinished(self) -> None:
        """End the multipart uploads of killed runs whose files this run had no reason to upload, and remove their probes."""
        job = self.job
        if not job.upload or job.changed_since is not None:
            return
        with object_client(job.access, self.account) as client:
            Multipart(client, Unfinished(client.address.url, job.tree.prefix)).abort_unfinished()
            if not job.overwrite:
                remove_probes(client, job.tree.prefix)

    # -- deletion --------------------------------------------------------------------------------------------------

    def _deletable(self) -> list[bytes]:
        account, job = self.account, self.job
        in_source = account[job.done] + account["unchanged"] + account["conflicts"]
        return self._extras.checked(account, in_source, account["ignored"] if job.upload else 0)

    def _delete_extras(self) -> None:
        job, keys = self.job, self._deletable()
        if not job.upload:
            delete_files(job.tree, keys, self.account)
            return
        with object_client(job.access, self.account) as client:
            delete_objects(client, keys, self.account, min(16, job.concurrency))
