# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the options say everything, access without boto3 comes to what boto3 comes to; else it is left to boto3."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.selfhosted.media.plugins.module_utils._objects.access import BotoAccess
from ansible_collections.selfhosted.media.plugins.module_utils._objects.explicit import ExplicitAccess, access_to
from ansible_collections.selfhosted.media.plugins.module_utils._s3.client import Connection

pytestmark = pytest.mark.usefixtures("quick_clients")


@pytest.fixture(autouse=True)
def nothing_else(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither the environment nor the home says anything."""
    for name in list(os.environ):
        if name.upper().startswith("AWS_") or name.upper().endswith(("_PROXY", "_CA_BUNDLE")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))


def connection(**more: object) -> Connection:
    return Connection(**{"endpoint_url": "https://s3.example.org", "access_key": "k", "secret_key": "s", **more})  # type: ignore[arg-type]


@pytest.mark.parametrize("bucket", ["covers", "my.covers", "Covers", "a-b", "123"])
@pytest.mark.parametrize(
    "more",
    [
        {},
        {"region": "fr-par", "session_token": "t"},
        {"provider": "ceph"},
        {"provider": "minio", "region": "eu-west-1", "addressing_style": "path"},
        {"endpoint_url": "http://127.0.0.1:9000"},
        {"endpoint_url": "http://[::1]:9000/"},
        {"endpoint_url": "https://s3.example.org:8443/storage/"},
        {"endpoint_url": "https://s3.fr-par.scw.cloud", "region": "fr-par"},
        {"endpoint_url": "https://s3.amazonaws.com.example.org"},
        {"validate_certs": False},
        {"aws_ca_bundle": "/etc/ssl/own.pem"},
    ],
)
def test_it_comes_to_the_same(bucket: str, more: dict[str, object]) -> None:
    found, boto = access_to(connection(**more), bucket, 7), BotoAccess(connection(**more), bucket, connect_timeout=7)
    assert isinstance(found, ExplicitAccess)
    assert found.address() == boto.address()
    assert found.keys() == boto.keys()


def test_boto3_is_not_even_loaded() -> None:
    code = """
import sys
from ansible_collections.selfhosted.media.plugins.module_utils._objects.explicit import access_to
from ansible_collections.selfhosted.media.plugins.module_utils._s3.client import Connection
access = access_to(Connection(endpoint_url="https://s3.example.org", access_key="k", secret_key="s"), "b")
access.address(), access.keys()
assert not any(name.startswith("boto") for name in sys.modules)
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "more",
    [
        {"endpoint_url": None},
        {"access_key": None, "secret_key": None},
        {"addressing_style": "virtual"},
        {"provider": "aws"},
        {"endpoint_url": "https://s3.eu-west-1.amazonaws.com"},
        {"endpoint_url": "https://S3.example.org"},
        {"endpoint_url": "https://s3.example.org:443"},
        {"endpoint_url": "https://user@s3.example.org"},
        {"endpoint_url": "s3.example.org"},
    ],
)
def test_what_is_left_to_boto3(more: dict[str, object]) -> None:
    assert isinstance(access_to(connection(**more), "b"), BotoAccess)


@pytest.mark.parametrize("bucket", ["b\u00fccher", "a/b", "a b", "arn:aws:s3:::b", ""])
def test_names_that_boto3_has_to_judge(bucket: str) -> None:
    assert isinstance(access_to(connection(), bucket), BotoAccess)


@pytest.mark.parametrize(
    "name",
    [
        "https_proxy",
        "NO_PROXY",
        "AWS_CA_BUNDLE",
        "REQUESTS_CA_BUNDLE",
        "AWS_PROFILE",
        "AWS_DEFAULT_REGION",
        "AWS_CONFIG_FILE",
    ],
)
def test_an_environment_with_a_say(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "x")
    assert isinstance(access_to(connection(), "b"), BotoAccess)


@pytest.mark.parametrize("name", [".aws/config", ".aws/credentials"])
def test_a_configuration_with_a_say(name: str, tmp_path: Path) -> None:
    (tmp_path / ".aws").mkdir()
    (tmp_path / name).write_text("[default]\n")
    assert isinstance(access_to(connection(), "b"), BotoAccess)
