# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The checklist of a preflight: what was looked at, what was found, and what to do about it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Optional

from ansible_collections.selfhosted.media.plugins.module_utils._s3.errors import NotAllowed
from ansible_collections.selfhosted.media.plugins.module_utils._s3.providers import Provider

OK, FAILED, UNKNOWN = "ok", "failed", "unknown"
#: What is looked at always.
BASICS = ("boto3", "endpoint", "credentials", "clock", "region", "bucket")
#: What can be asked for.
NEEDS = (
    *("create_bucket", "list", "write", "acl", "read", "private"),
    *("public_domain", "public_read", "public_list", "cors", "multipart", "delete"),
)
#: What shows only with an object of our own.
PROBED = frozenset({"write", "acl", "read", "private", "public_read", "cors", "multipart", "delete"})
#: What cannot be had without a public URL.
_OF_PUBLIC_URL = frozenset({"public_read", "cors"})


@dataclass(frozen=True)
class Check:
    """One line of the checklist."""

    name: str
    state: str
    detail: str = ""
    remedy: str = ""

    def as_dict(self) -> dict[str, str]:
        return asdict(self)


@dataclass(frozen=True)
class Plan:
    """What to look at."""

    bucket: str
    prefix: str
    needs: tuple[str, ...]
    provider: Provider
    #: what comes before the key in a public URL; empty where there is none
    public_url: str = ""
    origin: Optional[str] = None
    #: whether a probe object may be written
    may_write: bool = True
    validate_certs: bool = True
    ca_path: Optional[str] = None


class Checklist:
    """The checks so far, each name once."""

    def __init__(self, needs: tuple[str, ...]) -> None:
        implied = {"public_domain"} if _OF_PUBLIC_URL & set(needs) else set()
        self._wanted = (*BASICS, *(need for need in NEEDS if need in {*needs, *implied}))
        self._checks: dict[str, Check] = {}
        #: the checks that failed because the key may not do it
        self.refused: list[str] = []

    def add(self, name: str, state: str, detail: str = "", remedy: str = "") -> None:
        """Note a result; the first one of a name counts, and what nobody asked for is left out."""
        if name not in self._checks and (name in self._wanted or name == "cleanup"):
            self._checks[name] = Check(name, state, detail, remedy)

    def failed(self, name: str, error: Exception, remedy: str = "") -> None:
        """Note a failure. What its message says after a semicolon is the better advice."""
        detail, _separator, own_remedy = str(error).partition("; ")
        if isinstance(error, NotAllowed) and self.is_open(name):
            self.refused.append(name)
            detail = f"refused ({error.code})"
        self.add(name, FAILED, detail, own_remedy or remedy)

    def unknown(self, names: tuple[str, ...], why: str) -> None:
        for name in names:
            self.add(name, UNKNOWN, why)

    def wants(self, name: str) -> bool:
        return name in self._wanted

    def is_open(self, name: str) -> bool:
        """Whether it is wanted and nothing is noted yet."""
        return name in self._wanted and name not in self._checks

    def state(self, name: str) -> str:
        """What is noted so far; empty if nothing is."""
        return self._checks[name].state if name in self._checks else ""

    def finish(self, why: str) -> list[Check]:
        """All checks in their order; those that could not be made are unknown."""
        self.unknown(self._wanted, why)
        order = (*self._wanted, "cleanup")
        return [self._checks[name] for name in order if name in self._checks]


def summary(checks: list[Check]) -> str:
    """The checklist for a terminal: first what failed, one line each with what to do, then what is not known, then what is well."""
    failed = [check for check in checks if check.state == FAILED]
    well = [check for check in checks if check.state == OK]
    reasons: dict[str, list[str]] = {}
    for check in checks:
        if check.state == UNKNOWN:
            reasons.setdefault(_said(check), []).append(check.name)
    lines = [f"- {check.name}: {_said(check)}" for check in failed]
    lines += [f"- not known: {', '.join(names)}: {why}" for why, names in reasons.items()]
    if well:
        lines.append("- well: " + ", ".join(f"{one.name} ({_said(one)})" if one.detail else one.name for one in well))
    if failed:
        head = f"{len(failed)} of {len(checks)} checks failed"
    elif reasons:
        head = f"no check failed, {len(checks) - len(well)} of {len(checks)} could not be made"
    else:
        head = "all checks passed"
    return "\n".join([f"{head}:", *lines])


def _said(check: Check) -> str:
    return "; ".join(one for one in (check.detail, check.remedy) if one)
