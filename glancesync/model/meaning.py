# SPDX-License-Identifier: Apache-2.0
"""Codes that explain themselves: a state or reason cannot be defined without its text. docs/states.md is made of them.
"""
from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, kw_only=True)
class Meaning:
    """What a code means, what happens next by itself, and what the operator can do. One sentence each, or more."""

    what: str
    follows: str
    advice: str


class Explained(enum.StrEnum):
    """An enumeration of texts; each member is defined as (value, what it means, what follows, what can be done)."""

    meaning: Meaning
    _value_: str

    def __new__(cls, value: str, what: str = "", follows: str = "", advice: str = "") -> Self:
        # The defaults are for looking a member up by its value; one without its text cannot be defined.
        if not (what and follows and advice):
            raise TypeError(f"{cls.__name__} {value!r} lacks a text")
        member = str.__new__(cls, value)
        member._value_ = value
        member.meaning = Meaning(what=what, follows=follows, advice=advice)
        return member
