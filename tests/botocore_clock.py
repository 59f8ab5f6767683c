# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The time that botocore signs with, in any of its releases."""

from __future__ import annotations

import datetime
import types

import botocore.auth
import pytest


def set_clock(patch: pytest.MonkeyPatch, moment: datetime.datetime) -> None:
    """Stop botocore's clock at a moment in UTC."""
    if hasattr(botocore.auth, "get_current_datetime"):
        patch.setattr(botocore.auth, "get_current_datetime", lambda *_words, **_named: moment)
    else:
        stopped = types.SimpleNamespace(utcnow=lambda: moment)
        patch.setattr(botocore.auth, "datetime", types.SimpleNamespace(datetime=stopped))
