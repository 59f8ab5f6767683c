# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A client for as long as it is needed, its requests counted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Optional

from ansible_collections.selfhosted.media.plugins.module_utils._objects.access import Access
from ansible_collections.selfhosted.media.plugins.module_utils._objects.client import ObjectClient
from ansible_collections.selfhosted.media.plugins.module_utils._objects.xml import RemoteObject
from ansible_collections.selfhosted.media.plugins.module_utils._s3.errors import NotThere
from ansible_collections.selfhosted.media.plugins.module_utils._sync.account import Account
from ansible_collections.selfhosted.media.plugins.module_utils._sync.keys import shown


@contextmanager
def object_client(access: Access, account: Account, **settings: Any) -> Iterator[ObjectClient]:
    """A client of the bucket; the settings are ObjectClient's. At the end its requests are in the account."""
    client = ObjectClient(access, **settings)
    try:
        yield client
    finally:
        account.add_requests(client.requests)
        account.take_time(client.answered, client.seconds)
        client.close()


def find_object(client: ObjectClient, key: bytes) -> Optional[RemoteObject]:
    """The object that has a key, asked for by itself, without its time; None if there is none."""
    try:
        head = client.head(key, f"looking for {shown(key)} in bucket {client.bucket}")
    except NotThere:
        return None
    return RemoteObject(key, head.size, head.etag, 0)
