# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What came of a run over many instances: one line for all, and one for each that needs somebody."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._text.measures import files, size

#: Of each action: how an instance is called for which it was done, one for which it was done before, and what became of files.
ACTIONS = {
    "migrate": ("moved", "there already", "copied"),
    "new": ("set up", "there already", "copied"),
    "sync": ("caught up", "with nothing to upload", "uploaded"),
    "verify": ("verified", "verified", "verified"),
    "rollback": ("taken back", "on its disk already", "brought back"),
    "cleanup": ("cleaned up", "with nothing to remove", "removed"),
}
DONE, BEFORE, FAILED, LOST, NOT_REACHED = STATES = ("done", "before", "failed", "lost", "not reached")
#: What the roles register: the results that show whether an action was done, and those that count what it did.
_DECISIVE = {
    **{"migrate": ("switch",), "new": ("switch", "started")},
    **{"sync": ("sync",), "rollback": ("back",), "cleanup": ("cleanup",)},
}
_COUNTED = {
    **dict.fromkeys(("migrate", "new"), (("copy", "uploaded"), ("switch", "uploaded"))),
    **{"sync": (("sync", "uploaded"),), "rollback": (("back", "downloaded"),), "cleanup": (("cleanup", "removed"),)},
    "verify": (("verified", "verified"), ("count", "verified")),
}
_PREFIXES = ("__bookwyrm_", "__gramps_web_")
_AGAIN = "Run the same command again when that is mended: what is done is found out and stays."


@dataclass(frozen=True)
class Instance:
    """What came of one of them."""

    name: str
    state: str
    sentence: str = ""
    report: str = ""
    files: int = 0
    bytes: int = 0
    stop_seconds: float = 0.0


def batches(given: Any) -> list[str]:
    """How many hosts are worked on at a time, for the keyword serial: numbers or percentages, as a list or as a text with commas."""
    sizes = given if isinstance(given, (list, tuple)) else str(given).split(",")
    found = [str(size).strip() for size in sizes]
    wrong = [size for size in found if not re.fullmatch(r"0*[1-9][0-9]*%?", size)]
    if wrong or not found:
        raise MediaError(
            f"target_serial is {given}, and has to be how many hosts are worked on at a time: a number from 1, such as 5, a percentage, "
            "such as 20%, or several of them, such as 1,5,50%. Nothing was changed."
        )
    return found


def instance_of(name: str, variables: Mapping[str, Any], is_here: bool, action: str) -> Instance:
    """What the variables of a host tell that has run one of the roles; is_here says that Ansible has not dropped it."""
    results = _results(variables)
    info = results.get("info", {})
    lost = next((key for key, result in results.items() if _is_lost(result)), "")
    sentence = _sentence(variables) or (str(results[lost].get("msg", "")) if lost else "")
    if lost == "info" or not (info or is_here):
        state, sentence = NOT_REACHED, sentence or "it was not looked at"
    elif lost:
        state = LOST
    elif sentence or not is_here:
        state, sentence = FAILED, sentence or "it dropped out; Ansible has told above with what"
    else:
        state = DONE if any(_is_changed(results.get(key, {})) for key in _DECISIVE.get(action, ())) else BEFORE
    counted = [(results[key], what) for key, what in _COUNTED[action] if key in results]
    return Instance(
        name,
        state,
        " ".join(sentence.split()),
        str(results.get("report", {}).get("html") or ""),
        sum(int(result.get(what) or 0) for result, what in counted),
        sum(int(result.get("bytes") or 0) for result, _what in counted),
        sum(float(results.get(key, {}).get("stop_seconds") or 0) for key in ("switch", "back")),
    )


def summary(instances: Sequence[Instance], action: str, check: bool = False) -> list[str]:
    """All of them as lines of text."""
    done, before, what = ACTIONS[action]
    words = {DONE: f"would be {done}" if check and action != "verify" else done, BEFORE: before}
    numbers = {words.get(state, state): 0 for state in STATES}
    for one in instances:
        numbers[words.get(one.state, one.state)] += 1
    told = [f"{number} {word}" for word, number in numbers.items() if number]
    return [
        f"{len(instances)} instances: {', '.join(told)}",
        *_totals(instances, f"would be {what}" if check and action != "verify" else what),
        *_to_mend(instances),
    ]


def _totals(instances: Sequence[Instance], what: str) -> Iterator[str]:
    count, volume = sum(one.files for one in instances), sum(one.bytes for one in instances)
    yield f"{files(count)}{f' ({size(volume)})' if volume else ''} {what}"
    stopped = [one for one in instances if one.stop_seconds]
    if stopped:
        longest = max(stopped, key=lambda one: one.stop_seconds)
        seconds = sum(one.stop_seconds for one in stopped)
        yield f"the sites stood still for {seconds:.1f} s in all, {longest.name} the longest with {longest.stop_seconds:.1f} s"


def _to_mend(instances: Sequence[Instance]) -> Iterator[str]:
    amiss = [one for one in instances if one.state not in (DONE, BEFORE)]
    for one in sorted(amiss, key=lambda one: STATES.index(one.state)):
        yield f"{one.state}: {one.name}: {one.sentence}{f' (report: {one.report})' if one.report else ''}"
    if amiss:
        yield _AGAIN


def _results(variables: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """What the role has registered that ran last, without what is left of an earlier run on the same host."""
    found = [
        {key[len(prefix) :]: variables[key] for key in variables if key.startswith(prefix)} for prefix in _PREFIXES
    ]
    latest = max(found, key=lambda results: (bool(results.get("info")), _began(results.get("info", {}))))
    results = {key: value for key, value in latest.items() if isinstance(value, Mapping) and not value.get("skipped")}
    since = _began(results.get("info", {}))
    return {key: value for key, value in results.items() if _began(value) >= since or "began" not in value}


def _began(result: Mapping[str, Any]) -> float:
    return float(result.get("began") or 0)


def _is_lost(result: Mapping[str, Any]) -> bool:
    return bool(result.get("lost") or result.get("unreachable"))


def _is_changed(result: Mapping[str, Any]) -> bool:
    return bool(result.get("changed"))


def _sentence(variables: Mapping[str, Any]) -> str:
    """With what it failed: what the role has told, or what came before or after it."""
    told = [variables.get(f"{prefix}failure", {}).get("msg") for prefix in _PREFIXES]
    return str(variables.get("fleet_failure") or next((sentence for sentence in told if sentence), ""))
