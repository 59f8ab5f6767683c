# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write objects as files below a folder, and never outside it."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from dataclasses import dataclass, field
from typing import BinaryIO, Callable, Optional

from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._objects.client import ObjectClient
from ansible_collections.selfhosted.media.plugins.module_utils._objects.retry import TRIES
from ansible_collections.selfhosted.media.plugins.module_utils._objects.xml import RemoteObject
from ansible_collections.selfhosted.media.plugins.module_utils._s3.errors import Gone, Unreachable
from ansible_collections.selfhosted.media.plugins.module_utils._sync.hashing import md5_of_object, new_md5
from ansible_collections.selfhosted.media.plugins.module_utils._sync.keys import shown, why_not_a_path
from ansible_collections.selfhosted.media.plugins.module_utils._sync.pace import Pace
from ansible_collections.selfhosted.media.plugins.module_utils._sync.progress import nothing
from ansible_collections.selfhosted.media.plugins.module_utils._sync.temporary import create
from ansible_collections.selfhosted.media.plugins.module_utils._sync.walk import is_below

_FILE_FOR_FOLDER = "a file stands where a folder is needed; one of the two has to be renamed"
_FOLDER_FOR_FILE = "a folder of this name is on the disk; one of the two has to be renamed"


@dataclass
class Downloader:
    """Writes objects of one bucket below a folder, with the folder's owner and mode. Used from several threads."""

    client: ObjectClient
    root: bytes
    prefix: bytes
    pace: Pace = field(default_factory=lambda: Pace(0))
    #: told how much of a file has come, and taken back when it is whole or has failed
    moved: Callable[[int], None] = nothing

    def __post_init__(self) -> None:
        self._real_root = os.path.realpath(self.root)
        self._model = os.stat(self.root)

    def why_not(self, key: bytes) -> Optional[str]:
        """The reason why an object cannot become a file of its name below the folder, as it is now, or None."""
        return self.why_not_at(key[len(self.prefix) :])

    def why_not_at(self, relative: bytes) -> Optional[str]:
        """The reason why there cannot be a file of a name below the folder, as it is now, or None."""
        reason = why_not_a_path(relative)
        if reason:
            return reason
        folder, name = self._place(relative)
        if not is_below(folder, self._real_root):
            return "a link on its way leads out of the folder; nothing was written there"
        if os.path.isdir(os.path.join(folder, name)):
            return _FOLDER_FOR_FILE
        while not os.path.lexists(folder):
            folder = os.path.dirname(folder)
        return None if os.path.isdir(folder) else _FILE_FOR_FOLDER

    def download(self, remote: RemoteObject, relative: bytes = b"") -> int:
        """Write an object as a file: under a temporary name beside it, checked, then renamed. Returns its size.

        The file has the key's own name below the folder, unless another is given.

        Raises MediaError for a key that cannot be a path below the folder, OSError, or S3Error.
        """
        relative = relative or remote.key[len(self.prefix) :]
        reason = self.why_not_at(relative)
        if reason:
            raise MediaError(reason)
        folder, name = self._place(relative)
        for tries_left in reversed(range(TRIES)):
            try:
                self._make_folder(folder)
                return self._write(remote, folder, name)
            except Unreachable as exc:  # the answer broke off; the client tries again only until the body begins
                if not tries_left or isinstance(exc, Gone):
                    raise
            except NotADirectoryError:  # another object's file came first
                raise MediaError(_FILE_FOR_FOLDER) from None
            except IsADirectoryError:
                raise MediaError(_FOLDER_FOR_FILE) from None
        raise AssertionError("not reached")

    def _place(self, relative: bytes) -> tuple[bytes, bytes]:
        """The folder that a name leads to, links resolved, and the file's name in it."""
        folder, name = os.path.split(os.path.join(self._real_root, relative))
        return os.path.realpath(folder), name

    def _write(self, remote: RemoteObject, folder: bytes, name: bytes) -> int:
        temporary, descriptor = create(folder)
        try:
            with os.fdopen(descriptor, "wb") as stream:
                size = self._fetch(remote, stream)
                self._dress(stream, remote)
                os.rename(temporary, os.path.join(folder, name))  # still locked: nobody takes it for a dead one
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
        return size

    def _fetch(self, remote: RemoteObject, stream: BinaryIO) -> int:
        digest, size = new_md5(), 0
        doing = f"reading {shown(remote.key)} from bucket {self.client.bucket}"
        try:
            with self.client.get(remote.key, doing) as found:
                while True:
                    chunk = found.read()
                    if not chunk:
                        break
                    self.pace.take(len(chunk))
                    digest.update(chunk)
                    size += len(chunk)
                    self.moved(len(chunk))
                    stream.write(chunk)
        finally:
            self.moved(-size)
        told = md5_of_object(found.head)
        if found.head.size not in (size, -1) or (told and digest.hexdigest() != told):
            raise Unreachable(f"{doing} failed: what arrived is not what the service says it holds; run again")
        return size

    def _dress(self, stream: BinaryIO, remote: RemoteObject) -> None:
        """Give the new file the folder's owner and mode and the object's time, and put it on the disk for good."""
        stream.flush()
        descriptor = stream.fileno()
        _like(descriptor, self._model, stat.S_IMODE(self._model.st_mode) & 0o666)
        os.utime(descriptor, ns=(remote.modified_ns, remote.modified_ns))
        os.fsync(descriptor)

    def _make_folder(self, folder: bytes) -> None:
        """Make a folder and those above it, up to the tree's own, which must be there."""
        if os.path.isdir(folder):
            return
        if folder == self._real_root:
            raise FileNotFoundError(errno.ENOENT, "the folder was removed meanwhile", folder)
        self._make_folder(os.path.dirname(folder))
        try:
            os.mkdir(folder, 0o700)
        except FileExistsError:
            return  # another thread was faster
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            _like(descriptor, self._model, stat.S_IMODE(self._model.st_mode))
        finally:
            os.close(descriptor)


def _like(descriptor: int, model: os.stat_result, mode: int) -> None:
    if os.geteuid() == 0:
        os.fchown(descriptor, model.st_uid, model.st_gid)
    os.fchmod(descriptor, mode)
