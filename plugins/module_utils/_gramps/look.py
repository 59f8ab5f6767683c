# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look at media as a user does: log in, ask for files, follow to the bucket, and take what comes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._instance.command import Runner

#: Runs in the application's own Python, where it runs: there its settings, its secret and its network are. What it makes
#: is a token of the application's own kind, for minutes and for looking only.
SCRIPT = r"""
import hashlib, json, os, random, sys, urllib.error, urllib.parse, urllib.request
asked = json.loads(sys.argv[1])
try:  # an entrypoint gives the service's process more than the container has
    with open("/proc/1/environ", "rb") as stream:
        for entry in stream.read().split(b"\0"):
            name, _, value = entry.partition(b"=")
            if name.startswith((b"GRAMPS", b"AWS_")):
                os.environb.setdefault(name, value)
except OSError:
    pass
class Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args): return None
web = urllib.request.build_opener(Stay, urllib.request.ProxyHandler({}))
def ask(opener, url, token=None, body=None):
    headers = {"Authorization": "Bearer " + token} if token else {}
    if body is not None: headers["Content-Type"] = "application/json"
    try:
        return opener(urllib.request.Request(url, body, headers), timeout=60)
    except urllib.error.HTTPError as exc:
        return exc
def end(problem):
    print("\nLOOK " + json.dumps({"problem": problem}))
    raise SystemExit
def tokens():
    user, password = os.environ.get("LOOK_USER"), os.environ.get("LOOK_PASSWORD")
    if user and password:
        answer = ask(web.open, asked["url"] + "/api/token/", None, json.dumps({"username": user, "password": password}).encode())
        if answer.status != 200: end("user %s cannot log in: %s" % (user, answer.status))
        return [json.loads(answer.read())["access_token"]]
    from datetime import timedelta
    from gramps_webapi.app import create_app
    app = create_app()
    with app.app_context():
        from flask_jwt_extended import create_access_token
        return [create_access_token("00000000-0000-0000-0000-000000000000", expires_delta=timedelta(minutes=10),
            additional_claims={"permissions": ["ViewPrivate"], "tree": tree}) for tree in asked["trees"] or own_trees(app)]
def own_trees(app):
    if app.config.get("TREE_ID"): return [app.config["TREE_ID"]]
    if app.config["TREE"] != "*":
        from gramps_webapi.dbmanager import WebDbManager
        return [WebDbManager(name=app.config["TREE"], create_if_missing=False, ignore_lock=True).dirname]
    from gramps.gen.config import config
    folder = config.get("database.path")
    return sorted(name for name in os.listdir(folder) if os.path.exists(os.path.join(folder, name, "name.txt")))
def clear():
    from gramps_webapi.app import create_app
    with create_app().app_context():
        from gramps_webapi.api import cache
        for name in ("thumbnail_cache", "request_cache"):
            one = getattr(cache, name, None)
            if one is not None: one.clear()
def look(token, row):
    seen = {"name": "%s (%s)" % (row.get("gramps_id"), row.get("path")), "checksum": row.get("checksum") or "", "mime": row.get("mime") or ""}
    answer = ask(web.open, asked["url"] + "/api/media/%s/file" % row["handle"], token)
    seen["status"], where = answer.status, answer.headers.get("Location")
    if answer.status in (302, 307) and where:
        seen["redirected_to"] = urllib.parse.urlsplit(where).netloc
        try:
            answer = ask(urllib.request.build_opener().open, where)
        except OSError as exc:
            return dict(seen, status=0, said=str(getattr(exc, "reason", exc)))
        seen["status"] = answer.status
    digest, size = hashlib.md5(), 0
    first = b""
    while True:
        chunk = answer.read(1 << 20)
        if not chunk: break
        first = first or chunk[:300]
        digest.update(chunk)
        size += len(chunk)
    seen.update(md5=digest.hexdigest(), size=size, type=answer.headers.get("Content-Type") or "")
    if seen["status"] != 200: seen["said"] = first.decode("utf-8", "replace")
    return seen
seen, total, note = [], 0, ""
if asked["clear"]: clear()
draw = random.Random(asked["seed"])
for token in tokens():
    rows, page = [], 1
    while True:
        query = urllib.parse.urlencode({"keys": "handle,gramps_id,path,checksum,mime", "page": page, "pagesize": 500})
        answer = ask(web.open, asked["url"] + "/api/media/?" + query, token)
        if answer.status != 200: end("the list of media is answered with %s: %s" % (answer.status, answer.read(300).decode("utf-8", "replace")))
        found = json.loads(answer.read())
        rows += found
        page += 1
        if len(found) < 500 or len(rows) >= 20000: break
    total += len(rows)
    for row in draw.sample(rows, min(asked["sample"], len(rows))): seen.append(look(token, row))
print("\nLOOK " + json.dumps({"rows": total, "seen": seen}))
"""
_MARK = "\nLOOK "


@dataclass(frozen=True)
class Seen:
    """What a user would get for a media object."""

    name: str
    checksum: str
    mime: str
    status: int
    md5: str = ""
    size: int = 0
    type: str = ""
    redirected_to: str = ""
    said: str = ""

    @property
    def is_right(self) -> bool:
        """Whether the file is what the database records."""
        return self.status == 200 and self.md5 == self.checksum.lower()

    @property
    def reason(self) -> str:
        """What is the matter with it."""
        if self.status == 200:
            return f"other content than the database records ({self.md5} instead of {self.checksum})"
        told = " ".join(self.said.split())[:160]
        place = f"{self.redirected_to} " if self.redirected_to else "Gramps Web "
        return f"{place}answers {self.status or 'nothing'}{': ' if told else ''}{told}"


def look(runner: Runner, python: Sequence[str], **asked: Any) -> tuple[int, list[Seen]]:
    """How many media objects there are, and what a user gets for some of them.

    asked: url, trees, sample (of each tree), seed, clear (the caches that still show what was there before).
    Raises MediaError when the application does not answer as it should.
    """
    said = runner.run([*python, "-c", SCRIPT, json.dumps(asked)], "looking at media as a user")
    _before, mark, told = said.rpartition(_MARK)
    if not mark:
        raise MediaError(f"looking at media as a user failed: {said.strip()[-300:] or 'nothing was said'}")
    found = json.loads(told)
    if "problem" in found:
        raise MediaError(f"looking at media as a user failed: {found['problem']}")
    return found["rows"], [Seen(**one) for one in found["seen"]]
