# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A checklist of what could go wrong with a bucket, all at once, before anything changes.

One signed listing tells endpoint, credentials, clock and bucket apart. What an upload, a browser or a deletion would meet is tried
with an object of our own, which is always removed.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Callable, Optional, TypeVar

from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._s3.bucket import check_name
from ansible_collections.selfhosted.media.plugins.module_utils._s3.errors import (
    NotAllowed,
    NotThere,
    S3Error,
    Unreachable,
    WrongCredentials,
    explain,
)
from ansible_collections.selfhosted.media.plugins.module_utils._s3.probe import (
    Expectation,
    Question,
    judge,
    judge_cors,
    look,
)
from ansible_collections.selfhosted.media.plugins.module_utils._s3.retry import BOTO_ERRORS

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client

T = TypeVar("T")

OK, FAILED, UNKNOWN = "ok", "failed", "unknown"
#: What is looked at always; the one that fails leaves those after it unknown.
BASICS = ("endpoint", "credentials", "clock", "bucket")
#: What can be asked for, in the order in which it is tried.
NEEDS = ("create_bucket", "list", "write", "acl", "read", "public_read", "cors", "multipart", "delete")
#: Services refuse signatures whose time is off by fifteen minutes; half of that is a warning in time.
CLOCK_LIMIT = 450
_CONTENT_TYPE, _CACHE_CONTROL = "text/plain", "max-age=86400"
_CLOCK_CODES = frozenset({"RequestTimeTooSkewed", "RequestExpired", "InvalidSignatureTime"})
_REGION_CODES = frozenset(
    {"AuthorizationHeaderMalformed", "PermanentRedirect", "IllegalLocationConstraintException", "InvalidRegion", "301"}
)


@dataclass(frozen=True)
class Check:
    """One line of the checklist."""

    name: str
    state: str
    detail: str = ""
    remedy: str = ""

    def as_dict(self) -> dict[str, str]:
        return asdict(self)


@dataclass(frozen=True)
class Plan:
    """What to look at."""

    bucket: str
    prefix: str
    needs: tuple[str, ...]
    #: what comes before the key in a public URL
    public_url: Optional[str] = None
    origin: Optional[str] = None
    #: whether a probe object may be written
    may_write: bool = True
    validate_certs: bool = True
    ca_path: Optional[str] = None


class Checklist:
    """The checks so far, each name once."""

    def __init__(self, plan: Plan) -> None:
        self._wanted = (*BASICS, *(need for need in NEEDS if need in plan.needs))
        self._checks: dict[str, Check] = {}

    def add(self, name: str, state: str, detail: str = "", remedy: str = "") -> None:
        """Note a result; the first one of a name counts, and what nobody asked for is left out unless it is a failure."""
        if name not in self._checks and (name in self._wanted or name == "cleanup"):
            self._checks[name] = Check(name, state, detail, remedy)

    def failed(self, name: str, error: Exception, remedy: str = "") -> None:
        """Note a failure. What its message says after a semicolon is the better advice."""
        detail, _separator, own_remedy = str(error).partition("; ")
        self.add(name, FAILED, detail, own_remedy or remedy)

    def wants(self, name: str) -> bool:
        return name in self._wanted

    def finish(self, why: str) -> list[Check]:
        """All checks in their order; those that could not be made are unknown."""
        for name in self._wanted:
            self.add(name, UNKNOWN, why)
        order = (*self._wanted, "cleanup")
        return [self._checks[name] for name in order if name in self._checks]


def examine(client: S3Client, plan: Plan) -> list[Check]:
    """Run all checks that can run."""
    checklist = Checklist(plan)
    answered = _look_at_bucket(client, plan, checklist)
    if answered is not None:
        return checklist.finish(answered)
    if not plan.may_write:
        return checklist.finish("not tried: in check mode no probe object is written")
    if {"write", "acl", "read", "public_read", "cors", "multipart", "delete"} & set(plan.needs):
        _Probe(client, plan, checklist).run()
    return checklist.finish("not tried, because the probe object could not be written")


def _look_at_bucket(client: S3Client, plan: Plan, checklist: Checklist) -> Optional[str]:
    """Endpoint, credentials, clock, bucket and list, from one signed request. Returns why nothing more can be tried, if so."""
    doing = f"listing bucket {plan.bucket}"
    try:
        answer: Any = client.list_objects_v2(Bucket=plan.bucket, Prefix=plan.prefix, MaxKeys=1)
        response = answer
        error: Optional[S3Error] = None
        if "IsTruncated" not in answer and "KeyCount" not in answer:
            error = Unreachable(f"{doing}: what answers is not an S3 service")
    except BOTO_ERRORS as exc:
        error, response = explain(exc, doing), getattr(exc, "response", {})
        if error.code.isdigit() and not isinstance(
            error, NotAllowed
        ):  # a listing's error has a body, with a word as its code
            error = Unreachable(f"{doing}: status {error.status}, and what answers is not an S3 service")
    _judge_clock(response, error, checklist)
    if error is None:
        for name in ("endpoint", "credentials", "bucket", "list"):
            checklist.add(name, OK)
        checklist.add("create_bucket", OK, "not needed: the bucket is there")
        return None
    return _judge_refusal(error, plan, checklist)


def _judge_clock(response: Any, error: Optional[S3Error], checklist: Checklist) -> None:
    date = response.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date", "")
    remedy = "set the clock of this machine (chrony, systemd-timesyncd)"
    off = None
    with contextlib.suppress(ValueError, TypeError, IndexError):
        off = round(time.time() - parsedate_to_datetime(date).timestamp())
    if error is not None and error.code in _CLOCK_CODES:
        checklist.add(
            "clock", FAILED, f"the service refuses this machine's time{f', off by {off} s' if off else ''}", remedy
        )
    elif off is None:
        checklist.add("clock", UNKNOWN, "the service did not tell its time")
    elif abs(off) > CLOCK_LIMIT:
        checklist.add("clock", FAILED, f"this machine's clock differs from the service's by {off} s", remedy)
    else:
        checklist.add("clock", OK, f"differs by {off} s")


def _judge_refusal(error: S3Error, plan: Plan, checklist: Checklist) -> Optional[str]:
    """Sort the failed listing. None: the bucket may still take uploads."""
    if isinstance(error, WrongCredentials) and not error.code:
        checklist.failed("credentials", error)
        return "not tried: there are no credentials"
    if isinstance(error, Unreachable):
        remedy = "check endpoint_url: scheme, host and port of the S3 API, not of a web console or a public domain"
        checklist.failed("endpoint", error, remedy)
        return "not tried: no S3 service answered"
    checklist.add("endpoint", OK)
    if error.code in _CLOCK_CODES:
        return "not tried: the service refuses this machine's time"
    if error.code in _REGION_CODES:
        checklist.failed("bucket", error, "set region to that of the bucket")
        return "not tried: the region is not right"
    if isinstance(error, WrongCredentials):
        checklist.failed("credentials", error, "check access_key, secret_key and region")
        return "not tried: the service does not accept the keys"
    if isinstance(error, NotThere):
        checklist.add("credentials", OK)
        _judge_missing(plan, checklist)
        return f"the bucket {plan.bucket} does not exist yet"
    checklist.failed("list", error, "allow the key s3:ListBucket on this bucket")
    return None if isinstance(error, NotAllowed) else "not tried: the bucket does not answer"


def _judge_missing(plan: Plan, checklist: Checklist) -> None:
    missing = f"the bucket {plan.bucket} does not exist yet"
    if not checklist.wants("create_bucket"):
        checklist.add(
            "bucket", FAILED, missing, "create it, for instance with selfhosted.media.s3_bucket, or mend its name"
        )
        return
    checklist.add("bucket", UNKNOWN, missing)
    try:
        check_name(plan.bucket)
    except MediaError as exc:
        checklist.failed("create_bucket", exc, "choose another name")
    checklist.add("create_bucket", UNKNOWN, "whether the key may create it shows only when it does")


class _Probe:
    """An object of our own under the prefix: written, read, looked at, removed."""

    def __init__(self, client: S3Client, plan: Plan, checklist: Checklist) -> None:
        self._client = client
        self._plan = plan
        self._checklist = checklist
        self._body = secrets.token_hex(16).encode()
        self._key = f"{plan.prefix}.selfhosted-media-probe-{secrets.token_hex(8)}"
        #: version of each object that was written, to leave none behind
        self._written: dict[str, Optional[str]] = {}

    def run(self) -> None:
        with self._removed_afterwards():
            if self._write():
                self._read()
                self._look_publicly()
                self._multipart()

    def _try(self, call: Callable[[], T], doing: str) -> T:
        try:
            return call()
        except BOTO_ERRORS as exc:
            raise explain(exc, doing) from exc

    def _write(self) -> bool:
        """Write the object, publicly if that is asked for, else or if that is refused plainly."""
        note = self._checklist.add
        if self._checklist.wants("acl"):
            try:
                self._put("writing an object with the ACL public-read", ACL="public-read")
            except S3Error as exc:
                remedy = "allow s3:PutObjectAcl; on AWS let the bucket have ACLs (s3_bucket with public_method: acl), or publish by policy"
                self._checklist.failed("acl", exc, remedy)
            else:
                note("acl", OK)
        if not self._written:
            try:
                self._put("writing an object")
            except S3Error as exc:
                self._judge_unwritable(exc)
                return False
        note("bucket", OK)
        note("credentials", OK)
        note("write", OK)
        return True

    def _put(self, doing: str, **arguments: Any) -> None:
        headers = {"ContentType": _CONTENT_TYPE, "CacheControl": _CACHE_CONTROL, **arguments}
        bucket, key = self._plan.bucket, self._key
        answer: Any = self._try(
            lambda: self._client.put_object(Bucket=bucket, Key=key, Body=self._body, **headers), f"{doing} to {bucket}"
        )
        self._written[key] = answer.get("VersionId")

    def _judge_unwritable(self, error: S3Error) -> None:
        if isinstance(error, NotAllowed):
            # neither listing nor writing: nothing shows that the bucket is ours
            detail = f"bucket {self._plan.bucket} belongs to somebody else, or this key may neither list nor write it ({error.code})"
            self._checklist.add("bucket", FAILED, detail, "check the bucket's name and the key's permissions")
            self._checklist.add("credentials", OK, "accepted by the service")
        self._checklist.failed(
            "write", error, f"allow the key s3:PutObject under {self._plan.prefix or 'the whole bucket'}"
        )

    def _read(self) -> None:
        if not self._checklist.wants("read"):
            return
        bucket, key = self._plan.bucket, self._key
        try:
            answer: Any = self._try(
                lambda: self._client.get_object(Bucket=bucket, Key=key), f"reading an object of {bucket}"
            )
            body = answer["Body"].read()
        except S3Error as exc:
            self._checklist.failed("read", exc, "allow the key s3:GetObject")
            return
        lost = [
            name
            for name, sent in (("ContentType", _CONTENT_TYPE), ("CacheControl", _CACHE_CONTROL))
            if answer.get(name) != sent
        ]
        if body != self._body:
            self._checklist.add("read", FAILED, "other bytes came back than were written", "ask the service's operator")
        elif lost:
            self._checklist.add(
                "read", FAILED, f"{' and '.join(lost)} did not come back as sent", "ask the service's operator"
            )
        else:
            self._checklist.add("read", OK)

    def _look_publicly(self) -> None:
        """What a browser gets: public_read and cors."""
        wanted = [name for name in ("public_read", "cors") if self._checklist.wants(name)]
        plan = self._plan
        if not wanted:
            return
        if not plan.public_url:
            for name in wanted:
                self._checklist.add(name, UNKNOWN, "not tried: no public_url is known")
            return
        question = Question(
            url=f"{plan.public_url.rstrip('/')}/{self._key}",
            origin=plan.origin,
            size=len(self._body),
            validate_certs=plan.validate_certs,
            ca_path=plan.ca_path,
        )
        try:
            seen = look(question)
        except MediaError as exc:
            for name in wanted:
                self._checklist.failed(name, exc)
            return
        problem, message = judge(question, seen, Expectation(public=True, cors="ignored"))
        self._note("public_read", problem, message)
        if plan.origin is None:
            self._checklist.add("cors", UNKNOWN, "not tried: no origin is given")
        elif problem in ("unreachable", "certificate"):
            self._checklist.add("cors", UNKNOWN, "not tried: the public URL does not answer")
        else:
            # a preflight is answered for the bucket, whether or not the object is public
            self._note("cors", *judge_cors(question, seen, "allowed"))

    def _note(self, name: str, problem: str, message: str) -> None:
        text, _separator, remedy = message.partition("; ")
        if problem == "none":
            self._checklist.add(name, OK)
        else:
            self._checklist.add(name, FAILED, text, remedy)

    def _multipart(self) -> None:
        if not self._checklist.wants("multipart"):
            return
        client, bucket, key = self._client, self._plan.bucket, self._key + "-parts"
        upload: Optional[str] = None
        try:
            started: Any = client.create_multipart_upload(Bucket=bucket, Key=key)
            upload = started["UploadId"]
            part = client.upload_part(
                Bucket=bucket, Key=key, UploadId=started["UploadId"], PartNumber=1, Body=self._body
            )
            parts: Any = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
            done = client.complete_multipart_upload(
                Bucket=bucket, Key=key, UploadId=started["UploadId"], MultipartUpload=parts
            )
            self._written[key] = done.get("VersionId")
        except BOTO_ERRORS as exc:
            self._checklist.failed(
                "multipart", explain(exc, f"uploading in parts to {bucket}"), "allow the key s3:PutObject"
            )
            if upload:
                with contextlib.suppress(*BOTO_ERRORS):
                    client.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload)
        else:
            self._checklist.add("multipart", OK)

    @contextlib.contextmanager
    def _removed_afterwards(self) -> Iterator[None]:
        try:
            yield
        finally:
            for key, version in self._written.items():
                self._remove(key, version)

    def _remove(self, key: str, version: Optional[str]) -> None:
        bucket = self._plan.bucket
        delete: Any = self._client.delete_object
        if version and version != "null":
            with contextlib.suppress(
                *BOTO_ERRORS
            ):  # a right of its own, which a key may lack: then a delete marker has to do
                delete(Bucket=bucket, Key=key, VersionId=version)
                self._checklist.add("delete", OK)
                return
        try:
            self._try(lambda: delete(Bucket=bucket, Key=key), f"deleting an object of {bucket}")
        except S3Error as exc:
            name = "delete" if self._checklist.wants("delete") else "cleanup"
            self._checklist.failed(
                name, exc, f"delete the probe object {key} by hand, or allow the key s3:DeleteObject"
            )
        else:
            self._checklist.add("delete", OK)


def summary(checks: list[Check]) -> str:
    """All failures in one readable message, else what is unknown, else that all is well."""
    failed = [check for check in checks if check.state == FAILED]
    if failed:
        lines = [f"- {check.name}: {check.detail}" + (f"; {check.remedy}" if check.remedy else "") for check in failed]
        return f"{len(failed)} of {len(checks)} checks failed:\n" + "\n".join(lines)
    unknown = [check.name for check in checks if check.state == UNKNOWN]
    return "all checks passed" if not unknown else f"no check failed; not known yet: {', '.join(unknown)}"
