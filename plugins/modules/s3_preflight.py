#!/usr/bin/python
# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: s3_preflight
short_description: A checklist of everything that could go wrong with a bucket
version_added: 0.1.0
author: selfhosted.media contributors (@selfhosted-media)
description:
  - Finds out whether endpoint, keys, clock and bucket are right and whether the keys may do what is needed, and reports everything at
    once, each failure with what to do about it.
  - What cannot be told without trying is tried with a small object of a random name under O(prefix), C(.selfhosted-media-probe-...),
    which is always removed. No other object is touched.
extends_documentation_fragment:
  - selfhosted.media.s3
  - selfhosted.media.attributes
  - selfhosted.media.attributes.s3
attributes:
  check_mode:
    support: full
    details: In check mode no probe object is written; what needs one is reported as V(unknown).
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  bucket:
    description: Name of the bucket.
    type: str
    required: true
    aliases: [name]
  prefix:
    description: Folder of the bucket in which the probe object is written, such as V(images/).
    type: str
    default: ""
  public_url:
    description:
      - What comes before the key in the public URL of an object, such as V(https://media.example.org).
      - If not set, the provider's own public URL of the bucket.
    type: str
  origin:
    description: Origin of the pages that use the objects, such as V(https://example.org). Needed to look at C(cors).
    type: str
  needs:
    description:
      - What the keys, and browsers, must be able to do.
      - C(acl) is an upload with the ACL V(public-read), C(public_read) a GET without credentials, C(cors) a browser's request from
        O(origin), C(multipart) an upload in parts.
      - With C(create_bucket) a bucket that does not exist is no failure; what depends on it is then unknown.
    type: list
    elements: str
    default: [list, write, read, delete]
    choices: [create_bucket, list, write, acl, read, public_read, cors, multipart, delete]
  fail:
    description: Whether a failed check fails the module. With V(false) see RV(ok).
    type: bool
    default: true
seealso:
  - module: selfhosted.media.s3_bucket
  - module: selfhosted.media.media_probe
"""

EXAMPLES = r"""
- name: May this key fill the bucket, and do browsers see what is in it
  selfhosted.media.s3_preflight:
    bucket: example-media
    region: eu-central-1
    prefix: images/
    origin: https://books.example.org
    needs: [list, write, read, delete, public_read, cors]

- name: Before the bucket is made
  selfhosted.media.s3_preflight:
    bucket: example-media
    provider: ceph
    endpoint_url: https://objects.example.org
    access_key: "{{ vault_access_key }}"
    secret_key: "{{ vault_secret_key }}"
    needs: [create_bucket, list, write, acl, read, delete]
    fail: false
  register: preflight
"""

RETURN = r"""
checks:
  description: All checks.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: What was looked at; C(endpoint), C(credentials), C(clock), C(bucket), then what O(needs) names, and C(cleanup) if the
        probe object could not be removed.
      type: str
      returned: always
    state:
      description: V(ok), V(failed), or V(unknown) where it could not be found out.
      type: str
      returned: always
    detail:
      description: What was found.
      type: str
      returned: always
    remedy:
      description: What to do about a failure.
      type: str
      returned: always
  sample:
    - {name: write, state: failed, detail: "writing an object to example-media failed: AccessDenied", remedy: "allow the key s3:PutObject"}
ok:
  description: Whether no check failed. Those that are V(unknown) do not count.
  returned: always
  type: bool
  sample: false
msg:
  description: All failures in one message.
  returned: always
  type: str
  sample: all checks passed
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._module import S3_ARGUMENTS, connection_of, run
from ansible_collections.selfhosted.media.plugins.module_utils._s3.client import Connection, connect
from ansible_collections.selfhosted.media.plugins.module_utils._s3.preflight import (
    FAILED,
    NEEDS,
    Plan,
    examine,
    summary,
)
from ansible_collections.selfhosted.media.plugins.module_utils._s3.settings import derive

ARGUMENTS: dict[str, dict[str, Any]] = {
    **S3_ARGUMENTS,
    "bucket": {"type": "str", "required": True, "aliases": ["name"]},
    "prefix": {"type": "str", "default": ""},
    "public_url": {"type": "str"},
    "origin": {"type": "str"},
    "needs": {
        "type": "list",
        "elements": "str",
        "default": ["list", "write", "read", "delete"],
        "choices": list(NEEDS),
    },
    "fail": {"type": "bool", "default": True},
}


class ChecksFailed(MediaError):
    """The checklist with its failures, which the module returns beside the message."""

    def __init__(self, message: str, result: dict[str, Any]) -> None:
        super().__init__(message)
        self.result = result


def public_url_of(params: dict[str, Any], connection: Connection, region: str) -> str:
    """The URL that was given, else the provider's own."""
    given = str(params["public_url"] or "").rstrip("/")
    if not given:
        return derive(connection.provider, params["bucket"], region, connection.endpoint).public_url
    if "://" not in given:
        raise MediaError(f"public_url {given!r} has no scheme; write https://{given}")
    return given


def bring_about(module: AnsibleModule, connection: Connection) -> dict[str, Any]:
    params = module.params
    # an endpoint that does not answer is one of the findings: it must not take minutes
    client = connect(connection, connect_timeout=10, read_timeout=30, retries={"max_attempts": 2, "mode": "standard"})
    plan = Plan(
        bucket=params["bucket"],
        prefix=params["prefix"],
        needs=tuple(params["needs"]),
        public_url=public_url_of(params, connection, client.meta.region_name),
        origin=params["origin"],
        may_write=not module.check_mode,
        validate_certs=params["validate_certs"],
        ca_path=params["aws_ca_bundle"],
    )
    checks = examine(client, plan)
    ok = all(check.state != FAILED for check in checks)
    result = {"ok": ok, "checks": [check.as_dict() for check in checks]}
    if not ok and params["fail"]:
        raise ChecksFailed(summary(checks), result)
    return {"changed": False, "msg": summary(checks), **result}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    connection = connection_of(module)
    run(module, lambda: bring_about(module, connection))


if __name__ == "__main__":
    main()
