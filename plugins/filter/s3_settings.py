# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any, Callable, Optional

from ansible.errors import AnsibleFilterError
from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._s3.publication import METHODS, method_of
from ansible_collections.selfhosted.media.plugins.module_utils._s3.settings import (
    APPLICATIONS,
    bookwyrm,
    derive,
    gramps_web,
    release_of,
)


def s3_settings(
    application: str,
    bucket: str,
    provider: str = "auto",
    region: Optional[str] = None,
    endpoint_url: Optional[str] = None,
    custom_domain: Optional[str] = None,
    release: Optional[str] = None,
    public_method: str = "auto",
    site_protocol: str = "",
    prefix: str = "",
    exports: str = "",
) -> dict[str, str]:
    """The environment variables with which the application keeps its media in the bucket."""
    if application not in APPLICATIONS:
        raise AnsibleFilterError(f"s3_settings: {application!r} is not known; known are {', '.join(APPLICATIONS)}")
    if public_method not in METHODS:
        raise AnsibleFilterError(f"s3_settings: public_method {public_method!r} is not one of {', '.join(METHODS)}")
    try:
        number = release_of(release)
        if application == "gramps_web":
            return gramps_web(derive(provider, bucket, region, endpoint_url, is_public=False), number, prefix)
        place = derive(provider, bucket, region, endpoint_url, custom_domain)
        return bookwyrm(place, method_of(public_method, place.provider), number, site_protocol, exports)
    except MediaError as exc:
        raise AnsibleFilterError(f"s3_settings: {exc}") from exc


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"s3_settings": s3_settings}
