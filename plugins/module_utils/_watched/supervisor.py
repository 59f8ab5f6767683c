# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wait for a module's end, note it, and interrupt the module when nobody looks at it any more."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import socket
import sys
import time
from dataclasses import dataclass, field
from typing import Optional

from ansible_collections.selfhosted.media.plugins.module_utils._watched import names

#: Seconds from one look around to the next.
_TICK = 0.2
#: Seconds that an interrupted module has to tidy up.
GRACE = 10.0


@dataclass
class Supervisor:
    """Who waits for a module. Runs in a process of its own, which ends when the module's result was fetched."""

    folder: str
    #: seconds without a look after which the module is stopped
    limit: float
    #: the process that looks, where it is on the same machine: its end is noticed at once
    controller: int = 0
    _is_handed_over: bool = False
    _is_left_alone: bool = False
    _heartbeat: int = 0
    _heard: float = field(default_factory=time.monotonic)

    def watch(self, module: int, alive: int, relay: socket.socket) -> None:
        """Wait for the end, first of the module and then of everything. The pipe ends with the module."""
        status = self._wait_for(module, alive, relay)
        code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)
        path = os.path.join(self.folder, names.ENDED)
        with contextlib.suppress(OSError):
            with open(f"{path}.new", "w") as stream:
                stream.write(f"{code}\n")
            os.rename(f"{path}.new", path)
            relay.send(b"e")
        while os.path.isdir(self.folder) and not self._is_abandoned():
            self._listen(relay, [])
        shutil.rmtree(self.folder, ignore_errors=True)

    def _wait_for(self, module: int, alive: int, relay: socket.socket) -> int:
        interrupted: Optional[float] = None
        while True:
            pid, status = os.waitpid(module, os.WNOHANG)
            if pid:
                return status
            if interrupted is None and self._is_abandoned():
                interrupted = time.monotonic()
                os.kill(module, signal.SIGTERM)
            if interrupted is not None and time.monotonic() - interrupted > GRACE:
                os.kill(module, signal.SIGKILL)
                status = os.waitpid(module, 0)[1]
                _remove_payload()
                return status
            if alive in self._listen(relay, [alive]):
                # Its last descriptor is closed: it has ended, or does so now.
                time.sleep(0.001)

    def _listen(self, relay: socket.socket, others: list[int]) -> list[int]:
        """Wait a moment for a word of the relay or the end of others."""
        knows_fate = self._is_handed_over or self._is_left_alone
        descriptors = others if knows_fate else [*others, relay.fileno()]
        ready: list[int] = select.select(descriptors, [], [], _TICK)[0]
        if relay.fileno() in ready:
            # Without a word it was killed, or its work is done and the folder gone.
            self._is_handed_over = bool(relay.recv(1))
            self._is_left_alone = not self._is_handed_over
            self._heard = time.monotonic()
        return ready

    def _is_abandoned(self) -> bool:
        """Whether nobody will look at the module any more."""
        if self._is_left_alone or os.path.exists(os.path.join(self.folder, names.STOP)):
            return True
        if self.controller and not is_alive(self.controller):
            return True
        with contextlib.suppress(OSError):
            heartbeat = os.stat(os.path.join(self.folder, names.LOOKED)).st_mtime_ns
            if heartbeat != self._heartbeat:
                # Only whether it changes: the clock may be set meanwhile.
                self._heartbeat, self._heard = heartbeat, time.monotonic()
        return self._is_handed_over and time.monotonic() - self._heard > self.limit


def is_alive(pid: int) -> bool:
    """Whether a process runs, whoever's it is."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    with contextlib.suppress(OSError, IndexError), open(f"/proc/{pid}/stat", errors="replace") as stream:
        # Dead but not buried: nobody has asked for its exit status.
        return stream.read().rpartition(")")[2].split()[0] not in ("Z", "X")
    return True


def _remove_payload() -> None:
    """Remove what Ansible has unpacked for the module, which had no time to do it."""
    payload = os.path.dirname(getattr(sys.modules["__main__"], "_modlib_path", ""))
    if os.path.basename(payload).startswith("ansible_"):
        shutil.rmtree(payload, ignore_errors=True)
