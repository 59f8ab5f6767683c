# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An `.env` and its five readers: bash, docker compose 2 and 1, environs and systemd, who disagree about most of it.

`values` is what they agree on, `reading` reads as environs does, `systemd` as systemd, `editing` changes a file,
`masking` shows one without its secrets.
"""

from __future__ import annotations

from ansible_collections.selfhosted.media.plugins.module_utils import _python  # noqa: F401 (first, see there)
from ansible_collections.selfhosted.media.plugins.module_utils._dotenv.editing import Edited, edit
from ansible_collections.selfhosted.media.plugins.module_utils._dotenv.masking import env_diff, masked, masked_change
from ansible_collections.selfhosted.media.plugins.module_utils._dotenv.reading import expand, parse, read
from ansible_collections.selfhosted.media.plugins.module_utils._dotenv.values import (
    DotenvError,
    DotenvValueError,
    check_name,
    encode,
)

__all__ = [
    "DotenvError",
    "DotenvValueError",
    "Edited",
    "check_name",
    "edit",
    "encode",
    "env_diff",
    "expand",
    "masked",
    "masked_change",
    "parse",
    "read",
]
