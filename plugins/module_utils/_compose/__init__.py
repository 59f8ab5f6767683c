# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The environment of services in a compose file, changed as text so that everything else stays byte for byte.

`nodes` finds where everything stands, `project` what compose makes of it, `values` how a value is written, `splices` which
text an entry needs, `editing` chooses the place and proves the result, `masking` shows a file without its secrets.
"""

from __future__ import annotations

from ansible_collections.selfhosted.media.plugins.module_utils import _python  # noqa: F401 (first, see there)
