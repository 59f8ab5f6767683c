#!/usr/bin/python
# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: instance_look
short_description: Looks at an application's front page from where it answers, and at the URLs in it
version_added: 0.1.0
author: selfhosted.media contributors (@selfhosted-media)
description:
  - B(Private to the roles of this collection.) Its options and results may change in any release.
extends_documentation_fragment:
  - selfhosted.media.attributes
  - selfhosted.media.health
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  chdir:
    description: Folder of the instance.
    type: path
    required: true
  health_timeout:
    description: Seconds to wait for the page.
    type: int
    default: 20
  public_url:
    description: What the bucket's URLs begin with.
    type: str
    default: ''
  fetch:
    description: How many of these URLs to fetch without credentials; the module fails if one is not readable.
    type: int
    default: 0
  expect:
    description: Whether the page has to hold URLs that begin with O(public_url), must not, or may. A page that redirects holds none and is no failure.
    type: str
    choices: [any, bucket, disk]
    default: any
  ca_path:
    description: Path of a file with the certificate authorities to trust instead of the usual ones.
    type: path
"""

EXAMPLES = r"""
- name: Look at the front page
  selfhosted.media.instance_look:
    chdir: /opt/bookwyrm
    health_url: http://127.0.0.1:8000/
    public_url: https://media.books.example
    expect: bucket
"""

RETURN = r"""
status:
  description: Status of the page.
  type: int
  returned: success
  sample: 200
location:
  description: Where it redirects to.
  type: str
  returned: success
  sample: ''
public_urls:
  description: The first ten URLs in the page that begin with O(public_url).
  type: list
  elements: str
  returned: success
  sample: ["https://media.books.example/images/covers/a.jpg"]
public_url_count:
  description: How many there are.
  type: int
  returned: success
  sample: 45
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
from ansible_collections.selfhosted.media.plugins.module_utils._instance.command import Runner
from ansible_collections.selfhosted.media.plugins.module_utils._instance.health import (
    HEALTH_ARGUMENTS,
    Page,
    looker_of,
    urls_in,
    wait_until_healthy,
)
from ansible_collections.selfhosted.media.plugins.module_utils._module import MediaModule, run
from ansible_collections.selfhosted.media.plugins.module_utils._public import fetch_all
from ansible_collections.selfhosted.media.plugins.module_utils._s3.probe import Question
from ansible_collections.selfhosted.media.plugins.module_utils._sync.account import Account

ARGUMENTS: dict[str, dict[str, Any]] = {
    **HEALTH_ARGUMENTS,
    "chdir": {"type": "path", "required": True},
    "health_timeout": {"type": "int", "default": 20},
    "public_url": {"type": "str", "default": ""},
    "fetch": {"type": "int", "default": 0},
    "expect": {"type": "str", "choices": ["any", "bucket", "disk"], "default": "any"},
    "ca_path": {"type": "path"},
}


def problem_of(page: Page, count: int, params: dict[str, Any]) -> str:
    """What is wrong with a page that holds so many of the bucket's URLs; empty if nothing is."""
    url = params["public_url"]
    if params["expect"] == "bucket" and page.status == 200 and not count:
        return f"The front page answers but holds no URL of {url}; look at the instance's settings and at its proxy's cache."
    if params["expect"] == "disk" and count:
        return f"The front page answers but still holds URLs of {url}; look at the instance's settings and at its proxy's cache."
    return ""


def look(params: dict[str, Any]) -> dict[str, Any]:
    """The result."""
    page = wait_until_healthy(looker_of(params, Runner(params["chdir"])), params["health_timeout"])
    urls = urls_in(page.body, params["public_url"]) if params["public_url"] else []
    account = Account()
    fetch_all((Question(url, ca_path=params["ca_path"]) for url in urls[: params["fetch"]]), account)
    if account["not_public"]:
        first = account.remarks("not_public")[0]
        raise MediaError(f"{account['not_public']} of {params['fetch']} URLs of the front page fail; {first['reason']}")
    problem = problem_of(page, len(urls), params)
    if problem:
        raise MediaError(problem)
    return {
        "changed": False,
        "status": page.status,
        "location": page.location,
        "public_urls": urls[:10],
        "public_url_count": len(urls),
    }


def main() -> None:
    module = MediaModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    run(module, lambda: look(module.params))


if __name__ == "__main__":
    main()
