# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A tree, a bucket, and the question whether they hold the same, byte for byte, with nothing left over."""

from __future__ import annotations

import contextlib
import hashlib
import random
from pathlib import Path
from typing import Any, Callable

from ansible_collections.selfhosted.media.plugins.module_utils._sync import multipart, upload
from ansible_collections.selfhosted.media.plugins.module_utils._sync.hashing import MD5_METADATA
from ansible_collections.selfhosted.media.tests.servers import Server

MIB = 1024 * 1024
#: S3's own lower limit for a part.
PART = 5 * MIB
PREFIX = "images/"
#: Names that break what does not expect them.
NASTY = [
    "a b",
    "a+b",
    "a%41",
    "q'\"",
    "é",
    "\U0001f600",
    "a-",
    "a.",
    ".dot",
    "&<>",
    "#?",
    "x\\y",
    "~",
    "-rf",
    "n" * 200,
]


def small_parts(set_attribute: Callable[[object, str, object], None]) -> None:
    """Let files above 5 MiB go in parts."""
    for module in (multipart, upload):
        set_attribute(module, "PART_SIZE", PART)


def md5(data: bytes) -> str:
    return hashlib.md5(data).hexdigest()


def files_in(folder: Path) -> dict[str, str]:
    """The MD5 of each file below a folder, by its name."""
    return {
        str(path.relative_to(folder)): md5(path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink()
    }


def make_tree(folder: Path, seed: int, small: int = 120, large: int = 2) -> None:
    """Small files with plain and with nasty names, and a few of three parts, all of a content that the seed makes."""
    chance = random.Random(seed)
    names = [f"{number % 7}/{number:04}.jpg" for number in range(small)]
    names += [f"{number % 3}/{name}" for number, name in enumerate(NASTY)]
    for name in names:
        write(folder / name, chance.randbytes(chance.choice([0, 1, 300, 5000, 70_000])))
    for number in range(large):
        write(folder / f"large/{number}.bin", chance.randbytes(1000) * (2 * PART // 1000 + 500))


def write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


class Bucket:
    """A bucket as boto3 sees it, without the collection's code."""

    def __init__(self, server: Server, name: str) -> None:
        self.server, self.name = server, name
        self.client = server.client()

    def put(self, name: str, data: bytes = b"x") -> None:
        self.client.put_object(Bucket=self.name, Key=PREFIX + name, Body=data)

    def get(self, name: str) -> bytes:
        data: bytes = self.client.get_object(Bucket=self.name, Key=PREFIX + name)["Body"].read()
        return data

    @property
    def objects(self) -> dict[str, str]:
        """The MD5 of each object, by its name: the ETag where it is one, else what was stored with the object."""
        found = {}
        for page in self.client.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=PREFIX):
            for item in page.get("Contents", []):
                etag = item["ETag"].strip('"')
                if "-" in etag:
                    head = self.client.head_object(Bucket=self.name, Key=item["Key"])
                    etag = head["Metadata"].get(MD5_METADATA, "")
                found[item["Key"][len(PREFIX) :]] = etag
        return found

    @property
    def uploads(self) -> list[str]:
        """The keys of the multipart uploads that have not ended."""
        found = self.client.list_multipart_uploads(Bucket=self.name).get("Uploads", [])
        return [item["Key"] for item in found]

    def delete(self) -> None:
        """Delete the bucket with all that is in it, whatever is still being written."""
        while True:
            with contextlib.suppress(self.client.exceptions.NoSuchBucket):
                for name in self.objects:
                    self.client.delete_object(Bucket=self.name, Key=PREFIX + name)
                for item in self.client.list_multipart_uploads(Bucket=self.name).get("Uploads", []):
                    with contextlib.suppress(self.client.exceptions.ClientError):
                        self.client.abort_multipart_upload(Bucket=self.name, Key=item["Key"], UploadId=item["UploadId"])
                try:
                    self.client.delete_bucket(Bucket=self.name)
                except self.client.exceptions.ClientError as exc:
                    if exc.response["Error"]["Code"] == "BucketNotEmpty":
                        continue
                    raise
            return


def check_nothing_lost(bucket: Bucket, folder: Path, state: Path, seed: int = 0, **allowed: Any) -> None:
    """Bucket and folder hold the same, and nothing is left of what was interrupted."""
    files, objects = files_in(folder), bucket.objects
    assert objects == files, {name for name in files.keys() | objects.keys() if files.get(name) != objects.get(name)}
    for name in random.Random(seed).sample(sorted(files), 5):
        assert md5(bucket.get(name)) == files[name]
    assert [path for path in folder.rglob("*") if path.name.startswith(".selfhosted-media-")] == []
    assert bucket.uploads == allowed.get("uploads", [])
    assert [path for path in state.rglob("*") if path.is_file()] == []


def change(folder: Path, chance: random.Random, part: float) -> None:
    """Give some files another content and size."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and chance.random() < part:
            size = path.stat().st_size + chance.randint(1, 9)
            path.write_bytes((chance.randbytes(min(size, 1000)) * (size // 1000 + 1))[:size])
