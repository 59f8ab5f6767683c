# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prove that every file of a tree is in the bucket, whole. Reads both sides anew and changes nothing."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Optional

from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._sync.account import Account
from ansible_collections.selfhosted.media.plugins.module_utils._sync.hashing import same_content
from ansible_collections.selfhosted.media.plugins.module_utils._sync.keys import shown
from ansible_collections.selfhosted.media.plugins.module_utils._sync.listing import Listing
from ansible_collections.selfhosted.media.plugins.module_utils._sync.merge import Pair, merge
from ansible_collections.selfhosted.media.plugins.module_utils._sync.pool import run_all
from ansible_collections.selfhosted.media.plugins.module_utils._sync.walk import LocalFile, Tree, walk

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client


class Finding(Enum):
    """What verification can find for a key."""

    VERIFIED = "verified"
    MISSING = "missing"
    DIFFERENT = "different"
    EXTRA = "extra"
    UNVERIFIABLE = "unverifiable"


@dataclass
class Verification:
    """Compares a tree with a bucket's prefix, by size or by checksum."""

    client: S3Client
    tree: Tree
    bucket: str
    checksum: bool = False
    concurrency: int = 16
    missing_allowed: bool = False
    different_allowed: bool = False
    older_than: Optional[float] = None
    sample: int = 0
    seed: int = 0
    account: Account = field(default_factory=Account)
    started: float = field(default_factory=time.time)
    drawn: list[LocalFile] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)  # noqa: S311 (a sample, no secret)
        self._seen = 0
        self._drawing = threading.Lock()

    def carry_out(self) -> bool:
        """Compare everything; True when every file is in the bucket, whole. Objects without a file never count against it."""
        self.tree.check()
        listing = Listing(self.client, self.bucket, self.tree.prefix.decode("utf-8"))
        files = self._older(walk(self.tree, self._report))
        start = len(self.tree.prefix)
        objects = (
            found
            for found in listing.objects()
            if self.tree.chooser.chooses(found.key[start:]) and self.tree.shard.holds(found.key)
        )
        run_all(merge(files, objects), self._look, self.concurrency if self.checksum else 1)
        self.account.add_requests(listing.requests)
        bad = {Finding.MISSING.value, Finding.DIFFERENT.value, Finding.UNVERIFIABLE.value, "failed"}
        if self.missing_allowed:
            bad.remove(Finding.MISSING.value)
        if self.different_allowed:
            bad.remove(Finding.DIFFERENT.value)
        return not any(self.account[kind] for kind in bad)

    def _older(self, files: Iterator[LocalFile]) -> Iterator[LocalFile]:
        """Leave out what the application has written since a moment: a running site is copied, then caught up with."""
        if self.older_than is None:
            yield from files
            return
        moment_ns = int(self.older_than * 1e9)
        for file in files:
            if max(file.mtime_ns, file.ctime_ns) < moment_ns:
                yield file
            else:
                self.account.count("newer")

    def _draw(self, local: LocalFile) -> None:
        """Keep a file for the sample with the chance that makes every file equally likely (algorithm R)."""
        with self._drawing:
            self._seen += 1
            if len(self.drawn) < self.sample:
                self.drawn.append(local)
            else:
                place = self._random.randrange(self._seen)
                if place < self.sample:
                    self.drawn[place] = local

    def _report(self, relative: bytes, reason: str, incomplete: bool) -> None:
        self.account.remark("failed" if incomplete else "ignored", shown(relative), reason)

    def _look(self, pair: Pair) -> None:
        name = shown(pair.key[len(self.tree.prefix) :])
        try:
            finding, reason = self._find(pair)
        except FileNotFoundError:
            self.account.remark("vanished", name, "removed since the folder was read")
        except OSError as exc:
            self.account.remark("failed", name, exc.strerror or str(exc))
        except MediaError as exc:
            self.account.remark(Finding.UNVERIFIABLE.value, name, str(exc))
        else:
            if finding is Finding.VERIFIED and pair.local is not None:
                self.account.count(finding.value, pair.local.size)
                self._draw(pair.local)
            else:
                self.account.remark(finding.value, name, reason)

    def _find(self, pair: Pair) -> tuple[Finding, str]:
        local, remote = pair.local, pair.remote
        if local is None:
            return Finding.EXTRA, "no file of this name in the folder"
        if remote is None:
            return Finding.MISSING, "not in the bucket"
        if local.size != remote.size:
            return Finding.DIFFERENT, f"{local.size} bytes in the folder, {remote.size} in the bucket"
        if not self.checksum:
            return Finding.VERIFIED, ""
        same = same_content(self.client, self.bucket, self.tree, remote, self.account)
        if same is None:
            return Finding.UNVERIFIABLE, "the service keeps no checksum of this object's whole content"
        return (Finding.VERIFIED, "") if same else (Finding.DIFFERENT, "same size, other content")
