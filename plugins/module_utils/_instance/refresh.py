# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make a BookWyrm that has changed over forget its old URLs: template fragments in Redis, and the old self connector."""

from __future__ import annotations

import json
import re
import shlex
from typing import NamedTuple

from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._instance.command import Command, Runner
from ansible_collections.selfhosted.media.plugins.module_utils._url_users import refuse_user

_MARK = "selfhosted.media:"

# Runs in the application's own "manage.py shell", which knows its cache and its database.
# Only fragments that hold a URL of the wrong side are deleted: Redis also holds sessions and streams, and a second run
# finds nothing to do. Pictures in posts keep their old URLs for ever (/images/uploads/), so those say nothing.
_SCRIPT = r"""
import json, re
wrong, covers_url = re.compile(__WRONG__), __COVERS__
from django.core.cache import cache
client = None
try:
    client = cache._cache.get_client(None, write=True)
except AttributeError:
    try:
        client = cache.client.get_client(write=True)
    except AttributeError:
        pass
fragments = 0
if client is not None:
    for key in client.scan_iter(match="*:template.cache.*", count=1000):
        content = client.get(key)
        if content is not None and wrong.search(content.decode("latin-1")):
            fragments += client.delete(key)
from bookwyrm.models import Connector
old = Connector.objects.filter(connector_file="self_connector").exclude(covers_url=covers_url)
connectors = old.update(covers_url=covers_url)
print("__MARK__" + json.dumps({"fragments": fragments, "connectors": connectors}))
"""


class Refreshed(NamedTuple):
    """How many template fragments were deleted and how many self connectors were changed."""

    fragments: int
    connectors: int


def wrong_urls(base_url: str, public_url: str, on_s3: bool, former_url: str = "") -> str:
    """A regular expression for what must not stand in a fragment.

    On S3 these are local URLs of images and static assets, and those of the bucket's former domain if it has got
    another one; back on the disk (on_s3 false) those of the bucket.
    """
    if not on_s3:
        return re.escape(public_url) + "/(?:images|static)/"
    local = r"(?:[\"'(\s,=]|" + re.escape(base_url) + r"(?::[0-9]+)?)/(?:images/(?!uploads/)|static/)"
    return local + ("|" + re.escape(former_url) + "/(?:images/(?!uploads/)|static/)" if former_url else "")


def refresh(
    runner: Runner, manage: Command, base_url: str, public_url: str, on_s3: bool = True, former_url: str = ""
) -> Refreshed:
    """Delete the fragments that hold URLs of the other side, and point an old release's self connector to this one.

    Raises MediaError for a URL with a user in it: the script stands in the command line, which everybody on the machine can read.
    """
    for option, url in (("base_url", base_url), ("public_url", public_url), ("former_url", former_url)):
        refuse_user(url, option)
    script = (
        _SCRIPT.replace("__WRONG__", repr(wrong_urls(base_url, public_url, on_s3, former_url)))
        .replace("__COVERS__", repr(f"{public_url if on_s3 else base_url}/images/"))
        .replace("__MARK__", _MARK)
    )
    if isinstance(manage, str):
        command: Command = f"{manage} shell -c {shlex.quote(script)}"
    else:
        command = [*manage, "shell", "-c", script]
    said = runner.run(command, "making the instance forget its old URLs")
    for line in said.splitlines():
        if line.startswith(_MARK):
            return Refreshed(**json.loads(line[len(_MARK) :]))
    raise MediaError(
        "manage.py shell did not run the script; does bookwyrm_manage_command run this instance's manage.py?"
    )
