# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a BookWyrm instance says of itself: its settings, its release, and what follows from them."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Optional

from ansible_collections.selfhosted.media.plugins.module_utils._dotenv.reading import read
from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._io import read_file
from ansible_collections.selfhosted.media.plugins.module_utils._url_users import refuse_user

#: Variables that a change-over writes besides the secret ones.
WRITTEN = (
    "USE_S3",
    "USE_HTTPS",
    "AWS_STORAGE_BUCKET_NAME",
    "AWS_S3_REGION_NAME",
    "AWS_S3_ENDPOINT_URL",
    "AWS_S3_CUSTOM_DOMAIN",
    "AWS_S3_URL_PROTOCOL",
    "USE_S3_FOR_EXPORTS",
    "EXPORTS_STORAGE_BUCKET_NAME",
    "AWS_DEFAULT_ACL",
    "CSP_ADDITIONAL_HOSTS",
)
#: Variables whose values are no secrets and which a run needs to know.
SHOWN = (
    *WRITTEN,
    "DOMAIN",
    "PORT",
    "MEDIA_ROOT",
    "USE_AZURE",
)
#: These stand in pages and command lines.
_PUBLIC = ("DOMAIN", "AWS_S3_CUSTOM_DOMAIN", "AWS_S3_ENDPOINT_URL")
SECRET = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
TRUE = frozenset({"1", "on", "t", "true", "y", "yes", "ok", "enable", "enabled"})
_VERSION = re.compile(r'^VERSION\s*=\s*["\']([0-9][^"\']*)["\']', re.MULTILINE)


@dataclass(frozen=True)
class Release:
    """A release and how it differs from the others (from the tagged sources, v0.4.0 to v0.9.2)."""

    name: str

    @property
    def number(self) -> tuple[int, ...]:
        """The release for comparing."""
        return tuple(int(part) for part in re.findall(r"[0-9]+", self.name)[:3])

    @property
    def compiles_themes(self) -> bool:
        """Whether manage.py compile_themes exists; before, collectstatic alone made the static assets."""
        return self.number >= (0, 5, 4)

    @property
    def decides_https(self) -> bool:
        """Whether USE_HTTPS decides about the scheme of its URLs; later ones use https unless DOMAIN is localhost."""
        return self.number < (0, 8, 0)


@dataclass(frozen=True)
class Settings:
    """An instance's .env."""

    path: str
    values: Mapping[str, str]

    @property
    def domain(self) -> str:
        """DOMAIN, without which BookWyrm does not start."""
        domain = self.values.get("DOMAIN", "").strip()
        if not domain:
            raise MediaError(f"{self.path} sets no DOMAIN; BookWyrm needs it, and so do the bucket's CORS rules")
        return domain

    def is_true(self, name: str, default: bool = False) -> bool:
        """A truth value as environs reads it."""
        value = self.values.get(name)
        return default if value is None else value.strip().lower() in TRUE

    def base_url(self, release: Release) -> str:
        """The URL under which browsers see the instance: the origin of its pages."""
        domain, port = self.domain, self.values.get("PORT", "").strip()
        if release.decides_https:
            https = self.is_true("USE_HTTPS", not self.is_true("DEBUG"))
            usual = port in ("", "443" if https else "80")
            return f"{'https' if https else 'http'}://{domain}" + ("" if usual else f":{port}")
        if domain == "localhost":
            return f"http://{domain}" + ("" if port in ("", "80") else f":{port}")
        return f"https://{domain}"

    @property
    def shown(self) -> dict[str, str]:
        """The settings that are no secrets. Raises MediaError for a user in a URL, which would be one."""
        for name in _PUBLIC:
            refuse_user(self.values.get(name, "").strip(), f"{self.path}: {name}")
        return {name: self.values[name] for name in SHOWN if name in self.values}

    @property
    def secret(self) -> dict[str, str]:
        """The credentials, to be given to modules with no_log alone."""
        return {name: self.values.get(name, "") for name in SECRET}


class ClosedSettings(MediaError):
    """Settings that this user must not read."""

    def __init__(self, message: str, folder: str) -> None:
        super().__init__(message)
        self.folder = folder


def read_settings(folder: str, name: str = ".env") -> Settings:
    """The settings of the instance in a folder. Raises MediaError when there are none."""
    path = os.path.join(folder, name)
    try:
        content = read_file(path)
    except MediaError as exc:
        raise ClosedSettings(str(exc), folder) if "permission denied" in str(exc) else exc from None
    if content is None:
        raise MediaError(f"{path} does not exist; set bookwyrm_dir to the folder of the instance")
    return Settings(path, read(content))


def read_release(folder: str) -> Release:
    """The release in a folder: VERSION, or before 0.7 settings.py says it."""
    content = read_file(os.path.join(folder, "VERSION"))
    if content is not None and content.strip():
        return Release(content.decode("utf-8", "replace").strip())
    content = read_file(os.path.join(folder, "bookwyrm", "settings.py")) or read_file(
        os.path.join(folder, "celerywyrm", "settings.py")
    )
    found = _VERSION.search(content.decode("utf-8", "replace")) if content else None
    if found is None:
        raise MediaError(
            f"no BookWyrm in {folder}: neither VERSION nor bookwyrm/settings.py tells a release; set bookwyrm_dir"
        )
    return Release(found.group(1))


def media_below(folder: str, settings: Settings) -> str:
    """MEDIA_ROOT as the application resolves it, relative to its code."""
    return os.path.normpath(os.path.join(folder, settings.values.get("MEDIA_ROOT") or "images"))


def themes_and_static(release: Release, python: str) -> str:
    """The shell line that makes the static assets: one process group, because two containers lose the themes."""
    collect = f"{python} manage.py collectstatic --no-input"
    return f"{python} manage.py compile_themes && {collect}" if release.compiles_themes else collect


#: Where BookWyrm's own nginx configuration keeps its cache (nginx/server_config, the same in its dockerless guide).
PROXY_CACHE = "/var/cache/nginx/bookwyrm_cache"
EMPTY_PROXY_CACHE = f"if [ -d {PROXY_CACHE} ]; then find {PROXY_CACHE} -type f -delete && nginx -s reload; fi"


@dataclass(frozen=True)
class Installation:
    """How an instance is installed and commanded."""

    install_type: str
    folder: str
    media_dir: Optional[str]
    #: where the archives lie that users make of their data; None where a container keeps them to itself
    exports_dir: Optional[str]
    user: Optional[str]
    running: bool
    #: whether the services run with other settings than the .env has
    restart_needed: bool
    manage: list[str]
    #: manage.py where the application runs already: inside the container, which is quicker than a new one
    manage_running: list[str]
    static: list[str]
    stop: list[str]
    start: list[str]
    #: ends with 0 when the web service has failed for good; empty where nothing tells
    is_failed: list[str]
    #: empties the proxy's cache, which holds pages for a minute
    purge_proxy: list[str]
    #: makes what a new instance needs before its first command: image, database, broker
    prepare: list[str]
    #: how the front page is fetched: a URL of this machine, or what comes before "python -c" in the web container
    health_url: str
    health_command: list[str]
