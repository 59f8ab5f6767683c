# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What everybody gets to see of a bucket: without keys, at its public URL and at the service itself."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Optional
from urllib.parse import quote, urlsplit

from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._s3.checklist import (
    FAILED,
    OK,
    UNKNOWN,
    Checklist,
    Plan,
)
from ansible_collections.selfhosted.media.plugins.module_utils._s3.probe import (
    Answer,
    Look,
    Question,
    cors_allowed,
    is_mixed_content,
    judge_cors,
    look,
)
from ansible_collections.selfhosted.media.plugins.module_utils._s3.providers import Provider
from ansible_collections.selfhosted.media.plugins.module_utils._s3.reach import proxy_for, trouble_with
from ansible_collections.selfhosted.media.plugins.module_utils._url_users import refuse_user

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client

#: What the probe object is written with.
CONTENT_TYPE, CACHE_CONTROL = "text/plain", "max-age=86400"
_WAYS = {
    "policy": "s3_bucket with public_prefixes and public_method: policy",
    "acl": "s3_bucket with public_prefixes and public_method: acl, and an upload with the ACL public-read",
    "bucket_acl": "s3_bucket with public_method: bucket_acl, which publishes the bucket as a whole",
    "website": "s3_bucket with public_method: website, which publishes the bucket as a whole",
}


def how_to_publish(provider: Provider, but: str = "") -> str:
    """What makes media public at a service, other than the method that was seen not to."""
    ways = [_WAYS[method] for method in provider.public_methods if method in _WAYS and method != but]
    if "none" in provider.public_methods:
        hint = f" ({provider.public_domain_hint})" if provider.public_domain_hint else ""
        ways.append(f"what {provider.title} itself has for it{hint}")
    if not ways:
        return "see whether the bucket's own settings are in the way, which s3_bucket with public_prefixes mends"
    return f"publish its prefix: {', or '.join(ways)}"


def look_at_domain(plan: Plan, checklist: Checklist, is_bucket_missing: bool) -> bool:
    """Name, port and TLS of the public URL. Returns whether something answers there."""
    if not checklist.is_open("public_domain"):
        return False
    url, parts = plan.public_url, urlsplit(plan.public_url)
    if not url:
        _note_no_url(plan.provider, checklist)
        return False
    try:
        refuse_user(url, "public_url")
    except MediaError as exc:
        checklist.failed("public_domain", exc)
        return False
    if parts.scheme not in ("http", "https") or not parts.netloc:
        remedy = f"write https://{url.split('://')[-1].strip('/')}"
        checklist.add("public_domain", FAILED, f"public_url {url!r} has no scheme", remedy)
        return False
    try:
        parts.port  # noqa: B018 (raises)
    except ValueError:
        checklist.add("public_domain", FAILED, f"public_url {url!r} has a port that is no number", "mend it")
        return False
    if is_mixed_content(url, plan.origin):
        detail = (
            f"browsers block {url} on the pages of {plan.origin}, because these are https and it is not (mixed content)"
        )
        checklist.add("public_domain", FAILED, detail, "serve the bucket by https")
    try:
        trouble = _trouble(plan)
    except MediaError as exc:
        checklist.failed("public_domain", exc, "mend aws_ca_bundle")
        return False
    if trouble is None:
        checklist.add("public_domain", OK, parts.netloc)
        return True
    detail, remedy, is_name = trouble
    if is_name and is_bucket_missing and plan.provider.public_domain is None:
        checklist.add("public_domain", UNKNOWN, f"{detail}; it may get one when the bucket is there", "")
    checklist.add("public_domain", FAILED, detail, remedy)
    return False


def _note_no_url(provider: Provider, checklist: Checklist) -> None:
    if provider.public_domain is None:
        detail = f"{provider.title} has no public URL of a bucket before you have set one up"
        checklist.add("public_domain", FAILED, detail, f"give it as public_url ({provider.public_domain_hint})")
    else:
        checklist.add("public_domain", UNKNOWN, "not tried: no public_url is known")


def _trouble(plan: Plan) -> Optional[tuple[str, str, bool]]:
    """What keeps the public URL from answering, what to do, and whether it is the name."""
    proxy = proxy_for(plan.public_url)
    if proxy:
        answer = look(_question(plan, f"{plan.public_url.rstrip('/')}/")).public
        if answer.status:
            return None
        return (
            f"{answer.message} (through the proxy {proxy})",
            "check public_url, or except its host by no_proxy",
            False,
        )
    found = trouble_with(plan.public_url, "public_url", plan.bucket, plan.validate_certs, plan.ca_path)
    return None if found is None else (found.detail, found.remedy, found.part == "name")


def _question(plan: Plan, url: str, **more: Any) -> Question:
    return Question(url=url, validate_certs=plan.validate_certs, ca_path=plan.ca_path, **more)


class Outside:
    """The bucket without keys."""

    def __init__(self, client: S3Client, plan: Plan, checklist: Checklist, answers: bool) -> None:
        self._client = client
        self._plan = plan
        self._checklist = checklist
        #: whether something answers at the public URL
        self._answers = answers
        #: whether the probe object was written with the ACL public-read
        self.has_acl = False

    # -- the bucket ----------------------------------------------------------------------------------------------------

    def look_at_listing(self) -> None:
        """Whether everybody can list the bucket."""
        if not self._checklist.wants("public_list"):
            return
        urls = [f"{self._address('list_objects_v2')}?list-type=2&max-keys=1"]
        if self._answers:
            urls.append(f"{self._plan.public_url.rstrip('/')}/")
        seen = [look(_question(self._plan, url, keep=1000)).public for url in urls]
        listing = [url for url, one in zip(urls, seen) if b"<ListBucketResult" in one.beginning]
        add, plan = self._checklist.add, self._plan
        if listing and "bucket_acl" in plan.provider.public_methods:
            add("public_list", OK, "everybody can list the bucket, which is part of publishing it as a whole")
        elif listing:
            remedy = (
                "have s3_bucket set public_prefixes, which closes the bucket's ACL, and take s3:ListBucket for everybody out of policies of"
                " your own"
            )
            add("public_list", FAILED, f"everybody can list all names in bucket {plan.bucket} ({listing[0]})", remedy)
        elif not seen[0].status:
            add("public_list", UNKNOWN, seen[0].message)
        else:
            add("public_list", OK, "refused")

    # -- the probe object ----------------------------------------------------------------------------------------------

    def look_at(self, key: str, body: bytes) -> None:
        """What everybody gets of an object that was just written."""
        checklist, plan = self._checklist, self._plan
        at_service = self._address("get_object", Key=key)
        at_public_url = f"{plan.public_url.rstrip('/')}/{quote(key)}"
        if checklist.wants("private"):
            self._judge_private([at_service, at_public_url] if self._answers else [at_service])
        if self._answers:
            question = _question(
                plan, at_public_url, origin=plan.origin, size=len(body), sha256=hashlib.sha256(body).hexdigest()
            )
            seen = self._look(question)
            if checklist.wants("public_read"):
                self._judge_reading(question, seen.public, at_service)
            if checklist.wants("cors"):
                self._judge_cors(question, seen)
        else:
            checklist.unknown(("public_read", "cors"), "not tried: the public URL does not answer")
        if self.has_acl:
            self._judge_acl(at_service)

    def _address(self, method: str, **arguments: Any) -> str:
        """Where the service itself has the bucket or an object, without a signature."""
        arguments = {"Bucket": self._plan.bucket, **arguments}
        return str(self._client.generate_presigned_url(method, Params=arguments)).partition("?")[0]

    def _look(self, question: Question) -> Look:
        try:
            return look(question)
        except MediaError as exc:  # the origin is none
            self._checklist.failed("cors", exc)
            return look(replace(question, origin=None))

    def _status_at_service(self, url: str) -> int:
        return look(_question(self._plan, url)).public.status

    def _judge_private(self, urls: list[str]) -> None:
        add = self._checklist.add
        if self.has_acl:
            add("private", UNKNOWN, "not tried: the probe object was written to be public")
            return
        statuses = {url: self._status_at_service(url) for url in urls}
        public = [url for url, status in statuses.items() if status == 200]
        if public:
            remedy = "take publication back (s3_bucket with public_prefixes: [])"
            add("private", FAILED, f"everybody can read what is written to the bucket ({public[0]})", remedy)
        elif not statuses[urls[0]]:
            add("private", UNKNOWN, "without keys the service gives no answer")
        else:
            add("private", OK, "refused without keys")

    def _judge_acl(self, at_service: str) -> None:
        """Whether public-read, with which the object was written, has an effect. Services that ignore ACLs take it too."""
        checklist, provider = self._checklist, self._plan.provider
        if not checklist.wants("public_read") or checklist.state("public_read") == OK:
            checklist.add("acl", OK)
            return
        status = self._status_at_service(at_service)
        if status in (401, 403):
            who = provider.title if provider.object_acl == "ignored" else "the service"
            detail = f"{who} takes an upload with the ACL public-read, but nothing becomes public by it"
            checklist.add("acl", FAILED, detail, how_to_publish(provider, but="acl"))
        elif status == 200:
            checklist.add("acl", OK)
        else:
            checklist.add("acl", UNKNOWN, "accepted; whether it has an effect could not be seen")

    def _judge_reading(self, question: Question, answer: Answer, at_service: str) -> None:
        def failed(detail: str, remedy: str) -> None:
            self._checklist.add("public_read", FAILED, detail, remedy)

        plan = self._plan
        url, said = plan.public_url, f" ({answer.server_message})" if answer.server_message else ""
        elsewhere = f"set public_url to where {plan.bucket} itself can be read"
        if not answer.status:
            failed(answer.message, "check public_url")
        elif answer.status == 404:
            failed(
                f"{url} does not lead to bucket {plan.bucket}: what was just written is not found there{said}",
                elsewhere,
            )
        elif answer.status in (401, 403) and self._status_at_service(at_service) == 200:
            detail = f"{url} refuses what everybody can read at the service itself ({answer.status}{said})"
            failed(detail, f"{elsewhere}, or have the CDN there let it pass")
        elif answer.status in (401, 403):
            failed(f"everybody is refused at {url} ({answer.status}{said})", how_to_publish(plan.provider))
        elif answer.status != 200:
            failed(f"{url} answers with status {answer.status}{said}", "check public_url and what serves it")
        elif answer.sha256 != question.sha256:
            failed(f"{url} does not lead to bucket {plan.bucket}: it shows something else than was written", elsewhere)
        else:
            self._judge_headers(answer)

    def _judge_headers(self, answer: Answer) -> None:
        kind = answer.headers.get("content-type", "")
        cached = answer.headers.get("cache-control", "")
        if kind.partition(";")[0].strip().lower() != CONTENT_TYPE:
            detail = f"browsers get the Content-Type {kind!r} instead of {CONTENT_TYPE!r}"
            self._checklist.add("public_read", FAILED, detail, f"have what serves {self._plan.public_url} pass it on")
            return
        note = (
            "" if cached == CACHE_CONTROL else f"browsers get the Cache-Control {cached!r} instead of {CACHE_CONTROL!r}"
        )
        self._checklist.add("public_read", OK, note)

    def _judge_cors(self, question: Question, seen: Look) -> None:
        """A preflight is answered for the bucket, whether or not the object is public."""
        checklist, provider = self._checklist, self._plan.provider
        if question.origin is None:
            checklist.add("cors", UNKNOWN, "not tried: no origin is given")
            return
        problem, message = judge_cors(question, seen, "allowed")
        if problem == "none" and checklist.is_open("cors"):
            stranger = replace(question, origin=f"https://{secrets.token_hex(8)}.example", size=None, sha256=None)
            is_open = cors_allowed(stranger, look(stranger))
            checklist.add("cors", OK, "so may the pages of every other origin" if is_open else "")
            return
        text, _separator, remedy = message.replace(f"{question.url}: ", "").partition("; ")
        if provider.cors is False:
            remedy = f"{provider.title} has no CORS rules in its S3 API: {provider.cors_instead}"
        elif provider.cors_instead:
            remedy += f". At {provider.title} {provider.cors_instead}"
        checklist.add("cors", FAILED, text, remedy)
