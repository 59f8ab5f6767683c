# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sections of the page, each from its part of the report; None where there is nothing to show."""

from __future__ import annotations

from typing import Optional

from ansible_collections.selfhosted.media.plugins.plugin_utils._report.charts import (
    share_rows,
    step_bar,
    throughput_chart,
)
from ansible_collections.selfhosted.media.plugins.plugin_utils._report.content import (
    FAILED,
    OK,
    SKIPPED,
    UNKNOWN,
    Check,
    Count,
    Report,
    Share,
    Step,
    Value,
)
from ansible_collections.selfhosted.media.plugins.plugin_utils._report.markup import Child, Markup, element, join
from ansible_collections.selfhosted.media.plugins.plugin_utils._report.units import duration, number, plural, size

_MARKS = {
    OK: ("well", "M5 12.5l4.5 4.5L19 7.5"),
    FAILED: ("failed", "M6.5 6.5l11 11M17.5 6.5l-11 11"),
    UNKNOWN: ("not known", "M9 9.2a3 3 0 1 1 4.4 2.6c-.9.5-1.4 1-1.4 2.2M12 17.6v.01"),
    SKIPPED: ("not needed", "M6 12h12"),
}
_COUNTED = {
    "verified": "files in the bucket, whole",
    "missing": "not in the bucket",
    "different": "other than their objects",
    "unverifiable": "not to be proven",
    "mismatched": "other than the database records",
    "newer": "written meanwhile, not compared",
    "in_bucket": "only in the bucket",
    "extra": "objects without a file",
    "not_public": "of the sample not readable by everybody",
}


def mark(state: str) -> Markup:
    """The sign of a state, told to those who cannot see it."""
    told, path = _MARKS.get(state, _MARKS[UNKNOWN])
    return element(
        "svg",
        element("title", told),
        element("path", d=path),
        class_=f"mark {state if state in _MARKS else UNKNOWN}",
        viewBox="0 0 24 24",
        role="img",
    )


def section(heading: str, aside: Optional[str], *children: Child) -> Optional[Markup]:
    """A heading, what there is to say about it, and what it is about."""
    if not any(children):
        return None
    beside = element("div", element("h2", heading), element("p", aside) if aside else None, class_="aside")
    return element("section", beside, element("div", *children))


def table_head(*columns: tuple[str, Optional[str]]) -> Markup:
    """The heads of columns, each with its class; what explains itself has a cell without a word."""
    cells = [
        element("th", word, scope="col", class_=kind) if word else element("td", class_=kind) for word, kind in columns
    ]
    return element("thead", element("tr", *cells))


def problems(report: Report) -> Optional[Markup]:
    items = [
        element("li", element("p", one.what), element("p", one.remedy, class_="remedy") if one.remedy else None)
        for one in report.problems
    ]
    heading = "Worth knowing" if report.ok else "What went wrong"
    return section(heading, None, element("ul", *items, class_="problems") if items else None)


def notes(report: Report) -> Optional[Markup]:
    items = [element("li", _sentence(note)) for note in report.notes]
    return section("In short", None, element("ul", *items, class_="notes") if items else None)


def _sentence(text: str) -> str:
    """With a capital, unless it begins with a name that has none."""
    return text[:1].upper() + text[1:] if text.partition(" ")[0].isalpha() else text


def steps(report: Report) -> Optional[Markup]:
    items = [_step(one, report.seconds) for one in report.steps]
    aside = "A bar shows when a step was at work." if report.seconds else None
    return section("The steps", aside, element("ol", *items, class_="marked steps") if items else None)


def _step(step: Step, whole: Optional[float]) -> Markup:
    time = None if step.seconds is None or step.state == SKIPPED else duration(step.seconds)
    line = element(
        "div", element("span", step.name), element("span", time, class_="time") if time else None, class_="line"
    )
    detail = element("p", step.detail, class_="detail") if step.detail else None
    shown_bar = None if step.state == SKIPPED else step_bar(step, whole)
    return element("li", mark(step.state), element("div", line, detail, shown_bar), class_=step.state)


def counts(report: Report) -> Optional[Markup]:
    if not report.counts:
        return None
    head = table_head(("", "name"), ("before", None), ("after", None))
    rows = [_count(one) for one in report.counts]
    return section("Before and after", None, element("table", head, element("tbody", *rows), class_="counts"))


def _count(count: Count) -> Markup:
    return element(
        "tr",
        element("th", count.name, scope="row"),
        element("td", _value(count.before), class_="before"),
        element("td", _value(count.after)),
    )


def _value(value: Value) -> str:
    if value is None or value == "":
        return "\u2013"
    return number(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else str(value)


def transfer(report: Report) -> Optional[Markup]:
    moved = report.transfer
    if moved is None:
        return None
    return section(
        "The transfer",
        f"{plural(moved.files, 'file', 'files')} copied, {number(moved.unchanged)} there already."
        if moved.unchanged
        else None,
        throughput_chart(moved.throughput),
        _shares("By type", moved.types),
        _shares("By folder", moved.folders),
    )


def _shares(caption: str, shares: list[Share]) -> Optional[Markup]:
    if not shares:
        return None
    head = table_head(("", "name"), ("", "drawn"), ("size", "number"), ("files", "number"))
    rows = element("tbody", *share_rows(shares))
    return element("table", element("caption", caption), head, rows, class_="shares")


def verification(report: Report) -> Optional[Markup]:
    found = report.verification
    if found is None:
        return None
    told = [(name, words) for name, words in _COUNTED.items() if name == "verified" or found.counts.get(name)]
    rows = [
        element(
            "tr", element("th", words, scope="row"), element("td", number(found.counts.get(name, 0)), class_="number")
        )
        for name, words in told
    ]
    drawn = (
        f"{plural(found.sampled, 'file', 'files')} drawn at random (seed {found.seed}), fetched by the public URL and compared byte for byte."
        if found.sampled
        else None
    )
    return section("The verification", drawn, element("table", element("tbody", *rows), class_="found"))


def checks(report: Report) -> Optional[Markup]:
    return section("The storage service", "What the bucket, its keys and browsers were asked.", _checked(report.checks))


def _checked(found: list[Check]) -> Optional[Markup]:
    """What is amiss in full, what is well by its names."""
    amiss = sorted((one for one in found if one.state != OK), key=lambda one: one.state)
    well = [element("span", one.name.replace("_", " ")) for one in found if one.state == OK]
    return (
        join(
            element("ul", *map(_check, amiss), class_="marked") if amiss else None,
            element("p", *(join(one, " ") for one in well), class_="well") if well else None,
        )
        if found
        else None
    )


def _check(check: Check) -> Markup:
    return element(
        "li",
        mark(check.state),
        element(
            "div",
            element("div", check.name.replace("_", " ")),
            element("p", check.detail, class_="detail") if check.detail else None,
            element("p", check.remedy, class_="remedy") if check.remedy and check.state != OK else None,
        ),
        class_=check.state,
    )


def probes(report: Report) -> Optional[Markup]:
    items = [_check(one) for one in report.probes]
    told = "Objects asked for without keys, as pages of the site and of others ask for them."
    return section("As browsers see it", told, element("ul", *items, class_="marked") if items else None)


def settings(report: Report) -> Optional[Markup]:
    rows = [
        element("div", element("dt", name), element("dd", value))
        for name, value in [*report.settings.items(), *((name, "\u2022" * 8) for name in report.secret_settings)]
    ]
    told = "Secrets are named, not shown." if report.secret_settings else None
    return section("Settings changed", told, element("dl", *rows, class_="settings") if rows else None)


def commands(report: Report) -> Optional[Markup]:
    items = [
        element("li", element("h3", one.what), element("pre", element("code", one.command))) for one in report.commands
    ]
    return section("What can be done now", None, element("ul", *items, class_="commands") if items else None)


def figures(report: Report) -> Optional[Markup]:
    """The numbers to remember; a single one is none."""
    told: list[tuple[str, str]] = []
    moved, found = report.transfer, report.verification
    if moved is not None and moved.files:
        told += [("files copied", number(moved.files)), ("copied", size(moved.bytes))]
    if found is not None:
        told.append((_COUNTED["verified"], number(found.counts.get("verified", 0))))
    if report.seconds:
        told.append(("from the first step to the last", duration(report.seconds)))
    boxes = [element("div", element("dt", name), element("dd", value)) for name, value in told]
    return element("dl", *boxes, class_="figures") if len(boxes) > 1 else None
