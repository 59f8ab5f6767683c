# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the summary of a run over many instances tells, from what the roles have registered."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.selfhosted.media.plugins.filter.fleet_batches import fleet_batches
from ansible_collections.selfhosted.media.plugins.filter.fleet_lines import fleet_lines

INFO: dict[str, Any] = {"began": 100.0, "instance": {"domain": "books.example.org"}}
MOVED: dict[str, Any] = {
    "__bookwyrm_info": INFO,
    "__bookwyrm_copy": {"began": 110.0, "uploaded": 10, "bytes": 5_000_000, "changed": True},
    "__bookwyrm_switch": {"began": 120.0, "uploaded": 1, "bytes": 400, "changed": True, "stop_seconds": 4.24},
    "__bookwyrm_report": {"html": "/reports/books.html"},
    "bookwyrm_s3_secret_key": "a secret",
}
THERE: dict[str, Any] = {"__bookwyrm_info": INFO, "__bookwyrm_switch": {"skipped": True, "changed": False}}
FAILED: dict[str, Any] = {
    **{"__bookwyrm_info": INFO, "__bookwyrm_report": {"html": "/reports/club.html"}},
    "__bookwyrm_failure": {"msg": "There is no bucket's name;\nset bookwyrm_s3_bucket."},
}
AGAIN = "Run the same command again when that is mended: what is done is found out and stays."


def lines(hosts: dict[str, dict[str, Any]], absent: tuple[str, ...] = (), **how: Any) -> list[str]:
    return fleet_lines(hosts, list(hosts), [name for name in hosts if name not in absent], **how)


def test_all_went_well() -> None:
    assert lines({"a": MOVED, "b": MOVED, "c": THERE}) == [
        "3 instances: 2 moved, 1 there already",
        "22 files (10 MB) copied",
        "the sites stood still for 8.5 s in all, a the longest with 4.2 s",
    ]


def test_who_fails_is_named_with_sentence_and_report() -> None:
    assert lines({"a": FAILED, "b": THERE}) == [
        "2 instances: 1 there already, 1 failed",
        "0 files copied",
        "failed: a: There is no bucket's name; set bookwyrm_s3_bucket. (report: /reports/club.html)",
        AGAIN,
    ]


def test_what_was_caught_around_the_role_counts_before_what_it_told() -> None:
    told = lines({"a": {**FAILED, "fleet_failure": "Validation of arguments failed."}, "b": THERE})
    assert told[2].startswith("failed: a: Validation of arguments failed.")


@pytest.mark.parametrize("word", ["lost", "unreachable"])
def test_where_it_was_lost(word: str) -> None:
    """Whether the collection has noticed, and kept the host, or Ansible, which drops it."""
    gone = {word: True, "msg": "no route to host"}
    hosts: dict[str, dict[str, Any]] = {
        "a": {"__gramps_web_info": INFO, "__gramps_web_copy": gone},
        "b": {"__gramps_web_info": gone},
        "c": THERE,
    }
    assert lines(hosts, absent=("a", "b") if word == "unreachable" else ())[:4] == [
        "3 instances: 1 there already, 1 lost, 1 not reached",
        "0 files copied",
        "lost: a: no route to host",
        "not reached: b: no route to host",
    ]


def test_hosts_that_ansible_has_dropped() -> None:
    told = lines({"a": {"__bookwyrm_info": INFO}, "b": {}, "c": THERE}, absent=("a", "b"))
    assert told[0] == "3 instances: 1 there already, 1 failed, 1 not reached"
    assert told[2:4] == [
        "failed: a: it dropped out; Ansible has told above with what",
        "not reached: b: it was not looked at",
    ]


def test_what_is_left_of_an_earlier_run_does_not_count() -> None:
    """As of a playbook that migrates, and then migrates again."""
    assert lines({"a": {**MOVED, "__bookwyrm_info": {"began": 200.0}}, "b": THERE})[:2] == [
        "2 instances: 2 there already",
        "0 files copied",
    ]


def test_of_two_applications_on_a_host_the_last_one_counts() -> None:
    later = {"__gramps_web_info": {"began": 300.0}, "__gramps_web_count": {"began": 301.0, "verified": 7}}
    assert lines({"a": {**MOVED, **later}, "b": {}}, action="verify")[:2] == [
        "2 instances: 2 verified",
        "7 files verified",
    ]


@pytest.mark.parametrize(
    ("action", "results", "told"),
    [
        ("sync", {"sync": {"uploaded": 2, "bytes": 9, "changed": True}}, ["1 caught up", "2 files (9 bytes) uploaded"]),
        ("sync", {"sync": {"uploaded": 0, "bytes": 0}}, ["1 with nothing to upload", "0 files uploaded"]),
        (
            "rollback",
            {"back": {"downloaded": 1, "bytes": 9, "changed": True, "stop_seconds": 2}},
            ["1 taken back", "1 file (9 bytes) brought back"],
        ),
        (
            "cleanup",
            {"cleanup": {"removed": 3, "bytes": 9, "changed": True}},
            ["1 cleaned up", "3 files (9 bytes) removed"],
        ),
        ("new", {"started": {"changed": True}}, ["1 set up", "0 files copied"]),
    ],
)
def test_other_actions(action: str, results: dict[str, dict[str, Any]], told: list[str]) -> None:
    host = {"__bookwyrm_info": INFO, **{f"__bookwyrm_{name}": result for name, result in results.items()}}
    first, second, *_rest = lines({"a": host}, action=action)
    assert [first.partition(": ")[2], second] == told


def test_a_trial_run() -> None:
    assert lines({"a": MOVED, "b": THERE}, check=True)[:2] == [
        "2 instances: 1 would be moved, 1 there already",
        "11 files (5.0 MB) would be copied",
    ]


def test_nothing_secret_is_told() -> None:
    assert "a secret" not in str(lines({"a": MOVED, "b": {**FAILED, **MOVED}}))


def test_an_unknown_action() -> None:
    with pytest.raises(AnsibleFilterError, match="action is moving, and has to be one of migrate, "):
        lines({}, action="moving")


@pytest.mark.parametrize(
    ("given", "sizes"),
    [(5, ["5"]), ("20%", ["20%"]), ("1, 5,50%", ["1", "5", "50%"]), ([1, "50%"], ["1", "50%"]), ("100%", ["100%"])],
)
def test_batches(given: Any, sizes: list[str]) -> None:
    assert fleet_batches(given) == sizes


@pytest.mark.parametrize("given", ["", "0", "all", -1, "5 %", [], [1, None], "1,,2"])
def test_what_is_no_batch(given: Any) -> None:
    with pytest.raises(
        AnsibleFilterError, match=r"target_serial is .* a number from 1, such as 5, .* Nothing was changed"
    ):
        fleet_batches(given)
