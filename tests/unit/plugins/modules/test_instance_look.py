# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the front page must or must not hold."""

from __future__ import annotations

import pytest
from ansible_collections.selfhosted.media.plugins.module_utils._instance.health import Page
from ansible_collections.selfhosted.media.plugins.modules.instance_look import problem_of


@pytest.mark.parametrize(
    ("expect", "status", "count", "problem"),
    [
        ("any", 200, 0, ""),
        ("any", 200, 3, ""),
        ("bucket", 200, 3, ""),
        ("bucket", 302, 0, ""),  # a page that redirects to the login holds nothing
        ("bucket", 200, 0, "holds no URL of https://media.example"),
        ("disk", 200, 0, ""),
        ("disk", 302, 0, ""),
        ("disk", 200, 3, "still holds URLs of https://media.example"),
    ],
)
def test_the_urls_of_the_bucket(expect: str, status: int, count: int, problem: str) -> None:
    told = problem_of(Page(status, "", ""), count, {"expect": expect, "public_url": "https://media.example"})
    assert problem in told and bool(told) == bool(problem)
