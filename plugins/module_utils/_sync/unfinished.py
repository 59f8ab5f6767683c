# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Remember the multipart uploads that we have begun, so that those of a killed run can be taken up or given up.

A service does not tell who began an upload, and what is not ours must never be touched. So each one is noted in a small
file of its own, which its process holds locked; a file that nobody locks was left behind by a process that is no more.
Where the notes are lost or cannot be written, unfinished uploads are simply left to the bucket's own lifecycle rules.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
from dataclasses import dataclass, field
from typing import Any, Optional


def default_folder() -> str:
    """Where the notes are: in the user's folder for state (XDG Base Directory Specification)."""
    state = os.environ.get("XDG_STATE_HOME") or os.path.join(os.path.expanduser("~"), ".local", "state")
    return os.path.join(state, "selfhosted.media", "uploads")


@dataclass
class Mark:
    """One upload's note."""

    scope: str
    key: bytes
    #: fingerprint of what is uploaded, and how
    what: str = ""
    upload_id: str = ""
    #: uploads of the same key that were begun before it, to be given up once its object is there
    former: list[str] = field(default_factory=list)
    #: whether the object that has the key was made by another upload than the former ones
    is_replaced: bool = False
    #: when it was begun, by our clock: without an id, its process was killed before it knew it
    begun: float = 0.0
    #: whether the upload that was found is of what is now to be uploaded
    is_same: bool = False
    _path: str = ""
    _descriptor: Optional[int] = None
    #: whether the request to begin it was sent more than once
    is_repeated: bool = False

    def repeat(self) -> None:
        """The request to begin it is sent once more: nobody knows whether the service has carried out the one before."""
        self.is_repeated = True

    def write(self) -> None:
        """Note the upload: before it is begun, then with its id. Where that is not possible it is done without."""
        if self._descriptor is None:
            return
        fields: dict[str, Any] = {"scope": self.scope, "key": os.fsdecode(self.key), "what": self.what}
        fields.update(upload_id=self.upload_id, former=self.former, replaced=self.is_replaced, begun=str(self.begun))
        with contextlib.suppress(OSError):
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, json.dumps(fields).encode(), 0)

    def remove(self) -> None:
        """Forget the upload: it has ended."""
        self.upload_id, self.former, self.begun = "", [], 0.0
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
                os.unlink(self._path)
        self.release()

    def release(self) -> None:
        """Leave the note to whoever comes next."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


class Unfinished:
    """The notes about uploads below a prefix of one bucket."""

    def __init__(self, scope: str, prefix: bytes, folder: str = "") -> None:
        #: scope names the bucket and its service
        self._scope = scope
        self._prefix = prefix
        self._folder = folder or default_folder()

    def take(self, key: bytes, what: str) -> Mark:
        """The note for a key, empty or with what a killed run has left."""
        mark = Mark(self._scope, key, hashlib.sha256(what.encode()).hexdigest())
        name = hashlib.sha256(self._scope.encode() + b"\0" + key).hexdigest()
        path = os.path.join(self._folder, name)
        try:
            os.makedirs(self._folder, 0o700, exist_ok=True)
            descriptor = _locked(path, os.O_CREAT)
        except OSError:
            return mark
        if descriptor is None:  # another run is at this file right now
            return mark
        mark._path, mark._descriptor = path, descriptor
        fields = _read(descriptor)
        if fields.get("scope") == self._scope and fields.get("key") == os.fsdecode(key):
            mark.upload_id, mark.begun = str(fields.get("upload_id", "")), _moment(fields)
            mark.former, mark.is_replaced = _former(fields), fields.get("replaced") is True
            mark.is_same = fields.get("what") == mark.what
        return mark

    def left_behind(self) -> list[Mark]:
        """The notes of processes that are no more."""
        marks = []
        try:
            names = sorted(os.listdir(self._folder))
        except OSError:
            return []
        for name in names:
            path = os.path.join(self._folder, name)
            try:
                descriptor = _locked(path, 0)
            except OSError:
                continue
            if descriptor is None:
                continue
            fields = _read(descriptor)
            key = os.fsencode(str(fields.get("key", "")))
            if fields.get("scope") == self._scope and key.startswith(self._prefix):
                upload_id, former = str(fields.get("upload_id", "")), _former(fields)
                replaced = fields.get("replaced") is True
                marks.append(
                    Mark(self._scope, key, "", upload_id, former, replaced, _moment(fields), False, path, descriptor)
                )
            else:
                os.close(descriptor)
        return marks


def _locked(path: str, flags: int) -> Optional[int]:
    """A descriptor of a note with its lock; None where another process has it. Raises OSError."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | flags, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        except BaseException:
            os.close(descriptor)
            raise
        if os.fstat(descriptor).st_nlink:
            return descriptor
        os.close(descriptor)  # its owner removed it just now


def _moment(fields: dict[str, Any]) -> float:
    try:
        return float(fields.get("begun", 0))
    except (TypeError, ValueError):
        return 0.0


def _former(fields: dict[str, Any]) -> list[str]:
    told = fields.get("former")
    return [str(one) for one in told] if isinstance(told, list) else []


def _read(descriptor: int) -> dict[str, Any]:
    try:
        fields = json.loads(os.pread(descriptor, 64 * 1024, 0))
    except ValueError:
        return {}
    return fields if isinstance(fields, dict) else {}
