# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The provider table: what differs between S3 services, as data. One place, used by modules, roles and documentation.

A Python literal, because a module's payload ships no YAML.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Provider:
    """One S3 service. Sources of the facts stand beside each entry of the table."""

    name: str
    #: `policy`, `acl` (objects carry public-read), `bucket_acl` or `none`: how media become public
    public_method: str
    #: region to sign with where neither the options nor the environment name one
    signing_region: str = "us-east-1"
    #: endpoint with `{region}` to fill in; None where the user has to give it
    endpoint: Optional[str] = None
    #: host of public URLs, without scheme, with `{bucket}`, `{region}` and `{endpoint_host}` to fill in
    public_domain: Optional[str] = None
    #: ends of the endpoint's host name that tell the provider
    host_suffixes: tuple[str, ...] = ()
    #: whether the service accepts the checksums that boto3 >= 1.36 sends by default
    default_checksums: bool = False
    #: whether LocationConstraint is sent when a bucket is created: `region` or `omit`
    location_constraint: str = "omit"
    #: regions for which LocationConstraint must be absent all the same
    location_omitted_in: tuple[str, ...] = ()
    #: whether the S3 API for CORS rules exists
    cors: bool = True
    #: whether GET and PUT of Block Public Access and Object Ownership exist
    public_access_block: bool = False
    ownership_controls: bool = False
    #: highest number of parts of a multipart upload
    max_parts: int = 10_000


PROVIDERS: dict[str, Provider] = {
    # docs.aws.amazon.com/AmazonS3: since April 2023 new buckets refuse ACLs and block public access
    "aws": Provider(
        name="aws",
        public_method="policy",
        endpoint="https://s3.{region}.amazonaws.com",
        public_domain="{bucket}.{endpoint_host}",
        host_suffixes=("amazonaws.com", "amazonaws.com.cn"),
        default_checksums=True,
        location_constraint="region",
        location_omitted_in=("us-east-1",),
        public_access_block=True,
        ownership_controls=True,
    ),
    # measured on Ceph RGW 16.2
    "ceph": Provider(
        name="ceph",
        public_method="acl",
        signing_region="default",
        public_domain="{endpoint_host}/{bucket}",
        public_access_block=True,
    ),
    # github.com/minio/minio: object ACLs are ignored, PutBucketCors answers 501
    "minio": Provider(name="minio", public_method="policy", public_domain="{endpoint_host}/{bucket}", cors=False),
    # any other service: object ACLs are what most of them honour
    "generic": Provider(name="generic", public_method="acl", public_domain="{endpoint_host}/{bucket}"),
}


def is_of(provider: Provider, host: str) -> bool:
    """Whether a host name is one of the provider's own."""
    return any(host == suffix or host.endswith("." + suffix) for suffix in provider.host_suffixes)


def provider_for(name: str, endpoint_url: Optional[str]) -> Provider:
    """The table's entry for a provider's name; `auto` is told from the endpoint's host name."""
    if name != "auto":
        return PROVIDERS[name]
    if not endpoint_url:
        return PROVIDERS["aws"]
    host = (urlsplit(endpoint_url).hostname or "").lower()
    for provider in PROVIDERS.values():
        if is_of(provider, host):
            return provider
    return PROVIDERS["generic"]
