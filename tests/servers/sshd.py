# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An SSH server on this machine, for whoever runs the tests, with a key of its own."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ansible_collections.selfhosted.media.tests.processes import descendants

from . import ServerUnavailable, free_port, running

CONFIG = """\
Port {port}
ListenAddress {address}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/key.pub
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
Subsystem sftp internal-sftp
"""


class SshServer(NamedTuple):
    """A running server."""

    #: the inventory's variables of a host that is reached by it
    variables: dict[str, Any]
    process: subprocess.Popen[bytes]

    def die(self) -> None:
        """End at once, with every session and what runs in it, as if the machine had gone."""
        # held first: it would let whoever looks between two of these ends in again, and that session would live on
        os.kill(self.process.pid, signal.SIGSTOP)
        for pid in reversed(descendants(self.process.pid)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def end_sessions(self) -> None:
        """End the connections. Without their network namespace they would never hear that the other side has gone."""
        with contextlib.suppress(OSError):
            listener = self.process.pid
            for session in Path(f"/proc/{listener}/task/{listener}/children").read_text().split():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(session), signal.SIGTERM)


@contextlib.contextmanager
def ssh_server(address: str = "127.0.0.1", inside: Sequence[str] = ()) -> Iterator[SshServer]:
    """The server, ready for connections; inside is what its command begins with, such as that of a network namespace.

    Raises ServerUnavailable where there is no OpenSSH.
    """
    # sshd wants to be called by its whole path.
    program = shutil.which("sshd", path=os.pathsep.join([os.environ["PATH"], "/usr/sbin", "/usr/local/sbin"]))
    if program is None or not shutil.which("ssh"):
        raise ServerUnavailable("there is no OpenSSH here (Debian: openssh-server, openssh-client)")
    with tempfile.TemporaryDirectory(prefix="sshd-") as folder:
        for name in ("host_key", "key"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", f"{folder}/{name}"], check=True)
        port = free_port()
        Path(folder, "config").write_text(CONFIG.format(address=address, port=port, folder=folder))
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # where it gives its privileges up
        with running([*inside, program, "-D", "-e", "-f", f"{folder}/config"], Path(folder, "log")) as process:
            _wait_for(address, port, process, Path(folder, "log"))
            options = ["StrictHostKeyChecking=no", f"UserKnownHostsFile={folder}/known_hosts", "IdentitiesOnly=yes"]
            made = SshServer(
                {
                    "ansible_connection": "ssh",
                    "ansible_host": address,
                    "ansible_port": port,
                    "ansible_ssh_private_key_file": f"{folder}/key",
                    "ansible_ssh_common_args": " ".join(f"-o {option}" for option in options),
                    "ansible_control_path_dir": f"{folder}/cp",
                },
                process,
            )
            try:
                yield made
            finally:
                made.end_sessions()


def _wait_for(address: str, port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + 30
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection((address, port), 2) as connection:
            if connection.recv(4) == b"SSH-":
                return
        time.sleep(0.05)
    raise ServerUnavailable(f"sshd does not answer: {log.read_text(errors='replace')[-500:]}")
