# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Other dockers than the usual daemon of root: a user's own (rootless), and podman with its docker command and its socket."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import stat
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.selfhosted.media.tests.accounts import Account
from ansible_collections.selfhosted.media.tests.docker.projects import (
    BASE,
    CACHE,
    HERE,
    Docker,
    DockerUnavailable,
    run_script,
)
from ansible_collections.selfhosted.media.tests.playbooks import ROOT

_SCRIPT = Path("/usr/share/docker.io/contrib/dockerd-rootless.sh")
_TUN = Path("/dev/net/tun")
_PODMAN_CONF = """\
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
[network]
network_backend = "netavark"
network_config_dir = "{folder}/networks"
[containers]
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
"""
_PODMAN_DOCKER = """\
#!/bin/sh
echo "Emulate Docker CLI using podman. Create /etc/containers/nodocker to quiet msg." >&2
exec podman --root {folder}/root --runroot {folder}/run "$@"
"""


@dataclass(frozen=True)
class Podman(Docker):
    """Podman: its docker command asks it, compose its socket."""

    folder: Path

    def environment(self, compose: str) -> dict[str, str]:
        chosen = {"DOCKER_HOST": self.host, "DOCKER_BUILDKIT": "0", "PATH": str(self.folder / "bin")}
        return {**chosen, "CONTAINERS_CONF": str(self.folder / "containers.conf")}


def _need(*programs: str) -> None:
    missing = [name for name in programs if shutil.which(name) is None]
    if os.geteuid() or missing:
        raise DockerUnavailable(f"this needs root and {', '.join(missing or programs)}")


def _address() -> str:
    """This machine's own address, which containers reach behind whatever network they have."""
    done = subprocess.run(["hostname", "-I"], capture_output=True, text=True, check=False)
    found = [word for word in done.stdout.split() if "." in word and not word.startswith(("127.", "172.17."))]
    if not found:
        raise DockerUnavailable("this machine has no address but 127.0.0.1 for containers to reach it by")
    return found[0]


@contextlib.contextmanager
def _ended(process: subprocess.Popen[bytes]) -> Iterator[None]:
    try:
        yield
    finally:
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
                os.killpg(process.pid, number)
                process.wait(30)


def _wait_for(socket: Path, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end and process.poll() is None:
        answer = subprocess.run(
            ["docker", "-H", f"unix://{socket}", "info"], capture_output=True, text=True, check=False
        )
        if socket.exists() and answer.returncode == 0:
            return
        time.sleep(0.3)
    raise DockerUnavailable(f"it does not answer: {log.read_text(errors='replace')[-500:]}")


def _base(environment: dict[str, str]) -> None:
    requirements = str(ROOT / "tests" / "standin" / "requirements.txt")
    path = os.pathsep.join([environment.pop("PATH", ""), os.environ["PATH"]])
    run_script(str(HERE / "compose-install.sh"), str(CACHE / "compose"), "v2")
    run_script(str(HERE / "base-image.sh"), BASE, requirements, str(CACHE / "base"), PATH=path, **environment)


@contextlib.contextmanager
def rootless(who: Account) -> Iterator[Docker]:
    """A daemon of this user's own, with the base image."""
    _need("docker", "dockerd", "rootlesskit", "newuidmap", "slirp4netns")
    if not _SCRIPT.exists():
        raise DockerUnavailable(f"there is no {_SCRIPT}")
    run, entry = Path("/run/user", str(who.uid)), pwd.getpwnam(who.name)
    run.mkdir(parents=True, exist_ok=True)
    os.chown(run, who.uid, entry.pw_gid)
    run.chmod(0o700)
    mode = stat.S_IMODE(_TUN.stat().st_mode)
    _TUN.chmod(0o666)  # as it is where udev makes it
    environment = {
        "HOME": str(who.home),
        "XDG_RUNTIME_DIR": str(run),
        "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
    }
    log = who.home / "dockerd.log"
    try:
        with log.open("wb") as told:
            process = subprocess.Popen(
                ["sh", str(_SCRIPT)],
                cwd=who.home,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=told,
                stderr=told,
                start_new_session=True,
                user=who.uid,
                group=entry.pw_gid,
                extra_groups=[],
            )
        with _ended(process):
            _wait_for(run / "docker.sock", process, log)
            host = f"unix://{run}/docker.sock"
            _base({"DOCKER_HOST": host})
            yield Docker(host, _address())
    finally:
        _TUN.chmod(mode)
        shutil.rmtree(run, ignore_errors=True)


@contextlib.contextmanager
def podman(folder: Path) -> Iterator[Podman]:
    """Podman with everything of its own in the folder, and the base image."""
    _need("podman", "docker", "catatonit")
    if not Path("/usr/lib/podman/aardvark-dns").exists():
        raise DockerUnavailable("podman has no aardvark-dns here, by which containers find each other")
    (folder / "bin").mkdir()
    (folder / "containers.conf").write_text(_PODMAN_CONF.format(folder=folder))
    (folder / "bin" / "docker").write_text(_PODMAN_DOCKER.format(folder=folder))
    (folder / "bin" / "docker").chmod(0o755)
    # The plugin is a program too, as distributions install it.
    (folder / "bin" / "docker-compose").symlink_to(CACHE / "compose" / "v2" / "cli-plugins" / "docker-compose")
    socket, log = folder / "podman.sock", folder / "podman.log"
    command = ["podman", "--root", f"{folder}/root", "--runroot", f"{folder}/run", "system", "service", "--time=0"]
    made = Podman(f"unix://{socket}", _address(), folder)
    environment = {**os.environ, "CONTAINERS_CONF": f"{folder}/containers.conf"}
    with log.open("wb") as told:
        process = subprocess.Popen(
            [*command, made.host],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=told,
            stderr=told,
            start_new_session=True,
        )
    try:
        with _ended(process):
            _wait_for(socket, process, log)
            _base(made.environment(""))
            # by which its socket, unlike its command, looks for an image without a registry
            run_script(
                str(folder / "bin" / "docker"),
                "tag",
                BASE,
                f"docker.io/library/{BASE}",
                **made.environment("v1") | {"PATH": os.environ["PATH"]},
            )
            yield made
    finally:
        subprocess.run(["umount", "-l", f"{folder}/root/overlay"], check=False, capture_output=True)
