# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which failures pass, and how long to wait: as botocore's standard mode does, so that both paths behave the same."""

from __future__ import annotations

import random

#: Statuses that pass: botocore.retries.standard, TransientRetryableChecker; and 429, which it knows by the codes below.
PASSING_STATUSES = frozenset({429, 500, 502, 503, 504})
#: Codes that pass (TransientRetryableChecker), and those that S3 services give in a moment's trouble.
PASSING_CODES = frozenset(
    {"RequestTimeout", "RequestTimeoutException", "PriorRequestNotComplete", "InternalError", "OperationAborted"}
)
#: Codes that ask to slow down: botocore.retries.standard, ThrottledRetryableChecker, and what S3 services say besides.
THROTTLING_CODES = frozenset(
    {
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "RequestThrottledException",
        "TooManyRequestsException",
        "TooManyRequests",
        "ProvisionedThroughputExceededException",
        "TransactionInProgressException",
        "RequestLimitExceeded",
        "BandwidthLimitExceeded",
        "LimitExceededException",
        "RequestThrottled",
        "SlowDown",
        "SlowDownRead",
        "SlowDownWrite",
        "PriorRequestNotComplete",
        "EC2ThrottledException",
    }
)
#: Tries in all: as many as boto3's client is given.
TRIES = 6
#: A service that asks to slow down is there and well: it gets more of them.
THROTTLED_TRIES = 12
_LONGEST_PAUSE = 20.0


def is_throttling(code: str, status: int) -> bool:
    """Whether a service asks to slow down."""
    return code in THROTTLING_CODES or status in (429, 503)


def passes(code: str, status: int) -> bool:
    """Whether the same request may succeed a moment later."""
    return status in PASSING_STATUSES or code in PASSING_CODES or code in THROTTLING_CODES


def pause(tries: int, retry_after: str = "") -> float:
    """How many seconds to wait after so many tries: more each time, never the same for all (botocore: ExponentialBackoff)."""
    wanted = random.random() * min(2.0 ** (tries - 1), _LONGEST_PAUSE)  # noqa: S311 (no secret)
    return max(wanted, min(float(retry_after), 60.0)) if retry_after.isdecimal() else wanted
