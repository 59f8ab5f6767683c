# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stand-in does what the tests of the collection rely on.

Needs a virtualenv with requirements.txt (this one, or the one named by $STANDIN_VENV) and moto[server] in either.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from make_instance import Instance

VENV = Path(os.environ.get("STANDIN_VENV") or sys.prefix)
if "STANDIN_VENV" not in os.environ and not importlib.util.find_spec("django"):
    pytest.skip("set STANDIN_VENV to a virtualenv with tests/standin/requirements.txt", allow_module_level=True)

S3 = {
    "USE_S3": "true",
    "AWS_ACCESS_KEY_ID": "key",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_STORAGE_BUCKET_NAME": "media",
    "AWS_S3_REGION_NAME": "us-east-1",
    "AWS_S3_URL_PROTOCOL": "http:",
}
LOOK = """
from django.test import Client
page = Client(raise_request_exception=False).get("/")
print(page.status_code, page.headers.get("Content-Security-Policy"))
print(page.content.decode())
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(check: Callable[[], Any], seconds: float = 15) -> Any:
    """The first true answer."""
    end = time.monotonic() + seconds
    while True:
        try:
            if answer := check():
                return answer
        except OSError:
            pass
        assert time.monotonic() < end, "nothing came in time"
        time.sleep(0.1)


def get(url: str, data: bytes | None = None) -> tuple[int, dict[str, str], bytes]:
    """Status, headers in lower case and body; an error status is an answer too."""
    try:
        with urllib.request.urlopen(url, data, timeout=10) as answer:
            return answer.status, {k.lower(): v for k, v in answer.headers.items()}, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, {k.lower(): v for k, v in error.headers.items()}, error.read()


def policy(page: str) -> dict[str, list[str]]:
    """The Content-Security-Policy in what LOOK printed; its directives come in any order."""
    header = next(line for line in page.splitlines() if line.startswith("200 ")).removeprefix("200 ")
    return {part.split()[0]: part.split()[1:] for part in header.split("; ")}


class Site:
    """An instance and its units."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.folder = folder
        self.instance = Instance(folder, venv=VENV, **options)
        self.made = self.instance.make()
        self.url = f"http://127.0.0.1:{self.instance.port}"

    def systemctl(self, *args: str) -> tuple[int, str]:
        command = [sys.executable, str(self.folder / "systemd/systemctl"), *args]
        run = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
        return run.returncode, run.stdout.strip()

    def start(self, *names: str) -> None:
        assert self.systemctl("start", *names)[0] == 0

    def stop(self) -> None:
        self.systemctl("stop", "bookwyrm", "bookwyrm-worker", "bookwyrm-scheduler", "redis")

    def manage(self, *args: str, check: bool = True, **environment: str) -> str:
        env = {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1", **environment}
        command = [str(VENV / "bin/python"), "manage.py", *args]
        run = subprocess.run(
            command, check=False, cwd=self.folder, env=env, stdout=-1, stderr=-1, text=True, timeout=60
        )
        assert run.returncode == 0 or not check, run.stderr
        return run.stdout if run.returncode == 0 else run.stderr

    def upload(self, name: str, data: bytes) -> dict[str, Any]:
        status, _headers, body = get(f"{self.url}/upload?name={urllib.parse.quote(name)}", data)
        assert status == 200, body
        return json.loads(body)

    @property
    def cover(self) -> bytes:
        return sorted(self.folder.glob("images/covers/*"))[0].read_bytes()

    def set_env(self, **values: str) -> None:
        path = self.folder / ".env"
        path.write_text(path.read_text() + "\n" + "\n".join(f"{k}={v}" for k, v in values.items()))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    port = free_port()
    options = {"domain": f"127.0.0.1:{port}", "port": port, "redis_port": free_port(), "covers": 17}
    site = Site(tmp_path_factory.mktemp("standin") / "bookwyrm", **options)
    try:
        site.start("redis", "bookwyrm-worker", "bookwyrm-scheduler", "bookwyrm")
        wait_for(lambda: get(site.url)[0] == 200)
        yield site
    finally:
        site.stop()


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A client of a moto server with the bucket."""
    boto3 = pytest.importorskip("boto3")
    python = sys.executable if importlib.util.find_spec("moto") else str(VENV / "bin/python")
    port = free_port()
    with (tmp_path_factory.mktemp("moto") / "log").open("w") as log:
        server = subprocess.Popen([python, "-m", "moto.server", "-p", str(port)], stdout=log, stderr=log)
    try:
        wait_for(lambda: get(f"http://127.0.0.1:{port}/moto-api/")[0] == 200)
        keys = {"aws_access_key_id": "key", "aws_secret_access_key": "secret", "region_name": "us-east-1"}
        client = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{port}", **keys)
        client.create_bucket(Bucket="media")
        yield client
    finally:
        server.terminate()
        server.wait()


@pytest.fixture(scope="module")
def s3_env(s3: Any) -> dict[str, str]:
    endpoint = s3.meta.endpoint_url
    return {**S3, "AWS_S3_ENDPOINT_URL": endpoint, "AWS_S3_CUSTOM_DOMAIN": endpoint[7:] + "/media"}


@pytest.fixture(scope="module", params=["0.7.0", "0.0.1"])
def old(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, site: Site) -> Site:
    options = {"release": request.param, "covers": 3, "redis_port": site.instance.redis_port}
    return Site(tmp_path_factory.mktemp("old") / "bookwyrm", domain="books.example", **options)


# on disk


def test_made(site: Site) -> None:
    files = [path for path in (site.folder / "images").rglob("*") if path.is_file()]
    assert site.made["covers"] == 17 and site.made["media_files"] == len(files) == 17 * 3 + 6
    assert {path.name for path in (site.folder / "images").iterdir() if path.is_file()} == {
        ".gitkeep",
        "bookwyrm-export-5f1d3c1a.tar.gz",
    }
    assert len({path.read_bytes() for path in files}) == len(files)
    assert (site.folder / "VERSION").read_text() == "0.9.2\n"


def test_page(site: Site) -> None:
    status, headers, body = get(site.url)
    page = body.decode()
    directives = policy(f"200 {headers['content-security-policy']}")
    assert status == 200 and directives["default-src"] == ["'self'"]
    assert f'nonce="{directives["script-src"][1][7:-1]}"' in page
    assert page.count("book-cover") == 15 + 5  # the page and the featured ones
    images = set(re.findall(r'(?:src|srcset)="(/images/[^"]+)"', get(f"{site.url}/?n=ALL")[2].decode()))
    assert len(images) == 17 * 3
    for image in images:
        status, headers, _body = get(site.url + image)
        assert (status, headers["content-type"].partition("/")[0]) == (200, "image")
    theme = re.findall(r'href="([^"]+\.css)"', page)[0]
    font = re.findall(r"url\(\"?([^)\"]+woff2)", get(site.url + theme)[2].decode())[0]
    assert get(urllib.parse.urljoin(site.url + theme, font))[2][:4] == b"wOF2"


def test_top_level_is_forbidden(site: Site) -> None:
    assert get(f"{site.url}/images/bookwyrm-export-5f1d3c1a.tar.gz")[0] == 403


def test_upload_and_delete(site: Site) -> None:
    answer = site.upload("neu ö.jpg", site.cover)
    assert answer["name"] == "covers/neu_ö.jpg"
    paths = [site.folder / "images" / name for name in [answer["name"], *answer["thumbnails"]]]
    wait_for(lambda: all(path.exists() for path in paths))
    again = site.upload("neu ö.jpg", site.cover)  # never overwritten
    assert re.fullmatch(r"covers/neu_ö_\w{7}\.jpg", again["name"])
    for name in (answer["name"], again["name"]):
        assert get(f"{site.url}/delete?name={urllib.parse.quote(name)}", b"")[0] == 200
    assert not any(path.exists() for path in paths)


def test_setup_state_and_connectors(site: Site) -> None:
    code = """
from django.core.management import call_command
from bookwyrm.models import *
before = SiteSettings.get().admin_code
call_command("initdb")
print(User.objects.exists(), SiteSettings.get().install_mode, SiteSettings.get().admin_code == before)
print(Connector.objects.get(id=1).identifier)
"""
    assert site.manage("shell", "-c", code).endswith("True False True\nbookwyrm.social\n")


# systemctl


def test_systemctl_states(site: Site) -> None:
    assert site.systemctl("is-active", "bookwyrm") == (0, "active")
    assert site.systemctl("is-active", "nothing") == (4, "inactive")
    assert site.systemctl("start", "nothing")[0] == 5
    assert site.systemctl("show", "nothing", "-p", "LoadState", "--value") == (0, "not-found")
    assert site.systemctl("is-enabled", "bookwyrm") == (1, "disabled")
    assert site.systemctl("enable", "bookwyrm")[0] == 0
    assert site.systemctl("is-enabled", "bookwyrm") == (0, "enabled")
    shown = site.systemctl("show", "bookwyrm", "-p", "ExecStart,WorkingDirectory", "-p", "MainPID")[1]
    values = dict(line.split("=", 1) for line in shown.splitlines())
    gunicorn = f"{site.folder}/venv/bin/gunicorn"
    assert values["ExecStart"].startswith(f"{{ path={gunicorn} ; argv[]={gunicorn} bookwyrm.wsgi:application --bind")
    assert values["WorkingDirectory"] == str(site.folder)
    os.kill(int(values["MainPID"]), 0)


def test_systemctl_failures(site: Site) -> None:
    units = site.folder / "systemd"
    for name, command, kind in (("a", "/bin/false", "simple"), ("b", "/no/such", "simple"), ("c", "/no/such", "exec")):
        (units / f"{name}.service").write_text(f"[Service]\nType={kind}\nExecStart={command}\n")
        assert site.systemctl("start", name)[0] == (1 if kind == "exec" else 0)
        wait_for(lambda name=name: site.systemctl("is-active", name) == (3, "failed"), 5)
    (units / "d.service").write_text(
        "[Service]\nTimeoutStopSec=1\nExecStart=/bin/sh -c \"trap '' TERM; sleep 60 & wait; sleep 60\"\n"
    )
    site.start("d")
    pid = int(site.systemctl("show", "d", "-p", "MainPID", "--value")[1])
    assert site.systemctl("stop", "d")[0] == 0
    assert not Path(f"/proc/{pid}").exists()
    notes = units / ".run" / "e.service.json"
    (units / "e.service").write_text("[Service]\nExecStart=/bin/sleep 60\n")
    notes.write_text(json.dumps({"pid": os.getpid(), "ticks": "1", "supervisor": 1}))  # a number that was reused
    assert site.systemctl("is-active", "e")[1] == "failed"


# on S3


def test_wrong_settings(site: Site, s3_env: dict[str, str]) -> None:
    def look(**values: str) -> str:
        return site.manage("shell", "-c", LOOK, **{**s3_env, **values})

    without = {key: value for key, value in s3_env.items() if key != "AWS_S3_CUSTOM_DOMAIN"}
    assert "500 None" in site.manage("shell", "-c", LOOK, **without)
    assert "500 None" in look(AWS_S3_CUSTOM_DOMAIN="")
    values = {"AWS_S3_CUSTOM_DOMAIN": "None", "AWS_S3_URL_PROTOCOL": "https:"}
    page = look(**values, CSP_ADDITIONAL_HOSTS="http://h/b/,http://i")
    sources = ["'self'", "https://None", "http://h/b/", "http://i"]
    assert policy(page)["default-src"] == sources and policy(page)["script-src"][:-1] == sources
    assert "https://None/images/" in page
    assert "Invalid endpoint" in site.manage(
        "collectstatic", "--no-input", check=False, **{**s3_env, "AWS_S3_ENDPOINT_URL": ""}
    )
    exports = {**s3_env, "USE_S3_FOR_EXPORTS": "true"}
    assert "EXPORTS_STORAGE_BUCKET_NAME" in site.manage("check", check=False, **exports)
    site.manage("check", **exports, EXPORTS_STORAGE_BUCKET_NAME="private")


def test_switch(site: Site, s3: Any, s3_env: dict[str, str]) -> None:
    site.manage("compile_themes", **s3_env)
    site.manage("collectstatic", "--no-input", **s3_env)
    keys = {item["Key"] for item in s3.list_objects_v2(Bucket="media")["Contents"]}
    assert {"static/css/themes/bookwyrm-dark.css", "static/fonts/standin.woff2", "static/js/bookwyrm.js"} <= keys
    site.set_env(**s3_env)
    assert "/images/" in site.upload("before.jpg", site.cover)["url"]  # .env is read at the start only
    assert site.systemctl("restart", "bookwyrm-worker", "bookwyrm")[0] == 0
    wait_for(lambda: get(site.url)[0] == 200)
    cover = site.cover
    answer = site.upload("neu é.jpg", cover)
    domain = f"http://{s3_env['AWS_S3_CUSTOM_DOMAIN']}"
    assert answer["url"] == f"{domain}/images/covers/neu_%C3%A9.jpg"
    for name in [answer["name"], *answer["thumbnails"]]:
        head = wait_for(lambda name=name: stored(s3, f"images/{name}"))
        assert head["ContentType"] == f"image/{'webp' if name.endswith('webp') else 'jpeg'}"
        assert head["CacheControl"] == "max-age=86400"
        grants = s3.get_object_acl(Bucket="media", Key=f"images/{name}")["Grants"]
        assert any(grant["Grantee"].get("URI", "").endswith("AllUsers") for grant in grants)
    assert get(answer["url"])[2] == cover
    page = get(f"{site.url}/?page=1")[2].decode()
    featured, rest = page.split('id="covers"')
    assert f'href="{domain}/static/css/themes/bookwyrm-light.css"' in page
    assert rest.count(f'src="{domain}/images/covers/') == 15
    assert 'src="/images/covers/' in featured  # the fragment still has the old URLs
    purge = "from django.core.cache import caches; c = caches['default']._cache.get_client(); "
    site.manage("shell", "-c", purge + "[c.delete(k) for k in c.scan_iter('*:template.cache.*')]")
    assert '"/images/' not in get(site.url)[2].decode()


def stored(s3: Any, key: str) -> Any:
    """The head of an object, or None while there is none."""
    try:
        return s3.head_object(Bucket="media", Key=key)
    except s3.exceptions.ClientError:
        return None


# releases and kinds


def test_old_releases(old: Site, s3_env: dict[str, str]) -> None:
    new = old.instance.release == "0.7.0"
    assert (old.folder / "VERSION").exists() == new
    assert ('VERSION = "0.0.1"' in (old.folder / "bookwyrm/settings.py").read_text()) != new
    assert ("compile_themes" in (old.folder / "bw-dev").read_text()) == new
    assert new or "Unknown command" in old.manage("compile_themes", check=False)
    values = {**s3_env, "AWS_DEFAULT_ACL": "", "AWS_S3_CUSTOM_DOMAIN": "cdn.example", "USE_HTTPS": "false"}
    code = "from django.conf import settings; print(settings.AWS_DEFAULT_ACL, settings.MEDIA_URL)"
    expected = f"public-read {'http' if new else 'https'}://cdn.example/images/"
    assert expected in old.manage("shell", "-c", code, **values)
    del values["AWS_S3_ENDPOINT_URL"]
    assert 'AWS_S3_ENDPOINT_URL" not set' in old.manage("check", check=False, **values)
    own = "from bookwyrm.models import Connector as C; print(*C.objects.values_list('connector_file', 'covers_url'))\n"
    page = old.manage("shell", "-c", own + LOOK)
    assert ("('self_connector', 'https://books.example/images/')" in page) != new
    assert policy(page)["default-src"] == ["'self'"] if new else "200 None" in page
    theme = "static/css/themes/bookwyrm-light.css"
    assert f'"/{theme}"' in page and (old.folder / theme).exists()


def test_empty_instance(tmp_path: Path, site: Site) -> None:
    new = Site(tmp_path / "new", empty=True, redis_port=site.instance.redis_port)
    assert not (new.folder / "db").exists() and os.listdir(new.folder / "images") == [".gitkeep"]
    new.manage("migrate")
    new.manage("initdb")
    code = new.manage("admin_code").splitlines()[2]
    assert re.fullmatch(r"[0-9a-f-]{36}", code)
    post = f"""
from bookwyrm.models import User
print(Client().post("/setup", {{"code": "{code}", "name": "ada"}}).status_code, User.objects.count())
"""
    output = new.manage("shell", "-c", LOOK + post)
    assert "302 " in output and output.endswith("302 1\n")


def test_docker_kind_and_same_seed(tmp_path: Path, site: Site) -> None:
    made = Site(tmp_path / "bookwyrm", kind="docker", covers=17, crlf=True)
    seeded = made.folder / ".seed/images"
    assert made.made["media_root"] == str(seeded) and not (made.folder / "systemd").exists()
    assert os.listdir(made.folder / "images") == [".gitkeep"]
    assert not list((made.folder / "bookwyrm/static").rglob("*.css"))
    assert b"REDIS_ACTIVITY_HOST=redis_activity\r\n" in (made.folder / ".env").read_bytes()
    for path in seeded.glob("covers/*"):
        assert path.read_bytes() == (site.folder / "images/covers" / path.name).read_bytes()
