# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What botocore below 1.28 (boto3 below 1.25: Ubuntu 22.04) gets wrong about an endpoint that is not AWS's.

Told that a bucket is in another region, it turns to AWS's endpoint of that region, with the bucket's name and whatever is sent.
And it signs an IPv6 address without its brackets, which no service does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client


def keep_to_endpoint(client: S3Client) -> None:
    """Make an old botocore send every request to the client's own endpoint, and sign the host that it sends."""
    import botocore.utils

    endpoint = urlsplit(client.meta.endpoint_url)
    host = endpoint.hostname or ""
    if hasattr(botocore.utils, "S3RegionRedirectorv2") or host.endswith((".amazonaws.com", ".amazonaws.com.cn")):
        return

    def return_to_endpoint(request: Any, **_unused: Any) -> None:
        request.url = urlsplit(request.url)._replace(scheme=endpoint.scheme, netloc=endpoint.netloc).geturl()
        if ":" in host:
            request.headers["Host"] = endpoint.netloc

    # before the request is signed; only then does the bucket get into the host name, where it has to
    client.meta.events.register_first("request-created.s3", return_to_endpoint, unique_id="keep-to-endpoint")
