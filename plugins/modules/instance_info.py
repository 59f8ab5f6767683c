#!/usr/bin/python
# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: instance_info
short_description: Finds out how an application is installed, where its media lie and whether they are on S3
version_added: 0.1.0
author: selfhosted.media contributors (@selfhosted-media)
description:
  - B(Private to the roles of this collection.) Its options and results may change in any release.
  - Asks docker or systemd, and reads the instance's own settings. Changes nothing.
extends_documentation_fragment:
  - selfhosted.media.attributes
  - selfhosted.media.privileges
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  dir:
    description: Folder of the instance. If empty, that of the compose project or of the units that run it, else C(/opt/bookwyrm).
    type: str
    default: ''
  install_type:
    description: How it is installed. V(auto) takes what is found.
    type: str
    default: auto
    choices: [auto, docker, systemd]
  media_dir:
    description: Folder of the media. If empty, it is found.
    type: str
    default: ''
  credentials:
    description: Whether the instance's S3 keys are part of the result. The task then needs C(no_log).
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Look at the instance
  selfhosted.media.instance_info:
    dir: /opt/bookwyrm
  register: found
"""

RETURN = r"""
instance:
  description: What was found.
  type: dict
  returned: always
  contains:
    install_type: {description: V(docker) or V(systemd)., type: str, returned: always, sample: systemd}
    folder: {description: Folder of the instance., type: str, returned: always, sample: /opt/bookwyrm}
    env_file: {description: Path of its settings., type: str, returned: always, sample: /opt/bookwyrm/.env}
    kept_file: {description: Path of the settings as they were before S3., type: str, returned: always, sample: /opt/bookwyrm/.env.before-s3}
    s3_file:
      description: Path of the settings for S3 while a rollback is under way.
      type: str
      returned: always
      sample: /opt/bookwyrm/.env.before-rollback
    rollback_cut_off:
      description: Whether a rollback ended, by a power failure for instance, before everything was done.
      type: bool
      returned: always
      sample: false
    media_dir: {description: Folder of the media on the target; empty when there is none yet., type: str, returned: always, sample: /opt/bookwyrm/images}
    exports_dir:
      description: Folder of the archives that users make of their data; empty when they are not kept in one.
      type: str
      returned: always
      sample: /opt/bookwyrm/exports
    user: {description: As whom its commands run; empty for the module's own user., type: str, returned: always, sample: bookwyrm}
    running: {description: Whether a service of it runs., type: bool, returned: always, sample: true}
    restart_needed: {description: Whether the services run with other settings than the file has., type: bool, returned: always, sample: false}
    state:
      description: V(disk), V(s3) when this collection changed it over, V(s3_by_hand) when somebody else did.
      type: str
      returned: always
      sample: disk
    switched: {description: "When this collection changed it over, in seconds since 1970; 0 if it did not.", type: float, returned: always, sample: 0}
    release: {description: Release of the application., type: str, returned: always, sample: 0.9.2}
    base_url: {description: URL under which browsers see it., type: str, returned: always, sample: "https://books.example"}
    domain: {description: Its domain., type: str, returned: always, sample: books.example}
    settings:
      description: Its settings that are no secrets; those for S3 while a rollback is cut off.
      type: dict
      returned: always
      sample: {USE_S3: "false"}
    commands: {description: Its commands as argument lists., type: dict, returned: always, sample: {stop: [systemctl, stop, bookwyrm.service]}}
    boto3: {description: Whether the modules' Python on the target has a boto3 that serves., type: bool, returned: always, sample: true}
    boto3_lack: {description: "What keeps it from serving, in words that follow on 'boto3'; empty if nothing does.", type: str, returned: always, sample: ''}
    python: {description: The modules' Python on the target., type: str, returned: always, sample: /usr/bin/python3}
    lacks:
      description: Sentences on the rights that the module's user lacks of those that O(needs) names.
      type: list
      elements: str
      returned: always
      sample: []
    health: {description: How its front page is fetched., type: dict, returned: always, sample: {url: "http://127.0.0.1:8000/"}}
credentials:
  description: Its S3 keys.
  type: dict
  returned: with O(credentials=true)
  sample: {AWS_ACCESS_KEY_ID: AKIA..., AWS_SECRET_ACCESS_KEY: "..."}
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

import os
import sys
from typing import Any, Optional

from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._instance.bookwyrm import (
    ClosedSettings,
    Installation,
    read_release,
    read_settings,
)
from ansible_collections.selfhosted.media.plugins.module_utils._instance.installation import find
from ansible_collections.selfhosted.media.plugins.module_utils._instance.privileges import (
    PRIVILEGE_ARGUMENTS,
    Touched,
    with_lacks,
)
from ansible_collections.selfhosted.media.plugins.module_utils._module import MediaModule, run
from ansible_collections.selfhosted.media.plugins.module_utils._s3.boto3_release import lack

ARGUMENTS: dict[str, dict[str, Any]] = {
    "dir": {"type": "str", "default": ""},
    "install_type": {"type": "str", "default": "auto", "choices": ["auto", "docker", "systemd"]},
    "media_dir": {"type": "str", "default": ""},
    "credentials": {"type": "bool", "default": False},
    **PRIVILEGE_ARGUMENTS,
}


COMMANDS = ("manage", "manage_running", "static", "stop", "start", "is_failed", "purge_proxy", "prepare")


def describe(found: Installation, params: dict[str, Any]) -> dict[str, Any]:
    """The result."""
    settings, release = read_settings(found.folder), read_release(found.folder)
    kept, s3_file = settings.path + ".before-s3", settings.path + ".before-rollback"
    on_s3, ours = settings.is_true("USE_S3"), os.path.exists(kept)
    cut_off = not on_s3 and os.path.exists(s3_file)
    storage = read_settings(found.folder, ".env.before-rollback") if cut_off else settings
    if settings.is_true("USE_AZURE") and not on_s3:
        raise MediaError(f"{settings.path} has USE_AZURE=true: the media are in Azure Blob Storage, not on the disk")
    boto3_lack = lack()
    names = ("install_type", "folder", "running", "restart_needed")
    instance = {
        **{name: getattr(found, name) for name in names},
        "env_file": settings.path,
        "kept_file": kept,
        "s3_file": s3_file,
        "rollback_cut_off": cut_off,
        "media_dir": params["media_dir"] or found.media_dir or "",
        "exports_dir": found.exports_dir or "",
        "user": found.user or "",
        "state": ("s3" if ours else "s3_by_hand") if on_s3 else "disk",
        # When it was written. A change of owner or mode, as by chown -R, moves st_ctime only.
        "switched": os.stat(kept).st_mtime if (on_s3 or cut_off) and ours else 0.0,
        "release": release.name,
        "base_url": settings.base_url(release),
        "domain": settings.domain,
        "settings": storage.shown,
        "commands": {name: getattr(found, name) for name in COMMANDS},
        "lacks": touched(found.folder, params, found).lacks(),
        "health": {"url": found.health_url, "command": found.health_command},
        "boto3": not boto3_lack,
        "boto3_lack": boto3_lack,
        "python": sys.executable,
    }
    return {
        "changed": False,
        "instance": instance,
        **({"credentials": storage.secret} if params["credentials"] else {}),
    }


def touched(folder: str, params: dict[str, Any], found: Optional[Installation] = None) -> Touched:
    """What a run touches of the instance in a folder, as far as it is known."""
    units = found.start[2:] if found and found.install_type == "systemd" and not params["own_commands"] else []
    return Touched(
        folder,
        params["needs"],
        settings=os.path.join(folder, ".env"),
        media_dir=params["media_dir"] or (found.media_dir if found else os.path.join(folder, "images")) or "",
        user=(found.user if found else "") or "",
        units=units,
    )


def look(params: dict[str, Any]) -> dict[str, Any]:
    """The result."""
    try:
        found = find(params["dir"] or None, params["install_type"], params["media_dir"])
    except ClosedSettings as exc:
        raise with_lacks(exc, touched(exc.folder, params)) from exc
    except MediaError as exc:
        raise (with_lacks(exc, touched(params["dir"], params)) if params["dir"] else exc) from exc
    return describe(found, params)


def main() -> None:
    module = MediaModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    run(module, lambda: look(module.params))


if __name__ == "__main__":
    main()
