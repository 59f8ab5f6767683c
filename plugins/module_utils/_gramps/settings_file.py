# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The file that holds an instance's variables: a compose file's environment, or a file of variables."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Optional, Protocol

from ansible_collections.selfhosted.media.plugins.module_utils._compose import editing as compose
from ansible_collections.selfhosted.media.plugins.module_utils._compose.masking import compose_diff
from ansible_collections.selfhosted.media.plugins.module_utils._dotenv import editing as dotenv
from ansible_collections.selfhosted.media.plugins.module_utils._dotenv.masking import env_diff
from ansible_collections.selfhosted.media.plugins.module_utils._dotenv.reading import read
from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._gramps.installation import Installation
from ansible_collections.selfhosted.media.plugins.module_utils._instance.rollback import with_former_values

#: What is shown of the settings that are written, and what never is.
SHOWN = (
    "GRAMPSWEB_MEDIA_BASE_DIR",
    "MEDIA_BASE_DIR",
    "GRAMPSWEB_MEDIA_PREFIX_TREE",
    "AWS_DEFAULT_REGION",
    "AWS_ENDPOINT_URL",
)
SECRET = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")


class SettingsFile(Protocol):
    """A file with variables."""

    @property
    def path(self) -> str:
        """Where it lies."""

    def values(self, content: bytes) -> Mapping[str, str]:
        """The variables that the services are given by it."""

    def edited(self, content: bytes, values: Mapping[str, str], absent: Sequence[str]) -> bytes:
        """The content with some variables set and others removed. Raises MediaError."""

    def diff(self, before: bytes, after: bytes, keys: Sequence[str]) -> dict[str, Any]:
        """Ansible's diff, without secrets."""


@dataclass(frozen=True)
class EnvFile:
    """A file of variables, as systemd and docker read them."""

    path: str

    def values(self, content: bytes) -> Mapping[str, str]:
        """The variables."""
        return read(content)

    def edited(self, content: bytes, values: Mapping[str, str], absent: Sequence[str]) -> bytes:
        """The content with some variables set and others removed."""
        return dotenv.edit(content, dict(values), list(absent)).content

    def diff(self, before: bytes, after: bytes, keys: Sequence[str]) -> dict[str, Any]:
        """The diff."""
        return env_diff(self.path, before, after, SECRET, list(keys))


@dataclass(frozen=True)
class ComposeFile:
    """The environment of services in a compose file."""

    path: str
    services: tuple[str, ...]  # the web service first

    def values(self, content: bytes) -> Mapping[str, str]:
        """The variables of the web service."""
        with self._named():
            found = compose.environment_of(content, self.services[0])
        return {name: value for name, value in found.items() if value is not None}

    def edited(self, content: bytes, values: Mapping[str, str], absent: Sequence[str]) -> bytes:
        """The content with some variables of the services set and others removed."""
        with self._named():
            return compose.edit(content, list(self.services), dict(values), list(absent)).content

    def diff(self, before: bytes, after: bytes, keys: Sequence[str]) -> dict[str, Any]:
        """The diff."""
        return compose_diff(self.path, before, after, SECRET, list(keys))

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        """Errors tell the line; here is the file."""
        try:
            yield
        except MediaError as exc:
            raise MediaError(f"{self.path}: {exc}", exc.result) from exc


def settings_file(found: Installation) -> SettingsFile:
    """The file that an installation's variables are written to."""
    if found.env_file:
        return EnvFile(found.env_file)
    if not found.compose_file:
        raise MediaError(f"there is no file to write the settings to: {' '.join(found.remarks) or 'none is known'}")
    return ComposeFile(found.compose_file, tuple(found.services))


def is_on_s3(values: Mapping[str, str]) -> bool:
    """Whether variables put the media into a bucket. In capitals, S3:// is a local folder."""
    return (values.get("GRAMPSWEB_MEDIA_BASE_DIR") or values.get("MEDIA_BASE_DIR") or "").startswith("s3://")


def settings_of_before(file: SettingsFile, now: bytes, kept: Optional[bytes], media_base: str) -> bytes:
    """The settings as they were before S3; without the kept ones, with the base that is given instead of the bucket."""
    names: Iterable[str] = (*SHOWN, *SECRET)
    if kept is not None and not is_on_s3(file.values(kept)):
        return with_former_values(now, kept, names, file.values, file.edited)
    bases = [name for name in ("GRAMPSWEB_MEDIA_BASE_DIR", "MEDIA_BASE_DIR") if name in file.values(now)]
    return file.edited(now, dict.fromkeys(bases, media_base), []) if media_base else file.edited(now, {}, bases)
