# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which boto3 and which Python the S3 modules are tested with. Runs in every run of tests/boto3_releases/run.sh."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import boto3
from ansible_collections.selfhosted.media.tests.run_module import run_ansible
from ansible_collections.selfhosted.media.tests.stub import Asked, Reply, Stub, error


def test_the_modules_use_the_release_that_is_meant() -> None:
    """As they say it to the service, sent to a target's Python as anywhere."""
    release = os.environ.get("BOTO3_RELEASE", boto3.__version__)
    assert boto3.__version__ == release

    def answer(asked: Asked) -> Reply:
        agents.append(asked.headers["user-agent"])
        return error(403, "AccessDenied")

    agents: list[str] = []
    with Stub(answer) as stub:
        options = {**stub.server.options, "provider": "generic", "bucket": "media"}
        result = run_ansible("s3_cors", {**options, "state": "absent"})
    assert "AccessDenied" in result["msg"]
    python = os.environ.get("TARGET_PYTHON") or sys.executable
    version = subprocess.run(
        [python, "-c", "import platform; print(platform.python_version())"], capture_output=True, text=True, check=True
    ).stdout.strip()
    said = {(re.findall(r"Boto3/(\S+)", agent)[0], re.findall(r"(?i)python[/#](\S+)", agent)[0]) for agent in agents}
    assert said == {(release, version)}
