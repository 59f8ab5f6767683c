# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the documentation names is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted((ROOT / "docs" / "docsite" / "rst").glob("*.rst"))
TESTS = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py")}


def test_the_table_of_faults_is_seen() -> None:
    page = (ROOT / "docs" / "docsite" / "rst" / "nothing_is_lost.rst").read_text(encoding="utf-8")
    assert page.count("   * - ") > 60


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_tests_that_a_page_names_exist(page: Path) -> None:
    named = set(re.findall(r"``(test_\w+(?:\.py)?)``", page.read_text(encoding="utf-8")))
    defined = {name for text in TESTS.values() for name in re.findall(r"^def (test_\w+)\(", text, re.MULTILINE)}
    assert named - defined - set(TESTS) == set()
