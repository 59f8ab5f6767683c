# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where progress is shown: a line that is refreshed in place, or a line now and then.

What is said here of Ansible was looked up in, and tried with, ansible-core 2.19; 2.20 and 2.21 do the same.

- An action plugin runs in a forked worker process without terminal. There Display.display puts its arguments into a queue, and a
  thread of the parent calls it with them: in order, also with newline=False, and before the task's result, which takes the same way.
- Display does not flush. On a terminal Python's own output does at each line feed and carriage return, so a line that begins
  with a carriage return appears at once. Elsewhere it keeps 8 kB back, which a CI log would show minutes later.
- A worker cannot find out whether there is a terminal, the parent can. It loads the action plugin's class before it forks
  (linear and free look for BYPASS_HOST_LOOP), so what is looked at when this module is loaded is the parent's.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from dataclasses import dataclass, field

from ansible.utils.display import Display

#: The environment variable that says how many seconds lie between two lines.
INTERVAL = "SELFHOSTED_MEDIA_PROGRESS_INTERVAL"
#: Erases from the cursor to the end of the line.
_ERASE = "\x1b[K"
#: Set by ansible-runner, which AWX uses: it gives Ansible a terminal and keeps all that is written to it.
_RUNNER = "AWX_ISOLATED_DATA_DIR"
#: With this verbosity each look at the target is printed too.
_TALKATIVE = 3


def _has_terminal() -> bool:
    if os.environ.get("TERM", "dumb") == "dumb" or _RUNNER in os.environ:
        return False
    return bool(sys.stdout and sys.stdout.isatty())


def _show_at_once() -> None:
    """Let the parent write each line when it is there, also into a pipe."""
    with contextlib.suppress(AttributeError, ValueError, OSError):
        if not sys.stdout.isatty():
            sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]


_HAS_TERMINAL = _has_terminal()
_show_at_once()


def interval() -> float:
    """Seconds between two lines."""
    try:
        return max(1.0, float(os.environ.get(INTERVAL, "10")))
    except ValueError:
        return 10.0


@dataclass
class Screen:
    """Shows one host's progress."""

    host: str
    is_alone: bool
    display: Display = field(default_factory=Display)
    _shown: float = field(default_factory=time.monotonic)
    _is_dirty: bool = False

    @property
    def is_in_place(self) -> bool:
        """Whether a line is refreshed, rather than one added now and then."""
        return _HAS_TERMINAL and self.is_alone and self.display.verbosity < _TALKATIVE

    def show(self, text: str) -> None:
        """Show how far the host is, if it is time to."""
        line = f"{self.host}: {text}"
        if self.is_in_place:
            # A line that is wider than the terminal could not be taken back.
            self._write(f"\r{line[: (self.display.columns or 80) - 1]}{_ERASE}")
            self._is_dirty = True
        elif time.monotonic() - self._shown >= interval():
            self._shown = time.monotonic()
            self.display.display(line)

    def clear(self) -> None:
        """Make room for what Ansible says next."""
        if self._is_dirty:
            self._write(f"\r{_ERASE}")
            self._is_dirty = False

    def _write(self, text: str) -> None:
        self.display.display(text, newline=False, screen_only=True)
