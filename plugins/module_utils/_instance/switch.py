# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the disk to S3: what a change-over does to the media and to the settings."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from dataclasses import dataclass, field
from typing import Callable, Optional

from ansible_collections.selfhosted.media.plugins.module_utils._dotenv.reading import read
from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._instance.bookwyrm import TRUE
from ansible_collections.selfhosted.media.plugins.module_utils._io import keep_copy, read_file, write_atomically
from ansible_collections.selfhosted.media.plugins.module_utils._objects.client import ObjectClient
from ansible_collections.selfhosted.media.plugins.module_utils._sync.account import Account
from ansible_collections.selfhosted.media.plugins.module_utils._sync.engine import Run
from ansible_collections.selfhosted.media.plugins.module_utils._sync.job import Job
from ansible_collections.selfhosted.media.plugins.module_utils._sync.verify import Check, Verification

#: File times come from a clock that the kernel moves on a few milliseconds late, and some services tell whole seconds.
MARGIN = 2


@dataclass
class UploadedMedia:
    """Files made since the copy, on their way to the bucket."""

    job: Job  # the copy; its changed_since is the moment when it began
    account: Account = field(default_factory=Account)
    _walked: bool = False

    def bring(self) -> None:
        """Upload what has changed since the last time, and verify it by asking the bucket for each object."""
        since = None if self.job.changed_since is None else self.job.changed_since - MARGIN
        run = carried_out(dataclasses.replace(self.job, changed_since=since), "could not be copied")
        self.account.add(run.account)
        # The first time the application goes on writing; what it has written since is next time's.
        self._verify(since, None if self._walked else run.started - MARGIN)
        self.job, self._walked = dataclasses.replace(self.job, changed_since=run.started), True
        if not run.account["uploaded"]:  # then nobody has asked the bucket, which the services are about to need
            client = ObjectClient(self.job.access)
            client.look(f"looking at bucket {client.bucket}")
            client.close()

    def _verify(self, since: Optional[float], older_than: Optional[float]) -> None:
        job = self.job
        check = Check(
            job.access,
            job.tree,
            job.checksum,
            job.concurrency,
            different_allowed=not job.overwrite,
            older_than=older_than,
            changed_since=since,
        )
        verification = Verification(check)
        if not verification.carry_out():
            account = verification.account
            kind = next(kind for kind in ("missing", "different", "unverifiable", "failed") if account[kind])
            first = account.remarks(kind)[0]
            raise MediaError(f"the bucket does not hold what was copied: {first['name']}: {first['reason']}")

    def take_back(self, since: float) -> None:
        """Download what services have written to the bucket since they were started on it."""
        since -= MARGIN
        job = dataclasses.replace(
            self.job, upload=False, overwrite=True, delete=False, changed_since=since, restore_since=since
        )
        settled(job, "made meanwhile stay in the bucket alone", self.account)


def is_on_s3(env: bytes) -> bool:
    """Whether settings put the media into object storage."""
    return read(env).get("USE_S3", "").lower() in TRUE


@dataclass
class SwitchedSettings:
    """The file of settings that puts an instance on S3, and the one of before, which is kept beside it."""

    env_file: str
    content: bytes
    kept_file: str
    #: whether a change-over is completed that was cut off before any service has run on S3: it can still be undone
    is_resumed: bool = False
    #: whether settings put the media into object storage
    on_s3: Callable[[bytes], bool] = is_on_s3

    def __post_init__(self) -> None:
        self._before = read_file(self.kept_file if self.is_resumed else self.env_file) or b""
        # An instance that has been on S3 stays there: what was uploaded since exists nowhere else.
        self.stays = self.on_s3(self._before)
        self.before = "" if self.stays else "from its disk "

    def write(self) -> None:
        """Keep the settings of before, then write the new ones."""
        if not self.stays and not self.is_resumed:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.kept_file)  # of a migration that was taken back since
            keep_copy(self.env_file, self.kept_file)
        write_atomically(self.env_file, self.content)

    def put_back(self) -> None:
        """Write the settings of before, unless nothing has changed them."""
        if read_file(self.env_file) != self._before:
            write_atomically(self.env_file, self._before)
        if not self.stays:
            with contextlib.suppress(OSError):
                os.unlink(self.kept_file)


def was_cut_off(job: Job, env_file: str, kept_file: str) -> bool:
    """Whether settings for S3 were written, but nothing has been uploaded by services that run with them.

    Objects that are no other than their files are ours, of the moment before the settings were written.
    """
    try:
        switched = os.stat(kept_file).st_mtime - MARGIN
    except FileNotFoundError:
        return False
    if not is_on_s3(read_file(env_file) or b"") or is_on_s3(read_file(kept_file) or b""):
        return False
    run = Run(dataclasses.replace(job, upload=False, changed_since=switched, restore_since=switched))
    run.preview()
    return not any(run.account[kind] for kind in ("downloaded", "conflicts", "failed"))


def carried_out(job: Job, trouble: str) -> Run:
    """Carry out a job. Raises MediaError when a file fails."""
    run = Run(job)
    run.carry_out()
    if run.account["failed"]:
        first = run.account.remarks("failed")[0]
        count = run.account["failed"]
        raise MediaError(
            f"{count} {'file' if count == 1 else 'files'} {trouble}; the first: {first['name']}: {first['reason']}"
        )
    return run


def settled(job: Job, trouble: str, account: Account) -> Run:
    """Carry out a download until a pass finds nothing more to do: that one proves the others. The last pass.

    What was done is added to the account. Raises MediaError.
    """
    for _pass in range(3):
        run = carried_out(job, trouble)
        account.add(run.account)
        if not run.account["downloaded"]:
            return run
    raise MediaError("the bucket goes on changing: something else than this instance's services writes to it")
