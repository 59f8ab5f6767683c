# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real Gramps Web whose media, settings or service are not as they should be: what stops, what is undone, what goes through."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import pytest
from ansible_collections.selfhosted.media.tests.grampsweb import GrampsUnavailable
from ansible_collections.selfhosted.media.tests.grampsweb.addon import Expected, addon_objects
from ansible_collections.selfhosted.media.tests.grampsweb.api import Api, Served, served
from ansible_collections.selfhosted.media.tests.grampsweb.instance import GUEST, PASSWORD, Instance, instance
from ansible_collections.selfhosted.media.tests.grampsweb.trees import Plan, change_row, md5, picture
from ansible_collections.selfhosted.media.tests.playbooks import ROOT
from ansible_collections.selfhosted.media.tests.run_module import run_module
from ansible_collections.selfhosted.media.tests.servers import Server, free_port


@contextlib.contextmanager
def gramps_web(folder: Path, *plans: Plan, server: Server, bucket: str, **options: Any) -> Iterator[Instance]:
    """An instance that the playbooks know; the test is skipped where Gramps Web cannot run."""
    try:
        with instance(folder / "web", *plans, server=server, bucket=bucket, **options) as web:
            web.variables.update(gramps_web_dir=str(web.folder), gramps_web_health_timeout=30)
            yield web
    except GrampsUnavailable as exc:
        pytest.skip(str(exc))


def shown(api: Api) -> dict[str, Served]:
    """What users see; what they do not see is answered with other words from a bucket."""
    return {handle: one for handle, one in served(api).items() if one.status == 200}


def buckets(server: Server) -> list[str]:
    return [one["Name"] for one in server.client().list_buckets()["Buckets"]]


def test_broken_pictures_stop_it_first_and_go_through_when_they_are_allowed(
    tmp_path: Path, ceph: Server, bucket_name: str
) -> None:
    cases = ("missing", "mismatch", "empty_checksum", "no_mime", "absolute_outside", "leaves_base")
    plan = Plan("Großeltern", clean=3, cases=cases, unlisted=1)
    with gramps_web(tmp_path, plan, server=ceph, bucket=bucket_name) as web:
        api, settings = web.login(), web.env_file.read_bytes()
        before = served(api)
        stopped = web.play("gramps_web_migrate")
        assert (stopped.code, stopped.changed) == (2, 0), stopped.output
        assert "would be broken pictures on S3, so nothing was changed" in stopped.message
        for row in web.tree.case("missing", "mismatch", "empty_checksum"):
            assert f"{row.gramps_id} ({row.path})" in stopped.message
        assert bucket_name not in buckets(ceph)
        assert (web.env_file.read_bytes(), served(api)) == (settings, before)

        (row,) = web.tree.case("empty_checksum")
        change_row(web.grampsdb, web.tree.id, row.handle, checksum=md5(row.content or b""))
        login = {"gramps_web_user": "owner", "gramps_web_password": PASSWORD}
        done = web.play(
            "gramps_web_migrate", gramps_web_on_mismatch="store_as_recorded", gramps_web_missing_allowed=True, **login
        )
        assert done.code == 0, done.message or done.output[-3000:]
        assert shown(web.login()) == {handle: one for handle, one in before.items() if one.status == 200}


def processes(web: Instance) -> list[dict[str, str]]:
    """What the main process of each unit has in its environment."""
    pids = [web.systemctl("show", "-p", "MainPID", "--value", unit).strip() for unit in web.units]
    entries = [Path(f"/proc/{pid}/environ").read_text().split("\0") for pid in pids]
    return [dict(entry.split("=", 1) for entry in each if "=" in entry) for each in entries]


def objects(server: Server, bucket: str) -> dict[str, Expected]:
    """Size and content type of each object by its key."""
    s3 = server.client()
    found = {}
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for one in page.get("Contents", []):
            head = s3.head_object(Bucket=bucket, Key=one["Key"])
            found[one["Key"]] = Expected(one["Size"], head["ContentType"])
    return found


def test_several_trees_with_a_worker_there_and_back(tmp_path: Path, ceph: Server, bucket_name: str) -> None:
    """The bucket holds what the addon would make of each tree, below the prefix and the tree's id."""
    plans = [Plan("Eins", clean=4), Plan("Zwei", clean=2, cases=("absolute_outside", "upper_case", "leaves_base"))]
    with gramps_web(tmp_path, *plans, server=ceph, bucket=bucket_name, multi=True, celery=True) as web:
        web.variables["gramps_web_s3_prefix"] = "/family/"
        settings = web.env_file.read_bytes()
        before = [shown(web.login(tree)) for tree in web.trees]
        owner, mode = (4711, 4712), 0o750
        for tree in web.trees:
            os.chown(web.media(tree), *owner)
            web.media(tree).chmod(mode)
        done = web.play("gramps_web_migrate")
        assert done.code == 0, done.message or done.output[-3000:]
        assert "7 of 9 media objects looked at as a user came" in done.output
        assert [shown(web.login(tree)) for tree in web.trees] == before
        expected = {
            f"family/{tree.id}/{key}": one
            for tree in web.trees
            for key, one in addon_objects(tree).items()
            if key not in {row.checksum for row in tree.case("absolute_outside", "leaves_base")}
        }
        expected.update(
            {
                f"family/{web.trees[1].id}/{row.checksum}": Expected(len(row.content or b""), row.mime)
                for row in web.trees[1].case("upper_case")
            }
        )
        assert objects(ceph, bucket_name) == expected
        written = {name: value for name, value in web.env.items() if name.startswith("AWS_") or "MEDIA_BASE" in name}
        assert written["GRAMPSWEB_MEDIA_BASE_DIR"] == f"s3://{bucket_name}/family"
        for environment in processes(web):
            assert {name: environment.get(name) for name in written} == written

        # The Web Sync addon: a new object with its file, and a file for an object that has none.
        content, lost = picture("png", 77), web.tree.rows[0]
        new = web.login().upload(content, "image/png")
        ceph.client().delete_object(Bucket=bucket_name, Key=f"family/{web.tree.id}/{lost.checksum}")
        (web.media() / lost.path).unlink()
        assert web.login().upload_missing(lost.handle, lost.content or b"", lost.mime).status == 200
        stored = objects(ceph, bucket_name)
        assert stored[f"family/{web.tree.id}/{md5(content)}"] == (len(content), "image/png")
        # A picture that was changed on a desktop under its old name.
        changed, newer = web.tree.rows[1], picture("png", 78)
        change_row(web.grampsdb, web.tree.id, changed.handle, checksum=md5(newer))
        assert web.login().upload_missing(changed.handle, newer, "image/png").status == 200
        stored = objects(ceph, bucket_name)
        assert stored.keys() == {*expected, *(f"family/{web.tree.id}/{md5(one)}" for one in (content, newer))}

        back = web.play("gramps_web_rollback")
        assert back.code == 0, back.message or back.output[-3000:]
        (looked,) = back.results("Look at some media as a user does")
        assert (looked["looked"], looked["right"]) == (10, 7)  # two outside the folder, and the changed one
        assert (
            "1 files on the disk are not the ones that the database records, and were left as they are" in back.output
        )
        assert f"{changed.gramps_id} ({changed.path})" in back.output.partition(": Summary]")[2]
        assert web.env_file.read_bytes() == settings
        assert [{one: shown(web.login(tree))[one] for one in old} for tree, old in zip(web.trees, before)] == before
        assert web.login().file(new["handle"])[:2] == (200, content)
        for path in (web.media() / new["path"], web.media() / lost.path):
            status = path.stat()
            assert (status.st_uid, status.st_gid, status.st_mode & 0o777) == (*owner, 0o640), path


#: Uploads a file through the API of a Gramps Web; what it is told is left beside the file.
UPLOAD = """
import json, sys
from pathlib import Path
from ansible_collections.selfhosted.media.tests.grampsweb.api import Api
file = Path(sys.argv[1])
file.with_suffix(".json").write_text(json.dumps(Api.login(*sys.argv[2:5]).upload(file.read_bytes(), "image/png")))
"""


@dataclass
class Site:
    """An instance that is changed over by the module alone, which is quicker than by the playbook."""

    web: Instance
    server: Server
    bucket: str

    def change(self, to: str, values: Optional[dict[str, str]] = None, **options: Any) -> dict[str, Any]:
        server = self.server
        given = {
            "GRAMPSWEB_MEDIA_BASE_DIR": f"s3://{self.bucket}",
            "AWS_DEFAULT_REGION": "default",
            "AWS_ENDPOINT_URL": server.endpoint_url,
            **(values or {}),
        }
        keys = {"AWS_ACCESS_KEY_ID": server.access_key, "AWS_SECRET_ACCESS_KEY": server.secret_key}
        result = run_module(
            "gramps_change",
            {
                **server.options,
                "to": to,
                "dir": str(self.web.folder),
                "install_type": "systemd",
                "grampsdb": str(self.web.grampsdb),
                "media_dir": str(self.web.media_dir),
                "bucket": self.bucket,
                "values": given,
                "secret_values": keys,
                "health_timeout": 10,
                **options,
            },
        )
        assert server.secret_key not in str(result)
        return result

    def uploads(self, number: int) -> str:
        """A command that uploads a picture through the API."""
        file = self.web.folder / f"{number}.png"
        file.write_bytes(picture("png", 100 + number))
        words = [sys.executable, "-c", UPLOAD, str(file), self.web.url, "owner", PASSWORD]
        return f"PYTHONPATH={shlex.quote(str(ROOT / '.venv' / 'collections'))} {shlex.join(words)}"

    def uploaded(self, number: int) -> tuple[dict[str, Any], bytes]:
        """What was recorded, and the picture."""
        return json.loads((self.web.folder / f"{number}.json").read_text()), picture("png", 100 + number)

    def ready(self) -> str:
        """A command that ends when the site answers."""
        return f"until curl -sf {self.web.url}/ready >/dev/null; do sleep 0.1; done"


@contextlib.contextmanager
def health(web: Instance, unwanted: str) -> Iterator[str]:
    """A URL that says that the site is ready, but never with a setting that holds this text."""

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            is_ready = unwanted not in web.env["GRAMPSWEB_MEDIA_BASE_DIR"] and web.ready()
            self.send_response(200 if is_ready else 503)
            self.end_headers()

        def log_message(self, *_words: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/ready"
        finally:
            server.shutdown()


@pytest.fixture
def site(tmp_path: Path, ceph: Server, ceph_bucket: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    with gramps_web(tmp_path, Plan("Meyer", clean=3, cases=("private",)), server=ceph, bucket=ceph_bucket) as web:
        monkeypatch.setenv("PATH", f"{web.environment['PATH']}:{os.environ['PATH']}")
        yield Site(web, ceph, ceph_bucket)


START = "systemctl start grampsweb"
STOP = "systemctl stop grampsweb"


def test_a_change_that_fails_ends_where_it_began_with_every_upload(site: Site) -> None:
    web, bucket = site.web, site.bucket
    settings, before = web.env_file.read_bytes(), served(web.login())

    def is_on_disk(result: dict[str, Any], step: str, cause: str, *numbers: int) -> None:
        assert re.fullmatch(
            rf"{step} failed, so the change-over was undone\. [^\n]*{cause}[^\n]*\. The settings of before are in effect and the "
            r"site answers from its disk again\. What was copied stays where it is; when the cause is mended, run again: .*",
            result["msg"],
        ), result["msg"]
        assert web.env_file.read_bytes() == settings
        assert not list(web.folder.glob("gramps.env.*"))
        api = web.login()
        now = served(api)
        assert {handle: now[handle] for handle in before} == before
        for number in numbers:
            row, content = site.uploaded(number)
            assert (web.media() / row["path"]).read_bytes() == content
            assert api.file(row["handle"])[::3] == (200, None)

    failed = site.change("s3", start_command=f"if grep -q s3:// gramps.env; then echo no bus >&2; exit 3; fi; {START}")
    is_on_disk(failed, "Starting the services", "no bus")
    failed = site.change("s3", {"PYTHONHOME": "/nowhere"})
    is_on_disk(failed, "Waiting for the front page", "the service has ended by itself; its log tells why")
    start = f"{START}; {site.ready()}; if grep -q s3:// gramps.env; then {site.uploads(2)}; fi"
    with health(web, "s3://") as url:
        failed = site.change(
            "s3", health_url=url, stop_command=f"test -e 1.json || {site.uploads(1)}; {STOP}", start_command=start
        )
    is_on_disk(failed, "Waiting for the front page", "answers 503", 1, 2)
    assert {md5(site.uploaded(number)[1]) for number in (1, 2)} <= objects(site.server, bucket).keys()

    done = site.change("s3", stop_command=f"{site.uploads(3)}; {STOP}")
    assert (done.get("failed"), done["uploaded"]) == (None, 1), done.get("msg")
    on_s3, shown_on_s3 = web.env_file.read_bytes(), served(web.login())
    row = web.login().upload(picture("png", 104), "image/png")
    shown_on_s3[row["handle"]] = served(web.login())[row["handle"]]

    # It has run on S3: nothing that fails takes it from there but a rollback.
    failed = site.change("s3", {"PYTHONHOME": "/nowhere"})
    assert "The settings of before are in effect and the site answers again." in failed["msg"]
    assert (web.env_file.read_bytes(), served(web.login())) == (on_s3, shown_on_s3)

    failed = site.change("disk", start_command=f"if ! grep -q s3:// gramps.env; then exit 4; fi; {START}")
    assert "Starting the services failed, so the rollback was undone." in failed["msg"]
    assert "The settings of before are in effect and the site answers from S3 again." in failed["msg"]
    assert (web.env_file.read_bytes(), served(web.login())) == (on_s3, shown_on_s3)
    start = f"{START}; {site.ready()}; if ! grep -q s3:// gramps.env; then {site.uploads(5)}; fi"
    with health(web, str(web.folder)) as url:
        failed = site.change("disk", health_url=url, start_command=start)
    assert "Waiting for the front page failed, so the rollback was undone." in failed["msg"]
    assert "answers from S3 again" in failed["msg"]
    assert web.env_file.read_bytes() == on_s3
    row, content = site.uploaded(5)
    answer = web.login().file(row["handle"])
    assert (answer.status, answer.body) == (200, content) and bucket in (answer.redirected_to or "")

    done = site.change("disk")
    assert not done.get("failed"), done.get("msg")
    assert web.env_file.read_bytes() == settings
    now = served(web.login())
    assert {handle: now[handle] for handle in shown_on_s3} == shown_on_s3


def stopped_unit(web: Instance, folder: Path, **settings: str) -> dict[str, str]:
    """Another Gramps Web in a unit that does not run, with other settings than the first; the role's variables for it."""
    folder.mkdir()
    lines = (f'{name}="{value}"' for name, value in {**web.env, **settings}.items())
    (folder / "settings.env").write_text("\n".join(lines) + "\n")
    unit = (web.folder / "systemd" / "grampsweb.service").read_text()
    unit = unit.replace(str(web.env_file), f"{folder}/settings.env").replace(f"={web.folder}\n", f"={folder}\n")
    (web.folder / "systemd" / f"{folder.name}.service").write_text(unit)
    return {"gramps_web_dir": str(folder)}


def bare_python(folder: Path) -> str:
    """A Python that has nothing installed."""
    subprocess.run(["/usr/bin/python3", "-m", "venv", "--without-pip", str(folder / "bare")], check=True)
    return str(folder / "bare" / "bin" / "python")


def refusals(web: Instance, inputs: dict[str, dict[str, Any]]) -> tuple[dict[str, str], str]:
    """What each host of one run is told at its end, by its name, and all that was printed."""
    command, environment = web.command("gramps_web_migrate", "-v", "--diff")
    path = Path(command[command.index("-i") + 1])
    ((common,),) = [[group["hosts"]["books"] for group in json.loads(path.read_text()).values()]]
    hosts = {name: {**common, **variables} for name, variables in inputs.items()}
    path.write_text(json.dumps({"gramps_web": {"hosts": hosts}}))
    done = subprocess.run(
        command, env=environment, cwd=path.parent, capture_output=True, text=True, timeout=300, check=False
    )
    output = done.stdout + done.stderr
    assert not [mark for mark in web.marks if mark in output]
    found = re.finditer(r"^fatal: \[(\w+)\]: FAILED! => (?=\{)", output, re.MULTILINE)
    assert "changed=0" in output and not re.search(r"changed=[1-9]", output.partition("PLAY RECAP")[2]), output[-2000:]
    decoder = json.JSONDecoder()
    return {one[1]: decoder.raw_decode(output, one.end())[0]["msg"] for one in found}, output


def test_bad_input_has_a_sentence_of_its_own_and_changes_nothing(
    tmp_path: Path, ceph: Server, bucket_name: str
) -> None:
    with gramps_web(tmp_path, Plan("Meyer", clean=2), server=ceph, bucket=bucket_name, start=False) as web:
        (tmp_path / "empty").mkdir()
        elsewhere = {"GRAMPSWEB_MEDIA_BASE_DIR": "s3://older/family"}
        inputs: dict[str, dict[str, Any]] = {
            "tree": {"gramps_web_trees": ["Nobody"]},
            "unmounted": {"gramps_web_media_dir": str(tmp_path / "empty")},
            "media": {
                "gramps_web_media_dir": str(tmp_path / "none"),
                "gramps_web_site_url": "https://family.example.org",
            },
            "databases": {"gramps_web_grampsdb": "/nowhere"},
            "folder": {"gramps_web_dir": "/nowhere", "gramps_web_install_type": "systemd"},
            "key": {"gramps_web_s3_secret_key": "wrong"},
            "nokey": {"gramps_web_s3_secret_key": ""},
            "endpoint": {"gramps_web_s3_endpoint_url": f"http://127.0.0.1:{free_port()}"},
            "nobucket": {"gramps_web_s3_bucket": ""},
            "badbucket": {"gramps_web_s3_bucket": "Familie Meyer"},
            "provider": {"gramps_web_s3_provider": "nobody"},
            "elsewhere": stopped_unit(web, tmp_path / "elsewhere", **elsewhere),
            "truthy": stopped_unit(web, tmp_path / "truthy", GRAMPSWEB_MEDIA_PREFIX_TREE="False"),
            "bare": {"ansible_python_interpreter": bare_python(tmp_path)},
        }
        before = {
            path: path.read_bytes() for path in web.folder.rglob("*") if path.is_file() and ".run" not in path.parts
        }
        told, output = refusals(web, inputs)
        sentences = {
            "tree": f"holds no family tree Nobody; there is Meyer ({web.tree.id})",
            "unmounted": f"{tmp_path}/empty is empty, and the database tells of media: is it mounted? Nothing was changed",
            "media": f"{tmp_path}/none does not exist",
            "databases": "grampsdb: /nowhere is not a folder",
            "folder": "gramps_web_dir /nowhere is not a folder on this host",
            "key": "the secret key does not fit the access key",
            "nokey": "There are no S3 keys; set gramps_web_s3_access_key and gramps_web_s3_secret_key (from a vault).",
            "endpoint": inputs["endpoint"]["gramps_web_s3_endpoint_url"],
            "nobucket": "There is no bucket's name; set gramps_web_s3_bucket.",
            "badbucket": "bucket name 'Familie Meyer': S3 wants lower-case letters",
            "provider": "nobody",
            "elsewhere": "but the instance has its media in s3://older/family, and what was uploaded since exists only there",
            "truthy": f"{web.media_dir}/{web.tree.id} does not exist",
            "bare": "The modules need boto3 1.20 or newer (it is not installed)",
        }
        for name, message in told.items():
            print(f"{name}: {message}")
        assert told.keys() == sentences.keys()
        for name, sentence in sentences.items():
            assert sentence in told[name], f"{name}: {told[name]}"
        assert "the site is https and the pictures would come by http" in output
        assert "GRAMPSWEB_MEDIA_PREFIX_TREE is written False, which Gramps Web takes for true" in output
        assert {path: path.read_bytes() for path in before} == before
        assert bucket_name not in buckets(ceph)


def test_databases_that_only_the_web_api_can_read(site: Site) -> None:
    """As with PostgreSQL: the list comes from the Web API, and what was uploaded just before the stop follows after the start."""
    web = site.web
    (web.grampsdb / "notes").mkdir()
    way: dict[str, Any] = {"grampsdb": str(web.grampsdb / "notes"), "url": web.url, "password": PASSWORD}
    common = {**site.server.options, **way, "media_dir": str(web.media_dir), "bucket": site.bucket}
    web.add_user("guest", GUEST)
    refused = run_module("gramps_media", {**common, "user": "guest"})
    assert "user guest of" in refused["msg"] and "may not see private media" in refused["msg"]
    refused = run_module("gramps_media", {**common, "user": "owner", "trees": ["*"]})
    assert "the Web API tells of one family tree, that of user owner, and several are wanted" in refused["msg"]
    assert objects(site.server, site.bucket) == {}

    before = served(web.login())
    done = site.change("s3", **way, user="owner", stop_command=f"{site.uploads(1)}; {STOP}")
    assert (done.get("failed"), done["uploaded"]) == (None, len(web.tree.rows) + 1), done.get("msg")
    row, content = site.uploaded(1)
    after = served(web.login())
    assert after.pop(row["handle"]).status == 200
    assert after == before
    assert len(objects(site.server, site.bucket)) == len({row.checksum for row in web.tree.rows}) + 1

    done = site.change("disk", **way, user="owner", stop_command=f"{site.uploads(2)}; {STOP}")
    assert (done.get("failed"), done["downloaded"]) == (None, 1), done.get("msg")
    row, content = site.uploaded(2)
    assert web.login().file(row["handle"])[:2] == (200, content)


def test_an_instance_that_was_put_on_s3_by_hand_is_adopted(site: Site) -> None:
    """Nothing tells where its media would lie on the disk: everything but the way back goes without."""
    web = site.web
    assert not site.change("s3").get("failed")
    before = served(web.login())
    (web.folder / "gramps.env.before-s3").unlink()
    shutil.rmtree(web.media_dir)
    adopted = web.play("gramps_web_migrate", gramps_web_s3_region="elsewhere")
    assert adopted.code == 0, adopted.message or adopted.output[-3000:]
    assert web.env["AWS_DEFAULT_REGION"] == "elsewhere"
    assert served(web.login()) == before
    settings = web.env_file.read_bytes()
    refused = web.play("gramps_web_rollback", gramps_web_s3_region="elsewhere")
    assert "nothing tells where its media shall lie on this host; set gramps_web_media_dir" in refused.message
    assert (refused.changed, web.env_file.read_bytes()) == (0, settings)
    web.media_dir.mkdir()
    back = site.change("disk", media_base=str(web.media_dir))
    assert (back.get("failed"), back["downloaded"]) == (None, len(web.tree.rows)), back.get("msg")
    assert served(web.login()) == before
