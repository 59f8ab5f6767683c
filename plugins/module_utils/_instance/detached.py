# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Do something to its end in a process and session of its own, whatever happens to the one that asked for it."""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from typing import Any, Callable

from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError


def carry_out_detached(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Run the work in a session of its own and return its result, or raise the MediaError that it ended with.

    If this process is killed meanwhile, or the connection to it breaks, the work goes on to its end all the same.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _be_detached()
        _report(writing, work)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as answers:
        said = answers.read()
    os.waitpid(child, 0)
    if not said:
        raise MediaError(
            "the process that was to change over ended without a word; run again, it finds out what is done"
        )
    answer: dict[str, Any] = json.loads(said)
    if "error" in answer:
        raise MediaError(answer["error"], answer["result"])
    result: dict[str, Any] = answer["result"]
    return result


def _be_detached() -> None:
    os.setsid()
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGPIPE, signal.SIGTERM):
        # A change-over that is left in the middle is worse than one that takes a moment longer. Not SIG_IGN: commands
        # that are run would inherit it, and so would the services that some of them start.
        signal.signal(number, lambda _number, _frame: None)
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    # Nobody may wait for the end of an output that this process still holds.
    sys.stdin = sys.stdout = sys.stderr = open(os.devnull, "r+")  # noqa: SIM115


def _report(writing: int, work: Callable[[], dict[str, Any]]) -> None:
    try:
        answer: dict[str, Any] = {"result": work()}
    except MediaError as exc:
        answer = {"error": str(exc), "result": exc.result}
    except BaseException as exc:  # noqa: BLE001 (the last place where it can be told)
        where = traceback.extract_tb(exc.__traceback__)[-1]
        answer = {"error": f"{type(exc).__name__} in {os.path.basename(where.filename)}:{where.lineno}", "result": {}}
    try:
        with os.fdopen(writing, "wb") as stream:
            stream.write(json.dumps(answer).encode())
    except OSError:
        pass  # nobody listens any more
