# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Thumbnails: thumbnails/covers/<name of the cover>/<md5>.<ext>, written by the worker."""

import hashlib
import io
import json
from pathlib import PurePosixPath

import redis
from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from PIL import Image

QUEUE = "images"
SPECS = [(size, ext) for size in (150, 200, 100, 250, 80, 500) for ext in ("webp", "jpg")]


def names(cover: str) -> list[str]:
    """The thumbnails that a cover has."""
    folder = PurePosixPath("thumbnails", cover).with_suffix("")
    specs = SPECS[: settings.THUMBNAILS] if settings.ENABLE_THUMBNAIL_GENERATION else []
    return [f"{folder}/{hashlib.md5(f'{cover} {size} {ext}'.encode()).hexdigest()}.{ext}" for size, ext in specs]


def render(image: Image.Image, name: str, number: int) -> bytes:
    """One thumbnail of an image as bytes."""
    small = image.convert("RGB")
    small.thumbnail((SPECS[number][0],) * 2)
    data = io.BytesIO()
    # the name goes into the file, so that no two thumbnails are equal
    small.save(data, "WEBP" if name.endswith("webp") else "JPEG", quality=90, exif=b"Exif\x00\x00" + name.encode())
    return data.getvalue()


def generate(cover: str) -> None:
    """Write the thumbnails that a cover lacks."""
    with default_storage.open(cover) as file:
        image = Image.open(io.BytesIO(file.read()))
    for number, name in enumerate(names(cover)):
        if not default_storage.exists(name):
            default_storage.save(name, ContentFile(render(image, name, number)))


def broker() -> redis.Redis:
    """A connection to the worker's queue."""
    return redis.Redis.from_url(settings.REDIS_BROKER_URL)


def enqueue(cover: str) -> None:
    """Ask the worker for the thumbnails of a cover."""
    broker().rpush(QUEUE, json.dumps({"cover": cover}))
