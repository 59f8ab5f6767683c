# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Editing the environment of services in a compose file: every way in which people write it, and every way to be wrong."""

from __future__ import annotations

import re
from typing import Optional

import pytest
from ansible_collections.selfhosted.media.plugins.module_utils._compose.editing import (
    edit,
    env_files_of,
    environment_of,
    services_in,
)
from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError

#: Celery takes the whole service over.
WHOLE = """\
# Family tree
services:
  web: &web
    image: example/web:latest   # the newest
    ports:
      - "80:5000"  # host:container
    environment:
      TREE: "Family"  # made at the first start
      BROKER_URL: 'redis://redis:6379/0'
      # WORKERS: 8 # each takes memory
    volumes:
      - media:/app/media  # pictures

  celery:
    <<: *web  # everything of web
    ports: []
    command: celery worker

  redis:
    image: example/redis

volumes:
  media:
"""

#: Celery has an environment of its own that merges the other.
NESTED = """\
services:
  web: &web
    image: example/web
    environment: &web-env
      TREE: "Family"
      VIRTUAL_HOST: tree.example.org  # for the proxy
    networks: [proxy]

  celery:
    <<: *web
    environment:
      <<: *web-env  # what web has
      # not exposed
      VIRTUAL_HOST: ""
    command: celery worker
"""

ALIASED = """\
x-env: &env
    TREE: Family
services:
    web:
        environment: *env  # shared
    celery:
        environment: *env
    other: {environment: *env, image: x}
"""


def changed(before: str, services: list[str], values: dict[str, str], absent: Optional[list[str]] = None) -> str:
    """The text after the edit, which a second one must leave alone."""
    edited = edit(before.encode(), services, values, absent or [])
    again = edit(edited.content, services, values, absent or [])
    assert (again.content, again.changed_keys) == (edited.content, [])
    return edited.content.decode()


def test_a_service_that_is_merged_whole_is_not_written_twice() -> None:
    for services in (["web", "celery"], ["celery", "web"]):
        after = changed(WHOLE, services, {"TREE": "Ours", "MEDIA": "s3://media"})
        assert after == WHOLE.replace('"Family"', '"Ours"').replace(
            "redis:6379/0'\n", "redis:6379/0'\n      MEDIA: s3://media\n"
        )
        assert environment_of(after.encode(), "celery") == environment_of(after.encode(), "web")


@pytest.mark.parametrize(("named", "other"), [("web", "celery"), ("celery", "web")])
def test_a_service_that_was_not_named_is_never_changed_with_another(named: str, other: str) -> None:
    with pytest.raises(
        MediaError, match=f"MEDIA of {named} cannot be changed alone: .*line 8.*Name {other} in services"
    ):
        edit(WHOLE.encode(), [named], {"MEDIA": "s3://media"})


def test_a_merged_environment_is_written_where_both_have_it_from() -> None:
    after = changed(NESTED, ["web", "celery"], {"MEDIA": "s3://media"})
    assert after == NESTED.replace("for the proxy\n", "for the proxy\n      MEDIA: s3://media\n")


def test_a_service_alone_gets_its_own_entry_over_the_merged_one() -> None:
    after = changed(NESTED, ["celery"], {"TREE": "Ours", "VIRTUAL_HOST": "x"})
    assert after == NESTED.replace('HOST: ""\n', 'HOST: "x"\n      TREE: Ours\n')


def test_an_override_that_is_in_the_way_is_changed_too() -> None:
    after = changed(NESTED, ["web", "celery"], {"VIRTUAL_HOST": "new.example.org"})
    assert after == NESTED.replace("tree.example.org", "new.example.org").replace('""', '"new.example.org"')


def test_an_alias_of_all_named_services_is_followed() -> None:
    after = changed(ALIASED, ["web", "celery", "other"], {"MEDIA": "s3://media"})
    assert after == ALIASED.replace("TREE: Family\n", "TREE: Family\n    MEDIA: s3://media\n")


def test_an_alias_that_others_share_becomes_a_map() -> None:
    after = changed(ALIASED, ["web", "other"], {"MEDIA": "s3://media", "A": "1"})
    assert after == ALIASED.replace(
        "environment: *env  # shared\n",
        'environment:  # shared\n            <<: *env\n            MEDIA: s3://media\n            A: "1"\n',
    ).replace("{environment: *env,", '{environment: {<<: *env, MEDIA: "s3://media", A: "1"},')


def test_an_environment_of_a_merged_service_is_merged_again_where_it_has_an_anchor() -> None:
    before = (
        "x-env: &env\n  A: b\nx-service: &service\n  environment: *env\nservices:\n  web:\n    <<: *service\n"
        "  other:\n    <<: *service\n"
    )
    after = changed(before, ["web"], {"MEDIA": "x"})
    assert after == before.replace(
        "  web:\n    <<: *service\n",
        "  web:\n    <<: *service\n    environment:\n      <<: *env\n      MEDIA: x\n",
    )


def test_an_environment_that_replaces_a_merged_one_does_not_inherit() -> None:
    """Merge keys do not merge the maps within."""
    before = (
        "services:\n  web: &web\n    environment:\n      A: b\n  celery:\n    <<: *web\n    environment:\n      C: d\n"
    )
    assert environment_of(before.encode(), "celery") == {"C": "d"}
    after = changed(before, ["web", "celery"], {"MEDIA": "x"})
    assert after == before.replace("A: b\n", "A: b\n      MEDIA: x\n").replace("C: d\n", "C: d\n      MEDIA: x\n")


def test_extends_within_the_file_is_inherited() -> None:
    before = "services:\n  web:\n    environment:\n      A: b\n  celery:\n    extends:\n      service: web\n    environment: [C=d]\n"
    assert environment_of(before.encode(), "celery") == {"A": "b", "C": "d"}
    assert changed(before, ["web", "celery"], {"E": "f"}) == before.replace("A: b\n", "A: b\n      E: f\n")
    assert changed(before, ["celery"], {"E": "f", "A": "x"}) == before.replace("[C=d]", "[C=d, E=f, A=x]")


FORMS = [
    ("environment:\n      A: b", "environment:\n      A: b\n      M: x y"),
    ("environment:\n      - A=b", 'environment:\n      - A=b\n      - "M=x y"'),
    ("environment:\n    -   A", 'environment:\n    -   A\n    -   "M=x y"'),
    ("environment: {A: b}", 'environment: {A: b, M: "x y"}'),
    ("environment: {A: b, }", 'environment: {A: b, M: "x y", }'),
    ("environment: [A=b]", 'environment: [A=b, "M=x y"]'),
    (
        "environment: {\n      A: b,\n      C: d # e\n    }",
        'environment: {\n      A: b,\n      C: d,\n      M: "x y" # e\n    }',
    ),
    ("environment: {}", 'environment: {M: "x y"}'),
    ("environment: []", 'environment: ["M=x y"]'),
    ("environment: ~", 'environment: {M: "x y"}'),
    ("environment:", 'environment:\n      M: "x y"'),
    ("environment: # none\n      # M: y", 'environment: # none\n      M: "x y"\n      # M: y'),
    ("environment:\n      M: old # why", 'environment:\n      M: "x y" # why'),
    ("environment:\n      M: 'old'", "environment:\n      M: 'x y'"),
    ("environment:\n      M:", 'environment:\n      M: "x y"'),
    ("environment:\n      M: # none", 'environment:\n      M: "x y" # none'),
    ("environment: {M, A: b}", 'environment: {M: "x y", A: b}'),
    ("environment:\n      M: |\n        old\n        lines\n      A: b", 'environment:\n      M: "x y"\n      A: b'),
    (
        "environment:\n      M: >-\n        old\n\n      # c\n      A: b",
        'environment:\n      M: "x y"\n\n      # c\n      A: b',
    ),
    ("environment:\n      - M", 'environment:\n      - "M=x y"'),
    ("environment:\n      - 'M=old' # why", "environment:\n      - 'M=x y' # why"),
    ("environment:\n      - M=1\n      - A=b\n      - M=2", 'environment:\n      - A=b\n      - "M=x y"'),
    ("environment: [M=1, M=2, M=3]", 'environment: ["M=x y"]'),
    (
        "environment:\n      A: |+\n        keep\n\n    tty: true",
        'environment:\n      A: |+\n        keep\n\n      M: "x y"\n    tty: true',
    ),
]


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("bom", ["", "\ufeff"])
@pytest.mark.parametrize(("before", "after"), FORMS)
def test_every_form_is_written_as_it_is(before: str, after: str, line_end: str, bom: str) -> None:
    after = after.replace("M: x y", 'M: "x y"')
    for tail in ("\n    image: x # last\n", "\n", "\n\n# end"):
        files = [f"{bom}services:\n  a:\n    {part}{tail}".replace("\n", line_end) for part in (before, after)]
        assert changed(files[0], ["a"], {"M": "x y"}) == files[1]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("environment:\n      M: x # c\n      A: b", "environment:\n      A: b"),
        ("environment:\n      # above\n      M: x\n      # below", "environment: {}\n      # above\n      # below"),
        ("environment:\n      - M=1\n      - M", "environment: []"),
        ("environment: &e\n      M: x", "environment: &e {}"),
        ("environment: {M: x}", "environment: {}"),
        ("environment: {M: x, A: b}", "environment: {A: b}"),
        ("environment: {A: b, M: x}", "environment: {A: b}"),
        ("environment: [A, M=, B]", "environment: [A, B]"),
        (
            "environment: {\n      A: b, # b\n      M: x # x\n    }",
            "environment: {\n      A: b, # b\n       # x\n    }",
        ),
        ("environment:\n      M: |\n        x\n        y\n      A: b", "environment:\n      A: b"),
        ("environment:\n      A: b", "environment:\n      A: b"),
        ("image: x", "image: x"),
    ],
)
def test_every_form_of_removal(before: str, after: str) -> None:
    for tail in ("\n    tty: true\n", "\n", ""):
        files = [f"services:\n  a:\n    {part}{tail}" for part in (before, after)]
        assert changed(files[0], ["a"], {}, ["M"]) == files[1]


def test_a_removed_override_takes_the_merged_one_with_it() -> None:
    after = changed(NESTED, ["web", "celery"], {}, ["VIRTUAL_HOST"])
    assert after == NESTED.replace("      VIRTUAL_HOST: tree.example.org  # for the proxy\n", "").replace(
        '      VIRTUAL_HOST: ""\n', ""
    )
    with pytest.raises(MediaError, match="of celery cannot be changed alone"):
        edit(NESTED.encode(), ["celery"], {}, ["VIRTUAL_HOST"])


def test_a_new_environment_is_indented_as_the_file_is() -> None:
    before = (
        "services:\n    web: &web\n        image: x\n        ports:\n        - 80:80 # p\n    celery: *web\n# end\n"
    )
    assert changed(before, ["celery", "web"], {"M": "x"}) == before.replace(
        "# p\n", "# p\n        environment:\n            M: x\n"
    )
    assert changed("services: {a: {image: x}}", ["a"], {"M": "x"}) == "services: {a: {image: x, environment: {M: x}}}"


def test_a_value_that_already_reads_so_is_left_as_it_is() -> None:
    before = (
        "services:\n  a:\n    environment:\n      A: 3\n      B: true\n      C: 'x'\n      D: \"\\x41\"\n      E: !!str 7\n"
        "      F: a b\n      G: 127.0.0.1\n      H: >-\n        folded\n        text\n      I: $$5\n"
    )
    values = {
        "A": "3",
        "B": "true",
        "C": "x",
        "D": "A",
        "E": "7",
        "F": "a b",
        "G": "127.0.0.1",
        "H": "folded text",
        "I": "$5",
    }
    assert environment_of(before.encode(), "a") == values
    assert changed(before, ["a"], values) == before


@pytest.mark.parametrize(
    "written", ["yes", "1.50", "0x1F", "010", "1_000", "12:30", "2020-01-01", "True", "1e3", "Null"]
)
def test_what_readers_take_differently_is_quoted(written: str) -> None:
    after = changed(f"services: {{a: {{environment: {{A: {written}}}}}}}", ["a"], {"A": written})
    assert after == f'services: {{a: {{environment: {{A: "{written}"}}}}}}'


def test_interpolation_is_returned_as_written_and_kept() -> None:
    before = "services:\n  a:\n    environment:\n      A: ${HOST:-x}$$\n      B: $HOST\n      C: p$$w\n      D:\n"
    assert environment_of(before.encode(), "a") == {"A": "${HOST:-x}$$", "B": "$HOST", "C": "p$w", "D": None}
    assert changed(before, ["a"], {"B": "$HOST"}) == before.replace("B: $HOST", 'B: "$$HOST"')


def test_services_and_their_env_files() -> None:
    text = b"""\
x-base: &base {env_file: [common.env]}
services:
  a: {env_file: .env}
  b: {env_file: [one.env, {path: ./two.env, required: false}], extends: a}
  c: {<<: *base}
  d: {env_file: }
"""
    assert services_in(text) == ["a", "b", "c", "d"]
    found = {name: env_files_of(text, name) for name in services_in(text)}
    assert found == {"a": [".env"], "b": [".env", "one.env", "./two.env"], "c": ["common.env"], "d": []}


A = "services:\n  a:\n    environment:\n      "


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "file is empty"),
        ("# nothing\n", "file is empty"),
        ("- a\n", "top level of the file is a list"),
        ("a: b\n", "no services"),
        ("services:\n", "Line 1: services is no map"),
        ("include: [x.yml]\nservices: {b: {}}\n", "no service a in the file; there are: b.* Line 1 includes"),
        ("services: {b: {}, c: {}}", "There is no service a in the file; there are: b, c"),
        ("services:\n  a: text\n", "Line 2: the service a is a single value"),
        ("services:\n  a:\n", "Line 2: the service a is a single value"),
        ("services:\n  a:\n    environment: text\n", "Line 3: environment of a is a single value"),
        (A + "X: [1]\n", "Line 4: the value of X is a list"),
        (A + "- {X: y}\n", "Line 4: an entry of environment is a map"),
        (A + "<<: text\n", "Line 4: what is merged by << has to be a map"),
        (A + "X: 1\n      Y: 2\n      X: 3\n", "Line 6: X stands in the same map a second time, first in line 4"),
        ("services:\n  a: {}\n  a: {}\n", "Line 3: a stands .* second time, first in line 2"),
        ("services: {a: {}}\n---\nservices: {a: {}}\n", "Line 2 starts a second document"),
        ("services:\n  a:\n\tenvironment:\n", r"Line 3, column 1 is not valid YAML: found character '\\t'"),
        ("services:\n  a: 'x\n", "Line 3, column 1 is not valid YAML: .*unexpected end"),
        ("services:\n  a: *none\n", r"Line 2 refers to \*none, but nothing"),
        ("services:\n  a: &a {b: *a}\n", r"Line 2 refers to \*a within &a itself"),
        ("services:\n  a: \x01\n", "Line 2 holds a character"),
        ("services:\n  a: {extends: {file: base.yml, service: b}}\n", "Line 2: a extends a service of base.yml"),
        ("services:\n  a: {extends: b}\n", "Line 2: a extends b, which is not in the file"),
        ("services:\n  a: !x {}\n", "Line 2: a carries the YAML tag !x"),
        (
            "services:\n  a: {environment: !override {X: y}}\n",
            "Line 2: environment of a carries the YAML tag !override",
        ),
        (A + "X: !reset null\n", "Line 4: X carries the YAML tag !reset"),
        (
            A + "M: &m old\n  b: {environment: {N: *m}}\n",
            "Line 4: the value of M has the anchor &m, which line 5 refers to",
        ),
        (
            "x: &e [A=b]\nservices: {a: {environment: *e}, b: {environment: *e}}",
            "M of a cannot be changed alone: .*Name b",
        ),
    ],
)
def test_what_is_wrong_has_its_own_sentence(content: str, says: str) -> None:
    with pytest.raises(MediaError, match=says):
        edit(content.encode(), ["a"], {"M": "hunter2-hunter2"})


def test_other_encodings_are_refused_with_their_line() -> None:
    with pytest.raises(MediaError, match="Line 2 is not UTF-8"):
        edit("services:\n  # caf\xe9\n  a: {}\n".encode("latin-1"), ["a"], {})
    with pytest.raises(MediaError, match="Line 1 is not UTF-8"):
        edit("services: {a: {}}".encode("utf-16"), ["a"], {})


@pytest.mark.parametrize("value", ["two\nlines", "re\rturn", "\x00", "\x1b[0m", "\ud800"])
def test_a_value_that_cannot_be_written_is_refused_without_being_shown(value: str) -> None:
    with pytest.raises(MediaError, match="The value of M cannot be written") as caught:
        edit(b"services: {a: {}}", ["a"], {"M": f"hunter2{value}"})
    assert "hunter2" not in str(caught.value)


def test_names_and_requests_are_looked_at_first() -> None:
    with pytest.raises(MediaError, match="'A B' cannot be the name"):
        edit(b"services: {a: {}}", ["a"], {}, ["A B"])
    with pytest.raises(MediaError, match="To be set and to be absent at once: A"):
        edit(b"services: {a: {}}", ["a"], {"A": "1"}, ["A"])
    with pytest.raises(MediaError, match="at least one service"):
        edit(b"services: {a: {}}", [], {"A": "1"})


def test_tags_elsewhere_do_not_matter() -> None:
    before = "services:\n  a:\n    ports: !override [1:1]\n  b:\n    environment: !reset null\n"
    assert changed(before, ["a"], {"M": "x"}) == before.replace("1:1]\n", "1:1]\n    environment:\n      M: x\n")


def test_what_cannot_be_done_safely_is_not_done() -> None:
    """The value at the end has no line end, and would get one."""
    before = A + "X: |\n        text"
    with pytest.raises(MediaError, match=re.escape("M cannot be changed there (something else would change with it)")):
        edit(before.encode(), ["a"], {"M": "x"})
