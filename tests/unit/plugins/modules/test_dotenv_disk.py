# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""dotenv on disks that are full, read-only or odd, and killed while it writes: the `.env` is the old one or the new one."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import random
import shutil
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.selfhosted.media.plugins.module_utils._dotenv import edit
from ansible_collections.selfhosted.media.plugins.module_utils._io import keep_copy, write_atomically
from ansible_collections.selfhosted.media.tests.dotenv_readers import read_by_all
from ansible_collections.selfhosted.media.tests.run_module import run_module

OLD = b"# settings\nUSE_S3=false\nSECRET_KEY=former\n"
NEW = b"# settings\nUSE_S3=true\nSECRET_KEY=later\n"


def change(path: Path, **options: Any) -> dict[str, Any]:
    return run_module(
        "dotenv", {"path": str(path), "values": {"USE_S3": True}, "secret_values": {"SECRET_KEY": "later"}, **options}
    )


def refused(path: Path, says: str, **options: Any) -> None:
    """It fails with a sentence that names the file and the reason, and everything is as it was."""
    folder = path.parent
    before = {name: (folder / name).read_bytes() for name in os.listdir(folder)}
    mode = path.stat().st_mode
    result = change(path, **options)
    assert result["failed"]
    assert str(path) in result["msg"]
    assert says in result["msg"]
    assert "later" not in str(result)
    assert {name: (folder / name).read_bytes() for name in os.listdir(folder)} == before
    assert path.stat().st_mode == mode


def mount(*words: str) -> None:
    done = subprocess.run(["mount", *words], check=False, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")


def write_old(path: Path) -> Path:
    path.write_bytes(OLD)
    path.chmod(0o640)
    return path


@pytest.fixture
def env_file(tmp_path: Path) -> Path:
    return write_old(tmp_path / ".env")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 16 blocks of 4 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount("-t", "tmpfs", "-o", "size=64k", "none", str(folder))
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path, leave: int = 0) -> None:
    """Fill the file system up to some blocks."""
    room = os.statvfs(folder)
    (folder / "media").write_bytes(b"x" * (room.f_bavail - leave) * room.f_bsize)


def test_a_full_disk(disk: Path) -> None:
    path = write_old(disk / ".env")
    fill(disk)
    refused(path, f"Cannot write {path}: there is no room left on its filesystem")
    refused(path, f"Cannot copy {path} to ", backup=True)
    (disk / "media").unlink()
    assert change(path)["changed"]
    assert path.read_bytes() == NEW


def test_a_disk_with_room_for_the_backup_alone(disk: Path) -> None:
    path = write_old(disk / ".env")
    fill(disk, leave=1)
    refused(path, f"Cannot write {path}: there is no room left on its filesystem", backup=True)


def test_a_new_file_on_a_full_disk(disk: Path) -> None:
    template = write_old(disk / ".env.example")
    fill(disk)
    result = change(disk / ".env", template=str(template))
    assert result["failed"]
    assert "no room left" in result["msg"]
    assert sorted(os.listdir(disk)) == [".env.example", "media"]


def test_a_read_only_disk(disk: Path) -> None:
    path = write_old(disk / ".env")
    mount("-o", "remount,ro", str(disk))
    refused(path, "Read-only file system")
    refused(path, "Read-only file system", backup=True)


@pytest.mark.parametrize("what", ["file", "folder"])
def test_what_is_marked_immutable(env_file: Path, what: str) -> None:
    marked = str(env_file if what == "file" else env_file.parent)
    done = subprocess.run(["chattr", "+i", marked], check=False, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"nothing can be marked immutable here: {done.stderr.strip()}")
    try:
        refused(env_file, "It may be marked immutable")
        refused(env_file, "It may be marked immutable", backup=True)
    finally:
        subprocess.run(["chattr", "-i", marked], check=True)


def test_a_file_that_is_mounted_by_itself(env_file: Path) -> None:
    """Written in place it would be half written for a moment; what is mounted there can be replaced in its own folder."""
    place = env_file.parent / "container" / ".env"
    place.parent.mkdir()
    place.touch()
    mount("--bind", str(env_file), str(place))
    try:
        refused(place, "it is mounted by itself")
        refused(place, "it is mounted by itself", backup=True)
    finally:
        subprocess.run(["umount", str(place)], check=True)
    assert env_file.read_bytes() == OLD


def test_a_link_stays_and_its_file_is_changed(env_file: Path, tmp_path: Path) -> None:
    link = tmp_path / "app" / ".env"
    link.parent.mkdir()
    link.symlink_to("../.env")
    result = change(link, backup=True)
    assert os.readlink(link) == "../.env"
    assert env_file.read_bytes() == NEW
    assert stat.S_IMODE(env_file.stat().st_mode) == 0o640
    backup = Path(result["backup_file"])
    assert backup.parent == link.parent
    assert not backup.is_symlink()
    assert backup.read_bytes() == OLD
    assert not change(link)["changed"]


def test_a_link_into_a_full_disk(disk: Path, tmp_path: Path) -> None:
    path = write_old(disk / ".env")
    fill(disk)
    link = tmp_path / ".env"
    link.symlink_to(path)
    result = change(link)
    assert result["failed"]
    assert f"Cannot write {link}: there is no room left" in result["msg"]
    assert path.read_bytes() == OLD
    assert sorted(os.listdir(disk)) == [".env", "media"]


def test_another_hard_link_keeps_the_old_content(env_file: Path) -> None:
    """As a backup by hard links (rsync --link-dest) must."""
    backup = env_file.with_name("of-yesterday")
    os.link(env_file, backup)
    assert change(env_file)["changed"]
    assert env_file.read_bytes() == NEW
    assert backup.read_bytes() == OLD


def test_access_lists_and_attributes_stay(env_file: Path) -> None:
    try:
        os.setxattr(env_file, "user.kept", b"yes")
    except OSError:
        pytest.skip("no extended attributes on this filesystem")
    if shutil.which("setfacl"):
        subprocess.run(["setfacl", "-m", "u:1234:r", str(env_file)], check=True)
    attributes = {name: os.getxattr(env_file, name) for name in os.listxattr(env_file)}
    backup = change(env_file, backup=True)["backup_file"]
    for path in (env_file, backup):
        assert {name: os.getxattr(path, name) for name in os.listxattr(path)} == attributes


# --- Killed ---

KILLS = int(os.environ.get("CHAOS_KILLS", "100"))


def write_for_ever(path: str, first: int, ready: Any) -> None:
    """What the module does, over and over, with values of every length."""
    for number in itertools.count(first):
        content = edit(OLD, {"NUMBER": str(number), "FILLER": "x" * (number * 97 % 60_000)}).content
        keep_copy(path, f"{path}.{os.getpid()}.{number}~")
        write_atomically(path, content)
        os.unlink(f"{path}.{os.getpid()}.{number}~")
        ready.set()


def whole(content: bytes) -> bool:
    """Whether it is the old content, or one that was written."""
    if content == OLD:
        return True
    number = content.partition(b"NUMBER=")[2].partition(b"\n")[0].decode()
    return content == edit(OLD, {"NUMBER": number, "FILLER": "x" * (int(number) * 97 % 60_000)}).content


def test_killed_at_any_moment(env_file: Path) -> None:
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    choose = random.Random(seed)
    fork = multiprocessing.get_context("fork")  # a new Python each time would take most of the time
    seen, leftovers = {OLD}, 0
    for _number in range(KILLS):
        ready = fork.Event()
        writer = fork.Process(target=write_for_ever, args=(str(env_file), choose.randrange(1 << 20), ready))
        writer.start()
        assert ready.wait(30)
        time.sleep(choose.random() * 0.02)
        writer.kill()
        writer.join()
        content = env_file.read_bytes()
        assert whole(content)
        seen.add(content)
        others = [path for path in env_file.parent.iterdir() if path != env_file]
        leftovers += sum(path.name.endswith(".tmp") for path in others)
        # Whatever it was doing, nobody else may read what is there, and a backup is whole.
        for path in others:
            assert stat.S_IMODE(path.stat().st_mode) in (0o600, 0o640)
            assert path.name.endswith(".tmp") or whole(path.read_bytes())
            if path.name.endswith("~"):
                path.unlink()
    assert len(seen) > KILLS / 4
    assert leftovers > 0
    change(env_file)
    assert os.listdir(env_file.parent) == [".env"]
    assert stat.S_IMODE(env_file.stat().st_mode) == 0o640
    sample = sorted(seen, key=len)[:: max(1, len(seen) // 10)]
    for reader, readings in read_by_all(sample, env_file.parent / "seen").items():
        for content, reading in zip(sample, readings):
            assert reading, reader
            assert reading["SECRET_KEY"] == "former"
            assert content == OLD or len(reading["FILLER"]) == int(reading["NUMBER"]) * 97 % 60_000
