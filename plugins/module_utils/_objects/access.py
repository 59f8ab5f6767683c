# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What boto3 is asked for while objects are transferred: where the bucket is, and the keys of the moment."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Protocol

from ansible_collections.selfhosted.media.plugins.module_utils._objects.address import Address, address_of
from ansible_collections.selfhosted.media.plugins.module_utils._objects.signing import Keys
from ansible_collections.selfhosted.media.plugins.module_utils._s3.client import Connection, client_of, session_of
from ansible_collections.selfhosted.media.plugins.module_utils._s3.errors import WrongCredentials, explained

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client


class Access(Protocol):
    """Where the bucket is, and the keys. Asked again when the keys are about to end or the bucket turns out elsewhere."""

    def address(self) -> Address:
        """The bucket's address."""

    def keys(self) -> Keys:
        """The keys as they are now; botocore renews temporary ones in time."""

    def relocated(self) -> Address:
        """The address after asking the service itself for the bucket's region."""


class BotoAccess:
    """Access by boto3, which is loaded when it is first needed: worker processes never pay for it."""

    def __init__(self, connection: Connection, bucket: str, **settings: Any) -> None:
        """The settings go to botocore's Config, for instance connect_timeout."""
        self._connection = connection
        self._bucket = bucket
        self._settings = settings
        self._lock = threading.Lock()
        self._made: Any = None

    def _boto(self) -> tuple[Any, S3Client]:
        with self._lock:
            if self._made is None:
                session = session_of(self._connection)
                self._made = (session, client_of(session, self._connection, **self._settings))
            made: tuple[Any, S3Client] = self._made
            return made

    def address(self) -> Address:
        """The bucket's address. Raises MediaError, or S3Error without credentials."""
        return address_of(self._boto()[1], self._bucket)

    def keys(self) -> Keys:
        """The keys as they are now. Raises WrongCredentials where there are none or they cannot be renewed."""
        session, _client = self._boto()
        with explained("getting the credentials"):
            credentials = session.get_credentials()
            if credentials is None:
                raise WrongCredentials(
                    "there are no credentials; set access_key and secret_key, or profile (Unable to locate credentials)"
                )
            now = credentials.get_frozen_credentials()
        expiring = hasattr(credentials, "refresh_needed")
        return Keys(now.access_key, now.secret_key, now.token or "", expiring)

    def relocated(self) -> Address:
        """The address once botocore has followed the service's hint to the bucket's region."""
        _session, client = self._boto()
        with explained(f"looking for the region of bucket {self._bucket}"):
            client.head_bucket(Bucket=self._bucket)
        return address_of(client, self._bucket)
