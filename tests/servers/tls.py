# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A port with TLS in front of a server: old releases of BookWyrm know their media by https only."""

from __future__ import annotations

import contextlib
import select
import socket
import socketserver
import ssl
import subprocess
import threading
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

from ansible_collections.selfhosted.media.tests.servers import Server


@contextlib.contextmanager
def behind_tls(server: Server, folder: Path) -> Iterator[tuple[str, Path]]:
    """host:port of the TLS port, on the server's own address, and the certificate to trust."""
    address = urllib.parse.urlsplit(server.endpoint_url)
    host, behind = str(address.hostname), (str(address.hostname), int(address.port or 80))
    certificate, key = folder / "tls.crt", folder / "tls.key"
    request = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", f"/CN={host}"]
    names = ["-addext", f"subjectAltName=IP:{host}", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*request, *names], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    class Pass(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with (
                contextlib.suppress(OSError),
                socket.create_connection(behind) as inner,
                context.wrap_socket(self.request, server_side=True) as outer,
            ):
                _pass_on(outer, inner)

    class Listener(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Listener((host, 0), Pass) as listener:
        threading.Thread(target=listener.serve_forever, daemon=True).start()
        try:
            yield f"{host}:{listener.server_address[1]}", certificate
        finally:
            listener.shutdown()


def _pass_on(outer: ssl.SSLSocket, inner: socket.socket) -> None:
    while True:
        ready = [outer] if outer.pending() else select.select([outer, inner], [], [])[0]
        for one, other in ((outer, inner), (inner, outer)):
            if one in ready:
                data = one.recv(65536)
                if not data:
                    return
                other.sendall(data)
