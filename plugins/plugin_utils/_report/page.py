# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole page: one file that needs nothing else but the pictures of its contact sheet."""

from __future__ import annotations

import base64
import hashlib

from ansible_collections.selfhosted.media.plugins.plugin_utils._report import sections
from ansible_collections.selfhosted.media.plugins.plugin_utils._report.contact_sheet import contact_sheet, origins
from ansible_collections.selfhosted.media.plugins.plugin_utils._report.content import FAILED, OK, Report
from ansible_collections.selfhosted.media.plugins.plugin_utils._report.markup import Markup, element, join
from ansible_collections.selfhosted.media.plugins.plugin_utils._report.style import STYLE
from ansible_collections.selfhosted.media.plugins.plugin_utils._report.units import duration, moment

ACTIONS = {
    "migrate": "Migration to S3",
    "new": "Set-up on S3",
    "sync": "Catching up",
    "verify": "Verification",
    "rollback": "Return to the disk",
}


def page(report: Report, twin: str = "") -> str:
    """The page as HTML; twin is the name of the file beside it that holds the same as JSON."""
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy(report)),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="referrer", content="no-referrer"),
        element("meta", name="robots", content="noindex"),
        element("title", f"{report.headline} \u2013 {ACTIONS.get(report.action, report.action)}"),
        element("style", Markup(STYLE)),
    )
    parts = (
        _header(report),
        sections.problems(report),
        sections.notes(report),
        sections.steps(report),
        sections.counts(report),
        sections.transfer(report),
        sections.verification(report),
        contact_sheet(report),
        sections.checks(report),
        sections.probes(report),
        sections.settings(report),
        sections.commands(report),
    )
    body = element("body", element("main", *parts), _footer(twin), class_=_state(report))
    return f"<!DOCTYPE html>\n{element('html', head, body, lang='en')}\n"


def policy(report: Report) -> str:
    """What browsers may load and run: this page's own style, and pictures from where the contact sheet has them."""
    digest = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    images = " ".join(origins(report)) or "'none'"
    return f"default-src 'none'; style-src 'sha256-{digest}'; img-src {images}; base-uri 'none'; form-action 'none'"


def _state(report: Report) -> str:
    return OK if report.ok else FAILED


def _header(report: Report) -> Markup:
    state = _state(report)
    kind = join(
        element("b", report.application),
        f" \u00b7 {ACTIONS.get(report.action, report.action)} \u00b7 ",
        report.instance,
    )
    words = "It went well" if report.ok else "It did not go well"
    verdict = element("span", sections.mark(state), words, class_=f"verdict {state}")
    figures = sections.figures(report)
    took = f" \u00b7 {duration(report.seconds)}" if report.seconds and not figures else ""
    when = element("time", moment(report.made), took, class_="when", datetime=report.made)
    return element(
        "header",
        element("p", kind, class_="kind"),
        element("h1", report.headline),
        element("p", verdict, when),
        figures,
    )


def _footer(twin: str) -> Markup:
    told = (
        element("p", "Made by selfhosted.media. The same for machines: ", element("code", twin), ".") if twin else None
    )
    return element("footer", told)
