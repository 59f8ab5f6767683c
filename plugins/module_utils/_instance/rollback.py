# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From S3 back to the disk: what a rollback does to the media and to the settings."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Callable, Optional

from ansible_collections.selfhosted.media.plugins.module_utils._dotenv.editing import edit
from ansible_collections.selfhosted.media.plugins.module_utils._dotenv.reading import read
from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._instance.switch import (
    MARGIN,
    carried_out,
    is_on_s3,
    settled,
)
from ansible_collections.selfhosted.media.plugins.module_utils._io import keep_copy, read_file, write_atomically
from ansible_collections.selfhosted.media.plugins.module_utils._sync.account import Account
from ansible_collections.selfhosted.media.plugins.module_utils._sync.engine import Run
from ansible_collections.selfhosted.media.plugins.module_utils._sync.job import Job
from ansible_collections.selfhosted.media.plugins.module_utils._sync.keys import Chooser
from ansible_collections.selfhosted.media.plugins.module_utils._sync.verify import Check, Verification


@dataclass
class DownloadedMedia:
    """Objects written since the change-over, on their way to the disk."""

    job: Job  # a download; its restore_since is the moment of the change-over
    published: Chooser  # what may lie in the bucket, if something has to go there again
    account: Account = field(default_factory=Account)
    #: the last pass, which has met every conflict once
    last: Account = field(default_factory=Account)
    _stands: bool = False

    def check_room(self) -> Account:
        """What there is to bring. Raises MediaError, with numbers, when the disk has no room for it.

        Also when an object cannot become a file, such as one with `..` in its key: rather now than with half of them there.
        """
        run = Run(self.job)
        run.preview()
        unfit = run.account["failed"]
        if unfit:
            first = run.account.remarks("failed")[0]
            raise MediaError(
                f"{unfit} {'object' if unfit == 1 else 'objects'} cannot become a file, such as {first['name']}: "
                f"{first['reason']}. Rename or remove it in the bucket, then run again. Nothing was changed"
            )
        check_room(os.fsdecode(self.job.tree.root), run.account["downloaded"], run.account.bytes)
        return run.account

    def bring(self) -> None:
        """Download what is new or absent; once the services stand, compare every object with its file as well."""
        trouble = "could not be brought back"
        if not self._stands:
            run = carried_out(self.job, trouble)
            self.account.add(run.account)
            self.last = run.account
            # What is older has just been compared, so that next to nothing is left to do while the site stands.
            self.job = dataclasses.replace(self.job, restore_since=run.started - MARGIN, checksum=False)
            self._stands = True
            return
        self.last = settled(self.job, trouble, self.account).account
        if self.account["downloaded"]:
            self._verify()

    def _verify(self) -> None:
        job = self.job
        verification = Verification(
            Check(job.access, job.tree, False, job.concurrency, missing_allowed=True, different_allowed=True)
        )
        verification.carry_out()
        account = verification.account
        # Files without an object are those that users have deleted since; no object may lack its file.
        if account["extra"] or account["different"] > self.last["conflicts"] or account["failed"]:
            kind = next(kind for kind in ("extra", "different", "failed") if account[kind])
            first = account.remarks(kind)[0]
            raise MediaError(f"the disk does not hold what was brought back: {first['name']}: {first['reason']}")

    def take_back(self, since: float) -> None:
        """Upload what services have written to the disk since they were started on it."""
        job = dataclasses.replace(
            self.job,
            tree=dataclasses.replace(self.job.tree, chooser=self.published),
            upload=True,
            overwrite=True,
            restore_since=None,
            checksum=False,
            changed_since=since,
        )
        carried_out(job, "made meanwhile stay on the disk alone")


def check_room(folder: str, count: int, size: int) -> None:
    """Raise MediaError, with numbers, when a folder's file system has no room for so many objects of that size in all."""
    place = os.statvfs(folder)
    # The last block of each file is full only by chance, and what is replaced goes only once the new one is there.
    needed, free = size + count * place.f_frsize, place.f_bavail * place.f_frsize
    if needed > free:
        raise MediaError(
            f"{count} objects have to come back, which takes {_megabytes(needed)}, and {folder} has room for "
            f"{_megabytes(free)}; make {_megabytes(needed - free)} more free. Nothing was changed"
        )
    if place.f_files and count > place.f_favail:
        raise MediaError(
            f"{count} objects have to come back, and the file system of {folder} has room for {place.f_favail} more "
            "files, whatever their size. Nothing was changed"
        )


@dataclass
class RestoredSettings:
    """The file of settings that puts an instance back on its disk; the one for S3 stays beside it until all the rest is done."""

    env_file: str
    s3_file: str
    content: bytes
    #: whether settings put the media into object storage
    on_s3: Callable[[bytes], bool] = is_on_s3

    def __post_init__(self) -> None:
        self._before = read_file(self.env_file) or b""
        # A rollback that was cut off when the settings were written already is only completed.
        self.stays = not self.on_s3(self._before)
        self.before = "" if self.stays else "from S3 "

    def write(self) -> None:
        """Keep the settings for S3, so that a run that is cut off can be completed, then write those of before."""
        if not self.stays:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.s3_file)
            keep_copy(self.env_file, self.s3_file)
            write_atomically(self.env_file, self.content)
        # What is written from here on is newer than anything in the bucket; times of files lag behind a little.
        time.sleep(0.1)

    def put_back(self) -> None:
        """Write the settings for S3 again, unless nothing has changed them."""
        if read_file(self.env_file) != self._before:
            write_atomically(self.env_file, self._before)
        if not self.stays:
            with contextlib.suppress(OSError):
                os.unlink(self.s3_file)


def settings_of_before(env: bytes, kept: Optional[bytes], names: Iterable[str]) -> bytes:
    """An .env with these variables as they were before S3: byte for byte the kept one, if nothing else has changed since.

    Without a kept one, USE_S3 alone is changed: what the others were before is not known.
    """
    if kept is None:
        return edit(env, {"USE_S3": "false"}).content
    content = with_former_values(env, kept, names, read, lambda *change: edit(*change).content)
    return edit(content, {"USE_S3": "false"}).content if is_on_s3(content) else content


def with_former_values(
    settings: bytes,
    kept: bytes,
    names: Iterable[str],
    read_values: Callable[[bytes], Mapping[str, str]],
    edited: Callable[[bytes, Mapping[str, str], list[str]], bytes],
) -> bytes:
    """Settings with the values that these variables had in the kept ones: the kept ones, if nothing else has changed since."""
    now, then = read_values(settings), read_values(kept)
    concerned = [name for name in names if now.get(name) != then.get(name)]
    as_now = {name: now[name] for name in concerned if name in now}
    if edited(kept, as_now, [name for name in concerned if name not in now]) == settings:
        return kept
    as_then = {name: then[name] for name in concerned if name in then}
    return edited(settings, as_then, [name for name in concerned if name not in then])


def moment_of_change(switched: float, env: bytes, kept: Optional[bytes]) -> float:
    """When the application began to write to the bucket; 0 when nobody knows.

    The kept settings of an instance that was adopted, or set up, with its media on S3 name the bucket already: their
    time tells nothing about its first upload.
    """
    bucket = read(env).get("AWS_STORAGE_BUCKET_NAME")
    return 0 if kept is None or read(kept).get("AWS_STORAGE_BUCKET_NAME") == bucket else switched


def _megabytes(size: int) -> str:
    return f"{size / 1_000_000:,.1f} MB"
