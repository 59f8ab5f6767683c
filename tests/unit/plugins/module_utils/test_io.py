# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files are replaced whole or not at all, nobody gets to see more of them, and nothing is left lying about."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._io import keep_copy, read_file, write_atomically

ROOT = os.geteuid() == 0
needs_root = pytest.mark.skipif(not ROOT, reason="needs root, to give files away")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / ".env"
    path.write_bytes(b"old\n")
    path.chmod(0o640)
    return path


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def names_in(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


def test_the_old_files_mode_stays(file: Path) -> None:
    write_atomically(str(file), b"new\x00\xff\n")
    assert file.read_bytes() == b"new\x00\xff\n"
    assert mode_of(file) == 0o640
    assert names_in(file.parent) == [".env"]


def test_a_new_file_is_private(tmp_path: Path) -> None:
    write_atomically(str(tmp_path / "new"), b"x")
    assert mode_of(tmp_path / "new") == 0o600
    write_atomically(str(tmp_path / "other"), b"x", mode=0o664)
    assert mode_of(tmp_path / "other") == 0o664


@needs_root
def test_owner_and_group_stay_or_are_given(file: Path) -> None:
    os.chown(file, 1234, 4321)
    file.chmod(0o4640)
    write_atomically(str(file), b"new\n")
    assert (file.stat().st_uid, file.stat().st_gid, mode_of(file)) == (1234, 4321, 0o4640)
    write_atomically(str(file), b"newer\n", mode=0o600, gid=99)
    assert (file.stat().st_uid, file.stat().st_gid, mode_of(file)) == (1234, 99, 0o600)


def test_extended_attributes_stay(file: Path) -> None:
    try:
        os.setxattr(file, "user.kept", b"yes")
    except OSError:
        pytest.skip("no extended attributes on this filesystem")
    write_atomically(str(file), b"new\n")
    assert os.getxattr(file, "user.kept") == b"yes"


def test_a_symlink_stays_and_its_target_is_written(file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "real"
    folder.mkdir()
    target = folder / "settings"
    file.rename(target)
    file.symlink_to("real/settings")
    write_atomically(str(file), b"new\n")
    assert file.is_symlink()
    assert target.read_bytes() == b"new\n"
    assert mode_of(target) == 0o640
    dangling = tmp_path / "dangling"
    dangling.symlink_to("real/not-yet")
    assert read_file(str(dangling)) is None
    write_atomically(str(dangling), b"x")
    assert (folder / "not-yet").read_bytes() == b"x"


@pytest.mark.parametrize("call", ["write", "fsync", "fchmod", "replace"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EPERM])
def test_a_failure_leaves_the_old_file_and_no_other(
    call: str, number: int, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(MediaError) as caught:
        write_atomically(str(file), b"new\n")
    monkeypatch.undo()
    assert str(file) in str(caught.value)
    assert "is as it was" in str(caught.value)
    assert ("no room left" in str(caught.value)) == (number in (errno.ENOSPC, errno.EDQUOT))
    assert file.read_bytes() == b"old\n"
    assert names_in(file.parent) == [".env"]


def test_what_a_killed_writer_left_is_removed_and_a_living_ones_kept(file: Path) -> None:
    dead = file.with_name("..env.dead.selfhosted-media.tmp")
    living = file.with_name("..env.living.selfhosted-media.tmp")
    others = file.with_name("..env.local.swp")
    for path in (dead, living, others):
        path.write_bytes(b"secret")
    with living.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        write_atomically(str(file), b"new\n")
        assert names_in(file.parent) == sorted([".env", living.name, others.name])
    keep_copy(str(file), str(file.with_name(".env.before")))
    assert names_in(file.parent) == sorted([".env", ".env.before", others.name])


def test_a_copy_is_exact_and_as_private(file: Path) -> None:
    copy = file.with_name(".env.before-s3")
    file.chmod(0o400)
    keep_copy(str(file), str(copy))
    assert copy.read_bytes() == b"old\n"
    assert mode_of(copy) == 0o400
    assert names_in(file.parent) == [".env", ".env.before-s3"]


@needs_root
def test_a_copy_has_the_same_owner(file: Path) -> None:
    os.chown(file, 1234, 4321)
    copy = file.with_name("copy")
    keep_copy(str(file), str(copy))
    assert (copy.stat().st_uid, copy.stat().st_gid) == (1234, 4321)


def test_a_copy_never_replaces_anything(file: Path) -> None:
    copy = file.with_name("copy")
    copy.symlink_to("nowhere")
    with pytest.raises(MediaError, match="a file of that name already"):
        keep_copy(str(file), str(copy))
    assert names_in(file.parent) == [".env", "copy"]
    assert os.readlink(copy) == "nowhere"
    with pytest.raises(MediaError, match="no such file"):
        keep_copy(str(file.with_name("none")), str(file.with_name("new")))


def test_a_copy_is_private_from_its_first_byte(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.chmod(0o600)
    seen = []
    write = os.write

    def watched(fd: int, data: bytes) -> int:
        seen.append(stat.S_IMODE(os.fstat(fd).st_mode))
        return write(fd, data)

    monkeypatch.setattr(os, "write", watched)
    keep_copy(str(file), str(file.with_name("copy")))
    write_atomically(str(file), b"new\n", mode=0o644)
    assert seen == [0o600, 0o600]


@pytest.mark.skipif(ROOT and not shutil.which("setpriv"), reason="root may read and write everything")
def test_what_may_not_be_read_or_written_is_said(file: Path, tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from ansible_collections.selfhosted.media.plugins.module_utils import _errors, _io\n"
        "for call in (lambda: _io.read_file(sys.argv[1]), lambda: _io.write_atomically(sys.argv[1], b'x')):\n"
        "    try: call()\n"
        "    except _errors.MediaError as exc: print(exc)\n"
    )
    file.chmod(0)
    tmp_path.chmod(0o555)
    drop = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if ROOT else []
    command = [*drop, sys.executable, "-c", code, str(file)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    tmp_path.chmod(0o755)
    if done.returncode:
        pytest.skip(f"cannot give up root's rights here: {done.stderr.strip()[-200:]}")
    assert done.stdout.splitlines() == [
        f"Cannot read {file}: permission denied. Run as the file's owner or as root (become: true).",
        f"Cannot write {file}: permission denied. Run as the file's owner or as root (become: true). {file} is as it was.",
    ]


def test_what_is_no_file_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    assert read_file(str(tmp_path / "none")) is None
    with pytest.raises(MediaError, match="is a directory"):
        read_file(str(tmp_path))
    with pytest.raises(MediaError, match="not a regular file"):
        read_file(str(tmp_path / "pipe"))
    with pytest.raises(MediaError, match="symbolic links"):
        read_file(str(tmp_path / "loop"))
    with pytest.raises(MediaError, match="its directory does not exist"):
        write_atomically(str(tmp_path / "no" / "file"), b"x")
