# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the module's options, and the registered results in them, to what the report holds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Optional

from ansible_collections.selfhosted.media.plugins.module_utils._public import url_of
from ansible_collections.selfhosted.media.plugins.plugin_utils._report.commands import command_line
from ansible_collections.selfhosted.media.plugins.plugin_utils._report.content import (
    FAILED,
    OK,
    SKIPPED,
    UNKNOWN,
    Check,
    Command,
    Count,
    Link,
    Problem,
    Report,
    Share,
    Step,
    Transfer,
    Verification,
)
from ansible_collections.selfhosted.media.plugins.plugin_utils._report.masking import Masking, settings_shown
from ansible_collections.selfhosted.media.plugins.plugin_utils._report.units import number

#: What was done, for the headline, and what was not.
VERDICTS = {
    "migrate": ("The media of {0} are on S3", "The media of {0} were not moved"),
    "new": ("{0} has its media on S3 from the beginning", "{0} was not set up"),
    "sync": ("The bucket of {0} has caught up", "The bucket of {0} has not caught up"),
    "verify": ("The media of {0} are in the bucket, whole", "The media of {0} are not all in the bucket"),
    "rollback": ("The media of {0} are on its disk again", "The media of {0} did not come back"),
}
#: Of media_verify and of gramps_media; what is not there is not told.
COUNTED = (
    "verified",
    "missing",
    "different",
    "unverifiable",
    "mismatched",
    "newer",
    "in_bucket",
    "extra",
    "not_public",
)


def report_of(options: dict[str, Any], made: str, task_vars: Optional[dict[str, Any]] = None) -> Report:
    """The report on a run. No text in it holds one of the options' secrets."""
    options = {**options, **_of_this_run(options)}
    steps = list(_steps(options["steps"]))
    report = Report(
        application=options["application"],
        instance=options["instance"],
        action=options["action"],
        ok=options["ok"],
        headline=options["headline"] or _verdict(options),
        made=made,
        seconds=max((step.begin + (step.seconds or 0) for step in steps if step.begin is not None), default=None),
        notes=[note for note in options["notes"] if note],
        problems=[Problem(one["what"], one["remedy"]) for one in options["problems"] if one["what"]],
        steps=steps,
        counts=[Count(one["name"], one["before"], one["after"]) for one in options["counts"]],
        transfer=_transfer(options["transfer"]),
        verification=_verification(options["verification"]),
        sample=list(_sample(options)),
        checks=_checks(options["checks"]),
        probes=list(_probes(options["probes"])),
        settings=settings_shown(options["settings"]),
        secret_settings=options["secret_settings"],
        commands=[
            Command(one["what"], one["command"] or command_line(one["playbook"], one["extra_vars"], task_vars or {}))
            for one in options["commands"]
        ],
    )
    return Masking(options["secrets"]).everything(report)


def _of_this_run(options: dict[str, Any]) -> dict[str, Any]:
    """What holds registered results, without those that began before the first step: they are of an earlier run."""
    first = next((one["result"].get("began", 0.0) for one in options["steps"] if one["result"]), 0.0)

    def current(result: dict[str, Any]) -> dict[str, Any]:
        return result if result.get("began", first) >= first else {}

    return {
        **{name: [{**one, "result": current(one["result"])} for one in options[name]] for name in ("steps", "probes")},
        **{name: current(options[name]) for name in ("transfer", "verification")},
    }


def _verdict(options: dict[str, Any]) -> str:
    found = options["verification"]
    absent = sum(int(found.get(kind, 0)) for kind in ("missing", "different", "mismatched"))
    if options["action"] == "verify" and options["ok"] and absent:
        # Allowed after a change-over, as users delete media; but not to be passed over.
        whole = number(int(found["verified"]) + absent)
        return f"{number(int(found['verified']))} of {whole} files of {options['instance']} are in the bucket"
    return VERDICTS[options["action"]][0 if options["ok"] else 1].format(options["instance"])


def _steps(given: list[dict[str, Any]]) -> Iterator[Step]:
    """What was skipped without a trace, because the run ended before, is left out."""
    results = [(one, one["result"] or {}) for one in given]
    first = min((result["began"] for _one, result in results if "began" in result), default=0.0)
    for one, result in results:
        if not result and one["state"] is None:
            continue
        seconds = result.get("duration") if one["seconds"] is None else one["seconds"]
        yield Step(
            name=one["name"],
            state=one["state"] or _state(result),
            seconds=None if seconds is None else round(float(seconds), 3),
            begin=round(float(result["began"]) - first, 3) if "began" in result else None,
            detail=one["detail"],
        )


def _state(result: dict[str, Any]) -> str:
    if result.get("failed"):
        return FAILED
    return SKIPPED if result.get("skipped") else OK


def _transfer(result: dict[str, Any]) -> Optional[Transfer]:
    """Of a registered result of media_sync or gramps_media."""
    if "bytes" not in result:
        return None
    return Transfer(
        files=int(result.get("uploaded", 0)) + int(result.get("downloaded", 0)),
        unchanged=int(result.get("unchanged", 0)),
        bytes=int(result["bytes"]),
        seconds=float(result.get("duration", 0)),
        throughput=[(float(point[0]), int(point[1]), int(point[2])) for point in result.get("throughput") or []],
        types=_shares(result.get("types")),
        folders=_shares(result.get("folders")),
    )


def _shares(given: Optional[dict[str, dict[str, int]]]) -> list[Share]:
    """The largest first, and what the others are at the end."""
    shares = [Share(name, int(one.get("files", 0)), int(one.get("bytes", 0))) for name, one in (given or {}).items()]
    return sorted(shares, key=lambda one: (one.name == "other", -one.bytes, one.name))


def _verification(result: dict[str, Any]) -> Optional[Verification]:
    """Of a registered result of media_verify or gramps_media."""
    if "verified" not in result:
        return None
    counts = {name: int(result[name]) for name in COUNTED if name in result}
    return Verification(counts, len(result.get("sample") or []), result.get("seed"))


def _sample(options: dict[str, Any]) -> Iterator[Link]:
    for one in options["images"]:
        yield Link(one["url"], one["name"] or one["url"].rpartition("/")[2])
    if options["public_url"]:
        for drawn in options["verification"].get("sample") or []:
            key = str(drawn["key"]).encode("utf-8", "backslashreplace").decode()
            yield Link(url_of(options["public_url"], key), key)


def _checks(given: list[dict[str, Any]]) -> list[Check]:
    """Each once: what a later look has found out counts."""
    found: dict[str, Check] = {}
    for one in given:
        # `unknown` of a later, shallower look does not hide what was seen.
        if one["name"] not in found or one["state"] != UNKNOWN:
            found[one["name"]] = Check(one["name"], one["state"], one["detail"], one["remedy"])
    return list(found.values())


def _probes(given: list[dict[str, Any]]) -> Iterator[Check]:
    """Of registered results of media_probe; what it did not look at is left out."""
    for one in given:
        result = one["result"]
        if result and not result.get("skipped"):
            is_well = result.get("problem", "none") == "none" and not result.get("failed")
            yield Check(one["name"], OK if is_well else FAILED, str(result.get("msg", "")))
