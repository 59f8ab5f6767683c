# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one signed listing says: it tells endpoint, credentials, clock, region and bucket apart."""

from __future__ import annotations

import contextlib
import difflib
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Callable, Optional
from urllib.parse import urlsplit

from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._s3.bucket import check_name
from ansible_collections.selfhosted.media.plugins.module_utils._s3.checklist import (
    FAILED,
    OK,
    UNKNOWN,
    Checklist,
    Plan,
)
from ansible_collections.selfhosted.media.plugins.module_utils._s3.endpoints import region_in
from ansible_collections.selfhosted.media.plugins.module_utils._s3.errors import (
    NotAllowed,
    NotThere,
    S3Error,
    Unreachable,
    WrongCredentials,
    explain,
)
from ansible_collections.selfhosted.media.plugins.module_utils._s3.reach import proxy_for, trouble_with
from ansible_collections.selfhosted.media.plugins.module_utils._s3.retry import BOTO_ERRORS

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client

#: Services refuse signatures whose time is off by fifteen minutes; half of that is a warning in time.
CLOCK_LIMIT = 450
_CLOCK_CODES = frozenset({"RequestTimeTooSkewed", "RequestExpired", "InvalidSignatureTime"})
_REGION_CODES = frozenset(
    {"AuthorizationHeaderMalformed", "PermanentRedirect", "IllegalLocationConstraintException", "InvalidRegion"}
)


@dataclass
class _Listing:
    """What came back when the bucket was listed."""

    response: Any
    error: Optional[S3Error] = None
    #: the answer with which the service sent the library to another region, if it did
    redirect: Any = None

    @property
    def headers(self) -> dict[str, str]:
        return _headers(self.response)

    @property
    def region(self) -> str:
        """The region that the service names as the right one, if it does."""
        answer = self.redirect or self.response
        named = answer.get("Error", {}).get("Region") if self.is_of_other_region else ""
        return str(_headers(answer).get("x-amz-bucket-region") or named or "")

    @property
    def was_asked(self) -> bool:
        """Whether there was a request; without keys, or for a name that is none, the library makes none."""
        return self.error is None or bool(self.error.code) or isinstance(self.error, Unreachable)

    @property
    def is_of_other_region(self) -> bool:
        return bool(self.redirect) or (self.error is not None and self.error.code in _REGION_CODES)


def _headers(answer: Any) -> dict[str, str]:
    found: dict[str, str] = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    return found


def look_at_bucket(
    client: S3Client, plan: Plan, checklist: Checklist, reconnect: Callable[[str], S3Client]
) -> tuple[S3Client, Optional[str]]:
    """The client to go on with, and why nothing more can be tried, if so.

    With a wrong region nothing else could be looked at: where the service names the right one, that is taken from then on.
    """
    listing = _list(client, plan)
    region = client.meta.region_name
    if listing.is_of_other_region and listing.region not in ("", region):
        _note_other_region(region, listing.region, checklist)
        client = reconnect(listing.region)
        listing = _list(client, plan)
    elif listing.is_of_other_region and listing.error is not None:
        checklist.failed("region", listing.error, "set region to that of the bucket")
    if not listing.was_asked:
        return client, _judge_not_asked(client, plan, listing.error, checklist)
    _judge_clock(listing, checklist)
    if isinstance(listing.error, Unreachable):
        _judge_endpoint(client, plan, listing, checklist)
        return client, "not tried: no S3 service answered"
    checklist.add("endpoint", OK, urlsplit(client.meta.endpoint_url).netloc)
    _judge_region(client, plan, listing, checklist)
    if listing.error is not None:
        return client, _judge_refusal(listing.error, plan, checklist)
    for name in ("credentials", "bucket", "list"):
        checklist.add(name, OK)
    checklist.add("create_bucket", OK, "not needed: the bucket is there")
    return client, None


def _list(client: S3Client, plan: Plan) -> _Listing:
    doing = f"listing bucket {plan.bucket}"
    redirects: list[Any] = []

    def note_redirect(response: Any, **_unused: Any) -> None:
        """Where a service names another region, boto3 goes there unasked. Not every application does."""
        answer = response[1] if response else {}
        if answer.get("Error", {}).get("Code") in _REGION_CODES:
            redirects.append(answer)

    event = "needs-retry.s3.ListObjectsV2"
    client.meta.events.register_first(event, note_redirect)
    try:
        answer: Any = client.list_objects_v2(Bucket=plan.bucket, Prefix=plan.prefix, MaxKeys=1)
    except BOTO_ERRORS as exc:
        error, response = explain(exc, doing), getattr(exc, "response", None) or {}
        # a listing's error has a body, with a word as its code
        if error.code.isdigit() and not isinstance(error, NotAllowed):
            found = f"status {error.status}, and what answers is not an S3 service"
            error = Unreachable(f"{doing}: {found}", "", error.status)
        return _Listing(response, error)
    except (S3Error, OSError) as exc:  # it sends elsewhere; aws_ca_bundle is not there
        return _Listing({}, explain(exc, doing))
    finally:
        client.meta.events.unregister(event, note_redirect)
    if "IsTruncated" not in answer and "KeyCount" not in answer:
        return _Listing(answer, Unreachable(f"{doing}: what answers is not an S3 service"))
    return _Listing(answer, redirect=redirects[0] if redirects else None)


def _judge_not_asked(client: S3Client, plan: Plan, error: Optional[S3Error], checklist: Checklist) -> str:
    """No request was made; whether the endpoint can be reached shows all the same."""
    if error is None or isinstance(error, WrongCredentials):
        checklist.failed("credentials", error or S3Error(""))
        why = "not tried: there are no credentials"
    else:
        try:
            check_name(plan.bucket)
        except MediaError as exc:
            checklist.failed("bucket", exc, "mend its name")
        checklist.failed("bucket", error, "mend its name")
        why = "not tried: the bucket's name is none"
    if not proxy_for(client.meta.endpoint_url):
        _judge_reach(client, plan, checklist)
    checklist.add("endpoint", UNKNOWN, f"{urlsplit(client.meta.endpoint_url).netloc} was not asked for the bucket")
    return why


# -- endpoint ----------------------------------------------------------------------------------------------------------


def _judge_endpoint(client: S3Client, plan: Plan, listing: _Listing, checklist: Checklist) -> None:
    """Why no S3 service answered: by the name, the port, TLS, or because it is something else."""
    url = client.meta.endpoint_url
    error = listing.error or S3Error("")
    proxy = proxy_for(url)
    if proxy and not error.status:
        detail = f"no answer from {urlsplit(url).netloc} through the proxy {proxy}"
        remedy = "check the proxy, which the environment names, or except the host by no_proxy"
        checklist.add("endpoint", FAILED, detail, remedy)
        return
    _judge_reach(client, plan, checklist)
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        detail = f"boto3 does not trust the certificate of {urlsplit(url).hostname}, though this machine does"
        remedy = "name the machine's authorities in aws_ca_bundle, such as /etc/ssl/certs/ca-certificates.crt"
        checklist.add("endpoint", FAILED, detail, remedy)
    remedy = "check endpoint_url: scheme, host and port of the S3 API, not of a web console or a public domain"
    checklist.failed("endpoint", error, remedy)


def _judge_reach(client: S3Client, plan: Plan, checklist: Checklist) -> None:
    """Note what keeps the endpoint from answering, if that shows."""
    try:
        trouble = trouble_with(_asked(client, plan), "endpoint_url", plan.bucket, plan.validate_certs, plan.ca_path)
    except MediaError as exc:
        checklist.failed("endpoint", exc, "mend aws_ca_bundle")
        return
    if trouble is not None:
        perhaps = _region_perhaps(client, plan) if trouble.part == "name" else ""
        checklist.add("endpoint", FAILED, trouble.detail, perhaps or trouble.remedy)


def _asked(client: S3Client, plan: Plan) -> str:
    """The endpoint as requests for the bucket go to it."""
    url = urlsplit(client.meta.endpoint_url)
    style: Any = (client.meta.config.s3 or {}).get("addressing_style")  # type: ignore[attr-defined]
    return url._replace(netloc=f"{plan.bucket}.{url.netloc}").geturl() if style == "virtual" else url.geturl()


def _region_perhaps(client: S3Client, plan: Plan) -> str:
    """What to say where an endpoint that is made of the region is not there."""
    provider = plan.provider
    region = region_in(provider, client.meta.endpoint_url)
    if not region or region in provider.regions:
        return ""
    near = difflib.get_close_matches(region, provider.regions, n=1)
    return (
        f"is the region {region!r} right? {f'Did you mean {near[0]}? ' if near else ''}{provider.title} has for instance"
        f" {', '.join(provider.regions)}"
    )


# -- clock, region -----------------------------------------------------------------------------------------------------


def _judge_clock(listing: _Listing, checklist: Checklist) -> None:
    remedy = "set the clock of this machine (chrony, systemd-timesyncd)"
    off = None
    with contextlib.suppress(ValueError, TypeError, IndexError):
        off = round(time.time() - parsedate_to_datetime(listing.headers.get("date", "")).timestamp())
    if listing.error is not None and listing.error.code in _CLOCK_CODES:
        by = f", off by {off} s" if off else ""
        checklist.add("clock", FAILED, f"the service refuses this machine's time{by}", remedy)
    elif off is None:
        if not isinstance(listing.error, Unreachable):
            checklist.add("clock", UNKNOWN, "the service did not tell its time")
    elif abs(off) > CLOCK_LIMIT:
        checklist.add("clock", FAILED, f"this machine's clock differs from the service's by {off} s", remedy)
    else:
        checklist.add("clock", OK, f"differs by {off} s")


def _note_other_region(given: str, named: str, checklist: Checklist) -> None:
    checklist.add("region", FAILED, f"the bucket is in {named}, not in {given}", f"set region to {named}")


def _judge_region(client: S3Client, plan: Plan, listing: _Listing, checklist: Checklist) -> None:
    """Whether the region is the bucket's, as far as the service tells. Left open where it does not."""
    region = client.meta.region_name
    told = listing.region
    if not told and listing.error is None:
        with contextlib.suppress(*BOTO_ERRORS):
            answer: Any = client.head_bucket(Bucket=plan.bucket)
            told = _Listing(answer).region
    at_endpoint = region_in(plan.provider, client.meta.endpoint_url)
    if told and told != region and plan.provider.name == "aws":
        # boto3 follows where AWS sends it; not every application does
        _note_other_region(region, told, checklist)
    elif told:
        checklist.add("region", OK, told if told == region else f"{told}, and {region} is accepted")
    elif at_endpoint:
        checklist.add("region", OK, f"{at_endpoint}, by the name of the endpoint")
    elif listing.error is None or isinstance(listing.error, NotAllowed):
        checklist.add(
            "region", UNKNOWN, f"the service does not tell; requests that are signed for {region} are accepted"
        )


# -- bucket ------------------------------------------------------------------------------------------------------------


def _judge_refusal(error: S3Error, plan: Plan, checklist: Checklist) -> Optional[str]:
    """Sort the failed listing. None: the bucket may still take uploads."""
    if isinstance(error, WrongCredentials):
        remedy = str(error).partition("; ")[2] or "check access_key, secret_key and region"
        checklist.add("credentials", FAILED, f"the service refuses the keys ({error.code})", remedy)
        return "not tried: the service does not accept the keys"
    if error.code in _CLOCK_CODES:
        return "not tried: the service refuses this machine's time"
    if error.code in _REGION_CODES:
        return "not tried: the region is not right"
    if isinstance(error, NotThere):
        checklist.add("credentials", OK)
        _judge_missing(plan, checklist)
        return f"the bucket {plan.bucket} does not exist yet"
    checklist.failed("list", error, f"allow the key s3:ListBucket on {plan.bucket}")
    if not isinstance(error, NotAllowed):
        return "not tried: the bucket does not answer"
    checklist.add("create_bucket", UNKNOWN, "not tried: the service knows the bucket")
    return None


def _judge_missing(plan: Plan, checklist: Checklist) -> None:
    missing = f"the bucket {plan.bucket} does not exist yet"
    try:
        check_name(plan.bucket)
    except MediaError as exc:
        checklist.failed("create_bucket" if checklist.wants("create_bucket") else "bucket", exc, "mend its name")
    if not checklist.wants("create_bucket"):
        remedy = "create it, for instance with selfhosted.media.s3_bucket, or mend its name"
        checklist.add("bucket", FAILED, missing, remedy)
        return
    checklist.add("bucket", UNKNOWN, missing)
    checklist.add("create_bucket", UNKNOWN, "whether the key may create it shows only when it does")


def judge_foreign(plan: Plan, checklist: Checklist, written: Optional[bool], code: str = "") -> None:
    """A bucket that cannot be listed: an upload shows whether it is ours. None: none was tried."""
    if not checklist.is_open("bucket"):
        return
    checklist.add("credentials", OK, "accepted by the service")
    theirs = f"{plan.bucket} belongs to somebody else, or this key may"
    if written:
        checklist.add("bucket", OK)
    elif written is None:
        checklist.add("bucket", UNKNOWN, f"{theirs} not list it; an upload would tell")
    else:
        remedy = "check the bucket's name and the key's permissions"
        checklist.add("bucket", FAILED, f"{theirs} neither list nor write it ({code})", remedy)
