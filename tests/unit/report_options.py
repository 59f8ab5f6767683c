# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of the module report, with all that a page can hold, and hostile ones."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.selfhosted.media.plugins.plugin_utils._report.content import Report
from ansible_collections.selfhosted.media.plugins.plugin_utils._report.options import ARGUMENTS
from ansible_collections.selfhosted.media.plugins.plugin_utils._report.reading import report_of

MADE = "2026-07-01T12:34:56+0200"
BUCKET = "https://media.example.org"
COPY = {
    "began": 1000.0,
    "duration": 8.0,
    "uploaded": 30,
    "unchanged": 2,
    "bytes": 4000000,
    "throughput": [[0, 0, 0], [2, 1000000, 8], [4, 3000000, 20], [8, 4000000, 30]],
    "types": {
        "other": {"files": 1, "bytes": 900000},
        ".webp": {"files": 20, "bytes": 100000},
        ".jpg": {"files": 9, "bytes": 3000000},
    },
}
VERIFIED = {
    "began": 1008.0,
    "duration": 2.0,
    "verified": 32,
    "missing": 0,
    "different": 1,
    "seed": 4711,
    "sample": [
        {"key": "images/covers/a b#1?.jpg", "size": 5, "sha256": "00"},
        {"key": "images/guide.pdf", "size": 5, "sha256": "00"},
    ],
}
#: Everything at once.
FULL: dict[str, Any] = {
    "application": "BookWyrm",
    "instance": "books.example.org",
    "action": "migrate",
    "notes": ["It is on S3.", ""],
    "problems": [{"what": "Others may load from the bucket.", "remedy": "Nothing has to be done."}, {"what": ""}],
    "steps": [
        {"name": "Copy", "result": COPY},
        {"name": "Verify", "result": VERIFIED, "detail": "all of them"},
        {"name": "Archives", "result": {"skipped": True}},
        {"name": "Not reached", "result": {}},
        {"name": "By hand", "state": "ok", "seconds": 3},
    ],
    "counts": [{"name": "Objects", "before": 0, "after": 12345}],
    "transfer": COPY,
    "verification": VERIFIED,
    "public_url": BUCKET,
    "images": [{"url": f"{BUCKET}/images/own.png"}],
    "checks": [
        {"name": "cors", "state": "unknown", "detail": "there is no bucket yet"},
        {"name": "write", "state": "ok"},
        {"name": "cors", "state": "ok"},
        {"name": "write", "state": "unknown", "detail": "not tried"},
        {"name": "public_list", "state": "failed", "detail": "it is listed", "remedy": "close it"},
    ],
    "probes": [
        {"name": "Own pages", "result": {"problem": "none", "msg": "as expected"}},
        {"name": "Other pages", "result": {"problem": "cors_admitted", "msg": "admitted"}},
        {"name": "Never asked", "result": {"skipped": True}},
    ],
    "settings": {"USE_S3": "true", "EMAIL_HOST_PASSWORD": "hunter2hunter2"},
    "secret_settings": ["AWS_SECRET_ACCESS_KEY"],
    "commands": [{"what": "Back", "command": "ansible-playbook selfhosted.media.bookwyrm_rollback"}],
}


def report(**options: Any) -> Report:
    """The report on what is given, as the action plugin makes it."""
    given_options = {"application": "BookWyrm", "instance": "books", "action": "migrate", **options}
    checked = ArgumentSpecValidator(ARGUMENTS).validate(given_options)
    assert not checked.error_messages
    return report_of(checked.validated_parameters, MADE)


def with_texts(options: dict[str, Any], text: str) -> dict[str, Any]:
    """The options with every text replaced, names of settings and types too; choices and URLs stay."""

    def replaced(value: Any) -> Any:
        if isinstance(value, dict):
            return {
                name: item if name in ("action", "state", "url") else replaced(item) for name, item in value.items()
            }
        if isinstance(value, list):
            return [replaced(one) for one in value]
        return text if isinstance(value, str) else value

    changed: dict[str, Any] = {**replaced(options), "settings": {text: text}, "public_url": options["public_url"]}
    changed["transfer"]["types"] = {text: {"files": 1, "bytes": 2}}
    return changed


HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'--></style></title><svg onload=alert(1)>",
    "&lt;b&gt; &amp; {{ 7 * 7 }}",
    "javascript:alert(1)",
    "\x00\x1b[31m\u202egnp.exe\ud800",
    "x" * 3000,
]
