# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A port with TLS in front of a server: old releases of BookWyrm know their media by https only."""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import select
import socket
import socketserver
import ssl
import threading
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

from ansible_collections.selfhosted.media.tests.servers import Server


def make_certificate(folder: Path, host: str, expired: bool = False) -> tuple[Path, Path]:
    """A certificate for an address that has signed itself, and its key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host)])
    ends = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=-1 if expired else 1)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(ends - datetime.timedelta(days=2)).not_valid_after(ends)
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(host))]), False)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
    builder = builder.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), False)
    certificate_file, key_file = folder / "tls.crt", folder / "tls.key"
    pem = serialization.Encoding.PEM
    certificate_file.write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(pem))
    form = serialization.PrivateFormat.PKCS8
    key_file.write_bytes(key.private_bytes(pem, form, serialization.NoEncryption()))
    return certificate_file, key_file


@contextlib.contextmanager
def behind_tls(server: Server, folder: Path, expired: bool = False) -> Iterator[tuple[str, Path]]:
    """host:port of the TLS port, on the server's own address, and the certificate to trust."""
    address = urllib.parse.urlsplit(server.endpoint_url)
    host, behind = str(address.hostname), (str(address.hostname), int(address.port or 80))
    certificate, key = make_certificate(folder, host, expired)
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
