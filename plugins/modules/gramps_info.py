#!/usr/bin/python
# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: gramps_info
short_description: Finds out how a Gramps Web is installed, where its media lie and whether they are on S3
version_added: 0.1.0
author: selfhosted.media contributors (@selfhosted-media)
description:
  - B(Private to the roles of this collection.) Its options and results may change in any release.
  - Asks docker or systemd, and reads compose and environment files. Changes nothing, and returns no secret.
extends_documentation_fragment:
  - selfhosted.media.attributes
  - selfhosted.media.gramps_web
  - selfhosted.media.privileges
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  media_dir:
    description: Folder of the media on the target. If empty, it is found.
    type: str
    default: ''
  grampsdb:
    description: Folder of the trees on the target. If empty, it is found.
    type: str
    default: ''
"""

EXAMPLES = r"""
- name: Look at the Gramps Web
  selfhosted.media.gramps_info:
    dir: /opt/grampsweb
  register: gramps_web
"""

RETURN = r"""
gramps:
  description: What was found.
  type: dict
  returned: always
  contains:
    install_type: {description: V(docker) or V(systemd)., type: str, returned: always, sample: docker}
    folder: {description: Folder of the compose project or of the units., type: str, returned: always, sample: /opt/grampsweb}
    services:
      description: Services or units that run it, the web one first.
      type: list
      elements: str
      returned: always
      sample: [grampsweb, grampsweb_celery]
    compose_file: {description: Compose file that holds their variables., type: str, returned: always, sample: /opt/grampsweb/docker-compose.yml}
    env_file: {description: Environment file that holds their variables., type: str, returned: always, sample: /etc/grampsweb.env}
    config_file: {description: Settings file that says where the media are., type: str, returned: always, sample: /opt/grampsweb/config.cfg}
    kept_file:
      description: Path of the settings as they were before S3.
      type: str
      returned: always
      sample: /opt/grampsweb/docker-compose.yml.before-s3
    rollback_cut_off:
      description: Whether a rollback ended, by a power failure for instance, before everything was done.
      type: bool
      returned: always
      sample: false
    managed_by: {description: "Who keeps the compose file, if it is not simply on the host.", type: str, returned: always, sample: Portainer}
    settings:
      description: Variables of the web process that are no secrets.
      type: dict
      returned: always
      sample: {GRAMPSWEB_TREE: Gramps Web}
    unset_in:
      description: Services whose storage differs from the web one's.
      type: list
      elements: str
      returned: always
      sample: []
    paths:
      description: Paths inside the web container and on the host.
      type: list
      elements: list
      returned: always
      sample: [[/app/media, /var/lib/docker/volumes/grampsweb_gramps_media/_data]]
    media_base: {description: Where the media are for the application., type: str, returned: always, sample: /app/media}
    media_dir: {description: "Folder of the local media, of those before S3 too; empty if unknown.", type: str, returned: always, sample: /srv/media}
    prefix_tree: {description: Whether each tree has a folder of its own., type: bool, returned: always, sample: false}
    prefix_tree_text: {description: The same as it is written., type: str, returned: always, sample: "false"}
    tree: {description: "Name of its tree; V(*) is several trees.", type: str, returned: always, sample: Gramps Web}
    tree_id: {description: Id of its tree., type: str, returned: always, sample: 65a1b2c3}
    grampsdb: {description: Folder of the trees on the target., type: str, returned: always, sample: /srv/grampsdb}
    release: {description: "Release of gramps_webapi; empty if nothing tells.", type: str, returned: always, sample: 3.24.0}
    running: {description: Whether a service of it runs., type: bool, returned: always, sample: true}
    restart_needed: {description: Whether services run with another storage than their files say., type: bool, returned: always, sample: false}
    state:
      description: V(disk), V(s3) when this collection changed it over, V(s3_by_hand) when somebody else did.
      type: str
      returned: always
      sample: disk
    switched: {description: "When this collection changed it over, in seconds since 1970; 0 if it did not.", type: float, returned: always, sample: 0}
    bucket: {description: Bucket of the media., type: str, returned: always, sample: family}
    prefix: {description: Prefix of their keys., type: str, returned: always, sample: media}
    user: {description: As whom its units run., type: str, returned: always, sample: gramps}
    commands: {description: Its commands as argument lists., type: dict, returned: always, sample: {stop: [systemctl, stop, grampsweb.service]}}
    health: {description: How it is asked whether it is ready., type: dict, returned: always, sample: {url: "http://127.0.0.1:5000/ready"}}
    lacks:
      description: Sentences on the rights that the module's user lacks of those that O(needs) names.
      type: list
      elements: str
      returned: always
      sample: []
    remarks: {description: Sentences on what is not known., type: list, elements: str, returned: always, sample: []}
    boto3: {description: Whether the modules' Python on the target has a boto3 that serves., type: bool, returned: always, sample: true}
    boto3_lack: {description: "What keeps it from serving, in words that follow on 'boto3'; empty if nothing does.", type: str, returned: always, sample: ''}
    ruamel: {description: Whether it has ruamel.yaml., type: bool, returned: always, sample: true}
    python: {description: The modules' Python on the target., type: str, returned: always, sample: /usr/bin/python3}
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
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from ansible_collections.selfhosted.media.plugins.module_utils._compose.nodes import HAS_RUAMEL
from ansible_collections.selfhosted.media.plugins.module_utils._dotenv.masking import (
    LOOKS_SECRET,
    SHORTEST_HIDDEN,
)
from ansible_collections.selfhosted.media.plugins.module_utils._gramps.installation import Installation
from ansible_collections.selfhosted.media.plugins.module_utils._gramps.instance_options import (
    INSTANCE_ARGUMENTS,
    instance_of,
)
from ansible_collections.selfhosted.media.plugins.module_utils._gramps.settings import S3, shown
from ansible_collections.selfhosted.media.plugins.module_utils._instance.privileges import PRIVILEGE_ARGUMENTS, Touched
from ansible_collections.selfhosted.media.plugins.module_utils._module import MediaModule, run
from ansible_collections.selfhosted.media.plugins.module_utils._s3.boto3_release import lack
from ansible_collections.selfhosted.media.plugins.module_utils._url_users import url_secrets

ARGUMENTS: dict[str, dict[str, Any]] = {
    **INSTANCE_ARGUMENTS,
    "media_dir": {"type": "str", "default": ""},
    "grampsdb": {"type": "str", "default": ""},
    **PRIVILEGE_ARGUMENTS,
}
COMMANDS = ("stop", "start", "failed", "python")
TOLD = (
    "install_type",
    "folder",
    "services",
    "compose_file",
    "env_file",
    "config_file",
    "managed_by",
    "unset_in",
    "paths",
    "media_base",
    "media_dir",
    "prefix_tree",
    "prefix_tree_text",
    "tree",
    "tree_id",
    "grampsdb",
    "release",
    "running",
    "restart_needed",
    "user",
    "remarks",
)


def secrets_of(found: Installation) -> Iterator[str]:
    """What no message may hold. A short word, or one that is part of a name here, would hide more than a secret."""
    names = " ".join([found.folder, found.compose_file, found.env_file, *found.services, *found.stop])
    secrets = [value for name, value in found.environment.items() if LOOKS_SECRET.search(name)]
    for value in (*secrets, *url_secrets(found.environment)):
        if len(value) >= SHORTEST_HIDDEN and value not in names:
            yield value


def touched(found: Installation, params: dict[str, Any]) -> Touched:
    """What a run touches of it."""
    by_systemd = found.install_type == "systemd" and not params["own_commands"]
    return Touched(
        found.folder,
        params["needs"],
        settings="" if found.managed_by else found.env_file or found.compose_file,
        media_dir=found.media_dir,
        flat=True,
        database=found.grampsdb,
        user=found.user,
        units=found.services if by_systemd else [],
    )


def describe(found: Installation, lacks: list[str]) -> dict[str, Any]:
    """The result."""
    file = found.env_file or found.compose_file
    kept = f"{file}.before-s3" if file else ""
    on_s3, ours = found.media_base.startswith(S3), bool(kept) and os.path.exists(kept)
    boto3_lack = lack()
    bucket, _slash, prefix = found.media_base[len(S3) :].partition("/") if on_s3 else ("", "", "")
    gramps = {
        **{name: getattr(found, name) for name in TOLD},
        "kept_file": kept,
        "rollback_cut_off": bool(file) and os.path.exists(f"{file}.before-rollback"),
        "settings": shown(found.environment),
        "state": ("s3" if ours else "s3_by_hand") if on_s3 else "disk",
        # When it was written. A change of owner or mode, as by chown -R, moves st_ctime only.
        "switched": os.stat(kept).st_mtime if on_s3 and ours else 0.0,
        "bucket": bucket,
        "prefix": prefix,
        "commands": {name: getattr(found, name) for name in COMMANDS},
        "health": {"url": found.health_url, "command": found.health_command, "inside": found.health_inside},
        "lacks": lacks,
        "boto3": not boto3_lack,
        "boto3_lack": boto3_lack,
        "ruamel": HAS_RUAMEL,
        "python": sys.executable,
    }
    return {"changed": False, "gramps": gramps}


def look(module: MediaModule) -> dict[str, Any]:
    """Find it, with what the options know better."""
    params = module.params
    found = instance_of(params)
    module.hide(secrets_of(found))
    better = {name: params[name] for name in ("media_dir", "grampsdb") if params[name]}
    known = replace(found, **better)
    return describe(known, touched(known, params).lacks())


def main() -> None:
    module = MediaModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    run(module, lambda: look(module))


if __name__ == "__main__":
    main()
