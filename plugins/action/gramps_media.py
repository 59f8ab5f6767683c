# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shows how far the module gramps_media is."""

from __future__ import annotations

from ansible_collections.selfhosted.media.plugins.plugin_utils._progress.action import WatchedAction


class ActionModule(WatchedAction):
    """Runs the module and shows how far it is."""
