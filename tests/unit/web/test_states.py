# SPDX-License-Identifier: Apache-2.0
"""The page has a word for each state that the API can show, and offers each to be filtered by."""
from __future__ import annotations

import re
from enum import Enum

import pytest

from glancesync.model.replica import ReplicaState
from glancesync.model.task import RunOutcome, TaskState
from glancesync.web.files import FOLDER

TEXT = (FOLDER / "js" / "states.js").read_text("utf-8")


@pytest.mark.parametrize("states", [ReplicaState, TaskState, RunOutcome])
def test_every_state_has_its_word(states: type[Enum]) -> None:
    table = TEXT[TEXT.index("const STATES"):TEXT.index("};")]
    assert {each.value for each in states} <= set(re.findall(r"(\w+): \[", table))


@pytest.mark.parametrize(("name", "states"), [("REPLICA_STATES", ReplicaState), ("TASK_STATES", TaskState)])
def test_every_state_may_be_filtered_by(name: str, states: type[Enum]) -> None:
    begin = TEXT.index(f"export const {name}")
    assert set(re.findall(r'"(\w+)"', TEXT[begin:TEXT.index("];", begin)])) == {each.value for each in states}
