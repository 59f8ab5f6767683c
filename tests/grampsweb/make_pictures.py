# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make small pictures with Pillow, each with pixels of its own. Runs with the Python that has Gramps Web.

make_pictures.py COUNT prints {kind: [base64, ...]} as JSON: COUNT of each kind.
"""

from __future__ import annotations

import base64
import io
import json
import sys

from PIL import Image, ImageDraw


def page(seed: int, size: tuple[int, int] = (160, 120)) -> Image.Image:
    """A gradient with a bar, whose colours and place come from the seed."""
    shade = Image.linear_gradient("L").resize(size).rotate(90 * (seed % 4), expand=False)
    picture = Image.merge("RGB", (shade, shade.point(lambda v: 255 - v), Image.new("L", size, seed * 37 % 256)))
    left = 8 + seed * 11 % 120
    ImageDraw.Draw(picture).rectangle((left, 20, left + 25, 100), fill=(seed * 53 % 256, 40, 200))
    return picture


def content(kind: str, seed: int) -> bytes:
    """The file of one picture; a PDF has three pages, a TIFF is not compressed."""
    target = io.BytesIO()
    if kind == "pdf":
        page(seed).save(target, "PDF", save_all=True, append_images=[page(seed + 100), page(seed + 200)])
    else:
        page(seed).save(target, kind.upper())
    return target.getvalue()


if __name__ == "__main__":
    count = int(sys.argv[1])
    kinds = ("jpeg", "png", "pdf", "tiff")
    print(json.dumps({kind: [base64.b64encode(content(kind, n)).decode() for n in range(count)] for kind in kinds}))
