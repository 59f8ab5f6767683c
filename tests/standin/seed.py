# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fill the instance in the working folder; make_instance.py runs this with the instance's own Python."""

import argparse
import io
import json
import os
import random
import struct
import sys
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

TITLES = ["Тихий Дон", "百年孤独", "Ærø & Å", "Ein weites Feld", "L'Étranger", "Middlemarch", "Die Höhle"]
OLDEST = 1_700_000_000  # modification times start here, one minute apart


def write_fonts(folder: Path) -> None:
    """A small but real web font in both formats: a blank and a filled box."""
    from fontTools.fontBuilder import FontBuilder
    from fontTools.pens.ttGlyphPen import TTGlyphPen

    def box(filled: bool) -> object:
        pen = TTGlyphPen(None)
        if filled:
            pen.moveTo((100, 0))
            for point in ((100, 700), (500, 700), (500, 0)):
                pen.lineTo(point)
            pen.closePath()
        return pen.glyph()

    glyphs = {".notdef": box(True), "space": box(False), "box": box(True)}
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder(list(glyphs))
    builder.setupCharacterMap({0x20: "space", 0xE000: "box"})
    builder.setupGlyf(glyphs)
    builder.setupHorizontalMetrics(dict.fromkeys(glyphs, (600, 100)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": "Standin", "styleName": "Regular"})
    builder.setupOS2(sTypoAscender=800)
    builder.setupPost()
    folder.mkdir(parents=True, exist_ok=True)
    for flavor in ("woff2", "woff"):
        builder.font.flavor = flavor
        builder.save(folder / f"standin.{flavor}")


def draw(chance: random.Random) -> "tuple[object, bytes]":
    """A picture of a cover, drawn, and as JPEG."""
    from PIL import Image, ImageDraw

    image = Image.new("RGB", (300, 450), tuple(chance.randbytes(3)))
    pen = ImageDraw.Draw(image)
    for _step in range(12):
        x, y = chance.randrange(250), chance.randrange(400)
        pen.ellipse((x, y, x + chance.randrange(20, 200), y + chance.randrange(20, 200)), tuple(chance.randbytes(3)))
    data = io.BytesIO()
    image.save(data, "JPEG", quality=60)
    return image, data.getvalue()


def padded(jpeg: bytes, chance: random.Random) -> bytes:
    """The same picture with random comments: another file, of 5 to 80 KB."""
    comments, rest = [], chance.randrange(5_000, 80_000) - len(jpeg)
    while len(comments) == 0 or rest > 0:
        size = max(16, min(rest, 60_000))
        comments.append(b"\xff\xfe" + struct.pack(">H", size + 2) + chance.randbytes(size))
        rest -= size
    return jpeg[:2] + b"".join(comments) + jpeg[2:]


def media(covers: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """Names and contents of all media, the same ones for the same seed."""
    from bookwyrm import thumbnails
    from django.utils.text import get_valid_filename

    chance = random.Random(seed)
    drawn = [draw(chance) for _number in range(8)]
    for number in range(covers):
        which = chance.randrange(len(drawn))
        cover = "covers/" + get_valid_filename(f"{TITLES[number % len(TITLES)]} {number}.jpg")
        yield cover, padded(drawn[which][1], chance)
        for spec, name in enumerate(thumbnails.names(cover)):
            yield name, thumbnails.render(drawn[which][0], name, spec)
    for name in ("avatars/ada.jpg", "logos/logo.jpg", "uploads/user_1/a_post.jpg", "previews/covers/1.jpg"):
        yield name, padded(drawn[0][1], chance)
    # what lies at the top level is not for the public
    with io.BytesIO() as archive:
        with tarfile.open(fileobj=archive, mode="w:gz") as tar:
            tar.addfile(tarfile.TarInfo("archive.json"))
        yield "bookwyrm-export-5f1d3c1a.tar.gz", archive.getvalue()
    yield ".gitkeep", b""


def fill(covers: int, seed: int) -> dict[str, object]:
    """Write media and database."""
    from bookwyrm.models import Book, SiteSettings, User
    from django.conf import settings
    from django.core.management import call_command
    from django.db import transaction

    root, files, size = Path(settings.MEDIA_ROOT), 0, 0
    books = []
    for number, (name, content) in enumerate(media(covers, seed)):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        os.utime(path, (OLDEST + number * 60,) * 2)
        files, size = files + 1, size + len(content)
        if name.startswith("covers/"):
            books.append(Book(title=Path(name).stem.replace("_", " "), cover=name))
    call_command("migrate", verbosity=0)
    call_command("initdb", verbosity=0)
    with transaction.atomic():
        Book.objects.bulk_create(books)
        User.objects.create_superuser("ada", avatar="avatars/ada.jpg")
        SiteSettings.objects.update(install_mode=False, logo="logos/logo.jpg")
    return {"covers": len(books), "media_files": files, "media_bytes": size, "media_root": str(root)}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--covers", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--empty", action="store_true")
    parser.add_argument("--no-static", action="store_true", help="containers do this themselves")
    parser.add_argument("--ship-css", action="store_true", help="compiled themes are part of the code")
    args = parser.parse_args()
    began = time.monotonic()
    write_fonts(Path("bookwyrm/static/fonts"))
    made: dict[str, object] = {}
    sys.path.insert(0, os.getcwd())
    os.environ["DJANGO_SETTINGS_MODULE"] = "bookwyrm.settings"
    if not args.empty or args.ship_css:
        import django
        from django.core.management import call_command

        django.setup()
        if not args.empty:
            made = fill(args.covers, args.seed)
        static = not (args.empty or args.no_static)
        if static or args.ship_css:
            call_command("compile_themes", stdout=sys.stderr)
        if static:
            call_command("collectstatic", interactive=False, verbosity=0)
    print(json.dumps({**made, "seconds": round(time.monotonic() - began, 1)}))


if __name__ == "__main__":
    main()
