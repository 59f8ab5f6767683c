# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep a transfer below a number of bytes per second."""

from __future__ import annotations

import threading
import time


class Pace:
    """A bucket of tokens, a token a byte, shared by all threads. A rate of 0 is no limit."""

    def __init__(self, bytes_per_second: int) -> None:
        self._rate = bytes_per_second
        self._lock = threading.Lock()
        self._free_at = time.monotonic()

    def take(self, size: int) -> None:
        """Wait until so many bytes may be sent."""
        if not self._rate:
            return
        with self._lock:
            start = max(self._free_at, time.monotonic())
            self._free_at = start + size / self._rate
            end = self._free_at
        # Not until the start: then the last bytes would come for free, and a large part is much of a short transfer.
        delay = end - time.monotonic()
        if delay > 0:
            time.sleep(delay)
