# SPDX-License-Identifier: Apache-2.0
"""Texts of others (names, properties, answers, paths) made harmless for a terminal or a log. Pure; called at the
borders where text leaves the program: commands, the log's formatter, the database.
"""
from __future__ import annotations

import re

_REFUSED = re.compile("[\x00\ud800-\udfff]")


def inert(text: str, *, lines: bool = False) -> str:
    """The text with everything that a terminal obeys or a reader does not see (escapes, newlines, marks of writing
    direction, lone surrogates) shown as `\\x1b` or `\\u202e`. With `lines` newlines stay."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() or (lines and each == "\n") else _shown(each) for each in text)


def storable(text: str) -> str:
    """The text with what a database refuses, NUL (PostgreSQL) and lone surrogates (all), shown as `inert` does."""
    return _REFUSED.sub(lambda found: _shown(found[0]), text)


def _shown(character: str) -> str:
    number = ord(character)
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
