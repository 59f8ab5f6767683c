#!/usr/bin/python
# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: media_sync
short_description: Copies a folder tree to a bucket prefix, or back
version_added: 0.1.0
author: selfhosted.media contributors (@selfhosted-media)
description:
  - Walks the folder and lists the bucket side by side, both in key order, and transfers what is missing or different, many files at a time.
  - No request is made per file that is already there. Memory does not grow with the number of files. A large tree is split into ranges of
    keys that several processes and threads go through side by side.
  - Small files are signed with the SHA-256 of their content, parts of large ones carry its MD5, so that the service itself refuses what was
    damaged on its way. Failed requests are tried again as boto3 would; credentials, endpoint, region, proxy and certificates are boto3's too.
  - Files larger than 8 MiB go in parts, several at a time, with the MD5 of their whole content as metadata C(selfhosted-media-md5). Uploads
    that a killed run has left unfinished are taken up where they were, or given up when their file has changed or gone. To know them from
    other tools' uploads, which are never touched, notes are kept in C($XDG_STATE_HOME/selfhosted.media), by default below C(~/.local/state).
  - Files that vanish while the module works are counted, files that change while they are read are taken again. What fails is counted
    with its reason, everything else is finished, and the module fails at the end.
  - The media are never deleted or overwritten on the side they come from.
  - A download writes each file under a temporary name, C(.selfhosted-media-) and 16 hexadecimal digits, until it is whole. Files of such
    names never take part; those left behind by a download that was killed are removed by the next one into the same folder.
extends_documentation_fragment:
  - selfhosted.media.attributes
  - selfhosted.media.attributes.s3
  - selfhosted.media.s3
  - selfhosted.media.tree
  - selfhosted.media.progress
attributes:
  check_mode:
    support: full
    details: The result then holds the counts and bytes of what would be done. A bucket that does not exist yet counts as empty.
  diff_mode:
    support: partial
    details: The diff holds counts, not names.
  idempotent:
    support: full
options:
  direction:
    description: Whether objects are made from files or files from objects.
    type: str
    default: upload
    choices: [upload, download]
  overwrite:
    description:
      - V(changed) writes what is missing and what differs. Uploading with O(compare=size), a file differs when its size does or when it is
        newer than the object by the service's clock; downloading, only the size counts, unless O(changed_since) is given.
      - V(never) writes only what is missing and counts what differs in RV(conflicts). Uploading, the requests are conditional
        (C(If-None-Match)). Before the first one an empty object C(.selfhosted-media-probe-*) is written under the prefix and removed, to see
        whether the service honours that; where it does not, each object is looked for right before it is written.
    type: str
    default: changed
    choices: [changed, never]
  changed_since:
    description:
      - A moment in seconds since 1970, such as RV(started) of an earlier run.
      - Uploading, only files whose content or status changed at or after that moment by the target's clock are taken, and the bucket is not
        listed at all. Downloading, only objects written since are looked at, and one of the file's size is taken unless the file has its time.
    type: float
  acl:
    description: Canned ACL of new objects, such as V(public-read); RV(selfhosted.media.s3_bucket#module:object_acl) tells which. If empty, none is sent.
    type: str
    default: ''
  cache_control:
    description: Cache-Control of new objects. The default is what BookWyrm sets.
    type: str
    default: max-age=86400
  content_types:
    description: Content types by file name extension, dot included. They win over the guess by name.
    type: dict
    default: {}
  bandwidth_limit:
    description: Most bytes of content per second in sum, for instance V(2500000) for 20 Mbit/s. V(0) is no limit.
    type: int
    default: 0
  delete:
    description:
      - Whether what only the destination has is deleted there, under O(prefix) and within O(include) and O(exclude).
      - Done only after a run without failures, never when the source is empty, and not together with O(changed_since) or O(shard).
      - Refused also when an uploaded folder has names that are no readable files, such as links that lead nowhere; exclude them.
    type: bool
    default: false
  max_delete:
    description: If more names than this would be deleted, none is and the module fails.
    type: int
    default: 1000
  lock:
    description:
      - A folder that stands for what is being changed, such as an application's. No two tasks with the same one work at the same time on a host.
        The second fails and tells who holds the lock and since when, unless that is about to stop because its B(ansible-playbook) is gone
        (see O(show_progress)); then it waits. Nothing is written to the folder.
      - The lock ends with the process that holds it, however that ends. If omitted, none is taken.
    type: path
seealso:
  - module: selfhosted.media.media_verify
"""

EXAMPLES = r"""
- name: Copy BookWyrm's media to the bucket
  selfhosted.media.media_sync:
    endpoint_url: https://s3.fr-par.scw.cloud
    region: fr-par
    path: /opt/bookwyrm/images
    bucket: books
    prefix: images/
    include: ['*/*']
    acl: public-read
  register: copy

- name: Copy what was made meanwhile, without listing the bucket
  selfhosted.media.media_sync:
    endpoint_url: https://s3.fr-par.scw.cloud
    region: fr-par
    path: /opt/bookwyrm/images
    bucket: books
    prefix: images/
    include: ['*/*']
    acl: public-read
    changed_since: "{{ copy.started }}"

- name: Bring everything back to the disk
  selfhosted.media.media_sync:
    endpoint_url: https://s3.fr-par.scw.cloud
    region: fr-par
    path: /opt/bookwyrm/images
    bucket: books
    prefix: images/
    direction: download
"""

RETURN = r"""
uploaded:
  description: Number of files written to the bucket.
  type: int
  returned: always
  sample: 500
downloaded:
  description: Number of objects written to the folder.
  type: int
  returned: always
  sample: 0
unchanged:
  description: Number of names that were there already, the same.
  type: int
  returned: always
  sample: 1000
conflicts:
  description: Number of names that are there with other content and were not overwritten.
  type: int
  returned: always
  sample: 0
vanished:
  description: Number of names that were removed while the module worked.
  type: int
  returned: always
  sample: 0
failures:
  description: Number of names that could not be transferred. If there are any, the module fails.
  type: int
  returned: always
  sample: 0
ignored:
  description: Number of names that are neither files nor folders, or links that lead nowhere.
  type: int
  returned: always
  sample: 0
deleted:
  description: Number of names deleted at the destination.
  type: int
  returned: always
  sample: 0
extra:
  description: Number of names that only the destination has.
  type: int
  returned: always
  sample: 0
reasons:
  description:
    - The first 20 of RV(conflicts), RV(vanished), RV(failures) (as C(failed)) and RV(ignored) by name, fewer where names are very long.
    - What is not UTF-8 in a name is escaped with a backslash.
  type: dict
  returned: always
  sample: {failed: [{name: covers/a.jpg, reason: Permission denied}]}
bytes:
  description: Number of bytes transferred.
  type: int
  returned: always
  sample: 14680064
folders:
  description:
    - What was transferred, in check mode what would be, by the folder directly below O(path); those with most bytes, at most 20, the rest as
      C(other). What lies in O(path) itself is C(.).
  type: dict
  returned: always
  sample: {covers: {files: 400, bytes: 12000000}, avatars: {files: 100, bytes: 2680064}}
types:
  description:
    - What was transferred, in check mode what would be, by file name extension in lower case; C((none)) for names without one.
    - Those with most bytes, at most 20, the rest as C(other).
  type: dict
  returned: always
  sample: {jpg: {files: 480, bytes: 14000000}, webp: {files: 20, bytes: 680064}}
requests:
  description: Number of requests sent, those that were repeated counted once. In check mode, about how many the transfer would take.
  type: int
  returned: always
  sample: 501
request_seconds:
  description: How long the service took on average to answer a request, in seconds; those of small files are not counted.
  type: float
  returned: if one was counted
  sample: 0.021
started:
  description:
    - When the module began, in seconds since 1970 by the target's clock; for O(changed_since) of a later run.
    - With C(async), Ansible puts V(true) in its place.
  type: float
  returned: always
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
    - What was transferred over time, at most 120 points, each of the seconds since the start, the bytes done and the files done.
    - Files that need nothing count as done, and so do those that fail.
  type: list
  elements: list
  returned: always
  sample: [[0.0, 0, 0], [1.0, 7340032, 250], [2.5, 14680064, 500]]
"""

import contextlib
import time
from typing import Any

from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._instance.lock import instance_lock
from ansible_collections.selfhosted.media.plugins.module_utils._module import (
    S3_ARGUMENTS,
    MediaModule,
    connection_of,
    run,
)
from ansible_collections.selfhosted.media.plugins.module_utils._objects.explicit import access_to
from ansible_collections.selfhosted.media.plugins.module_utils._s3.client import Connection
from ansible_collections.selfhosted.media.plugins.module_utils._sync.engine import Run
from ansible_collections.selfhosted.media.plugins.module_utils._sync.job import Job
from ansible_collections.selfhosted.media.plugins.module_utils._sync.progress import Progress
from ansible_collections.selfhosted.media.plugins.module_utils._tree_options import (
    PROGRESS_ARGUMENTS,
    TREE_ARGUMENTS,
    concurrency_of,
    first_reason,
    reasons_of,
    request_seconds_of,
    tree_of,
)
from ansible_collections.selfhosted.media.plugins.module_utils._watched.relay import go_apart

ARGUMENTS: dict[str, dict[str, Any]] = {
    **S3_ARGUMENTS,
    **TREE_ARGUMENTS,
    **PROGRESS_ARGUMENTS,
    "direction": {"type": "str", "default": "upload", "choices": ["upload", "download"]},
    "overwrite": {"type": "str", "default": "changed", "choices": ["changed", "never"]},
    "changed_since": {"type": "float"},
    "acl": {"type": "str", "default": ""},
    "cache_control": {"type": "str", "default": "max-age=86400"},
    "content_types": {"type": "dict", "default": {}},
    "bandwidth_limit": {"type": "int", "default": 0},
    "delete": {"type": "bool", "default": False},
    "max_delete": {"type": "int", "default": 1000},
    "lock": {"type": "path"},
}
# Not "skipped" and "failed": with these words Ansible tells a task's own fate, and a true value would make it so.
COUNTED = ("uploaded", "downloaded", "unchanged", "conflicts", "vanished", "ignored", "deleted", "extra")
NAMED = ("conflicts", "vanished", "failed", "ignored")


def job_of(params: dict[str, Any], connection: Connection, check_mode: bool) -> Job:
    """The job that the options describe."""
    if params["delete"] and (params["shard"] or params["changed_since"] is not None):
        raise MediaError("delete needs the whole tree: it cannot be used with shard or changed_since")
    since = params["changed_since"]
    if since is not None and not 0 <= since < float("inf"):
        raise MediaError(f"changed_since {since} is no moment; give seconds since 1970")
    if params["bandwidth_limit"] < 0 or params["max_delete"] < 0:
        raise MediaError("bandwidth_limit and max_delete cannot be below 0")
    headers = {name: params[name] for name in ("acl", "cache_control")}
    headers.update({f"content_types: {name}": str(kind) for name, kind in params["content_types"].items()})
    for name, value in headers.items():
        if not (value.isascii() and value.isprintable()):
            raise MediaError(f"{name} cannot be sent as a header: {value!r}; write it in one line of ASCII characters")
    return Job(
        access_to(connection, params["bucket"]),
        tree_of(params),
        upload=params["direction"] == "upload",
        overwrite=params["overwrite"] == "changed",
        checksum=params["compare"] == "checksum",
        changed_since=params["changed_since"],
        acl=params["acl"],
        cache_control=params["cache_control"],
        content_types={
            f".{extension.lstrip('.').lower()}": str(kind) for extension, kind in params["content_types"].items()
        },
        concurrency=concurrency_of(params),
        bandwidth_limit=params["bandwidth_limit"],
        max_parts=connection.known.max_parts,
        delete=params["delete"],
        max_delete=params["max_delete"],
        bucket_may_be_missing=check_mode,
    )


def result_of(sync: Run) -> dict[str, Any]:
    """The module's result: counts, and a few names."""
    account = sync.account
    counts = {kind: account[kind] for kind in COUNTED}
    changed = counts["uploaded"] + counts["downloaded"] + counts["deleted"]
    return {
        **counts,
        "failures": account["failed"],  # "failed" is Ansible's own word for the task's fate
        "changed": bool(changed),
        "reasons": reasons_of(account, NAMED),
        "bytes": account.bytes,
        "folders": account.folders.told(),
        "types": account.types.told(),
        "requests": account.requests,
        **request_seconds_of(account),
        "started": sync.started,
        "duration": round(time.time() - sync.started, 3),
        "throughput": sync.progress.throughput(),
        "diff": {
            "before": {"same": counts["unchanged"], "extra": counts["extra"]},
            "after": {
                "same": counts["unchanged"] + counts["uploaded"] + counts["downloaded"],
                "extra": counts["extra"] - counts["deleted"],
            },
        },
    }


def failure_of(sync: Run) -> str:
    """The sentence about names that failed."""
    count = sync.account["failed"]
    told = "1 name could not be transferred" if count == 1 else f"{count} names could not be transferred"
    if sync.job.delete and not sync.account["deleted"]:
        told += ", so nothing was deleted"
    return f"{told}; everything else was done. The first: {first_reason(sync.account, 'failed')}"


def main() -> None:
    watched = go_apart()
    module = MediaModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    connection = connection_of(module)

    def work() -> dict[str, Any]:
        progress = Progress(watched.progress, watched.supervisor)
        sync = Run(job_of(module.params, connection, module.check_mode), progress=progress)
        lock = module.params["lock"]
        try:
            if module.check_mode:
                sync.preview()
            else:
                with instance_lock(lock, "copying media", watched.looked) if lock else contextlib.nullcontext():
                    sync.carry_out()
        except MediaError as exc:
            raise MediaError(str(exc), result_of(sync)) from exc
        result = result_of(sync)
        if result["failures"]:
            raise MediaError(failure_of(sync), result)
        return result

    run(module, work)


if __name__ == "__main__":
    main()
