#!/usr/bin/python
# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: s3_bucket
short_description: Creates, publishes or deletes a bucket of an S3 service
version_added: 0.1.0
author: selfhosted.media contributors (@selfhosted-media)
description:
  - Makes sure that a bucket is there, or gone, and that everybody may read what lies under the chosen prefixes, and nothing else.
  - A bucket that belongs to somebody else, or that the key may not see, is an error and never taken for absent.
  - What is not asked for stays as it is, statements of others in the bucket policy included.
extends_documentation_fragment:
  - selfhosted.media.s3
  - selfhosted.media.attributes
  - selfhosted.media.attributes.s3
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  name:
    description: Name of the bucket.
    type: str
    required: true
    aliases: [bucket]
  state:
    description:
      - Whether the bucket is to be there.
      - V(absent) deletes it only if it is empty, unless O(force=true).
    type: str
    default: present
    choices: [present, absent]
  public_prefixes:
    description:
      - Folders of the bucket that everybody may read, for instance V(images/). The slash at the end is added if it is missing.
        Nobody may list the bucket, unless O(public_method=bucket_acl).
      - An empty list takes publication back. What O(public_method=acl) has published is hidden by the service's public access block
        where there is one (AWS, Ceph); elsewhere objects that were uploaded with V(public-read) stay readable.
      - If not set, publication is left as it is.
    type: list
    elements: str
  public_method:
    description:
      - How the prefixes become public.
      - V(auto) takes what the provider's entry in the provider table says. Where it is not confirmed what the service honours, that is
        tried with a small object under the first prefix, which is removed again; the provider page of the documentation tells where.
      - V(policy) adds a statement to the bucket policy. On AWS the public access block of the bucket is opened for policies first.
      - With V(acl) the bucket stays private; the objects themselves have to be uploaded with the ACL RV(object_acl). On AWS this
        switches the bucket to C(BucketOwnerPreferred) and opens its public access block for ACLs.
      - V(bucket_acl) makes the whole bucket public, whatever the prefixes.
      - V(website) makes the whole bucket a website, for Garage. It is taken back with Garage's own command.
      - V(none) does nothing, for a bucket that is published by other means, such as a CDN in front of it.
    type: str
    default: auto
    choices: [auto, policy, acl, bucket_acl, website, none]
  versioning:
    description: Whether the service keeps old versions of objects. If not set, that is left as it is.
    type: bool
  tags:
    description: All tags of the bucket; others are removed. If not set, they are left as they are.
    type: dict
  object_ownership:
    description:
      - AWS only, elsewhere without effect. Whether ACLs of objects are accepted, as C(BucketOwnerPreferred) and C(ObjectWriter) do, or
        refused, as new buckets do.
      - If not set, that is changed only as far as publication needs it.
    type: str
    choices: [BucketOwnerEnforced, BucketOwnerPreferred, ObjectWriter]
  force:
    description:
      - With O(state=absent) deletes all objects of the bucket first, with all their versions, and unfinished uploads.
      - B(This cannot be undone.)
    type: bool
    default: false
seealso:
  - module: selfhosted.media.s3_cors
  - module: selfhosted.media.s3_preflight
"""

EXAMPLES = r"""
- name: A bucket on AWS whose images and static files everybody may read
  selfhosted.media.s3_bucket:
    name: example-media
    region: eu-central-1
    public_prefixes: [images/, static/]

- name: A private bucket on a Ceph gateway
  selfhosted.media.s3_bucket:
    name: example-exports
    provider: ceph
    endpoint_url: https://objects.example.org
    access_key: "{{ vault_access_key }}"
    secret_key: "{{ vault_secret_key }}"
    public_prefixes: []

- name: A private bucket on AWS for an application that gives each object an ACL
  selfhosted.media.s3_bucket:
    name: example-exports
    region: eu-central-1
    public_prefixes: []
    object_ownership: BucketOwnerPreferred

- name: The bucket is gone if it was empty
  selfhosted.media.s3_bucket:
    name: example-exports
    region: eu-central-1
    state: absent
"""

RETURN = r"""
name:
  description: Name of the bucket.
  returned: success
  type: str
  sample: example-media
region:
  description: Region of the bucket, as far as the service tells it, else the region that was signed with.
  returned: success
  type: str
  sample: eu-central-1
public_method:
  description: How the prefixes are published; V(none) if nothing is.
  returned: success
  type: str
  sample: policy
object_acl:
  description: The canned ACL with which objects have to be uploaded to be public; V(none) if uploads must carry no ACL.
  returned: success
  type: str
  sample: public-read
public_prefixes:
  description: The prefixes that are public, as O(public_prefixes) but cleaned.
  returned: success
  type: list
  elements: str
  sample: [images/, static/]
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
from ansible_collections.selfhosted.media.plugins.module_utils._module import (
    S3_ARGUMENTS,
    MediaModule,
    connection_of,
    run,
)
from ansible_collections.selfhosted.media.plugins.module_utils._s3.bucket import WantedBucket, ensure
from ansible_collections.selfhosted.media.plugins.module_utils._s3.client import IMPATIENT, Connection, connect
from ansible_collections.selfhosted.media.plugins.module_utils._s3.probe import Question
from ansible_collections.selfhosted.media.plugins.module_utils._s3.publication import (
    METHODS,
    Publication,
    clean_prefixes,
    method_of,
)
from ansible_collections.selfhosted.media.plugins.module_utils._s3.settings import derive
from ansible_collections.selfhosted.media.plugins.module_utils._s3.trial import method_by_trial

ARGUMENTS: dict[str, dict[str, Any]] = {
    **S3_ARGUMENTS,
    "name": {"type": "str", "required": True, "aliases": ["bucket"]},
    "state": {"type": "str", "default": "present", "choices": ["present", "absent"]},
    "public_prefixes": {"type": "list", "elements": "str"},
    "public_method": {"type": "str", "default": "auto", "choices": list(METHODS)},
    "versioning": {"type": "bool"},
    "tags": {"type": "dict"},
    "object_ownership": {"type": "str", "choices": ["BucketOwnerEnforced", "BucketOwnerPreferred", "ObjectWriter"]},
    "force": {"type": "bool", "default": False},
}


def bring_about(module: AnsibleModule, connection: Connection) -> dict[str, Any]:
    params, known = module.params, connection.known
    prefixes = None if params["public_prefixes"] is None else clean_prefixes(params["public_prefixes"])
    method = method_of(params["public_method"], known)
    if params["public_method"] == "auto" and len(known.public_methods) > 1 and prefixes:
        method = "auto"
    wanted = WantedBucket(
        name=params["name"],
        publication=Publication(method, prefixes),
        present=params["state"] == "present",
        versioning=params["versioning"],
        tags=None if params["tags"] is None else {str(key): str(value) for key, value in params["tags"].items()},
        object_ownership=params["object_ownership"],
        force=params["force"],
    )
    if method == "acl" and prefixes and wanted.object_ownership == "BucketOwnerEnforced":
        raise MediaError(
            "public_method: acl needs ACLs, which object_ownership: BucketOwnerEnforced refuses; leave one of them away"
        )
    client = connect(connection, **(IMPATIENT if module.check_mode else {}))

    def choose(may_write: bool) -> str:
        place = derive(known.name, wanted.name, client.meta.region_name, connection.endpoint)
        question = Question(place.public_url, validate_certs=params["validate_certs"], ca_path=params["aws_ca_bundle"])
        return method_by_trial(client, known, wanted.name, (prefixes or [""])[0], question, may_write)

    outcome = ensure(client, known, wanted, module.check_mode, choose)
    publication = outcome.publication
    for warning in outcome.warnings:
        module.warn(warning)
    return {
        "changed": outcome.differences.changed,
        "diff": outcome.differences.diff,
        "name": wanted.name,
        "region": outcome.region,
        "public_method": publication.method_in_effect,
        "object_acl": publication.object_acl,
        "public_prefixes": publication.prefixes or [],
    }


def main() -> None:
    module = MediaModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    connection = connection_of(module)
    run(module, lambda: bring_about(module, connection))


if __name__ == "__main__":
    main()
