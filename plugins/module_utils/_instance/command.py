# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run an instance's own commands. Secrets reach them through the environment of the process alone."""

from __future__ import annotations

import contextlib
import os
import pwd
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, Any, Optional, Union

from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError

#: Stands in an argument list where the names of the variables are to be passed on, as docker compose wants it: a
#: container sees only the variables named by "-e NAME", and without a value no secret is in the argument list.
ENVIRONMENT = "{environment}"
MASK = "********"
_TAIL = 2000


#: A line for the shell, or an argument list.
Command = Union[str, Sequence[str]]


class CommandFailed(MediaError):
    """A command of the instance ended with an error."""


@dataclass(frozen=True)
class Runner:
    """Where and as whom an instance's commands run."""

    folder: str
    user: Optional[str] = None
    timeout: float = 1800
    #: given to the processes only; never part of a message
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    settings: Mapping[str, str] = field(default_factory=dict)

    def run(self, command: Command, doing: str) -> str:
        """Run a command, an argument list or a line for the shell, and return what it wrote to standard output.

        Raises CommandFailed, with the last of what the command said, when it cannot be run, fails or takes too long.
        """
        environment = {**self.settings, **self.secrets}
        argv = ["/bin/sh", "-c", command] if isinstance(command, str) else expanded(command, environment)
        # Files, not pipes: a service that the command leaves behind would hold a pipe open for as long as it lives.
        with tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
            try:
                # run_command knows no session of its own and writes to pipes
                process = subprocess.Popen(  # pylint: disable=ansible-bad-function
                    argv,
                    cwd=self.folder,
                    env={**os.environ, **environment, **self._home()},
                    stdin=subprocess.DEVNULL,
                    stdout=stdout,
                    stderr=stderr,
                    start_new_session=True,
                    umask=0o022,  # as under systemd: a login's 077 would make static assets that no web server can read
                    **self._identity(),
                )
            except OSError as exc:
                raise CommandFailed(f"{doing} failed: {exc.strerror}: {exc.filename or argv[0]}") from exc
            try:
                code = process.wait(self.timeout)
            except subprocess.TimeoutExpired as exc:
                with contextlib.suppress(OSError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                raise CommandFailed(
                    f"{doing} failed: no end after {self.timeout:.0f} s ({self._shown(command)})"
                ) from exc
            said = _text(stdout)
            if code:
                tail = (_text(stderr).strip() or said.strip())[-_TAIL:]
                raise CommandFailed(f"{doing} failed: {self._shown(command)} ended with {code}: {self.masked(tail)}")
            return said

    def masked(self, text: str) -> str:
        """The text without the secrets that the command was given."""
        for secret in self.secrets.values():
            if secret:
                text = text.replace(secret, MASK)
        return text

    def _shown(self, command: Command) -> str:
        words = self.masked(command if isinstance(command, str) else " ".join(command))
        first, newline, _script = words.partition("\n")  # a script that a command is given tells nobody anything
        return f"{first} ..." if newline else words

    def _identity(self) -> dict[str, Any]:
        """manage.py runs as the service's user, so that what it writes keeps its owner."""
        if self.user is None or os.geteuid() != 0:
            return {}
        try:
            entry = pwd.getpwnam(self.user)
        except KeyError:
            raise CommandFailed(f"the user {self.user}, as whom the service runs, does not exist") from None
        groups = os.getgrouplist(self.user, entry.pw_gid)
        return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": groups}

    def _home(self) -> dict[str, str]:
        if self.user is None or os.geteuid() != 0:
            return {}
        try:
            return {"HOME": pwd.getpwnam(self.user).pw_dir, "USER": self.user, "LOGNAME": self.user}
        except KeyError:
            return {}


def _text(written: IO[bytes]) -> str:
    written.seek(0)
    return written.read().decode("utf-8", "backslashreplace")


def command_of(words: Sequence[str]) -> Command:
    """What a list of words means: an argument list, or with a single word a line for the shell."""
    return words[0] if len(words) == 1 else list(words)


def expanded(command: Sequence[str], environment: Mapping[str, str]) -> list[str]:
    """The argument list with the names of the variables in the place that is left for them."""
    argv: list[str] = []
    for word in command:
        if word == ENVIRONMENT:
            for name in environment:
                argv += ["-e", name]
        else:
            argv.append(word)
    return argv
