# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""moto: AWS's S3 API in memory, in a thread. It stores ACL, policy and CORS but enforces none: no proof of any of them."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

from ansible_collections.selfhosted.media.tests.servers import Server, ServerUnavailable


@contextlib.contextmanager
def moto_server(port: int = 0) -> Iterator[Server]:
    """A server of all AWS regions; `provider` is aws, since that is the API it speaks."""
    try:
        from moto.server import ThreadedMotoServer
    except ImportError as exc:
        raise ServerUnavailable(f"no moto here ({exc}); pip install -r requirements-dev.txt") from exc
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    server.start()
    try:
        host, number = server.get_host_and_port()
        yield Server(f"http://{host}:{number}", "moto-key", "moto-secret", "aws", "us-east-1")
    finally:
        server.stop()
