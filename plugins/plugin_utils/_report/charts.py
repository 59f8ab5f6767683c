# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Charts as inline SVG that stretches with the page. All words beside them are HTML, readable at every width."""

from __future__ import annotations

import math
from typing import NamedTuple, Optional

from ansible_collections.selfhosted.media.plugins.plugin_utils._report.content import Share, Step
from ansible_collections.selfhosted.media.plugins.plugin_utils._report.markup import Markup, element
from ansible_collections.selfhosted.media.plugins.plugin_utils._report.units import (
    duration,
    number,
    plural,
    share,
    size,
)

#: The drawing's own units; the page stretches them.
WIDTH, HEIGHT = 600, 160
#: More points than this are no more than noise at the width of a page.
MOST_RATES = 60


class Rate(NamedTuple):
    """Bytes per second between two moments."""

    begin: float
    end: float
    rate: float


def rates_of(points: list[tuple[float, int, int]]) -> list[Rate]:
    """What was done between two points, per second. Points that go back, or follow at once, are taken together."""
    rates: list[Rate] = []
    seconds, done = 0.0, 0
    step = max((point[0] for point in points), default=0.0) / MOST_RATES
    for index, (moment, total, _files) in enumerate(points):
        is_last = index == len(points) - 1
        if moment > seconds and (moment - seconds >= step or is_last):
            rates.append(Rate(seconds, moment, max(total - done, 0) / (moment - seconds)))
            seconds, done = moment, max(total, done)
    return rates


def ceiling(value: float) -> float:
    """The next round number in the units that size() shows: 1, 2, 2.5 or 5 times a power of ten."""
    if value <= 0:
        return 1.0
    unit = 1024.0 ** min(int(math.log(max(value, 1), 1024)), 5)
    power = 10.0 ** math.floor(math.log10(value / unit))
    return next(nice for nice in (factor * power * unit for factor in (1, 2, 2.5, 5, 10)) if nice >= value * 0.999)


def throughput_chart(points: list[tuple[float, int, int]]) -> Optional[Markup]:
    """The rate over time, a figure of its own; None where there is too little to draw."""
    rates = rates_of(points)
    if len(rates) < 2:
        return None
    length, top = rates[-1].end, ceiling(max(one.rate for one in rates))
    total = points[-1]
    told = (
        f"{plural(total[2], 'file', 'files')}, {size(total[1])} in {duration(length)}: "
        f"{size(total[1] / length)}/s on average, {size(max(one.rate for one in rates))}/s at best"
    )
    drawing = element(
        "svg",
        element("title", "Throughput over time", id="throughput-title"),
        element("desc", told, id="throughput-text"),
        *(element("line", class_="grid", x1=0, x2=WIDTH, y1=HEIGHT * part, y2=HEIGHT * part) for part in (0, 0.5, 1)),
        element("path", class_="area", d=f"M0 {HEIGHT}L{_outline(rates, length, top)}L{WIDTH} {HEIGHT}Z"),
        element("path", class_="line", d=f"M{_outline(rates, length, top)}"),
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        preserveAspectRatio="none",
        role="img",
        aria_labelledby="throughput-title throughput-text",
    )
    axis = [element("span", f"{size(top * part)}/s" if part else "0") for part in (1, 0.5, 0)]
    times = [element("span", duration(length * part) if part else "0") for part in (0, 0.5, 1)]
    return element(
        "figure",
        element("div", *axis, class_="y", aria_hidden="true"),
        element("div", drawing, class_="plot"),
        element("div", *times, class_="x", aria_hidden="true"),
        element("figcaption", told),
        class_="throughput",
    )


def _outline(rates: list[Rate], length: float, top: float) -> str:
    """The corners of the curve: each rate in the middle of its time, the first and the last drawn out to the ends."""
    middles = [((one.begin + one.end) / 2, one.rate) for one in rates]
    corners = [(0.0, rates[0].rate), *middles, (length, rates[-1].rate)]
    return "L".join(f"{_round(x / length * WIDTH)} {_round(HEIGHT - y / top * HEIGHT)}" for x, y in corners)


def gauge(part: float, whole: float, title: str, begin: float = 0) -> Markup:
    """A bar as long as its part of the whole, wherever on its way it begins; never so short that it is not seen."""
    start = min(max(begin / whole, 0), 1) * 100 if whole else 0
    length = min(max(part / whole, 0) * 100, 100 - start) if whole else 0
    length = max(length, 0.8 if part else 0)
    return element(
        "svg",
        element("title", title),
        element("rect", class_="rail", width="100%", height="100%"),
        element(
            "rect", class_="bar", x=f"{_round(min(start, 100 - length))}%", width=f"{_round(length)}%", height="100%"
        ),
        class_="bar-of",
        role="img",
    )


def share_rows(shares: list[Share]) -> list[Markup]:
    """Rows of a table: a name, its bar, its size and its files."""
    whole = sum(one.bytes for one in shares)
    largest = max((one.bytes for one in shares), default=0)
    return [
        element(
            "tr",
            element("th", "the folder itself" if one.name == "." else one.name, scope="row"),
            element(
                "td",
                gauge(one.bytes, largest, f"{one.name}: {size(one.bytes)}, {share(one.bytes, whole)} of all"),
                class_="drawn",
            ),
            element("td", size(one.bytes), class_="number"),
            element("td", number(one.files), class_="number"),
        )
        for one in shares
    ]


def step_bar(step: Step, seconds: Optional[float]) -> Optional[Markup]:
    """When a step was at work in the whole of the run."""
    if step.begin is None or step.seconds is None or not seconds:
        return None
    title = f"{step.name}: {duration(step.seconds)}, from {duration(step.begin)} on"
    return gauge(step.seconds, seconds, title, begin=step.begin)


def _round(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")
