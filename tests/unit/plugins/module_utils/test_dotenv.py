# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""dotenv: how values are written, what becomes of a file, how one is read and shown. Generated files: test_dotenv_generated.py."""

from __future__ import annotations

import io
import os
import random
import re
from pathlib import Path
from unittest import mock

import dotenv as python_dotenv
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
from ansible_collections.selfhosted.media.plugins.module_utils._dotenv.reading import pieces
from ansible_collections.selfhosted.media.tests import dotenv_readers
from ansible_collections.selfhosted.media.tests.unit.dotenv_files import random_file, random_value
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

# --- How values are written. ---


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
        (b"A=1\n\xef\xbb\xbfA=1\nA=2\n", {"A": "x"}, [], b"\n\xef\xbb\xbfA=1\nA=x\n"),
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
        (b"B=1\nA='x\nB=2\n'y\n", {"A": "1"}, "Line 2 .*and A stands in it"),
        # bash ends the value at the first line's end, environs at the third's
        (b"X='C:\\'\nexport A=1\n# it's\n", {"A": "2"}, "Line 1 .*and A stands in it"),
        (b"X='C:\\'\nexport A=1\n# it's\n", {"C": "2"}, "Line 1 .*and C stands in it"),
    ],
)
def test_files_in_which_a_line_would_not_be_seen_are_refused(content: bytes, values: dict[str, str], says: str) -> None:
    with pytest.raises(DotenvError, match=says):
        edit(content, values)


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


OF_TODAY = python_dotenv.dotenv_values(stream=io.StringIO("A= # c")) == {"A": ""}


@pytest.mark.skipif(not OF_TODAY, reason="this python-dotenv takes a comment for the value, which newer ones do not")
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


@pytest.mark.skipif(dotenv_readers.systemd_library()[0] is None, reason="no libsystemd-shared on this machine")
@settings(max_examples=1000, deadline=None, suppress_health_check=list(HealthCheck))
@given(TEXTS)
@example("# c \\\nA=1")
@example("A='a' \"b\" c\\\n d ")
def test_the_model_of_systemd_is_right(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    if dotenv_readers.systemd_library()[1] >= 254 and re.search(r"[#;][^\n]*\\", text):
        return  # since then a comment ends where its line ends; the model is the older one, which is stricter
    path = tmp_path_factory.getbasetemp() / "systemd.env"
    path.write_bytes(text.encode())
    # An empty name never gets from the parser into a unit's environment.
    assert systemd.parse(text) == {
        name: value for name, value in (dotenv_readers.by_systemd([path])[0] or {}).items() if name
    }


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
