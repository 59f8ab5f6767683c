# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ends a module with a sentence where Python is too old to load the rest of the code. Imported before anything else of it.

ansible-core 2.19 sends modules to Python 3.8 too, where they would end with "'ABCMeta' object is not subscriptable".
"""

from __future__ import annotations

import json
import sys

MINIMUM = (3, 9)


def too_old(found: str, path: str) -> str:
    """What is to be said of an interpreter, by its version and its path."""
    lowest = ".".join(map(str, MINIMUM))
    return (
        f"Python {found} ({path}) is too old for the modules of selfhosted.media, which need Python {lowest} or newer on this host. Install one"
        " beside it (EL 8: python3.12; Ubuntu 20.04: python3.9), boto3 for it (with pip), and set ansible_python_interpreter to its path,"
        " as /usr/bin/python3.12. Nothing was changed."
    )


if sys.version_info < MINIMUM:
    sys.stdout.write(json.dumps({"failed": True, "msg": too_old(sys.version.split()[0], sys.executable)}))
    raise SystemExit(1)
