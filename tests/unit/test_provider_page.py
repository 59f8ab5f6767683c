# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of providers says what the provider table says, and so do the options' descriptions."""

from __future__ import annotations

from ansible_collections.selfhosted.media.plugins.doc_fragments.s3 import ModuleDocFragment
from ansible_collections.selfhosted.media.plugins.module_utils._s3.provider_table import PROVIDERS
from ansible_collections.selfhosted.media.tests.provider_page import PAGE, page
from ansible_collections.selfhosted.media.tests.servers.profiles import PROFILES


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run make provider-page"


def test_every_provider_is_named_in_the_modules_documentation() -> None:
    assert not [name for name in PROVIDERS if f"V({name})" not in ModuleDocFragment.DOCUMENTATION]


def test_every_provider_is_played() -> None:
    assert {profile.provider for profile in PROFILES.values()} == {*PROVIDERS}


def test_facts_have_sources() -> None:
    assert [name for name, known in PROVIDERS.items() if not known.sources] == ["generic"]
