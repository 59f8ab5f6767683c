# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compose files by chance, values that are hard to write, and a reader that knows nothing of the editor's code."""

from __future__ import annotations

import random
from typing import Any, Optional

import yaml

NAMES = ["HOST", "PORT", "TREE_NAME", "NO", "APP__broker_url", "SECRET_KEY", "Y", "_private"]
NEW_NAMES = ["AWS_ACCESS_KEY_ID", "MEDIA_BASE_DIR", "ON"]

NASTY = [
    *("", " ", "  led", "trailed  ", "\ttab\t", "true", "False", "null", "~", "NO", "y", "1e3", "0x1F", "010", "1_000"),
    *(
        "1.50",
        "12:30:45",
        "2020-01-01",
        ".inf",
        "-",
        "- a",
        "-1",
        "=",
        "<<",
        "?",
        "? x",
        ":",
        ": ",
        "a: b",
        "a:b",
        "a #b",
    ),
    *(
        "#",
        "%",
        "%YAML",
        "@at",
        "`tick`",
        "!tag",
        "!!str x",
        "&anchor",
        "*alias",
        "|",
        ">",
        "{a: b}",
        "[a, b]",
        "}",
        "]",
    ),
    *(",", "a, b", "'", "''", '"', '""', "it's", 'say "x"', "\\", "\\n", "\\\\", "a\\", "$", "$$", "$HOST", "${HOST}"),
    *(
        "$$$",
        "a$b$$c",
        "${HOST:-x}",
        "p$$w0rd$",
        "é",
        "ünï",
        "日本",
        "😀",
        "\xa0",
        "\u2028",
        "\ufeff",
        "\x85",
        "\u200b",
    ),
    *(
        "s3://bucket/pre/fix",
        "redis://:p@ss:w#rd@host:6379/0",
        "a" * 300,
        "x y " * 80,
        "---",
        "...",
        "--- a",
        "key=value",
    ),
    *(
        "http://minio:9000",
        "//",
        "/",
        "a/",
        ".",
        "..",
        "+",
        "1",
        "0",
        "-0",
        "00",
        "1.0",
        "1.2.3.4",
        "a:",
        "a: ",
        " #",
        "a\t#b",
    ),
]
_SIGNS = "abcXYZ019 '\"\\$#:{}[],&*!|>%@`-?=~/.\t_é日"


def any_value(choose: random.Random) -> str:
    if choose.random() < 0.5:
        return choose.choice(NASTY)
    return "".join(choose.choice(_SIGNS) for _sign in range(choose.randint(1, 24)))


def written_value(choose: random.Random, name: str, lines: Optional[str] = None) -> str:
    """A value as people write them; `lines` is the indentation of a block scalar where one may stand."""
    spellings = [
        "plain",
        '"double"',
        "'sin''gle'",
        "3",
        "true",
        "1.50",
        "",
        "~",
        "a b c",
        "redis://h:6379/0",
        "${OTHER}",
    ]
    spellings += ['"${OTHER:-x} $$y"', '"esc\\"aped \\\\ #x"', "s3://bucket", "!!str 7"]
    if lines is not None:
        spellings += [f"|\n{lines}{name} in a block\n{lines}{name} goes on", f">-\n{lines}{name} is folded"]
    return choose.choice(spellings)


def comment(choose: random.Random) -> str:
    return choose.choice(["", "", "", "  # a remark: with 'quotes' {and} more", " # TODO"])


class File:
    """The lines of a compose file by chance."""

    def __init__(self, choose: random.Random) -> None:
        self.choose = choose
        self.step = choose.choice(["  ", "    "])
        self.anchors: list[str] = []
        self.service_anchors: list[str] = []
        self.services = [f"svc{number}" for number in range(choose.randint(1, 4))]
        self.lines: list[str] = []

    def text(self) -> str:
        choose = self.choose
        if choose.random() < 0.3:
            self.lines += ["---", "# generated"]
        for number in range(choose.randint(0, 2)):
            self._shared(f"common{number}")
        self.lines += ["services:" + comment(choose)]
        for service in self.services:
            self._service(service)
            if choose.random() < 0.4:
                self.lines.append(choose.choice(["", f"{self.step}# between services", "# at the edge"]))
        self.lines += ["", "volumes:", f"{self.step}data:", f"{self.step}more: {{}}"]
        if choose.random() < 0.5:
            self.lines = self._services_last()
        end = choose.choice(["", "\n", "\n\n", "\n# the end"])
        # A block scalar at the very end has a line end the less; nothing can come behind it without adding that.
        block = self.lines[-1].strip().endswith(("goes on", "# no comment"))
        return "\n".join(self.lines) + (end or "\n" * block)

    def _services_last(self) -> list[str]:
        at = self.lines.index("volumes:")
        return [line for line in self.lines[:at] if line] if self.choose.random() < 0.5 else self.lines

    def _shared(self, name: str) -> None:
        self.lines.append(f"x-{name}: &{name}{comment(self.choose)}")
        self._map(self.step, "")
        self.anchors.append(name)

    def _names(self) -> list[str]:
        return self.choose.sample(NAMES, self.choose.randint(1, 5))

    def _map(self, indent: str, merge: str) -> None:
        choose = self.choose
        body = []
        for name in self._names():
            value = written_value(choose, name, lines=indent + self.step)
            key = f'"{name}"' if name in ("NO", "Y") or choose.random() < 0.1 else name
            tail = "" if "\n" in value else comment(choose)
            body += f"{indent}{key}: {value}{tail}".replace(": \n", ":\n").split("\n")
            if choose.random() < 0.2:
                body.append(choose.choice(["", f"{indent}# a comment about nothing", "# at the edge, SECRET_KEY: old"]))
        if merge:
            at = choose.choice([0, len(body)])
            body[at:at] = [f"{indent}<<: {merge}"]
        self.lines += body

    def _list(self, indent: str) -> None:
        for name in self._names():
            value = self.choose.choice(["=plain", "=", "", "=a b", "=${OTHER}", "=true", "=x=y", "=a $$b"])
            item = f"{name}{value}"
            quote = self.choose.choice(["", "", "'", '"'])
            plain_null = item in ("NO", "Y")
            quote = quote or ("'" if plain_null else "")
            self.lines.append(f"{indent}- {quote}{item}{quote}{comment(self.choose)}")

    def _flow_map(self) -> str:
        parts = [f'"{name}": {self.choose.choice(["x", "", "3", "q w", repr("s,q")])}' for name in self._names()]
        if self.anchors and self.choose.random() < 0.3:
            parts.insert(0, f"<<: *{self.choose.choice(self.anchors)}")
        return "{" + ", ".join(parts) + self.choose.choice(["", " ", ","]) + "}"

    def _service(self, service: str) -> None:
        choose, indent = self.choose, self.step * 2
        anchored = choose.random() < 0.5
        self.lines.append(f"{self.step}{service}:{f' &{service}' if anchored else ''}{comment(choose)}")
        if self.service_anchors and choose.random() < 0.5:
            self.lines.append(f"{indent}<<: *{choose.choice(self.service_anchors)}  # the whole service")
        self.lines.append(f"{indent}image: example/{service}{comment(choose)}")
        self._environment(service, indent)
        if choose.random() < 0.6:
            self.lines += [f"{indent}volumes:", f"{indent}- data:/data", f"{indent}- ./x:/x  # SECRET_KEY"]
        if choose.random() < 0.3:
            self.lines += [f"{indent}command: |", f"{indent}{self.step}run", "", f"{indent}{self.step}# no comment"]
        if anchored:
            self.service_anchors.append(service)

    def _environment(self, service: str, indent: str) -> None:
        choose = self.choose
        form = choose.choice(
            ["none", "empty", "map", "map", "anchored", "list", "list-flat", "flow", "flow-list", "alias", "merge"]
        )
        if form in ("alias", "merge") and not self.anchors:
            form = "map"
        head = f"{indent}environment:"
        if form == "empty":
            self.lines.append(head + choose.choice(["", " {}", " []", " ~", "  # none yet"]))
        elif form in ("map", "anchored"):
            name = f"env-{service}"
            self.lines.append(head + (f" &{name}" if form == "anchored" else "") + comment(choose))
            self._map(indent + self.step, "")
            if form == "anchored":
                self.anchors.append(name)
        elif form == "merge":
            self.lines.append(head + comment(choose))
            sources = [f"*{name}" for name in choose.sample(self.anchors, choose.randint(1, len(self.anchors)))]
            self._map(indent + self.step, sources[0] if len(sources) == 1 else f"[{', '.join(sources)}]")
        elif form in ("list", "list-flat"):
            self.lines.append(head + comment(choose))
            self._list(indent + (self.step if form == "list" else ""))
        elif form == "flow":
            self.lines.append(f"{head} {self._flow_map()}{comment(choose)}")
        elif form == "flow-list":
            self.lines.append(f"{head} [{', '.join(f'{name}=v' for name in self._names())}]{comment(choose)}")
        elif form == "alias":
            self.lines.append(f"{head} *{choose.choice(self.anchors)}{comment(choose)}")


def any_file(choose: random.Random) -> tuple[bytes, list[str]]:
    """A file and the names of its services."""
    file = File(choose)
    text = file.text()
    if choose.random() < 0.3:
        text = text.replace("\n", "\r\n")
    if choose.random() < 0.1:
        text = "\ufeff" + text
    return text.encode(), file.services


def loaded(content: bytes) -> Any:
    """The document as PyYAML resolves it."""
    return yaml.safe_load(content.decode("utf-8-sig"))


def environments(document: Any) -> dict[str, dict[str, Any]]:
    """The environment of each service, taken out of the document; a list as a map."""
    found = {}
    for name, service in document["services"].items():
        given = service.get("environment")
        if isinstance(given, list):
            pairs = [str(item).partition("=") for item in given]
            given = {key: value if equals else None for key, equals, value in pairs}
        found[name] = dict(given or {})
    return found


def rest(document: Any) -> Any:
    """What is no environment: of the services, and of extension fields their names."""
    services = {
        name: {key: value for key, value in service.items() if key != "environment"}
        for name, service in document["services"].items()
    }
    others = {key: None if key.startswith("x-") else value for key, value in document.items() if key != "services"}
    return services, others
