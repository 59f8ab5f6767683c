# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""dotenv against the real readers of an `.env`: bash, python-dotenv, environs and, where this machine has them, docker
compose 2, the python-dotenv of docker-compose 1 and systemd's own parser (else models, and a line says which)."""

from __future__ import annotations

import ctypes
import functools
import glob
import io
import json
import os
import random
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Callable, Optional
from unittest import mock

import dotenv as python_dotenv
import environs
import pytest
from ansible_collections.selfhosted.media.plugins.module_utils._dotenv import (
    DotenvError,
    DotenvValueError,
    edit,
    encode,
    expand,
    masked,
    masked_change,
    parse,
    read,
    systemd,
)
from ansible_collections.selfhosted.media.plugins.module_utils._dotenv.reading import decode, pieces
from ansible_collections.selfhosted.media.tests.run_module import run_module
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

Reading = Mapping[str, Optional[str]]

# --- The readers. Each takes a path and gives what it reads. ---

BASH = r"""
for file; do
  ( set +e; read -r names < "$file.names"; source "$file" >/dev/null 2>&1
    for name in $names; do [ -n "${!name+x}" ] && printf '%s=%s\0' "$name" "${!name}"; done; printf '\1\0' )
done
"""


def read_by_bash(paths: list[Path], names: list[list[str]]) -> list[dict[str, str]]:
    """All files in one process, each in a subshell: a process for each would take most of the test's time."""
    for path, asked in zip(paths, names):
        path.with_name(path.name + ".names").write_text(" ".join(asked) + "\n")
    command = ["/bin/bash", "-c", BASH, "bash", *map(str, paths)]
    environment = {"LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin", "HOME": "/nonexistent"}
    output = subprocess.run(command, capture_output=True, env=environment, check=False).stdout
    readings = output.decode("utf-8", "surrogateescape").split("\1\0")[:-1]
    assert len(readings) == len(paths)
    return [dict(item.split("=", 1) for item in reading.split("\0")[:-1]) for reading in readings]


def read_by_python_dotenv(path: Path) -> Reading:
    """docker-compose 1 does this, with an older release of the same library."""
    with mock.patch.dict(os.environ, clear=True):
        return python_dotenv.dotenv_values(path, encoding="utf-8-sig")


def read_by_environs(path: Path) -> Reading:
    with mock.patch.dict(os.environ, clear=True):
        reader = environs.Env()
        reader.read_env(path, recurse=False)
        # Releases before 15 put what they read into the process's environment.
        return dict(getattr(reader, "_environ", os.environ))


def read_by_old_python_dotenv(path: Path) -> Reading:
    code = "import dotenv,json,sys; print(json.dumps(dotenv.dotenv_values(sys.argv[1], encoding='utf-8-sig')))"
    command = ["/usr/bin/python3", "-c", code, str(path)]
    output = subprocess.run(command, capture_output=True, env={"PATH": "/usr/bin"}, check=True).stdout
    reading: dict[str, Optional[str]] = json.loads(output)
    return reading


def find_old_python_dotenv() -> bool:
    """Whether the system's Python has what docker-compose 1 reads files with (Debian 12: 0.21)."""
    code = "import sys, dotenv.version as v; sys.exit(not v.__version__.startswith('0.'))"
    try:
        return subprocess.run(["/usr/bin/python3", "-c", code], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def read_by_systemd_model(path: Path) -> Reading:
    return systemd.parse(path.read_bytes().decode("utf-8", "surrogateescape"))


@functools.cache
def systemd_library() -> tuple[Optional[ctypes.CDLL], int]:
    """systemd's shared code, which holds its parser of environment files, and its release."""
    found = [name for lib in ("lib/*", "lib*") for name in glob.glob(f"/usr/{lib}/systemd/libsystemd-shared-*.so")]
    for name in found:
        release = re.search(r"shared-(\d+)", name)
        try:
            library = ctypes.CDLL(name)
        except OSError:
            continue
        if hasattr(library, "load_env_file"):
            return library, int(release[1]) if release else 0
    return None, 0


def read_by_systemd(path: Path) -> Reading:
    library = systemd_library()[0]
    assert library is not None
    result = ctypes.POINTER(ctypes.c_char_p)()
    if library.load_env_file(None, os.fsencode(path), ctypes.byref(result)) < 0:
        return {}
    reading: dict[str, Optional[str]] = {}
    at = 0
    while result and result[at] is not None:
        name, _equals, value = (result[at] or b"").decode("utf-8", "surrogateescape").partition("=")
        reading[name] = value
        at += 1
    return reading


class ComposeError(Exception):
    """compose refuses the whole file."""


def read_by_compose_model(path: Path) -> Reading:
    """compose-go's dotenv/parser.go, without the expansion of variables, since nothing here writes one: a value with
    a `$` that compose would expand comes out as it stands and differs from what was asked for only in the real one."""
    text = path.read_bytes().decode("utf-8", "surrogateescape").removeprefix("\ufeff")
    blank = " \t\v\f\r\x85\xa0"
    reading: dict[str, Optional[str]] = {}
    while True:
        text = text.lstrip()
        if text.startswith("#"):
            text = text.partition("\n")[2]
            continue
        if not text:
            return reading
        if re.match(r"export\s", text):
            text = text[6:].lstrip(blank)
        key, mark, rest = re.match(r"([^=:\n]*)([=:\n]?)((?s:.*))", text).groups()  # type: ignore[union-attr]
        key = key.rstrip()
        if not re.fullmatch(r"[\w.\[\]-]*", key):
            raise ComposeError(key)
        text = rest.lstrip(blank)
        if mark in ("\n", ""):
            continue
        if text[:1] not in ("'", '"'):
            line, _newline, text = text.partition("\n")
            reading[key] = line.partition(" #")[0].rstrip()
            continue
        quoted = re.match(rf"(?s){text[0]}((?:\\.|[^{text[0]}\\])*){text[0]}", text)
        if not quoted:
            raise ComposeError(key)
        value = re.sub(rf"(?s)\\({text[0]})", r"\1", quoted[1]) if text[0] == "'" else _unescape(quoted[1])
        reading[key] = value
        text = text[quoted.end() :]


def _unescape(text: str) -> str:
    escapes = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
    return re.sub(r'(?s)\\([abfnrtv$"\\])', lambda match: escapes.get(match[1], match[1]), text)


@functools.cache
def compose_binary() -> Optional[str]:
    """A docker compose of the second generation."""
    folders = [os.environ.get("DOCKER_CONFIG", os.path.expanduser("~/.docker"))]
    folders += ["/usr/libexec/docker", "/usr/lib/docker", "/usr/local/lib/docker", "/usr/local/libexec/docker"]
    found = [f"{folder}/cli-plugins/docker-compose" for folder in folders] + [shutil.which("docker-compose") or ""]
    for binary in filter(os.path.isfile, found):
        version = subprocess.run([binary, "version", "--short"], capture_output=True, text=True, check=False).stdout
        if version.lstrip("v").split(".")[0].isdigit() and int(version.lstrip("v").split(".")[0]) >= 2:
            return binary
    return None


def read_by_compose(path: Path) -> Reading:
    binary = compose_binary()
    assert binary is not None
    project = path.with_name(path.name + ".yml")
    project.write_text(json.dumps({"services": {"web": {"image": "none", "env_file": [path.name]}}}))
    command = [binary, "-f", str(project), "config", "--format", "json"]
    environment = {"HOME": str(path.parent), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, capture_output=True, env=environment, cwd=path.parent, check=False)
    if done.returncode:
        raise ComposeError(done.stderr.decode(errors="replace"))
    web = json.loads(done.stdout)["services"]["web"]
    # In its own output compose doubles every $.
    return {name: value and value.replace("$$", "$") for name, value in (web.get("environment") or {}).items()}


Readers = dict[str, Callable[[Path], Reading]]


@pytest.fixture(scope="module")
def real_readers(request: pytest.FixtureRequest) -> Readers:
    """All readers but bash; those that this machine lacks by a model, with a line that says so."""
    readers: Readers = {"python-dotenv": read_by_python_dotenv, "environs": read_by_environs}
    notes = []
    if find_old_python_dotenv():
        readers["docker-compose 1"] = read_by_old_python_dotenv
    else:
        notes.append("docker-compose 1: the system's Python has no python-dotenv 0.x; today's stands for it")
    if systemd_library()[0]:
        readers["systemd"] = read_by_systemd
    else:
        readers["systemd"] = read_by_systemd_model
        notes.append("systemd: no libsystemd-shared here; a model of its parser stands for it")
    if compose_binary():
        readers["docker compose 2"] = read_by_compose
    else:
        readers["docker compose 2"] = read_by_compose_model
        notes.append("docker compose 2: no binary (tests/docker/compose-install.sh gets one); a model stands for it")
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        for note in notes:
            print(f"\n{note}")
    return readers


IN_PROCESS: Readers = {
    "python-dotenv": read_by_python_dotenv,
    "environs": read_by_environs,
    "systemd model": read_by_systemd_model,
    **({"systemd": read_by_systemd} if systemd_library()[0] else {}),
}

# --- Generated values and files. ---

TOKENS = [
    *"'\"\\$`{}()[]<>|&;#~!*?^=:,.@%+-_/ aZ9né",
    *("\\\\", "${", "${A}", "$X", "$(id)", "$$", " #", "#c", "\\n", "\\'", '\\"', "\\$", "export ", "  ", "=x", "日本"),
    *("\u2028", "\xa0", "\x85", "\ufeff", "\U0001f4da", "key", "0", "://", "user:pw@", "None", "true"),
]
REFUSED_TOKENS = ["\n", "\r\n", "\t", "\x00", "\x7f", "\x1b", "\udcff"]


def random_value(choose: random.Random) -> str:
    tokens = TOKENS if choose.random() < 0.97 else TOKENS + REFUSED_TOKENS
    return "".join(choose.choices(tokens, k=choose.choice((0, 1, 1, 2, 2, 3, 3, 4, 5, 6, 8, 12))))


def random_values(choose: random.Random, count: int) -> dict[str, str]:
    """As many values as asked for that have a spelling. What is refused must name the variable and hide the value."""
    values: dict[str, str] = {}
    while len(values) < count:
        name, value = f"V{len(values)}", random_value(choose)
        try:
            encode(name, value)
        except DotenvValueError as exc:
            assert f"of {name} " in str(exc)
            assert len(value) < 5 or value not in str(exc)
        else:
            values[name] = value
    return values


#: Lines by others that leave the rest of the file readable for all.
LINES = [
    *(
        "# a comment",
        "#",
        "",
        "   ",
        "# SECRET_KEY='abc",
        "# it's",
        '## A="1"',
        '# A=   # "x"',
        "#B=2",
        " # export C=3",
    ),
    *("OTHER=1", "OTHER='a b'", 'OTHER="x y" # z', "OTHER=$HOME", "export OTHER=1", "OTHER=", " OTHER=a", "OTHER=é"),
    *("MULTI='one\nA=inside\ntwo'", 'MULTI="one\nB=inside\n\ntwo"', "MULTI='\n'", 'REF="${OTHER}.example.com"'),
    *("A=1", "A='1 2'", "export A=1", "A=1 # x", "  A=3", 'A="x\ny"', "B=", "B=$B", 'B="a\\nb"', "B=#1", "B='${A}'"),
    *(
        "C=ok",
        "C=~/x",
        "C=a~b",
        'C="it\'s"',
        "C='a\\\\b'",
        "DEBUG=true",
        "DEBUG='true'",
        " DEBUG=false",
        'D_1="a\nA=b"',
    ),
]
#: Lines that some reader stumbles over, or takes the next line with.
NASTY_LINES = [
    *("A=it's", "A='it'\\''s'", "A = 1", "A: 1", "A+=1", "'A'=1", "A", "export A", "A=a b", "B='x", 'B="x', "C=$(id)"),
    *("X=a\\", "# c \\", "B=1\\", "; s \\", "A='x'y", "A='x\ny'z", "X='C:\\'", "=1", "$%", "1A=1", "A.B=1", "export"),
    *("A=\x80", "X=\udcff", "\x0cA=1", "A=1\x0b", "A\xa0=1", "export\tA=1", "A==", "A=\\", "X=`", 'B="a\\\nb"', "C='"),
]
NAMES = ["A", "B", "C", "DEBUG", "NEW", "D_1"]


def random_file(choose: random.Random, nasty: bool) -> list[str]:
    """The pieces of a file, each with its line end; one of them may be a statement over several lines."""
    end = choose.choice(("\n", "\n", "\n", "\r\n"))
    lines = LINES + NASTY_LINES * 2 if nasty else LINES
    chunks = [choose.choice(lines).replace("\n", end) + end for _number in range(choose.randrange(12))]
    if chunks and choose.random() < 0.3:
        chunks[-1] = chunks[-1].removesuffix(end)
    if choose.random() < 0.1:
        # systemd takes the mark for a part of the line, and a comment with a quote for an assignment that stays open.
        chunks[:0] = ["\ufeff", choose.choice(["", "# c", "A=1", "OTHER=1"]) + end]
    return chunks


def as_bytes(chunks: list[str]) -> bytes:
    return "".join(chunks).encode("utf-8", "surrogateescape")


def random_request(choose: random.Random) -> tuple[dict[str, str], list[str]]:
    names = choose.sample(NAMES, choose.randrange(1, len(NAMES)))
    absent = [name for name in names if choose.random() < 0.3]
    values = {}
    for name in (name for name in names if name not in absent):
        value = choose.choice(("1", "1 2", "", "true", "a~b", "x", random_value(choose)))
        try:
            encode(name, value)
        except DotenvValueError:
            value = "fallback"
        values[name] = value
    return values, absent


# --- What is written is read back. ---

VALUES_PER_FILE = 1000


@pytest.mark.parametrize("seed", range(18))
def test_values_are_read_back_alike(seed: int, real_readers: Readers, tmp_path: Path) -> None:
    """18,000 nasty values through every reader."""
    values = random_values(random.Random(seed), VALUES_PER_FILE)
    path = tmp_path / "values.env"
    edited = edit(b"", values)
    path.write_bytes(edited.content)
    assert edited.changed_keys == list(values)
    readings: dict[str, Reading] = {name: reader(path) for name, reader in real_readers.items()}
    readings["bash"] = read_by_bash([path], [list(values)])[0]
    readings["ours"] = read(edited.content)
    for reader, reading in readings.items():
        for name, value in values.items():
            assert reading.get(name) == value, (
                f"{reader} reads {edited.content.splitlines()[int(name[1:])]!r} differently"
            )
    assert edit(edited.content, values).content == edited.content


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("", ""),
        ("s3.fr-par.scw.cloud", "s3.fr-par.scw.cloud"),
        ("https://u@h:1/a,b%20=c+d", "https://u@h:1/a,b%20=c+d"),
        ("a b", "'a b'"),
        ("a#b", "'a#b'"),
        ("$X `id`", "'$X `id`'"),
        ("a\\b", "'a\\b'"),
        ('say "x"', "'say \"x\"'"),
        ("it's", '"it\'s"'),
        ('it\'s "x" \\ y', '"it\'s \\"x\\" \\\\ y"'),
        ("a\\\\b", '"a\\\\\\\\b"'),
        ("~", "'~'"),
    ],
)
def test_encode(value: str, written: str) -> None:
    assert encode("NAME", value) == written


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("hunter${X}", "holds ${"),
        ("hunter's $1", "single quote"),
        ("hunter's `x`", "single quote"),
        ("hunter\\\\$", "two backslashes"),
        ("hunter\\", "ends in a backslash"),
        ("hunter\nA=1", "line break"),
        ("hunter\x00", "control character"),
        ("hunter\x7f", "control character"),
        ("hunter\udcff", "not valid UTF-8"),
    ],
)
def test_refused_values_name_the_variable_and_not_the_value(value: str, reason: str) -> None:
    with pytest.raises(DotenvValueError) as caught:
        edit(b"", {"FINE": "1", "EMAIL_PASS": value})
    assert "EMAIL_PASS" in str(caught.value)
    assert reason in str(caught.value)
    assert "hunter" not in str(caught.value)


def test_debug_is_never_quoted() -> None:
    assert edit(b"DEBUG='true'\n", {"DEBUG": "true"}).content == b"DEBUG=true\n"
    assert edit(b" DEBUG=true \n", {"DEBUG": "true"}).content == b"DEBUG=true\n"
    with pytest.raises(DotenvValueError, match="DEBUG"):
        encode("DEBUG", "a b")


@pytest.mark.parametrize("name", ["", "1A", "A-B", "A B", "A=B", "é", "A\n", "A.B"])
def test_invalid_names_are_refused(name: str) -> None:
    with pytest.raises(DotenvValueError):
        edit(b"", {name: "1"})
    with pytest.raises(DotenvValueError):
        edit(b"", {}, [name])


# --- Editing. ---

EXAMPLE = b"""\
# S3 configuration
USE_S3=false
AWS_ACCESS_KEY_ID=

# AWS_STORAGE_BUCKET_NAME=        # "example-bucket-name"
# AWS_S3_REGION_NAME=None         # "fr-par"
PREVIEW_TEXT_COLOR=#363636
"""


@pytest.mark.parametrize(
    ("content", "values", "absent", "expected"),
    [
        # Rewritten in place, whatever it looked like.
        (b"A=1\nB=2\n", {"A": "x"}, [], b"A=x\nB=2\n"),
        (b"export A=1\n", {"A": "1"}, [], b"A=1\n"),
        (b"A = 1\n", {"A": "1"}, [], b"A=1\n"),
        (b"A=1 # one\n", {"A": "1"}, [], b"A=1\n"),
        (b"A: 1\n", {"A": "1"}, [], b"A=1\n"),
        (b"A='1\nB=2\n'\nC=3\n", {"A": "x"}, [], b"A=x\nC=3\n"),
        (b"A=$B\n", {"A": "$B"}, [], b"A='$B'\n"),
        # The last of several stays, where it stands.
        (b"A=1\nB=2\nA=3\nC=4\n", {"A": "x"}, [], b"B=2\nA=x\nC=4\n"),
        (b"A=1\nB=2\nA=x\n", {"A": "x"}, [], b"B=2\nA=x\n"),
        (b"A=1\nA\n", {"A": "1"}, [], b"A=1\n"),
        # All readers take it for that already.
        (b" A=x \n", {"A": "x"}, [], b" A=x \n"),
        (b'A="x"\t\n', {"A": "x"}, [], b'A="x"\t\n'),
        (b'A="it\'s \\"x\\""\n', {"A": 'it\'s "x"'}, [], b'A="it\'s \\"x\\""\n'),
        (b"A=[::1]?*\n", {"A": "[::1]?*"}, [], b"A=[::1]?*\n"),
        ("A=é\n".encode(), {"A": "é"}, [], "A=é\n".encode()),
        (b"A=x", {"A": "x"}, [], b"A=x"),
        # They do not, or older releases of compose do not.
        (b"A=a#b\n", {"A": "a#b"}, [], b"A='a#b'\n"),
        (b"A='a\\\\b'\n", {"A": "a\\\\b"}, [], b'A="a\\\\\\\\b"\n'),
        (b'A="a\\nb"\n', {"A": "a\\nb"}, [], b"A='a\\nb'\n"),
        # New ones come after their commented default, which stays, else at the end.
        (
            EXAMPLE,
            {"AWS_STORAGE_BUCKET_NAME": "books", "USE_S3": "true", "AWS_S3_CUSTOM_DOMAIN": "cdn.example.com"},
            [],
            EXAMPLE.replace(b"USE_S3=false", b"USE_S3=true").replace(
                b'bucket-name"\n', b'bucket-name"\nAWS_STORAGE_BUCKET_NAME=books\n'
            )
            + b"AWS_S3_CUSTOM_DOMAIN=cdn.example.com\n",
        ),
        (b"# A=1\n# B=2\n# A=3\nC=4\n", {"A": "x"}, [], b"# A=1\n# B=2\n# A=3\nA=x\nC=4\n"),
        (b"B='\n# A=1\n'\nC=2\n", {"A": "x"}, [], b"B='\n# A=1\n'\nC=2\nA=x\n"),
        (b"", {"A": "x"}, [], b"A=x\n"),
        (b"B=1", {"A": "x"}, [], b"B=1\nA=x\n"),
        (b"# A=1", {"A": "x"}, [], b"# A=1\nA=x\n"),
        (b"A=1", {"A": "x"}, [], b"A=x"),
        # Removed, all of them; comments stay.
        (b"# A=0\nA=1\nB=2\nexport A=3\n", {}, ["A"], b"# A=0\nB=2\n"),
        (b"A='\nB=1\n'\nC=2\n", {}, ["A", "B"], b"C=2\n"),
        (b"B=2\n", {}, ["A"], b"B=2\n"),
        # Line endings are the file's.
        (b"A=1\r\nB=2\r\n", {"A": "x", "C": "3"}, [], b"A=x\r\nB=2\r\nC=3\r\n"),
        (b"# C=1\r\nB=2\n", {"C": "3"}, [], b"# C=1\r\nC=3\r\nB=2\n"),
        (b"A=1\r\nB=2", {"C": "3"}, [], b"A=1\r\nB=2\r\nC=3\r\n"),
        # Bytes that are not UTF-8 and a byte order mark stay; a first line behind one is seen by some only.
        (b"# caf\xe9\nA=1\n", {"A": "x"}, [], b"# caf\xe9\nA=x\n"),
        (b"\xef\xbb\xbf# c\nA=1\n", {"A": "x"}, [], b"\xef\xbb\xbf# c\nA=x\n"),
        (b"\xef\xbb\xbfA=x\n", {"A": "x"}, [], b"\xef\xbb\xbf\nA=x\n"),
        (b"\xef\xbb\xbf", {"A": "x"}, [], b"\xef\xbb\xbf\nA=x\n"),
        # A line that ends in a backslash would take ours with it.
        (b"B=c:\\\nA=1\n", {"A": "1"}, [], b"B=c:\\\n\nA=1\n"),
        (b"# c \\\nA=1\n", {"A": "x"}, [], b"# c \\\n\nA=x\n"),
        (b"# A=\\\n", {"A": "x"}, [], b"# A=\\\n\nA=x\n"),
        (b"B=c:\\\nA=1\nC=2\n", {}, ["A"], b"B=c:\\\n\nC=2\n"),
        (b"B=c:\\\\\nA=1\n", {"A": "x"}, [], b"B=c:\\\\\nA=x\n"),
    ],
)
def test_edit(content: bytes, values: dict[str, str], absent: list[str], expected: bytes) -> None:
    edited = edit(content, values, absent)
    assert edited.content == expected
    assert bool(edited.changed_keys) == (content != expected)
    again = edit(edited.content, values, absent)
    assert (again.content, again.changed_keys) == (expected, [])


def test_changed_keys_come_in_the_order_asked_for() -> None:
    assert edit(b"A=1\nB=2\nC=3\n", {"C": "x", "B": "2", "A": "y"}, ["D", "B2"]).changed_keys == ["C", "A"]
    assert edit(b"A=1\nB=2\n", {"N": ""}, ["B", "A"]).changed_keys == ["N", "B", "A"]


@pytest.mark.parametrize(
    ("content", "values", "says"),
    [
        (b"B=1\nX='abc\n", {"A": "x y"}, "A .*line 2 opens a quote"),
        (b'B=1\n\nX="abc\nA=1\n', {"A": "1"}, "A .*line 3 opens a quote"),
        (b"B=1\nA='x\nB=2\n'y\n", {"A": "1"}, "Line 2 .*value of A"),
    ],
)
def test_files_in_which_a_line_would_not_be_seen_are_refused(content: bytes, values: dict[str, str], says: str) -> None:
    with pytest.raises(DotenvError, match=says):
        edit(content, values)


def untouched(chunks: list[str], names: set[str], written: set[str]) -> list[str]:
    """The lines of the chunks that are not of these variables, without their ends and without empty lines."""
    kept = []
    for chunk in chunks:
        piece = next(pieces(chunk), None)
        if piece is None or piece.sets not in names:
            kept += [line for line in re.split("[\r\n]+", chunk) if line.strip("\ufeff") and line not in written]
    return kept


FILES = 2000


@pytest.mark.parametrize("seed", range(4))
def test_generated_files(seed: int, tmp_path: Path, real_readers: Readers) -> None:
    """2,000 files that all readers can read: what was asked for is read back by all, nothing else has changed."""
    choose = random.Random(seed)
    paths, requests = [], []
    for number in range(FILES // 4):
        chunks = random_file(choose, nasty=False)
        values, absent = random_request(choose)
        content = as_bytes(chunks)
        edited = edit(content, values, absent)
        assert edit(edited.content, values, absent).content == edited.content
        text = decode(edited.content)[1]
        written = {f"{name}={encode(name, value)}" for name, value in values.items()}
        names = {*values, *absent}
        after = [piece.text for piece in pieces(text)]
        assert untouched(after, names, written) == untouched(chunks, names, written)
        assert edited.content.startswith(b"\xef\xbb\xbf") == content.startswith(b"\xef\xbb\xbf")
        assert (b"\r\n" in edited.content) <= (b"\r\n" in content)
        assert edited.changed_keys or edited.content == content
        paths.append(tmp_path / f"{number}.env")
        paths[-1].write_bytes(edited.content)
        requests.append((values, absent))
    quick = [(name, reader) for name, reader in IN_PROCESS.items() if name != "python-dotenv"]  # environs is one
    by_bash = read_by_bash(paths, [[*values, *absent] for values, absent in requests])
    for number, (path, (values, absent), bash) in enumerate(zip(paths, requests, by_bash)):
        # Bash has the \r of a CRLF file in every value; the line ends are the owner's matter.
        readings: dict[str, Reading] = {"bash": {name: value.removesuffix("\r") for name, value in bash.items()}}
        readers = quick if number % 40 else real_readers.items()  # compose is a process for each file
        readings.update({name: reader(path) for name, reader in readers})
        readings["compose model"] = read_by_compose_model(path)
        for reader, reading in readings.items():
            got = {name: reading.get(name) for name in [*values, *absent]}
            assert got == {**values, **dict.fromkeys(absent)}, f"{reader}: {path.read_bytes()!r}"


HOSTILE_FILES = 3000


@pytest.mark.parametrize("seed", range(4))
def test_hostile_files(seed: int, tmp_path: Path) -> None:
    """3,000 files full of lines that readers stumble over: edited so that environs and systemd read what was asked
    for, or refused; never half done, never different the second time."""
    choose = random.Random(1000 + seed)
    refused = 0
    path = tmp_path / "hostile.env"
    for _number in range(HOSTILE_FILES // 4):
        content = as_bytes(random_file(choose, nasty=True))
        values, absent = random_request(choose)
        try:
            edited = edit(content, values, absent)
        except DotenvError as exc:
            refused += 1
            assert any(name in str(exc) for name in [*values, *absent])
            continue
        again = edit(edited.content, values, absent)
        assert (again.content, again.changed_keys) == (edited.content, [])
        wanted = {**values, **dict.fromkeys(absent)}
        assert {name: read(edited.content).get(name) for name in wanted} == wanted
        path.write_bytes(edited.content)
        valid = b"\x80" not in edited.content and b"\xff" not in edited.content  # else neither reads the file at all
        for reader in IN_PROCESS.values() if valid else [read_by_systemd_model]:
            reading = reader(path)
            assert {name: reading.get(name) for name in wanted} == wanted, content
    assert refused < HOSTILE_FILES // 4 * 0.6


# --- Reading. ---

FRAGMENTS = st.sampled_from(
    [
        *"'\"\\\n\r#= ${}:-AB9.éAB",
        *(
            "export ",
            "A=",
            "B='",
            'C="',
            "\n",
            "\r\n",
            "${A}",
            "${B:-x}",
            "\\n",
            "\\'",
            '\\"',
            "# ",
            " #",
            "''",
            '""',
            "\\\\",
        ),
        *("\t", "\x0b", "\x0c", "\x1c", "\x85", "\xa0", "\u2028"),
    ]
)
TEXTS = st.lists(FRAGMENTS, max_size=25).map("".join)


@settings(max_examples=2000, deadline=None, suppress_health_check=list(HealthCheck))
@given(TEXTS)
@example("export =5")
@example("export # c\nA=1")
@example("A= # c\nB=#c")
@example("'A\nB' = 1")
@example("A='x\\'\nB='y'\n")
@example('A="x\r\ny\rz"\r\n')
def test_reading_is_python_dotenvs(text: str) -> None:
    # python-dotenv opens files in text mode: all line ends arrive as \n.
    in_text_mode = io.StringIO(text.replace("\r\n", "\n").replace("\r", "\n"), newline="")
    with mock.patch.dict(os.environ, clear=True):
        theirs = python_dotenv.dotenv_values(stream=in_text_mode)
    assert expand(parse(text)) == theirs
    assert read(text.encode()) == {name: value for name, value in theirs.items() if value is not None}
    assert "".join(piece.text for piece in pieces(text)) == text


@pytest.mark.skipif(systemd_library()[0] is None, reason="no libsystemd-shared on this machine")
@settings(max_examples=1000, deadline=None, suppress_health_check=list(HealthCheck))
@given(TEXTS)
@example("# c \\\nA=1")
@example("A='a' \"b\" c\\\n d ")
def test_the_model_of_systemd_is_right(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    if systemd_library()[1] >= 254 and re.search(r"[#;][^\n]*\\", text):
        return  # since then a comment ends where its line ends; the model is the older one, which is stricter
    path = tmp_path_factory.getbasetemp() / "systemd.env"
    path.write_bytes(text.encode())
    # An empty name never gets from the parser into a unit's environment.
    assert systemd.parse(text) == {name: value for name, value in read_by_systemd(path).items() if name}


def test_the_model_of_compose_is_right(tmp_path: Path) -> None:
    if not compose_binary():
        pytest.skip("no docker compose 2 on this machine (tests/docker/compose-install.sh gets one)")
    choose = random.Random(7)
    lines = [line for line in LINES + NASTY_LINES if "$" not in line and not re.search("[\udc80-\udcff]", line)]
    for number in range(40):
        path = tmp_path / f"{number}.env"
        path.write_bytes(as_bytes([line + "\n" for line in choose.choices(lines, k=3)]))
        try:
            theirs: Optional[Reading] = {k: v for k, v in read_by_compose(path).items() if v is not None}
        except ComposeError:
            theirs = None
        try:
            ours: Optional[Reading] = read_by_compose_model(path)
        except ComposeError:
            ours = None
        assert ours == theirs, path.read_bytes()


def test_the_guides_custom_domain_expands(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text(
        "AWS_STORAGE_BUCKET_NAME=books\nAWS_S3_REGION_NAME='fra1'\n"
        'AWS_S3_CUSTOM_DOMAIN="${AWS_STORAGE_BUCKET_NAME}.${AWS_S3_REGION_NAME}.digitaloceanspaces.com"\n'
        "PROTOCOL=${AWS_S3_URL_PROTOCOL:-https:}\nNOTHING=${NO_SUCH}\nBARE\n# USE_S3=true\n"
    )
    with mock.patch.dict(os.environ, {"AWS_S3_URL_PROTOCOL": "not consulted", "AWS_STORAGE_BUCKET_NAME": "nor this"}):
        settings_read = read(str(path))
    assert settings_read == {
        "AWS_STORAGE_BUCKET_NAME": "books",
        "AWS_S3_REGION_NAME": "fra1",
        "AWS_S3_CUSTOM_DOMAIN": "books.fra1.digitaloceanspaces.com",
        "PROTOCOL": "https:",
        "NOTHING": "",
    }
    with pytest.raises(DotenvError, match="no file"):
        read(str(tmp_path / "none"))


# --- Masking. ---


@pytest.mark.parametrize(
    ("content", "shown"),
    [
        ("SECRET_KEY=hunter22\n", "SECRET_KEY=********\n"),
        ("export smtp_pass = 'hunter22' # hunter22\n", "export smtp_pass = ********\n"),
        ("# POSTGRES_PASSWORD=hunter22  # old\n", "# POSTGRES_PASSWORD=********\n"),
        ("A_TOKEN='hunter22\nB=hunter22\n'\nC=1\n", "A_TOKEN=********\nC=1\n"),
        ("# A_KEY='hunter22\n# more hunter22\n# end'\n# B=1\n", "# A_KEY=********\n********\n********\n# B=1\n"),
        ("# A_KEY='hunter22\nB=1\n", "# A_KEY=********\nB=1\n"),
        ("A_KEY='hunter22\nmore=hunter22\n", "A_KEY=********\n********\n"),
        ("A_KEY=hunter22\\\nmore=hunter\nB=1\n", "A_KEY=********\n********\nB=1\n"),
        ("A_KEY: hunter22\n", "A_KEY: ********\n"),
        ("GIVEN=hunter22\n", "GIVEN=********\n"),
        ("A=x hunter22\nA_KEY=hunter22\n# hunter22\n", "A=x ********\nA_KEY=********\n# ********\n"),
        ("URL=redis://:hunt@er22@db:1/0\n", "URL=redis://********@db:1/0\n"),
        ("URL='redis://u:hunt er/22@db:1/0'\n", "URL='redis://********@db:1/0'\n"),
        ("# try redis://u:hunter22@db first\n", "# try redis://********@db first\n"),
        ("OPTS='--api-key=hunter22 -v'\n", "OPTS='--api-key=********\n"),
        ("# the password: hunter22\n", "# the password: ********\n"),
        ("A=1\nhunter22\nB=2\n", "A=1\n********\nB=2\n"),
        ("A_KEY=\n# B_KEY=\n", "A_KEY=\n# B_KEY=\n"),
        ("DOMAIN=example.com # x\n", "DOMAIN=example.com # x\n"),
        ("URL=https://example.com:80/a\n", "URL=https://example.com:80/a\n"),
    ],
)
def test_masked(content: str, shown: str) -> None:
    for text, expected in ((content, shown), (content.replace("\n", "\r\n"), shown.replace("\n", "\r\n"))):
        result = masked(text.encode(), {"GIVEN"})
        assert "hunter" not in result
        assert result == expected


def test_a_changed_secret_is_seen_to_change() -> None:
    old = b"SECRET_KEY=hunter2hunter2\nURL=redis://:hunter2@db\nA=1\n# was hunter2hunter2, then swordfish\nB=2\n"
    edited = edit(old, {"SECRET_KEY": "swordfish", "URL": "redis://:swordfish@db", "B": "3", "NEW_KEY": "swordfish"})
    before, after = masked_change(old, edited.content, {"SECRET_KEY"}, edited.changed_keys)
    assert before == "SECRET_KEY=********\nURL=redis://********@db\nA=1\n# was ********, then ********\nB=2\n"
    assert after == (
        "SECRET_KEY=******** (changed)\nURL=redis://********@db (changed)\nA=1\n"
        "# was ********, then ********\nB=3\nNEW_KEY=******** (changed)\n"
    )


@settings(max_examples=500, deadline=None)
@given(st.integers(min_value=0), st.booleans(), st.booleans())
def test_no_secret_is_shown(seed: int, commented: bool, spans_lines: bool) -> None:
    choose = random.Random(seed)
    value = "s3kr1t" + random_value(choose).replace("\x00", "") + "s3kr1t"
    line = f"{choose.choice(['', 'export ', ' '])}{choose.choice(['API_KEY', 'GIVEN', 'dsn'])}"
    line += choose.choice(["=", " = ", "="]) + choose.choice(["{}", "'{}'", '"{}"', "{} # {}"]).replace("{}", value)
    if spans_lines and not commented:
        line = f"API_KEY='s3kr1t\nA=s3kr1t\n{'s3kr1t'}'"
    elif any(control in line for control in ("\n", "\r")):
        return  # what comes behind the line end would belong to no variable
    chunks = random_file(choose, nasty=False)
    # A file that ends without a line end gets one, else two lines become one.
    content = "".join(chunk if chunk.endswith("\n") or chunk == "\ufeff" else chunk + "\n" for chunk in chunks)
    content += ("# " if commented else "") + line + "\n"
    assert "s3kr1t" not in masked(content.encode("utf-8", "surrogateescape"), {"GIVEN"})


# --- The module. ---


@pytest.fixture
def env_file(tmp_path: Path) -> Path:
    path = tmp_path / ".env"
    path.write_bytes(EXAMPLE)
    path.chmod(0o640)
    return path


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ({"path": "{tmp}/none"}, "There is no file .*none.*template or create"),
        ({"path": "{tmp}/none", "template": "{tmp}/neither"}, "none nor the template .*neither"),
        ({"path": "{tmp}"}, "is a directory"),
        ({"path": "{tmp}/fifo"}, "not a regular file"),
        ({"path": "{tmp}/no/folder", "create": True}, "directory does not exist"),
        ({"path": "{tmp}/.env", "values": {"A": "1", "B": "2"}, "secret_values": {"A": "1"}}, "than one of .*: A"),
        ({"path": "{tmp}/.env", "values": {"A": "1"}, "absent": ["A"]}, "more than one of .*: A"),
        ({"path": "{tmp}/.env", "values": {"A": 1.5}}, "of A is a fractional number"),
        ({"path": "{tmp}/.env", "values": {"A": None}}, "A has no value"),
        ({"path": "{tmp}/.env", "values": {"A": ["hunter2"]}}, "of A is a list"),
        ({"path": "{tmp}/.env", "values": {"A-B": "hunter2"}}, "'A-B' cannot be the name"),
        ({"path": "{tmp}/.env", "absent": ["A B"]}, "'A B' cannot be the name"),
        ({"path": "{tmp}/.env", "secret_values": {"A": "hunter2\n"}}, "The value of A .*line break"),
    ],
)
def test_bad_input_has_its_own_sentence(args: dict[str, Any], says: str, env_file: Path) -> None:
    os.mkfifo(env_file.with_name("fifo"))
    filled = json.loads(json.dumps(args).replace("{tmp}", str(env_file.parent)))
    result = run_module("dotenv", filled)
    assert result["failed"]
    assert re.search(says, result["msg"])
    assert "hunter2" not in json.dumps(result)
    assert env_file.read_bytes() == EXAMPLE


def test_values_of_yaml_become_text(env_file: Path) -> None:
    given_values = {"USE_S3": True, "OFF": False, "PORT": 80, "TEXT": "True"}
    result = run_module("dotenv", {"path": str(env_file), "values": given_values})
    assert result["changed_keys"] == ["USE_S3", "OFF", "PORT", "TEXT"]
    settings_read = read(str(env_file))
    assert [settings_read[name] for name in given_values] == ["true", "false", "80", "True"]
    assert stat.S_IMODE(env_file.stat().st_mode) == 0o640
    assert not run_module("dotenv", {"path": str(env_file), "values": given_values})["changed"]


def test_a_backup_is_as_private_as_the_original(env_file: Path) -> None:
    result = run_module("dotenv", {"path": str(env_file), "values": {"A": "1"}, "backup": True})
    backup = Path(result["backup_file"])
    assert backup.parent == env_file.parent
    assert backup.read_bytes() == EXAMPLE
    assert stat.S_IMODE(backup.stat().st_mode) == 0o640
    again = run_module("dotenv", {"path": str(env_file), "values": {"A": "1"}, "backup": True})
    assert "backup_file" not in again


def test_a_file_from_a_template(env_file: Path) -> None:
    path = env_file.with_name("new.env")
    args = {"path": str(path), "template": str(env_file), "values": {"A": "1"}}
    assert run_module("dotenv", args, check=True)["changed"]
    assert not path.exists()
    assert run_module("dotenv", args)["changed"]
    assert path.read_bytes() == EXAMPLE + b"A=1\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not run_module("dotenv", args)["changed"]


def test_an_empty_file_is_created(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    result = run_module("dotenv", {"path": str(path), "create": True, "mode": "0644"}, diff=True)
    assert result["changed"]
    assert path.read_bytes() == b""
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_mode_alone_can_change(env_file: Path) -> None:
    args = {"path": str(env_file), "mode": "0600"}
    result = run_module("dotenv", args, check=True, diff=True)
    assert result["changed"]
    assert result["changed_keys"] == []
    assert stat.S_IMODE(env_file.stat().st_mode) == 0o640
    assert [part["after"] for part in result["diff"]][1] == {"mode": "0600"}
    assert run_module("dotenv", args)["changed"]
    assert stat.S_IMODE(env_file.stat().st_mode) == 0o600
    assert not run_module("dotenv", args)["changed"]


def test_check_mode_foretells_and_shows_the_same(env_file: Path) -> None:
    args = {"path": str(env_file), "values": {"USE_S3": True}, "secret_values": {"AWS_ACCESS_KEY_ID": "hunter22"}}
    foretold = run_module("dotenv", args, check=True, diff=True)
    assert env_file.read_bytes() == EXAMPLE
    done = run_module("dotenv", args, diff=True)
    for told in ("changed", "changed_keys", "diff"):
        assert foretold[told] == done[told]
    shown = foretold["diff"][0]
    assert shown["before"] == EXAMPLE.decode()
    assert "USE_S3=true\nAWS_ACCESS_KEY_ID=******** (changed)\n" in shown["after"]
    assert "hunter" not in json.dumps(foretold)


def collections_path() -> Optional[str]:
    """Where Ansible finds this collection: above a checkout in its place, or the link that `make setup` makes."""
    for folder in Path(__file__).absolute().parents:
        if folder.name == "ansible_collections":
            return str(folder.parent)
        if (folder / ".venv/collections/ansible_collections/selfhosted/media").exists():
            return str(folder / ".venv/collections")
    return None


@pytest.fixture
def ansible(tmp_path: Path) -> Iterator[Callable[..., tuple[int, str]]]:
    """Runs the module as a user does, by the command line, with everything shown."""
    command = Path(sys.executable).with_name("ansible")
    collections = collections_path()
    if not command.exists() or not collections:
        pytest.skip("no ansible command beside this Python, or no collections path")
    environment = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": collections,
        "ANSIBLE_LOCAL_TEMP": str(tmp_path / "local"),
        "ANSIBLE_REMOTE_TEMP": str(tmp_path / "remote"),
        "ANSIBLE_NOCOLOR": "1",
    }

    def run(args: dict[str, Any], *flags: str) -> tuple[int, str]:
        arguments = tmp_path / "arguments.json"
        arguments.write_text(json.dumps({"given": args}))
        from_variables = json.dumps({name: f"{{{{ given['{name}'] }}}}" for name in args})
        done = subprocess.run(
            [
                *(str(command), "localhost", "-m", "selfhosted.media.dotenv", "-a", from_variables),
                *("-e", f"@{arguments}", "-e", "ansible_python_interpreter={{ ansible_playbook_python }}"),
                *("-vvvv", "--diff", *flags),
            ],
            capture_output=True,
            text=True,
            env=environment,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    yield run


MARK = "m4rk3d"


def test_no_secret_in_any_output_of_ansible(env_file: Path, ansible: Callable[..., tuple[int, str]]) -> None:
    old = EXAMPLE.replace(b"KEY_ID=", f"KEY_ID=old-{MARK}\n# API_TOKEN=commented-{MARK}".encode())
    env_file.write_bytes(old)
    args = {
        "path": str(env_file),
        "values": {"USE_S3": True},
        "secret_values": {"AWS_ACCESS_KEY_ID": f"new-{MARK}", "HARMLESS_NAME": f"it's {MARK}"},
        "backup": True,
    }
    status, output = ansible(args, "--check")
    assert status == 0, output
    assert "+AWS_ACCESS_KEY_ID=******** (changed)" in output
    assert env_file.read_bytes() == old
    assert MARK not in output

    status, output = ansible(args)
    assert status == 0, output
    assert "localhost | CHANGED" in output
    assert "-AWS_ACCESS_KEY_ID=********\n" in output
    assert "+USE_S3=true" in output
    assert "+HARMLESS_NAME=******** (changed)" in output
    assert MARK not in output
    assert read(str(env_file))["HARMLESS_NAME"] == f"it's {MARK}"

    status, output = ansible(args)
    assert status == 0, output
    assert "localhost | SUCCESS" in output
    assert MARK not in output


def test_no_secret_in_a_failure_of_ansible(env_file: Path, ansible: Callable[..., tuple[int, str]]) -> None:
    args = {"path": str(env_file), "secret_values": {"EMAIL_PASS": f"{MARK}'s ${{X}}"}}
    status, output = ansible(args)
    assert status != 0
    assert "The value of EMAIL_PASS cannot be written" in output
    assert MARK not in output
    assert env_file.read_bytes() == EXAMPLE
