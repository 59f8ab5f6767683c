# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One tree and several hosts, each in a network namespace behind a slow line of its own: what the second and the eighth bring."""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
from pathlib import Path

from ..servers import Server
from ..servers.ceph import ceph
from ..servers.network import HERE, network
from ..servers.sshd import ssh_server
from .clients import OURS, ROOT, Failed
from .measure import Command, measure
from .services import PREFIX, RealService
from .trees import Media
from .workloads import Bench

#: Of each host's line; the tree keeps one host busy for minutes.
BITS_PER_SECOND = 8_000_000
HOSTS = (1, 2, 4, 8)
_FILES = 24_000


def shared(bench: Bench) -> None:
    """W8: one tree and 1, 2, 4, 8 hosts, each behind 8 Mbit/s."""
    with bench.small_files(_FILES) as media, bench.part("W8"), contextlib.ExitStack() as stack:
        spaces = stack.enter_context(network(max(HOSTS), BITS_PER_SECOND))
        server = stack.enter_context(ceph(address=HERE, store_mb=1024 + (media.size * len(HOSTS) >> 19)))
        sshds = [stack.enter_context(ssh_server(space.address, space.inside)) for space in spaces]
        hosts = {f"host{number}": sshd.variables for number, sshd in enumerate(sshds)}
        for count in HOSTS:
            chosen = dict(list(hosts.items())[:count])
            _measure(bench, f"{count} host{'s' * (count > 1)}", chosen, server, media)


def _measure(bench: Bench, case: str, hosts: dict[str, dict[str, object]], server: Server, media: Media) -> None:
    service = RealService(server)
    with service.bucket() as bucket:
        before = service.state(bucket)
        result = bench.result("W8", case, OURS, media)
        sample = measure(_command(bench.folder, hosts, server, bucket, media))
        try:
            if sample.status:
                raise Failed(f"{sample.output[-1000:]}{sample.errors[-1000:]}")
            _check(service, bucket, before, media)
            took = copy_seconds(sample.output)
        except Failed as exc:
            result.failures.append(str(exc))
            bench.remark(f"W8 {case} has failed: {str(exc)[:1000]}")
            return
    result.samples.append(sample._replace(seconds=took))
    first = next(one for one in bench.results if one.workload == "W8")
    part = first.seconds / (took * len(hosts))
    bench.remark(
        f"W8 {case}: copied in {took:.0f} s, {part:.2f} of linear; the whole run, with its verification, {sample.seconds:.0f} s; "
        f"others {sample.others_seconds:.0f} s of CPU"
    )


def _check(service: RealService, bucket: str, before: object, media: Media) -> None:
    after = service.state(bucket)
    if after[:2] != (media.files, media.size):
        raise Failed(f"the bucket holds {after} instead of {media}; before: {before}")


def _command(folder: Path, hosts: dict[str, dict[str, object]], server: Server, bucket: str, media: Media) -> Command:
    variables = {
        **{"media_copy_path": str(media.folder), "media_copy_s3_bucket": bucket, "media_copy_s3_prefix": PREFIX},
        **{"media_copy_s3_endpoint_url": server.endpoint_url, "media_copy_s3_provider": "ceph"},
        **{"media_copy_s3_access_key": server.access_key, "media_copy_s3_secret_key": server.secret_key},
        "ansible_python_interpreter": sys.executable,
    }
    inventory = folder / "hosts.json"
    inventory.write_text(json.dumps({"media_copy": {"hosts": hosts, "vars": variables}}))
    environment = {
        **os.environ,
        **{"ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".venv" / "collections"), "ANSIBLE_NOCOLOR": "1"},
        **{"ANSIBLE_PIPELINING": "True", "ANSIBLE_HOST_KEY_CHECKING": "False"},
        "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
    }
    program = str(Path(sys.executable).with_name("ansible-playbook"))
    words = [program, "selfhosted.media.media_copy", "-i", str(inventory), "--forks", str(len(hosts)), "-v"]
    return Command(words, environment)


def copy_seconds(output: str) -> float:
    """From when the first host began to copy to when the last one had."""
    block = re.search(r"^TASK \[[^\n]*Copy this host's part\](.*?)^TASK ", output, re.MULTILINE | re.DOTALL)
    told = re.findall(r'"began": ([\d.]+).*?"duration": ([\d.]+)', block[1] if block else "", re.DOTALL)
    if not told:
        raise Failed("the run does not tell how long the copy took")
    return max(float(began) + float(duration) for began, duration in told) - min(
        float(began) for began, _duration in told
    )
