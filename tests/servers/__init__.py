# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real S3 servers for tests and demo, each a context manager that yields a Server and stops what it started, by process id."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple


class ServerUnavailable(Exception):
    """The server cannot run on this machine; the message says what is missing."""


class Server(NamedTuple):
    """Where a test server listens and the keys of its owner."""

    endpoint_url: str
    access_key: str
    secret_key: str
    provider: str = "auto"
    region: str = "us-east-1"

    @property
    def options(self) -> dict[str, Any]:
        """The connection options of a module."""
        return dict(self._asdict())

    def client(self, **settings: Any) -> Any:
        """A plain boto3 client, to look at the server without the collection's code."""
        import boto3
        from botocore.config import Config

        settings.setdefault("retries", {"max_attempts": 2, "mode": "standard"})
        try:
            config = Config(request_checksum_calculation="when_required", **settings)
        except TypeError:  # boto3 below 1.36
            config = Config(**settings)
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint_url,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name=self.region,
            config=config,
        )

    def as_user(self, access_key: str, secret_key: str) -> Server:
        """The same server with other keys."""
        return self._replace(access_key=access_key, secret_key=secret_key)


def free_port() -> int:
    """A TCP port of the loopback address that nobody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def wait_for_http(url: str, process: subprocess.Popen[bytes], seconds: float = 30) -> None:
    """Wait until any HTTP answer comes, or raise with what happened instead."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args!r} ended with {process.returncode} before it answered")
        try:
            opener.open(url, timeout=2).close()
            return
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.03)
    raise RuntimeError(f"{url} did not answer within {seconds} s")


def die_with(parent: int) -> None:
    """In a new process: have the kernel kill it when the thread that started it ends, in whatever way (Linux only)."""
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before the kernel was told
        os._exit(1)


@contextlib.contextmanager
def running(command: list[str], log: Path, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is killed in the end, also when this one is killed: what it keeps is thrown away anyway."""
    output: IO[bytes]
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            preexec_fn=functools.partial(die_with, os.getpid()),
            **options,
        )
    try:
        yield process
    except BaseException:
        print(f"--- {log}\n{log.read_text(errors='replace')[-2000:]}")
        raise
    finally:
        process.kill()
        process.wait()
