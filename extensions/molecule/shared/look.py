# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""look.py SITE ENDPOINT BUCKET: what a visitor gets from the front page, and what is in the bucket, as JSON."""

from __future__ import annotations

import hashlib
import json
import re
import sys
import urllib.parse
import urllib.request
from typing import Any

import boto3


def fetch(url: str) -> dict[str, Any]:
    """One image as anybody gets it."""
    with urllib.request.urlopen(url, timeout=20) as answer:
        headers, content = answer.headers, answer.read()
    return {
        "url": url,
        "sha256": hashlib.sha256(content).hexdigest(),
        "type": headers.get("Content-Type"),
        "cache": headers.get("Cache-Control"),
    }


def images(site: str) -> dict[str, dict[str, Any]]:
    """All covers and thumbnails of the front page, by their place below images/."""
    with urllib.request.urlopen(f"{site}/?n=ALL", timeout=20) as answer:
        page = answer.read().decode()
    urls = {urllib.parse.urljoin(site, url) for url in re.findall(r'(?:src|srcset)="([^"]*/images/[^"]+)"', page)}
    return {"images/" + urllib.parse.unquote(url.partition("/images/")[2]): fetch(url) for url in urls}


def objects(endpoint_url: str, bucket: str) -> list[str]:
    """The keys in the bucket; none where there is no bucket."""
    keys = {"aws_access_key_id": "look", "aws_secret_access_key": "look", "region_name": "us-east-1"}
    client = boto3.client("s3", endpoint_url=endpoint_url, **keys)
    try:
        pages = list(client.get_paginator("list_objects_v2").paginate(Bucket=bucket))
    except client.exceptions.NoSuchBucket:
        return []
    return [found["Key"] for page in pages for found in page.get("Contents", [])]


if __name__ == "__main__":
    site_url, endpoint, name = sys.argv[1:]
    print(json.dumps({"images": images(site_url), "objects": objects(endpoint, name)}))
