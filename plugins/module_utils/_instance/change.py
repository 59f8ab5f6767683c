# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Change a running instance from one storage to the other, and back at once when that fails.

Nothing is written between the stop and the start but by us, so nothing is lost and nothing overwritten. Once services
have run on the new storage, what they wrote there exists nowhere else: then undoing begins with bringing it back.
"""

from __future__ import annotations

import syslog
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Callable, Protocol, TypeVar

from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._instance.command import (
    Command,
    CommandFailed,
    Runner,
    command_of,
)
from ansible_collections.selfhosted.media.plugins.module_utils._instance.health import (
    Looker,
    Page,
    looker_of,
    wait_until_healthy,
)
from ansible_collections.selfhosted.media.plugins.module_utils._io import read_file
from ansible_collections.selfhosted.media.plugins.module_utils._objects.explicit import access_to
from ansible_collections.selfhosted.media.plugins.module_utils._s3.client import Connection
from ansible_collections.selfhosted.media.plugins.module_utils._sync.account import Account
from ansible_collections.selfhosted.media.plugins.module_utils._sync.job import Job
from ansible_collections.selfhosted.media.plugins.module_utils._sync.walk import Tree
from ansible_collections.selfhosted.media.plugins.module_utils._tree_options import concurrency_of

Result = TypeVar("Result")


class Media(Protocol):
    """The media on their way to the storage that is changed to. Everything raises MediaError."""

    #: what was done, over all calls
    account: Account

    def bring(self) -> None:
        """Bring and verify what is new since the last time. Called while the services run, then while they stand."""

    def take_back(self, since: float) -> None:
        """Bring back what services have written to the new storage since they were started on it."""


class Settings(Protocol):
    """The instance's settings on their way. Everything raises MediaError."""

    #: whether a failed change ends on the same storage that it began on, so that nothing has to be taken back
    stays: bool
    #: where the site answers from when the settings of before are in effect
    before: str

    def write(self) -> None:
        """Put the new settings into effect."""

    def put_back(self) -> None:
        """Put the settings of before back."""


@dataclass
class Change:
    """Everything that a change needs, checked before the first writer is stopped."""

    name: str  # as in "the change-over"
    runner: Runner
    stop: Command
    start: Command
    looker: Looker
    media: Media
    settings: Settings
    health_timeout: float = 300
    is_failed: Command = ""  # ends with 0 when the web service has failed for good
    log: Callable[[str], None] = lambda message: None
    #: where to look when not all of an undo worked
    where: str = "the instance's .env"
    _done: list[str] = field(default_factory=list)
    _at: str = ""
    _started_at: float = 0

    def carry_out(self) -> dict[str, object]:
        """Bring what is new, stop, bring the rest, write the settings, start, wait for health.

        Raises MediaError, with what was undone, when a step fails.
        """
        self.media.bring()  # so that there is next to nothing left to do while it stands
        stopped = time.time()
        try:
            self._step("stopping the services", lambda: self.runner.run(self.stop, "stopping the services"))
            stood = time.time()
            self._step("copying what is new", self.media.bring)
            self._step("writing the settings", self.settings.write)
            self._started_at = started = time.time()
            self._step("starting the services", lambda: self.runner.run(self.start, "starting the services"))
            page = self._step("waiting for the front page", self._wait)
            answered = time.time()
        except Exception as exc:  # whatever it is, the site must not be left stopped
            undone = self._undo()
            raise MediaError(f"{self._at} failed, so {self.name} was undone. {said(exc)}. {undone}") from exc
        self.log(f"{self.name} is done")
        return {
            "status": page.status,
            "stop_seconds": round(answered - stopped, 2),
            "restart_seconds": round((stood - stopped) + (answered - started), 2),
            "stopped": stopped,
        }

    def _step(self, name: str, work: Callable[[], Result]) -> Result:
        self._at = name[0].upper() + name[1:]
        self.log(name)
        result = work()
        self._done.append(name)
        return result

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

    def _undo(self) -> str:
        """Put back what was before and tell so. Every part is tried, whatever becomes of the others."""
        self.log(f"{self._at} failed; undoing")
        problems: list[str] = []

        def attempt(work: Callable[[], object]) -> None:
            try:
                work()
            except Exception as exc:  # noqa: BLE001 (the rest of the undo matters more)
                problems.append(said(exc))

        if "writing the settings" in self._done:
            attempt(lambda: self.runner.run(self.stop, "stopping the services"))
            if not self.settings.stays:
                attempt(lambda: self.media.take_back(self._started_at))
        attempt(self.settings.put_back)
        attempt(lambda: self.runner.run(self.start, "starting the services"))
        attempt(self._wait)
        if problems:
            done = f"Not all of the undo worked: {'; '.join(problems)}. Look at {self.where} and at the services' logs."
        else:
            done = f"The settings of before are in effect and the site answers {self.settings.before}again."
        return f"{done} What was copied stays where it is; when the cause is mended, run again: the copy is taken up where it stands."


def check_untouched(env_file: str, known: bytes) -> None:
    """Raise MediaError when the settings are no longer those that the new ones were made from. Called with the lock held."""
    if read_file(env_file) != known:
        raise MediaError(f"{env_file} was changed by somebody else meanwhile; nothing was changed, run again")


def said(exc: Exception) -> str:
    """The sentence of an error, without its full stop."""
    text = str(exc) if isinstance(exc, MediaError) else f"{type(exc).__name__}: {exc}"
    return " ".join(text.split()).rstrip(".")


#: Options of the modules that change an instance; documented in the fragment selfhosted.media.change.
CHANGE_ARGUMENTS: dict[str, dict[str, Any]] = {
    "chdir": {"type": "path", "required": True},
    "env_file": {"type": "path", "required": True},
    "kept_file": {"type": "path", "required": True},
    "stop_command": {"type": "list", "elements": "str", "required": True},
    "start_command": {"type": "list", "elements": "str", "required": True},
    "failed_command": {"type": "list", "elements": "str", "default": []},
    "health_timeout": {"type": "int", "default": 300},
    "acl": {"type": "str", "default": ""},
    "cache_control": {"type": "str", "default": "max-age=86400"},
}


def job_of(params: Mapping[str, Any], connection: Connection, tree: Tree, **rest: Any) -> Job:
    """The way of the media that these options describe; the rest is Job's. Raises MediaError when there is no folder."""
    tree.check()
    return Job(
        # While the site stands still, going back is better than waiting for a service that does not answer.
        access_to(connection, params["bucket"], connect_timeout=10),
        tree,
        checksum=params["compare"] == "checksum",
        acl=params["acl"],
        cache_control=params["cache_control"],
        concurrency=concurrency_of(params),
        max_parts=connection.known.max_parts,
        **rest,
    )


def change_of(name: str, params: Mapping[str, Any], media: Media, settings: Settings) -> Change:
    """The change that these options describe."""
    runner = Runner(params["chdir"])
    return Change(
        name,
        runner,
        command_of(params["stop_command"]),
        command_of(params["start_command"]),
        looker_of(params, runner),
        media,
        settings,
        params["health_timeout"],
        command_of(params["failed_command"]) if params["failed_command"] else "",
        log=lambda message: syslog.syslog(f"selfhosted.media, {name} of {params['chdir']}: {message}"),
    )
