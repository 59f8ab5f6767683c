# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report's two files, in a folder of the controller."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import os
import re
from collections.abc import Iterator

from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.plugin_utils._report.content import Report
from ansible_collections.selfhosted.media.plugins.plugin_utils._report.page import page

#: What the JSON is called that a reader may rely on; changed when a name in it is given up.
FORMAT = 1
_LONGEST_NAME = 100


def folder_of(dest: str) -> str:
    """The folder as a path of its own; a relative one counts from where ansible-playbook was called."""
    # Not from the playbook's folder, as elsewhere in Ansible: that of a playbook run by name is the installed collection.
    return os.path.abspath(os.path.expanduser(dest or "."))


def write(report: Report, dest: str) -> tuple[str, str]:
    """Write the page and its JSON twin under names that are free; answers their paths."""
    folder = folder_of(dest)
    with _explained(folder):
        os.makedirs(folder, exist_ok=True)
        for name in _names(report):
            paths = [os.path.join(folder, f"{name}.{ending}") for ending in ("html", "json")]
            contents = (page(report, twin=f"{name}.json"), twin_of(report))
            if _create(paths, contents):
                return paths[0], paths[1]
    raise AssertionError("names do not end")


def twin_of(report: Report) -> str:
    """The report as JSON."""
    return json.dumps({"format": FORMAT, **dataclasses.asdict(report)}, ensure_ascii=False, indent=2) + "\n"


def _names(report: Report) -> Iterator[str]:
    """books.example.org-migrate-2026-07-01-120000, then with numbers: an earlier report is never overwritten."""
    moment = re.sub(r"[^0-9-]", "", report.made[:19].replace("T", "-"))
    instance = re.sub(r"[^A-Za-z0-9.-]+", "_", report.instance).strip("._-")[:_LONGEST_NAME] or "instance"
    name = f"{instance}-{report.action}-{moment}"
    yield name
    yield from (f"{name}-{count}" for count in itertools.count(2))


def _create(paths: list[str], contents: tuple[str, str]) -> bool:
    """Make both files, or none if a name is taken."""
    made: list[str] = []
    try:
        for path, content in zip(paths, contents):
            with open(path, "x", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
                made.append(path)
                file.write(content)
    except FileExistsError:
        _remove(made)
        return False
    except OSError:
        _remove(made)
        raise
    return True


def _remove(paths: list[str]) -> None:
    for path in paths:
        with contextlib.suppress(OSError):
            os.unlink(path)


@contextlib.contextmanager
def _explained(folder: str) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise MediaError(
            f"The report cannot be written to {folder} on the controller: {exc.strerror or exc}. Name a folder that can be written as dest."
        ) from exc
