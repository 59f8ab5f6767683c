# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the module on the target and the action plugin on the controller call things between them."""

from __future__ import annotations

#: The variable by which the action plugin asks for it: seconds without a look after which nobody looks any more, a colon,
#: and on the controller's own machine the id of the process that looks.
WATCH = "SELFHOSTED_MEDIA_WATCH"
#: The key of what the relay says instead of the module's result.
HANDED_OVER = "selfhosted_media_handed_over"

#: Name of the folder on the target, with a random end. Its files:
FOLDER = "selfhosted-media-progress-"
#: touched at each look: the heartbeat
LOOKED = "looked"
#: how far the module is
PROGRESS = "progress"
#: what the module has printed
OUTPUT = "output"
ERRORS = "errors"
#: its exit status, once it has ended
ENDED = "ended"
#: there when it is to stop
STOP = "stop"
