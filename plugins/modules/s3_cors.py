#!/usr/bin/python
# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: s3_cors
short_description: Sets or removes the CORS rules of a bucket
version_added: 0.1.0
author: selfhosted.media contributors (@selfhosted-media)
description:
  - Makes the CORS rules of a bucket exactly those that are given, so that pages of other origins may use its fonts and files.
  - Rules are compared by what they mean; order of methods and origins and the case of header names do not count, since servers change
    them. What was set is read back, on a service that needs a while for it for up to 40 seconds.
  - Where a service takes no V(*) for headers (V(provider=cloudflare_r2)), the usual headers are named in its place.
extends_documentation_fragment:
  - selfhosted.media.s3
  - selfhosted.media.attributes
  - selfhosted.media.attributes.s3
attributes:
  check_mode:
    support: full
    details:
      - A bucket that does not exist yet counts as one without rules.
      - Whether a service has CORS rules at all may show only when they are set; then check mode announces a change that does not happen.
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  bucket:
    description: Name of the bucket.
    type: str
    required: true
    aliases: [name]
  rules:
    description:
      - A list of rules, each with C(allowed_origins), C(allowed_methods), and if wanted C(allowed_headers), C(expose_headers),
        C(max_age_seconds) and C(id). Also taken are the names of the S3 API (C(AllowedOrigins) and so on) and a whole document
        with C(CORSRules).
      - Needed with O(state=present), unless O(src) is given.
    type: raw
  src:
    description: Path on the target of a JSON file with the rules, in any of the forms of O(rules).
    type: path
  state:
    description: Whether the rules are to be there. With V(absent) the bucket has no rules at all.
    type: str
    default: present
    choices: [present, absent]
seealso:
  - module: selfhosted.media.s3_bucket
  - module: selfhosted.media.media_probe
"""

EXAMPLES = r"""
- name: Pages of the instance may use what is in the bucket
  selfhosted.media.s3_cors:
    bucket: example-media
    region: eu-central-1
    rules:
      - allowed_origins: [https://books.example.org, https://www.books.example.org]
        allowed_methods: [GET, HEAD, POST, PUT, DELETE]
        allowed_headers: ["*"]
        expose_headers: [Etag]
        max_age_seconds: 3000

- name: The same from the cors.json of an earlier set-up
  selfhosted.media.s3_cors:
    bucket: example-media
    region: eu-central-1
    src: /opt/bookwyrm/cors.json
"""

RETURN = r"""
rules:
  description: The rules as the service has stored them, or in check mode would store them.
  returned: success
  type: list
  elements: dict
  sample: [{"allowed_origins": ["https://books.example.org"], "allowed_methods": ["GET", "HEAD"], "max_age_seconds": 3000}]
supported:
  description:
    - Whether the service has CORS rules that can be set through the S3 API.
    - If not, nothing was changed and a warning says what to do instead; MinIO for instance has one setting for the whole server, which by
      default admits every origin. M(selfhosted.media.media_probe) shows what a browser gets.
  returned: success
  type: bool
  sample: true
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

import json
from pathlib import Path
from typing import Any, Optional

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._module import (
    S3_ARGUMENTS,
    MediaModule,
    connection_of,
    run,
)
from ansible_collections.selfhosted.media.plugins.module_utils._s3 import cors
from ansible_collections.selfhosted.media.plugins.module_utils._s3.client import Connection, connect
from ansible_collections.selfhosted.media.plugins.module_utils._s3.differences import DifferenceTracker
from ansible_collections.selfhosted.media.plugins.module_utils._s3.errors import NotSupported, NotThere, S3Error
from ansible_collections.selfhosted.media.plugins.module_utils._s3.provider import Provider

ARGUMENTS: dict[str, dict[str, Any]] = {
    **S3_ARGUMENTS,
    "bucket": {"type": "str", "required": True, "aliases": ["name"]},
    "rules": {"type": "raw"},
    "src": {"type": "path"},
    "state": {"type": "str", "default": "present", "choices": ["present", "absent"]},
}


def wanted_rules(params: dict[str, Any]) -> list[cors.Rule]:
    if params["state"] == "absent":
        return []
    document = params["rules"]
    if params["src"]:
        try:
            document = json.loads(Path(params["src"]).read_text(encoding="utf-8"))
        except OSError as exc:
            raise MediaError(f"{params['src']} cannot be read: {exc.strerror}") from exc
        except ValueError as exc:
            raise MediaError(f"{params['src']} is not JSON: {exc}") from exc
    elif isinstance(document, str):  # what a template yields
        try:
            document = json.loads(document)
        except ValueError as exc:
            raise MediaError(f"rules is a string, but not JSON: {exc}") from exc
    return cors.parse(document)


def not_supported(module: AnsibleModule, bucket: str, known: Provider, said: str = "") -> dict[str, Any]:
    instead = known.cors_instead or "set them in the service's own way"
    module.warn(
        f"the service has no CORS rules for bucket {bucket} that could be set through the S3 API; nothing was changed."
        f" Instead: {instead}. What a browser gets, media_probe shows" + (f". The service said: {said}" if said else "")
    )
    return {"changed": False, "rules": [], "supported": False}


def says_that_there_are_none(error: S3Error, known: Provider) -> bool:
    """Whether a refusal means that the service has no CORS rules. Where it is not confirmed that it has, any refusal of the rules does."""
    if isinstance(error, (NotSupported, NotThere)):
        return isinstance(error, NotSupported)
    return not known.cors and 400 <= error.status < 500 and error.status not in (401, 403, 429)


def bring_about(module: AnsibleModule, connection: Connection) -> dict[str, Any]:
    bucket, known, wanted = module.params["bucket"], connection.known, wanted_rules(module.params)
    if known.cors_exact_headers:
        wanted = cors.with_exact_headers(wanted)
    client = connect(connection)
    before: Optional[list[cors.Rule]]
    try:
        before = cors.read(client, bucket)
    except NotThere:
        if not module.check_mode:
            raise
        before = []
    # A service without CORS rules may say so only when they are set; then the provider table is all that check mode has.
    known_without = known.cors is False and (module.check_mode or not wanted)
    if not before and (known_without or (before is None and not wanted)):
        return not_supported(module, bucket, known)
    before = before or []
    after = before if cors.same(wanted, before) else wanted
    differences = DifferenceTracker()
    if differences.add("rules", before, after) and not module.check_mode:
        try:
            cors.write(client, bucket, wanted, known.settles_within) if wanted else cors.remove(client, bucket)
        except S3Error as exc:
            if not says_that_there_are_none(exc, known):
                raise
            return not_supported(module, bucket, known, str(exc))
        after = cors.read(client, bucket) or []
    return {"changed": differences.changed, "diff": differences.diff, "rules": after, "supported": True}


def main() -> None:
    module = MediaModule(
        argument_spec=ARGUMENTS,
        mutually_exclusive=[("rules", "src")],
        required_if=[("state", "present", ("rules", "src"), True)],
        supports_check_mode=True,
    )
    connection = connection_of(module)
    run(module, lambda: bring_about(module, connection))


if __name__ == "__main__":
    main()
