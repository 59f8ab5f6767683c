#!/usr/bin/python
# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: gramps_media
short_description: Uploads or verifies the media of Gramps family trees under their checksums
version_added: 0.1.0
author: selfhosted.media contributors (@selfhosted-media)
description:
  - Gramps Web finds a file on S3 by the checksum that the family tree's database records, whatever the file is called. This module reads the
    database, compares each media object with its file, and uploads each file once under that checksum with the recorded MIME type.
  - Everything that would be a broken picture on S3 stops it before anything is changed, and is named by its Gramps ID and path.
  - What is uploaded is verified by reading the bucket anew. Objects are never deleted.
  - Files that no media object means are counted in RV(unreferenced) and left where they are.
extends_documentation_fragment:
  - selfhosted.media.attributes
  - selfhosted.media.attributes.s3
  - selfhosted.media.s3
  - selfhosted.media.gramps
  - selfhosted.media.progress
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  state:
    description:
      - V(uploaded) uploads what the bucket lacks and verifies all of it.
      - V(verified) only compares, and fails unless every media object can be shown from the bucket. Files need not be on the disk any more.
    type: str
    default: uploaded
    choices: [uploaded, verified]
  lock:
    description: A folder, that of the instance. While media are uploaded, no other run may change the instance in it.
    type: path
seealso:
  - module: selfhosted.media.media_sync
"""

EXAMPLES = r"""
- name: What the desktop's S3 Media Uploader does, complete and verified
  selfhosted.media.gramps_media:
    region: eu-central-1
    tree: My Family Tree
    bucket: family-media

- name: The media of a Gramps Web with several family trees
  selfhosted.media.gramps_media:
    endpoint_url: https://s3.fr-par.scw.cloud
    region: fr-par
    grampsdb: /var/lib/docker/volumes/gramps_gramps_db/_data
    tree: '*'
    media_dir: /var/lib/docker/volumes/gramps_gramps_media/_data
    media_prefix_tree: true
    path_map:
      /app/media: /var/lib/docker/volumes/gramps_gramps_media/_data
    bucket: family-media

- name: Every picture of a tree that is kept in PostgreSQL is in the bucket
  selfhosted.media.gramps_media:
    url: https://family.example.org
    user: owner
    password: "{{ vault_gramps_password }}"
    media_dir: /srv/gramps/media
    bucket: family-media
    state: verified
"""

RETURN = r"""
rows:
  description: Number of media objects in the databases.
  type: int
  returned: when the databases could be read
  sample: 512
files:
  description: Number of files that are stored, each once.
  type: int
  returned: when the databases could be read
  sample: 498
shared:
  description: Number of media objects whose file is stored for another one already.
  type: int
  returned: when the databases could be read
  sample: 9
uploaded:
  description: Number of files that were uploaded.
  type: int
  returned: when the databases could be read
  sample: 498
unchanged:
  description: Number of files whose object was there already.
  type: int
  returned: when the databases could be read
  sample: 0
verified:
  description: Number of files that are in the bucket, whole. In check mode nothing is verified.
  type: int
  returned: when the databases could be read
  sample: 498
in_bucket:
  description: Number of media objects without a file whose object is in the bucket, as Gramps Web uploads them on S3.
  type: int
  returned: when the databases could be read
  sample: 0
missing:
  description: Number of media objects whose file is neither on the disk nor in the bucket.
  type: int
  returned: when the databases could be read
  sample: 0
mismatched:
  description: Number of media objects whose file has another MD5 than the database records, and is not stored.
  type: int
  returned: when the databases could be read
  sample: 0
stored_as_recorded:
  description: Number of those that are stored under the checksum that the database records.
  type: int
  returned: when the databases could be read
  sample: 0
empty_checksum:
  description: Number of media objects with a file and without a checksum.
  type: int
  returned: when the databases could be read
  sample: 0
outside_base:
  description: Number of media objects whose path leads out of O(media_dir). Gramps Web does not show them; they are left out.
  type: int
  returned: when the databases could be read
  sample: 5
unreferenced:
  description: Number of files in the media folder that no media object means.
  type: int
  returned: when the databases could be read
  sample: 3
reasons:
  description: The first names of each kind worth naming, by Gramps ID and path, with their reasons.
  type: dict
  returned: when the databases could be read
  sample: {}
trees:
  description: The family trees.
  type: list
  elements: dict
  returned: when the databases could be read
  contains:
    id:
      description: Id of the tree.
      type: str
    name:
      description: Its name.
      type: str
    rows:
      description: Number of its media objects.
      type: int
    prefix:
      description: What comes before the checksums in the bucket.
      type: str
  sample: [{id: 5f3e1a2b, name: My Family Tree, rows: 512, prefix: ''}]
bytes:
  description: Bytes uploaded.
  type: int
  returned: when the databases could be read
  sample: 104857600
types:
  description:
    - What was transferred, in check mode what would be, by the media type that the database records, where there is none by file name extension.
    - Those with most bytes, at most 20, the rest as C(other).
  type: dict
  returned: when the databases could be read
  sample: {image/jpeg: {files: 480, bytes: 104000000}, application/pdf: {files: 18, bytes: 857600}}
requests:
  description: Number of requests to the service. In check mode, about how many the transfer would take.
  type: int
  returned: when the databases could be read
  sample: 501
request_seconds:
  description: How long the service took on average to answer a request, in seconds; those of small files are not counted.
  type: float
  returned: if one was counted
  sample: 0.021
started:
  description: When it began, in seconds since 1970. With C(async), Ansible puts V(true) in its place.
  type: float
  returned: when the databases could be read
  sample: 1789300000.25
began:
  description: When the module began, in seconds since 1970 by the target's clock.
  type: float
  returned: always
  sample: 1789300000.25
duration:
  description: How long it took, in seconds.
  type: float
  returned: always
  sample: 2.5
throughput:
  description:
    - What was uploaded, with O(state=verified) compared, over time, at most 120 points, each of the seconds since the start, the bytes done and the files done.
    - Files that need nothing count as done, and so do those that fail.
  type: list
  elements: list
  returned: when the databases could be read
  sample: [[0.0, 0, 0], [1.0, 7340032, 250], [2.5, 14680064, 500]]
"""

import contextlib
import time
from typing import Any

from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._gramps.media import StoredMedia, check_verified
from ansible_collections.selfhosted.media.plugins.module_utils._gramps.options import GRAMPS_ARGUMENTS, media_of
from ansible_collections.selfhosted.media.plugins.module_utils._instance.lock import instance_lock
from ansible_collections.selfhosted.media.plugins.module_utils._module import (
    S3_ARGUMENTS,
    MediaModule,
    connection_of,
    run,
)
from ansible_collections.selfhosted.media.plugins.module_utils._sync.account import Account
from ansible_collections.selfhosted.media.plugins.module_utils._sync.progress import Progress
from ansible_collections.selfhosted.media.plugins.module_utils._tree_options import (
    PROGRESS_ARGUMENTS,
    reasons_of,
    request_seconds_of,
)
from ansible_collections.selfhosted.media.plugins.module_utils._watched.relay import go_apart

ARGUMENTS: dict[str, dict[str, Any]] = {
    **S3_ARGUMENTS,
    **GRAMPS_ARGUMENTS,
    **PROGRESS_ARGUMENTS,
    "state": {"type": "str", "default": "uploaded", "choices": ["uploaded", "verified"]},
    "lock": {"type": "path"},
}
SEEN = (
    "rows",
    "files",
    "shared",
    "in_bucket",
    "missing",
    "mismatched",
    "stored_as_recorded",
    "empty_checksum",
    "outside_base",
)
NAMED = ("missing", "mismatched", "stored_as_recorded", "empty_checksum", "outside_base", "failed")
#: Trees are told by themselves up to this number; a result stays small.
MOST_TREES = 50


def result_of(media: StoredMedia, verified: Account) -> dict[str, Any]:
    """The module's result: counts, and a few names."""
    seen = media.seen
    files, size = media.unreferenced()
    reasons = Account()
    for account in (seen, media.account, verified):
        reasons.add(account)
    return {
        **{kind: seen[kind] for kind in SEEN},
        "changed": bool(media.account["uploaded"]),
        "uploaded": media.account["uploaded"],
        "unchanged": media.account["unchanged"],
        "verified": verified["verified"],
        "unreferenced": files,
        "unreferenced_bytes": size,
        "reasons": reasons_of(reasons, NAMED),
        "trees": [
            {"id": one.tree.tree_id, "name": one.tree.name, "rows": len(one.tree.rows), "prefix": one.place.prefix}
            for one in media.surveys[:MOST_TREES]
        ],
        "bytes": media.account.bytes,
        "types": media.account.types.told(),
        "requests": media.account.requests,
        **request_seconds_of(media.account),
        "started": media.started,
        "duration": round(time.time() - media.started, 3),
        "throughput": media.progress.throughput(),
    }


def main() -> None:
    watched = go_apart()
    module = MediaModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    connection = connection_of(module)

    def work() -> dict[str, Any]:
        params, check_mode = module.params, module.check_mode
        is_upload = params["state"] == "uploaded"
        media = media_of(
            params,
            connection,
            bucket_may_be_missing=check_mode and is_upload,
            folder_may_be_missing=not is_upload,
            progress=Progress(watched.progress, watched.supervisor),
        )
        verified = Account()
        media.look_through()
        try:
            media.check()
            if is_upload and not params["prefix"] and not params["allow_shared"]:
                media.check_dedicated()
            if is_upload and check_mode:
                media.preview()
            elif is_upload:
                lock = params["lock"]
                with instance_lock(lock, "copying media", watched.looked) if lock else contextlib.nullcontext():
                    media.upload()
            if not (is_upload and check_mode):
                verified = media.verify(charted=not is_upload)
                check_verified(verified)
        except MediaError as exc:
            raise MediaError(str(exc), result_of(media, verified)) from exc
        return result_of(media, verified)

    run(module, work)


if __name__ == "__main__":
    main()
