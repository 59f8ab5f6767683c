# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report: what it takes from registered results, that nothing in it is dangerous or secret, and its charts."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.plugin_utils._report import charts, files, units
from ansible_collections.selfhosted.media.plugins.plugin_utils._report.commands import command_line
from ansible_collections.selfhosted.media.plugins.plugin_utils._report.contact_sheet import MOST_PICTURES
from ansible_collections.selfhosted.media.plugins.plugin_utils._report.content import Report, Share, Step
from ansible_collections.selfhosted.media.plugins.plugin_utils._report.markup import web_origin
from ansible_collections.selfhosted.media.plugins.plugin_utils._report.page import page
from ansible_collections.selfhosted.media.tests.run_module import run_ansible
from ansible_collections.selfhosted.media.tests.unit.report_options import (
    BUCKET,
    FULL,
    HOSTILE,
    VERIFIED,
    report,
    with_texts,
)
from ansible_collections.selfhosted.media.tests.web_page import Page, read_page
from hypothesis import given
from hypothesis import strategies as st


def seen(**options: Any) -> Page:
    return read_page(page(report(**options)))


def test_the_whole_page_is_well_made() -> None:
    found = seen(**FULL)
    assert found.mistakes == []
    assert found.all("html") == [{"lang": "en"}]
    headings = re.findall(r"<h2>([^<]+)", page(report(**FULL)))
    assert len(headings) == len(set(headings)) == 11
    for words in (
        "The media of books.example.org are on S3",
        "1 July 2026, 12:34 (UTC+0200)",
        "12\u202f345",
        "seed 4711",
    ):
        assert words in found.text


def test_what_is_not_given_is_left_out() -> None:
    text = page(report())
    assert "<h2>" not in text
    assert read_page(text).mistakes == []
    assert "None" not in text


def test_each_picture_and_figure_has_words() -> None:
    text = page(report(**FULL))
    assert all(image["alt"] and image["width"] and image["height"] for image in read_page(text).all("img"))
    drawings = re.findall(r"<svg\b.*?</svg>", text)
    assert len(drawings) > 10
    assert all("<title>" in one or "<title id=" in one for one in drawings)


def test_steps_come_from_registered_results() -> None:
    steps = report(**FULL).steps
    assert [one.name for one in steps] == ["Copy", "Verify", "Archives", "By hand"]
    assert steps[1] == Step("Verify", "ok", 2.0, 8.0, "all of them")
    assert [one.state for one in steps[2:]] == ["skipped", "ok"]
    assert report(**FULL).seconds == 10
    failed = report(steps=[{"name": "Copy", "result": {"failed": True, "began": 5, "duration": 1}}])
    assert failed.steps[0].state == "failed"


def test_a_later_look_that_found_something_counts() -> None:
    checks = {one.name: one.state for one in report(**FULL).checks}
    assert checks == {"cors": "ok", "write": "ok", "public_list": "failed"}


def test_probes_tell_what_browsers_saw() -> None:
    assert [(one.name, one.state) for one in report(**FULL).probes] == [("Own pages", "ok"), ("Other pages", "failed")]


def test_a_failure_is_the_headline() -> None:
    found = seen(**{**FULL, "ok": False, "problems": [{"what": "The bucket is not there.", "remedy": "Make it."}]})
    assert "The media of books.example.org were not moved" in found.text
    assert "What went wrong" in found.text and "Make it." in found.text
    assert {"class": "failed"} in found.all("body")


def test_what_was_registered_by_an_earlier_run_is_left_out() -> None:
    steps = [{"name": "Look", "result": {"began": 1005, "duration": 1}}, *FULL["steps"]]
    found = report(**{**FULL, "steps": steps})
    assert [one.name for one in found.steps] == ["Look", "Verify", "Archives", "By hand"]
    assert found.transfer is None and found.verification is not None


def test_what_is_missing_is_not_passed_over() -> None:
    found = report(action="verify", verification={**VERIFIED, "missing": 1000})
    assert found.headline == "32 of 1\u202f033 files of books are in the bucket"


def test_commands_are_ready_to_be_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    task_vars = {
        "inventory_hostname": "books",
        "ansible_inventory_sources": [str(tmp_path / "my hosts.yml"), "/etc/hosts.ini", "a,b,"],
    }
    line = command_line("selfhosted.media.verify", {"x": "it's"}, task_vars)
    words = ["-i", "my hosts.yml", "-i", "/etc/hosts.ini", "-i", "a,b,", "-e", "target=books", "-e", "x=it's"]
    assert shlex.split(line) == ["ansible-playbook", "selfhosted.media.verify", *words]


# --- what is loaded and linked


def test_only_pictures_of_the_sample_are_loaded() -> None:
    found = seen(**FULL)
    assert found.loaded == [f"{BUCKET}/images/own.png", f"{BUCKET}/images/covers/a%20b%231%3F.jpg"]
    assert f"{BUCKET}/images/guide.pdf" in found.linked
    assert not [
        tag for tag, _attributes in found.tags if tag in ("script", "iframe", "object", "embed", "base", "form")
    ]
    assert "url(" not in page(report(**FULL)) and "@import" not in page(report(**FULL))


def test_the_policy_allows_just_that() -> None:
    text = page(report(**FULL))
    style = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style[0].encode()).digest()).decode()
    assert read_page(text).policy == {
        "default-src": ["'none'"],
        "style-src": [f"'sha256-{digest}'"],
        "img-src": [BUCKET],
        "base-uri": ["'none'"],
        "form-action": ["'none'"],
    }
    assert len(style) == 1
    assert not [
        tag
        for tag, attributes in read_page(text).tags
        if "style" in attributes or any(n.startswith("on") for n in attributes)
    ]
    assert seen().policy["img-src"] == ["'none'"]


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)//x.png",
        "data:image/svg+xml;base64,AA.png",
        "file:///etc/passwd.png",
        "//media.example.org/x.png",
        "https://media.example.org;script-src *;/x.png",
        "https://media.example.org script-src *//x.png",
        "https://user:pass@media.example.org/x.png",
        "https://[::1/x.png",
        'https://media.example.org/"onerror=alert(1).png',
        "",
    ],
)
def test_other_urls_are_neither_loaded_nor_linked(url: str) -> None:
    assert web_origin(url) == ""
    found = seen(images=[{"url": url, "name": "the name"}])
    assert found.loaded == [] and found.linked == []
    assert found.policy["img-src"] == ["'none'"]
    assert "the name" in found.text


def test_what_is_too_much_for_a_page_is_linked() -> None:
    found = seen(images=[{"url": f"{BUCKET}/{number}.JPG"} for number in range(MOST_PICTURES + 5)])
    assert len(found.loaded) == MOST_PICTURES
    assert len(set(found.linked)) == MOST_PICTURES + 5


# --- hostile texts


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_texts_are_shown_and_do_nothing(text: str, tmp_path: Path) -> None:
    hostile = report(**with_texts(FULL, text))
    html, twin = files.write(hostile, str(tmp_path))
    found = read_page(Path(html).read_text(encoding="utf-8"))
    assert found.mistakes == []
    ours, theirs = (sorted({tag for tag, _attributes in one.tags}) for one in (seen(**FULL), found))
    assert set(theirs) <= set(ours)
    assert not [attributes for _tag, attributes in found.tags if any(name.startswith("on") for name in attributes)]
    assert all(url.startswith(f"{BUCKET}/") for url in [*found.loaded, *found.linked])
    assert set(found.policy) == {"default-src", "style-src", "img-src", "base-uri", "form-action"}
    shown = re.sub("[\x00\x1b\u202e\ud800]", "\ufffd", text)
    assert found.text.count(shown) > 10
    assert json.loads(Path(twin).read_bytes())["format"] == files.FORMAT


@given(st.text(), st.text())
def test_any_text_makes_a_page(text: str, name: str) -> None:
    found = seen(headline=text, notes=[text], images=[{"url": f"{BUCKET}/{text}.png", "name": name}])
    assert found.mistakes == []
    assert set(found.policy["img-src"]) <= {BUCKET, "'none'"}


# --- secrets


def test_no_secret_is_in_either_file(tmp_path: Path) -> None:
    secret = "s3cr3t/with+signs&more"
    texts = with_texts(FULL, f"before {secret} after")
    texts["images"] = [{"url": f"{BUCKET}/s3cr3t%2Fwith%2Bsigns%26more.png"}]
    for path in files.write(report(**{**texts, "secrets": [secret, ""]}), str(tmp_path)):
        text = Path(path).read_text(encoding="utf-8")
        assert "before ******** after" in text
        assert "s3cr3t" not in text


def test_values_of_secret_settings_are_never_shown() -> None:
    text = page(report(**FULL))
    assert "hunter2" not in text
    assert "EMAIL_HOST_PASSWORD" in text and "AWS_SECRET_ACCESS_KEY" in text


def test_users_of_urls_are_never_shown() -> None:
    shown = report(
        notes=["at https://admin:hunter2@s3.example.org/x it failed"], settings={"URL": "redis://:hunter2@r/0"}
    )
    assert "hunter2" not in files.twin_of(shown) + page(shown)
    assert "s3.example.org/x it failed" in page(shown)


# --- charts


def test_rates_are_what_was_done_in_between() -> None:
    assert charts.rates_of([(0, 0, 0), (2, 100, 1), (4, 500, 2)]) == [(0, 2, 50), (2, 4, 200)]


@given(st.lists(st.tuples(st.floats(0, 1e6), st.integers(0, 10**15), st.integers(0, 10**6)), max_size=130))
def test_any_points_are_drawn_within_the_chart(points: list[tuple[float, int, int]]) -> None:
    rates = charts.rates_of(points)
    assert all(one.end > one.begin and one.rate >= 0 for one in rates)
    assert len(rates) <= charts.MOST_RATES + 1
    drawn = charts.throughput_chart(points)
    if drawn is not None:
        corners = [
            tuple(map(float, one))
            for one in re.findall(r"([\d.-]+) ([\d.-]+)", re.findall(r'class="line" d="M([^"]+)"', drawn)[0])
        ]
        assert corners[0][0] == 0 and corners[-1][0] == charts.WIDTH
        assert all(0 <= x <= charts.WIDTH and 0 <= y <= charts.HEIGHT for x, y in corners)
        assert [x for x, _y in corners] == sorted(x for x, _y in corners)


def test_too_little_is_not_drawn() -> None:
    assert charts.throughput_chart([]) is None
    assert charts.throughput_chart([(0, 0, 0), (1, 10, 1)]) is None


@pytest.mark.parametrize(
    ("value", "top"),
    [(0, 1), (3, 5), (10, 10), (900, 1000), (1100, 2 * 1024), (30 * 1024**2, 50 * 1024**2), (1.2e9, 2 * 1024**3)],
)
def test_scales_end_at_round_numbers(value: float, top: float) -> None:
    assert charts.ceiling(value) == top


@given(st.floats(0, 1e5), st.floats(0, 1e5), st.floats(-10, 1e5))
def test_bars_stay_on_their_rails(part: float, whole: float, begin: float) -> None:
    x, width = re.findall(r'class="bar" x="([\d.-]+)%" width="([\d.-]+)%"', charts.gauge(part, whole, "x", begin))[0]
    assert float(x) >= 0 and float(width) >= 0 and float(x) + float(width) <= 100.01


def test_the_largest_share_comes_first_and_the_others_last() -> None:
    transfer = report(**FULL).transfer
    assert transfer is not None
    assert transfer.types == [Share(".jpg", 9, 3000000), Share(".webp", 20, 100000), Share("other", 1, 900000)]


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        (units.size(0), "0\u00a0bytes"),
        (units.size(1023), "1.0\u00a0kB"),
        (units.size(1536), "1.5\u00a0kB"),
        (units.size(250e6), "250\u00a0MB"),
        (units.duration(0.01), "under 0.1\u00a0s"),
        (units.duration(9.96), "10\u00a0s"),
        (units.duration(59.7), "1\u00a0min 0\u00a0s"),
        (units.duration(7500), "2\u00a0h 5\u00a0min"),
        (units.share(1, 500), "under 1\u00a0%"),
        (units.plural(1, "file", "files"), "1\u00a0file"),
    ],
)
def test_numbers_for_people(told: str, shown: str) -> None:
    assert told == shown


# --- files


def test_an_earlier_report_is_kept(tmp_path: Path) -> None:
    first = files.write(report(notes=["first"]), str(tmp_path / "a" / "b"))
    second = files.write(report(notes=["second"]), str(tmp_path / "a" / "b"))
    assert [Path(path).name for path in (*first, *second)] == [
        "books-migrate-2026-07-01-123456.html",
        "books-migrate-2026-07-01-123456.json",
        "books-migrate-2026-07-01-123456-2.html",
        "books-migrate-2026-07-01-123456-2.json",
    ]
    assert json.loads(Path(first[1]).read_bytes())["notes"] == ["first"]
    assert Path(second[1]).name in Path(second[0]).read_text()


@pytest.mark.parametrize("instance", ["../../etc/cron.d/x", "/", "..", "a" * 500, "C:\\x", "büch\x00er", ""])
def test_a_name_stays_in_its_folder(instance: str, tmp_path: Path) -> None:
    made = files.write(report(instance=instance), str(tmp_path / "reports"))
    assert {Path(path).parent for path in made} == {tmp_path / "reports"}
    assert [path.name for path in tmp_path.iterdir()] == ["reports"]


@pytest.fixture
def unwritable(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "file").write_text("mine")
    yield tmp_path / "file" / "reports"
    assert (tmp_path / "file").read_text() == "mine"


def test_a_folder_that_cannot_be_written_is_named(unwritable: Path) -> None:
    with pytest.raises(
        MediaError,
        match=rf"The report cannot be written to {unwritable} on the controller: Not a directory\. Name a folder",
    ):
        files.write(report(), str(unwritable))


def test_half_a_report_is_not_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_report: Report) -> str:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(files, "twin_of", full)
    with pytest.raises(MediaError, match="No space left on device"):
        files.write(report(), str(tmp_path))
    assert list(tmp_path.iterdir()) == []


# --- as a task


def test_as_a_task(tmp_path: Path) -> None:
    """On the controller, whatever the host is; nothing in check mode; a mistake in the options is named."""
    nowhere = ["-e", "ansible_connection=ssh ansible_host=nowhere.invalid ansible_become=true"]
    arguments = {**FULL, "dest": str(tmp_path / "out"), "secrets": ["as expected"]}
    checked = run_ansible("report", arguments, "--check", *nowhere)
    assert not checked["changed"] and not (tmp_path / "out").exists()
    done = run_ansible("report", arguments, "-vvv", *nowhere)
    assert not done["changed"]
    assert sorted(map(str, (tmp_path / "out").iterdir())) == [done["html"], done["json"]]
    assert json.loads(Path(done["json"]).read_bytes())["instance"] == "books.example.org"
    assert "as expected" not in done["_output"] + Path(done["html"]).read_text()
    wrong = run_ansible("report", {**arguments, "action": "dance"}, *nowhere)
    assert "FAILED!" in wrong["_output"] and "value of action must be one of" in wrong["msg"]
