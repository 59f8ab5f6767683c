# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  dir:
    description: Folder of the compose project, or the one that the units work in. If empty, it is found by what runs.
    type: str
    default: ''
  install_type:
    description: How it is installed. V(auto) takes what is found, and what runs first.
    type: str
    default: auto
    choices: [auto, docker, systemd]
  compose_file:
    description: Compose file that holds the variables of its services. If empty, it is found.
    type: str
    default: ''
  services:
    description: Compose services or units that run it. If empty, they are found by what they run.
    type: list
    elements: str
    default: []
"""
