# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Generated values and `.env` files, for the tests of dotenv."""

from __future__ import annotations

import random

from ansible_collections.selfhosted.media.plugins.module_utils._dotenv import DotenvValueError, encode

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


#: What no editor writes, but what a tool, a copy from a page or a broken disk may leave in a file.
ODD_LINES = [
    *(
        "A=1\x00",
        "\x00",
        "# \x00",
        "X=\x01\x1b[31m",
        "A=\u3000x",
        "B=a\u2003b",
        "C=\x85",
        "X=\u2028A=1",
        "\ufeffA=1",
        "\u200bB=1",
    ),
    *(
        "X=a\\\\\\",
        "# c \\\\\\",
        "A=1\\\nB=2",
        "X='a\\\nb'",
        'X="a\\\nA=1"',
        "A=1\rB=2",
        "\r",
        "X='\r'",
        "export A B",
        "A=1;B=2",
        "B=1&&A=2",
    ),
    *("# " + "z" * 3_000, "X=" + "y" * 3_000, 'X="' + "y z" * 1_500 + '"', "A=" + "1" * 800),
]


def random_file(choose: random.Random, nasty: bool = False) -> list[str]:
    """The pieces of a file, each with its line end; one of them may be a statement over several lines."""
    ends = ["\n", "\n", "\n", "\r\n"]
    end = choose.choice(ends)
    mixed = choose.random() < 0.1
    lines = LINES + NASTY_LINES * 2 if nasty else LINES
    odd = nasty and choose.random() < 0.2
    count = choose.randrange(500, 2000) if choose.random() < 0.0005 else choose.randrange(12)
    chunks = []
    for _number in range(count):
        end = choose.choice(ends) if mixed else end
        line = choose.choice(ODD_LINES if odd and choose.random() < 0.2 else lines)
        chunks.append(line.replace("\n", end) + end)
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
