# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compile the themes into the package's static folder, from where collectstatic takes them."""

from pathlib import Path
from typing import Any

import sass
from django.core.management.base import BaseCommand

THEMES = Path(__file__).resolve().parents[2] / "static" / "css" / "themes"


class Command(BaseCommand):
    help = "Compile all themes"

    def handle(self, *args: Any, **options: Any) -> None:
        for theme in sorted(THEMES.glob("*.scss")):
            theme.with_suffix(".css").write_text(sass.compile(filename=str(theme), output_style="compressed"))
            self.stdout.write(f"compiled {theme.name}")
