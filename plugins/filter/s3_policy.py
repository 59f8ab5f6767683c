# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any, Callable, Optional

from ansible.errors import AnsibleFilterError
from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._s3.permissions import document


def s3_policy(
    application: str,
    bucket: str,
    exports: Optional[str] = None,
    method: str = "auto",
    key: str = "application",
    provider: str = "aws",
    region: Optional[str] = None,
    prefix: str = "",
) -> dict[str, Any]:
    """The policy document that allows a key what it needs, and nothing else."""
    try:
        return document(
            application, bucket, key, provider=provider, method=method, exports=exports, prefix=prefix, region=region
        )
    except MediaError as exc:
        raise AnsibleFilterError(f"s3_policy: {exc}") from exc


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"s3_policy": s3_policy}
