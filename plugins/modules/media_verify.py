#!/usr/bin/python
# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: media_verify
short_description: Proves that every file of a folder tree is in the bucket, whole
version_added: 0.1.0
author: selfhosted.media contributors (@selfhosted-media)
description:
  - Reads the folder and the bucket anew and compares them. Changes nothing.
  - Fails unless every file is there with its size, and with O(compare=checksum) its content.
  - Objects without a file are counted in RV(extra) and never count against the result.
extends_documentation_fragment:
  - selfhosted.media.attributes
  - selfhosted.media.attributes.s3
  - selfhosted.media.s3
  - selfhosted.media.tree
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  missing_allowed:
    description:
      - Whether files without an object are only counted.
      - For an instance that has been writing to the bucket for a while, whose users delete media that still lie on the disk.
    type: bool
    default: false
seealso:
  - module: selfhosted.media.media_sync
"""

EXAMPLES = r"""
- name: Every file is in the bucket, byte for byte
  selfhosted.media.media_verify:
    endpoint_url: https://s3.fr-par.scw.cloud
    region: fr-par
    path: /opt/bookwyrm/images
    bucket: books
    prefix: images/
    include: ['*/*']
    compare: checksum
"""

RETURN = r"""
ok:
  description: Whether every file is in the bucket, whole.
  type: bool
  returned: always
  sample: true
verified:
  description: Number of files that are in the bucket, whole.
  type: int
  returned: always
  sample: 1500
missing:
  description: Number of files that are not in the bucket.
  type: int
  returned: always
  sample: 0
different:
  description: Number of files whose object has another size or content.
  type: int
  returned: always
  sample: 0
extra:
  description: Number of objects without a file.
  type: int
  returned: always
  sample: 0
unverifiable:
  description: Number of files whose content could not be compared, because the service keeps no checksum of their object.
  type: int
  returned: always
  sample: 0
vanished:
  description: Number of files removed while the module worked.
  type: int
  returned: always
  sample: 0
failed:
  description: Number of files that could not be read.
  type: int
  returned: always
  sample: 0
ignored:
  description: Number of names that are neither files nor folders, or links that lead nowhere.
  type: int
  returned: always
  sample: 0
reasons:
  description: The first 20 names of each of these, with the reason.
  type: dict
  returned: always
  sample: {missing: [{name: covers/a.jpg, reason: not in the bucket}]}
bytes:
  description: Number of bytes of the verified files.
  type: int
  returned: always
  sample: 14680064
requests:
  description: Number of requests sent.
  type: int
  returned: always
  sample: 2
duration:
  description: How long it took, in seconds.
  type: float
  returned: always
  sample: 0.5
"""

import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._module import S3_ARGUMENTS, connection_of, run
from ansible_collections.selfhosted.media.plugins.module_utils._s3.client import connect
from ansible_collections.selfhosted.media.plugins.module_utils._sync.verify import Verification
from ansible_collections.selfhosted.media.plugins.module_utils._tree_options import (
    TREE_ARGUMENTS,
    concurrency_of,
    first_reason,
    tree_of,
)

ARGUMENTS: dict[str, dict[str, Any]] = {
    **S3_ARGUMENTS,
    **TREE_ARGUMENTS,
    "missing_allowed": {"type": "bool", "default": False},
}
COUNTED = ("verified", "missing", "different", "extra", "unverifiable", "vanished", "failed", "ignored")


def verdict(verification: Verification, ok: bool) -> dict[str, Any]:
    """The module's result."""
    account = verification.account
    counts = {kind: account[kind] for kind in COUNTED}
    return {
        **counts,
        "ok": ok,
        "changed": False,
        "reasons": {kind: account.remarks(kind) for kind in COUNTED if kind != "verified" and counts[kind]},
        "bytes": account.bytes,
        "requests": account.requests,
        "duration": round(time.time() - verification.started, 3),
    }


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    connection = connection_of(module)

    def work() -> dict[str, Any]:
        params = module.params
        threads = concurrency_of(params)
        verification = Verification(
            connect(connection, max_connections=threads),
            tree_of(params),
            params["bucket"],
            params["compare"] == "checksum",
            threads,
            params["missing_allowed"],
        )
        ok = verification.carry_out()
        result = verdict(verification, ok)
        if not ok:
            kind = next(kind for kind in ("missing", "different", "failed", "unverifiable") if result[kind])
            raise MediaError(
                f"the bucket does not hold everything: {result['missing']} missing, {result['different']} different, "
                f"{result['unverifiable']} unverifiable, {result['failed']} unreadable; "
                f"for instance {first_reason(verification.account, kind)}",
                result,
            )
        return result

    run(module, work)


if __name__ == "__main__":
    main()
