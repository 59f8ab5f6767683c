# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Move the covers of a stand-in BookWyrm instance from its disk to an embedded S3 server, and show it.

`make demo` runs this. Everything is left in build/demo, running, to be looked at; `make demo-stop` stops it.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DEMO = ROOT / "build" / "demo"
INSTANCE = DEMO / "bookwyrm"
UNITS = ("redis", "bookwyrm", "bookwyrm-worker", "bookwyrm-scheduler")
PORTS = {"site": 8055, "redis": 6355, "s3": 9055}
SITE = f"http://localhost:{PORTS['site']}"
BUCKET = "demo-media"
COVERS = 500


def say(text: str) -> None:
    print(f"\n\033[1m{text}\033[0m" if sys.stdout.isatty() else f"\n{text}", flush=True)


def systemctl(*words: str) -> None:
    """The stand-in's own systemctl, which reads the instance's unit files."""
    subprocess.run([str(INSTANCE / "systemd" / "systemctl"), *words], check=True)


def stop() -> None:
    """Stop what an earlier demo left running, each process by its id."""
    if (INSTANCE / "systemd" / "systemctl").exists():
        subprocess.run([str(INSTANCE / "systemd" / "systemctl"), "stop", *reversed(UNITS)], check=False)
    pid_file = DEMO / "s3.pid"
    if not pid_file.exists():
        return
    pid = int(pid_file.read_text())
    pid_file.unlink()
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return
    if b"moto" in command:  # not another process that has got the number since
        os.kill(pid, signal.SIGTERM)
        for _attempt in range(100):
            if not Path(f"/proc/{pid}").exists():
                return
            time.sleep(0.1)


def check_ports() -> None:
    """End with a sentence when a port is taken."""
    for what, port in PORTS.items():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                sys.exit(
                    f"port {port}, which the demo's {what} needs, is taken by another program; stop that and try again"
                )


def start_s3() -> None:
    """Start the embedded S3 server (moto): real HTTP, objects in memory."""
    with (DEMO / "s3.log").open("w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(PORTS["s3"])],
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
    (DEMO / "s3.pid").write_text(str(server.pid))
    wait_for(f"http://127.0.0.1:{PORTS['s3']}/", server)


def make_instance() -> None:
    """Make the instance with its covers on the disk, and start it."""
    script = ROOT / "tests" / "standin" / "make_instance.py"
    venv = os.environ.get("STANDIN_VENV", str(ROOT / ".venv" / "standin"))
    ports = ["--port", str(PORTS["site"]), "--redis-port", str(PORTS["redis"])]
    wanted = ["--venv", venv, "--domain", "localhost", "--covers", str(COVERS), "--thumbnails", "2"]
    subprocess.run([sys.executable, str(script), str(INSTANCE), *ports, *wanted], check=True, stdout=subprocess.DEVNULL)
    systemctl("start", *UNITS)
    wait_for(SITE + "/")


def wait_for(url: str, process: subprocess.Popen[bytes] | None = None) -> None:
    for _attempt in range(300):
        if process is not None and process.poll() is not None:
            sys.exit(f"the S3 server ended at once; see {DEMO / 's3.log'}")
        try:
            urllib.request.urlopen(url, timeout=5)
            return
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.1)
    sys.exit(f"{url} does not answer; see the logs in {DEMO}")


def show_page() -> set[str]:
    """Print where the front page's images come from, and give all their URLs."""
    with urllib.request.urlopen(SITE + "/?n=ALL", timeout=60) as answer:
        page = answer.read().decode()
    urls = re.findall(r'(?:src|srcset)="([^"]*/images/[^"]+)"', page)
    for url in urls[:3]:
        print("  ", url)
    print(f"   ... {len(urls)} image URLs in the page")
    return set(urls)


def write_inventory() -> Path:
    """What an administrator writes: provider, bucket, endpoint and keys."""
    host = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "bookwyrm_dir": str(INSTANCE),
        "bookwyrm_s3_provider": "generic",
        "bookwyrm_s3_bucket": BUCKET,
        "bookwyrm_s3_region": "us-east-1",
        "bookwyrm_s3_endpoint_url": f"http://127.0.0.1:{PORTS['s3']}",
        "bookwyrm_s3_access_key": "DEMOACCESSKEY",
        "bookwyrm_s3_secret_key": "demo-secret-of-no-use-elsewhere",
    }
    inventory = DEMO / "inventory.json"
    inventory.write_text(json.dumps({"bookwyrm": {"hosts": {"demo": host}}}, indent=2) + "\n")
    return inventory


def migrate(inventory: Path) -> int:
    """Run the playbook by its name and give the sum of changed= in its recap."""
    command = ["ansible-playbook", "selfhosted.media.bookwyrm_migrate", "-i", str(inventory)]
    print(
        "   $", " ".join(["ansible-playbook", "selfhosted.media.bookwyrm_migrate", "-i", "build/demo/inventory.json"])
    )
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([str(INSTANCE / "systemd"), str(Path(sys.executable).parent), os.environ["PATH"]]),
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".venv" / "collections"),
        "ANSIBLE_DISPLAY_SKIPPED_HOSTS": "false",
        "ANSIBLE_LOCALHOST_WARNING": "false",
    }
    with subprocess.Popen(command, env=environment, cwd=DEMO, stdout=subprocess.PIPE, text=True) as run:
        output = []
        for line in run.stdout or ():
            output.append(line)
            if line.strip() and not line.startswith("included: "):
                print("  ", line, end="", flush=True)
    if run.returncode:
        sys.exit("the playbook failed; see above")
    return sum(int(number) for number in re.findall(r"changed=(\d+)", "".join(output)))


def fetch(urls: set[str]) -> int:
    """How many of the URLs anybody can read."""
    readable = 0
    for url in urls:
        with urllib.request.urlopen(url, timeout=10) as answer:
            readable += answer.status == 200
    return readable


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stop", action="store_true", help="stop what the demo left running")
    if parser.parse_args().stop:
        stop()
        print("The demo is stopped; build/demo can be deleted.")
        return
    began = time.monotonic()
    stop()
    check_ports()
    shutil.rmtree(DEMO, ignore_errors=True)
    DEMO.mkdir(parents=True)
    say(f"1. An S3 server, and a BookWyrm with {COVERS} covers on its disk")
    start_s3()
    make_instance()
    before = show_page()
    say("2. One command moves its media to S3")
    inventory = write_inventory()
    migrate(inventory)
    say("3. The same page now")
    after = show_page()
    print(f"   {fetch(after)} of {len(after)} images fetched from the bucket, {len(before)} were shown before")
    if len(after) != len(before) or any(f":{PORTS['s3']}/" not in url for url in after):
        sys.exit("the page does not show every image from the bucket")
    say("4. The same command again finds nothing to do")
    changed = migrate(inventory)
    if changed:
        sys.exit(f"the second run changed {changed} things")
    say(
        f"Done in {time.monotonic() - began:.0f} s. Look at {SITE}/ ; all files are in build/demo. Stop it: make demo-stop"
    )


if __name__ == "__main__":
    main()
