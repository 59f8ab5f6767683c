# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Call `gramps_webapi user add` for each list of words, read as JSON. Runs with the Python that has Gramps Web.

One process for all: most of the command's time goes into its imports.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from gramps_webapi.__main__ import cli

if __name__ == "__main__":
    os.chdir(Path(os.environ["GRAMPSHOME"]))
    for words in json.load(sys.stdin):
        cli(["user", "add", *words], standalone_mode=False)
