# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can differ between S3 services."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Optional


@dataclass(frozen=True)
class Provider:
    """One S3 service."""

    name: str
    #: as the service calls itself
    title: str
    #: How media become public: `policy`, `acl` (objects carry public-read), `bucket_acl` and `website` (the whole bucket), `none` (by
    #: the service's own means). Of several, no source says which one the service honours: they are tried in this order.
    public_methods: tuple[str, ...]
    #: where the facts are from
    sources: tuple[str, ...]
    #: other names for it
    aliases: tuple[str, ...] = ()
    #: region to sign with where neither the options nor the environment name one
    signing_region: str = "us-east-1"
    #: endpoint with `{region}` to fill in; None where the user has to give it
    endpoint: Optional[str] = None
    #: the same for regions that begin with the key
    endpoints_elsewhere: dict[str, str] = field(default_factory=dict)
    #: what an endpoint looks like, where the user has to give it
    endpoint_example: str = "https://s3.example.org"
    #: regions that are known to exist; there may be others
    regions: tuple[str, ...] = ()
    #: what every region looks like, as a regular expression, and what to say of one that does not
    region_pattern: str = ""
    region_hint: str = ""
    #: host of public URLs, without scheme, with `{bucket}`, `{region}` and `{endpoint_host}` to fill in; None where there is none
    #: before the user has set one up
    public_domain: Optional[str] = None
    #: how a public domain comes about
    public_domain_hint: str = ""
    #: ends of the endpoint's host name that tell the provider
    host_suffixes: tuple[str, ...] = ()
    #: whether the service accepts the checksums that boto3 >= 1.36 sends by default
    default_checksums: bool = False
    #: whether LocationConstraint is sent when a bucket is created: `region`, `omit`, or `probed`: where it is missed
    location_constraint: str = "omit"
    #: regions for which LocationConstraint must be absent all the same
    location_omitted_in: tuple[str, ...] = ()
    #: whether the S3 API for CORS rules exists; None: not confirmed
    cors: Optional[bool] = True
    #: how pages of other origins get at objects where it does not
    cors_instead: str = ""
    #: whether AllowedHeaders has to name each header, without `*`
    cors_exact_headers: bool = False
    #: seconds until the service shows what was set
    settles_within: int = 30
    #: whether buckets have policies in AWS's language; None: not confirmed
    policy: Optional[bool] = None
    #: why policies are not used, though there are some
    policy_refused: str = ""
    #: what becomes of an object's ACL: `honoured`, `ignored`, `refused`, `as_bucket` (it must be the bucket's); empty: not confirmed
    object_acl: str = ""
    #: whether GET and PUT of Block Public Access and Object Ownership exist
    public_access_block: bool = False
    ownership_controls: bool = False
    #: highest number of parts of a multipart upload
    max_parts: int = 10_000
    #: what lies there costs by the month, roughly, with the month in which that was read; empty where no source was found
    price: str = ""
    #: what is billed besides what lies there: requests and traffic, in words
    cost: str = ""
    #: what a user should know besides
    notes: tuple[str, ...] = ()

    @property
    def public_method(self) -> str:
        """The method that is taken where none can be tried."""
        return self.public_methods[0]
