#!/usr/bin/python
# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: s3_content_types
short_description: Mends the Content-Type of objects that have none worth the name
version_added: 0.1.0
author: selfhosted.media contributors (@selfhosted-media)
description:
  - Django collects static assets into the bucket with the type that the machine knows for the name. Containers without C(/etc/mime.types) know
    none for web fonts and webp images, and browsers may then refuse them.
  - Objects whose type is C(application/octet-stream), C(binary/octet-stream) or missing get the type of their name, by a copy onto themselves.
    Everything else stays as it is.
  - Sends one HEAD request per object, so it is meant for the few hundred static assets, not for media.
extends_documentation_fragment:
  - selfhosted.media.attributes
  - selfhosted.media.attributes.s3
  - selfhosted.media.s3
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  bucket:
    description: Name of the bucket.
    type: str
    required: true
  prefix:
    description: Where in the bucket the objects lie, such as V(static/).
    type: str
    required: true
  acl:
    description: Canned ACL of the objects, which a copy would otherwise reset; RV(selfhosted.media.s3_bucket#module:object_acl) tells which.
    type: str
    default: ''
"""

EXAMPLES = r"""
- name: Mend the types of web fonts
  selfhosted.media.s3_content_types:
    endpoint_url: https://s3.fr-par.scw.cloud
    region: fr-par
    bucket: books
    prefix: static/
    acl: public-read
"""

RETURN = r"""
mended:
  description: Number of objects whose type was mended.
  type: int
  returned: always
  sample: 12
objects:
  description: The first 20 of them, with their type.
  type: list
  elements: dict
  returned: always
  sample: [{name: static/fonts/icomoon.woff2, reason: font/woff2}]
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

from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._module import (
    S3_ARGUMENTS,
    MediaModule,
    connection_of,
    run,
)
from ansible_collections.selfhosted.media.plugins.module_utils._objects.explicit import access_to
from ansible_collections.selfhosted.media.plugins.module_utils._s3.client import connect
from ansible_collections.selfhosted.media.plugins.module_utils._sync.keys import clean_prefix
from ansible_collections.selfhosted.media.plugins.module_utils._sync.mend import Mending
from ansible_collections.selfhosted.media.plugins.module_utils._tree_options import first_reason

ARGUMENTS: dict[str, dict[str, Any]] = {
    **S3_ARGUMENTS,
    "bucket": {"type": "str", "required": True},
    "prefix": {"type": "str", "required": True},
    "acl": {"type": "str", "default": ""},
}


def main() -> None:
    module = MediaModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    connection = connection_of(module)

    def work() -> dict[str, Any]:
        params = module.params
        client = connect(connection, max_connections=16)
        access = access_to(connection, params["bucket"])
        prefix = clean_prefix(params["prefix"])
        mending = Mending(client, access, params["bucket"], prefix, params["acl"], module.check_mode)
        mending.carry_out()
        account = mending.account
        objects = account.remarks("mended")
        after = "".join(f"{item['name']}: {item['reason']}\n" for item in objects)
        before = "".join(f"{item['name']}: application/octet-stream\n" for item in objects)
        result = {
            "changed": bool(account["mended"]),
            "mended": account["mended"],
            "objects": objects,
            "diff": {"before": before, "after": after},
        }
        if account["failed"]:
            raise MediaError(
                f"{account['failed']} objects could not be mended; {first_reason(account, 'failed')}", result
            )
        return result

    run(module, work)


if __name__ == "__main__":
    main()
