# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  chdir:
    description: Folder of the instance.
    type: path
    required: true
  env_file:
    description: Path of its settings.
    type: path
    required: true
  kept_file:
    description: Path under which the settings of before S3 are kept.
    type: path
    required: true
  stop_command:
    description: Stops the services; a list of words, or of one word as a line for the shell.
    type: list
    elements: str
    required: true
  start_command:
    description: Starts the services.
    type: list
    elements: str
    required: true
  failed_command:
    description: Ends with 0 when the service has failed for good, so that nobody need wait; a list of words. If empty, nothing tells.
    type: list
    elements: str
    default: []
  health_timeout:
    description: Seconds to wait for the front page.
    type: int
    default: 300
  acl:
    description: ACL of objects that are uploaded, as for M(selfhosted.media.media_sync).
    type: str
    default: ''
  cache_control:
    description: Their C(Cache-Control).
    type: str
    default: max-age=86400
"""
