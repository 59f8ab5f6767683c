# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prints the menus of the site's first page: the guides as docsite/extra-docs.yml has them, then the pages that antsibull-docs has
made in a folder, by their names alone, since their titles are sentences."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

import yaml


def menu(title: str, entries: Iterable[str]) -> str:
    lines = [".. toctree::", f"   :caption: {title}", "   :hidden:", "", *(f"   {one}" for one in entries)]
    return "\n" + "\n".join(lines)


def main(folder: Path) -> None:
    guides = yaml.safe_load((Path(__file__).parent / "docsite" / "extra-docs.yml").read_text(encoding="utf-8"))
    for section in guides["sections"]:
        print(menu(section["title"], (f"docsite/{name}" for name in section["toctree"])))
    for kind in ("role", "module", "filter"):
        pages = sorted(path.stem for path in folder.glob(f"*_{kind}.rst"))
        print(menu(f"{kind.capitalize()}s", (f"{page.removesuffix(f'_{kind}')} <{page}>" for page in pages)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
