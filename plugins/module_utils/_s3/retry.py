# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asking again: for what a service refuses for a moment, and until it shows what was written."""

from __future__ import annotations

import time
from typing import Callable, TypeVar

from ansible_collections.selfhosted.media.plugins.module_utils._s3.errors import S3Error, Throttled, explain

try:
    from botocore.exceptions import BotoCoreError, ClientError

    BOTO_ERRORS: tuple[type[Exception], ...] = (BotoCoreError, ClientError)
except ImportError:  # the module says so before anything is called
    BOTO_ERRORS = ()

T = TypeVar("T")

#: Refusals that pass: another change of the same bucket is under way, or the service is busy.
PASSING = frozenset({"OperationAborted", "ConflictingOperationInProgress", "InternalError", "RequestTimeout", "500"})
_PAUSES = (0.2, 0.5, 1.0, 2.0, 4.0, 8.0)


def ask(call: Callable[[], T], doing: str, also: frozenset[str] = frozenset()) -> T:
    """Call, again after a pause where the refusal passes; every other failure becomes an S3Error.

    `also` names further codes that pass here, such as NoSuchBucket just after the bucket was created.
    """
    for pause in (*_PAUSES, None):
        try:
            return call()
        except BOTO_ERRORS as exc:
            error = explain(exc, doing)
        if pause is None or not (isinstance(error, Throttled) or error.code in PASSING | also):
            raise error
        time.sleep(pause)
    raise AssertionError("unreachable")


def wait_until(shown: Callable[[], bool], doing: str, seconds: float = 15) -> None:
    """Ask until the service shows what was written. Some need seconds; one that never does has not stored it."""
    end = time.monotonic() + seconds
    pause = 0.1
    while not shown():
        if time.monotonic() > end:
            raise S3Error(f"{doing}: the service accepted it, but does not show it after {seconds:.0f} s")
        time.sleep(pause)
        pause = min(pause * 2, 2)
