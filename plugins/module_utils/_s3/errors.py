# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One place that turns what botocore raises into sentences, and tells "not there" and "not allowed" apart.

A 403 is never "not there": S3 services answer it for somebody else's bucket, for a missing permission and for a wrong key alike.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError

#: Codes of "this is not set", by the sub-resource that was asked for (botocore's models, s3-behaviour measured on AWS, Ceph, MinIO).
NOT_THERE = frozenset(
    {
        "404",
        "NoSuchBucket",
        "NoSuchKey",
        "NotFound",
        "NoSuchBucketPolicy",
        "NoSuchCORSConfiguration",
        "NoSuchPublicAccessBlockConfiguration",
        "NoSuchTagSet",
        "NoSuchUpload",
        "NoSuchWebsiteConfiguration",
        "OwnershipControlsNotFoundError",
    }
)
NOT_ALLOWED = frozenset({"403", "AccessDenied", "AllAccessDisabled", "AccountProblem", "Forbidden"})
WRONG_CREDENTIALS = frozenset(
    {
        "InvalidAccessKeyId",
        "SignatureDoesNotMatch",
        "ExpiredToken",
        "InvalidToken",
        "TokenRefreshRequired",
        "NotSignedUp",
        "UserSuspended",
    }
)
NOT_SUPPORTED = frozenset(
    {
        "NotImplemented",
        "501",
        "MethodNotAllowed",
        "405",
        "AccessControlListNotSupported",
        "XNotImplemented",
        "UnsupportedOperation",
    }
)
#: Worth another try after a pause; botocore's own retries cover most of them within one call.
THROTTLED = frozenset(
    {
        "SlowDown",
        "SlowDownRead",
        "SlowDownWrite",
        "TooManyRequests",
        "429",
        "503",
        "ServiceUnavailable",
        "RequestLimitExceeded",
    }
)

_REMEDIES = {
    "NoSuchBucket": "there is no such bucket; create it first, for instance with selfhosted.media.s3_bucket",
    "InvalidAccessKeyId": "the service does not know this access key; check access_key and that it belongs to this service",
    "SignatureDoesNotMatch": "the secret key does not fit the access key, or the region is not the one the service signs for",
    "UserSuspended": "the service has locked the account that the keys belong to; ask whoever runs it",
    "ExpiredToken": "the temporary credentials have expired; get new ones",
    "RequestTimeTooSkewed": "the clock of this machine differs from the service's by too much; set the clock (chrony, systemd-timesyncd)",
    "AuthorizationHeaderMalformed": "the region is not the one the service signs for",
    "PermanentRedirect": "the bucket is in another region; set region to the bucket's",
    "IllegalLocationConstraintException": "the region does not fit the endpoint",
    "InvalidLocationConstraint": "the service does not know this region",
}


class S3Error(MediaError):
    """A request to the S3 service failed."""

    def __init__(self, message: str, code: str = "", status: int = 0) -> None:
        super().__init__(message)
        #: the service's error code, such as `AccessDenied`; empty when no answer came
        self.code = code
        #: the HTTP status; 0 when no answer came
        self.status = status


class NotThere(S3Error):
    """The bucket, the object or the setting does not exist."""


class NotAllowed(S3Error):
    """The service refuses, with this key, what was asked for."""


class WrongCredentials(S3Error):
    """The service does not accept the credentials at all."""


class NotSupported(S3Error):
    """The service does not know this part of the S3 API."""


class Throttled(S3Error):
    """The service asks to slow down."""


class Unreachable(S3Error):
    """No S3 service answered at the endpoint; with a status, something else did."""


class Gone(Unreachable):
    """Nothing answers at the endpoint any more, whatever is asked."""


def ends_everything(exc: BaseException) -> bool:
    """Whether no other request can succeed either: nobody answers, there is no bucket, the keys or the time are refused."""
    if isinstance(exc, (WrongCredentials, Gone)):
        return True
    return isinstance(exc, S3Error) and exc.code in ("NoSuchBucket", "RequestTimeTooSkewed")


def error_code(exc: BaseException) -> str:
    """The service's error code in a botocore ClientError, else an empty string."""
    response: dict[str, Any] = getattr(exc, "response", None) or {}
    return str(response.get("Error", {}).get("Code", ""))


def error_status(exc: BaseException) -> int:
    """The HTTP status of a botocore ClientError, else 0."""
    response: dict[str, Any] = getattr(exc, "response", None) or {}
    return int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def explain(exc: BaseException, doing: str) -> S3Error:
    """Turn an exception of botocore or boto3 into an S3Error whose message begins with what was being done.

    doing is a phrase such as `reading the CORS rules of bucket covers`.
    """
    if isinstance(exc, S3Error):
        return exc
    code, status = error_code(exc), error_status(exc)
    if not code and status:
        return Unreachable(
            f"{doing} failed: status {status}, and what answers is not an S3 service; check endpoint_url", "", status
        )
    if not code:
        return _without_answer(exc, doing)
    said = str(exc.response["Error"].get("Message") or "").strip()  # type: ignore[attr-defined]
    return refusal(doing, code, status, said)


def refusal(doing: str, code: str, status: int, said: str = "") -> S3Error:
    """The S3Error for what a service answered: its code (or the status as text), the HTTP status and its own words."""
    message = f"{doing} failed: {code}" + (f" ({said})" if said and said != code else "")
    remedy = _REMEDIES.get(code)
    if remedy:
        message += f"; {remedy}"
    return _class_of(code, status)(message, code, status)


def no_answer(doing: str, reason: object) -> Unreachable:
    """The S3Error for a request that got no answer."""
    return Unreachable(
        f"{doing} failed: no answer from the endpoint ({reason}); check endpoint_url, the network and the proxy settings"
    )


def no_tls(doing: str, reason: object) -> Unreachable:
    """The S3Error for a connection on which TLS could not be spoken."""
    return Unreachable(
        f"{doing} failed: no TLS connection to the endpoint ({reason}); check the scheme and port of endpoint_url, and where "
        "the service has a certificate authority of its own, name its file in aws_ca_bundle"
    )


def not_s3(doing: str, found: str, status: int = 0) -> Unreachable:
    """The S3Error for an answer that no S3 service would give."""
    trouble = ", or a proxy before it has trouble" if status >= 500 else ""
    return Unreachable(
        f"{doing} failed: what answers at the endpoint is not an S3 service ({found}){trouble}; check endpoint_url",
        "",
        status,
    )


@contextmanager
def explained(doing: str) -> Iterator[None]:
    """Turn what botocore raises inside the block into an S3Error that begins with what was being done."""
    try:
        yield
    except MediaError:
        raise
    except Exception as exc:
        raise explain(exc, doing) from exc


def _class_of(code: str, status: int) -> type[S3Error]:
    for codes, cls in (
        (WRONG_CREDENTIALS, WrongCredentials),
        (NOT_THERE, NotThere),
        (NOT_SUPPORTED, NotSupported),
        (NOT_ALLOWED, NotAllowed),
        (THROTTLED, Throttled),
    ):
        if code in codes:
            return cls
    by_status = {403: NotAllowed, 404: NotThere, 405: NotSupported, 501: NotSupported, 429: Throttled, 503: Throttled}
    return by_status.get(status, S3Error)


def _without_answer(exc: BaseException, doing: str) -> S3Error:
    name = type(exc).__name__
    if name == "SSLError":  # an OSError too
        return no_tls(doing, exc)
    if isinstance(exc, OSError):
        return Unreachable(f"{doing} failed: the connection broke ({exc}); check the network")
    if name in ("NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError", "ProfileNotFound"):
        return WrongCredentials(f"{doing} failed: no credentials; set access_key and secret_key, or profile ({exc})")
    if name in ("ResponseParserError",):
        return Unreachable(f"{doing} failed: what answers at the endpoint is not an S3 service; check endpoint_url")
    if name in (
        "EndpointConnectionError",
        "ConnectTimeoutError",
        "ReadTimeoutError",
        "ConnectionClosedError",
        "ProxyConnectionError",
        "HTTPClientError",
        "IncompleteReadError",
        "ResponseStreamingError",
    ):
        return no_answer(doing, exc)
    return S3Error(f"{doing} failed: {name}: {exc}")
