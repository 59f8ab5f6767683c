# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Change a running instance over to S3, and back at once when that fails.

Nothing is written between the stop and the start but by us, so nothing is lost and nothing overwritten.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import time
from dataclasses import dataclass, field
from typing import Callable, Optional, TypeVar

from ansible_collections.selfhosted.media.plugins.module_utils._dotenv.editing import Edited
from ansible_collections.selfhosted.media.plugins.module_utils._dotenv.reading import read
from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._instance.bookwyrm import TRUE
from ansible_collections.selfhosted.media.plugins.module_utils._instance.command import Command, CommandFailed, Runner
from ansible_collections.selfhosted.media.plugins.module_utils._instance.health import Looker, Page, wait_until_healthy
from ansible_collections.selfhosted.media.plugins.module_utils._io import keep_copy, read_file, write_atomically
from ansible_collections.selfhosted.media.plugins.module_utils._objects.client import ObjectClient
from ansible_collections.selfhosted.media.plugins.module_utils._sync.engine import Run
from ansible_collections.selfhosted.media.plugins.module_utils._sync.job import Job

Result = TypeVar("Result")


@dataclass
class Switch:
    """Everything that the change-over needs, checked before the first writer is stopped."""

    runner: Runner
    stop: Command
    start: Command
    looker: Looker
    job: Job  # the copy of the media; changed_since is the start of the copy that the delta follows
    env_file: str
    edited: Edited  # the settings to be in effect
    kept_file: str  # the settings as they were before S3
    health_timeout: float = 300
    is_failed: Command = ""  # ends with 0 when the web service has failed for good
    log: Callable[[str], None] = lambda message: None
    _done: list[str] = field(default_factory=list)
    _at: str = ""
    _stopped_at: float = 0

    def carry_out(self) -> dict[str, object]:
        """Stop, copy what is new, write the settings, start, wait for health.

        Raises MediaError, with what was undone, when a step fails.
        """
        before = read_file(self.env_file) or b""
        warm = self._copy_since(self.job.changed_since)  # so that there is next to nothing left to do while it stands
        stopped = self._stopped_at = time.time()
        try:
            self._step("stopping the services", lambda: self.runner.run(self.stop, "stopping the services"))
            stood = time.time()
            delta = self._step("copying what is new", lambda: self._copy_since(warm.started))
            self._step("writing the settings", self._write_settings)
            started = time.time()
            self._step("starting the services", lambda: self.runner.run(self.start, "starting the services"))
            page = self._step("waiting for the front page", self._wait)
        except Exception as exc:  # whatever it is, the site must not be left stopped
            undone = self._undo(before)
            raise MediaError(f"{self._at} failed, so the change-over was undone. {_said(exc)}. {undone}") from exc
        answered = time.time()
        self.log("the instance runs on S3")
        return {
            "uploaded": warm.account["uploaded"] + delta.account["uploaded"],
            "bytes": warm.account.bytes + delta.account.bytes,
            "status": page.status,
            "stop_seconds": round(answered - stopped, 2),
            "restart_seconds": round((stood - stopped) + (answered - started), 2),
            "stopped": stopped,
        }

    # -- steps -----------------------------------------------------------------------------------------------------

    def _step(self, name: str, work: Callable[[], Result]) -> Result:
        self._at = name[0].upper() + name[1:]
        self.log(name)
        result = work()
        self._done.append(name)
        return result

    def _copy_since(self, moment: Optional[float]) -> Run:
        # Two seconds back: file times come from a clock that the kernel moves on a few milliseconds late.
        since = None if moment is None else moment - 2
        run = Run(dataclasses.replace(self.job, changed_since=since))
        run.carry_out()
        if run.account["failed"]:
            first = run.account.remarks("failed")[0]
            raise MediaError(
                f"{run.account['failed']} files could not be copied; the first: {first['name']}: {first['reason']}"
            )
        if not run.account["uploaded"]:  # then nobody has asked the bucket, which the services are about to need
            client = ObjectClient(self.job.access)
            client.look(f"looking at bucket {client.bucket}")
            client.close()
        return run

    def _write_settings(self) -> None:
        if not is_on_s3(read_file(self.env_file) or b""):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.kept_file)  # of a migration that was taken back since
            keep_copy(self.env_file, self.kept_file)
        write_atomically(self.env_file, self.edited.content)

    def _wait(self) -> Page:
        return wait_until_healthy(self.looker, self.health_timeout, has_died=self._has_died)

    def _has_died(self) -> bool:
        """Whether the web service has failed: then nobody need wait until the time is over."""
        if not self.is_failed:
            return False
        try:
            self.runner.run(self.is_failed, "asking whether the service has failed")
        except CommandFailed:
            return False
        return True

    # -- undo ------------------------------------------------------------------------------------------------------

    def _undo(self, before: bytes) -> str:
        """Put back what was before and tell so. Every part is tried, whatever becomes of the others."""
        self.log(f"{self._at} failed; undoing")
        # An instance that has been on S3 stays there: what was uploaded since exists nowhere else.
        from_disk = not is_on_s3(before)
        problems: list[str] = []

        def attempt(work: Callable[[], object]) -> None:
            try:
                work()
            except Exception as exc:  # noqa: BLE001 (the rest of the undo matters more)
                problems.append(_said(exc))

        if "writing the settings" in self._done:
            # Services may have run on S3 for a moment: what they wrote there exists nowhere else.
            attempt(lambda: self.runner.run(self.stop, "stopping the services"))
            if from_disk:
                attempt(self._fetch_new)
        attempt(lambda: self._put_back(before))
        if from_disk:
            with contextlib.suppress(OSError):
                os.unlink(self.kept_file)
        attempt(lambda: self.runner.run(self.start, "starting the services"))
        attempt(self._wait)
        if problems:
            done = (
                f"Not all of the undo worked: {'; '.join(problems)}. Look at {self.env_file} and at the services' logs."
            )
        else:
            done = f"The settings of before are in effect and the site answers {'from its disk ' if from_disk else ''}again."
        return f"{done} The bucket and what was copied stay; when the cause is mended, run again: the copy is taken up where it stands."

    def _put_back(self, before: bytes) -> None:
        if read_file(self.env_file) != before:
            write_atomically(self.env_file, before)

    def _fetch_new(self) -> None:
        job = dataclasses.replace(
            self.job, upload=False, overwrite=False, delete=False, changed_since=self._stopped_at - 2
        )
        run = Run(job)
        run.carry_out()
        if run.account["failed"]:
            first = run.account.remarks("failed")[0]
            raise MediaError(f"an upload made meanwhile stays in the bucket alone: {first['name']}: {first['reason']}")


def is_on_s3(env: bytes) -> bool:
    """Whether settings put the media into object storage."""
    return read(env).get("USE_S3", "").lower() in TRUE


def _said(exc: Exception) -> str:
    """The sentence of an error, without its full stop."""
    text = str(exc) if isinstance(exc, MediaError) else f"{type(exc).__name__}: {exc}"
    return " ".join(text.split()).rstrip(".")
