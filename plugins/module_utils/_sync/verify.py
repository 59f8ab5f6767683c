# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prove that every file of a tree is in the bucket, whole. Reads both sides anew and changes nothing."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple, Optional

from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._objects.access import Access
from ansible_collections.selfhosted.media.plugins.module_utils._s3.errors import ends_everything
from ansible_collections.selfhosted.media.plugins.module_utils._sync.account import Account
from ansible_collections.selfhosted.media.plugins.module_utils._sync.clients import find_object, object_client
from ansible_collections.selfhosted.media.plugins.module_utils._sync.concurrency import Concurrency
from ansible_collections.selfhosted.media.plugins.module_utils._sync.hashing import same_content, tells_otherwise
from ansible_collections.selfhosted.media.plugins.module_utils._sync.job import AUTOMATIC_CONCURRENCY
from ansible_collections.selfhosted.media.plugins.module_utils._sync.keys import ALL_KEYS, Range, shown
from ansible_collections.selfhosted.media.plugins.module_utils._sync.listing import Listing
from ansible_collections.selfhosted.media.plugins.module_utils._sync.merge import Pair, merge
from ansible_collections.selfhosted.media.plugins.module_utils._sync.pool import Pool
from ansible_collections.selfhosted.media.plugins.module_utils._sync.processes import automatic_number, share_out
from ansible_collections.selfhosted.media.plugins.module_utils._sync.progress import Board, Progress, Stretch
from ansible_collections.selfhosted.media.plugins.module_utils._sync.split import Split, split
from ansible_collections.selfhosted.media.plugins.module_utils._sync.streams import (
    objects,
    run_side_by_side,
)
from ansible_collections.selfhosted.media.plugins.module_utils._sync.walk import (
    Folders,
    LocalFile,
    Tree,
    is_changed,
)


class Finding(Enum):
    """What verification can find for a key."""

    VERIFIED = "verified"
    MISSING = "missing"
    DIFFERENT = "different"
    EXTRA = "extra"
    UNVERIFIABLE = "unverifiable"


#: What speaks against the bucket.
_BAD = {Finding.MISSING.value, Finding.DIFFERENT.value, Finding.UNVERIFIABLE.value, "failed"}


@dataclass
class Sample:
    """So many of the files seen, drawn at random: those whose keys, hashed with the seed, come first.

    Whoever sees which file, in whatever order, a seed draws the same ones.
    """

    size: int
    seed: int
    _drawn: list[tuple[bytes, LocalFile]] = field(default_factory=list)

    def see(self, local: LocalFile) -> None:
        """Let a file take part."""
        if self.size:
            self._drawn.append((hashlib.sha256(b"%d %s" % (self.seed, local.key)).digest(), local))
            if len(self._drawn) > 2 * self.size + 1000:
                self._cut()

    def add(self, other: Sample) -> None:
        """Let those take part that somebody else has drawn."""
        self._drawn += other._drawn
        self._cut()

    def _cut(self) -> None:
        self._drawn.sort()
        del self._drawn[self.size :]

    @property
    def drawn(self) -> list[LocalFile]:
        """The files that were drawn."""
        self._cut()
        return [local for _hash, local in self._drawn]


@dataclass
class Check:
    """What is compared, and how: media_verify's options of the same names."""

    access: Access
    tree: Tree
    checksum: bool = False
    concurrency: int = AUTOMATIC_CONCURRENCY
    missing_allowed: bool = False
    different_allowed: bool = False
    older_than: Optional[float] = None
    #: only what has changed since, each object asked for by itself: no listing
    changed_since: Optional[float] = None
    sample: int = 0
    seed: int = 0
    #: worker processes; None: what the number of files is worth on this machine
    processes: Optional[int] = None


@dataclass
class Verification:
    """Compares a tree with a bucket's prefix, by size or by checksum."""

    check: Check
    account: Account = field(default_factory=Account)
    started: float = field(default_factory=time.time)
    progress: Progress = field(default_factory=Progress)
    #: whether the run's throughput is that of the verification
    charted: bool = True

    def __post_init__(self) -> None:
        self._sample = Sample(self.check.sample, self.check.seed)

    @property
    def drawn(self) -> list[LocalFile]:
        """Verified files drawn at random."""
        return self._sample.drawn

    def carry_out(self) -> bool:
        """Compare everything; True when every file is in the bucket, whole. Objects without a file never count against it."""
        check = self.check
        check.tree.check()
        outcomes = self._share_out(split(check.tree))
        if any(outcome.out_of_order for outcome in outcomes):
            self.account.requests += sum(outcome.account.requests for outcome in outcomes)
            outcomes = self._share_out(Split(0, [ALL_KEYS], Folders(check.tree)), in_order=False)
        for outcome in outcomes:
            self.account.add(outcome.account)
            self._sample.add(outcome.sample)
        bad = set(_BAD)
        if check.missing_allowed:
            bad.remove(Finding.MISSING.value)
        if check.different_allowed:
            bad.remove(Finding.DIFFERENT.value)
        return not any(self.account[kind] for kind in bad)

    def _share_out(self, parts: Split, in_order: bool = True) -> list[Outcome]:
        check = self.check
        processes = check.processes or automatic_number(parts.estimate)
        processes = min(processes, len(parts.ranges), check.concurrency)
        if in_order:
            ranges, estimate = len(parts.ranges), parts.estimate
            board = self.progress.begin("verifying", processes, ranges, estimate, self.charted)
        else:
            board = self.progress.begin_again(processes)
        comparison = Comparison(check, parts.folders, check.concurrency // processes, in_order, board=board)
        return share_out(parts.ranges, comparison, check.access, processes, self.progress)


class Outcome(NamedTuple):
    """What a process hands over at its end."""

    account: Account
    sample: Sample
    #: whether the service lists in an order that is not S3's, so that some of it was compared wrongly
    out_of_order: bool


@dataclass
class Comparison:
    """What one process does of a verification."""

    check: Check
    folders: Folders
    concurrency: int
    in_order: bool = True
    account: Account = field(default_factory=Account)
    board: Board = field(default_factory=Board)
    #: which of the processes this is
    number: int = 0

    def work(self, access: Access, spans: Iterator[Range]) -> Outcome:
        """Compare ranges until there are none left. Raises MediaError for what ends the whole verification."""
        check = self.check
        self._drawing = threading.Lock()
        self._tally = self.board.tally(self.number)
        self._sample = Sample(check.sample, check.seed)
        concurrency = Concurrency(self.concurrency)
        pool = Pool(self._ask, concurrency)
        with object_client(access, self.account, observe=concurrency.observe) as self._client:
            self._listing = Listing(self._client, check.tree.prefix.decode("utf-8"))
            out_of_order = run_side_by_side(spans, lambda span: self._go_through(span, pool), [pool], self.concurrency)
        return Outcome(self.account, self._sample, out_of_order)

    def _go_through(self, span: Range, pool: Pool[Pair]) -> None:
        tree = self.check.tree
        files = self._older(tree.walk(self._report, span, self.folders))
        stretch = Stretch(self._tally)
        for pair in self._pairs(files, span):
            if pair.local is not None:
                stretch.met(pair.local.size, is_done=not self._asks)
            if not self._asks:
                self._look(pair)
            elif not pool.put(pair):
                return
        stretch.tell()
        self._tally.range_ended()

    def _ask(self, pair: Pair) -> None:
        self._look(pair)
        if pair.local is not None:
            self._tally.done(pair.local.size)

    @property
    def _asks(self) -> bool:
        """Whether a pair takes requests of its own, or a file has to be hashed."""
        return self.check.checksum or self.check.changed_since is not None

    def _pairs(self, files: Iterator[LocalFile], span: Range) -> Iterator[Pair]:
        since = self.check.changed_since
        if since is None:
            return merge(files, objects(self._listing, self.check.tree, span, self.in_order))
        return (Pair(file.key, file, None) for file in files if is_changed(file, int(since * 1e9)))

    def _older(self, files: Iterator[LocalFile]) -> Iterator[LocalFile]:
        """Leave out what the application has written since a moment: a running site is copied, then caught up with."""
        if self.check.older_than is None:
            yield from files
            return
        moment_ns = int(self.check.older_than * 1e9)
        for file in files:
            if max(file.mtime_ns, file.ctime_ns) < moment_ns:
                yield file
            else:
                self.account.count("newer")

    def _report(self, relative: bytes, reason: str, incomplete: bool) -> None:
        self._remark("failed" if incomplete else "ignored", shown(relative), reason)

    def _remark(self, kind: str, name: str, reason: str) -> None:
        self.account.remark(kind, name, reason)
        if kind in _BAD:
            self._tally.failed()

    def _look(self, pair: Pair) -> None:
        name = shown(self.check.tree.name_of(pair.key))
        try:
            finding, reason = self._find(pair)
        except FileNotFoundError:
            self.account.remark("vanished", name, "removed since the folder was read")
        except OSError as exc:
            self._remark("failed", name, exc.strerror or str(exc))
        except MediaError as exc:
            if ends_everything(exc):
                raise
            self._remark(Finding.UNVERIFIABLE.value, name, str(exc))
        else:
            if finding is Finding.VERIFIED and pair.local is not None:
                self.account.count(finding.value, pair.local.size)
                with self._drawing:
                    self._sample.see(pair.local)
            else:
                self._remark(finding.value, name, reason)

    def _find(self, pair: Pair) -> tuple[Finding, str]:
        local, remote = pair.local, pair.remote
        if self.check.changed_since is not None:
            remote = find_object(self._client, pair.key)
        if local is None:
            return Finding.EXTRA, "no file of this name in the folder"
        if remote is None:
            return Finding.MISSING, "not in the bucket"
        if local.size != remote.size:
            return Finding.DIFFERENT, f"{local.size} bytes in the folder, {remote.size} in the bucket"
        if not self.check.checksum and not tells_otherwise(remote, self.check.tree.known_md5(pair.key)):
            return Finding.VERIFIED, ""
        same = same_content(self._client, self.check.tree, remote)
        if same is None:
            return Finding.UNVERIFIABLE, "the service keeps no checksum of this object's whole content"
        return (Finding.VERIFIED, "") if same else (Finding.DIFFERENT, "same size, other content")
