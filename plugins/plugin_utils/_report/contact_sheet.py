# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The contact sheet: what was drawn at random, as everybody sees it in the bucket."""

from __future__ import annotations

from typing import Optional

from ansible_collections.selfhosted.media.plugins.plugin_utils._report.content import Link, Report
from ansible_collections.selfhosted.media.plugins.plugin_utils._report.markup import Markup, element, web_origin
from ansible_collections.selfhosted.media.plugins.plugin_utils._report.sections import section
from ansible_collections.selfhosted.media.plugins.plugin_utils._report.units import plural

_PICTURES = (".avif", ".bmp", ".gif", ".ico", ".jpeg", ".jpg", ".png", ".svg", ".webp")
#: More pictures than these make the page slow, not more convincing; the others are linked.
MOST_PICTURES = 60


def pictures(report: Report) -> list[Link]:
    """What is shown, not only linked."""
    shown = [one for one in report.sample if web_origin(one.url) and _path(one).endswith(_PICTURES)]
    return shown[:MOST_PICTURES]


def origins(report: Report) -> list[str]:
    """Where pictures come from, for the policy of the page."""
    return sorted({web_origin(one.url) for one in pictures(report)})


def contact_sheet(report: Report) -> Optional[Markup]:
    """The pictures of the sample, and links to what are none."""
    shown = pictures(report)
    others = [one for one in report.sample if one not in shown]
    return section(
        "A look at the bucket",
        f"{plural(len(report.sample), 'object', 'objects')} drawn at random, loaded from the public URL right now.",
        element("div", *map(_picture, shown), class_="sheet") if shown else None,
        element("ul", *(element("li", _linked(one)) for one in others), class_="links") if others else None,
    )


def _picture(link: Link) -> Markup:
    # With its folder: names of thumbnails say nothing by themselves.
    name = "/".join(link.name.split("/")[-2:])
    # Loaded at once, not lazily: what is not in view would be missing on paper.
    image = element(
        "img", src=link.url, alt=name, width=200, height=250, decoding="async", referrerpolicy="no-referrer"
    )
    linked = element("a", image, href=link.url, title=link.name, rel="noopener noreferrer")
    return element("figure", linked, element("figcaption", name))


def _linked(link: Link) -> Markup:
    if not web_origin(link.url):
        return element("span", link.name)
    return element("a", link.name, href=link.url, rel="noopener noreferrer")


def _path(link: Link) -> str:
    return link.url.partition("?")[0].partition("#")[0].lower()
