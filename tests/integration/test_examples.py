# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The examples of modules, guides and pages, run as they stand: names of services and folders alone become those of a world made for it.

Ceph is the service; as AWS it stands behind a proxy that refuses what AWS refuses. All examples go in two runs of ansible-playbook, because
each start of it takes a second.
"""

from __future__ import annotations

import getpass
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.selfhosted.media.tests.examples import (
    ROOT,
    Example,
    commands,
    module_of,
    of_plugins,
    yaml_blocks,
)
from ansible_collections.selfhosted.media.tests.gramps_trees import Tree
from ansible_collections.selfhosted.media.tests.playbooks import STANDIN_VENV, StandIn, standin
from ansible_collections.selfhosted.media.tests.servers import Server
from ansible_collections.selfhosted.media.tests.servers.profiles import played

pytestmark = pytest.mark.timeout(900)

ORDER = (
    *("s3_policy", "s3_settings", "s3_bucket", "s3_cors", "s3_preflight", "media_probe"),
    *("dotenv", "compose_environment", "gramps_media", "gramps_cleanup"),
    # the instance is changed over, looked at, and taken back
    *("media_sync", "media_verify", "instance_command", "s3_content_types", "instance_switch", "instance_info"),
    *("instance_look", "instance_refresh", "instance_cleanup", "instance_rollback"),
)
#: What is not run here, and why. Its options are checked all the same.
NOT_RUN = {
    "Let a user of AWS migrate the instance": "another collection, and an account of AWS",
    "Every picture of a tree that is kept in PostgreSQL is in the bucket": "needs a Gramps Web: test_gramps_web_cases.py",
    "Change over": "needs a Gramps Web: test_gramps_web_migrate.py",
    "Look at the Gramps Web": "needs a Gramps Web: test_gramps_web_instances.py",
    "Look at some pictures": "needs a Gramps Web: test_gramps_web_migrate.py",
}
#: Plays that are not run here, by the beginning of their name, and why. test_examples.py of the unit tests checks them.
PLAYS_NOT_RUN = {
    "Media of the book club": "the role on an instance: test_bookwyrm_migrate.py",
    "Media of the family": "the role on an instance: test_gramps_web_migrate.py",
    "Move all BookWyrms": "the role on several instances, of which there is one here",
    "Make the keys of a BookWyrm instance": "another collection, and an account of AWS",
}
AS_AWS = ("roles/media_bucket/README.md", "django.yml")


def tasks_of(name: str) -> list[dict[str, Any]]:
    """The tasks of a plugin's examples that are run."""
    return [task for task in of_plugins()[name].content if task["name"] not in NOT_RUN]


def plays() -> list[Example]:
    """The plays of the pages that are run."""
    return [one for one in yaml_blocks("play") if one.content[0].get("name") not in PLAYS_NOT_RUN]


@dataclass
class World:
    """What the examples speak of: a service, an instance, folders."""

    root: Path
    site: StandIn
    ceph: Server
    aws: Server
    outcomes: dict[str, tuple[int, str]] = field(default_factory=dict)

    @property
    def names(self) -> dict[str, str]:
        """What stands in the examples, and what it is here."""
        root, home = self.root, f"http://127.0.0.1:{self.site.port}"
        return {
            "https://s3.fr-par.scw.cloud": self.ceph.endpoint_url,
            "https://objects.example.org": self.ceph.endpoint_url,
            "https://example-media.s3.eu-central-1.amazonaws.com/": f"{self.aws.endpoint_url}/example-media/",
            "https://s3.eu-central-1.amazonaws.com": self.ceph.endpoint_url,
            "https://media.books.example": f"{self.ceph.endpoint_url}/books",
            "https://books.example\n": f"{home}\n",
            "host: books.example\n": "host: localhost\n",
            "http://127.0.0.1:8000/": f"{home}/",
            "user: bookwyrm\n": f"user: {getpass.getuser()}\n",
            "/opt/bookwyrm": str(self.site.folder),
            "/opt/grampsweb": str(root / "grampsweb"),
            "/var/lib/docker/volumes/gramps_gramps_db/_data": str(root / "trees"),
            "/var/lib/docker/volumes/gramps_gramps_media/_data": str(root / "family"),
            "/srv/photos": str(root / "photos"),
            "/home/mastodon/live": str(root / "mastodon"),
            "/mnt/media": str(root / "mnt"),
        }

    def here(self, text: str) -> str:
        for name, value in self.names.items():
            text = text.replace(name, value)
        return text


def make_folders(root: Path) -> None:
    """What the other applications have on their disks."""
    for name in ("photos/media/albums/a b.jpg", "photos/media/ü.png", "mnt/deep/one.bin", "mnt/two.bin"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode() * 100)
    for name in ("accounts/avatars/1.png", "media_attachments/files/2.jpg", "backups/dumps/3.zip", "imports/4.csv"):
        (root / "mastodon/public/system" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "mastodon/public/system" / name).write_bytes(name.encode() * 100)
    (root / "photos" / ".env").write_text("SECRET_KEY=secret\n")
    (root / "mastodon" / ".env.production").write_text("LOCAL_DOMAIN=social.example.org\n")
    (root / "grampsweb").mkdir()
    services = {
        name: {"image": "gramps", "environment": {"GRAMPSWEB_TREE": "Family"}}
        for name in ("grampsweb", "grampsweb_celery")
    }
    services["grampsweb"]["environment"] = {"AWS_ENDPOINT_URL": "https://old.example.org"}
    (root / "grampsweb" / "docker-compose.yml").write_text(yaml.safe_dump({"services": services}))


def make_trees(root: Path) -> None:
    """Family trees on a server, each with a folder of its own, and one on a desktop."""
    Tree(root / "trees", root / "family" / "5f3e1a2b").add("a.jpg", b"a picture")
    desktop = Tree(root / "home" / ".gramps" / "grampsdb", root / "home" / "pictures", "6a1b2c3d", "My Family Tree")
    desktop.add("b.jpg", b"another picture")
    desktop.set_media_path(str(desktop.media))


def make_instance(site: StandIn, ceph: Server) -> None:
    """The stand-in's settings are all there but USE_S3, as before the last step of a change-over; its systemctl knows other services too."""
    site.set_env(
        AWS_ACCESS_KEY_ID=ceph.access_key,
        AWS_SECRET_ACCESS_KEY=ceph.secret_key,
        AWS_STORAGE_BUCKET_NAME="books",
        AWS_S3_REGION_NAME="default",
        AWS_S3_ENDPOINT_URL=ceph.endpoint_url,
        AWS_S3_CUSTOM_DOMAIN=f"{ceph.endpoint_url.partition('://')[2]}/books",
        AWS_S3_URL_PROTOCOL="http:",
    )
    for unit in ("photos", "mastodon-web", "mastodon-sidekiq"):
        (site.folder / "systemd" / f"{unit}.service").write_text("[Service]\nExecStart=/bin/sleep 600\n")
    rules = {"AllowedOrigins": ["https://books.example.org"], "AllowedMethods": ["GET"], "AllowedHeaders": ["*"]}
    (site.folder / "cors.json").write_text(json.dumps({"CORSRules": [rules]}))


def make_buckets(world: World) -> None:
    """The buckets that an example finds there."""
    for name in ("books", "family-media", "family-example-media", "example-archive"):
        world.ceph.client().create_bucket(Bucket=name)
    client = world.aws.client()
    client.create_bucket(Bucket="example-media", CreateBucketConfiguration={"LocationConstraint": world.aws.region})
    client.put_object(Bucket="example-media", Key="static/fonts/icomoon.woff2", Body=b"a font")


def settings_of_dotenv(world: World, text: str) -> str:
    """The examples of dotenv write to a file of their own: the instance is not to be changed by them."""
    folder = world.root / "settings"
    folder.mkdir(exist_ok=True)
    for name in (".env", ".env.example"):
        (folder / name).write_bytes((world.site.folder / name).read_bytes())
    return text.replace("/opt/bookwyrm", str(folder))


def as_on_aws(task: dict[str, Any]) -> dict[str, Any]:
    """Without an endpoint a module takes the service for AWS; here an endpoint is in the environment, so AWS has to be named."""
    options = task[module_of(task)]
    if "region" in options and "endpoint_url" not in options:
        options.setdefault("provider", "aws")
    return task


def playbook_of_plugins(world: World) -> list[dict[str, Any]]:
    """One play of all examples, in an order in which one finds what another has made."""
    tasks = []
    for name in ORDER:
        text = yaml.safe_dump(tasks_of(name), allow_unicode=True, sort_keys=False, width=1000)
        text = settings_of_dotenv(world, text) if name == "dotenv" else text
        tasks += [as_on_aws({**task, "name": f"{name}: {task['name']}"}) for task in yaml.safe_load(world.here(text))]
    return [{"name": "Plugins", "hosts": "localhost", "gather_facts": False, "tasks": tasks}]


def run(world: World, name: str, content: list[Any], server: Server) -> subprocess.Popen[str]:
    """Start a playbook whose examples that name no endpoint go to a server."""
    if os.environ.get("EX_IGNORE"):
        for play in content:
            play["ignore_errors"] = True
    path, inventory = world.root / f"{name}.yml", world.root / "hosts.json"
    path.write_text(yaml.safe_dump(content, allow_unicode=True, sort_keys=False))
    keys = ("vault_s3", "vault", "bookwyrm_key_id", "gramps_key_id")
    variables = {
        **{f"{key}_access_key" if "key_id" not in key else key: world.ceph.access_key for key in keys},
        **{f"{key}_secret_key": world.ceph.secret_key for key in ("vault_s3", "vault", "bookwyrm", "gramps")},
        "secret_key": world.ceph.secret_key,
        "bookwyrm_secret": "a secret",
        "media_bucket_provider": "aws",
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "ansible_become": False,  # wins over the play's: here it is root already, or has no other user
    }
    hosts = {"localhost": {}, "photos": {}, "mastodon": {}}
    inventory.write_text(
        json.dumps(
            {"all": {"hosts": hosts, "vars": variables, "children": {"copiers": {"hosts": {"c1": {}, "c2": {}}}}}}
        )
    )
    environment = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".venv" / "collections"),
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_PIPELINING": "True",
        "AWS_ENDPOINT_URL": server.endpoint_url,
        "AWS_ACCESS_KEY_ID": server.access_key,
        "AWS_SECRET_ACCESS_KEY": server.secret_key,
        "HOME": str(world.root / "home"),
        "PATH": os.pathsep.join(
            [str(world.site.folder / "systemd"), str(Path(sys.executable).parent), os.environ["PATH"]]
        ),
    }
    command = ["ansible-playbook", str(path), "-i", str(inventory), "--diff"]
    return subprocess.Popen(
        command,
        cwd=world.root,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.fixture(scope="module")
def world(ceph: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    root = tmp_path_factory.mktemp("world")
    make_folders(root)
    make_trees(root)
    with standin(root / "bookwyrm", ceph, "books", covers=3, start=False) as site, played("aws", ceph) as aws:
        made = World(root, site, ceph, aws.server)
        make_instance(site, ceph)
        make_buckets(made)
        site.systemctl("start", "bookwyrm", "bookwyrm-worker", "photos", "mastodon-web", "mastodon-sidekiq")
        site.wait()
        pages = {
            as_aws: [
                play for one in plays() if is_as_aws(one) is as_aws for play in yaml.safe_load(made.here(one.text))
            ]
            for as_aws in (True, False)
        }
        runs = {
            "aws": run(made, "aws", [*playbook_of_plugins(made), *pages[True]], aws.server),
            "ceph": run(made, "ceph", pages[False], ceph),
        }
        for name, process in runs.items():
            output = process.communicate(timeout=600)[0]
            made.outcomes[name] = (process.returncode, output)
        yield made


def is_as_aws(example: Example) -> bool:
    return example.page in AS_AWS or example.title in AS_AWS


@pytest.mark.parametrize("name", ["aws", "ceph"])
def test_all_of_them_run(world: World, name: str) -> None:
    code, output = world.outcomes[name]
    Path(f"/tmp/ex-{name}.log").write_text(output)
    assert code == 0, output[-6000:]
