# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An endpoint that sends elsewhere, such as http:// of a server that wants https://, is none: it gets its own sentence.

botocore asks such a server for the bucket's region again and again, until Python gives up (RecursionError; seen with 1.44).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from ansible_collections.selfhosted.media.plugins.module_utils._s3.errors import Unreachable

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client

_REDIRECTS = frozenset({301, 302, 303, 307, 308})


def refuse_redirects(client: S3Client) -> None:
    """Have a client raise Unreachable for a redirect that is not an S3 service's."""
    endpoint = client.meta.endpoint_url

    def look(response: Any, **_unused: Any) -> None:
        answer = response[1] if response else {}
        metadata = answer.get("ResponseMetadata", {})
        headers, status = metadata.get("HTTPHeaders", {}), metadata.get("HTTPStatusCode", 0)
        code = str(answer.get("Error", {}).get("Code", ""))
        # an S3 service says in words, or in a header, that the bucket is in another region
        is_of_s3 = "x-amz-bucket-region" in headers or not (code.isdigit() or code == "")
        if status not in _REDIRECTS or is_of_s3 or "location" not in headers:
            return
        target = urlsplit(urljoin(endpoint, headers["location"]))
        raise Unreachable(
            f"{endpoint} sends elsewhere, which no S3 service does; write {target.scheme}://{target.netloc} as endpoint_url, if that is the"
            " S3 API",
            "",
            status,
        )

    client.meta.events.register_first("needs-retry.s3", look, unique_id="refuse-redirects")
