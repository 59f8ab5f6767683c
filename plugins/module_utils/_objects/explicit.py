# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Access without boto3, where the options say everything that it would resolve: a third of a second less for each module.

What it comes to is proven equal to boto3's resolution by tests/unit/plugins/module_utils/test_objects_access.py. Whatever else could have a
say (a profile, a configuration file, a proxy, a certificate authority in the environment) leaves it to boto3.
"""

from __future__ import annotations

import importlib.util
import os
from typing import Optional
from urllib.parse import urlsplit

from ansible_collections.selfhosted.media.plugins.module_utils._objects.access import Access, BotoAccess
from ansible_collections.selfhosted.media.plugins.module_utils._objects.address import Address
from ansible_collections.selfhosted.media.plugins.module_utils._objects.signing import Keys, encoded_path
from ansible_collections.selfhosted.media.plugins.module_utils._s3.client import Connection

#: Variables that are in the options already, or that say nothing about where a bucket is.
_HARMLESS = frozenset(
    {
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_SECURITY_TOKEN",
        "AWS_ENDPOINT_URL",
        "AWS_ENDPOINT_URL_S3",
        "AWS_DEFAULT_OUTPUT",
        "AWS_PAGER",
        "AWS_EC2_METADATA_DISABLED",
    }
)
_DECISIVE = frozenset({"REQUESTS_CA_BUNDLE", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "BOTO_CONFIG"})


def access_to(connection: Connection, bucket: str, connect_timeout: float = 60) -> Access:
    """Access to a bucket: without boto3 if nothing is left for it to resolve."""
    boto = BotoAccess(connection, bucket, connect_timeout=connect_timeout)
    return ExplicitAccess(connection, bucket, connect_timeout, boto) if _says_everything(connection, bucket) else boto


class ExplicitAccess:
    """Access by what the options say."""

    def __init__(self, connection: Connection, bucket: str, connect_timeout: float, boto: BotoAccess) -> None:
        self._connection = connection
        self._bucket = bucket
        self._connect_timeout = connect_timeout
        self._boto = boto

    def address(self) -> Address:
        """The bucket's address: with an endpoint of its own boto3 puts the bucket into the path unless told otherwise."""
        connection = self._connection
        url = urlsplit(connection.endpoint or "")
        return Address(
            bucket=self._bucket,
            scheme=url.scheme,
            host=url.netloc,
            base_path=f"{url.path.rstrip('/')}/{encoded_path(self._bucket.encode())}",
            region=connection.region or connection.own_region,
            ca_bundle=_ca_bundle(connection),
            connect_timeout=self._connect_timeout,
        )

    def keys(self) -> Keys:
        """The keys of the options."""
        connection = self._connection
        return Keys(connection.access_key or "", connection.secret_key or "", connection.session_token or "")

    def relocated(self) -> Address:
        """The address after boto3 has followed the service's hint."""
        return self._boto.relocated()


def _says_everything(connection: Connection, bucket: str) -> bool:
    names = {name.upper() for name in os.environ}
    if names & _DECISIVE or any(name.startswith("AWS_") for name in names - _HARMLESS):
        return False
    if any(os.path.exists(os.path.expanduser(path)) for path in ("~/.aws/config", "~/.aws/credentials", "~/.boto")):
        return False
    url = urlsplit(connection.endpoint or "")
    is_plain = url.scheme in ("http", "https") and not (url.query or url.fragment or "@" in url.netloc)
    is_plain = is_plain and url.netloc == url.netloc.lower() and not url.netloc.endswith((":80", ":443"))
    is_bucket = bucket.replace("-", "").replace(".", "").isalnum() and bucket.isascii()
    given = connection.access_key and connection.secret_key and connection.addressing_style != "virtual"
    # AWS has rules of its own for its own hosts, which change.
    return bool(given and is_plain and is_bucket and connection.known.name != "aws")


def _ca_bundle(connection: Connection) -> Optional[str]:
    """As botocore chooses it: certifi's file, or botocore's own."""
    if not connection.validate_certs:
        return None
    if connection.aws_ca_bundle:
        return connection.aws_ca_bundle
    try:
        from certifi import where
    except ImportError:
        package = importlib.util.find_spec("botocore")
        return os.path.join(os.path.dirname((package and package.origin) or ""), "cacert.pem")
    return str(where())
