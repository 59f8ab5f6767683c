# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What builders of execution environments read says what the code needs."""

from __future__ import annotations

import re
from pathlib import Path

import yaml
from ansible_collections.selfhosted.media.plugins.module_utils._compose.nodes import RUAMEL_PACKAGES
from ansible_collections.selfhosted.media.plugins.module_utils._s3.boto3_release import judge
from ansible_collections.selfhosted.media.plugins.module_utils._s3.client import BOTO3_MINIMUM

ROOT = Path(__file__).resolve().parents[2]


def lines(name: str) -> list[str]:
    return [line for line in (ROOT / name).read_text(encoding="utf-8").splitlines() if line and line[0] != "#"]


def test_the_files_are_there_and_packed() -> None:
    found = yaml.safe_load((ROOT / "meta" / "execution-environment.yml").read_text(encoding="utf-8"))
    assert found["dependencies"] == {"python": "requirements.txt", "system": "bindep.txt"}
    ignored = yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8"))["build_ignore"]
    assert not {"requirements.txt", "bindep.txt", "meta"} & set(ignored)


def test_the_lowest_releases_are_those_that_the_modules_take() -> None:
    floors = dict(line.split(">=") for line in lines("requirements.txt"))
    assert set(floors) == {"boto3", "botocore", "ruamel.yaml"}
    assert floors["boto3"] == f"{BOTO3_MINIMUM[0]}.{BOTO3_MINIMUM[1]}.0"
    assert judge({name: floors[name] for name in ("boto3", "botocore")})[0] == "ok"
    major, minor, _patch = floors["botocore"].split(".")
    assert judge({"boto3": floors["boto3"], "botocore": f"{major}.{int(minor) - 1}.0"})[0] == "failed"


def test_packages_are_those_that_the_messages_name() -> None:
    packages = {line.split()[0] for line in lines("bindep.txt")}
    assert set(re.findall(r"py\w*[-\w.]*ruamel[-.]yaml", RUAMEL_PACKAGES)) <= packages
    # without a profile none is asked for: the builder's own images have what is needed by pip
    assert all("[target " in line for line in lines("bindep.txt"))
