# SPDX-License-Identifier: Apache-2.0
"""A frozen region: what it is shown as, what runs there, and what any process may say of it."""
from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from glancesync.exceptions import InvalidInputError, RegionFrozenError, RegionNotFoundError
from glancesync.service.freezing import FreezeTimer, FreezingGate, FrozenRegions
from glancesync.tasks.gate import OpenGate
from tests.fixtures.memory_cloud import MemoryCloud


@pytest.fixture
def cloud(tmp_path: Path) -> Any:
    made = MemoryCloud(tmp_path)
    yield made
    made.database.close()


def shown(cloud: MemoryCloud, name: str) -> Any:
    return next(region["frozen"] for region in cloud.service.list_regions() if region["name"] == name)


def test_it_is_shown_and_outlives_the_process(cloud: MemoryCloud) -> None:
    assert shown(cloud, "Two") is None
    cloud.service.freeze_region("Two", by="me", reason="new disks")
    since = shown(cloud, "Two")["since"]
    cloud.clock.advance(60)
    cloud.service.freeze_region("Two", by="you", reason=None)
    cloud.restart()
    assert shown(cloud, "Two") == {"since": since, "by": "you", "reason": "new disks"}
    assert shown(cloud, "Three") is None
    cloud.service.thaw_region("Two")
    cloud.service.thaw_region("Two")
    assert shown(cloud, "Two") is None


def test_only_a_cascaded_region_that_is_there(cloud: MemoryCloud) -> None:
    with pytest.raises(RegionNotFoundError):
        cloud.service.freeze_region("Four", by=None, reason=None)
    with pytest.raises(InvalidInputError):
        cloud.service.freeze_region("One", by=None, reason=None)


def test_the_gate_holds_its_tasks_and_no_others(cloud: MemoryCloud) -> None:
    gate = FreezingGate(OpenGate(), cloud.frozen)
    cloud.service.freeze_region("Two", by=None, reason="new\x1bdisks")
    assert (gate.room("Two"), gate.room("Three")) == (0, None)
    gate.check("Three")
    with pytest.raises(RegionFrozenError, match=r"Two is frozen since 1970-.*: new\\x1bdisks"):
        gate.check("Two")
    assert {name: paused.code for name, paused in gate.pauses().items()} == {"Two": "region_frozen"}
    cloud.service.thaw_region("Two")
    assert (gate.room("Two"), gate.pauses()) == (None, {})


def test_what_another_process_froze_stops_what_runs(cloud: MemoryCloud) -> None:
    here, elsewhere = FrozenRegions(cloud.database, cloud.clock), FrozenRegions(cloud.database, cloud.clock)
    stopped: list[str] = []
    woken: list[bool] = []
    timer = FreezeTimer(frozen=here, clock=cloud.clock, stop_runs=lambda name, error: stopped.append(
        f"{name} {error.code}"), woken=lambda: woken.append(True), guard=lambda _doing, call: call())
    timer.run_once()
    elsewhere.freeze("Two", by=None, reason=None)
    assert not here.is_frozen("Two")
    timer.run_once()
    assert (stopped, woken, here.is_frozen("Two")) == (["Two region_frozen"], [], True)
    elsewhere.thaw("Two")
    timer.run_once()
    assert (stopped, woken, here.is_frozen("Two")) == (["Two region_frozen"], [True], False)


def test_a_frozen_region_gets_no_canary(cloud: MemoryCloud) -> None:
    cloud.service.freeze_region("Two", by=None, reason=None)
    cloud.upload()
    cloud.compare()
    assert cloud.sight.canary_ids("Two") == frozenset()
    assert cloud.sight.canary_ids("Three") != frozenset()
