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
from ansible_collections.selfhosted.media.plugins.module_utils._dotenv.reading import read
from ansible_collections.selfhosted.media.tests.examples import (
    ROOT,
    Example,
    blocks,
    commands,
    module_of,
    of_plugins,
    yaml_blocks,
)
from ansible_collections.selfhosted.media.tests.gramps_trees import Tree
from ansible_collections.selfhosted.media.tests.playbooks import STANDIN_VENV, StandIn, fetch, standin
from ansible_collections.selfhosted.media.tests.servers import Server
from ansible_collections.selfhosted.media.tests.servers.profiles import played

pytestmark = pytest.mark.timeout(900)

#: The examples of these come first, because one finds what another has made.
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
    "Count what could be removed": "needs a Gramps Web: test_gramps_web_new.py",
}
#: Plays that are not run here, by the beginning of their name, and why. test_examples.py of the unit tests checks them.
PLAYS_NOT_RUN = {
    "Media of the book club": "the role on an instance: test_bookwyrm_migrate.py",
    "Media of the family": "the role on an instance: test_gramps_web_migrate.py",
    "Move all BookWyrms": "the role on several instances, of which there is one here: test_fleet.py",
    "Make the keys of a BookWyrm instance": "another collection, and an account of AWS",
}


def tasks_of(name: str) -> list[dict[str, Any]]:
    """The tasks of a plugin's examples that are run."""
    return [task for task in of_plugins()[name].content if task["name"] not in NOT_RUN]


def plays() -> list[Example]:
    """The plays of the pages that are run: those that do something, and are not left out."""
    found = [one for one in yaml_blocks("play") if any({"tasks", "roles"} & set(play) for play in one.content)]
    return [one for one in found if not str(one.content[0].get("name")).startswith(tuple(PLAYS_NOT_RUN))]


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
            "/srv/mastodon/system": str(root / "mastodon" / "public" / "system"),
            "https://report-media.s3.fr-par.scw.cloud": f"{self.ceph.endpoint_url}/report-media",
        }

    def here(self, text: str) -> str:
        for name, value in self.names.items():
            text = text.replace(name, value)
        return text

    def own(self, name: str, text: str) -> str:
        """Examples that are not to meet others: dotenv's write to a file of its own, what hosts share goes to a bucket of its own, and what is
        reported on lies in a public bucket."""
        if name == "dotenv":
            return text.replace("/opt/bookwyrm", str(self.root / "settings"))
        if name == "media_copy":
            return text.replace("example-media", "example-archive")
        return text.replace("example-media", "report-media") if name == "report" else text


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
    (root / "settings").mkdir()
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


#: Services of other applications, in the guide to those.
OTHER_UNITS = ("photos", "mastodon-web", "mastodon-sidekiq")


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
    for unit in OTHER_UNITS:
        (site.folder / "systemd" / f"{unit}.service").write_text("[Service]\nExecStart=/bin/sleep 600\n")
    rules = {"AllowedOrigins": ["https://books.example.org"], "AllowedMethods": ["GET"], "AllowedHeaders": ["*"]}
    for name in (".env", ".env.example"):
        (site.folder.parent / "settings" / name).write_bytes((site.folder / name).read_bytes())
    (site.folder / "cors.json").write_text(json.dumps({"CORSRules": [rules]}))


def make_buckets(world: World) -> None:
    """The buckets that an example finds there."""
    for name in ("books", "family-media", "family-example-media", "example-archive"):
        world.ceph.client().create_bucket(Bucket=name)
    everybody = {
        "Effect": "Allow",
        "Principal": "*",
        "Action": "s3:GetObject",
        "Resource": "arn:aws:s3:::report-media/*",
    }
    world.ceph.client().create_bucket(Bucket="report-media")
    world.ceph.client().put_bucket_policy(
        Bucket="report-media", Policy=json.dumps({"Version": "2012-10-17", "Statement": [everybody]})
    )
    client = world.aws.client()
    client.create_bucket(Bucket="example-media", CreateBucketConfiguration={"LocationConstraint": world.aws.region})
    client.put_object(Bucket="example-media", Key="static/fonts/icomoon.woff2", Body=b"a font")


def as_on_aws(task: dict[str, Any]) -> dict[str, Any]:
    """Without an endpoint a module takes the service for AWS; here an endpoint is in the environment, so AWS has to be named."""
    options = task[module_of(task)]
    if "region" in options and "endpoint_url" not in options:
        options.setdefault("provider", "aws")
    return task


def playbook_of_plugins(world: World) -> list[dict[str, Any]]:
    """One play of all examples."""
    tasks = []
    for name in (*ORDER, *(one for one in of_plugins() if one not in ORDER)):
        text = world.own(name, yaml.safe_dump(tasks_of(name), allow_unicode=True, sort_keys=False, width=1000))
        tasks += [as_on_aws({**task, "name": f"{name}: {task['name']}"}) for task in yaml.safe_load(world.here(text))]
    return [{"name": "Plugins", "hosts": "localhost", "gather_facts": False, "tasks": tasks}]


def playbook_of_pages(world: World, is_aws: bool) -> list[dict[str, Any]]:
    """The plays of pages whose service is AWS, or the others'; those of the guide to other applications twice."""
    found = []
    for example in plays():
        if ("eu-central-1" in example.text) is is_aws:
            page = Path(example.page)
            name = page.parent.name if page.stem == "README" else page.stem
            content = yaml.safe_load(world.here(world.own(name, example.text)))
            found += content
            if example.page.endswith("other_applications.rst"):
                found += [{**one, "name": f"{one['name']}, again"} for one in content]
    return found


def run(world: World, name: str, content: list[Any], server: Server) -> subprocess.Popen[str]:
    """Start a playbook whose examples that name no endpoint go to a server."""
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
    hosts: dict[str, Any] = {"localhost": {}, "photos": {}, "mastodon": {}}
    inventory.write_text(
        json.dumps(
            {
                "all": {
                    "hosts": hosts,
                    "vars": variables,
                    "children": {"storage_clients": {"hosts": {"c1": {}, "c2": {}}}},
                }
            }
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
        try:
            site.systemctl("start", "bookwyrm", "bookwyrm-worker", *OTHER_UNITS)
            site.wait()
            runs = {
                "aws": run(made, "aws", [*playbook_of_plugins(made), *playbook_of_pages(made, True)], aws.server),
                "ceph": run(made, "ceph", playbook_of_pages(made, False), ceph),
            }
            for name, process in runs.items():
                output = process.communicate(timeout=600)[0]
                made.outcomes[name] = (process.returncode, output)
            yield made
        finally:
            site.systemctl("stop", *OTHER_UNITS)


@pytest.mark.parametrize("name", ["aws", "ceph"])
def test_all_of_them_run(world: World, name: str) -> None:
    code, output = world.outcomes[name]
    assert code == 0, output[-6000:]
    first, again, second = output.partition(", again]")
    assert again and "skipping: no hosts matched" not in first
    assert "changed: [" not in second.partition("\nPLAY ")[0]


def test_none_is_forgotten() -> None:
    assert set(ORDER) <= set(of_plugins())
    named = {task["name"] for one in of_plugins().values() for task in one.content}
    assert set(NOT_RUN) <= named
    titles = [one.content[0].get("name", "") for one in yaml_blocks("play")]
    assert set(PLAYS_NOT_RUN) <= set(titles)
    assert {"django.yml", "mastodon.yml", "look_at_provider.yml"} <= {one.title for one in plays()}


def test_those_that_are_not_run_give_what_the_modules_take() -> None:
    tasks = [task for one in of_plugins().values() for task in one.content if task["name"] in NOT_RUN]
    ours = [task for task in tasks if module_of(task).startswith("selfhosted.media.")]
    names = sorted({module_of(task) for task in ours})
    done = subprocess.run(
        ["ansible-doc", "--json", *names], check=True, capture_output=True, text=True, env=environment_of_ansible()
    )
    documented = json.loads(done.stdout)
    for task in ours:
        name = module_of(task)
        result = ArgumentSpecValidator(spec_of(documented[name]["doc"]["options"])).validate(task[name])
        assert result.error_messages == [], task["name"]


def spec_of(options: dict[str, Any]) -> dict[str, Any]:
    """The argument spec that a module's documentation tells."""
    kept = ("type", "required", "default", "choices", "elements", "aliases")
    return {name: {key: option[key] for key in kept if key in option} for name, option in options.items()}


# -- what the two applications of the guide have got --


def test_the_django_site_finds_its_media(world: World) -> None:
    """The guide's own settings.py, in the environment that has Django and django-storages, with the .env that the playbook has written."""
    (settings,) = [one for one in blocks() if one.language == "python"]
    folder = world.root / "photos"
    (folder / "settings.py").write_text(world.here(settings.text) + 'SECRET_KEY = "x"\n')
    ask = (
        "import django; django.setup()\n"
        "from django.core.files.storage import default_storage as media\n"
        "print(media.url('albums/a b.jpg'), media.open('ü.png').read() == open('media/ü.png', 'rb').read(), media.exists('none.jpg'))"
    )
    done = subprocess.run(
        [str(STANDIN_VENV / "bin" / "python"), "-c", ask],
        cwd=folder,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "settings"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    url = "https://photos-example-media.s3.eu-central-1.amazonaws.com/media/albums/a%20b.jpg"
    assert done.stdout.split() == [url, "True", "False"]
    assert fetch(f"{world.aws.endpoint_url}/photos-example-media/media/%C3%BC.png").status == 200
    assert "SECRET_KEY=secret\n" in (folder / ".env").read_text()


def test_mastodon_s_media_are_public_and_its_archives_are_not(world: World) -> None:
    bucket = f"{world.ceph.endpoint_url}/social-example-media"
    assert fetch(f"{bucket}/accounts/avatars/1.png").headers["cache-control"] == "public, max-age=315576000, immutable"
    assert fetch(f"{bucket}/media_attachments/files/2.jpg").status == 200
    keys = {item["Key"] for item in world.ceph.client().list_objects_v2(Bucket="social-example-media")["Contents"]}
    private = {"backups/dumps/3.zip", "imports/4.csv"}
    assert private < keys
    assert {fetch(f"{bucket}/{key}").status for key in private} == {403}
    settings = read((world.root / "mastodon" / ".env.production").read_bytes())
    assert settings["LOCAL_DOMAIN"] == "social.example.org"
    assert settings["S3_ENABLED"] == "true"
    assert settings["AWS_SECRET_ACCESS_KEY"] == world.ceph.secret_key
    assert world.site.systemctl("is-active", "mastodon-web", "photos").split() == ["active", "active"]


def test_a_provider_s_report_says_what_was_found(world: World) -> None:
    report = world.outcomes["ceph"][1].rpartition("What to report")[2]
    assert "published by acl" in report
    assert "no check failed" in report or "all checks passed" in report
    assert world.ceph.secret_key not in report


# -- commands that are not of playbooks --


def environment_of_ansible() -> dict[str, str]:
    return {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".venv" / "collections"), "ANSIBLE_NOCOLOR": "1"}


def test_the_desktop_s_tree_goes_into_the_bucket(world: World) -> None:
    """The guide's own line."""
    (line,) = [one for _example, one in commands() if one.startswith("ansible localhost")]
    environment = {
        **environment_of_ansible(),
        "HOME": str(world.root / "home"),
        "AWS_ENDPOINT_URL": world.ceph.endpoint_url,
        "AWS_ACCESS_KEY_ID": world.ceph.access_key,
        "AWS_SECRET_ACCESS_KEY": world.ceph.secret_key,
    }
    done = subprocess.run(
        [*shlex.split(line), "-e", f"ansible_python_interpreter={sys.executable}"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(world.ceph.client().list_objects_v2(Bucket="family-example-media")["Contents"]) == 1


def test_a_fleet_s_variables_and_vault(tmp_path: Path) -> None:
    """Each host has a bucket of its own name and the keys of the encrypted file."""
    inventory, vault = (
        next(one for one in yaml_blocks(kind) if one.page.endswith("fleet.rst")) for kind in ("inventory", "variables")
    )
    for one in (inventory, vault):
        (tmp_path / one.title).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / one.title).write_text(one.text)
    (tmp_path / "password").write_text("a password\n")
    environment = {**environment_of_ansible(), "ANSIBLE_VAULT_PASSWORD_FILE": str(tmp_path / "password")}
    (encrypt,) = [one for _example, one in commands() if one.startswith("ansible-vault")]
    subprocess.run(shlex.split(encrypt), cwd=tmp_path, env=environment, check=True, capture_output=True)
    assert (tmp_path / vault.title).read_text().startswith("$ANSIBLE_VAULT")
    shown = "{{ bookwyrm_s3_bucket | default(gramps_web_s3_bucket) }} {{ bookwyrm_s3_access_key | default(gramps_web_s3_access_key) }}"
    done = subprocess.run(
        ["ansible", "all", "-i", "inventory.yml", "-m", "ansible.builtin.debug", "-a", json.dumps({"msg": shown})],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "readers-example-net-media AKIAEXAMPLEREADERS" in done.stdout
    assert "club-b-media AKIAEXAMPLECLUBB" in done.stdout
    assert "family-example-org-family AKIAEXAMPLEFAMILY" in done.stdout
