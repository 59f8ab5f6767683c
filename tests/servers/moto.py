# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""moto: AWS's S3 API in memory. It stores ACL, policy and CORS but enforces none: no proof of any of them.

It is a process of its own: it makes its answers from botocore's description of S3, and an old botocore, with which the tests may
run (tests/boto3_releases), describes answers that AWS does not give.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ansible_collections.selfhosted.media.tests.servers import (
    Server,
    ServerUnavailable,
    free_port,
    running,
    wait_for_http,
)


@contextlib.contextmanager
def moto_server(port: int = 0, address: str = "127.0.0.1") -> Iterator[Server]:
    """A server of all AWS regions; `provider` is aws, since that is the API it speaks."""
    if importlib.util.find_spec("moto") is None:
        raise ServerUnavailable("no moto here; pip install -r requirements-dev.txt")
    url = f"http://{address}:{port or free_port()}"
    command = [sys.executable, "-m", "moto.server", "--host", address, "--port", url.rpartition(":")[2]]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    with (
        tempfile.TemporaryDirectory(prefix="moto-") as folder,
        running(command, Path(folder, "log"), env=environment) as process,
    ):
        wait_for_http(f"{url}/moto-api/", process)
        yield Server(url, "moto-key", "moto-secret", "aws", "us-east-1")
