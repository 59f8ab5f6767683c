# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a plan tells, and what it does not."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.selfhosted.media.plugins.filter.plan_lines import plan_lines
from ansible_collections.selfhosted.media.plugins.module_utils._dotenv.masking import env_diff
from ansible_collections.selfhosted.media.plugins.module_utils._text.measures import duration, files, size

MEDIA: dict[str, Any] = {
    "uploaded": 412_900,
    "unchanged": 3,
    "bytes": 42_300_000_000,
    "folders": {
        "covers": {"files": 400_000, "bytes": 42_000_000_000},
        "other": {"files": 12_900, "bytes": 300_000_000},
    },
    "types": {"jpg": {"files": 412_899, "bytes": 42_299_999_999}, "png": {"files": 1, "bytes": 1}},
    "requests": 413_313,
    "request_seconds": 0.02,
}
SETTINGS: dict[str, Any] = {"changed_keys": ["USE_S3", "AWS_SECRET_ACCESS_KEY"]}


@pytest.mark.parametrize(
    ("count", "told"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1_000, "1.0 kB"),
        (9_960, "10 kB"),
        (999_600, "1.0 MB"),
        (42_300_000_000, "42 GB"),
    ],
)
def test_sizes(count: int, told: str) -> None:
    assert size(count) == told


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0.2, "a second"), (45, "45 s"), (600, "10 min"), (3 * 3600, "3.0 h"), (3 * 86400, "3.0 days")],
)
def test_times(seconds: float, told: str) -> None:
    assert duration(seconds) == told


def test_numbers_of_files() -> None:
    assert (files(1), files(1234)) == ("1 file", "1,234 files")


def test_a_run_says_little() -> None:
    assert plan_lines(MEDIA, SETTINGS) == [
        "412,900 files (42 GB) to copy, 3 there already",
        "settings to change: USE_S3, AWS_SECRET_ACCESS_KEY",
    ]


def test_a_trial_run_says_how_much_there_is_and_how_long_it_takes() -> None:
    told = plan_lines(MEDIA, {}, provider="ceph", full=True)
    assert told[1] == "    by folder: covers 400,000 files, 42 GB; other 12,900 files, 300 MB"
    assert told[2] == "    by type: jpg 412,899 files, 42 GB; png 1 file, 1 bytes"
    assert told[3] == (
        "    about 413,313 requests: 4 min at 20 ms a request, as listing took, and 32 at a time, if the line carries it;"
        " over 100 Mbit/s the bytes alone take 56 min"
    )


def test_what_was_not_measured_is_not_told() -> None:
    told = plan_lines({**MEDIA, "request_seconds": None}, {}, provider="ceph", full=True)
    assert told[3] == "    about 413,313 requests"
    assert "requests" not in "".join(
        plan_lines({**MEDIA, "uploaded": 0, "folders": {}, "types": {}}, {}, provider="ceph", full=True)
    )


def test_secrets_are_masked() -> None:
    before, after = b"USE_S3=false\nDEBUG=false\n", b"USE_S3=true\nDEBUG=false\nAWS_SECRET_ACCESS_KEY=very-secret\n"
    keys = SETTINGS["changed_keys"]
    diff = env_diff("/opt/bookwyrm/.env", before, after, ["AWS_SECRET_ACCESS_KEY"], keys)
    told = plan_lines({}, {"changed_keys": keys, "diff": [diff, {"before": {}}]}, provider="ceph", full=True)
    assert told == [
        "settings to change in /opt/bookwyrm/.env:",
        "    -USE_S3=false",
        "    +USE_S3=true",
        "    +AWS_SECRET_ACCESS_KEY=******** (changed)",
    ]


def test_what_becomes_of_the_bucket() -> None:
    rules = [{"AllowedOrigins": ["https://books.example"], "AllowedMethods": ["GET", "HEAD"]}]
    bucket = {"name": "books", "is_new": True, "prefixes": ["images/", "static/"], "method": "policy", "cors": rules}
    told = plan_lines({}, {}, publication=bucket, provider="ceph", full=True)
    assert told[:3] == [
        "bucket books would be made",
        "    everybody may read images/ and static/, by a bucket policy; nobody may list it",
        "    CORS: GET, HEAD from https://books.example",
    ]
    assert (
        plan_lines({}, {}, publication={"name": "books", "is_new": False}, provider="ceph", full=True)[0]
        == "bucket books is there"
    )


def test_commands_can_be_pasted_and_those_that_are_none_are_left_out() -> None:
    commands = {"stop": ["systemctl", "stop", "a b.service"], "purge": [], "start": ["cd / && ./start it"]}
    assert plan_lines({}, {}, commands=commands, provider="ceph", full=True)[1:] == [
        "commands, in this order:",
        "    to stop: systemctl stop 'a b.service'",
        "    to start: cd / && ./start it",
    ]


def test_what_the_service_costs_where_that_is_known() -> None:
    (told,) = plan_lines({}, {}, provider="backblaze", full=True)[1:]
    assert told.startswith("cost at Backblaze B2: about 6 USD per TB (20") and "price page" in told
    assert not plan_lines({}, {}, provider="ceph", full=True)[1:]


def test_a_provider_that_is_none() -> None:
    with pytest.raises(AnsibleFilterError, match="plan_lines: "):
        plan_lines({}, {}, provider="backblaise", full=True)
