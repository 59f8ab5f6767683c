# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep a transfer below a number of bytes per second."""

from __future__ import annotations

import fcntl
import mmap
import struct
import tempfile
import threading
import time

_MOMENT = struct.Struct("d")


class Pace:
    """A bucket of tokens, a token a byte, shared by all threads and by processes forked later. A rate of 0 is no limit."""

    def __init__(self, bytes_per_second: int) -> None:
        self._rate = bytes_per_second
        if self._rate:
            self._lock = threading.Lock()
            # A record lock is a process's own even on a file that was opened before the fork; the kernel ends it with it.
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 (open as long as this)
            self._free_at = mmap.mmap(-1, _MOMENT.size)
            _MOMENT.pack_into(self._free_at, 0, time.monotonic())

    def take(self, size: int) -> None:
        """Wait until so many bytes have had their time."""
        if not self._rate or not size:
            return
        with self._lock:
            fcntl.lockf(self._file, fcntl.LOCK_EX)
            try:
                (free_at,) = _MOMENT.unpack_from(self._free_at, 0)
                end = max(free_at, time.monotonic()) + size / self._rate
                _MOMENT.pack_into(self._free_at, 0, end)
            finally:
                fcntl.lockf(self._file, fcntl.LOCK_UN)
        # Not until the start: then the last bytes would come for free, and a large part is much of a short transfer.
        delay = end - time.monotonic()
        if delay > 0:
            time.sleep(delay)
