# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""make_instance.py FOLDER PORT MEDIA: make a Gramps Web with that many media, not started. Prints its owner's login as JSON."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from ansible_collections.selfhosted.media.tests.grampsweb.instance import PASSWORD, instance, owner_of
from ansible_collections.selfhosted.media.tests.grampsweb.trees import Plan

if __name__ == "__main__":
    place, number, media = sys.argv[1:]
    with instance(Path(place), Plan("Familie Müller", clean=int(media)), start=False, port=int(number)) as web:
        print(json.dumps({"username": owner_of(web.tree, web.multi).name, "password": PASSWORD}))
