# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mend the Content-Type of objects that were collected on a machine without /etc/mime.types."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._objects.access import Access
from ansible_collections.selfhosted.media.plugins.module_utils._objects.xml import RemoteObject
from ansible_collections.selfhosted.media.plugins.module_utils._s3.errors import NotThere, explained
from ansible_collections.selfhosted.media.plugins.module_utils._sync.account import Account
from ansible_collections.selfhosted.media.plugins.module_utils._sync.clients import object_client
from ansible_collections.selfhosted.media.plugins.module_utils._sync.content_type import UNKNOWN, guess
from ansible_collections.selfhosted.media.plugins.module_utils._sync.keys import shown
from ansible_collections.selfhosted.media.plugins.module_utils._sync.listing import Listing
from ansible_collections.selfhosted.media.plugins.module_utils._sync.pool import run_all

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client

#: What a service or a client says when it does not know: only these are mended.
_UNKNOWN = frozenset({UNKNOWN, "binary/octet-stream", ""})


@dataclass
class Mending:
    """Gives objects under a prefix the Content-Type of their name, in place, if they have none worth the name."""

    client: S3Client
    access: Access
    bucket: str
    prefix: str
    acl: str = ""
    dry: bool = False
    concurrency: int = 16
    account: Account = field(default_factory=Account)

    def carry_out(self) -> None:
        """Look at every object whose name tells a type, with one HEAD each: meant for the few hundred static assets."""
        with object_client(self.access, self.account) as client:
            found = Listing(client, self.prefix, bucket_may_be_missing=self.dry).objects()
            named = (one for one in found if guess(one.key.decode("utf-8"), {}).content_type != UNKNOWN)
            run_all(named, self._mend, self.concurrency)

    def _mend(self, found: RemoteObject) -> None:
        key = found.key.decode("utf-8")
        where: dict[str, Any] = {"Bucket": self.bucket, "Key": key}
        try:
            with explained(f"mending the content type of {shown(found.key)} in bucket {self.bucket}"):
                head: Any = self.client.head_object(**where)
                if head.get("ContentType", "") not in _UNKNOWN:
                    self.account.count("right")
                    return
                if not self.dry:
                    self.client.copy_object(
                        **where, CopySource={"Bucket": self.bucket, "Key": key}, **self._headers(head, key)
                    )
        except NotThere:
            return  # removed since the listing
        except MediaError as exc:
            self.account.remark("failed", shown(found.key), str(exc))
        else:
            self.account.remark("mended", shown(found.key), guess(key, {}).content_type)

    def _headers(self, head: Any, key: str) -> dict[str, Any]:
        """What the copy onto itself must repeat, because replacing one header replaces them all, and the ACL too."""
        headers = {
            "MetadataDirective": "REPLACE",
            "Metadata": head.get("Metadata", {}),
            "ContentType": guess(key, {}).content_type,
            "CacheControl": head.get("CacheControl"),
            "ContentEncoding": head.get("ContentEncoding"),
            "ContentDisposition": head.get("ContentDisposition"),
            "ContentLanguage": head.get("ContentLanguage"),
            "ACL": self.acl,
        }
        return {name: value for name, value in headers.items() if value}
