# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the addon S3MediaUploader does, without Gramps around it: list the bucket, then upload one file after the other."""

from __future__ import annotations

import json
import sqlite3
import sys
from pathlib import Path

import boto3

endpoint, bucket, prefix, grampsdb, media = sys.argv[1:]
database = next(Path(grampsdb).glob("*/sqlite.db"))
rows = [json.loads(row[0]) for row in sqlite3.connect(database).execute("SELECT json_data FROM media")]
s3 = boto3.client("s3", endpoint_url=endpoint)
there = {
    one["Key"]
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    for one in page.get("Contents", [])
}
for row in rows:
    if prefix + row["checksum"] not in there:
        path = str(Path(media) / row["path"])
        s3.upload_file(path, bucket, prefix + row["checksum"], ExtraArgs={"ContentType": row["mime"]})
