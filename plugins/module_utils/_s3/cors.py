# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""CORS rules: written by people or read from a server, compared by what they mean, put and read back."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Optional
from urllib.parse import urlsplit

from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._s3.aspects import TAKEN
from ansible_collections.selfhosted.media.plugins.module_utils._s3.errors import NotSupported, NotThere, S3Error
from ansible_collections.selfhosted.media.plugins.module_utils._s3.retry import ask, wait_until

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client

Rule = dict[str, Any]

METHODS = ("GET", "PUT", "POST", "DELETE", "HEAD")
#: What stands for `*` in AllowedHeaders where a service wants each header named.
USUAL_HEADERS = (
    *("authorization", "cache-control", "content-disposition", "content-encoding", "content-length", "content-md5"),
    *(
        "content-type",
        "if-match",
        "if-modified-since",
        "if-none-match",
        "if-unmodified-since",
        "range",
        "x-requested-with",
    ),
)
_LISTS = {
    "allowed_origins": "AllowedOrigins",
    "allowed_methods": "AllowedMethods",
    "allowed_headers": "AllowedHeaders",
    "expose_headers": "ExposeHeaders",
}
_NAMES = {"id": "ID", **_LISTS, "max_age_seconds": "MaxAgeSeconds"}
_SNAKE = {camel: snake for snake, camel in _NAMES.items()}


def parse(document: Any) -> list[Rule]:
    """Rules in snake_case from a list of rules, or from a whole cors.json `{"CORSRules": [...]}`. Raises for what S3 refuses."""
    if isinstance(document, dict):
        wrapper = [key for key in ("CORSRules", "cors_rules") if key in document]
        if not wrapper or len(document) > 1:
            raise MediaError('CORS rules: expected a list of rules, or a document {"CORSRules": [...]}')
        document = document[wrapper[0]]
    if not isinstance(document, list) or not document:
        raise MediaError("CORS rules: expected a list of at least one rule; state: absent removes the rules")
    if len(document) > 100:
        raise MediaError(f"CORS rules: {len(document)} rules; S3 takes at most 100")
    return [_parse_rule(rule, f"CORS rule {number}") for number, rule in enumerate(document, 1)]


def _parse_rule(given: Any, where: str) -> Rule:
    if not isinstance(given, dict):
        raise MediaError(f"{where}: expected names and values, got {given!r}")
    rule: Rule = {}
    for key, value in given.items():
        name = _SNAKE.get(key, key)
        if name not in _NAMES:
            raise MediaError(
                f"{where}: {key!r} is not known; S3 knows {', '.join(_SNAKE)}, also written {', '.join(_NAMES)}"
            )
        if name in rule:
            raise MediaError(f"{where}: {name} stands there twice, in both spellings")
        if value is not None:
            rule[name] = _strings(value, f"{where}: {key}") if name in _LISTS else value
    for name in ("allowed_origins", "allowed_methods"):
        if not rule.get(name):
            raise MediaError(f"{where}: {name} ({_NAMES[name]}) is missing")
    rule["allowed_methods"] = [_method(value, where) for value in rule["allowed_methods"]]
    for origin in rule["allowed_origins"]:
        _check_origin(origin, where)
    if "max_age_seconds" in rule:
        rule["max_age_seconds"] = _seconds(rule["max_age_seconds"], where)
    return rule


def _strings(value: Any, where: str) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return list(value)
    raise MediaError(f"{where}: expected a list of strings, got {value!r}")


def _method(value: str, where: str) -> str:
    if value.upper() not in METHODS:
        raise MediaError(f"{where}: method {value!r} is not one of {', '.join(METHODS)} (S3 answers OPTIONS by itself)")
    return value.upper()


def _seconds(value: Any, where: str) -> int:
    if isinstance(value, bool) or not re.fullmatch(r"\d{1,9}", str(value)):
        raise MediaError(f"{where}: max_age_seconds is to be a number of seconds, got {value!r}")
    return int(value)


def _check_origin(origin: str, where: str) -> None:
    if origin.count("*") > 1:
        raise MediaError(f"{where}: origin {origin!r} has more than one *; S3 takes one")
    if origin == "*":
        return
    parts = urlsplit(origin.replace("*", "x"))
    if not parts.scheme or not parts.netloc:
        raise MediaError(f"{where}: origin {origin!r} has no scheme; browsers send it, such as https://example.org")
    if parts.path or parts.query or parts.fragment:
        raise MediaError(
            f"{where}: origin {origin!r} has more than scheme, host and port; browsers send https://example.org, no slash"
        )
    if origin != origin.lower():
        raise MediaError(
            f"{where}: origin {origin!r} has capitals; browsers send {origin.lower()}, and S3 compares exactly"
        )


def with_exact_headers(rules: list[Rule]) -> list[Rule]:
    """The rules for a service that takes no `*` for headers: with those that browsers and applications send to a bucket."""
    return [
        {**rule, "allowed_headers": [one for one in rule["allowed_headers"] if one != "*"] + list(USUAL_HEADERS)}
        if "*" in rule.get("allowed_headers", ())
        else rule
        for rule in rules
    ]


def to_api(rules: list[Rule]) -> list[dict[str, Any]]:
    """The rules as boto3 wants them."""
    return [{_NAMES[name]: value for name, value in rule.items()} for rule in rules]


def from_api(rules: list[Any]) -> list[Rule]:
    """The rules as boto3 gives them."""
    return [{_SNAKE[name]: value for name, value in rule.items() if name in _SNAKE} for rule in rules]


def same(wanted: list[Rule], actual: list[Rule]) -> bool:
    """Whether both mean the same. Servers reorder methods and origins and re-case headers; the order of the rules counts.

    A rule's ID is compared only if one is wanted: some services give every rule one.
    """
    return len(wanted) == len(actual) and all(
        _meaning(one) == _meaning(other) and one.get("id") in (None, other.get("id"))
        for one, other in zip(wanted, actual)
    )


def _meaning(rule: Rule) -> tuple[Any, ...]:
    return (
        frozenset(rule.get("allowed_origins", ())),
        frozenset(method.upper() for method in rule.get("allowed_methods", ())),
        frozenset(header.lower() for header in rule.get("allowed_headers", ())),
        frozenset(header.lower() for header in rule.get("expose_headers", ())),
        rule.get("max_age_seconds") or 0,
    )


def read(client: S3Client, bucket: str) -> Optional[list[Rule]]:
    """The bucket's rules, an empty list if there are none. None: the answer does not look like that of a service with CORS rules."""
    try:
        answer = ask(lambda: client.get_bucket_cors(Bucket=bucket), f"reading the CORS rules of bucket {bucket}")
    except NotSupported:
        return None
    except NotThere as exc:
        if exc.code == "NoSuchBucket":
            raise
        return []
    # A server that ignores ?cors answers with a listing, in which boto3 finds no rules.
    return from_api(answer["CORSRules"]) if "CORSRules" in answer else None


def write(client: S3Client, bucket: str, rules: list[Rule], settles_within: float = 30) -> None:
    """Set the rules, and read them back until the service shows them. Raises NotSupported where it has none."""
    doing = f"setting the CORS rules of bucket {bucket}"
    configuration: Any = {"CORSRules": to_api(rules)}
    try:
        ask(lambda: client.put_bucket_cors(Bucket=bucket, CORSConfiguration=configuration), doing)
    except S3Error as exc:
        if exc.code in TAKEN:
            raise NotSupported(f"{doing} failed: the service has no CORS rules", exc.code, exc.status) from exc
        raise
    wait_until(lambda: same(rules, read(client, bucket) or []), doing, settles_within)


def remove(client: S3Client, bucket: str) -> None:
    """Delete rules that `read` has just found. Never called otherwise: see the module aspects."""
    doing = f"deleting the CORS rules of bucket {bucket}"
    ask(lambda: client.delete_bucket_cors(Bucket=bucket), doing)
    wait_until(lambda: not read(client, bucket), doing, 30)
