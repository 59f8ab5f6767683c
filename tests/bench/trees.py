# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The trees that are copied, made from a seed: the same bytes under the same names on every machine."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import NamedTuple

from ..gramps_trees import Tree
from ..servers.listing import made_keys

_SIZES = ("xxsmall", "xsmall", "small", "medium", "large", "xlarge")
_LARGEST = 900_000
_BLOB = 1 << 21


class Media(NamedTuple):
    """A tree on disk and what is in it."""

    folder: Path
    files: int
    size: int  # of all together


def media_tree(folder: Path, count: int, seed: int = 7, sparse: bool = False) -> Media:
    """Covers, their thumbnails and avatars as a BookWyrm has them, of log-normal sizes with a mean of about 29 KB.

    The first files are the same whatever the count. Sparse ones have a size and no content.
    """
    chance, total = random.Random(seed), 0
    blob = chance.randbytes(_BLOB)
    places: set[str] = set()
    for number in range(count):
        kind = chance.random()
        if kind < 0.4:
            place, median, sigma = "covers", 32_500, 0.7
        elif kind < 0.9:
            place = f"cover_thumbs/{chance.randrange(256):02x}/{chance.choice(_SIZES)}"
            median, sigma = 8_800, 0.8
        else:
            place, median, sigma = "avatars", 53_000, 0.6
        size = min(int(median * chance.lognormvariate(0, sigma)), _LARGEST)
        name = f"{chance.getrandbits(64):016x}-{number:06d}.{chance.choice(('jpg', 'jpg', 'png', 'webp'))}"
        target = folder / place
        start = chance.randrange(_BLOB - size)
        if place not in places:
            target.mkdir(parents=True, exist_ok=True)
            places.add(place)
        with (target / name).open("wb") as file:
            if sparse:
                file.truncate(size)
            else:
                file.write(blob[start : start + size])
        total += size
    return Media(folder, count, total)


def family_tree(folder: Path, count: int, size: int, seed: int = 7) -> Media:
    """The media of a family tree, all of one size, and its database, which lies beside them."""
    chance, tree = random.Random(seed), Tree(grampsdb_of(folder), folder)
    tree.add_all((f"{number % 50}/{number:05d}.jpg", chance.randbytes(size)) for number in range(count))
    return Media(folder, count, count * size)


def grampsdb_of(folder: Path) -> Path:
    """Where the databases of a family tree's media lie."""
    return folder.with_name("grampsdb")


def large_files(folder: Path, count: int, size: int, seed: int = 7) -> Media:
    """A few large files, no two blocks of which are alike."""
    folder.mkdir(parents=True, exist_ok=True)
    block = random.Random(seed).randbytes(1 << 20)
    for number in range(count):
        with (folder / f"video-{number}.mp4").open("wb") as file:
            left, position = size, 0
            while left:
                part = min(left, len(block))
                file.write(b"%08d%08d" % (number, position) + block[16:part] if part > 16 else block[:part])
                left, position = left - part, position + 1
    return Media(folder, count, count * size)


def empty_files(folder: Path, count: int, folders: int) -> Media:
    """The files of a listing server's made-up tree: empty ones, of which a million cost no more than their names."""
    root, last = os.fsencode(folder), b""
    for key in made_keys(count, folders):
        place = key.partition(b"/")[0]
        if place != last:
            os.makedirs(os.path.join(root, place))
            last = place
        os.close(os.open(os.path.join(root, key), os.O_CREAT | os.O_WRONLY, 0o644))
    return Media(folder, count, 0)
