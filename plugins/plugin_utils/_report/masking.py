# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""No secret reaches a report, whatever it is given."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any, TypeVar, cast
from urllib.parse import quote, quote_plus

from ansible_collections.selfhosted.media.plugins.module_utils._dotenv.masking import LOOKS_SECRET, MASK, URL_USER

_T = TypeVar("_T")


class Masking:
    """Replaces texts that are secret, wherever they stand, and users and passwords in URLs."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        given = [secret for secret in secrets if secret]
        forms = {*given, *map(quote_plus, given), *(quote(one, safe=safe) for one in given for safe in ("", "/~"))}
        # A long one may hold a short one.
        self._secrets = sorted(forms, key=len, reverse=True)

    def text(self, text: str) -> str:
        """The text as it may be shown."""
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        return URL_USER.sub(f"://{MASK}@", text)

    def everything(self, value: _T) -> _T:
        """A value of any make with all its texts as they may be shown."""
        shown: Any = value
        if isinstance(value, str):
            shown = self.text(value)
        elif isinstance(value, dict):
            shown = {self.everything(name): self.everything(item) for name, item in value.items()}
        elif isinstance(value, (list, tuple)):
            shown = [self.everything(item) for item in value]
        elif dataclasses.is_dataclass(value) and not isinstance(value, type):
            names = [field.name for field in dataclasses.fields(value)]
            shown = dataclasses.replace(value, **{name: self.everything(getattr(value, name)) for name in names})
        return cast(_T, shown)


def settings_shown(settings: dict[str, Any]) -> dict[str, str]:
    """Settings with the values hidden whose names look like a secret's."""
    return {name: MASK if LOOKS_SECRET.search(name) else str(value) for name, value in settings.items()}
