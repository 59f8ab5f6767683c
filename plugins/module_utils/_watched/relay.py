# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hand a module's work to a process of its own, and pass on what it says.

Ansible's own async takes several round trips before a module begins, one for each look, and leaves the module's folder for up
to five seconds, whatever the module does. This costs a module that ends within seconds two forks and no round trip:

- The process that Ansible has started becomes the relay. It waits for the end and passes on what the module has printed, as if
  it were the module. After PATIENCE it says where to look instead, and ends.
- The supervisor, in a session of its own, waits for the module, notes how it ended, and interrupts it when nobody looks.
- The module goes on where it is.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import socket
import tempfile
from typing import NamedTuple, NoReturn

from ansible_collections.selfhosted.media.plugins.module_utils._watched import names
from ansible_collections.selfhosted.media.plugins.module_utils._watched.supervisor import Supervisor

#: Seconds after which the relay waits no longer: what ends sooner is not worth a line.
PATIENCE = 3.0
_GREETING = b"h"


class Watched(NamedTuple):
    """What a module has to know that somebody looks at; nothing of it if nobody does."""

    folder: str = ""
    supervisor: int = 0

    @property
    def progress(self) -> str:
        """The file that tells how far it is."""
        return os.path.join(self.folder, names.PROGRESS) if self.folder else ""

    @property
    def looked(self) -> str:
        """The file that is touched at each look."""
        return os.path.join(self.folder, names.LOOKED) if self.folder else ""


def go_apart() -> Watched:
    """Go on in a process of its own if the action plugin has asked for it. To be called first: there may be no threads."""
    limit, _colon, controller = os.environ.pop(names.WATCH, "").partition(":")
    if not limit:
        return Watched()
    try:
        folder = tempfile.mkdtemp(prefix=names.FOLDER)
    except OSError:
        return Watched()  # a full disk: what is to be shown is no reason to fail
    ours, theirs = socket.socketpair()
    try:
        with open(os.path.join(folder, names.LOOKED), "w"):
            pid = os.fork()
    except OSError:
        shutil.rmtree(folder, ignore_errors=True)
        return Watched()
    if pid:
        theirs.close()
        _relay(ours, folder, pid)
    ours.close()
    return _supervise(theirs, Supervisor(folder, float(limit), int(controller or 0)))


def _supervise(relay: socket.socket, supervisor: Supervisor) -> Watched:
    """Split into the supervisor, which does not return, and the module, which does."""
    os.setsid()
    _replace_output(os.devnull, os.devnull)
    folder, own = supervisor.folder, os.getpid()
    # Open as long as the module lives: its end is known at once.
    alive, module_only = os.pipe()
    module = os.fork()
    if module:
        try:
            os.close(module_only)
            os.chdir("/")
            supervisor.watch(module, alive, relay)
        finally:
            os._exit(0)
    os.close(alive)
    relay.close()
    _replace_output(os.path.join(folder, names.OUTPUT), os.path.join(folder, names.ERRORS))
    # As Ctrl-C does: whatever is to be tidied up is.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    return Watched(folder, own)


def _replace_output(output: str, errors: str) -> None:
    # Whoever started us waits for the end of outputs that we hold.
    for path, flags, number in ((os.devnull, os.O_RDONLY, 0), (output, os.O_WRONLY, 1), (errors, os.O_WRONLY, 2)):
        descriptor = os.open(path, flags | os.O_CREAT, 0o600)
        os.dup2(descriptor, number)
        os.close(descriptor)


def _relay(supervisor: socket.socket, folder: str, pid: int) -> NoReturn:
    """Wait for the module and speak for it. Ends as a process: what a program tidies up at its end is the module's."""
    status = 1
    try:
        if select.select([supervisor], [], [], PATIENCE)[0]:
            supervisor.recv(1)
            status = _pass_on(folder)
        else:
            supervisor.send(_GREETING)
            _write(1, json.dumps({names.HANDED_OVER: {"folder": folder, "pid": pid}}).encode() + b"\n")
            status = 0
    finally:
        os._exit(status)


def _pass_on(folder: str) -> int:
    for name, number in ((names.OUTPUT, 1), (names.ERRORS, 2)):
        with open(os.path.join(folder, name), "rb") as stream:
            _write(number, stream.read())
    with open(os.path.join(folder, names.ENDED)) as stream:
        status = int(stream.read())
    shutil.rmtree(folder, ignore_errors=True)
    return status


def _write(number: int, data: bytes) -> None:
    with contextlib.suppress(OSError):  # nobody listens any more
        while data:
            data = data[os.write(number, data) :]
