# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write objects as files below a folder, and never outside it."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO, Callable

from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._s3.errors import Unreachable, explained
from ansible_collections.selfhosted.media.plugins.module_utils._sync.hashing import CHUNK, is_md5, new_md5
from ansible_collections.selfhosted.media.plugins.module_utils._sync.keys import shown, why_not_a_path
from ansible_collections.selfhosted.media.plugins.module_utils._sync.listing import RemoteObject
from ansible_collections.selfhosted.media.plugins.module_utils._sync.pace import Pace

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client

_TEMPORARY = b".selfhosted-media-"
_TRIES = 4


@dataclass
class Downloader:
    """Writes objects of one bucket below a folder, with the folder's owner and mode. Used from several threads."""

    client: S3Client
    bucket: str
    root: bytes
    prefix: bytes
    pace: Pace = field(default_factory=lambda: Pace(0))

    def __post_init__(self) -> None:
        self._real_root = os.path.realpath(self.root)
        self._model = os.stat(self.root)

    def download(self, remote: RemoteObject) -> int:
        """Write an object as a file: under a temporary name beside it, checked, then renamed. Returns its size.

        Raises MediaError for a key that cannot be a path below the folder, OSError, or S3Error.
        """
        relative = remote.key[len(self.prefix) :]
        reason = why_not_a_path(relative)
        if reason:
            raise MediaError(reason)
        path = os.path.join(self._real_root, relative)
        self._make_folder(os.path.dirname(path))
        if os.path.isdir(path):
            raise MediaError("a folder of this name is on the disk; one of the two has to be renamed")
        for tries_left in reversed(range(_TRIES)):
            try:
                return self._write(remote, path)
            except Unreachable:  # the answer broke off; botocore itself tries again only until the body begins
                if not tries_left:
                    raise
        raise AssertionError("not reached")

    def _write(self, remote: RemoteObject, path: bytes) -> int:
        temporary = os.path.join(os.path.dirname(path), _TEMPORARY + secrets.token_hex(8).encode())
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
            with os.fdopen(descriptor, "wb") as stream:
                size = self._fetch(remote, stream)
                self._dress(stream, remote)
            os.rename(temporary, path)
        except BaseException:
            _remove(temporary)
            raise
        return size

    def _fetch(self, remote: RemoteObject, stream: BinaryIO) -> int:
        digest, size = new_md5(), 0
        answer = self._ask(lambda: self.client.get_object(Bucket=self.bucket, Key=remote.key.decode("utf-8")), remote)
        body = answer["Body"]
        while True:
            chunk = self._ask(lambda: body.read(CHUNK), remote)
            if not chunk:
                break
            self.pace.take(len(chunk))
            digest.update(chunk)
            size += len(chunk)
            stream.write(chunk)
        etag = answer["ETag"].strip('"')
        if size != answer["ContentLength"] or (is_md5(etag) and digest.hexdigest() != etag):
            raise Unreachable("what arrived is not what the service says the object holds; run again")
        return size

    def _ask(self, request: Callable[[], Any], remote: RemoteObject) -> Any:
        with explained(f"reading {shown(remote.key)} from bucket {self.bucket}"):
            return request()

    def _dress(self, stream: BinaryIO, remote: RemoteObject) -> None:
        """Give the new file the folder's owner and mode and the object's time, and put it on the disk for good."""
        stream.flush()
        descriptor = stream.fileno()
        _like(descriptor, self._model, stat.S_IMODE(self._model.st_mode) & 0o666)
        os.utime(descriptor, ns=(remote.modified_ns, remote.modified_ns))
        os.fsync(descriptor)

    def _make_folder(self, folder: bytes) -> None:
        """Make a folder and those above it, checking that no link among them leads out of the tree."""
        if folder == self._real_root:
            return
        self._make_folder(os.path.dirname(folder))
        try:
            os.mkdir(folder, 0o700)
        except FileExistsError:
            real = os.path.realpath(folder)
            if not os.path.isdir(real):
                raise MediaError("a file stands where a folder is needed; one of the two has to be renamed") from None
            if real != self._real_root and not real.startswith(self._real_root + b"/"):
                raise MediaError("a link on its way leads out of the folder; nothing was written there") from None
        else:
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                _like(descriptor, self._model, stat.S_IMODE(self._model.st_mode))
            finally:
                os.close(descriptor)


def _like(descriptor: int, model: os.stat_result, mode: int) -> None:
    if os.geteuid() == 0:
        os.fchown(descriptor, model.st_uid, model.st_gid)
    os.fchmod(descriptor, mode)


def _remove(path: bytes) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
