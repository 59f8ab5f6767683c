# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is to be said of the boto3 that a machine has, from the versions alone."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, version

from ansible_collections.selfhosted.media.plugins.module_utils._s3.client import BOTO3_MINIMUM, has_boto3

#: What every boto3 comes with; distributions package them apart.
PARTS = ("boto3", "botocore", "s3transfer")
#: What the lowest boto3 asks for.
_BOTOCORE_MINIMUM = (1, 23)
#: The lowest boto3, for sentences.
LOWEST = ".".join(map(str, BOTO3_MINIMUM))
PACKAGES = "the package python3-boto3 (Debian, Ubuntu, Fedora, EPEL) or py3-boto3 (Alpine)"


def installed() -> dict[str, str]:
    """The version of each part, without loading it; that of a part which is not installed is empty."""
    return {name: _version(name) for name in PARTS}


def judge(versions: dict[str, str]) -> tuple[str, str, str]:
    """State (`ok`, `failed` or `unknown`), what was found, and what to do about it."""
    boto3, botocore, s3transfer = (_numbers(versions.get(name, "")) for name in PARTS)
    found = ", ".join(f"{name} {versions[name]}" for name in PARTS if versions.get(name))
    if not boto3 or not botocore:
        return "unknown", f"no version of {'botocore' if boto3 else 'boto3'} is told", ""
    if boto3 < BOTO3_MINIMUM or botocore < _BOTOCORE_MINIMUM:
        return "failed", found, f"install boto3 {LOWEST} or newer, and the botocore that comes with it"
    note, remedy = _fault(boto3, botocore, s3transfer)
    return "ok", f"{found}: {note}" if note else found, remedy


def lack() -> str:
    """What keeps this Python's boto3 from serving, in words that follow on "boto3"; empty if nothing does."""
    if not has_boto3():
        return "is not installed"
    state, found, _remedy = judge(installed())
    return f"is too old ({found})" if state == "failed" else ""


def _fault(boto3: tuple[int, ...], botocore: tuple[int, ...], s3transfer: tuple[int, ...]) -> tuple[str, str]:
    """A known fault of a release, which need not matter here, and what mends it."""
    if s3transfer in ((0, 11, 0), (0, 11, 1)):
        # boto/s3transfer#327; no module of ours uploads by s3transfer
        note = "uploads of other programs that use it carry checksums which many services refuse, whatever is set"
        return note, "update s3transfer to 0.11.2 or newer"
    if (1, 36, 0) <= botocore < (1, 36, 7):
        # "No longer sign transfer-encoding header for SigV4", botocore 1.36.7; boto/boto3#4400
        return (
            "its uploads to AWS may be refused (SignatureDoesNotMatch)",
            "update boto3 and botocore to 1.36.7 or newer",
        )
    if botocore[:2] != _counterpart(boto3):
        return (
            "they are not of the same time",
            "if one cannot be loaded, install both with pip, or both from the system's packages",
        )
    return "", ""


def _counterpart(boto3: tuple[int, ...]) -> tuple[int, ...]:
    """The botocore that a boto3 asks for: until 1.33.0, which skipped three numbers, it was ahead by three."""
    return boto3[:2] if boto3 >= (1, 33) else (boto3[0], boto3[1] + 3)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _numbers(text: str) -> tuple[int, ...]:
    """`1.20.34+dfsg` is (1, 20, 34)."""
    return tuple(int(number) for number in re.findall(r"\d+", re.split(r"[^\d.]", text)[0]))
