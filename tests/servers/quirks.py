# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What S3 services do otherwise, each as a fault of the proxy, in front of a real server; profiles.py says which service has which.

What a server that stands behind enforces is left to it. Where a quirk changes a request, it is signed anew with the keys of `server`.
"""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from dataclasses import replace as replaced
from typing import Optional

from . import Server
from .proxy import Fault, Message, Proxy, Request, Seen, ask, error, reply, sign

BLOCKS = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
UPLOADS = ("PutObject", "CopyObject", "CreateMultipartUpload")
EVERYBODY = "http://acs.amazonaws.com/groups/global/AllUsers"
_PUBLIC = ("public-read", "public-read-write", "authenticated-read")
_PUBLIC_POLICY = re.compile(rb'"Principal":\s*("\*"|{"AWS":\s*"\*"})')
_GRANT = (
    '<Grant><Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="Group">'
    f"<URI>{EVERYBODY}</URI></Grantee><Permission>READ</Permission></Grant>"
)


def has_checksum(headers: Mapping[str, str]) -> bool:
    """Whether a request has a checksum as boto3 sends it since 1.36; asking for one in an answer is none."""
    named = any(name.startswith("x-amz-checksum-") and name != "x-amz-checksum-mode" for name in headers)
    trailed = headers.get("x-amz-content-sha256", "").endswith("TRAILER")
    return named or trailed or bool({"x-amz-trailer", "x-amz-sdk-checksum-algorithm"} & set(headers))


def sub_resource_deletes(proxy: Proxy) -> list[Seen]:
    """The requests that a server other than AWS may take for the deletion of the whole bucket."""
    return [one for one in proxy.seen("DELETE") if set(one.query) - {"versionId", "uploadId", "x-id"}]


def unwelcome(proxy: Proxy) -> list[Seen]:
    """What must not be sent to providers other than AWS."""
    return [*sub_resource_deletes(proxy), *(one for one in proxy.seen() if has_checksum(one.headers))]


def _text(pattern: str, request: Request) -> str:
    found = re.search(pattern, request.body.decode("utf-8", "replace"))
    return found[1] if found else ""


def _exists(server: Server, bucket: str) -> bool:
    """Whether there is such a bucket, and it is the server's owner's."""
    client = server.client()
    with contextlib.suppress(client.exceptions.ClientError):
        client.head_bucket(Bucket=bucket)
        return True
    return False


def publish(server: Server, bucket: str, public: bool = True) -> None:
    """Have the server that stands behind let everybody read the whole bucket, but not list it."""
    if not public:
        server.client().delete_bucket_policy(Bucket=bucket)
        return
    allow = {"Effect": "Allow", "Principal": "*", "Action": ["s3:GetObject"], "Resource": [f"arn:aws:s3:::{bucket}/*"]}
    server.client().put_bucket_policy(
        Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [{"Sid": "quirk", **allow}]})
    )


# -- buckets -----------------------------------------------------------------------------------------------------------


@dataclass
class Location(Fault):
    """The LocationConstraint of a new bucket has to be one of these; "" is none at all. The server behind gets none."""

    server: Server
    allowed: tuple[str, ...]
    code: str = "InvalidLocationConstraint"
    missing_code: str = "IllegalLocationConstraintException"

    def on_request(self, request: Request, proxy: Proxy) -> Optional[Message]:
        if request.operation != "CreateBucket":
            return None
        given = _text(r"<LocationConstraint[^>]*>([^<]*)<", request)
        if given not in self.allowed:
            return error(400, self.code if given else self.missing_code)
        if given:
            request.set_body(b"")
            for name in ("content-md5", "content-type"):
                request.headers.pop(name, None)
            sign(request, self.server)
        return None


@dataclass
class Taken(Fault):
    """One's own bucket cannot be made a second time."""

    server: Server
    code: str = "BucketAlreadyExists"

    def on_request(self, request: Request, proxy: Proxy) -> Optional[Message]:
        own = request.operation == "CreateBucket" and _exists(self.server, request.bucket)
        return error(409, self.code) if own else None


@dataclass
class BucketRegion(Fault):
    """HEAD of a bucket names its region."""

    region: str

    def on_answer(self, request: Request, answer: Message, proxy: Proxy) -> None:
        if request.operation == "HeadBucket":
            answer.headers["x-amz-bucket-region"] = self.region


# -- publication -------------------------------------------------------------------------------------------------------


@dataclass
class ObjectOwnership(Fault):
    """Object Ownership is stored. While it is BucketOwnerEnforced, which is AWS's default, ACLs are refused."""

    server: Server
    default: str = "BucketOwnerEnforced"

    def __post_init__(self) -> None:
        self._stored: dict[str, str] = {}

    def on_request(self, request: Request, proxy: Proxy) -> Optional[Message]:
        operation, bucket = request.operation, request.bucket
        acl = request.headers.get("x-amz-acl", "")
        if operation.endswith("BucketOwnershipControls"):
            return self._control(request, operation)
        if self._stored.get(bucket, self.default) != "BucketOwnerEnforced" or acl == "bucket-owner-full-control":
            return None
        if operation == "CreateBucket" and acl in _PUBLIC:
            return error(400, "InvalidBucketAclWithObjectOwnership")
        if operation in ("PutBucketAcl", "PutObjectAcl") or (operation in UPLOADS and acl):
            return error(400, "AccessControlListNotSupported", message="The bucket does not allow ACLs")
        return None

    def _control(self, request: Request, operation: str) -> Message:
        bucket = request.bucket
        if not _exists(self.server, bucket):
            return error(404, "NoSuchBucket")
        if operation.startswith("Put"):
            self._stored[bucket] = _text(r"<ObjectOwnership>([^<]*)<", request)
        elif operation.startswith("Delete"):
            self._stored[bucket] = ""
        elif value := self._stored.get(bucket, self.default):
            rule = f"<Rule><ObjectOwnership>{value}</ObjectOwnership></Rule>"
            return reply(200, f"<OwnershipControls>{rule}</OwnershipControls>")
        else:
            return error(404, "OwnershipControlsNotFoundError")
        return reply(204 if operation.startswith("Delete") else 200)


@dataclass
class PublicAccess(Fault):
    """Block Public Access as AWS enforces it; Ceph 16 refuses private uploads too, and has no RestrictPublicBuckets."""

    server: Server
    default: bool = True

    def __post_init__(self) -> None:
        self._stored: dict[str, Optional[dict[str, bool]]] = {}
        self._by_policy: set[str] = set()  # buckets whose policy is public

    def on_request(self, request: Request, proxy: Proxy) -> Optional[Message]:
        operation, bucket = request.operation, request.bucket
        blocks = self._blocks(bucket) or {}
        if operation.endswith("PublicAccessBlock"):
            return self._control(request, operation)
        acl = operation in (*UPLOADS, "PutObjectAcl", "PutBucketAcl") and request.headers.get("x-amz-acl") in _PUBLIC
        policy = operation == "PutBucketPolicy" and _PUBLIC_POLICY.search(request.body)
        reading = request.is_anonymous and request.method in ("GET", "HEAD") and bucket in self._by_policy
        refused = (
            (blocks.get("BlockPublicAcls") and acl)
            or (blocks.get("BlockPublicPolicy") and policy)
            or (blocks.get("RestrictPublicBuckets") and reading)
        )
        return error(403, "AccessDenied" if request.method != "HEAD" else "") if refused else None

    def on_answer(self, request: Request, answer: Message, proxy: Proxy) -> None:
        operation, bucket = request.operation, request.bucket
        if answer.status >= 300:
            return
        if operation == "DeleteBucket":
            self._stored.pop(bucket, None)
        if operation == "CreateBucket" and bucket not in self._stored:
            self._store(bucket, dict.fromkeys(BLOCKS, self.default))
        if operation == "PutBucketPolicy" and _PUBLIC_POLICY.search(request.body):
            self._by_policy.add(bucket)
        elif operation in ("PutBucketPolicy", "DeleteBucketPolicy", "DeleteBucket"):
            self._by_policy.discard(bucket)

    def _blocks(self, bucket: str) -> Optional[dict[str, bool]]:
        return self._stored.get(bucket, dict.fromkeys(BLOCKS, True) if self.default else None)

    def _control(self, request: Request, operation: str) -> Message:
        bucket = request.bucket
        if not _exists(self.server, bucket):
            return error(404, "NoSuchBucket")
        if operation.startswith("Put"):
            self._store(bucket, {name: _text(f"<{name}>([^<]*)<", request).lower() == "true" for name in BLOCKS})
        elif operation.startswith("Delete"):
            self._store(bucket, None)
        elif blocks := self._blocks(bucket):
            flags = "".join(f"<{name}>{str(value).lower()}</{name}>" for name, value in blocks.items())
            return reply(200, f"<PublicAccessBlockConfiguration>{flags}</PublicAccessBlockConfiguration>")
        else:
            return error(404, "NoSuchPublicAccessBlockConfiguration")
        return reply(204 if operation.startswith("Delete") else 200)

    def _store(self, bucket: str, blocks: Optional[dict[str, bool]]) -> None:
        self._stored[bucket] = blocks
        ignored = {"IgnorePublicAcls": bool(blocks and blocks["IgnorePublicAcls"])}  # what Ceph does as AWS does
        self.server.client().put_public_access_block(
            Bucket=bucket, PublicAccessBlockConfiguration={**dict.fromkeys(BLOCKS, False), **ignored}
        )


@dataclass
class AclIgnored(Fault):
    """The ACL of an upload or of a new bucket has no effect; of the others only private can be set."""

    server: Server
    private_only: bool = True  # else nothing at all

    def on_request(self, request: Request, proxy: Proxy) -> Optional[Message]:
        acl = request.headers.get("x-amz-acl", "")
        if request.operation in ("PutBucketAcl", "PutObjectAcl"):
            return None if self.private_only and acl == "private" else error(501, "NotImplemented")
        if acl:
            del request.headers["x-amz-acl"]
            sign(request, self.server)
        return None


@dataclass
class AclOfBucket(Fault):
    """A bucket is public as a whole or not at all, by its ACL, and an object's has to be the same."""

    server: Server

    def __post_init__(self) -> None:
        self._public: set[str] = set()

    def on_request(self, request: Request, proxy: Proxy) -> Optional[Message]:
        operation, bucket = request.operation, request.bucket
        acl = request.headers.get("x-amz-acl", "")
        if operation == "PutBucketAcl":
            return self._set(bucket, acl)
        if acl and operation in (*UPLOADS, "PutObjectAcl"):
            if acl != ("public-read" if bucket in self._public else "private"):
                return error(400, "InvalidArgument", message=f"The ACL {acl} is not the bucket's")
            if operation == "PutObjectAcl":
                return reply(200)
        if acl:
            del request.headers["x-amz-acl"]
            sign(request, self.server)
        return None

    def on_answer(self, request: Request, answer: Message, proxy: Proxy) -> None:
        operation, bucket = request.operation, request.bucket
        if operation == "DeleteBucket" and answer.status < 300:
            self._public.discard(bucket)
        if operation in ("GetBucketAcl", "GetObjectAcl") and bucket in self._public:
            answer.set_body(answer.body.replace(b"</AccessControlList>", _GRANT.encode() + b"</AccessControlList>"))

    def _set(self, bucket: str, acl: str) -> Message:
        if not _exists(self.server, bucket):
            return error(404, "NoSuchBucket")
        if acl not in ("private", "public-read"):
            return error(400, "InvalidArgument", message=f"Unsupported ACL {acl}")
        publish(self.server, bucket, acl == "public-read")
        (self._public.add if acl == "public-read" else self._public.discard)(bucket)
        return reply(200)


@dataclass
class PolicyDialect(Fault):
    """Scaleway's policies: of another version, without ARNs; and one that does not name the key locks it out."""

    version: str = "2023-04-17"
    locked: set[str] = field(default_factory=set)

    def on_request(self, request: Request, proxy: Proxy) -> Optional[Message]:
        if request.operation == "PutBucketPolicy":
            text = request.body.decode()
            if json.loads(text).get("Version") != self.version or "arn:" in text:
                return error(400, "MalformedPolicy")
            self.locked.add(request.bucket)
            return reply(204)
        if request.operation == "DeleteBucketPolicy":
            self.locked.discard(request.bucket)
        return error(403, "AccessDenied") if request.bucket in self.locked else None


@dataclass
class Website(Fault):
    """A bucket is public as a whole once it is a website: its name is then in `published`."""

    server: Server
    published: set[str]

    def on_request(self, request: Request, proxy: Proxy) -> Optional[Message]:
        operation, bucket = request.operation, request.bucket
        if not operation.endswith("BucketWebsite"):
            return None
        if not _exists(self.server, bucket):
            return error(404, "NoSuchBucket")
        if operation.startswith("Get"):
            index = "<IndexDocument><Suffix>index.html</Suffix></IndexDocument>"
            document = f"<WebsiteConfiguration>{index}</WebsiteConfiguration>"
            return reply(200, document) if bucket in self.published else error(404, "NoSuchWebsiteConfiguration")
        (self.published.add if operation.startswith("Put") else self.published.discard)(bucket)
        return reply(204 if operation.startswith("Delete") else 200)


@dataclass
class PublicHost(Fault):
    """A host of its own at which everybody reads objects, and does nothing else; None is every bucket."""

    server: Server
    published: Optional[set[str]] = None

    def on_request(self, request: Request, proxy: Proxy) -> Optional[Message]:
        public = self.published is None or request.bucket in self.published
        if request.operation == "Preflight":
            return None
        if not public or request.operation not in ("GetObject", "HeadObject") or request.query:
            return error(404, "NotFound" if request.method != "HEAD" else "")
        if request.is_anonymous:
            sign(request, self.server)
        return None


@dataclass
class OnlySigned(Fault):
    """Nobody reads without a key."""

    def on_request(self, request: Request, proxy: Proxy) -> Optional[Message]:
        refused = request.is_anonymous and request.method != "OPTIONS"
        return error(403, "AccessDenied" if request.method != "HEAD" else "") if refused else None


@dataclass
class PublishedElsewhere(Fault):
    """Every new bucket is published as a whole, as its owner does outside the S3 API."""

    server: Server

    def on_answer(self, request: Request, answer: Message, proxy: Proxy) -> None:
        if request.operation == "CreateBucket" and answer.status == 200:
            publish(self.server, request.bucket)


# -- CORS --------------------------------------------------------------------------------------------------------------


@dataclass
class ExactHeaders(Fault):
    """A `*` among the AllowedHeaders is refused."""

    def on_request(self, request: Request, proxy: Proxy) -> Optional[Message]:
        starred = request.operation == "PutBucketCors" and re.search(
            rb"<AllowedHeader>[^<]*\*[^<]*</AllowedHeader>", request.body
        )
        return error(400, "MalformedXML") if starred else None


@dataclass
class LateCors(Fault):
    """New CORS rules count, and are shown, only after some seconds."""

    server: Server
    seconds: float

    def __post_init__(self) -> None:
        self._before: dict[str, tuple[float, Message]] = {}

    def on_request(self, request: Request, proxy: Proxy) -> Optional[Message]:
        bucket = request.bucket
        if request.operation in ("PutBucketCors", "DeleteBucketCors"):
            self._before[bucket] = (time.monotonic(), self._rules(request, proxy))
        since, before = self._before.get(bucket, (0.0, None))
        if before is None or time.monotonic() - since > self.seconds:
            return None
        if request.operation == "GetBucketCors":
            return replaced(before, headers=dict(before.headers))
        if request.operation == "Preflight" and before.status != 200:
            return error(403, "AccessForbidden")
        return None

    def _rules(self, request: Request, proxy: Proxy) -> Message:
        path = f"/{request.bucket}"
        get = Request(
            f"GET {path}?cors= HTTP/1.1", {"host": request.headers["host"]}, method="GET", path=path, query="cors="
        )
        sign(get, self.server)
        return ask(proxy, get)


@dataclass
class OpenCors(Fault):
    """Origins are admitted whatever rules a bucket has: by a setting of the whole server, or one made outside the S3 API."""

    origins: str = ".*"

    def on_request(self, request: Request, proxy: Proxy) -> Optional[Message]:
        if request.operation != "Preflight":
            return None
        allowed = self._allowed(request)
        return reply(200, headers=allowed) if allowed else error(403, "AccessForbidden")

    def on_answer(self, request: Request, answer: Message, proxy: Proxy) -> None:
        answer.headers.update(self._allowed(request))

    def _allowed(self, request: Request) -> dict[str, str]:
        origin = request.headers.get("origin", "")
        if not origin or not re.fullmatch(self.origins, origin):
            return {}
        allowed = {"origin": origin, "methods": request.headers.get("access-control-request-method", "GET")}
        if asked := request.headers.get("access-control-request-headers"):
            allowed["headers"] = asked
        return {**{f"access-control-allow-{name}": value for name, value in allowed.items()}, "vary": "Origin"}


@dataclass
class OtherCors(Fault):
    """The sub-resource has a document of its own, as Google's has, and S3's is refused."""

    document: str = "<CorsConfig></CorsConfig>"

    def on_request(self, request: Request, proxy: Proxy) -> Optional[Message]:
        changes = request.operation in ("PutBucketCors", "DeleteBucketCors")
        return error(400, "InvalidArgument", message="Invalid CORS document") if changes else None

    def on_answer(self, request: Request, answer: Message, proxy: Proxy) -> None:
        if request.operation == "GetBucketCors" and (answer.status == 200 or b"NoSuchCORS" in answer.body):
            answer.first = "HTTP/1.1 200 OK"
            answer.set_body(self.document.encode())


# -- requests ----------------------------------------------------------------------------------------------------------


@dataclass
class NoChecksums(Fault):
    """The checksums that boto3 sends since 1.36 are refused, as a header and as a trailer."""

    status: int
    code: str
    message: str = "The checksum is not supported"

    def on_request(self, request: Request, proxy: Proxy) -> Optional[Message]:
        return error(self.status, self.code, message=self.message) if has_checksum(request.headers) else None


@dataclass
class FirstListing(Fault):
    """The second version of LIST is answered as the first, with so many keys in a page."""

    server: Server
    most: int = 1000

    def on_request(self, request: Request, proxy: Proxy) -> Optional[Message]:
        if request.operation != "ListObjectsV2":
            return None
        unknown = ("list-type", "continuation-token", "start-after", "fetch-owner", "max-keys")
        known = [one for one in request.query.split("&") if one.partition("=")[0] not in unknown]
        request.set_query(
            "&".join([*known, f"max-keys={min(self.most, int(request.parameters.get('max-keys', 1000)))}"])
        )
        sign(request, self.server)
        return None


@dataclass
class NeedsMd5(Fault):
    """Requests of these operations have to have a Content-MD5."""

    operations: tuple[str, ...]
    code: str = "InvalidRequest"

    def on_request(self, request: Request, proxy: Proxy) -> Optional[Message]:
        missing = request.operation in self.operations and "content-md5" not in request.headers
        return error(400, self.code, message="Missing required header: Content-MD5") if missing else None


@dataclass
class KeyPace(Fault):
    """The same key cannot be written twice within some seconds."""

    seconds: float = 1.0
    code: str = "TooManyRequests"

    def __post_init__(self) -> None:
        self._last: dict[str, float] = {}

    def on_request(self, request: Request, proxy: Proxy) -> Optional[Message]:
        if request.operation not in ("PutObject", "CopyObject", "CompleteMultipartUpload"):
            return None
        if time.monotonic() - self._last.get(request.path, 0.0) < self.seconds:
            return error(429, self.code)
        self._last[request.path] = time.monotonic()
        return None


@dataclass
class PartsAlike(Fault):
    """All parts of an upload but the last have to have the same size."""

    def __post_init__(self) -> None:
        self._sizes: defaultdict[str, dict[int, int]] = defaultdict(dict)

    def on_request(self, request: Request, proxy: Proxy) -> Optional[Message]:
        sizes = self._sizes[request.parameters.get("uploadId", "")]
        if request.operation == "UploadPart":
            sizes[int(request.parameters["partNumber"])] = len(request.body)
        if request.operation == "CompleteMultipartUpload":
            numbers = sorted(int(number) for number in re.findall(rb"<PartNumber>(\d+)<", request.body))
            if len({sizes.get(number) for number in numbers[:-1]}) > 1:
                return error(400, "InvalidPart", message="All non-trailing parts must have the same length")
        return None


@dataclass
class MaxParts(Fault):
    """An upload has no more than so many parts."""

    most: int

    def on_request(self, request: Request, proxy: Proxy) -> Optional[Message]:
        excess = request.operation == "UploadPart" and int(request.parameters["partNumber"]) > self.most
        return error(400, "InvalidArgument") if excess else None
