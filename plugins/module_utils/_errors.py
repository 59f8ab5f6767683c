# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The errors that the collection's code raises. A module turns them into a failed result at its edge."""

from __future__ import annotations

from typing import Any, Optional

from ansible_collections.selfhosted.media.plugins.module_utils import _python

#: The lowest Python of a target. To import it is to check it, before anything else of the code is loaded.
LOWEST_PYTHON = _python.MINIMUM


class MediaError(Exception):
    """Something that an administrator must know: the message says what is wrong, where, and what to do.

    A result tells how far the work came before it had to end.
    """

    def __init__(self, message: str, result: Optional[dict[str, Any]] = None) -> None:
        super().__init__(message)
        self.result = result or {}
