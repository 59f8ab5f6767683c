# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The clients that are compared, each with the best settings that are known for the task; README.md says why these."""

from __future__ import annotations

import json
import os
import sys
from abc import ABC, abstractmethod
from pathlib import Path
from typing import NamedTuple

from ..servers import Server
from .measure import Command, Sample, version_of
from .trees import Media, grampsdb_of

ROOT = Path(__file__).resolve().parents[2]
PEERS = ROOT / ".venv" / "bench" / "bin"
#: What every client gives each object that it uploads.
ACL, CACHE_CONTROL = "public-read", "max-age=86400"


class Task(NamedTuple):
    """A tree that is brought to a bucket."""

    #: "small" or "large" files to an empty bucket, "far": small ones over a WAN; "again" or "again far": all is there
    kind: str
    media: Media
    server: Server
    bucket: str
    prefix: str  # with its slash

    @property
    def again(self) -> bool:
        """Whether there is nothing to do."""
        return self.kind.startswith("again")


class Failed(Exception):
    """A client did not do what it was asked for: its time means nothing."""


class Client(ABC):
    """A way to do a task. The scratch folder is its own for one run."""

    name: str

    @abstractmethod
    def command(self, task: Task, scratch: Path) -> Command:
        """What does the task."""

    @abstractmethod
    def version(self) -> str:
        """What it is."""

    def check(self, task: Task, sample: Sample) -> None:
        """Raise Failed if it says that something went wrong."""
        if sample.status:
            raise Failed(f"{self.name} ended with {sample.status}: {sample.errors[-1000:]}{sample.output[-1000:]}")


def _environment(task: Task, scratch: Path, **more: str) -> dict[str, str]:
    """Nothing of this machine's administrator reaches a client."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(scratch),
        "LANG": "C.UTF-8",
        "AWS_ACCESS_KEY_ID": task.server.access_key,
        "AWS_SECRET_ACCESS_KEY": task.server.secret_key,
        "AWS_REGION": task.server.region,
        "AWS_DEFAULT_REGION": task.server.region,
        "AWS_CONFIG_FILE": str(scratch / "aws"),
        "AWS_EC2_METADATA_DISABLED": "true",
        **more,
    }


class Ours(Client):
    """media_sync as Ansible runs it on a target, on automatic settings: a new process, its start included."""

    name = "media_sync"

    def command(self, task: Task, scratch: Path) -> Command:
        arguments = {
            **task.server.options,
            "path": str(task.media.folder),
            "bucket": task.bucket,
            "prefix": task.prefix,
            "acl": ACL,
            "cache_control": CACHE_CONTROL,
        }
        return self.module(arguments, scratch)

    def module(self, arguments: dict[str, object], scratch: Path) -> Command:
        """The module of this name with its arguments."""
        given = {"ANSIBLE_MODULE_ARGS": {**arguments, "_ansible_remote_tmp": str(scratch)}}
        path = scratch / "arguments.json"
        path.write_text(json.dumps(given))
        module = f"ansible_collections.selfhosted.media.plugins.modules.{self.name}"
        environment = {"PATH": os.environ["PATH"], "HOME": str(scratch), "LANG": "C.UTF-8"}
        environment["PYTHONPATH"] = str(ROOT / ".venv" / "collections")
        return Command([sys.executable, "-m", module, str(path)], environment)

    def version(self) -> str:
        return next(line for line in (ROOT / "galaxy.yml").read_text().splitlines() if line.startswith("version"))

    def check(self, task: Task, sample: Sample) -> None:
        try:
            result = json.loads(sample.output)
        except ValueError as exc:
            raise Failed(f"{self.name}: {sample.output[-1000:]}{sample.errors[-3000:]}") from exc
        done = "unchanged" if task.again else "uploaded"
        if sample.status or result.get("failed") or result[done] != task.media.files:
            raise Failed(f"{self.name}: {json.dumps(result)[:1000]}")


class OursGramps(Ours):
    """gramps_media likewise: it hashes each file, uploads it, and verifies the bucket."""

    name = "gramps_media"

    def command(self, task: Task, scratch: Path) -> Command:
        arguments: dict[str, object] = {
            **task.server.options,
            "grampsdb": str(grampsdb_of(task.media.folder)),
            "media_dir": str(task.media.folder),
            "bucket": task.bucket,
            "prefix": task.prefix,
        }
        return self.module(arguments, scratch)


class OneByOne(Client):
    """The files of a family tree by boto3, one after the other, as Gramps' addon S3MediaUploader does it."""

    name = "boto3 one by one"

    def command(self, task: Task, scratch: Path) -> Command:
        script = Path(__file__).with_name("one_by_one.py")
        folder = task.media.folder
        words = [sys.executable, str(script), task.server.endpoint_url, task.bucket, task.prefix]
        return Command([*words, str(grampsdb_of(folder)), str(folder)], _environment(task, scratch))

    def version(self) -> str:
        return version_of([sys.executable, "-c", "import boto3; print(boto3.__version__)"])


class S5cmd(Client):
    """s5cmd: `cp` to an empty bucket, since `sync` takes three times as long; more workers only where there is latency."""

    name = "s5cmd"

    def command(self, task: Task, scratch: Path) -> Command:
        workers = "128" if "far" in task.kind else "16"
        words = [str(PEERS / "s5cmd"), "--log", "error", "--endpoint-url", task.server.endpoint_url]
        words += ["--numworkers", workers]
        words += ["sync", "--size-only"] if task.again else ["cp"]
        words += ["--concurrency", "4", "--part-size", "16"] if task.kind == "large" else []
        words += ["--acl", ACL, "--cache-control", CACHE_CONTROL]
        words += [f"{task.media.folder}/", f"s3://{task.bucket}/{task.prefix}"]
        return Command(words, _environment(task, scratch))

    def version(self) -> str:
        return version_of([str(PEERS / "s5cmd"), "version"])


class Rclone(Client):
    """rclone without the requests and checksums that S3 does not need: no HEAD after a PUT, sizes compared, MD5 left out."""

    name = "rclone"

    def command(self, task: Task, scratch: Path) -> Command:
        words = [str(PEERS / "rclone"), "copy", "--config", "", "--retries", "1", "--stats", "0"]
        words += ["--s3-provider", "Other", "--s3-endpoint", task.server.endpoint_url, "--s3-env-auth"]
        words += [
            "--s3-region",
            task.server.region,
            "--s3-acl",
            ACL,
            "--header-upload",
            f"Cache-Control: {CACHE_CONTROL}",
        ]
        words += ["--s3-no-check-bucket", "--s3-no-head", "--s3-disable-checksum", "--ignore-checksum", "--size-only"]
        if task.kind == "large":
            words += ["--transfers", "2", "--multi-thread-streams", "0"]
            words += ["--s3-upload-concurrency", "4", "--s3-chunk-size", "16M"]
        else:
            words += ["--transfers", "128", "--checkers", "256"] if "far" in task.kind else ["--transfers", "16"]
        # One listing of everything, but where each page takes long: there, of each folder, many at a time.
        words += [] if task.kind == "again far" else ["--fast-list"]
        words += [str(task.media.folder), f":s3:{task.bucket}/{task.prefix.rstrip('/')}"]
        return Command(words, _environment(task, scratch))

    def version(self) -> str:
        return version_of([str(PEERS / "rclone"), "version"])


class Aws(Client):
    """aws s3 sync. More requests at a time than its 10 make it slower where the network is not the limit."""

    name = "aws s3 sync"

    def command(self, task: Task, scratch: Path) -> Command:
        words = [str(PEERS / "aws"), "--endpoint-url", task.server.endpoint_url, "s3", "sync", "--only-show-errors"]
        words += ["--size-only", "--acl", ACL, "--cache-control", CACHE_CONTROL]
        words += [f"{task.media.folder}/", f"s3://{task.bucket}/{task.prefix}"]
        return Command(words, _environment(task, scratch))

    def version(self) -> str:
        return version_of([str(PEERS / "aws"), "--version"])


OURS, S5CMD, RCLONE, AWS = Ours(), S5cmd(), Rclone(), Aws()
OURS_GRAMPS, ONE_BY_ONE = OursGramps(), OneByOne()
CLIENTS: tuple[Client, ...] = (OURS, S5CMD, RCLONE, AWS, OURS_GRAMPS, ONE_BY_ONE)
