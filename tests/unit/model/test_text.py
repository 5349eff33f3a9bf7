# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glancesync.model.text import inert


@pytest.mark.parametrize(("text", "shown"), [
    ("", ""), ("cirros 0.6 - größe 日本", "cirros 0.6 - größe 日本"), ("a\nb\r", "a\\x0ab\\x0d"),
    ("\x1b[31m", "\\x1b[31m"),
    ("\x9b2J", "\\x9b2J"), ("\u202egnp.exe", "\\u202egnp.exe"), ("\u2028", "\\u2028"), ("\U000e0041", "\\U000e0041"),
    ("\ud800", "\\ud800"), ("\0\x07\x7f", "\\x00\\x07\\x7f"), ("100 %s %(x)s {y}", "100 %s %(x)s {y}")])
def test_what_a_terminal_obeys_is_shown(text: str, shown: str) -> None:
    assert inert(text) == shown


def test_lines_stay_where_they_may() -> None:
    assert inert("a\nb\x1b", lines=True) == "a\nb\\x1b"


@given(st.text())
def test_everything_can_be_printed(text: str) -> None:
    assert inert(text).isprintable()
    inert(text).encode("utf-8")
