# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One change at a time, to its end: the lock that dies with its holder, and the process of its own."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._instance.detached import carry_out_detached
from ansible_collections.selfhosted.media.plugins.module_utils._instance.lock import Locked, instance_lock

HOLD = """
import sys, time
from ansible_collections.selfhosted.media.plugins.module_utils._instance.lock import instance_lock
with instance_lock(sys.argv[1], "changing over to S3"):
    print("held", flush=True)
    time.sleep(60)
"""
DETACHED = """
import os, sys, time
from ansible_collections.selfhosted.media.plugins.module_utils._instance.detached import carry_out_detached
def work():
    print("this goes nowhere")
    open(sys.argv[1] + "/started", "w").close()
    time.sleep(1.5)
    os.system("sh -c 'kill -TERM $$'; echo $? > " + sys.argv[1] + "/signals")
    os.rename(sys.argv[1] + "/started", sys.argv[1] + "/ended")
    return {}
carry_out_detached(work)
"""


@contextlib.contextmanager
def script(text: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-c", text, *arguments]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_for(path: Path) -> None:
    end = time.monotonic() + 20
    while not path.exists():
        assert time.monotonic() < end, f"no {path}"
        time.sleep(0.02)


def test_the_second_is_told_who_holds_it_and_since_when(tmp_path: Path) -> None:
    with script(HOLD, str(tmp_path)) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(Locked) as caught, instance_lock(str(tmp_path) + "/.", "another"):
            raise AssertionError("both have it")
        told = (
            rf"changing over to S3, process {holder.pid}, since \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d \S+; wait for its end"
        )
        assert re.search(told, str(caught.value)), caught.value
        with instance_lock(str(tmp_path.parent), "another"):
            pass  # another instance is free
        holder.kill()
        holder.wait()
        with instance_lock(str(tmp_path), "another"):
            pass  # the lock died with its holder


def test_one_that_nobody_looks_at_is_waited_for(tmp_path: Path) -> None:
    """Its ansible-playbook was killed: it will notice that and end. One that is looked at is not."""
    looked = tmp_path / "looked"
    looked.touch()
    hold = HOLD.replace('"changing over to S3"', '"copying", sys.argv[2]').replace(
        "sleep(60)", "sleep(float(sys.argv[3]))"
    )
    with script(hold, str(tmp_path), str(looked), "4") as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with instance_lock(str(tmp_path), "another"):
            assert holder.wait(20) == 0  # it has ended by itself
    with script(hold, str(tmp_path), str(looked), "60") as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        look = threading.Timer(0.5, looked.touch)
        look.start()
        with pytest.raises(Locked, match="copying"), instance_lock(str(tmp_path), "another"):
            raise AssertionError("both have it")
        assert holder.poll() is None
        look.join()


def test_it_is_free_again_after_an_error(tmp_path: Path) -> None:
    with contextlib.suppress(ZeroDivisionError), instance_lock(str(tmp_path), "it"):
        raise ZeroDivisionError
    with instance_lock(str(tmp_path), "it"):
        pass


def test_the_lock_outlives_the_parent_of_a_detached_process(tmp_path: Path) -> None:
    def work() -> dict[str, object]:
        with instance_lock(str(tmp_path), "it"):
            return {"held": True}

    assert carry_out_detached(work) == {"held": True}


def test_the_result_and_the_errors_come_back(tmp_path: Path) -> None:
    assert carry_out_detached(lambda: {"pid": os.getpid(), "sid": os.getsid(0)})["pid"] != os.getpid()
    assert carry_out_detached(lambda: {"same": os.getsid(0) == os.getpid()}) == {"same": True}

    def fail() -> dict[str, object]:
        raise MediaError("no such bucket", {"uploaded": 3})

    with pytest.raises(MediaError, match="no such bucket") as caught:
        carry_out_detached(fail)
    assert caught.value.result == {"uploaded": 3}
    with pytest.raises(MediaError, match=r"KeyError in test_instance_one_at_a_time\.py:\d+"):
        carry_out_detached(lambda: {"x": dict.fromkeys("ab")["c"]})
    with pytest.raises(MediaError, match="ended without a word; run again"):
        carry_out_detached(lambda: os._exit(3))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_it_goes_on_when_the_parent_is_killed(tmp_path: Path, number: signal.Signals) -> None:
    with script(DETACHED, str(tmp_path)) as parent:
        wait_for(tmp_path / "started")
        os.killpg(parent.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            parent.wait(0.5)
        wait_for(tmp_path / "ended")
    assert (tmp_path / "signals").read_text().strip() == "143"  # what it runs can be ended as usual
