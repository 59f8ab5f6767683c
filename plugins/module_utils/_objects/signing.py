# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signature version 4, as botocore's S3SigV4Auth makes it, but with the signing key kept for the day.

Proven equal by tests/unit/plugins/module_utils/test_objects_signing.py. Source: AWS documentation, "Authenticating Requests (AWS Signature Version 4)".
"""

from __future__ import annotations

import hashlib
import hmac
import time
from dataclasses import dataclass, field
from typing import Optional
from urllib.parse import quote

ALGORITHM = "AWS4-HMAC-SHA256"
#: The hash of no body.
EMPTY_SHA256 = hashlib.sha256().hexdigest()
#: In the place of a body's hash: the body is guarded by Content-MD5 instead.
UNSIGNED = "UNSIGNED-PAYLOAD"


@dataclass(frozen=True)
class Keys:
    """Credentials as they are at the moment."""

    access_key: str
    secret_key: str = field(repr=False)
    token: str = field(default="", repr=False)
    #: whether they end some day and have to be asked for again
    expiring: bool = False


def encoded_path(key: bytes) -> str:
    """A key as it stands in a URL's path, and in the canonical request: S3 encodes once and leaves slashes and dots alone."""
    return quote(key, safe="/-_.~")


def encoded_query(parameters: dict[str, str]) -> str:
    """Query parameters in the one order and encoding that is signed."""
    pairs = sorted((quote(name, safe="-_.~"), quote(value, safe="-_.~")) for name, value in parameters.items())
    return "&".join(f"{name}={value}" for name, value in pairs)


def _trimmed(value: str) -> str:
    return " ".join(value.split()) if "  " in value or not value.isprintable() else value.strip()


class Signer:
    """Signs requests with one pair of keys for one region."""

    def __init__(self, keys: Keys, region: str) -> None:
        self.keys = keys
        self._region = region
        self._known: Optional[tuple[str, str, _SigningKey]] = None
        self._second = 0
        self._moment = ""

    def now(self) -> str:
        """This second as the x-amz-date header writes it."""
        second = int(time.time())
        if second != self._second:
            self._moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(second))
            self._second = second
        return self._moment

    def sign(
        self, method: str, path: str, query: str, headers: dict[str, str], body_hash: str, moment: str = ""
    ) -> list[tuple[str, str]]:
        """The headers to send, sorted by name, Authorization last.

        The names given are in lower case, the values without spaces at their ends; all of them are signed. path and query
        are encoded already. Added are x-amz-date, x-amz-content-sha256 and, for temporary credentials, the token.
        """
        moment = moment or self.now()
        signed = {**headers, "x-amz-content-sha256": body_hash, "x-amz-date": moment}
        if self.keys.token:
            signed["x-amz-security-token"] = self.keys.token
        items = sorted(signed.items())
        names = ";".join([name for name, _value in items])
        lines = "".join([f"{name}:{_trimmed(value)}\n" for name, value in items])
        canonical = f"{method}\n{path}\n{query}\n{lines}\n{names}\n{body_hash}"
        scope, signing_key = self._for_day(moment[:8])
        to_sign = f"{ALGORITHM}\n{moment}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        signature = signing_key.sign(to_sign.encode())
        credential = f"{self.keys.access_key}/{scope}"
        items.append(
            ("authorization", f"{ALGORITHM} Credential={credential}, SignedHeaders={names}, Signature={signature}")
        )
        return items

    def _for_day(self, day: str) -> tuple[str, _SigningKey]:
        known = self._known  # read and set as one: threads may be here on both sides of midnight
        if known is None or day != known[0]:
            key = f"AWS4{self.keys.secret_key}".encode()
            for part in (day, self._region, "s3", "aws4_request"):
                key = hmac.new(key, part.encode(), "sha256").digest()
            self._known = known = (day, f"{day}/{self._region}/s3/aws4_request", _SigningKey(key))
        return known[1:]


class _SigningKey:
    """HMAC-SHA256 (RFC 2104) with one key for many messages: the key's own two blocks are hashed once."""

    def __init__(self, key: bytes) -> None:
        padded = key.ljust(64, b"\0")
        self._inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in padded))
        self._outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in padded))

    def sign(self, message: bytes) -> str:
        """The signature in hexadecimal digits."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(message)
        outer.update(inner.digest())
        return outer.hexdigest()
