# SPDX-License-Identifier: Apache-2.0
"""When a chore is due (pure)."""
from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from glancesync.model.chore import is_due, retry_seconds


def row(**given: Any) -> Any:
    return SimpleNamespace(**{"wanted": 0, "seen": 0, "owner": None, "lease_until": None, "ended_at": 1000.0,
                              "failures": 0, **given})


@pytest.mark.parametrize(("given", "at", "due"), [
    ({}, 1599, False), ({}, 1600, True),
    ({"wanted": 1}, 1000, True),
    ({"owner": "one", "lease_until": 1030.0, "wanted": 1}, 1030, False),
    ({"owner": "one", "lease_until": 1030.0}, 1031, True),
    ({"failures": 1, "wanted": 1}, 1029, False), ({"failures": 1}, 1030, True),
    ({"failures": 3}, 1119, False), ({"failures": 3}, 1120, True)])
def test_when_it_is_due(given: dict[str, Any], at: float, due: bool) -> None:
    assert is_due(row(**given), at, 600) is due


def test_a_region_that_stays_away_does_not_have_all_others_listed_every_half_minute() -> None:
    assert [retry_seconds(failures, 600) for failures in range(1, 8)] == [30, 60, 120, 240, 480, 600, 600]
    assert retry_seconds(1000, 1e9) == 3600
