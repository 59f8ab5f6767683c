# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Content-Type of a file by its name, as Django's S3 storage guesses it, but the same on every machine."""

from __future__ import annotations

import mimetypes
import posixpath
from typing import NamedTuple, Optional

# Python's own table, without /etc/mime.types: containers have none, and there fonts and webp become octet-stream.
# What the tables of Python 3.9 to 3.12 lack or name otherwise than 3.13's is added, so that every target agrees.
_TYPES = mimetypes.MimeTypes(filenames=())
for _type, _extension in (
    ("image/avif", ".avif"),
    ("image/heic", ".heic"),
    ("image/jxl", ".jxl"),
    ("image/webp", ".webp"),
    ("image/x-icon", ".ico"),
    ("font/woff", ".woff"),
    ("font/woff2", ".woff2"),
    ("font/ttf", ".ttf"),
    ("font/otf", ".otf"),
    ("application/vnd.ms-fontobject", ".eot"),
    ("text/javascript", ".js"),
    ("text/javascript", ".mjs"),
    ("text/markdown", ".md"),
    ("application/json", ".json"),
    ("application/json", ".map"),
    ("application/manifest+json", ".webmanifest"),
    ("application/epub+zip", ".epub"),
    ("audio/ogg", ".ogg"),
    ("audio/flac", ".flac"),
    ("video/webm", ".webm"),
    ("audio/3gpp", ".3gp"),
    ("audio/3gpp", ".3gpp"),
    ("audio/3gpp2", ".3g2"),
    ("audio/3gpp2", ".3gpp2"),
    ("audio/aac", ".aac"),
    ("audio/aac", ".adts"),
    ("audio/aac", ".ass"),
    ("audio/aac", ".loas"),
    ("audio/opus", ".opus"),
    ("image/bmp", ".bmp"),
    ("image/heif", ".heif"),
    ("text/markdown", ".markdown"),
    ("text/plain", ".srt"),
    ("text/n3", ".n3"),
    ("text/rtf", ".rtf"),
    ("text/vtt", ".vtt"),
    ("text/x-rst", ".rst"),
    ("application/n-quads", ".nq"),
    ("application/n-triples", ".nt"),
    ("application/trig", ".trig"),
    ("application/x-hdf5", ".h5"),
):
    _TYPES.add_type(_type, _extension)

UNKNOWN = "application/octet-stream"


class Guess(NamedTuple):
    """A Content-Type and, for compressed files, the Content-Encoding."""

    content_type: str
    content_encoding: Optional[str]


def guess(name: str, overrides: dict[str, str]) -> Guess:
    """Guess by the name's extension. Overrides map an extension, dot included, to a type, and win."""
    extension = posixpath.splitext(name)[1].lower()
    if extension in overrides:
        return Guess(overrides[extension], None)
    if not extension:
        return Guess(UNKNOWN, None)
    known = _GUESSED.get(extension)
    if known is None:
        kind, encoding = _TYPES.guess_type("name" + extension, strict=True)
        known = Guess(kind or UNKNOWN, encoding)
        if len(_GUESSED) < 1000:
            _GUESSED[extension] = known
    if known.content_encoding:  # a .tar.gz: the inner type and the compression, from the whole name
        kind, encoding = _TYPES.guess_type(posixpath.basename(name).lower(), strict=True)
        return Guess(kind or UNKNOWN, encoding)
    return known


# A tree has a handful of extensions, and the library takes longer over one than the rest of an upload's preparation.
_GUESSED: dict[str, Guess] = {}
