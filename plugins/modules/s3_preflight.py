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
  - Finds out whether boto3, endpoint, keys, clock, region, bucket and public URL are right and whether the keys, and browsers, may do what is
    needed. Everything is reported at once, each failure with what to do about it, and what could not be found out with the reason.
  - What cannot be told without trying is tried with a small object of a random name under O(prefix), C(.selfhosted-media-probe-...),
    which is always removed. No other object is touched.
extends_documentation_fragment:
  - selfhosted.media.s3
  - selfhosted.media.attributes
  - selfhosted.media.attributes.s3
attributes:
  check_mode:
    support: full
    details: In check mode nothing is written; what only an object can show is reported as V(unknown).
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
      - What the keys, and everybody without keys, must or must not be able to do.
      - Of the keys, C(list), C(write), C(read), C(delete); C(acl) is an upload with the ACL V(public-read), C(multipart) one in parts.
      - With C(create_bucket) a bucket that does not exist is no failure; what depends on it is then unknown.
      - Of everybody, C(public_read) is a GET without keys at the public URL, C(cors) a browser's request from O(origin), and
        C(public_domain), which both include, whether the public URL can be reached and fits the pages of O(origin).
      - C(public_list) is that nobody can list the bucket without keys, C(private) that nobody can read the object without keys.
    type: list
    elements: str
    default: [list, write, read, delete]
    choices: [create_bucket, list, write, acl, read, private, public_domain, public_read, public_list, cors, multipart, delete]
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
    needs: [list, write, read, delete, public_read, public_list, cors]

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
      description: What was looked at; C(boto3), C(endpoint), C(credentials), C(clock), C(region), C(bucket), then what O(needs) names, and
        C(cleanup) if the probe object could not be removed.
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
    - {name: write, state: failed, detail: "refused (AccessDenied)", remedy: "allow the key s3:PutObject under images/"}
ok:
  description: Whether no check failed. Those that are V(unknown) do not count.
  returned: always
  type: bool
  sample: false
msg:
  description: The checklist for a person, failures first, one line each.
  returned: always
  type: str
  sample: "all checks passed:\n- well: boto3, endpoint, credentials, clock, region, bucket, list, write, read, delete"
policy:
  description:
    - The policy document that allows the key what O(needs) names and nothing else, for services that have such policies.
    - What the keys of an application need is said by P(selfhosted.media.s3_policy#filter).
  returned: when the key was refused something
  type: dict
  sample: {Version: "2012-10-17", Statement: [{Effect: Allow, Action: ["s3:ListBucket"], Resource: ["arn:aws:s3:::example-media"]}]}
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

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._module import S3_ARGUMENTS, MediaModule, run
from ansible_collections.selfhosted.media.plugins.module_utils._s3.checklist import (
    FAILED,
    NEEDS,
    Checklist,
    Plan,
    summary,
)
from ansible_collections.selfhosted.media.plugins.module_utils._s3.client import Connection
from ansible_collections.selfhosted.media.plugins.module_utils._s3.preflight import (
    examine,
    policy_for,
    say_what_to_allow,
)
from ansible_collections.selfhosted.media.plugins.module_utils._s3.providers import PROVIDERS, Provider

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


def provider_of(connection: Connection) -> Provider:
    """The provider; that it is not known is one of the findings."""
    try:
        return connection.known
    except MediaError:
        return PROVIDERS["generic"]


def plan_of(module: AnsibleModule, connection: Connection) -> Plan:
    params = module.params
    return Plan(
        bucket=params["bucket"],
        prefix=params["prefix"],
        needs=tuple(params["needs"]),
        provider=provider_of(connection),
        public_url=str(params["public_url"] or "").rstrip("/"),
        origin=params["origin"],
        may_write=not module.check_mode,
        validate_certs=params["validate_certs"],
        ca_path=params["aws_ca_bundle"],
    )


def bring_about(module: AnsibleModule) -> dict[str, Any]:
    connection = Connection(**{name: module.params[name] for name in S3_ARGUMENTS})
    plan = plan_of(module, connection)
    checklist = Checklist(plan.needs)
    checks = checklist.finish(examine(connection, plan, checklist))
    ok = all(check.state != FAILED for check in checks)
    result: dict[str, Any] = {"ok": ok, "checks": [check.as_dict() for check in checks]}
    message = summary(checks)
    if checklist.refused:
        message += f"\n{say_what_to_allow(plan)}"
        if plan.provider.policy is not False:
            result["policy"] = policy_for(plan, connection.region or "")
    if not ok and module.params["fail"]:
        raise MediaError(message, result)
    return {"changed": False, "msg": message, **result}


def main() -> None:
    module = MediaModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    run(module, lambda: bring_about(module))


if __name__ == "__main__":
    main()
