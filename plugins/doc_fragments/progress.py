# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  show_progress:
    description:
      - Whether the controller shows how far the module is once it has worked for some seconds. On a terminal, and with one host, a line is
        refreshed in place; elsewhere one is added every ten seconds.
      - The module then stops when B(ansible-playbook) has not looked at it for 30 seconds, so that it does not go on when that was cancelled.
      - Nothing is shown of a task with C(async) or C(no_log), and such a module goes on to its end. See
        R(the guide,ansible_collections.selfhosted.media.docsite.progress).
    type: bool
    default: true
attributes:
  action:
    description: Indicates this has a corresponding action plugin so some parts of the options can be executed on the controller.
    support: full
  async:
    description: Supports being used with the C(async) keyword.
    support: full
"""
