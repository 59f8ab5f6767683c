# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A throw-away Ceph RADOS Gateway on the loopback address: one monitor, one OSD in memory, one gateway, no authentication inside.

It answers after one to three seconds and takes about 110 MB. Debian's packages: ceph-mon ceph-osd radosgw ceph-common.
Run by hand: `python tests/servers/ceph.py` prints the endpoint and the keys and stops with Ctrl-C.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2] / ".venv" / "collections"))

from ansible_collections.selfhosted.media.tests.servers import (
    Server,
    ServerUnavailable,
    free_port,
    running,
    wait_for_http,
)

PROGRAMS = ("ceph-mon", "ceph-osd", "radosgw", "radosgw-admin", "ceph", "monmaptool")
#: A second account of the same gateway: its buckets are foreign to the first, and the other way round.
STRANGER = ("stranger-key", "stranger-secret")

CONFIG = """
[global]
fsid = {fsid}
mon host = [v2:127.0.0.1:{mon_port}]
mon initial members = a
auth cluster required = none
auth service required = none
auth client required = none
auth allow insecure global id reclaim = false
# radosgw alone defaults this to "secure", which auth "none" cannot satisfy (EACCES, 300 s hang)
ms mon client mode = crc
client mount timeout = 60
ms bind ipv4 = true
ms bind ipv6 = false
public network = 127.0.0.0/8
cluster network = 127.0.0.0/8
run dir = {folder}/run
pid file = {folder}/run/$name.pid
admin socket = {folder}/run/$name.asok
log file = {folder}/log/$name.log
crash dir = {folder}/log
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 4
osd pool default pgp num = 4
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon warn on pool no redundancy = false
mon max pg per osd = 1000
mon data = {folder}/mon
mon data avail warn = 1
mon data avail crit = 1
paxos propose interval = 0.02
paxos min wait = 0.01
osd data = {folder}/osd
osd objectstore = memstore
memstore device bytes = {store_bytes}
osd memory target = 1073741824
# Seen after two minutes without memory: all operations were "waiting for readable" and stayed so. A read lease lasts 0.8 of this.
osd heartbeat grace = 3600
rgw rados pool pg num min = 1
[client]
log file = {folder}/log/$name.$pid.log
[client.rgw]
log file = {folder}/log/$name.log
rgw data = {folder}/rgw
rgw frontends = beast endpoint={address}:{port}
rgw thread pool size = 64
rgw enable usage log = false
rgw enable ops log = false
rgw run sync thread = false
"""


def _environment() -> dict[str, str]:
    # Debian's /usr/bin/ceph needs the system's Python, not the virtual environment's.
    environment = {
        key: value for key, value in os.environ.items() if key not in ("CEPH_ARGS", "CEPH_CONF", "PYTHONPATH")
    }
    environment["PATH"] = "/usr/sbin:/usr/bin:/sbin:/bin"
    return environment


class _Cluster:
    """The folder of a cluster and the commands that run against it."""

    def __init__(self, folder: Path, address: str, port: int, store_mb: int) -> None:
        self.folder = folder
        self.config = str(folder / "ceph.conf")
        self.fsid = str(uuid.uuid4())
        self.mon_port = free_port()
        self.environment = _environment()
        for name in ("mon", "osd", "rgw", "log", "run"):
            (folder / name).mkdir()
        Path(self.config).write_text(
            CONFIG.format(
                fsid=self.fsid,
                mon_port=self.mon_port,
                folder=folder,
                address=address,
                port=port,
                store_bytes=store_mb * 1024 * 1024,
            )
        )

    def command(self, *words: str) -> None:
        try:
            subprocess.run(
                words,
                env=self.environment,
                check=True,
                timeout=60,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
            )
        except subprocess.CalledProcessError as exc:
            raise RuntimeError(f"{' '.join(words)} failed: {exc.stderr[-2000:]}") from exc

    def daemon(self, *words: str) -> contextlib.AbstractContextManager[subprocess.Popen[bytes]]:
        log = self.folder / "log" / f"{words[0]}.out"
        return running(
            [words[0], "-f", "-c", self.config, *words[1:]], log, env=self.environment, start_new_session=True
        )

    def make_monitor(self) -> None:
        monmap = str(self.folder / "monmap")
        address = f"[v2:127.0.0.1:{self.mon_port}]"
        self.command("monmaptool", "--create", "--addv", "a", address, "--fsid", self.fsid, monmap)
        self.command("ceph-mon", "-c", self.config, "--mkfs", "-i", "a", "--monmap", monmap)

    def make_osd(self) -> None:
        # The uuid in the osdmap must be the one given to --mkfs, or the monitor silently drops the OSD.
        osd_uuid = str(uuid.uuid4())
        self.command("ceph", "-c", self.config, "osd", "new", osd_uuid, "0")
        self.command("ceph-osd", "-c", self.config, "-i", "0", "--mkfs", "--osd-uuid", osd_uuid)

    def make_user(self, name: str, access_key: str, secret_key: str) -> None:
        # The first call waits until the OSD is up and creates the gateway's pools on the way.
        words = ["user", "create", "--uid", name, "--display-name", name]
        keys = ["--access-key", access_key, "--secret-key", secret_key]
        self.command("radosgw-admin", "-c", self.config, "-n", "client.rgw", *words, *keys)


class Gateway:
    """A gateway that can be killed and started again over what it has stored, and its administration."""

    def __init__(self, cluster: _Cluster, server: Server) -> None:
        self._cluster = cluster
        self.server = server
        self._running = contextlib.ExitStack()

    def start(self) -> None:
        process = self._running.enter_context(self._cluster.daemon("radosgw", "-n", "client.rgw"))
        wait_for_http(self.server.endpoint_url + "/", process)

    def kill(self) -> None:
        self._running.close()

    def lock_completion(self, seconds: int = 600) -> None:
        """Lock all unfinished uploads, as a gateway that dies while it puts parts together leaves them."""
        pool = ["rados", "-c", self._cluster.config, "-p", "default.rgw.buckets.non-ec"]
        names = subprocess.run([*pool, "ls"], env=self._cluster.environment, check=True, capture_output=True, text=True)
        for name in names.stdout.splitlines():
            how = ["--lock-cookie", "dead", "--lock-type", "exclusive", "--lock-duration", str(seconds)]
            self._cluster.command(*pool, "lock", "get", name, "RGWCompleteMultipart", *how)

    def admin(self, *words: str) -> None:
        """Have radosgw-admin do something."""
        self._cluster.command("radosgw-admin", "-c", self._cluster.config, "-n", "client.rgw", *words)

    def make_user(self, name: str, access_key: str, secret_key: str) -> Server:
        """A further account, with nothing but what buckets give it and what allow() does."""
        self._cluster.make_user(name, access_key, secret_key)
        return self.server._replace(access_key=access_key, secret_key=secret_key)

    def allow(self, name: str, document: dict[str, Any]) -> None:
        """Give an account a policy, in the place of the one that it had."""
        import boto3

        self.admin("caps", "add", "--uid", "owner", "--caps", "user-policy=*")
        iam = boto3.client(
            "iam",
            endpoint_url=self.server.endpoint_url,
            aws_access_key_id=self.server.access_key,
            aws_secret_access_key=self.server.secret_key,
            region_name=self.server.region,
        )
        iam.put_user_policy(UserName=name, PolicyName="limits", PolicyDocument=json.dumps(document))


@contextlib.contextmanager
def ceph(access_key: str = "ceph-key", secret_key: str = "ceph-secret", **options: Any) -> Iterator[Server]:
    """A gateway as gateway() runs it."""
    with gateway(access_key, secret_key, **options) as running:
        yield running.server


@contextlib.contextmanager
def gateway(access_key: str = "ceph-key", secret_key: str = "ceph-secret", **options: Any) -> Iterator[Gateway]:
    """A gateway on a free port with two accounts, the given one and STRANGER.

    Options: `address` (127.0.0.1; docker0's for containers), `port` (a free one), `store_mb` (4096; memory is taken as it is filled).
    """
    path = _environment()["PATH"]
    missing = [program for program in PROGRAMS if not shutil.which(program, path=path)]
    if missing:
        packages = "ceph-mon ceph-osd radosgw ceph-common"
        raise ServerUnavailable(f"no Ceph here ({', '.join(missing)} not found); install the packages {packages}")
    address, port = options.get("address", "127.0.0.1"), options.get("port") or free_port()
    folder = Path(tempfile.mkdtemp(prefix="ceph-"))  # short: the path of a unix socket has 107 bytes
    try:
        cluster = _Cluster(folder, address, port, options.get("store_mb", 4096))
        cluster.make_monitor()
        with cluster.daemon("ceph-mon", "-i", "a"):
            cluster.make_osd()
            with cluster.daemon("ceph-osd", "-i", "0"):
                cluster.make_user("owner", access_key, secret_key)
                cluster.make_user("stranger", *STRANGER)
                served = Gateway(cluster, Server(f"http://{address}:{port}", access_key, secret_key, "ceph", "default"))
                try:
                    served.start()
                    yield served
                finally:
                    served.kill()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    with ceph() as server:
        print(*server, flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            signal.pause()
