# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the action plugins of media_sync, media_verify and gramps_media share: run the module, show how far it is."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
from collections.abc import Mapping
from typing import Any, Optional

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible.module_utils.parsing.convert_bool import boolean
from ansible_collections.selfhosted.media.plugins.module_utils._watched import names
from ansible_collections.selfhosted.media.plugins.plugin_utils._fleet.steady import SteadyAction
from ansible_collections.selfhosted.media.plugins.plugin_utils._progress.line import Pace, Report, line_of
from ansible_collections.selfhosted.media.plugins.plugin_utils._progress.screen import Screen, interval

#: Seconds without a look after which the module stops itself.
_MOST_PATIENT = 30.0
_LEAST_PATIENT = 15.0
#: Seconds from one look to the next, where nothing is refreshed in place.
_MOST_BETWEEN = 5.0
_HANDED_OVER = re.compile(rf'\{{"{names.HANDED_OVER}": \{{"folder": "([^"\s]+)", "pid": (\d+)\}}\}}')
#: What may be asked for, and removed. The target names it.
_FOLDER = re.compile(rf"/[\w./+@-]*/?{names.FOLDER}\w+")
#: A look. It waits at the target for the module's end, so that this is noticed at once and no look is made for nothing. A
#: zombie is one of a container whose first process buries nobody.
#: In parentheses, because Ansible appends a command.
_LOOK = f"""\
(cd {{folder}} 2>/dev/null || {{{{ echo gone; exit; }}}}
touch {names.LOOKED}
n=0
while [ $n -lt {{ticks}} ] && [ ! -e {names.ENDED} ]; do sleep 0.2 2>/dev/null || {{{{ sleep 1; n=$((n+4)); }}}}; n=$((n+1)); done
if [ -e {names.ENDED} ]; then echo ended; cat {names.OUTPUT}; cat {names.ERRORS} >&2; exit "$(cat {names.ENDED})"; fi
if ! kill -0 {{pid}} 2>/dev/null || grep -q '^State:.Z' /proc/{{pid}}/status 2>/dev/null; then
[ -e {names.ENDED} ] || {{{{ echo gone; exit; }}}}
fi
echo running; cat {names.PROGRESS} 2>/dev/null || :)"""


class WatchedAction(SteadyAction):
    """Runs the module as any other, and looks how far it is when it takes longer than a moment.

    Everything that Ansible does with a module, it does with this one: the look comes between the command that starts the
    module and the result that Ansible reads from it.
    """

    _screen: Optional[Screen] = None

    def run(self, tmp: Optional[str] = None, task_vars: Optional[dict[str, Any]] = None) -> dict[str, Any]:
        """Run the module."""
        if not self._is_shown():
            result: dict[str, Any] = super().run(tmp, task_vars)
            return result
        given = task_vars or {}
        batch = given.get("ansible_play_batch") or []
        self._screen = Screen(str(given.get("inventory_hostname", "")), len(batch) < 2)
        environment = self._task.environment
        environment.append({names.WATCH: f"{self._patience():g}:{self._local_pid()}"})
        try:
            result = super().run(tmp, task_vars)
            return result
        finally:
            environment.pop()

    def _is_shown(self) -> bool:
        task = self._task
        wanted = boolean(task.args.get("show_progress", True), strict=False)
        return bool(wanted) and not task.async_val and not task.no_log

    @staticmethod
    def _patience() -> float:
        return min(_MOST_PATIENT, max(_LEAST_PATIENT, 3 * interval()))

    def _local_pid(self) -> int:
        """This process, where the module can see whether it lives."""
        return os.getpid() if self._connection.transport in ("local", "ansible.builtin.local") else 0

    def _low_level_execute_command(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Execute a command; of one that hands its work over, what comes of that in the end."""
        done: dict[str, Any] = super()._low_level_execute_command(*args, **kwargs)
        handed_over = _HANDED_OVER.search(done["stdout"])
        if self._screen is None or handed_over is None:
            return done
        folder, pid = handed_over[1], int(handed_over[2])
        if not _FOLDER.fullmatch(folder) or "/../" in folder:
            raise AnsibleActionFail(f"the target says that the module is to be looked for in {folder}, which cannot be")
        return self._follow(self._screen, folder, pid)

    def _follow(self, screen: Screen, folder: str, pid: int) -> dict[str, Any]:
        """Look at the module until it has ended; what it has printed, as if it had been waited for."""
        pace, parent = Pace(), os.getppid()
        between = 1.0 if screen.is_in_place else min(_MOST_BETWEEN, interval() / 2)
        wait = 0.2
        try:
            while True:
                word, told = self._look(folder, pid, wait)
                if word == "ended":
                    self._execute(f"rm -rf {shlex.quote(folder)}")
                    return told
                if word == "gone":
                    raise AnsibleActionFail(
                        "the module is no longer there: it was killed, or stopped itself because ansible-playbook had not "
                        f"looked at it for {self._patience():g} s; run again, it finds out what is done"
                    )
                report = Report.of(_loaded(told["stdout"]))
                if report is not None:
                    pace.see(report)
                    screen.show(line_of(report, pace))
                if os.getppid() != parent:
                    raise AnsibleActionFail("ansible-playbook was killed")
                wait = between
        except AnsibleConnectionFailure:
            raise  # the module ends by itself when nobody looks
        except BaseException:  # a timeout of the task too
            with contextlib.suppress(Exception):
                self._execute(f"touch {shlex.quote(f'{folder}/{names.STOP}')}")
            raise
        finally:
            screen.clear()

    def _look(self, folder: str, pid: int, wait: float) -> tuple[str, dict[str, Any]]:
        """A word about the module, and what it has printed or written down."""
        command = _LOOK.format(folder=shlex.quote(folder), pid=pid, ticks=max(1, round(wait / 0.2)))
        done = self._execute(command)
        before, word, after = _parted(done["stdout"])
        if not word:
            raise AnsibleActionFail(f"a look at the module has failed: {done['stderr'].strip() or before.strip()}")
        return word, {**done, "stdout": after, "stdout_lines": after.splitlines()}

    def _execute(self, command: str) -> dict[str, Any]:
        done: dict[str, Any] = super()._low_level_execute_command(command)
        return done


def _parted(output: str) -> tuple[str, str, str]:
    """What comes before the word, such as a greeting of the login shell, the word, and what comes after it."""
    found = re.search(r"^(running|ended|gone)\r?$\n?", output, re.MULTILINE)
    return (output[: found.start()], found[1], output[found.end() :]) if found else (output, "", "")


def _loaded(text: str) -> Mapping[str, Any]:
    try:
        told = json.loads(text)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}
