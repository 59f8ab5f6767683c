#!/usr/bin/python
# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: instance_cleanup
short_description: Removes media of a BookWyrm on S3 from its disk that are proven to be in its bucket
version_added: 0.1.0
author: selfhosted.media contributors (@selfhosted-media)
description:
  - B(Private to the roles of this collection.) Its options and results may change in any release.
  - Asks the bucket for the object of each file anew, compares it with the file's content, and only then removes the file. What cannot be
    proven stays, and is counted with its reason.
  - Asks the site whether it redirects C(/images/) to the bucket. If it does not, C(avatars/), C(uploads/) and what any text of the database
    links to as C(/images/...) stay too.
  - Links are neither followed nor removed. Folders that it empties are removed, but for those of the first level.
extends_documentation_fragment:
  - selfhosted.media.attributes
  - selfhosted.media.attributes.s3
  - selfhosted.media.s3
  - selfhosted.media.tree
attributes:
  check_mode:
    support: full
    details: Everything is proven all the same, and nothing is removed.
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  chdir:
    description: Folder of the instance. Its C(.env) has to name O(bucket) and be on S3.
    type: path
    required: true
  manage_command:
    description: The instance's manage.py as a list of words, or of one word as a line for the shell.
    type: list
    elements: str
    required: true
  user:
    description: User to run it as, if the module itself runs as root.
    type: str
    default: ''
  site_url:
    description: URL at which the site is asked for the redirect.
    type: str
    required: true
  host:
    description: Name, with its port if it has one, that the site goes by.
    type: str
    required: true
  public_url:
    description: URL under which browsers see the bucket.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Remove what is in the bucket
  selfhosted.media.instance_cleanup:
    endpoint_url: https://s3.fr-par.scw.cloud
    region: fr-par
    path: /opt/bookwyrm/images
    bucket: books
    prefix: images/
    include: ['*/*']
    chdir: /opt/bookwyrm
    manage_command: [/opt/bookwyrm/venv/bin/python, manage.py]
    user: bookwyrm
    site_url: https://books.example
    host: books.example
    public_url: https://media.books.example
"""

RETURN = r"""
removed:
  description: Number of files removed.
  type: int
  returned: always
  sample: 1500
bytes:
  description: Number of their bytes.
  type: int
  returned: always
  sample: 14680064
freed:
  description: The same by folder of the first level.
  type: dict
  returned: always
  sample: {covers: {files: 100, bytes: 4680064}}
removed_folders:
  description: Number of folders removed because they were empty then.
  type: int
  returned: always
  sample: 100
not_redirected:
  description: Why C(/images/) cannot be taken for redirected to the bucket; empty if it is.
  type: str
  returned: always
  sample: ''
linked:
  description: Number of files kept because something links to them as C(/images/...).
  type: int
  returned: always
  sample: 0
missing:
  description: Number of files kept because they are not in the bucket.
  type: int
  returned: always
  sample: 0
different:
  description: Number of files kept because their object has another size or content.
  type: int
  returned: always
  sample: 0
newer:
  description: Number of files kept because they were written after their object, or while they were compared.
  type: int
  returned: always
  sample: 0
unverifiable:
  description: Number of files kept because their object is archived, about to be deleted by a rule, or without a time.
  type: int
  returned: always
  sample: 0
vanished:
  description: Number of files removed by somebody else meanwhile.
  type: int
  returned: always
  sample: 0
failures:
  description: Number of files kept because they, or their objects, could not be read or removed.
  type: int
  returned: always
  sample: 0
ignored:
  description: Number of names left alone because they are links, no files, or no names that an object can have.
  type: int
  returned: always
  sample: 0
reasons:
  description: The first 20 names of each of these, with the reason.
  type: dict
  returned: always
  sample: {missing: [{name: covers/a.jpg, reason: not in the bucket}]}
requests:
  description: Number of requests sent.
  type: int
  returned: always
  sample: 1500
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
"""

import contextlib
import time
from dataclasses import asdict
from typing import Any, Callable

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._instance.bookwyrm import read_settings
from ansible_collections.selfhosted.media.plugins.module_utils._instance.command import Runner, command_of
from ansible_collections.selfhosted.media.plugins.module_utils._instance.links import find_links
from ansible_collections.selfhosted.media.plugins.module_utils._instance.lock import instance_lock
from ansible_collections.selfhosted.media.plugins.module_utils._instance.redirect import why_not_redirected
from ansible_collections.selfhosted.media.plugins.module_utils._module import (
    S3_ARGUMENTS,
    MediaModule,
    connection_of,
    run,
)
from ansible_collections.selfhosted.media.plugins.module_utils._objects.explicit import access_to
from ansible_collections.selfhosted.media.plugins.module_utils._sync.cleanup import Cleanup
from ansible_collections.selfhosted.media.plugins.module_utils._tree_options import (
    TREE_ARGUMENTS,
    concurrency_of,
    first_reason,
    reasons_of,
    tree_of,
)

ARGUMENTS: dict[str, dict[str, Any]] = {
    **S3_ARGUMENTS,
    **TREE_ARGUMENTS,
    "chdir": {"type": "path", "required": True},
    "manage_command": {"type": "list", "elements": "str", "required": True},
    "user": {"type": "str", "default": ""},
    "site_url": {"type": "str", "required": True},
    "host": {"type": "str", "required": True},
    "public_url": {"type": "str", "required": True},
}
COUNTED = ("linked", "missing", "different", "newer", "unverifiable", "vanished", "ignored")


def check_storage(params: dict[str, Any]) -> None:
    """Raise MediaError unless the instance's own settings say that its media are in this bucket."""
    settings = read_settings(params["chdir"])
    if not settings.is_true("USE_S3"):
        raise MediaError(
            f"{settings.path} does not say USE_S3=true: the instance shows what is on its disk. Nothing was removed"
        )
    bucket = settings.values.get("AWS_STORAGE_BUCKET_NAME", "")
    if bucket != params["bucket"]:
        raise MediaError(f"{settings.path} names bucket {bucket!r}, not {params['bucket']!r}. Nothing was removed")


def why_kept(params: dict[str, Any], not_redirected: str) -> Callable[[bytes], str]:
    """What tells why a file stays, by its name."""
    if not not_redirected:
        return lambda _name: ""
    runner = Runner(params["chdir"], params["user"] or None)
    return find_links(runner, command_of(params["manage_command"])).why_kept


def verdict(cleanup: Cleanup, not_redirected: str) -> dict[str, Any]:
    """The module's result."""
    account = cleanup.account
    return {
        **{kind: account[kind] for kind in ("removed", *COUNTED)},
        "changed": account["removed"] > 0,
        "failures": account["failed"],  # "failed" is Ansible's own word for the task's fate
        "bytes": account.bytes,
        "freed": {folder: asdict(freed) for folder, freed in sorted(cleanup.freed.items())},
        "removed_folders": cleanup.removed_folders,
        "not_redirected": not_redirected,
        "reasons": reasons_of(account, (*COUNTED, "failed")),
        "requests": account.requests,
        "duration": round(time.time() - cleanup.started, 3),
    }


def clean_up(module: AnsibleModule, cleanup: Cleanup) -> dict[str, Any]:
    """Do it, and return the result. Raises MediaError when not every file could be looked at."""
    params = module.params
    not_redirected = why_not_redirected(params["site_url"], params["host"], params["public_url"], params["path"])
    cleanup.why_kept = why_kept(params, not_redirected)
    done = "would be removed" if module.check_mode else "were removed, each proven"
    try:
        cleanup.carry_out()
    except MediaError as exc:
        raise MediaError(
            f"{exc}; until then {cleanup.account['removed']} files {done}", verdict(cleanup, not_redirected)
        ) from exc
    failed = cleanup.account["failed"]
    if failed:
        first = first_reason(cleanup.account, "failed")
        raise MediaError(
            f"{failed} files could not be compared or removed and stay, for instance {first}; "
            f"{cleanup.account['removed']} {done}; when the cause is mended, run again",
            verdict(cleanup, not_redirected),
        )
    return verdict(cleanup, not_redirected)


def main() -> None:
    module = MediaModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    connection = connection_of(module)

    def work() -> dict[str, Any]:
        params = module.params
        access, tree = access_to(connection, params["bucket"]), tree_of(params)
        tree.check()
        lock = contextlib.nullcontext() if module.check_mode else instance_lock(params["chdir"], "cleaning up")
        with lock:
            check_storage(params)  # with the lock held nobody changes that
            return clean_up(module, Cleanup(access, tree, concurrency_of(params), module.check_mode))

    run(module, work)


if __name__ == "__main__":
    main()
