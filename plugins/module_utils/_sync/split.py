# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Split a tree's keys into ranges of about the same size, after looking at a sample of its folders."""

from __future__ import annotations

import os
from collections import deque
from typing import NamedTuple

from ansible_collections.selfhosted.media.plugins.module_utils._sync.keys import ALL_KEYS, Range
from ansible_collections.selfhosted.media.plugins.module_utils._sync.walk import Folders, Tree

#: Keys in a range: a page and a half of a listing, so that a range is little more than one answer's wait.
_KEYS = 1_500
#: Trees of more files than this are cut into some ranges at least, so that several processes have something to do.
_FEW = 1_000
_LEAST_RANGES = 8
#: More ranges than this would not be gone through side by side anyway.
_MOST_RANGES = 128
#: Of the folders in one folder, and of the names in one folder, so many are looked at.
_SAMPLE = 64
#: Names that may be read in all before the rest is guessed; a folder cannot be read in part, so one may exceed it.
_MOST_NAMES = 200_000


class Split(NamedTuple):
    """A tree cut into ranges."""

    #: about how many files take part
    estimate: int
    #: in key order, without gaps
    ranges: list[Range]
    #: the folders that more than one of the ranges needs, read already
    folders: Folders


class _Point(NamedTuple):
    """A key of the sample, and how many keys it stands for."""

    key: bytes
    weight: float


def split(tree: Tree) -> Split:
    """Look at a sample of the tree's folders, or at all keys if they are known, and cut them into ranges.

    Folders that cannot be read count as empty.
    """
    keys = tree.listed_keys()
    if keys is not None:
        points = [_Point(key, 1.0) for key in keys]
        read: dict[bytes, list[bytes]] = {}
    else:
        points, read = _sample(tree)
        points.sort()
    estimate = sum(point.weight for point in points)
    count = min(_MOST_RANGES, max(int(estimate // _KEYS), _LEAST_RANGES if estimate > _FEW else 1))
    cuts = _quantiles(points, estimate, count)
    edges = [None, *cuts, None]
    ranges = [Range(after, upto) for after, upto in zip(edges, edges[1:])] if cuts else [ALL_KEYS]
    shared = {folder for cut in cuts for folder in _folders_above(cut[len(tree.prefix) :])}
    kept = {folder: names for folder, names in read.items() if folder in shared}
    return Split(int(estimate / tree.shard.count), ranges, Folders(tree, kept))


def _sample(tree: Tree) -> tuple[list[_Point], dict[bytes, list[bytes]]]:
    """Keys with their weights, and the folders that were read."""
    points: list[_Point] = []
    read: dict[bytes, list[bytes]] = {}
    reader, names_read, guessed = Folders(tree), 0, 0.0
    waiting = deque([(b"", 1.0)])
    while waiting:
        folder, weight = waiting.popleft()
        if names_read > _MOST_NAMES:
            # What is left counts as much as the mean of what was read.
            points.append(_Point(tree.prefix + folder, weight * guessed / max(1, len(read))))
            continue
        try:
            names = read[folder] = reader.names(folder)
        except OSError:
            continue  # the walk reports it
        names_read += len(names)
        below = [folder + name for name in names if name.endswith(b"/")]
        files = len(names) - len(below)
        looked_at = [folder + name for name in _every(names, _SAMPLE * 4) if not name.endswith(b"/")]
        chosen = [name for name in looked_at if tree.chooser.chooses_all or tree.chooser.chooses(name)]
        if chosen:
            share = files / len(looked_at)
            points += [_Point(tree.prefix + name, weight * share) for name in chosen]
            guessed += share * len(chosen)
        below = [name for name in below if tree.chooser.may_choose_below(name) and _is_plain(tree, name)]
        taken = _every(below, _SAMPLE)
        waiting.extend((name, weight * len(below) / len(taken)) for name in taken)
    return points, read


def _is_plain(tree: Tree, folder: bytes) -> bool:
    # Links may lead in circles; what is behind them is not sampled.
    return not os.path.islink(os.path.join(tree.root, folder[:-1]))


def _every(names: list[bytes], most: int) -> list[bytes]:
    """The names, or so many of them, evenly spread."""
    if len(names) <= most:
        return names
    return [names[index * len(names) // most] for index in range(most)]


def _quantiles(points: list[_Point], total: float, count: int) -> list[bytes]:
    """Keys that cut the sample into so many parts of the same weight, or fewer where one key weighs more than a part."""
    cuts: list[bytes] = []
    seen = 0.0
    for point in points:
        seen += point.weight
        if len(cuts) + 1 < count and seen >= total * (len(cuts) + 1) / count and (not cuts or point.key > cuts[-1]):
            cuts.append(point.key)
    return cuts


def _folders_above(relative: bytes) -> list[bytes]:
    """The folders that a file lies in, each with its slash, the tree itself as nothing."""
    parts = relative.split(b"/")[:-1]
    return [b"".join(part + b"/" for part in parts[:depth]) for depth in range(len(parts) + 1)]
