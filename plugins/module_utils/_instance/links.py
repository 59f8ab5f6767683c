# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What pages and posts of a BookWyrm on S3 still link to on its disk, as /images/..."""

from __future__ import annotations

import html
import json
import shlex
from bisect import bisect_left
from collections.abc import Iterable
from urllib.parse import unquote

from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._instance.command import Command, Runner

#: Kept as a whole, because no query finds who links to them.
_FOLDERS = {
    b"avatars": "pages of posts name avatars as /images/avatars/..., and so do other servers",
    b"uploads": "posts show uploads as /images/uploads/..., and so do their copies on other servers",
}
_MARK = "selfhosted.media:"

# Runs in the application's own "manage.py shell". A link ends somewhere in what follows it; where, is found out by the
# names of the files. Rows that the application hides count too.
_SCRIPT = r"""
import json, re
from django.apps import apps
from django.db.models import CharField, TextField
link, found = re.compile(r'(?=/images/([^"<>\r\n\t]{1,1100}))'), set()
for model in apps.get_app_config("bookwyrm").get_models():
    for field in model._meta.local_fields:
        if isinstance(field, (CharField, TextField)) and not model._meta.proxy:
            texts = model._base_manager.values_list(field.attname, flat=True)
            # PostgreSQL does not search within texts of a collation of their own, such as users' names: all are read.
            if not getattr(field, "db_collation", None):
                texts = texts.filter(**{field.attname + "__contains": "/images/"})
            for text in texts.iterator():
                found.update(link.findall(text or ""))
print("__MARK__" + json.dumps(sorted(found)))
"""


class Links:
    """What follows /images/ in texts: names of files, and whatever comes after them."""

    def __init__(self, texts: Iterable[str]) -> None:
        plain = {form for text in texts for form in (text, html.unescape(text))}
        both = plain | {unquote(text) for text in plain}
        self._known = sorted(text.encode("utf-8", "surrogatepass") for text in both)

    def why_kept(self, name: bytes) -> str:
        """Why a file has to stay, by its name below the media folder; nothing if no link is known."""
        reason = _FOLDERS.get(name.partition(b"/")[0])
        if reason:
            return reason
        index = bisect_left(self._known, name)
        is_linked = index < len(self._known) and self._known[index].startswith(name)
        return "a text in the database links to it as /images/..." if is_linked else ""


def find_links(runner: Runner, manage: Command) -> Links:
    """Ask the instance's database. Raises MediaError when it cannot be asked: no answer never means no links."""
    script = _SCRIPT.replace("__MARK__", _MARK)
    command = (
        f"{manage} shell -c {shlex.quote(script)}" if isinstance(manage, str) else [*manage, "shell", "-c", script]
    )
    for line in runner.run(command, "asking the database for links to /images/").splitlines():
        if line.startswith(_MARK):
            return Links(json.loads(line[len(_MARK) :]))
    raise MediaError(
        "manage.py shell did not run the script; does bookwyrm_manage_command run this instance's manage.py?"
    )
