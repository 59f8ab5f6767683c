# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  health_url:
    description: URL of the front page on the target.
    type: str
    default: ''
  health_command:
    description: What comes before C(python -c) to ask for the page inside a container; used when O(health_url) is empty.
    type: list
    elements: str
    default: []
  health_headers:
    description: Headers to send, as the proxy would.
    type: dict
    default: {}
"""
