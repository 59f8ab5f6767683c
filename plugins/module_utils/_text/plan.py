# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan of a migration: what a run would do, told before it does anything."""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.selfhosted.media.plugins.module_utils._s3.provider import Provider
from ansible_collections.selfhosted.media.plugins.module_utils._text.measures import duration, files, size

#: Requests at a time on which the estimate rests: what services take without asking for a pause. The engine finds out how many are of use.
AT_A_TIME = 32
#: A line that many servers have, in bytes per second, for the second half of the estimate.
_LINE, _LINE_NAME = 12_500_000, "100 Mbit/s"
_BY_WHICH = (
    ("policy", "by a bucket policy"),
    ("acl", "by the ACL of each object"),
    ("bucket_acl", "by the bucket's ACL, which opens all of it"),
    ("website", "as the service publishes a website"),
    ("none", "by the service's own means or a CDN; nothing is changed about that"),
)
_INDENT = "    "


def short_plan(media: Mapping[str, Any], changed_keys: Sequence[str]) -> list[str]:
    """What a run says before it begins."""
    lines = [copying(media)] if "uploaded" in media else []
    return [*lines, f"settings to change: {', '.join(changed_keys) or 'none'}"]


def copying(media: Mapping[str, Any]) -> str:
    """How much there is to copy."""
    return f"{files(media['uploaded'])} ({size(media['bytes'])}) to copy, {media['unchanged']:,} there already"


def full_plan(
    media: Mapping[str, Any],
    settings: Mapping[str, Any],
    publication: Mapping[str, Any],
    commands: Mapping[str, Sequence[str]],
    provider: Provider,
) -> list[str]:
    """All that a run would do, for who runs it in check mode."""
    lines: list[str] = []
    if "uploaded" in media:
        lines += [copying(media), *breakdown(media), *estimate(media)]
    lines += bucket(publication)
    lines += settings_lines(settings)
    lines += [f"{_INDENT}to {doing}: {_line(words)}" for doing, words in commands.items() if words]
    if any(commands.values()):
        lines.insert(len(lines) - sum(map(bool, commands.values())), "commands, in this order:")
    return [*lines, *cost(provider)]


def breakdown(media: Mapping[str, Any]) -> Iterator[str]:
    """What there is to copy, by folder and by type."""
    for name, words in (("folders", "by folder"), ("types", "by type")):
        sums = media.get(name) or {}
        if sums:
            told = [f"{one} {files(sum_['files'])}, {size(sum_['bytes'])}" for one, sum_ in sums.items()]
            yield f"{_INDENT}{words}: {'; '.join(told)}"


def estimate(media: Mapping[str, Any]) -> Iterator[str]:
    """How many requests the copy takes, and how long, with what that rests on."""
    requests, each, count = media.get("requests", 0), media.get("request_seconds"), media["bytes"]
    if not media["uploaded"]:
        return
    if not each:
        yield f"{_INDENT}about {requests:,} requests"
        return
    seconds = requests * each / AT_A_TIME
    line = (
        f"{_INDENT}about {requests:,} requests: {duration(seconds)} at {each * 1000:.0f} ms a request, as listing took, and"
        f" {AT_A_TIME} at a time"
    )
    by_line = count / _LINE
    if by_line > max(seconds, 5):
        line += f", if the line carries it; over {_LINE_NAME} the bytes alone take {duration(by_line)}"
    yield line


def bucket(publication: Mapping[str, Any]) -> Iterator[str]:
    """What would become of the bucket."""
    if not publication:
        return
    state = "would be made" if publication.get("is_new") else "is there" if publication.get("is_new") is False else ""
    prefixes, method = publication.get("prefixes") or [], publication.get("method") or ""
    yield f"bucket {publication['name']}" + (f" {state}" if state else "")
    if prefixes and method:
        yield f"{_INDENT}everybody may read {' and '.join(prefixes)}, {dict(_BY_WHICH).get(method, method)}; nobody may list it"
    elif not prefixes:
        yield f"{_INDENT}{publication.get('private') or 'private: nobody may read it without a key'}"
    for rule in publication.get("cors") or []:
        yield f"{_INDENT}CORS: {', '.join(_named(rule, 'allowed_methods'))} from {', '.join(_named(rule, 'allowed_origins'))}"


def _named(rule: Mapping[str, Any], name: str) -> list[str]:
    """A value of a CORS rule, in either of the two ways of writing its name."""
    camel = "".join(word.capitalize() for word in name.split("_"))
    found = rule.get(name) or rule.get(camel) or []
    return [found] if isinstance(found, str) else list(map(str, found))


def settings_lines(settings: Mapping[str, Any]) -> Iterator[str]:
    """The change of the settings, secrets masked as the diff has them."""
    keys = settings.get("changed_keys") or []
    if not keys:
        yield "settings to change: none"
        return
    diff = settings.get("diff") or {}
    content: Mapping[str, Any] = diff[0] if isinstance(diff, list) else diff
    changes = list(_changes(content.get("before", ""), content.get("after", "")))
    if not changes:
        yield f"settings to change: {', '.join(keys)}"
        return
    yield f"settings to change in {content.get('after_header') or settings.get('path')}:"
    yield from (f"{_INDENT}{change}" for change in changes)


def _changes(before: str, after: str) -> Iterator[str]:
    """The lines that go and come."""
    for line in list(difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=0))[2:]:
        if not line.startswith("@@"):
            yield line


def cost(provider: Provider) -> Iterator[str]:
    """What it costs by the month, roughly."""
    told = [provider.price] if provider.price else []
    told += [f"billed besides: {provider.cost}"] if provider.cost else []
    if told:
        yield f"cost at {provider.title}: {'; '.join(told)}; its own price page is what counts"


def _line(words: Sequence[str]) -> str:
    """A command as it is typed: a single word is a line for the shell already."""
    return words[0] if len(words) == 1 else shlex.join(words)
