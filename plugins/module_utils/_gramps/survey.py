# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare what a family tree's database says of its media with the files on the disk.

On S3 Gramps Web finds a file by the checksum of its row alone, so everything that would become a broken picture there
has to be found here, before anything is changed.
"""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Optional

from ansible_collections.selfhosted.media.plugins.module_utils._gramps.rows import FamilyTree, Row
from ansible_collections.selfhosted.media.plugins.module_utils._sync.account import Account
from ansible_collections.selfhosted.media.plugins.module_utils._sync.concurrency import Concurrency
from ansible_collections.selfhosted.media.plugins.module_utils._sync.hashing import md5_of_part
from ansible_collections.selfhosted.media.plugins.module_utils._sync.keys import why_not_a_key
from ansible_collections.selfhosted.media.plugins.module_utils._sync.manifest import Entry, Manifest
from ansible_collections.selfhosted.media.plugins.module_utils._sync.pool import Pool
from ansible_collections.selfhosted.media.plugins.module_utils._sync.progress import Board, Tally
from ansible_collections.selfhosted.media.plugins.module_utils._sync.walk import LocalFile

#: Files hashed at a time.
_HASHED_AT_A_TIME = 8
#: What services take for a content type; the rest would break the request.
_PLAIN = frozenset(map(chr, range(0x20, 0x7F)))
_UNKNOWN_TYPE = "application/octet-stream"
NO_FILE = "there is no such file"


@dataclass(frozen=True)
class Place:
    """Where the files of a family tree lie, and under which keys they are stored."""

    media_dir: str
    #: [prefix/][tree id/]
    prefix: str = ""
    #: folders as the application sees them, and as they are called here
    path_map: tuple[tuple[str, str], ...] = ()
    #: Gramps Web shows nothing outside the folder; the desktop does
    is_confined: bool = True

    def path_of(self, path: str) -> Optional[str]:
        """The file that a row's path means; None for one outside the folder, which Gramps Web does not show.

        It looks at the path alone (werkzeug.security.safe_join), so a link that leads out of the folder is shown.
        """
        found = os.path.normpath(os.path.join(self.media_dir, self._mapped(path)))
        return found if not self.is_confined or _is_below(found, self.media_dir) else None

    def holds(self, path: str) -> bool:
        """Whether a file lies in the folder by its real path too."""
        return not self.is_confined or _is_below(os.path.realpath(path), os.path.realpath(self.media_dir))

    def _mapped(self, path: str) -> str:
        """The path as it is called here."""
        if os.path.isabs(path):
            for inside, outside in sorted(self.path_map, key=lambda pair: len(pair[0]), reverse=True):
                if _is_below(path, inside):
                    return os.path.join(outside, os.path.relpath(path, inside))
        return path

    def key_of(self, checksum: str) -> bytes:
        """The key under which the application looks for a checksum: as it is written, whatever its case."""
        return f"{self.prefix}{checksum}".encode("utf-8", "surrogateescape")


def _is_below(path: str, folder: str) -> bool:
    return os.path.normpath(path).startswith(os.path.normpath(folder).rstrip("/") + "/")


class Hashed(NamedTuple):
    """A file when it was read."""

    status: os.stat_result
    md5: str


class Hashes:
    """The MD5 of files, each read again only when it has been written since."""

    def __init__(self) -> None:
        self._known: dict[str, Hashed] = {}
        self._lock = threading.Lock()

    def of(self, path: str) -> Hashed:
        """A file's MD5 and status. Raises OSError, also for what is no file."""
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise FileNotFoundError(f"{path} is not a file")
            with self._lock:
                known = self._known.get(path)
            if known is None or _identity(known.status) != _identity(status):
                known = Hashed(status, md5_of_part(descriptor, 0, status.st_size).hexdigest())
                with self._lock:
                    self._known[path] = known
            return known
        finally:
            os.close(descriptor)


def _identity(status: os.stat_result) -> tuple[int, int, int, int, int]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


class Found(NamedTuple):
    """A row with the file that it means."""

    row: Row
    path: Optional[str]  # None: outside the folder
    file: Optional[Hashed]
    problem: str = ""


class Absent(NamedTuple):
    """A row whose file is not there."""

    row: Row
    key: bytes
    path: str


@dataclass
class Survey:
    """What became of each row."""

    tree: FamilyTree
    place: Place
    manifest: Manifest
    #: counts and first names: files, shared, mismatched, stored_as_recorded, empty_checksum, outside_base, failed
    account: Account
    absent: list[Absent] = field(default_factory=list)
    #: keys that no file of the disk is stored under
    empty_keys: set[bytes] = field(default_factory=set)
    #: the files of all rows
    paths: set[str] = field(default_factory=set)


def survey(
    tree: FamilyTree,
    place: Place,
    hashes: Hashes,
    store_as_recorded: bool = False,
    tally: Optional[Tally] = None,
) -> Survey:
    """Look at the file of each row. Reads every file; changes nothing. Files that cannot be read are counted as failed."""
    account = Account()
    entries: dict[bytes, Entry] = {}
    done = Survey(tree, place, Manifest.of(os.fsencode(place.media_dir), b"", []), account)
    rows_by_key: dict[bytes, list[Found]] = {}
    for found in _found(tree.rows, place, hashes, tally or Board().tally()):
        if found.path is not None:
            done.paths.add(os.path.normpath(found.path))
        if _is_storable(found, account):
            rows_by_key.setdefault(place.key_of(found.row.checksum), []).append(found)
    for key, rows in rows_by_key.items():
        done.absent += [Absent(found.row, key, found.path) for found in rows if found.path and not found.file]
        chosen = _chosen(rows, place, store_as_recorded, account)
        if chosen is None or chosen.file is None or chosen.path is None:
            done.empty_keys.add(key)
            continue
        account.count("files")
        account.count("shared", number=len(rows) - 1)
        entries[key] = _entry(key, chosen.row, chosen.path, chosen.file)
    done.manifest = Manifest.of(os.fsencode(place.media_dir), place.prefix.encode(), entries.values())
    return done


def _found(rows: Sequence[Row], place: Place, hashes: Hashes, tally: Tally) -> Iterable[Found]:
    """Each row with its file, in their order."""
    results: list[Optional[Found]] = [None] * len(rows)

    def look(number: int) -> None:
        results[number] = found = look_at(rows[number])
        tally.done(found.file.status.st_size if found.file else 0)

    def look_at(row: Row) -> Found:
        path = place.path_of(row.path)
        if path is None:
            return Found(row, None, None)
        try:
            return Found(row, path, hashes.of(path))
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return Found(row, path, None)
        except (OSError, ValueError) as exc:  # ValueError: a NUL byte in the path
            reason = exc.strerror if isinstance(exc, OSError) else None
            return Found(row, path, None, reason or str(exc))

    tally.found(len(rows), 0)
    tally.range_ended()
    pool: Pool[int] = Pool(look, Concurrency(_HASHED_AT_A_TIME))
    for number in range(len(rows)):
        if not pool.put(number):
            break
    pool.finish()
    return [found for found in results if found is not None]


def _is_storable(found: Found, account: Account) -> bool:
    """Whether a row has a key at all that counts; if not, what is the matter with it is noted."""
    row = found.row
    if found.problem:
        account.remark("failed", row.name, f"its file cannot be read: {found.problem}")
    elif found.path is None:
        account.remark("outside_base", row.name, "outside the media folder, so Gramps Web does not show it; left out")
    elif not row.checksum and found.file is None:
        account.remark("missing", row.name, f"{NO_FILE}, and the row has no checksum")
    elif not row.checksum:
        account.remark("empty_checksum", row.name, "has no checksum in the database, so it cannot be found on S3")
    elif why_not_a_key(found.row.checksum.encode("utf-8", "surrogateescape")):
        account.remark("mismatched", row.name, "what the database records as its checksum is none")
    else:
        return True
    return False


def _chosen(rows: list[Found], place: Place, store_as_recorded: bool, account: Account) -> Optional[Found]:
    """The row, of those that share a key, whose file is stored; what is the matter with the others is noted."""
    right = [found for found in rows if found.file and found.file.md5 == found.row.checksum.lower()]
    wrong = [found for found in rows if found.file and found.file.md5 != found.row.checksum.lower()]
    contents = {found.file.md5 for found in wrong if found.file}
    # A link out of the folder is followed to what the database has recorded, and to nothing else.
    is_inside = all(place.holds(found.path) for found in wrong if found.path)
    is_stored = store_as_recorded and not right and len(contents) == 1 and is_inside
    for found in wrong:
        md5 = found.file.md5 if found.file else ""
        reason = f"its file has the checksum {md5}, the database records {found.row.checksum}"
        account.remark("stored_as_recorded" if is_stored else "mismatched", found.row.name, reason)
    if right:
        return right[0]
    return wrong[0] if is_stored else None


def _entry(key: bytes, row: Row, path: str, file: Hashed) -> Entry:
    status = file.status
    local = LocalFile(key, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
    is_plain = row.mime and _PLAIN.issuperset(row.mime)
    return Entry(
        local, os.fsencode(path), file.md5, row.mime if is_plain else _UNKNOWN_TYPE, row.name.encode("utf-8", "replace")
    )
