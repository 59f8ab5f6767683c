# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was measured, as a table, as JSON and as a chart."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from .clients import CLIENTS, OURS
from .goals import goals_of
from .services import KINDS
from .workloads import Bench, Result

_HEAD = ("workload", "server", "client", "s", "objects/s", "MB/s", "CPU ms/obj", "RSS MB", "PSS MB", "ours is")
#: What part of the CPU others may take before figures are in doubt.
_QUIET = 0.05


def machine() -> dict[str, Any]:
    """Where it was measured."""
    model = platform.processor()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGESIZE")
    return {
        "cores": os.cpu_count(),
        "cpu": model,
        "memory_mb": round(memory / 1e6),
        "kernel": platform.release(),
        "python": platform.python_version(),
    }


def groups(results: list[Result]) -> Iterator[tuple[tuple[str, str], list[Result]]]:
    """The results of each workload and server, ours first."""
    keys = dict.fromkeys((result.workload, result.case) for result in results)
    for key in sorted(keys, key=lambda key: key[0]):
        found = [result for result in results if (result.workload, result.case) == key and result.samples]
        if found:
            yield key, sorted(found, key=lambda result: [client.name for client in CLIENTS].index(result.client))


def _ratio(result: Result, group: list[Result]) -> float:
    ours = next((one for one in group if one.client == OURS.name), None)
    return ours.objects_per_second / result.objects_per_second if ours else 0.0


def table(bench: Bench) -> str:
    """Medians, and how many times as fast ours is; then the goals and the remarks."""
    rows: list[tuple[str, ...]] = [_HEAD]
    for (workload, case), group in groups(bench.results):
        for result in group:
            rates = [result.objects_per_second, result.megabytes_per_second, result.cpu_ms_per_object]
            numbers = [result.seconds, *rates, result.rss_mb, result.pss_mb, _ratio(result, group)]
            formats = ("{:.2f}", "{:,.0f}", "{:.1f}", "{:.3f}", "{:.0f}", "{:.0f}", "{:.2f} x")
            shown = [form.format(number) if number else "" for form, number in zip(formats, numbers)]
            rows.append((workload, case, result.client, *shown))
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    lines = []
    for row in rows:
        cells = [
            cell.ljust(width) if index < 3 else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths))
        ]
        lines.append("  ".join(cells).rstrip())
    lines.insert(1, "  ".join("-" * width for width in widths))
    for goal in goals_of(bench.results):
        sign = "<=" if goal.at_most else ">="
        reached = "reached" if goal.reached else "NOT REACHED"
        lines.append(f"{goal.workload} {goal.text}: {goal.value:.2f} (goal {sign} {goal.bound:g}): {reached}")
    others = sum(sample.others_seconds for result in bench.results for sample in result.samples)
    seconds = sum(sample.seconds for result in bench.results for sample in result.samples) * (os.cpu_count() or 1)
    if others > seconds * _QUIET:
        lines.append(
            f"Other programs took {others / seconds:.0%} of this machine's CPU meanwhile: take these figures with care."
        )
    return "\n".join([*lines, *bench.remarks])


def as_json(bench: Bench) -> dict[str, Any]:
    """Everything: the machine, the settings, each run, the medians, the goals."""
    return {
        "machine": machine(),
        "versions": {client.name: client.version() for client in CLIENTS},
        "servers": KINDS,
        "rounds": bench.rounds,
        "scale": bench.scale,
        "results": [
            {
                "workload": workload,
                "server": case,
                "client": result.client,
                "objects": result.count,
                "bytes": result.bytes,
                "command": result.command,
                "median_seconds": result.seconds,
                "objects_per_second": result.objects_per_second,
                "mb_per_second": result.megabytes_per_second,
                "cpu_ms_per_object": result.cpu_ms_per_object,
                "rss_mb": result.rss_mb,
                "pss_mb": result.pss_mb,
                "ours_is_times_as_fast": _ratio(result, group),
                "failures": result.failures,
                "samples": [
                    {key: value for key, value in sample._asdict().items() if key not in ("output", "errors", "status")}
                    for sample in result.samples
                ],
            }
            for (workload, case), group in groups(bench.results)
            for result in group
        ],
        "goals": [{**goal._asdict(), "reached": goal.reached} for goal in goals_of(bench.results)],
        "remarks": bench.remarks,
    }


# -- the chart ---------------------------------------------------------------------------------------------------------

_COLOURS = {"media_sync": "#2a9d5c", "s5cmd": "#3b7dd8", "rclone": "#d98a1f", "aws s3 sync": "#a05cc8"}
_STYLE = """
text { font: 13px system-ui, sans-serif; fill: #222 }
.title { font-weight: 600 } .small { fill: #555; font-size: 11px }
@media (prefers-color-scheme: dark) { text { fill: #eee } .small { fill: #aaa } }
"""
_LEFT, _BAR, _ROW, _WIDTH = 130, 430, 20, 760


def chart(bench: Bench) -> str:
    """A bar for each client: its objects per second, in each group against the fastest. Readable on light and on dark."""
    parts, y = [], 52
    for (workload, case), group in groups(bench.results):
        parts.append(f'<text class="title" x="10" y="{y}">{workload} {escape(KINDS.get(case, case))}</text>')
        fastest = max(result.objects_per_second for result in group)
        for result in group:
            y += _ROW
            width = max(1.0, _BAR * result.objects_per_second / fastest)
            rate = f"{result.objects_per_second:,.0f} objects/s"
            if result.workload == "W3":
                rate = f"{result.megabytes_per_second:,.0f} MB/s"
            elif result.workload in ("W5", "W7"):
                rate = f"{result.seconds:.2f} s" + (f", {result.pss_mb:.0f} MB" if result.pss_mb else "")
            colour = _COLOURS.get(result.client, "#888")
            parts.append(f'<text x="20" y="{y}">{escape(result.client)}</text>')
            parts.append(f'<rect x="{_LEFT}" y="{y - 12}" width="{width:.1f}" height="14" rx="2" fill="{colour}"/>')
            parts.append(f'<text class="small" x="{_LEFT + width + 8:.1f}" y="{y}">{rate}</text>')
        y += 34
    here = machine()
    about = f"{here['cores']} cores ({here['cpu']}), Python {here['python']}; median of {bench.rounds}, scale {bench.scale:g}"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {y}" width="{_WIDTH}" height="{y}">',
            f"<style>{_STYLE}</style>",
            f'<text class="small" x="10" y="22">{escape(about)}</text>',
            *parts,
            "</svg>\n",
        ]
    )
