#!/usr/bin/python
# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: media_probe
short_description: Looks at a URL as a browser would
version_added: 0.1.0
author: selfhosted.media contributors (@selfhosted-media)
description:
  - Fetches a URL without credentials. With O(origin) also asks whether a browser would let pages of that origin use it, by the preflight
    that browsers send, and by a plain GET with C(Origin), as for web fonts.
  - Fails, with a sentence on what to do, if the answer is not what O(public), O(cors), O(sha256) and O(size) expect.
  - Changes nothing. Needs Python only, no boto3 and no keys.
extends_documentation_fragment:
  - selfhosted.media.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  url:
    description: The URL to look at.
    type: str
    required: true
  origin:
    description:
      - Origin of the pages that use the URL, exactly as browsers send it, such as V(https://example.org), without a slash at its end.
      - If not set, CORS and mixed content are not looked at.
    type: str
  method:
    description: The method that the preflight asks for.
    type: str
    default: GET
    choices: [GET, HEAD, POST, PUT, DELETE, PATCH]
  request_headers:
    description: Names of request headers that the preflight asks for.
    type: list
    elements: str
    default: []
  public:
    description: Whether everybody is to be able to read the URL. With V(false), anything but a refusal is an error.
    type: bool
    default: true
  cors:
    description:
      - Whether pages of O(origin) are to be able to use the URL.
      - V(denied) demands that neither the preflight nor the GET admits the origin.
    type: str
    default: allowed
    choices: [allowed, denied, ignored]
  sha256:
    description: SHA-256 of the content that is to come back, in hexadecimal.
    type: str
  size:
    description: Number of bytes that are to come back.
    type: int
  validate_certs:
    description: Whether the certificate is checked, as browsers do.
    type: bool
    default: true
  ca_path:
    description: Path on the target of a file with the certificate authorities to trust instead of the usual ones.
    type: path
  timeout:
    description: Seconds to wait for an answer.
    type: int
    default: 10
seealso:
  - module: selfhosted.media.s3_cors
  - module: selfhosted.media.s3_bucket
notes:
  - Proxies are taken from E(HTTP_PROXY), E(HTTPS_PROXY) and E(NO_PROXY), except for this machine's own addresses.
"""

EXAMPLES = r"""
- name: Pages of the instance may use the font
  selfhosted.media.media_probe:
    url: https://example-media.s3.eu-central-1.amazonaws.com/static/fonts/icomoon.woff2
    origin: https://books.example.org

- name: Pages of others may not
  selfhosted.media.media_probe:
    url: https://example-media.s3.eu-central-1.amazonaws.com/static/fonts/icomoon.woff2
    origin: https://elsewhere.example.com
    cors: denied

- name: The exports are private
  selfhosted.media.media_probe:
    url: https://example-media.s3.eu-central-1.amazonaws.com/exports/archive.tar.gz
    public: false
"""

RETURN = r"""
status:
  description: HTTP status of the GET; V(0) if there was no answer.
  returned: always
  type: int
  sample: 200
preflight_status:
  description: HTTP status of the preflight.
  returned: if O(origin) is set and the GET got an answer
  type: int
  sample: 200
cors_allowed:
  description: Whether pages of the origin may use the URL, after a preflight and without one.
  returned: if O(origin) is set and the GET got an answer
  type: bool
  sample: true
allow_origin:
  description: The header C(Access-Control-Allow-Origin) of the GET with the origin.
  returned: if the server sent it
  type: str
  sample: https://books.example.org
content_type:
  description: The header C(Content-Type).
  returned: if the server sent it
  type: str
  sample: font/woff2
cache_control:
  description: The header C(Cache-Control).
  returned: if the server sent it
  type: str
  sample: max-age=86400
server_message:
  description: What the server said to a refusal, of the GET or else of the preflight.
  returned: always
  type: str
  sample: "AccessForbidden: CORSResponse: This CORS request is not allowed."
problem:
  description: What is wrong.
  returned: always
  type: str
  choices:
    - none
    - unreachable
    - certificate
    - not_found
    - forbidden
    - readable
    - unexpected_status
    - different_content
    - mixed_content
    - cors_forbidden
    - cors_header_missing
    - cors_request_refused
    - cors_admitted
  sample: cors_forbidden
msg:
  description: A sentence on the problem and what to do about it.
  returned: always
  type: str
  sample: "https://media.example.org/x.woff2: as expected"
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

from typing import Any, Optional

from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._module import MediaModule, run
from ansible_collections.selfhosted.media.plugins.module_utils._s3.probe import (
    Expectation,
    Look,
    Question,
    cors_allowed,
    judge,
    look,
)

ARGUMENTS: dict[str, dict[str, Any]] = {
    "url": {"type": "str", "required": True},
    "origin": {"type": "str"},
    "method": {"type": "str", "default": "GET", "choices": ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH"]},
    "request_headers": {"type": "list", "elements": "str", "default": []},
    "public": {"type": "bool", "default": True},
    "cors": {"type": "str", "default": "allowed", "choices": ["allowed", "denied", "ignored"]},
    "sha256": {"type": "str"},
    "size": {"type": "int"},
    "validate_certs": {"type": "bool", "default": True},
    "ca_path": {"type": "path"},
    "timeout": {"type": "int", "default": 10},
}
_EXPECTED = ("public", "cors")


def result_of(question: Question, seen: Look) -> dict[str, Any]:
    headers = seen.public.headers
    result: dict[str, Any] = {
        "changed": False,
        "status": seen.public.status,
        "server_message": seen.public.server_message,
    }
    optional: dict[str, Optional[Any]] = {
        "content_type": headers.get("content-type"),
        "cache_control": headers.get("cache-control"),
        "cors_allowed": cors_allowed(question, seen),
    }
    if seen.preflight is not None and seen.with_origin is not None:
        optional["preflight_status"] = seen.preflight.status
        optional["allow_origin"] = seen.with_origin.headers.get("access-control-allow-origin")
        result["server_message"] = result["server_message"] or seen.preflight.server_message
    result.update({name: value for name, value in optional.items() if value is not None})
    return result


def probe(params: dict[str, Any]) -> dict[str, Any]:
    """Look, and judge what was seen. Raises MediaError unless it is as expected."""
    params = {**params, "request_headers": tuple(params["request_headers"])}
    expected = Expectation(**{name: params.pop(name) for name in _EXPECTED})
    question = Question(**params)
    seen = look(question)
    problem, message = judge(question, seen, expected)
    result = {**result_of(question, seen), "problem": problem}
    if problem != "none":
        raise MediaError(message, result)
    return {**result, "msg": message}


def main() -> None:
    module = MediaModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    run(module, lambda: probe(module.params))


if __name__ == "__main__":
    main()
