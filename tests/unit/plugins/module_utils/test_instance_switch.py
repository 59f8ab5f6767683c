# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The change-over with everything around it played: the order of its steps, and what each failure leaves behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Optional

import pytest
from ansible_collections.selfhosted.media.plugins.module_utils._dotenv.editing import edit
from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._instance import switch as module
from ansible_collections.selfhosted.media.plugins.module_utils._instance.change import Change
from ansible_collections.selfhosted.media.plugins.module_utils._instance.command import Command, CommandFailed, Runner
from ansible_collections.selfhosted.media.plugins.module_utils._instance.health import Page, Unhealthy
from ansible_collections.selfhosted.media.plugins.module_utils._instance.switch import (
    SwitchedSettings,
    UploadedMedia,
    is_on_s3,
    was_cut_off,
)
from ansible_collections.selfhosted.media.plugins.module_utils._objects.address import Address
from ansible_collections.selfhosted.media.plugins.module_utils._sync.account import Account
from ansible_collections.selfhosted.media.plugins.module_utils._sync.job import Job
from ansible_collections.selfhosted.media.plugins.module_utils._sync.verify import Check
from ansible_collections.selfhosted.media.plugins.module_utils._sync.walk import Tree
from ansible_collections.selfhosted.media.tests.stub import FixedAccess, Reply, Stub

DISK, S3 = b"DOMAIN=books.example\nUSE_S3=false\n", b"DOMAIN=books.example\nUSE_S3=true\n"


class World:
    """Notes what is done, and fails where it is told to."""

    def __init__(self, folder: Path, bucket: Address) -> None:
        self.bucket = bucket
        self.env, self.kept = folder / ".env", folder / ".env.before-s3"
        self.env.write_bytes(DISK)
        self.events: list[str] = []
        self.failing: dict[str, Exception] = {}
        self.since: list[tuple[bool, Optional[float]]] = []
        self.verified: list[tuple[Optional[float], Optional[float]]] = []
        self.unverified = False

    def happen(self, event: str) -> None:
        self.events.append(event)
        if is_on_s3(self.env.read_bytes()):
            event += " on s3"
        if event in self.failing:
            raise self.failing[event]

    def switch(self, is_resumed: bool = False) -> Change:
        world = self

        class FakeRunner(Runner):
            def run(self, command: Command, doing: str) -> str:
                world.happen(str(command))
                return ""

        class Looker:
            def look(self) -> Page:
                world.happen("look")
                return Page(200, "", "")

        class Access(FixedAccess):
            def address(self) -> Address:
                if "ask" in world.failing and "stop" in world.events:
                    raise world.failing["ask"]
                return super().address()

        job = Job(Access(self.bucket), Tree(b"/", b""), changed_since=1000.0)
        edited = edit(self.env.read_bytes(), {"USE_S3": "true", "AWS_STORAGE_BUCKET_NAME": "books"})
        settings = SwitchedSettings(str(self.env), edited.content, str(self.kept), is_resumed)
        return Change(
            "the change-over",
            FakeRunner("/"),
            "stop",
            "start",
            Looker(),
            UploadedMedia(job),
            settings,
            health_timeout=0,
        )


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with Stub(lambda _asked: Reply()) as service:
        made = World(tmp_path, service.access.where)
        monkeypatch.setattr(module, "Run", fake_run(made))
        monkeypatch.setattr(module, "Verification", fake_verification(made))
        yield made


def fake_run(made: World) -> type:
    class FakeRun:
        def __init__(self, job: Job) -> None:
            self.job, self.account, self.started = job, Account(), 5000.0

        def carry_out(self) -> None:
            made.since.append((self.job.upload, self.job.changed_since))
            made.happen("copy" if self.job.upload else "fetch")

    return FakeRun


def fake_verification(made: World) -> type:
    class FakeVerification:
        def __init__(self, check: Check) -> None:
            self.check, self.account = check, Account()

        def carry_out(self) -> bool:
            made.verified.append((self.check.changed_since, self.check.older_than))
            if made.unverified and "stop" in made.events:
                self.account.remark("missing", "covers/a.jpg", "not in the bucket")
            return not self.account["missing"]

    return FakeVerification


def fail(world: World) -> str:
    with pytest.raises(MediaError) as caught:
        world.switch().carry_out()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_order(world: World) -> None:
    world.env.chmod(0o640)
    result = world.switch().carry_out()
    assert world.events == ["copy", "stop", "copy", "start", "look"]
    assert world.since == [(True, 998.0), (True, 4998.0)]
    assert world.verified == [(998.0, 4998.0), (4998.0, None)]
    assert is_on_s3(world.env.read_bytes())
    assert world.kept.read_bytes() == DISK
    assert world.kept.stat().st_mode & 0o777 == 0o640
    assert result["status"] == 200


def test_nothing_is_stopped_when_the_copy_before_it_fails(world: World) -> None:
    world.failing = {"copy": MediaError("no room")}
    assert "no room" in fail(world)
    assert world.events == ["copy"]
    assert (world.env.read_bytes(), world.kept.exists()) == (DISK, False)


@pytest.mark.parametrize(
    ("failing", "step", "events"),
    [
        ("stop", "Stopping the services", ["copy", "stop", "start", "look"]),
        ("ask", "Copying what is new", ["copy", "stop", "copy", "start", "look"]),
        ("start on s3", "Starting the services", ["copy", "stop", "copy", "start", "stop", "fetch", "start", "look"]),
        (
            "look on s3",
            "Waiting for the front page",
            ["copy", "stop", "copy", "start", "look", "stop", "fetch", "start", "look"],
        ),
    ],
)
@pytest.mark.parametrize("error", [CommandFailed("it said:\n  no\nway."), Unhealthy("no way"), RuntimeError("no way")])
def test_each_step_is_undone(world: World, failing: str, step: str, events: list[str], error: Exception) -> None:
    world.failing = {failing: error}
    message = fail(world)
    assert message.startswith(f"{step} failed, so the change-over was undone. ")
    assert "no way" in message and "the site answers from its disk again" in message and "run again" in message
    assert world.events == events
    assert (world.env.read_bytes(), world.kept.exists()) == (DISK, False)


def test_the_copy_in_the_stop_fails(world: World) -> None:
    switch = world.switch()
    error = MediaError("1 files could not be copied")

    class Second:
        """The second copy fails, not the first."""

        def __contains__(self, event: str) -> bool:
            return event == "copy" and world.events.count("copy") == 2

        def __getitem__(self, _event: str) -> Exception:
            return error

    world.failing = Second()  # type: ignore[assignment]
    with pytest.raises(
        MediaError, match=r"Copying what is new failed, .* 1 files could not be copied\. The settings of"
    ):
        switch.carry_out()
    assert world.events == ["copy", "stop", "copy", "start", "look"]
    assert (world.env.read_bytes(), world.kept.exists()) == (DISK, False)


def test_what_was_copied_in_the_stop_is_not_there(world: World) -> None:
    world.unverified = True
    message = fail(world)
    assert "Copying what is new failed" in message
    assert "the bucket does not hold what was copied: covers/a.jpg: not in the bucket" in message
    assert world.events == ["copy", "stop", "copy", "start", "look"]
    assert (world.env.read_bytes(), world.kept.exists()) == (DISK, False)


def test_files_that_cannot_be_copied(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    account = Account()
    account.remark("failed", "covers/a.jpg", "permission denied")
    fake = SimpleNamespace(account=account, started=1.0, carry_out=lambda: None)
    monkeypatch.setattr(module, "Run", lambda _job: fake)
    assert "1 file could not be copied; the first: covers/a.jpg: permission denied" in fail(world)
    assert world.events == []


def test_the_settings_cannot_be_written(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_path: str, _data: bytes) -> None:
        raise MediaError("Cannot write .env: there is no room left")

    monkeypatch.setattr(module, "write_atomically", refuse)
    message = fail(world)
    assert message.startswith("Writing the settings failed") and "no room left" in message
    assert world.events == ["copy", "stop", "copy", "start", "look"]
    assert (world.env.read_bytes(), world.kept.exists()) == (DISK, False)


def test_an_undo_that_fails_in_part_tries_the_rest_and_tells(world: World) -> None:
    world.failing = {
        "start on s3": CommandFailed("broken"),
        "fetch on s3": MediaError("S3 is gone"),
        "look": Unhealthy("502"),
    }
    message = fail(world)
    assert "Not all of the undo worked: S3 is gone; 502, for 0 s." in message
    assert "answers from its disk" not in message
    assert world.events[-2:] == ["start", "look"]
    assert world.env.read_bytes() == DISK


def test_a_kept_file_of_an_earlier_migration_is_replaced(world: World) -> None:
    world.kept.write_bytes(b"old")
    world.switch().carry_out()
    assert world.kept.read_bytes() == DISK


def test_an_instance_on_s3_stays_there(world: World) -> None:
    world.env.write_bytes(S3)
    world.kept.write_bytes(DISK)
    switch = world.switch()
    world.failing = {"start on s3": CommandFailed("broken")}
    with pytest.raises(MediaError, match="Not all of the undo worked: broken"):
        switch.carry_out()
    assert (world.env.read_bytes(), world.kept.read_bytes()) == (S3, DISK)
    assert "fetch" not in world.events
    world.failing = {}
    world.switch().carry_out()
    assert is_on_s3(world.env.read_bytes()) and world.kept.read_bytes() == DISK


def test_a_change_over_that_was_cut_off_can_still_be_undone(world: World) -> None:
    world.env.write_bytes(S3)
    world.kept.write_bytes(DISK)
    world.failing = {"start on s3": CommandFailed("broken")}
    with pytest.raises(MediaError, match="the site answers from its disk again"):
        world.switch(is_resumed=True).carry_out()
    assert world.events == ["copy", "stop", "copy", "start", "stop", "fetch", "start", "look"]
    assert (world.env.read_bytes(), world.kept.exists()) == (DISK, False)


def test_a_change_over_that_was_cut_off_is_completed(world: World) -> None:
    world.env.write_bytes(S3)
    world.kept.write_bytes(DISK)
    moment = world.kept.stat().st_mtime_ns
    world.switch(is_resumed=True).carry_out()
    assert is_on_s3(world.env.read_bytes())
    assert (world.kept.read_bytes(), world.kept.stat().st_mtime_ns) == (DISK, moment)


@pytest.mark.parametrize(
    ("env", "kept", "counted", "cut_off"),
    [
        (S3, DISK, {}, True),
        (S3, DISK, {"unchanged": 3}, True),  # the last files that were copied before the settings were written
        (S3, DISK, {"unchanged": 3, "downloaded": 1}, False),
        (S3, DISK, {"conflicts": 1}, False),
        (S3, DISK, {"failed": 1}, False),
        (S3, S3, {}, False),
        (S3, None, {}, False),
        (DISK, DISK, {}, False),
    ],
)
def test_what_was_cut_off(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    env: bytes,
    kept: Optional[bytes],
    counted: dict[str, int],
    cut_off: bool,
) -> None:
    account = Account()
    for kind, number in counted.items():
        account.count(kind, number=number)
    monkeypatch.setattr(module, "Run", lambda _job: SimpleNamespace(account=account, preview=lambda: None))
    world.env.write_bytes(env)
    if kept is not None:
        world.kept.write_bytes(kept)
    job = Job(FixedAccess(world.bucket), Tree(b"/", b""))
    assert was_cut_off(job, str(world.env), str(world.kept)) is cut_off


@pytest.mark.parametrize(
    ("env", "on_s3"), [(S3, True), (DISK, False), (b"", False), (b'USE_S3="True"\r\n', True), (b"#USE_S3=true", False)]
)
def test_which_side(env: bytes, on_s3: bool) -> None:
    assert is_on_s3(env) is on_s3
