# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A boto3 client for any S3 service: the differences between boto3's releases and between services end here."""

from __future__ import annotations

import importlib.util
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Optional

from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._s3.checksums import use_content_md5
from ansible_collections.selfhosted.media.plugins.module_utils._s3.endpoints import (
    check_endpoint,
    endpoint_of,
    region_in,
)
from ansible_collections.selfhosted.media.plugins.module_utils._s3.old_botocore import keep_to_endpoint
from ansible_collections.selfhosted.media.plugins.module_utils._s3.providers import Provider, provider_for
from ansible_collections.selfhosted.media.plugins.module_utils._s3.redirects import refuse_redirects

if TYPE_CHECKING:
    from boto3.session import Session
    from botocore.config import Config
    from types_boto3_s3.client import S3Client

#: What a deployment must have; Ubuntu 22.04 ships 1.20.34, Debian 12 1.26.27, EPEL 9 1.28.62.
BOTO3_MINIMUM = (1, 20)


@dataclass(frozen=True)
class Connection:
    """Where the S3 service is and how to talk to it. The fields are the modules' options of the same names."""

    provider: str = "auto"
    endpoint_url: Optional[str] = None
    region: Optional[str] = None
    access_key: Optional[str] = None
    secret_key: Optional[str] = None
    session_token: Optional[str] = None
    profile: Optional[str] = None
    validate_certs: bool = True
    aws_ca_bundle: Optional[str] = None
    addressing_style: str = "auto"

    def __repr__(self) -> str:  # never the keys: this may end in a traceback
        return f"Connection(provider={self.provider!r}, endpoint_url={self.endpoint_url!r}, region={self.region!r})"

    @property
    def given_endpoint(self) -> str:
        """The endpoint that options or environment name; boto3 below 1.28 does not read the variables itself."""
        return self.endpoint_url or os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""

    @property
    def known(self) -> Provider:
        """The entry of the provider table in effect. Raises MediaError for a provider that is not in it."""
        return provider_for(self.provider, self.given_endpoint)

    @property
    def endpoint(self) -> Optional[str]:
        """The endpoint in effect: what is given, else the provider's own. None on AWS, whose endpoints boto3 knows best."""
        if self.given_endpoint or self.known.name == "aws":
            return self.given_endpoint or None
        return endpoint_of(self.known, self.region or os.environ.get("AWS_DEFAULT_REGION") or "")

    @property
    def own_region(self) -> str:
        """The region where none is named: that of the endpoint, else the one that the service wants in signatures."""
        return region_in(self.known, self.given_endpoint) or self.known.signing_region


def has_boto3() -> bool:
    """Whether boto3 is installed, without loading it."""
    return all(importlib.util.find_spec(name) is not None for name in ("boto3", "botocore"))


#: For questions that nothing depends on yet: an endpoint that does not answer is one of the findings, and must not take minutes.
IMPATIENT: dict[str, Any] = {
    "connect_timeout": 10,
    "read_timeout": 30,
    "retries": {"max_attempts": 2, "mode": "standard"},
}


def connect(connection: Connection, max_connections: int = 10, **settings: Any) -> S3Client:
    """Make a client. The settings go to botocore's Config, for instance connect_timeout.

    Raises MediaError for options that contradict each other or cannot be used, or when boto3 is missing.
    """
    return client_of(session_of(connection), connection, max_connections, **settings)


def check(connection: Connection, bucket: str = "") -> None:
    """Raise MediaError for options that contradict each other or make no sense, without loading boto3."""
    check_endpoint(connection.given_endpoint, bucket)
    endpoint = connection.endpoint
    if connection.addressing_style == "virtual" and "." in bucket and not (endpoint or "").startswith("http://"):
        raise MediaError(
            f"addressing_style is virtual, and the bucket's name {bucket} has dots: the service's certificate covers one name before its"
            " host, so no TLS connection comes about. Use addressing_style: path, or a bucket without dots"
        )
    check_keys(connection)


def check_keys(connection: Connection) -> None:
    """The same of the keys alone."""
    if connection.profile and connection.access_key:
        raise MediaError("profile and access_key exclude each other; set one of them")
    if bool(connection.access_key) != bool(connection.secret_key):
        raise MediaError("access_key and secret_key go together; set both or neither")


def session_of(connection: Connection) -> Session:
    """Make the session, which knows the credentials. boto3 is loaded here: it takes a third of a second and 25 MB."""
    check(connection)
    try:
        from boto3.session import Session
        from botocore.exceptions import BotoCoreError
    except ImportError as exc:
        raise MediaError(f"the Python library boto3 cannot be loaded: {exc}") from exc
    try:
        return Session(
            aws_access_key_id=connection.access_key,
            aws_secret_access_key=connection.secret_key,
            aws_session_token=connection.session_token,
            profile_name=connection.profile,
            region_name=connection.region or None,
        )
    except (ValueError, BotoCoreError) as exc:
        raise MediaError(f"the S3 connection cannot be set up: {exc}") from exc


def client_of(session: Session, connection: Connection, max_connections: int = 10, **settings: Any) -> S3Client:
    """Make a session's client. Raises MediaError for options that cannot be used."""
    from botocore.exceptions import BotoCoreError

    try:
        client = session.client(
            "s3",
            region_name=session.region_name or connection.own_region,
            endpoint_url=connection.endpoint,
            verify=(connection.aws_ca_bundle or None) if connection.validate_certs else False,
            config=_config(connection, max_connections, settings),
        )
    except (ValueError, BotoCoreError) as exc:
        raise MediaError(f"the S3 connection cannot be set up: {exc}") from exc
    keep_to_endpoint(client)
    refuse_redirects(client)
    if not connection.known.default_checksums:
        use_content_md5(client)
    return client


def _config(connection: Connection, max_connections: int, settings: dict[str, Any]) -> Config:
    from botocore.config import Config

    options: dict[str, Any] = {
        "signature_version": "s3v4",
        "max_pool_connections": max_connections,
        "retries": {"max_attempts": 6, "mode": "standard"},
        "s3": {"addressing_style": connection.addressing_style},
        "user_agent_extra": "selfhosted.media",
        **settings,
    }
    if not connection.known.default_checksums:
        # Off AWS many services refuse the CRC32 trailers that boto3 sends since 1.36; older boto3 does not know the options.
        try:
            return Config(
                request_checksum_calculation="when_required", response_checksum_validation="when_required", **options
            )
        except TypeError:
            pass
    return Config(**options)
