# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  needs:
    description:
      - What a run will do besides reading the media. The result tells which rights the module's user lacks for that.
      - V(settings) writes the settings and restarts the services, V(media) writes or removes media, V(database) reads databases.
    type: list
    elements: str
    choices: [settings, media, database]
    default: []
  own_commands:
    description: Whether the services are stopped and started by commands of the user's own, so that no right to do it by systemd is needed.
    type: bool
    default: false
"""
