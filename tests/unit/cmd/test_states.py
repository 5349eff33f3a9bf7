# SPDX-License-Identifier: Apache-2.0
"""docs/states.md is made of the code and has every code."""
from __future__ import annotations

from pathlib import Path

from glancesync.cmd import states

PAGE = Path(__file__).parents[3] / "docs" / "states.md"


def test_the_page_is_up_to_date():
    assert PAGE.read_text() == states.states_page(), "python -m glancesync.cmd.states > docs/states.md"


def test_every_error_has_its_text_and_no_text_is_left_over():
    assert {each.code for each in states.error_classes()} == set(states._ERRORS)
