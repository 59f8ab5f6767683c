# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far one gets towards a host: its name, its port, TLS. Told apart, because each is mended elsewhere."""

from __future__ import annotations

import contextlib
import socket
import ssl
import urllib.request
from dataclasses import dataclass
from typing import Optional
from urllib.parse import urlsplit

from ansible_collections.selfhosted.media.plugins.module_utils._s3.probe import tls_context

#: OpenSSL's numbers of what is wrong with a certificate.
_EXPIRED, _NOT_YET_VALID = 10, 9
_OTHER_NAME = frozenset({62, 64})
_UNKNOWN_AUTHORITY = frozenset({2, 18, 19, 20, 21})


@dataclass(frozen=True)
class Trouble:
    """What stands in the way: in the `name`, the `port`, the `tls` or the `scheme`."""

    part: str
    detail: str
    remedy: str


def proxy_for(url: str) -> str:
    """The proxy that the environment names for a URL, without user and password; empty if there is none."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if urllib.request.proxy_bypass(host):
        return ""
    return urlsplit(urllib.request.getproxies().get(parts.scheme, "")).netloc.rpartition("@")[2]


def trouble_with(
    url: str,
    option: str,
    bucket: str = "",
    validate_certs: bool = True,
    ca_path: Optional[str] = None,
    timeout: float = 10,
) -> Optional[Trouble]:
    """What keeps a web server from answering at a URL, which `option` holds. None: nothing that shows from here."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    port = parts.port or (80 if parts.scheme == "http" else 443)
    there = f"{host}:{port}"
    try:
        sock = socket.create_connection((host, port), timeout)
    except (socket.gaierror, UnicodeError):
        return Trouble(
            "name", f"the name {host} cannot be resolved", f"check the spelling of {option} and this machine's DNS"
        )
    except ConnectionRefusedError:
        return Trouble("port", f"nothing listens at {parts.scheme}://{there}", f"check {option}: host and port")
    except (socket.timeout, TimeoutError):
        return Trouble(
            "port",
            f"{there} did not answer within {timeout:g} s",
            "let firewalls pass connections to it, or mend the host's address",
        )
    except OSError as exc:
        return Trouble("port", f"no way leads to {there} ({exc.strerror or exc})", "check this machine's network")
    reason: object = ""
    with sock:
        if parts.scheme == "http":
            only_tls = _http_status(sock, host) in ("", "400") and _speaks_tls(host, port)
            remedy = f"write https:// in {option}"
            return Trouble("scheme", f"{there} speaks https, not http", remedy) if only_tls else None
        try:
            with tls_context(ca_path, validate_certs).wrap_socket(sock, server_hostname=host):
                return None
        except ssl.SSLCertVerificationError as exc:
            return Trouble("tls", *_certificate(exc, host, option, bucket))
        except OSError as exc:  # SSLError too
            reason = getattr(exc, "reason", None) or exc
    with contextlib.suppress(OSError), socket.create_connection((host, port), timeout) as plain:
        if _http_status(plain, host):
            remedy = f"write the port of https in {option}, or http:// if nobody else can listen on the way"
            return Trouble("scheme", f"{there} speaks http, not https", remedy)
    return Trouble("tls", f"no TLS connection to {there} comes about ({reason})", f"check the port of {option}")


def _http_status(sock: socket.socket, host: str) -> str:
    """The status with which a web server answers; one that expects TLS may say so by http, with 400. Empty: none answers."""
    with contextlib.suppress(OSError):
        sock.settimeout(min(3, sock.gettimeout() or 3))
        sock.sendall(f"HEAD / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        version, _space, rest = sock.recv(64).partition(b" ")
        return rest[:3].decode("ascii", "replace") if version.startswith(b"HTTP/") else ""
    return ""


def _speaks_tls(host: str, port: int) -> bool:
    context = tls_context(None, False)
    try:
        with socket.create_connection((host, port), 3) as sock, context.wrap_socket(sock, server_hostname=host):
            return True
    except OSError:
        return False


def _certificate(error: ssl.SSLCertVerificationError, host: str, option: str, bucket: str) -> tuple[str, str]:
    """What is wrong with a certificate, and what to do."""
    code = error.verify_code
    if code == _EXPIRED:
        return f"the certificate of {host} has expired", "renew it, or set the clock of this machine if that is wrong"
    if code == _NOT_YET_VALID:
        return f"the certificate of {host} is not valid yet", "set the clock of this machine"
    if code in _OTHER_NAME:
        if "." in bucket and host.startswith(f"{bucket}."):
            return (
                f"the certificate of {host} is for one name before the service's, and the bucket's has dots",
                f"put the bucket into the path of {option}, or choose a bucket without dots",
            )
        return (
            f"the certificate that {host} shows is of another name",
            f"write a name that it holds in {option}, or get a certificate for this one",
        )
    if code in _UNKNOWN_AUTHORITY:
        return (
            f"the certificate of {host} is signed by an authority that this machine does not know",
            "have the server send its whole chain, or name the file of the authority's certificate in aws_ca_bundle",
        )
    return f"the certificate of {host} is not valid ({error.verify_message})", "mend the certificate"
