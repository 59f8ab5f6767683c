# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a bucket's objects are asked for, as botocore resolves it: endpoint, addressing, region, proxy, CA bundle."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Optional
from urllib.parse import SplitResult, urlsplit

from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._s3.errors import explained

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client

_CREDENTIAL = re.compile(r"AWS4-HMAC-SHA256 Credential=[^,]*/\d{8}/([^/]+)/s3/aws4_request,")


@dataclass(frozen=True)
class Address:
    """What every request to a bucket has in common. Plain data, so that it can be handed to worker processes."""

    bucket: str
    #: http or https
    scheme: str
    #: host as the Host header names it, with a port other than the scheme's own
    host: str
    #: what comes before the key in the path: `/bucket` or nothing
    base_path: str
    region: str
    #: file of the certificate authorities that are trusted; None: certificates are not checked
    ca_bundle: Optional[str] = None
    #: URL of the HTTP proxy between us and the service, or nothing; may hold a password
    proxy: str = field(default="", repr=False)
    connect_timeout: float = 60
    read_timeout: float = 60
    user_agent: str = "selfhosted.media"

    @property
    def url(self) -> str:
        """URL of the bucket."""
        return f"{self.scheme}://{self.host}{self.base_path}"

    @property
    def name(self) -> str:
        """Host name without the port, for the connection and the certificate."""
        return urlsplit(f"//{self.host}").hostname or ""

    @property
    def port(self) -> int:
        """The port to connect to."""
        return urlsplit(f"//{self.host}").port or (443 if self.scheme == "https" else 80)


class _Listed:
    """The answer that botocore is given in the place of the service's."""

    status_code = 200
    content = b"<ListBucketResult/>"
    raw = None

    def __init__(self) -> None:
        self.headers: dict[str, str] = {}


def address_of(client: S3Client, bucket: str) -> Address:
    """Ask botocore for the address of a bucket: it makes and signs a request, which is not sent.

    Raises S3Error where botocore cannot, for instance without credentials, and MediaError for a kind of bucket that is
    not asked in the usual way.
    """
    prepared: list[Any] = []

    def keep(request: Any, **_unused: Any) -> _Listed:
        prepared.append(request)
        return _Listed()

    client.meta.events.register_first("before-send.s3.ListObjectsV2", keep, unique_id="address-of")  # type: ignore[arg-type]
    try:
        with explained(f"finding out where bucket {bucket} is"):
            client.list_objects_v2(Bucket=bucket)
    finally:
        client.meta.events.unregister("before-send.s3.ListObjectsV2", unique_id="address-of")
    return _told_by(client, bucket, prepared[-1])


def _told_by(client: Any, bucket: str, request: Any) -> Address:
    authorization = request.headers.get("Authorization", "")
    if isinstance(authorization, bytes):
        authorization = authorization.decode()
    scope = _CREDENTIAL.match(authorization)
    if scope is None:
        raise MediaError(
            f"bucket {bucket} is not asked with S3's signature version 4 (a directory bucket?); use another"
        )
    url = urlsplit(request.url)
    config = client.meta.config
    return Address(
        bucket=bucket,
        scheme=url.scheme,
        host=_host(url),
        base_path=url.path.rstrip("/"),
        region=scope.group(1),
        ca_bundle=_ca_bundle(client),
        proxy=_proxy(request.url),
        connect_timeout=config.connect_timeout,
        read_timeout=config.read_timeout,
    )


def _host(url: SplitResult) -> str:
    """The host as botocore signs it and urllib3 sends it: without the scheme's own port, which proxies drop."""
    name = url.hostname or ""
    name = f"[{name}]" if ":" in name else name
    return name if url.port in (None, {"http": 80, "https": 443}.get(url.scheme)) else f"{name}:{url.port}"


def _ca_bundle(client: Any) -> Optional[str]:
    # The session that sends knows what became of the client's argument, AWS_CA_BUNDLE, REQUESTS_CA_BUNDLE and the profile.
    from botocore.httpsession import get_cert_path

    verify = client._endpoint.http_session._verify
    return str(get_cert_path(verify)) if verify else None


def _proxy(url: str) -> str:
    from botocore.utils import get_environ_proxies

    proxy: str = get_environ_proxies(url).get(urlsplit(url).scheme, "")
    return proxy if not proxy or "://" in proxy else f"http://{proxy}"
