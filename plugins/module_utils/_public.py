# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fetch objects by their public URLs, without credentials, several at a time."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import quote

from ansible_collections.selfhosted.media.plugins.module_utils._s3.probe import Expectation, Question, judge, look
from ansible_collections.selfhosted.media.plugins.module_utils._sync.account import Account
from ansible_collections.selfhosted.media.plugins.module_utils._sync.pool import run_all


def url_of(public_url: str, key: str) -> str:
    """The public URL of an object."""
    return f"{public_url.rstrip('/')}/{quote(key, safe='/~')}"


def fetch_all(
    questions: Iterable[Question], account: Account, threads: int = 8, other_content: str = "not_public"
) -> None:
    """Ask every question; what is not as expected is remarked as not_public, with what to do about it.

    other_content: what one is remarked as that everybody can read, but with other content than expected.
    """

    def ask(question: Question) -> None:
        problem, sentence = judge(question, look(question), Expectation(cors="ignored"))
        if problem == "none":
            account.count("public")
        else:
            account.remark(other_content if problem == "different_content" else "not_public", question.url, sentence)

    run_all(questions, ask, threads)
