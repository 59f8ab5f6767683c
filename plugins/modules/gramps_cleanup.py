#!/usr/bin/python
# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: gramps_cleanup
short_description: Frees the disk of a Gramps Web of files that are proven to be in its bucket
version_added: 0.1.0
author: selfhosted.media contributors (@selfhosted-media)
description:
  - Private to the role gramps_web; its options may change.
  - Removes a file only if a family tree names it, and the object that Gramps Web finds for it was proven a moment before to hold the same
    bytes. What no family tree names, what differs, and what cannot be proven stays and is counted.
  - Refuses unless the running instance has its media in this bucket.
extends_documentation_fragment:
  - selfhosted.media.attributes
  - selfhosted.media.gramps_web
  - selfhosted.media.attributes.s3
  - selfhosted.media.s3
  - selfhosted.media.gramps
attributes:
  check_mode:
    support: full
    details: Everything is proven and counted, and nothing removed.
  diff_mode:
    support: none
  idempotent:
    support: full
"""

EXAMPLES = r"""
- name: Count what could be removed
  selfhosted.media.gramps_cleanup:
    region: eu-central-1
    grampsdb: /var/lib/docker/volumes/gramps_gramps_db/_data
    media_dir: /var/lib/docker/volumes/gramps_gramps_media/_data
    bucket: family-media
  check_mode: true
"""

RETURN = r"""
removed:
  description: Number of files that were removed, or would be.
  type: int
  returned: always
  sample: 498
bytes:
  description: Their bytes.
  type: int
  returned: always
  sample: 104857600
kept:
  description: Number of files that stay, by what is the matter with them.
  type: dict
  returned: always
  sample: {unnamed: 3, missing: 0, different: 1, newer: 0, unverifiable: 0, failed: 0}
reasons:
  description: The first names of each kind, with their reasons.
  type: dict
  returned: always
  sample: {unnamed: [{name: notes.txt, reason: no family tree names it}]}
began:
  description: When the module began, in seconds since 1970 by the target's clock.
  type: float
  returned: always
  sample: 1789300000.25
duration:
  description: How long it took, in seconds.
  type: float
  returned: always
  sample: 0.5
"""

import contextlib
import os
from typing import Any

from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._gramps.cleanup import Named, named_in
from ansible_collections.selfhosted.media.plugins.module_utils._gramps.instance_options import (
    INSTANCE_ARGUMENTS,
    instance_of,
)
from ansible_collections.selfhosted.media.plugins.module_utils._gramps.options import GRAMPS_ARGUMENTS, media_of
from ansible_collections.selfhosted.media.plugins.module_utils._instance.lock import instance_lock
from ansible_collections.selfhosted.media.plugins.module_utils._module import (
    S3_ARGUMENTS,
    MediaModule,
    connection_of,
    run,
)
from ansible_collections.selfhosted.media.plugins.module_utils._sync.account import Account
from ansible_collections.selfhosted.media.plugins.module_utils._sync.cleanup import Cleanup
from ansible_collections.selfhosted.media.plugins.module_utils._sync.walk import Tree
from ansible_collections.selfhosted.media.plugins.module_utils._tree_options import first_reason, reasons_of

ARGUMENTS: dict[str, dict[str, Any]] = {
    **S3_ARGUMENTS,
    **GRAMPS_ARGUMENTS,
    **INSTANCE_ARGUMENTS,
}
KEPT = ("unnamed", "missing", "different", "newer", "unverifiable", "vanished", "ignored", "failed")


def check_storage(params: dict[str, Any]) -> str:
    """The instance's folder. Raises MediaError unless what runs has its media in this bucket."""
    found = instance_of(params)
    wanted = f"s3://{params['bucket']}/{params['prefix'].strip('/')}".rstrip("/")
    if found.media_base.rstrip("/") != wanted:
        raise MediaError(f"the instance has its media in {found.media_base}, not in {wanted}. Nothing was removed")
    if not found.running or found.restart_needed or found.unset_in:
        raise MediaError(
            "the instance does not run, or not all of it with the settings for S3, so nothing tells that it needs no "
            "media on its disk. Run selfhosted.media.gramps_web_migrate first, which mends that. Nothing was removed"
        )
    return found.folder


def main() -> None:
    module = MediaModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    connection = connection_of(module)

    def work() -> dict[str, Any]:
        params = module.params
        folder = check_storage(params)
        lock = contextlib.nullcontext() if module.check_mode else instance_lock(folder, "cleaning up")
        done = Account()
        with lock:
            media = media_of(params, connection)
            media.look_through()
            for media_dir, names in named_in(media.surveys).items():
                cleanup = Cleanup(media.access, Tree(os.fsencode(media_dir), b""), media.concurrency, module.check_mode)
                named = Named(names)
                cleanup.why_kept, cleanup.key_of = named.why_kept, named.key_of
                try:
                    cleanup.carry_out()
                finally:
                    done.add(cleanup.account)
        result = {
            "changed": done["removed"] > 0,
            "removed": done["removed"],
            "bytes": done.bytes,
            "kept": {kind: done["linked" if kind == "unnamed" else kind] for kind in KEPT},
            "reasons": reasons_of(done, ("linked", *KEPT)),
        }
        if done["failed"]:
            first = first_reason(done, "failed")
            raise MediaError(
                f"{done['failed']} files could not be compared or removed and stay, for instance {first}", result
            )
        return result

    run(module, work)


if __name__ == "__main__":
    main()
