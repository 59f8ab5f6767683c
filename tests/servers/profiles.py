# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each provider as its documentation and its users describe it: Ceph, with the provider's quirks in front.

    with played("cloudflare_r2", ceph) as r2:
        run_module("s3_bucket", {**r2.server.options, "name": bucket})
        assert fetch(f"{r2.public_url(bucket)}/images/a.jpg").status == 200

Where a fact is not confirmed, the profile plays what the collection would find harder, or what Ceph does; `not_confirmed` has its name.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Callable, Optional

from . import Server
from .proxy import Answer, Fault, Proxy, Rule, Throttle, port_of
from .quirks import (
    AclIgnored,
    AclOfBucket,
    BucketRegion,
    ExactHeaders,
    KeyPace,
    LateCors,
    Location,
    MaxParts,
    NeedsMd5,
    NoChecksums,
    ObjectOwnership,
    OnlySigned,
    OpenCors,
    OtherCors,
    PartsAlike,
    PolicyDialect,
    PublicAccess,
    PublicHost,
    PublishedElsewhere,
    Taken,
    Website,
)

#: What the collection needs of a provider, and what the rows of the documentation's matrix are.
CAPABILITIES = (
    "region",  # LocationConstraint, and where a bucket is
    "own bucket made again",
    "object ACL",
    "bucket ACL",
    "bucket policy",
    "public access block",
    "object ownership",
    "public reading",
    "CORS",
    "checksums",
    "multipart",
    "rate limits",
)


@dataclass
class Behind:
    """What rules are made for: the server behind, and what the hosts of one play share."""

    server: Server
    region: str
    published: set[str] = field(default_factory=set)  # buckets that their owner has published as a whole


@dataclass(frozen=True)
class Quirk:
    """What one provider does otherwise, as data for the documentation and as rules for the proxy."""

    capability: str
    says: str
    rules: Callable[[Behind], Sequence[Rule]]


def quirk(capability: str, says: str, fault: Callable[[Behind], Fault], operation: str = "", header: str = "") -> Quirk:
    return Quirk(capability, says, lambda behind: [Rule(fault(behind), operation=operation, header=header)])


def refused(capability: str, operation: str, status: int = 501, code: str = "NotImplemented") -> Quirk:
    return quirk(capability, f"{operation}: {status} {code}", lambda _behind: Answer(status, code), operation)


def location(*allowed: str, code: str = "InvalidLocationConstraint") -> Quirk:
    """The constraints that a new bucket may have; "" is none, and {region} the region."""
    says = "LocationConstraint has to be " + " or ".join(one or "absent" for one in allowed)

    def fault(behind: Behind) -> Fault:
        return Location(behind.server, tuple(one.format(region=behind.region) for one in allowed), code)

    return quirk("region", says, fault)


def taken(code: str = "BucketAlreadyExists") -> Quirk:
    return quirk(
        "own bucket made again", f"CreateBucket of one's own bucket: 409 {code}", lambda b: Taken(b.server, code)
    )


def no_checksums(status: int, code: str, message: str = "The checksum is not supported") -> Quirk:
    says = f"CRC32 as a header or a trailer: {status} {code}"
    return quirk("checksums", says, lambda _behind: NoChecksums(status, code, message))


def slower_than(per_second: float, status: int = 503, code: str = "SlowDown") -> Quirk:
    says = f"more than {per_second:g} requests a second: {status} {code}"
    return quirk("rate limits", says, lambda _behind: Throttle(status=status, code=code, per_second=per_second))


NO_POLICIES = refused("bucket policy", "(Get|Put|Delete)BucketPolicy")
NO_BLOCKS = refused("public access block", "(Get|Put|Delete)PublicAccessBlock")
NO_OWNERSHIP = refused("object ownership", "(Get|Put|Delete)BucketOwnershipControls")
NO_CORS = refused("CORS", "(Get|Put|Delete)BucketCors")
NEITHER = (NO_BLOCKS, NO_OWNERSHIP)
EVERY_ORIGIN = quirk("CORS", "every origin is admitted", lambda _behind: OpenCors())
ONLY_SIGNED = quirk("public reading", "nobody reads at the S3 endpoint without a key", lambda _behind: OnlySigned())


@dataclass(frozen=True)
class Profile:
    """One provider, or one kind of its buckets."""

    provider: str  # the name in the provider table
    region: str
    sources: tuple[str, ...]
    quirks: tuple[Quirk, ...] = ()
    #: the parts of CAPABILITIES that no source confirms
    not_confirmed: tuple[str, ...] = ()
    #: the buckets that are public at a host of its own, `every` or those that are a `website`; empty: there is no such host
    public_host: str = ""
    #: quirks of that host
    host_quirks: tuple[Quirk, ...] = ()
    #: what the server behind really is, and no play
    is_real: bool = False


def _aws(region: str, *quirks: Quirk) -> Profile:
    refusal = "an ACL while Object Ownership is BucketOwnerEnforced: 400 AccessControlListNotSupported"
    blocks = "all four on for a new bucket; public policies and ACLs: 403, what is public already is not read"
    return Profile(
        "aws",
        region,
        ("docs.aws.amazon.com/AmazonS3 (object-ownership-error-responses)", "terraform-provider-aws#7628"),
        (
            *quirks,
            quirk("region", "HeadBucket tells the region", lambda behind: BucketRegion(behind.region)),
            quirk("object ACL", refusal, lambda behind: ObjectOwnership(behind.server)),
            quirk("public access block", blocks, lambda behind: PublicAccess(behind.server)),
        ),
    )


def _linode(region: str, *quirks: Quirk, not_confirmed: tuple[str, ...] = ()) -> Profile:
    return Profile(
        "linode",
        region,
        (
            "techdocs.akamai.com/cloud-computing/docs/endpoint-types",
            "boto/boto3#4398",
            "terraform-provider-linode#2083",
        ),
        (location(""), no_checksums(400, "XAmzContentSHA256Mismatch"), *quirks),
        ("region", "public access block", "object ownership", *not_confirmed),
    )


def _google(*quirks: Quirk) -> Profile:
    own = "its own document: GET answers <CorsConfig>, S3's is refused; origins are admitted as set with gcloud"
    local = r"https?://(localhost|127\.0\.0\.1)(:\d+)?|https://(www\.)?example\.org"
    return Profile(
        "google",
        "auto",
        ("docs.cloud.google.com/storage/docs/xml-api", "boto/boto3#4400", "gramps-web-api#758"),
        (
            location("", "EU", "US", "europe-west1"),
            taken("BucketNameUnavailable"),
            no_checksums(403, "SignatureDoesNotMatch"),
            *quirks,
            NO_POLICIES,
            *NEITHER,
            quirk("CORS", own, lambda _behind: OtherCors()),
            Quirk("CORS", own, lambda _behind: [Rule(OpenCors(local))]),
            refused("multipart", "UploadPartCopy"),
        ),
        ("region",),
    )


PROFILES: dict[str, Profile] = {
    "aws": _aws("eu-central-1", location("{region}"), taken("BucketAlreadyOwnedByYou")),
    "aws-us-east-1": _aws("us-east-1", location("")),
    "scaleway": Profile(
        "scaleway",
        "fr-par",
        ("github:scaleway/docs-content object-storage",),
        (
            location("", "{region}"),
            taken(),
            quirk(
                "bucket policy",
                "AWS's language: 400 MalformedPolicy; any policy locks the key out",
                lambda _b: PolicyDialect(),
            ),
            *NEITHER,
            quirk("multipart", "1,000 parts", lambda _behind: MaxParts(1_000)),
            slower_than(500, 429, "TooManyRequests"),
        ),
        ("checksums", "rate limits"),
    ),
    "digitalocean": Profile(
        "digitalocean",
        "fra1",
        ("docs.digitalocean.com/products/spaces/details/limits",),
        (location(""), taken(), NO_BLOCKS, slower_than(1500)),
        ("checksums", "object ownership"),
    ),
    "linode": _linode("us-east-1", slower_than(750)),
    "linode-e2": _linode(
        "gb-lon-1", NO_CORS, slower_than(2000), not_confirmed=("object ACL", "bucket ACL", "bucket policy", "CORS")
    ),
    "backblaze": Profile(
        "backblaze",
        "us-west-004",
        ("backblaze.com/apidocs introduction-to-the-s3-compatible-api", "boto/s3transfer#327", "django-storages#1498"),
        (
            location("", "{region}"),
            no_checksums(400, "InvalidArgument", "Unsupported header 'x-amz-sdk-checksum-algorithm'"),
            quirk("object ACL", "an ACL that is not the bucket's: 400", lambda behind: AclOfBucket(behind.server)),
            NO_POLICIES,
            *NEITHER,
        ),
        ("region", "own bucket made again", "rate limits"),
    ),
    "cloudflare_r2": Profile(
        "cloudflare_r2",
        "auto",
        ("github:cloudflare/cloudflare-docs r2/api/s3/api.mdx", "cloudflare-docs#32888", "FOSSBilling#4256"),
        (
            location("", "auto", "us-east-1"),
            taken("BucketConflict"),
            no_checksums(501, "NotImplemented", "Header 'x-amz-checksum-crc32' not implemented"),
            quirk(
                "object ACL", "refused: 501 NotImplemented", lambda _b: Answer(501, "NotImplemented"), "", "x-amz-acl"
            ),
            refused("bucket ACL", "(Get|Put)(Bucket|Object)Acl"),
            NO_POLICIES,
            *NEITHER,
            quirk("CORS", "AllowedHeaders with *: 400 MalformedXML", lambda _behind: ExactHeaders()),
            quirk("CORS", "new rules are shown after a while", lambda behind: LateCors(behind.server, 1.5)),
            quirk("multipart", "parts of different sizes: 400 InvalidPart", lambda _behind: PartsAlike()),
            quirk("rate limits", "the same key twice in a second: 429 TooManyRequests", lambda _behind: KeyPace()),
            ONLY_SIGNED,
        ),
        ("object ACL",),
        public_host="every",
    ),
    "google": _google(),
    "google-uniform": _google(
        quirk(
            "object ACL",
            "refused: 400 InvalidArgument",
            lambda _b: Answer(400, "InvalidArgument", message="Cannot use ACL API: uniform bucket-level access"),
            "",
            "x-amz-acl",
        ),
        refused("bucket ACL", "(Get|Put)(Bucket|Object)Acl", 400, "InvalidArgument"),
        quirk("public reading", "the owner publishes the bucket", lambda behind: PublishedElsewhere(behind.server)),
    ),
    "wasabi": Profile(
        "wasabi",
        "eu-central-1",
        ("docs.wasabi.com", "EnterpriseDB/barman#1064"),
        (
            location("{region}", code="IllegalLocationConstraintException"),
            no_checksums(400, "InvalidRequest", "Checksum Type mismatch"),
        ),
        ("region", "own bucket made again", "public access block", "object ownership", "checksums", "rate limits"),
    ),
    "hetzner": Profile(
        "hetzner",
        "fsn1",
        ("docs.hetzner.com supported-actions", "home-assistant/core#144015"),
        (
            location("", "{region}"),
            taken(),
            no_checksums(400, "XAmzContentSHA256Mismatch"),
            refused("object ownership", "(Get|Put|Delete)Bucket(OwnershipControls|Website|Tagging)"),
        ),
        ("public access block", "CORS", "rate limits"),
    ),
    "ovh": Profile(
        "ovh",
        "gra",
        ("github:ovh/docs storage/object_storage", "ovh/public-cloud-roadmap#763"),
        (
            location("", "{region}"),
            no_checksums(400, "InvalidRequest", "Missing required header for this request: Content-MD5"),
            quirk(
                "checksums",
                "requests that configure have to have a Content-MD5",
                lambda _behind: NeedsMd5(("DeleteObjects", "PutBucketAcl", "PutBucketCors", "PutObjectAcl")),
            ),
            NO_POLICIES,
            *NEITHER,
            Quirk(
                "rate limits",
                "more than 300 PUT a second: 503 SlowDown",
                lambda _behind: [Rule(Throttle(per_second=300), method="PUT")],
            ),
        ),
        ("region", "own bucket made again"),
    ),
    "exoscale": Profile(
        "exoscale",
        "ch-gva-2",
        ("community.exoscale.com/api/sos",),
        (location("", "{region}"), NO_POLICIES),
        (
            "region",
            "own bucket made again",
            "bucket policy",
            "public access block",
            "object ownership",
            "checksums",
            "rate limits",
        ),
    ),
    "vultr": Profile(
        "vultr",
        "ams1",
        ("docs.vultr.com/vultr-object-storage",),
        (location(""), slower_than(400)),
        tuple(one for one in CAPABILITIES if one != "rate limits"),
    ),
    "ionos": Profile(
        "ionos",
        "eu-central-3",
        ("docs.ionos.com/cloud object storage",),
        (
            location("", "{region}"),
            taken(),
            quirk("object ACL", "ignored", lambda behind: AclIgnored(behind.server)),
            quirk(
                "public access block",
                "stored, off for a new bucket",
                lambda behind: PublicAccess(behind.server, default=False),
            ),
        ),
        ("region", "object ACL", "bucket ACL", "object ownership", "checksums", "rate limits"),
    ),
    "storj": Profile(
        "storj",
        "global",
        ("storj.dev s3-compatibility", "storj/gateway-st#89"),
        (
            location(""),
            taken(),
            no_checksums(411, "MissingContentLength"),
            quirk("object ACL", "ignored", lambda behind: AclIgnored(behind.server, private_only=False)),
            refused("bucket ACL", "(Get|Put)BucketAcl"),
            NO_POLICIES,
            *NEITHER,
            NO_CORS,
            ONLY_SIGNED,
        ),
        ("object ACL", "rate limits"),
        public_host="every",
        host_quirks=(EVERY_ORIGIN,),
    ),
    "minio": Profile(
        "minio",
        "us-east-1",
        ("github:minio/minio 7aac2a2", "minio/minio#20855"),
        (
            location("", "{region}", code="InvalidRegion"),
            taken("BucketAlreadyOwnedByYou"),
            quirk(
                "checksums",
                "DeleteObjects has to have a Content-MD5",
                lambda _b: NeedsMd5(("DeleteObjects",), "MissingContentMD5"),
            ),
            quirk("object ACL", "ignored; PutObjectAcl: 501 NotImplemented", lambda behind: AclIgnored(behind.server)),
            *NEITHER,
            refused("CORS", "(Put|Delete)BucketCors"),
            EVERY_ORIGIN,
        ),
    ),
    "ceph": Profile("ceph", "default", ("docs.ceph.com/radosgw/s3", "measured on Ceph 16.2"), is_real=True),
    "garage": Profile(
        "garage",
        "garage",
        ("github:deuxfleurs-org/garage v1.2.0",),
        (
            location("", "{region}", code="InvalidRequest"),
            quirk("object ACL", "ignored", lambda behind: AclIgnored(behind.server, private_only=False)),
            refused("bucket ACL", "(Get|Put)(Bucket|Object)Acl"),
            NO_POLICIES,
            *NEITHER,
            refused("multipart", "ListObjectVersions|(Get|Put)BucketVersioning"),
            quirk(
                "public reading",
                "the whole bucket, once it is a website, at another host",
                lambda behind: Website(behind.server, behind.published),
            ),
            ONLY_SIGNED,
        ),
        ("rate limits",),
        public_host="website",
    ),
    "seaweedfs": Profile(
        "seaweedfs",
        "us-east-1",
        ("github:seaweedfs/seaweedfs 2026-08",),
        (
            location("", "{region}"),
            taken("BucketAlreadyOwnedByYou"),
            NO_BLOCKS,
            quirk("object ownership", "stored", lambda behind: ObjectOwnership(behind.server, default="ObjectWriter")),
        ),
        ("region", "object ACL", "rate limits"),
    ),
    "generic": Profile("generic", "us-east-1", ("none: a service that is not known",), (location(""), *NEITHER)),
}


#: At a host of its own without ACLs; by ACL without policies. By policy is what Ceph has in all other tests.
MOST_DIFFERENT = ("cloudflare_r2", "scaleway")


def chosen() -> tuple[str, ...]:
    """The profiles at which tests play that take long: the two that differ most, or all with PROFILES=all (`make profiles`)."""
    return tuple(PROFILES) if os.environ.get("PROFILES") == "all" else MOST_DIFFERENT


def capabilities(name: str) -> dict[str, str]:
    """How each capability of a profile was seen: `real`, `simulated` (the profile, or Ceph in its stead), `not confirmed`."""
    profile = PROFILES[name]
    seen = "real" if profile.is_real else "simulated"
    return {one: "not confirmed" if one in profile.not_confirmed else seen for one in CAPABILITIES}


@dataclass
class Played:
    """A provider that is played: where its S3 API and its public URLs are, and what went through."""

    profile: Profile
    server: Server
    proxy: Proxy
    host: Optional[Proxy]

    def public_url(self, bucket: str) -> str:
        return f"{(self.host or self.proxy).url}/{bucket}"

    def custom_domain(self, bucket: str) -> str:
        """For providers whose public URLs cannot be told from the S3 endpoint, else empty."""
        return self.public_url(bucket) if self.host else ""


def _rules(quirks: Sequence[Quirk], behind: Behind) -> list[Rule]:
    return [rule for one in quirks for rule in one.rules(behind)]


@contextlib.contextmanager
def played(name: str, server: Server) -> Iterator[Played]:
    """Play a profile in front of a Ceph gateway."""
    profile = PROFILES[name]
    behind = Behind(server, profile.region)
    with contextlib.ExitStack() as stack:
        proxy = stack.enter_context(Proxy(port_of(server), _rules(profile.quirks, behind)))
        host = None
        if profile.public_host:
            public = PublicHost(server, behind.published if profile.public_host == "website" else None)
            rules = [*_rules(profile.host_quirks, behind), Rule(public)]
            host = stack.enter_context(Proxy(port_of(server), rules))
        endpoint = server._replace(endpoint_url=proxy.url, provider=profile.provider, region=profile.region)
        yield Played(profile, endpoint, proxy, host)
