# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: instance_rollback
short_description: Brings a running application back from S3 to its disk, and to S3 again at once when that fails
version_added: 0.1.0
author: selfhosted.media contributors (@selfhosted-media)
description:
  - B(Private to the roles of this collection.) Its options and results may change in any release.
  - Downloads what the application has written to the bucket since the change-over, and what is not on the disk, stops the services, downloads the
    rest, compares every object with its file, writes the settings of before S3, starts the services and waits for the front page.
  - Refuses before anything is changed when the disk has not enough room.
  - A file that is newer than an object of another content is kept, and counted in RV(conflicts).
  - All of it runs in one process in a session of its own on the target. When the controller dies or the connection is lost, it goes on to its end.
  - When a step fails, the settings for S3 are put back, the services are started and the front page is waited for. What services have written
    to the disk meanwhile is uploaded before. Then the module fails with one paragraph that says which step failed, what was said and what was
    undone.
extends_documentation_fragment:
  - selfhosted.media.attributes
  - selfhosted.media.attributes.s3
  - selfhosted.media.s3
  - selfhosted.media.health
  - selfhosted.media.change
  - selfhosted.media.tree
attributes:
  check_mode:
    support: full
    details: Nothing is stopped or written; what would be brought back is counted and the room for it is checked.
  diff_mode:
    support: full
    details: Secrets are masked.
  idempotent:
    support: none
    details: It restarts the services; the roles call it only where that is needed.
options:
  switched:
    description:
      - When the instance was changed over to S3, in seconds since 1970. Older objects are taken for the files that they were copied from, unless
        O(compare=checksum).
      - With V(0), when nobody knows, every file is compared with its object by checksum.
    type: float
    required: true
  s3_file:
    description: Path under which the settings for S3 are kept when those of before are written. It stays; remove it when all is done.
    type: path
    required: true
"""

EXAMPLES = r"""
- name: Go back to the disk
  selfhosted.media.instance_rollback:
    endpoint_url: https://s3.fr-par.scw.cloud
    region: fr-par
    path: /opt/bookwyrm/images
    bucket: books
    prefix: images/
    switched: "{{ found.instance.switched }}"
    chdir: /opt/bookwyrm
    env_file: /opt/bookwyrm/.env
    kept_file: /opt/bookwyrm/.env.before-s3
    s3_file: /opt/bookwyrm/.env.before-rollback
    stop_command: [systemctl, stop, bookwyrm-worker.service, bookwyrm.service]
    start_command: [systemctl, start, bookwyrm.service, bookwyrm-worker.service]
    health_url: http://127.0.0.1:8000/
"""

RETURN = r"""
downloaded:
  description: Number of objects brought to the disk; in check mode of those to be brought.
  type: int
  returned: success
  sample: 120
bytes:
  description: Their bytes.
  type: int
  returned: success
  sample: 4800000
conflicts:
  description: Number of files that are newer than an object of another content, and were kept.
  type: int
  returned: success
  sample: 0
reasons:
  description: The first 20 names of these and of those that could not be written, with the reason.
  type: dict
  returned: success
  sample: {}
status:
  description: Status of the front page.
  type: int
  returned: when it was carried out
  sample: 200
stop_seconds:
  description: From the moment the services were asked to stop until the front page answered again.
  type: float
  returned: when it was carried out
  sample: 6.5
restart_seconds:
  description: How much of RV(stop_seconds) a plain restart of the services would have taken too.
  type: float
  returned: when it was carried out
  sample: 6.3
changed_keys:
  description: Names of the settings that changed.
  type: list
  elements: str
  returned: success
  sample: [USE_S3]
began:
  description: When the module began, in seconds since 1970 by the target's clock.
  type: float
  returned: always
  sample: 1789300000.25
duration:
  description: How long it took, in seconds.
  type: float
  returned: always
  sample: 0.5
"""

from typing import Any

from ansible_collections.selfhosted.media.plugins.module_utils._dotenv.masking import env_diff
from ansible_collections.selfhosted.media.plugins.module_utils._dotenv.reading import read
from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._instance.bookwyrm import SECRET, WRITTEN
from ansible_collections.selfhosted.media.plugins.module_utils._instance.change import (
    CHANGE_ARGUMENTS,
    change_of,
    check_untouched,
    job_of,
)
from ansible_collections.selfhosted.media.plugins.module_utils._instance.detached import carry_out_detached
from ansible_collections.selfhosted.media.plugins.module_utils._instance.health import HEALTH_ARGUMENTS
from ansible_collections.selfhosted.media.plugins.module_utils._instance.lock import instance_lock
from ansible_collections.selfhosted.media.plugins.module_utils._instance.rollback import (
    DownloadedMedia,
    RestoredSettings,
    moment_of_change,
    settings_of_before,
)
from ansible_collections.selfhosted.media.plugins.module_utils._instance.switch import is_on_s3
from ansible_collections.selfhosted.media.plugins.module_utils._io import read_file
from ansible_collections.selfhosted.media.plugins.module_utils._module import (
    S3_ARGUMENTS,
    MediaModule,
    connection_of,
    run,
)
from ansible_collections.selfhosted.media.plugins.module_utils._s3.client import Connection
from ansible_collections.selfhosted.media.plugins.module_utils._sync.account import Account
from ansible_collections.selfhosted.media.plugins.module_utils._tree_options import (
    TREE_ARGUMENTS,
    reasons_of,
    tree_of,
)

ARGUMENTS: dict[str, dict[str, Any]] = {
    **S3_ARGUMENTS,
    **TREE_ARGUMENTS,
    **HEALTH_ARGUMENTS,
    **CHANGE_ARGUMENTS,
    "switched": {"type": "float", "required": True},
    "s3_file": {"type": "path", "required": True},
}


def media_of(params: dict[str, Any], connection: Connection, on_s3: bytes) -> DownloadedMedia:
    """What the disk lacks, by the settings for S3. Raises MediaError when there is no folder to download to."""
    moment = moment_of_change(params["switched"], on_s3, read_file(params["kept_file"]))
    everything = tree_of({**params, "include": [], "exclude": []})  # what is in the bucket comes back, whatever it is
    job = job_of(params, connection, everything, upload=False, restore_since=moment)
    return DownloadedMedia(job, tree_of(params).chooser)


def counts(done: Account, last: Account) -> dict[str, Any]:
    """What the result tells of the media: of all passes, and of the last one."""
    return {
        "downloaded": done["downloaded"],
        "bytes": done.bytes,
        "conflicts": last["conflicts"],
        "reasons": reasons_of(last, ("conflicts", "failed")),
    }


def settings_to_be(params: dict[str, Any]) -> tuple[bytes, bytes]:
    """The settings in effect and those that will be. Raises MediaError when there are none."""
    now = read_file(params["env_file"])
    if now is None:
        raise MediaError(f"{params['env_file']} does not exist; nothing was changed")
    if not is_on_s3(now):  # cut off behind the writing of the settings
        return now, now
    return now, settings_of_before(now, read_file(params["kept_file"]), (*WRITTEN, *SECRET))


def main() -> None:
    module = MediaModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    connection = connection_of(module)

    def work() -> dict[str, Any]:
        params = module.params
        now, then = settings_to_be(params)
        before, after = read(now), read(then)
        keys = sorted(name for name in {*before, *after} if before.get(name) != after.get(name))
        result: dict[str, Any] = {"changed": True, "changed_keys": keys}
        if module._diff:
            result["diff"] = env_diff(params["env_file"], now, then, SECRET, keys)
        # Those of a rollback that was cut off lie beside it.
        media = media_of(params, connection, now if is_on_s3(now) else read_file(params["s3_file"]) or now)
        to_bring = media.check_room()
        if module.check_mode:
            return {**result, **counts(to_bring, to_bring)}

        def go_back() -> dict[str, Any]:
            with instance_lock(params["chdir"], "going back to the disk"):
                check_untouched(params["env_file"], now)
                settings = RestoredSettings(params["env_file"], params["s3_file"], then)
                done = change_of("the rollback", params, media, settings).carry_out()
            return {**done, **counts(media.account, media.last)}

        return {**result, **carry_out_detached(go_back)}

    run(module, work)


if __name__ == "__main__":
    main()
