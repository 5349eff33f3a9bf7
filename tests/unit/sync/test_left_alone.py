# SPDX-License-Identifier: Apache-2.0
"""Which images the rules of leave_alone meet: the examples of docs/leave_alone.md, and what they leave out."""
from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from glancesync.conf.image_rules import parse_rules
from glancesync.model.image import Image
from glancesync.sync.left_alone import find_rule

PAGE = Path(__file__).parents[3] / "docs" / "leave_alone.md"


def image_of(text: str) -> Image:
    fields: dict[str, object] = {"id": "i", "status": "active", "properties": {}, "tags": frozenset()}
    for word in shlex.split(text):
        name, _, value = word.partition("=")
        if name.startswith("property:"):
            fields["properties"][name.removeprefix("property:")] = value  # type: ignore[index]
        elif name == "tag":
            fields["tags"] |= {value}  # type: ignore[operator]
        else:
            fields[name] = int(value) if name == "size" else value
    return Image(**fields)  # type: ignore[arg-type]


def examples() -> Iterator[tuple[str, str, bool]]:
    for block in re.findall(r"```text\nleave_alone = (.*?)```", PAGE.read_text(), re.DOTALL):
        rules, *images = block.strip().splitlines()
        yield from ((rules, image[2:], image[0] == "-") for image in images)


def test_the_page_has_examples_of_both_kinds() -> None:
    found = list(examples())
    assert len({rules for rules, _, _ in found}) == 3
    assert {left for _, _, left in found} == {True, False}


@pytest.mark.parametrize(("rules", "image", "left"), [
    *examples(),
    ("size>=10 size<=20", "size=10", True),
    ("size>=10 size<=20", "size=21", False),
    ("size<10", "name=queued", False),
    ("name!=a*", "visibility=public", True),
    ("name!=a*", "name=abc", False),
    ("name=[a]", "name=a", True),
    ("property:os!=linux", "property:os=linux", False),
    ("property:os", "property:other=os", False),
    ("disk_format=iso container_format=bare", "disk_format=iso container_format=bare", True),
    ("disk_format=iso container_format=bare", "disk_format=iso", False),
    ("tag=a tag=b", "tag=a tag=b", True),
    ("tag=a tag=b", "tag=a", False),
    ("name='a;b'", "'name=a;b'", True),
    ("name=a;name=b", "name=b", True),
    ("name=a;\n  name=b;", "name=b", True),
    ("name=#1", "'name=#1'", True),
])
def test_rules(rules: str, image: str, left: bool) -> None:
    assert (find_rule(image_of(image), parse_rules(rules)) is not None) is left


def test_without_rules_none_is() -> None:
    assert find_rule(image_of("name=any"), None) is None


def test_the_rule_that_is_met_is_told() -> None:
    rule = find_rule(image_of("name=b"), parse_rules("name=a; name=b"))
    assert rule is not None
    assert rule.text == "name=b"
