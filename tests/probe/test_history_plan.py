# SPDX-License-Identifier: Apache-2.0
"""The plan of a random history: a history without a fault in it must not pass for one with all of them."""
from __future__ import annotations

import pytest

from tests.fixtures.history_faults import FAULTS
from tests.fixtures.history_plan import AMID, MID_PUT, Shape, plan_faults


@pytest.mark.parametrize("seed", ["one", "two", "three"])
def test_a_plan_has_every_fault_and_repeats_itself(seed: str) -> None:
    plan = plan_faults(seed, Shape())
    assert {*FAULTS, *AMID, f"{MID_PUT} target"} <= {fault for faults in plan.values() for fault in faults}
    assert all(0 < step < Shape().operations for step in plan)
    assert plan == plan_faults(seed, Shape())
    assert plan[min(plan)][0] == f"{MID_PUT} target"
