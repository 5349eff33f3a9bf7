# SPDX-License-Identifier: Apache-2.0
"""docs/states.md is made of the code, and no code that anybody is shown is without its text."""
from __future__ import annotations

import enum
import importlib
import pkgutil
from pathlib import Path

import pytest

import glancesync
from glancesync.cmd import states
from glancesync.model.event import Operation
from glancesync.model.meaning import Explained

PAGE = Path(__file__).parents[3] / "docs" / "states.md"
#: Packages whose enumerations an operator is shown.
SHOWN = ("api", "db", "model", "regions", "service", "sync", "tasks")
#: What only the filter says to the server.
UNSHOWN = {Operation, Explained}


def everything(package, base):
    """All classes of these rooms that derive from base."""
    found = set()
    for name in package:
        for module in pkgutil.walk_packages([str(Path(glancesync.__path__[0]) / name)], f"glancesync.{name}."):
            if ".migrations" not in module.name:
                found |= {each for each in vars(importlib.import_module(module.name)).values()
                          if isinstance(each, type) and issubclass(each, base) and each is not base
                          and each.__module__.startswith("glancesync.")}
    return found


def test_the_page_is_up_to_date():
    assert PAGE.read_text() == states.states_page(), "python -m glancesync.cmd.states > docs/states.md"


def test_every_enumeration_of_codes_explains_itself_and_is_on_the_page():
    codes = everything(SHOWN, enum.StrEnum) - UNSHOWN
    assert {each for each in codes if not issubclass(each, Explained)} == set()
    assert codes == {members for _, members in states.SECTIONS}


def test_a_code_without_its_text_cannot_be_defined():
    with pytest.raises(TypeError, match="lacks a text"):
        class Silent(Explained):
            CODE = "code"


@pytest.mark.parametrize("error", states.error_classes(), ids=lambda error: error.__name__)
def test_every_error_has_a_code_and_texts_of_its_own(error):
    assert {"code", "what", "advice"} <= set(vars(error))
    assert [each.code for each in states.error_classes()].count(error.code) == 1


def test_every_code_stands_on_the_page():
    page = PAGE.read_text()
    for code in [*(each.value for _, members in states.SECTIONS for each in members),
                 *(error.code for error in states.error_classes())]:
        assert f"| `{code}` |" in page
