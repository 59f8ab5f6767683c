# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said of the boto3 that a machine has."""

from __future__ import annotations

import boto3
import botocore
import pytest
from ansible_collections.selfhosted.media.plugins.module_utils._s3 import boto3_release
from ansible_collections.selfhosted.media.plugins.module_utils._s3.boto3_release import installed, judge


def versions(boto3: str, botocore: str, s3transfer: str) -> dict[str, str]:
    return {"boto3": boto3, "botocore": botocore, "s3transfer": s3transfer}


@pytest.mark.parametrize(
    "good",
    [
        ("1.20.0", "1.23.0", "0.5.0"),
        ("1.20.34+dfsg", "1.23.34+repack", "0.5.0"),
        ("1.26.27", "1.29.27", "0.6.0"),
        ("1.28.62", "1.31.62", "0.7.0"),
        ("1.29.7", "1.32.7", "0.8.0"),
        ("1.33.0", "1.33.0", "0.8.0"),
        ("1.34.46", "1.34.46", "0.10.0"),
        ("1.35.99", "1.35.99", "0.10.4"),
        ("1.36.7", "1.36.7", "0.11.2"),
        ("1.37.9", "1.37.9", ""),
        ("1.44.5", "1.44.5", "0.19.3"),
        ("2.0.0", "2.0.0", "1.0.0"),
    ],
)
def test_a_good_release_is_named_and_no_more(good: tuple[str, str, str]) -> None:
    state, detail, remedy = judge(versions(*good))
    assert (state, remedy) == ("ok", "") and detail.startswith(f"boto3 {good[0]}, botocore {good[1]}")
    assert ":" not in detail


@pytest.mark.parametrize(
    "old", [("1.13.14", "1.16.14", "0.3.3"), ("1.19.12", "1.22.12", "0.5.0"), ("1.20.0", "1.9.253", "")]
)
def test_a_release_that_is_too_old_fails(old: tuple[str, str, str]) -> None:
    state, detail, remedy = judge(versions(*old))
    assert state == "failed" and f"boto3 {old[0]}" in detail and "1.20 or newer" in remedy


@pytest.mark.parametrize(
    ("faulty", "said", "remedy"),
    [
        (("1.36.0", "1.36.0", "0.11.0"), "checksums which many services refuse", "0.11.2"),
        (("1.36.5", "1.36.5", "0.11.1"), "checksums which many services refuse", "0.11.2"),
        (("1.36.6", "1.36.6", "0.11.2"), "SignatureDoesNotMatch", "1.36.7"),
        (("1.40.1", "1.29.27", "0.13.1"), "not of the same time", "both with pip"),
        (("1.32.0", "1.32.0", "0.8.0"), "not of the same time", "both with pip"),
    ],
)
def test_known_faults_are_told(faulty: tuple[str, str, str], said: str, remedy: str) -> None:
    state, detail, advice = judge(versions(*faulty))
    assert state == "ok" and said in detail and remedy in advice


@pytest.mark.parametrize(
    ("found", "missing"),
    [({}, "boto3"), ({"boto3": "1.26.27"}, "botocore"), (versions("unknown", "1.29.27", ""), "boto3")],
)
def test_what_cannot_be_told(found: dict[str, str], missing: str) -> None:
    assert judge(found) == ("unknown", f"no version of {missing} is told", "")


def test_what_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert installed()["boto3"] == boto3.__version__ and installed()["botocore"] == botocore.__version__
    assert judge(installed())[0] == "ok"
    monkeypatch.setattr(boto3_release, "PARTS", ("no-such-part",))
    assert installed() == {"no-such-part": ""}
