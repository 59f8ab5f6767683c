#!/usr/bin/python
# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: gramps_change
short_description: Changes a Gramps Web over to S3, or back to its disk, and undoes that when it fails
version_added: 0.1.0
author: selfhosted.media contributors (@selfhosted-media)
description:
  - Private to the role gramps_web; its options may change.
  - Brings the media that the other side lacks, stops the services, reads the databases again and brings the rest, writes the settings, starts
    the services, and waits until they are ready. A step that fails is undone.
  - All of that happens in one process of its own on the target. It goes on to its end when the connection breaks.
  - Files on the disk are never removed or overwritten, and objects are never removed.
extends_documentation_fragment:
  - selfhosted.media.attributes
  - selfhosted.media.gramps_web
  - selfhosted.media.attributes.s3
  - selfhosted.media.s3
  - selfhosted.media.gramps
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  to:
    description: Where the media are to be served from.
    type: str
    required: true
    choices: [s3, disk]
  values:
    description: Settings for S3 that may be seen.
    type: dict
    default: {}
  secret_values:
    description: Settings for S3 that must not be seen.
    type: dict
    default: {}
  new:
    description: Whether the instance has never run, so that there are no family trees yet.
    type: bool
    default: false
  media_base:
    description: What the media folder is called by the application, for O(to=disk) where the former settings are not known.
    type: str
    default: ''
  stop_command:
    description: Stops the services; a line for the shell. If omitted, what suits the installation.
    type: str
    default: ''
  start_command:
    description: Starts them with their new settings. If omitted, what suits the installation.
    type: str
    default: ''
  health_url:
    description: Where C(/ready) answers on the target. If omitted, what suits the installation.
    type: str
    default: ''
  health_timeout:
    description: Seconds to wait for it.
    type: int
    default: 300
"""

EXAMPLES = r"""
- name: Change over
  selfhosted.media.gramps_change:
    to: s3
    endpoint_url: https://s3.fr-par.scw.cloud
    region: fr-par
    dir: /opt/gramps
    grampsdb: /var/lib/docker/volumes/gramps_gramps_db/_data
    media_dir: /var/lib/docker/volumes/gramps_gramps_media/_data
    bucket: family-media
    values:
      GRAMPSWEB_MEDIA_BASE_DIR: s3://family-media
      AWS_ENDPOINT_URL: https://s3.fr-par.scw.cloud
      AWS_DEFAULT_REGION: fr-par
    secret_values:
      AWS_ACCESS_KEY_ID: "{{ vault_s3_access_key }}"
      AWS_SECRET_ACCESS_KEY: "{{ vault_s3_secret_key }}"
"""

RETURN = r"""
mismatched:
  description: Number of media objects whose file on the disk is not the one that the database records. They were left as they are.
  type: int
  returned: when it was carried out
  sample: 0
reasons:
  description: The first of them, by Gramps ID and path.
  type: dict
  returned: when it was carried out
  sample: {}
trees:
  description: The family trees.
  type: list
  elements: dict
  returned: when it was carried out
  contains:
    id:
      description: Id of the tree.
      type: str
  sample: [{id: 5f3e1a2b}]
changed_keys:
  description: Names of the settings that changed.
  type: list
  elements: str
  returned: success
  sample: [GRAMPSWEB_MEDIA_BASE_DIR]
settings_file:
  description: The file that they are written to.
  type: str
  returned: success
  sample: /opt/gramps/docker-compose.yml
uploaded:
  description: Number of files that were uploaded.
  type: int
  returned: success
  sample: 3
downloaded:
  description: Number of files that were downloaded.
  type: int
  returned: success
  sample: 0
bytes:
  description: Their bytes.
  type: int
  returned: success
  sample: 60000
status:
  description: HTTP status of the answer at the end.
  type: int
  returned: when it was carried out
  sample: 200
stop_seconds:
  description: How long the services stood still.
  type: float
  returned: when it was carried out
  sample: 8.5
restart_seconds:
  description: How much of RV(stop_seconds) a plain restart would have taken too.
  type: float
  returned: when it was carried out
  sample: 8.1
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

import syslog
from collections.abc import Mapping
from typing import Any

from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._gramps.change import ReturnedTrees, UploadedTrees
from ansible_collections.selfhosted.media.plugins.module_utils._gramps.installation import Installation
from ansible_collections.selfhosted.media.plugins.module_utils._gramps.instance_options import (
    INSTANCE_ARGUMENTS,
    instance_of,
)
from ansible_collections.selfhosted.media.plugins.module_utils._gramps.media import StoredMedia
from ansible_collections.selfhosted.media.plugins.module_utils._gramps.options import GRAMPS_ARGUMENTS, media_of
from ansible_collections.selfhosted.media.plugins.module_utils._gramps.settings_file import (
    SettingsFile,
    is_on_s3,
    settings_file,
    settings_of_before,
)
from ansible_collections.selfhosted.media.plugins.module_utils._instance.change import (
    Change,
    Settings,
    check_untouched,
)
from ansible_collections.selfhosted.media.plugins.module_utils._instance.command import Command, Runner, command_of
from ansible_collections.selfhosted.media.plugins.module_utils._instance.detached import carry_out_detached
from ansible_collections.selfhosted.media.plugins.module_utils._instance.health import (
    ContainerLooker,
    HttpLooker,
    Looker,
)
from ansible_collections.selfhosted.media.plugins.module_utils._instance.lock import instance_lock
from ansible_collections.selfhosted.media.plugins.module_utils._instance.rollback import RestoredSettings
from ansible_collections.selfhosted.media.plugins.module_utils._instance.switch import SwitchedSettings
from ansible_collections.selfhosted.media.plugins.module_utils._io import read_file
from ansible_collections.selfhosted.media.plugins.module_utils._module import (
    S3_ARGUMENTS,
    MediaModule,
    connection_of,
    run,
)
from ansible_collections.selfhosted.media.plugins.module_utils._tree_options import reasons_of

ARGUMENTS: dict[str, dict[str, Any]] = {
    **S3_ARGUMENTS,
    **GRAMPS_ARGUMENTS,
    "to": {"type": "str", "required": True, "choices": ["s3", "disk"]},
    **INSTANCE_ARGUMENTS,
    "values": {"type": "dict", "default": {}},
    "secret_values": {"type": "dict", "default": {}, "no_log": True},
    "new": {"type": "bool", "default": False},
    "media_base": {"type": "str", "default": ""},
    "stop_command": {"type": "str", "default": ""},
    "start_command": {"type": "str", "default": ""},
    "health_url": {"type": "str", "default": ""},
    "health_timeout": {"type": "int", "default": 300},
}
#: Trees are told by themselves up to this number; a result stays small.
MOST_TREES = 50


def new_settings(params: Mapping[str, Any], file: SettingsFile, now: bytes) -> bytes:
    """The content of the file of settings when the change is done."""
    if params["to"] == "s3":
        given = {**params["values"], **params["secret_values"]}
        return file.edited(now, {name: str(value) for name, value in given.items()}, [])
    if not is_on_s3(file.values(now)):  # cut off behind the writing of the settings
        return now
    return settings_of_before(file, now, read_file(kept_file(file)), params["media_base"])


def kept_file(file: SettingsFile) -> str:
    """Where the settings of before S3 are kept."""
    return f"{file.path}.before-s3"


def settings_of(params: Mapping[str, Any], file: SettingsFile, now: bytes, new: bytes, stored: StoredMedia) -> Settings:
    """What is done to the settings."""

    def on_s3(content: bytes) -> bool:
        return is_on_s3(file.values(content))

    if params["to"] == "disk":
        return RestoredSettings(file.path, f"{file.path}.before-rollback", new, on_s3)
    kept = read_file(kept_file(file))
    # A change-over that was cut off can be undone to the disk. An instance that has run on S3 stays there, whatever fails.
    is_resumed = on_s3(now) and kept is not None and not on_s3(kept) and not has_media_in_bucket_alone(stored)
    return SwitchedSettings(file.path, new, kept_file(file), is_resumed, on_s3)


def has_media_in_bucket_alone(stored: StoredMedia) -> bool:
    """Whether services have run on S3 and stored something there."""
    stored.look_through()
    return bool(stored.seen["in_bucket"])


def looker_of(params: Mapping[str, Any], found: Installation, runner: Runner) -> Looker:
    """How it is found out whether the services are ready."""
    if params["health_url"] or found.health_url:
        return HttpLooker(params["health_url"] or found.health_url)
    if found.health_command:
        return ContainerLooker(runner, tuple(found.health_command), found.health_inside, python="python3")
    raise MediaError("it is not known where the application answers (a socket has no URL); set gramps_web_url")


def commands_of(params: Mapping[str, Any], found: Installation) -> tuple[Command, Command]:
    """How the services are stopped and started."""
    return (
        params["stop_command"] or command_of(found.stop),
        params["start_command"] or command_of(found.start),
    )


def main() -> None:
    module = MediaModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    connection = connection_of(module)

    def work() -> dict[str, Any]:
        params = module.params
        found = instance_of(params)
        file = settings_file(found)
        now = read_file(file.path)
        if now is None:
            raise MediaError(f"{file.path} does not exist; nothing was changed")
        new = new_settings(params, file, now)
        before, after = file.values(now), file.values(new)
        keys = sorted(name for name in {*before, *after} if before.get(name) != after.get(name))
        stored = media_of(params, connection)
        if params["new"]:
            stored.read = list  # there are no family trees yet
        media: UploadedTrees | ReturnedTrees = UploadedTrees(stored) if params["to"] == "s3" else ReturnedTrees(stored)
        result: dict[str, Any] = {"changed": True, "changed_keys": keys, "settings_file": file.path}
        if module._diff:
            result["diff"] = file.diff(now, new, keys)
        if isinstance(media, ReturnedTrees):
            count, size = media.check_room()
            if module.check_mode:
                return {**result, "downloaded": count, "bytes": size, "uploaded": 0}
        elif module.check_mode:
            stored.look_through()
            stored.check()
            return {**result, "uploaded": 0, "downloaded": 0, "bytes": 0}

        def carry_out() -> dict[str, Any]:
            name = "the change-over" if params["to"] == "s3" else "the rollback"
            with instance_lock(found.folder, f"{name} of Gramps Web"):
                check_untouched(file.path, now)
                runner = Runner(found.folder)
                stop, start = commands_of(params, found)
                change = Change(
                    name,
                    runner,
                    stop,
                    start,
                    looker_of(params, found, runner),
                    media,
                    settings_of(params, file, now, new, stored),
                    params["health_timeout"],
                    command_of(found.failed) if found.failed else "",
                    log=lambda message: syslog.syslog(f"selfhosted.media, {name} of {found.folder}: {message}"),
                    where="the services' settings",
                )
                done = change.carry_out()
                if not stored.reads_files:
                    media.standing = False
                    media.bring()  # what the Web API could not tell while it stood
            account = media.account
            return {
                **done,
                "uploaded": account["uploaded"],
                "downloaded": account["downloaded"],
                "bytes": account.bytes,
                "mismatched": stored.seen["mismatched"],
                "reasons": reasons_of(stored.seen, ("mismatched",)),
                "trees": [{"id": one.tree.tree_id} for one in stored.surveys[:MOST_TREES]],
            }

        return {**result, **carry_out_detached(carry_out)}

    run(module, work)


if __name__ == "__main__":
    main()
