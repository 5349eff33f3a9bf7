# SPDX-License-Identifier: Apache-2.0
"""Rules about images, as they are written in `leave_alone` and in the filters of comparisons:
`visibility=private size>50GiB; name="tmp *"`.

Rules are separated by `;`, the conditions of one by blanks. Parsed here, when the configuration or a
request is read; whether an image meets one says sync.image_rules.
"""
from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field
from typing import Any

from oslo_config import types
from oslo_utils import strutils

ALLOWED = ("rules separated by ;, each of conditions separated by blanks: name=, owner=, tag=, visibility=, "
           "disk_format=, container_format= or property:KEY= with = or != and a text (* and ? stand for others), "
           "property:KEY alone, size with <, <=, > or >= and a number of bytes or one like 50GiB")
TEXT_FIELDS = ("name", "owner", "tag", "visibility", "disk_format", "container_format")
_VISIBILITIES = ("public", "private", "shared", "community")
_NEEDS_QUOTES = re.compile(r"[\s;\\'\"]")
_CONDITION = re.compile(r"(?P<name>[a-z_]+|property:[^=!<>]+)(?:(?P<operator>!=|<=|>=|=|<|>)(?P<text>.+))?", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Condition:
    """`name` is one of TEXT_FIELDS, `size` or `property`, whose `key` is then set. `text` is a pattern, None for a
    property that only has to be there; `size` is in bytes."""

    name: str
    operator: str = "="
    text: str | None = None
    size: int = 0
    key: str = ""


@dataclass(frozen=True, kw_only=True)
class ImageRule:
    """An image that meets all the conditions is meant. `text` is how the rule was written."""

    conditions: tuple[Condition, ...]
    text: str = field(compare=False)


@dataclass(frozen=True, kw_only=True)
class ImageRules:
    """All rules; shown as they were written."""

    rules: tuple[ImageRule, ...]

    def __str__(self) -> str:
        return "; ".join(rule.text for rule in self.rules)


class ImageRulesType(types.ConfigType):
    """oslo.config's type of an option that holds rules."""

    allowed = ALLOWED

    def __init__(self) -> None:
        super().__init__(type_name="rules about images")

    def __call__(self, value: Any) -> ImageRules:
        """Raises ValueError naming the condition that is none."""
        return value if isinstance(value, ImageRules) else parse_rules(str(value))

    def _formatter(self, value: Any) -> str:
        return str(value)


def parse_rules(text: str) -> ImageRules:
    """Raises ValueError naming the condition that is none, also for a rule without any: it would meet every image."""
    lexer = shlex.shlex(text, posix=True, punctuation_chars=";")
    lexer.whitespace_split, lexer.commenters = True, ""
    rules: list[list[str]] = [[]]
    for word in lexer:
        if word.strip(";"):
            rules[-1].append(word)
        else:
            rules.extend([] for _ in word)
    if not rules[-1] and len(rules) > 1:
        rules.pop()  # a ; at the end
    return ImageRules(rules=tuple(_rule(words) for words in rules))


def _rule(words: list[str]) -> ImageRule:
    if not words:
        raise ValueError("a rule without conditions")
    return ImageRule(conditions=tuple(_condition(word) for word in words), text=" ".join(map(_quoted, words)))


def _quoted(word: str) -> str:
    return shlex.quote(word) if _NEEDS_QUOTES.search(word) else word


def _condition(word: str) -> Condition:
    found = _CONDITION.fullmatch(word)
    if found is None:
        raise ValueError(f"{word!r} is no condition")
    name, operator, text = found["name"], found["operator"], found["text"]
    if name == "size" and operator in ("<", "<=", ">", ">="):
        return Condition(name="size", operator=operator, size=_bytes(word, text))
    key = name.removeprefix("property:")
    if key != name and operator in (None, "=", "!="):
        return Condition(name="property", key=key, operator=operator or "=", text=text)
    if name not in TEXT_FIELDS or operator not in ("=", "!="):
        raise ValueError(f"{word!r} is no condition")
    if name == "visibility" and text not in _VISIBILITIES:
        raise ValueError(f"{word!r}: visibility is one of {', '.join(_VISIBILITIES)}")
    return Condition(name=name, operator=operator, text=text)


def _bytes(word: str, text: str) -> int:
    try:
        if text.isascii() and text.isdigit():
            return int(text)
        found = int(strutils.string_to_bytes(text, unit_system="mixed", return_int=True))
    except ValueError:
        raise ValueError(f"{word!r}: {text!r} is no size") from None
    if found < 0:
        raise ValueError(f"{word!r}: {text!r} is no size")
    return found
