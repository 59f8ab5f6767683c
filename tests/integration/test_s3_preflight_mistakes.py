# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One mistake at a time in what is right otherwise: s3_preflight names it, and nothing but it, with what to do."""

from __future__ import annotations

import datetime
import json
import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Optional

import pytest
from ansible_collections.selfhosted.media.tests.botocore_clock import set_clock
from ansible_collections.selfhosted.media.tests.run_module import run_module
from ansible_collections.selfhosted.media.tests.servers import Server, free_port
from ansible_collections.selfhosted.media.tests.servers.ceph import STRANGER
from ansible_collections.selfhosted.media.tests.servers.profiles import played
from ansible_collections.selfhosted.media.tests.servers.proxy import (
    Answer,
    Fault,
    Message,
    Proxy,
    Request,
    Rule,
    port_of,
    reply,
)
from ansible_collections.selfhosted.media.tests.servers.quirks import AclIgnored, BucketRegion
from ansible_collections.selfhosted.media.tests.servers.tls import behind_tls
from ansible_collections.selfhosted.media.tests.stub import Asked, Reply, Stub

ORIGIN = "https://example.org"
RULES = {"CORSRules": [{"AllowedOrigins": [ORIGIN], "AllowedMethods": ["GET"]}]}
ALL = ["list", "write", "acl", "read", "public_read", "public_list", "cors", "multipart", "delete"]
KEYS = ["list", "write", "read", "delete"]
#: Names that resolve, to this machine; no test asks a name server.
HOSTS = ("127.0.0.1", "localhost", "media.example.org")
Options = dict[str, Any]


@dataclass
class World:
    """A bucket in which all is well, and what a mistake is made of."""

    server: Server
    bucket: str
    folder: Path
    stack: ExitStack
    patch: pytest.MonkeyPatch
    request: pytest.FixtureRequest

    @property
    def client(self) -> Any:
        return self.server.client()

    @property
    def url(self) -> str:
        return f"{self.server.endpoint_url}/{self.bucket}"

    def behind(self, *faults: Fault, operation: str = "", **options: Any) -> Options:
        """The options for a service that has faults."""
        rules = [Rule(fault, operation=operation) for fault in faults]
        proxy = self.stack.enter_context(Proxy(port_of(self.server), rules))
        return {"endpoint_url": proxy.url, **options}

    def tls(self, expired: bool = False) -> tuple[str, str]:
        """Port and certificate of the same service with TLS."""
        host, certificate = self.stack.enter_context(behind_tls(self.server, self.folder, expired))
        return host.rpartition(":")[2], str(certificate)

    def stub(self, answer: Callable[[Asked], Reply]) -> str:
        return self.stack.enter_context(Stub(answer)).server.endpoint_url

    def deny(self, action: str) -> Options:
        """The options of somebody who may do anything with the bucket but this."""
        who = {"Principal": {"AWS": ["arn:aws:iam:::user/stranger"]}}
        where = {"Resource": [f"arn:aws:s3:::{self.bucket}", f"arn:aws:s3:::{self.bucket}/*"]}
        statements = [
            {"Effect": effect, "Action": [one], **who, **where} for effect, one in (("Allow", "s3:*"), ("Deny", action))
        ]
        self.client.put_bucket_policy(
            Bucket=self.bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": statements})
        )
        return {**stranger(self), "needs": KEYS}


@pytest.fixture
def world(
    ceph: Server, ceph_bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[World]:
    def resolve(host: Any, *words: Any, of: Any = socket.getaddrinfo, **named: Any) -> Any:
        if host not in HOSTS:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return of("127.0.0.1", *words, **named)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    ceph.client().put_bucket_cors(Bucket=ceph_bucket, CORSConfiguration=RULES)
    with ExitStack() as stack:
        yield World(ceph, ceph_bucket, tmp_path, stack, monkeypatch, request)


@dataclass
class OnlyIn(Fault):
    """Requests that are signed for another region are refused, as AWS, MinIO and Garage do it."""

    region: str

    def on_request(self, request: Request, proxy: Proxy) -> Optional[Message]:
        signed = re.search(r"Credential=[^/]+/\d+/([^/]+)/", request.headers.get("authorization", ""))
        if signed is None or signed[1] == self.region:
            return None
        said = f"The authorization header is malformed; the region '{signed[1]}' is wrong; expecting '{self.region}'"
        code = "<Code>AuthorizationHeaderMalformed</Code>"
        return reply(400, f"<Error>{code}<Message>{said}</Message><Region>{self.region}</Region></Error>")


@dataclass
class Header(Fault):
    """A CDN that changes a header for those who have no keys."""

    name: str
    value: str

    def on_answer(self, request: Request, answer: Message, proxy: Proxy) -> None:
        if request.is_anonymous:
            answer.headers[self.name] = self.value


# -- the mistakes: each gives the options that it is made with -----------------------------------------------------------


def stranger(_world: World) -> Options:
    return {"access_key": STRANGER[0], "secret_key": STRANGER[1]}


def wrong_port(_world: World) -> Options:
    return {"endpoint_url": f"http://127.0.0.1:{free_port()}"}


def http_on_https(world: World) -> Options:
    return {"endpoint_url": f"http://127.0.0.1:{world.tls()[0]}"}


def https_on_http(world: World) -> Options:
    return {"endpoint_url": world.server.endpoint_url.replace("http:", "https:")}


def other_name(world: World) -> Options:
    port, certificate = world.tls()
    return {"endpoint_url": f"https://localhost:{port}", "aws_ca_bundle": certificate}


def expired(world: World) -> Options:
    port, certificate = world.tls(expired=True)
    return {"endpoint_url": f"https://127.0.0.1:{port}", "aws_ca_bundle": certificate}


def own_authority(world: World) -> Options:
    return {"endpoint_url": f"https://127.0.0.1:{world.tls()[0]}"}


def missing_bundle(world: World) -> Options:
    return {"endpoint_url": f"https://127.0.0.1:{world.tls()[0]}", "aws_ca_bundle": str(world.folder / "none")}


def web_page(world: World) -> Options:
    return {"endpoint_url": world.stub(lambda _asked: Reply(200, b"<html><body>Welcome</body></html>"))}


def redirect(world: World) -> Options:
    return {"endpoint_url": world.stub(lambda _asked: Reply(301, b"", {"Location": "https://s3.example.org/"}))}


def expired_token(world: World) -> Options:
    return world.behind(Answer(400, "ExpiredToken"), operation="ListObjectsV2", session_token="old")


def clock(world: World) -> Options:
    now = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
    set_clock(world.patch, now - datetime.timedelta(minutes=20))
    return {}


def other_region(world: World) -> Options:
    return world.behind(OnlyIn("eu-central-1"), region="us-east-1", provider="generic")


def silent_about_region(world: World) -> Options:
    answer = Answer(400, "IllegalLocationConstraintException")
    return world.behind(answer, operation="ListObjectsV2", region="us-east-1")


def region_of_aws(world: World) -> Options:
    return world.behind(BucketRegion("eu-central-1"), region="us-east-1", provider="aws")


def absent(_world: World) -> Options:
    return {"bucket": "not-there"}


def named(name: str) -> Callable[[World], Options]:
    return lambda _world: {"bucket": name}


def acl_refused(world: World) -> Options:
    play = world.stack.enter_context(played("aws", world.server))
    return {**play.server.options, "needs": ["write", "acl"]}


def acl_ignored(world: World) -> Options:
    needs = ["write", "acl", "public_read"]
    return world.behind(AclIgnored(world.server), provider="minio", needs=needs)


def acl_not_allowed(world: World) -> Options:
    # Ceph 16 does not ask for the right when an upload carries its ACL
    proxy = world.stack.enter_context(
        Proxy(port_of(world.server), [Rule(Answer(403, "AccessDenied"), header="x-amz-acl")])
    )
    return {"endpoint_url": proxy.url, "needs": [*KEYS, "acl"]}


def not_published(_world: World) -> Options:
    return {"needs": ["write", "public_read"]}


def other_bucket(world: World) -> Options:
    # its owner may not let everybody know what is not there
    world.client.create_bucket(Bucket=f"{world.bucket}-2")
    world.stack.callback(world.client.delete_bucket, Bucket=f"{world.bucket}-2")
    return {"public_url": f"{world.url}-2"}


def no_bucket_there(world: World) -> Options:
    return {"public_url": f"{world.url}-2"}


def other_site(world: World) -> Options:
    return {"public_url": world.stub(lambda _asked: Reply(200, b"Welcome")), "needs": ["public_read"]}


def broken_site(world: World) -> Options:
    return {"public_url": world.stub(lambda _asked: Reply(502)), "needs": ["public_read"]}


def no_certificate(world: World) -> Options:
    return {"public_url": f"https://127.0.0.1:{world.tls()[0]}/{world.bucket}"}


def no_public_host(_world: World) -> Options:
    return {"public_url": "https://nowhere.example.org"}


def no_scheme(_world: World) -> Options:
    return {"public_url": "media.example.org/"}


def mixed_content(world: World) -> Options:
    return {"public_url": world.url.replace("127.0.0.1", "media.example.org")}


def other_type(world: World) -> Options:
    proxy = world.stack.enter_context(Proxy(port_of(world.server), [Rule(Header("content-type", "text/html"))]))
    return {"public_url": f"{proxy.url}/{world.bucket}"}


def no_cors(world: World) -> Options:
    world.client.delete_bucket_cors(Bucket=world.bucket)
    return {}


def no_cors_api(world: World) -> Options:
    world.client.delete_bucket_cors(Bucket=world.bucket)
    return {"provider": "minio"}


def other_origin(_world: World) -> Options:
    return {"origin": "https://books.example.org"}


def no_origin(_world: World) -> Options:
    return {"origin": "https://example.org/books"}


def no_multipart(world: World) -> Options:
    return world.behind(Answer(501, "NotImplemented"), operation="CreateMultipartUpload")


def multipart_breaks(world: World) -> Options:
    return world.behind(Answer(400, "InvalidPart"), operation="CompleteMultipartUpload")


def everybody_lists(world: World) -> Options:
    world.client.put_bucket_acl(Bucket=world.bucket, ACL="public-read")
    return {}


def everybody_reads(world: World) -> Options:
    allow = {
        "Effect": "Allow",
        "Principal": "*",
        "Action": ["s3:GetObject"],
        "Resource": [f"arn:aws:s3:::{world.bucket}/*"],
    }
    world.client.put_bucket_policy(
        Bucket=world.bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    )
    return {"needs": [*KEYS, "private"]}


def given(**options: Any) -> Callable[[World], Options]:
    return lambda _world: options


def without(action: str) -> Callable[[World], Options]:
    return lambda world: world.deny(action)


MISTAKES: list[tuple[Any, str, str]] = [
    # (what is wrong, the checks that fail, the first of them with its remedy)
    (
        given(endpoint_url="http://s3.nowhere.invalid"),
        "endpoint",
        "the name s3.nowhere.invalid cannot be resolved; check the spelling",
    ),
    (
        given(provider="hetzner", region="fsn2", endpoint_url=None),
        "endpoint",
        r"is the region 'fsn2' right\? Did you mean fsn1\?",
    ),
    (wrong_port, "endpoint", r"nothing listens at http://127.0.0.1:\d+; check endpoint_url: host and port"),
    (http_on_https, "endpoint", "speaks https, not http; write https:// in endpoint_url"),
    (https_on_http, "endpoint", "speaks http, not https; write the port of https"),
    (other_name, "endpoint", "the certificate that localhost shows is of another name"),
    (expired, "endpoint", "the certificate of 127.0.0.1 has expired; renew it"),
    (own_authority, "endpoint", "an authority that this machine does not know; .*aws_ca_bundle"),
    (missing_bundle, "endpoint", "none cannot be read as certificates"),
    (web_page, "endpoint", "not an S3 service; check endpoint_url"),
    (redirect, "endpoint", "sends elsewhere.*; write https://s3.example.org as endpoint_url"),
    (given(provider="hetzer"), "endpoint", "'hetzer' is not known; did you mean hetzner"),
    (given(endpoint_url="s3.example.org"), "endpoint", "has no scheme; write https://s3.example.org"),
    (given(provider="hetzner", region="fsn", endpoint_url=None), "region", "no region 'fsn'; did you mean fsn1"),
    (given(provider="garage", endpoint_url=None), "endpoint public_domain", "endpoint_url is missing"),
    (given(secret_key=None), "credentials", "go together; set both or neither"),
    (given(access_key=None, secret_key=None), "credentials", "no credentials; set access_key and secret_key"),
    (given(access_key=None, secret_key=None, profile="nobody"), "credentials", "nobody"),
    (given(access_key="nobody"), "credentials", "InvalidAccessKeyId.*check access_key"),
    (given(secret_key="wrong-secret"), "credentials", "SignatureDoesNotMatch.*the secret key does not fit"),
    (expired_token, "credentials", "ExpiredToken.*get new ones"),
    (clock, "clock", "the service refuses this machine's time.*chrony"),
    (other_region, "region", "is in eu-central-1, not in us-east-1; set region to eu-central-1"),
    (region_of_aws, "region", "is in eu-central-1, not in us-east-1; set region to eu-central-1"),
    (silent_about_region, "region", "IllegalLocationConstraintException"),
    (named("a/b"), "bucket", "holds a slash"),
    (named("ab"), "bucket", "has 2 characters; S3 wants 3 to 63"),
    (named("Media_1"), "bucket", "S3 wants lower-case letters"),
    (named("127.0.0.1"), "bucket", "the form of an IP address"),
    (absent, "bucket", "not-there does not exist yet; create it"),
    (stranger, "bucket list write acl", "belongs to somebody else, or this key may neither list nor write it"),
    (without("s3:ListBucket"), "list", "refused .AccessDenied.; allow the key s3:ListBucket"),
    (without("s3:PutObject"), "write", "refused .AccessDenied.; allow the key s3:PutObject under images/"),
    (without("s3:GetObject"), "read", "refused .AccessDenied.; allow the key s3:GetObject"),
    (
        without("s3:DeleteObject"),
        "delete",
        "refused .AccessDenied.; allow the key s3:DeleteObject, and delete by hand .*images/.self",
    ),
    (acl_not_allowed, "acl", "refused .AccessDenied.; allow the key s3:PutObjectAcl"),
    (acl_refused, "acl", "BucketOwnerEnforced.*s3_bucket with public_method: acl, or publish by policy"),
    (
        acl_ignored,
        "acl public_read",
        "MinIO takes an upload .* nothing becomes public by it; publish .*public_method: policy",
    ),
    (not_published, "public_read", "everybody is refused.*publish its prefix: s3_bucket"),
    (other_bucket, "public_read cors", "refuses what everybody can read at the service itself.*set public_url"),
    (no_bucket_there, "public_read cors", "does not lead to bucket media-.*NoSuchBucket.*set public_url"),
    (other_site, "public_read", "shows something else than was written; set public_url"),
    (broken_site, "public_read", "status 502"),
    (no_certificate, "public_domain", "an authority that this machine does not know"),
    (no_public_host, "public_domain", "nowhere.example.org cannot be resolved; check the spelling of public_url"),
    (given(public_url="https://media.example.org:x"), "public_domain", "a port that is no number"),
    (given(endpoint_url="http://127.0.0.1:x"), "endpoint", "a port that is no number"),
    (no_scheme, "public_domain", "has no scheme; write https://media.example.org"),
    (
        given(public_url="https://me:secret@media.example.org"),
        "public_domain",
        "^(?!.*secret).*a user or a password in it.*write https://media.example.org$",
    ),
    (given(public_url="me:secret@media.example.org"), "public_domain", "^(?!.*secret).*write media.example.org$"),
    (mixed_content, "public_domain", "mixed content.*serve the bucket by https"),
    (given(provider="garage"), "public_domain", "Garage has no public URL .*give it as public_url"),
    (other_type, "public_read", "Content-Type 'text/html' instead of 'text/plain'"),
    (no_cors, "cors", "pages of https://example.org may not use it .*s3_cors"),
    (no_cors_api, "cors", "MinIO has no CORS rules .*MINIO_API_CORS_ALLOW_ORIGIN"),
    (other_origin, "cors", "pages of https://books.example.org may not use it"),
    (no_origin, "cors", "is not an origin"),
    (no_multipart, "multipart", "NotImplemented.*does not know"),
    (multipart_breaks, "multipart", "InvalidPart"),
    (everybody_lists, "public_list", "everybody can list all names.*s3_bucket"),
    (everybody_reads, "private", "everybody can read .*take publication back"),
]


def _name(value: Any) -> str:
    return getattr(value, "__name__", "") if callable(value) else ""


@pytest.mark.parametrize(("mistake", "failing", "said"), MISTAKES, ids=_name)
def test_a_mistake_is_named_and_nothing_else(world: World, mistake: Any, failing: str, said: str) -> None:
    right: Options = {
        **world.server.options,
        "bucket": world.bucket,
        "prefix": "images/",
        "needs": ALL,
        "origin": ORIGIN,
    }
    result = run_module("s3_preflight", {**right, **mistake(world)})
    assert "checks" in result, result
    checks = {one["name"]: one for one in result["checks"]}
    failed = [one["name"] for one in result["checks"] if one["state"] == "failed"]
    assert sorted(failed) == sorted(failing.split()) and result["failed"], result["msg"]
    first = checks[failing.split()[0]]
    assert re.search(said, f"{first['detail']}; {first['remedy']}"), first
    assert all(one["detail"] for one in result["checks"] if one["state"] == "unknown")
    assert f"- {failed[0]}: " in result["msg"].splitlines()[1]
    for key in ("ceph-secret", "stranger-secret", "wrong-secret"):
        assert key not in str(result)
