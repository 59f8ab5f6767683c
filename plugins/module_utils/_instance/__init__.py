# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A running application on the target: where it is, how it is commanded, and how it changes over to S3.

Nothing here imports Ansible.
"""

from __future__ import annotations

from ansible_collections.selfhosted.media.plugins.module_utils import _python  # noqa: F401 (first, see there)
