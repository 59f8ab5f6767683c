# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The edge between Ansible and the plain core: connection options in, MediaError out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable

from ansible.module_utils.basic import missing_required_lib
from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._s3.client import Connection, has_boto3

if TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

#: Options of every S3 module, documented in the fragment selfhosted.media.s3.
S3_ARGUMENTS: dict[str, dict[str, Any]] = {
    "provider": {"type": "str", "default": "auto", "choices": ["auto", "aws", "ceph", "minio", "generic"]},
    "endpoint_url": {"type": "str"},
    "region": {"type": "str"},
    "access_key": {"type": "str", "no_log": True},
    "secret_key": {"type": "str", "no_log": True},
    "session_token": {"type": "str", "no_log": True},
    "profile": {"type": "str"},
    "validate_certs": {"type": "bool", "default": True},
    "aws_ca_bundle": {"type": "path"},
    "addressing_style": {"type": "str", "default": "auto", "choices": ["auto", "path", "virtual"]},
}


def connection_of(module: AnsibleModule) -> Connection:
    """The connection that the module's options describe. Ends the module when boto3 is missing."""
    if not has_boto3():
        module.fail_json(
            msg=missing_required_lib(
                "boto3", reason="(Debian, Ubuntu, Fedora: package python3-boto3; Alpine: py3-boto3)"
            )
        )
    return Connection(**{name: module.params[name] for name in S3_ARGUMENTS})


def run(module: AnsibleModule, work: Callable[[], dict[str, Any]]) -> None:
    """Carry out the module's work and report its result, or the MediaError that stopped it."""
    try:
        result = work()
    except MediaError as exc:
        module.fail_json(msg=str(exc), **exc.result)
    module.exit_json(**result)
