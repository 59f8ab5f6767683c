# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps a host in a run over many when it is lost, and tells of a Python that is too old: for all modules that meta/runtime.yml names."""

from __future__ import annotations

from ansible_collections.selfhosted.media.plugins.plugin_utils._python.action import FirstAction


class ActionModule(FirstAction):
    """Runs the module of the task."""
