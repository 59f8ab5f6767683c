# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The worker, the scheduler and the monitor of the stand-in: python -m celerywyrm worker|beat|flower|status."""

import json
import logging
import os
import signal
import sys
import time
from typing import Any

import django
import redis
from environs import Env

logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
log = logging.getLogger("celerywyrm")
stopping = False


def stop(*_args: Any) -> None:
    """Finish the job at hand, then end."""
    global stopping
    stopping = True


def work() -> None:
    """Make thumbnails until told to stop; a job that fails is tried again."""
    from bookwyrm import thumbnails

    broker = thumbnails.broker()
    while not stopping:
        try:
            taken: Any = broker.blpop([thumbnails.QUEUE], timeout=1)
        except redis.RedisError as error:
            log.warning("no queue: %s", error)
            time.sleep(1)
            continue
        if not taken:
            continue
        job = json.loads(taken[1])
        try:
            thumbnails.generate(job["cover"])
            log.info("thumbnails of %s", job["cover"])
        except FileNotFoundError:
            log.warning("%s is gone", job["cover"])
        except Exception:
            log.exception("thumbnails of %s", job["cover"])
            if job.get("tries", 0) < 10:
                broker.rpush(thumbnails.QUEUE, json.dumps({**job, "tries": job.get("tries", 0) + 1}))
            time.sleep(0.5)


def tick() -> None:
    """Be there, as the scheduler and the monitor are."""
    while not stopping:
        time.sleep(0.2)


def status() -> None:
    """Say whether the queue answers."""
    from bookwyrm import thumbnails

    thumbnails.broker().ping()


if __name__ == "__main__":
    Env.read_env()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bookwyrm.settings")
    django.setup()
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name not in ("worker", "beat", "flower", "status"):
        sys.exit("usage: python -m celerywyrm worker|beat|flower|status")
    log.info("%s started", name)
    {"worker": work, "beat": tick, "flower": tick, "status": status}[name]()
