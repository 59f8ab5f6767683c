# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read a family tree's media rows through the Web API: the way for databases other than SQLite."""

from __future__ import annotations

import base64
import http.client
import json
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from typing import Any, Optional

from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._gramps.rows import FamilyTree, Row

#: Rows asked for at a time.
_PAGE = 500
#: Seconds for one answer: a large tree's page is built from its database.
_TIMEOUT = 120


class _Stay(urllib.request.HTTPRedirectHandler):
    """User, password and token go to nobody else."""

    def redirect_request(self, *_args: Any, **_options: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(_Stay)


@dataclass
class WebApi:
    """The Web API of a Gramps Web, as one of its users sees it."""

    url: str
    user: str
    password: str
    _token: str = ""

    def tree(self) -> FamilyTree:
        """The user's family tree. Raises MediaError."""
        self._log_in()
        rows: list[Row] = []
        page, total = 1, None
        while total is None or len(rows) < total:
            query = urllib.parse.urlencode(
                {"keys": "handle,gramps_id,path,checksum,mime", "page": page, "pagesize": _PAGE}
            )
            found, told = self._get(f"/api/media/?{query}")
            total = told
            rows += [
                Row(*(one.get(name) or "" for name in ("handle", "gramps_id", "path", "mime", "checksum")))
                for one in found
            ]
            page += 1
            if len({row.handle for row in rows}) != len(rows):
                raise MediaError(f"{self.url} changed while its media were listed; run again")
            if not found:
                break
        if total is not None and len(rows) != total:
            raise MediaError(f"{self.url} tells of {total} media objects and names {len(rows)}; run again")
        tree_id = str(_claims(self._token).get("tree") or "")
        return FamilyTree(tree_id, tree_id or self.url, rows)

    def _log_in(self) -> None:
        body = json.dumps({"username": self.user, "password": self.password}).encode()
        answer, _total = self._ask("/api/token/", body)
        token = answer.get("access_token") if isinstance(answer, dict) else None
        if not token:
            raise MediaError(f"{self.url} gives no access token; is it a Gramps Web?")
        self._token = token
        may = _claims(token).get("permissions")
        if isinstance(may, list) and "ViewPrivate" not in may:
            raise MediaError(
                f"user {self.user} of {self.url} may not see private media, which would be left out; give one whose role is "
                "member or more"
            )

    def _get(self, path: str) -> tuple[list[dict[str, Any]], Optional[int]]:
        answer, total = self._ask(path)
        if not isinstance(answer, list):
            raise MediaError(f"{self.url}{path.partition('?')[0]} does not answer with a list; is it a Gramps Web?")
        return answer, total

    def _ask(self, path: str, body: Optional[bytes] = None) -> tuple[Any, Optional[int]]:
        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        url = self.url.rstrip("/") + path
        try:
            request = urllib.request.Request(url, body, headers)  # noqa: S310 (the administrator's own URL)
            with _OPENER.open(request, timeout=_TIMEOUT) as answer:
                total = answer.headers.get("X-Total-Count")
                return json.loads(answer.read()), int(total) if total else None
        except urllib.error.HTTPError as exc:
            if exc.code in (401, 403) and body is not None:
                raise MediaError(f"{self.url} does not accept user {self.user} with this password") from exc
            if exc.code in (401, 403):
                raise MediaError(
                    f"{self.url} does not let user {self.user} list media; its role has to be member or more"
                ) from exc
            further = f" and sends on to {place.partition('?')[0]}" if (place := exc.headers.get("Location")) else ""
            raise MediaError(f"{url.partition('?')[0]} answers {exc.code}{further}") from exc
        except (OSError, http.client.HTTPException) as exc:
            raise MediaError(f"{self.url} does not answer: {getattr(exc, 'reason', exc)}") from exc
        except ValueError as exc:
            raise MediaError(f"{url.partition('?')[0]} does not answer with JSON; is it a Gramps Web?") from exc


def _claims(token: str) -> dict[str, Any]:
    """What a token tells of its bearer; nobody's word is taken for anything else than a prefix."""
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return claims if isinstance(claims, dict) else {}
    except (IndexError, ValueError):
        return {}
