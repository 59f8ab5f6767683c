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
  - selfhosted.media.progress
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
  different_allowed:
    description:
      - Whether files whose object has another size or content are only counted, also those that O(public_url) finds to have.
      - For such an instance too, where the application writes some names anew.
    type: bool
    default: false
  older_than:
    description:
      - A moment in seconds since 1970, such as RV(selfhosted.media.media_sync#module:started). Files whose content or status changed at or after
        it are counted in RV(newer) and not compared.
      - For the copy of a running application, which goes on writing.
    type: float
  sample:
    description: How many verified files to draw at random for RV(sample), and to fetch by O(public_url) if it is given.
    type: int
    default: 0
  seed:
    description: What the random choice starts from. If omitted, another one every time; RV(seed) tells which.
    type: int
  public_url:
    description:
      - What comes before the key in the public URL of an object, such as V(https://media.example.org).
      - The drawn files are fetched there without credentials and compared byte for byte; the module fails unless all are the same.
    type: str
    default: ''
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
newer:
  description: Number of files left out by O(older_than).
  type: int
  returned: always
  sample: 0
sample:
  description: Verified files drawn at random, to be fetched by their public URL.
  type: list
  elements: dict
  returned: always
  sample: [{key: images/covers/a.jpg, size: 14680, sha256: 9f86d081884c7d65...}]
seed:
  description: What the random choice started from.
  type: int
  returned: always
  sample: 4711
not_public:
  description: Number of drawn files that could not be fetched by their public URL as they are.
  type: int
  returned: always
  sample: 0
vanished:
  description: Number of files removed while the module worked.
  type: int
  returned: always
  sample: 0
failures:
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
throughput:
  description:
    - What was compared over time, at most 120 points, each of the seconds since the start, the bytes done and the files done.
    - Files that need nothing count as done, and so do those that fail.
  type: list
  elements: list
  returned: always
  sample: [[0.0, 0, 0], [1.0, 7340032, 250], [2.5, 14680064, 500]]
"""

import contextlib
import random
import time
from typing import Any

from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._module import (
    S3_ARGUMENTS,
    MediaModule,
    connection_of,
    run,
)
from ansible_collections.selfhosted.media.plugins.module_utils._objects.explicit import access_to
from ansible_collections.selfhosted.media.plugins.module_utils._public import fetch_all, url_of
from ansible_collections.selfhosted.media.plugins.module_utils._s3.probe import Question
from ansible_collections.selfhosted.media.plugins.module_utils._sync.hashing import sha256_of_stream
from ansible_collections.selfhosted.media.plugins.module_utils._sync.progress import Progress
from ansible_collections.selfhosted.media.plugins.module_utils._sync.verify import Check, Verification
from ansible_collections.selfhosted.media.plugins.module_utils._tree_options import (
    PROGRESS_ARGUMENTS,
    TREE_ARGUMENTS,
    concurrency_of,
    first_reason,
    reasons_of,
    tree_of,
)
from ansible_collections.selfhosted.media.plugins.module_utils._watched.relay import go_apart

ARGUMENTS: dict[str, dict[str, Any]] = {
    **S3_ARGUMENTS,
    **TREE_ARGUMENTS,
    **PROGRESS_ARGUMENTS,
    "missing_allowed": {"type": "bool", "default": False},
    "different_allowed": {"type": "bool", "default": False},
    "older_than": {"type": "float"},
    "sample": {"type": "int", "default": 0},
    "seed": {"type": "int"},
    "public_url": {"type": "str", "default": ""},
}
COUNTED = ("verified", "missing", "different", "extra", "unverifiable", "not_public", "newer", "vanished", "ignored")


def sample_of(verification: Verification) -> list[dict[str, Any]]:
    """The drawn files with what an object must be to be the same; those that vanished meanwhile are left out."""
    found = []
    for local in verification.drawn:
        with contextlib.suppress(OSError):
            with verification.check.tree.open(local.key) as stream:
                digest = sha256_of_stream(stream)
            found.append({"key": local.key.decode("utf-8"), "size": local.size, "sha256": digest})
    return found


def questions(drawn: list[dict[str, Any]], params: dict[str, Any]) -> list[Question]:
    """What to ask browsers' side of the bucket for."""
    certificates = {"validate_certs": params["validate_certs"], "ca_path": params["aws_ca_bundle"]}
    return [
        Question(url_of(params["public_url"], one["key"]), size=one["size"], sha256=one["sha256"], **certificates)
        for one in drawn
    ]


def verdict(verification: Verification, ok: bool, drawn: list[dict[str, Any]]) -> dict[str, Any]:
    """The module's result."""
    account = verification.account
    counts = {kind: account[kind] for kind in COUNTED}
    return {
        **counts,
        "failures": account["failed"],  # "failed" is Ansible's own word for the task's fate
        "ok": ok,
        "changed": False,
        "reasons": reasons_of(account, (*COUNTED[1:], "failed")),
        "sample": drawn,
        "seed": verification.check.seed,
        "bytes": account.bytes,
        "requests": account.requests,
        "duration": round(time.time() - verification.started, 3),
        "throughput": verification.progress.throughput(),
    }


def main() -> None:
    watched = go_apart()
    module = MediaModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    connection = connection_of(module)

    def work() -> dict[str, Any]:
        params = module.params
        check = Check(
            access_to(connection, params["bucket"]),
            tree_of(params),
            params["compare"] == "checksum",
            concurrency_of(params),
            params["missing_allowed"],
            params["different_allowed"],
            params["older_than"],
            sample=params["sample"],
            seed=random.randrange(2**31) if params["seed"] is None else params["seed"],  # noqa: S311 (no secret)
        )
        verification = Verification(check, progress=Progress(watched.progress, watched.supervisor))
        ok = verification.carry_out()
        drawn = sample_of(verification)
        if params["public_url"]:
            # Of two contents of the same size, only fetching tells that they differ.
            other_content = "different" if params["different_allowed"] else "not_public"
            fetch_all(questions(drawn, params), verification.account, other_content=other_content)
            ok = ok and not verification.account["not_public"]
        result = verdict(verification, ok, drawn)
        if not ok:
            kinds = ("different", "unverifiable", "failed", "missing", "not_public")
            kind = next(kind for kind in kinds if verification.account[kind])
            raise MediaError(
                f"the bucket does not hold everything: {result['missing']} missing, {result['different']} different, "
                f"{result['unverifiable']} unverifiable, {result['failures']} unreadable, "
                f"{result['not_public']} of the sample not readable by everybody; "
                f"for instance {first_reason(verification.account, kind)}",
                result,
            )
        return result

    run(module, work)


if __name__ == "__main__":
    main()
