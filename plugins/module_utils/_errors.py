# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The errors that the collection's code raises. A module turns them into a failed result at its edge."""

from __future__ import annotations


class MediaError(Exception):
    """Something that an administrator must know: the message says what is wrong, where, and what to do."""
