# SPDX-License-Identifier: Apache-2.0
"""The worker and a region whose breaker is open: its tasks wait with a reason, take no slot, go on by themselves."""
from __future__ import annotations

from collections.abc import Iterator

import pytest

from glancesync.clock import ManualClock
from glancesync.conf.breaker import BreakerSettings
from glancesync.conf.worker import WorkerSettings
from glancesync.db.engine import Database
from glancesync.exceptions import KeystoneUnavailableError, RegionBusyError, RegionUnavailableError
from glancesync.model.task import Outcome, Pair, Task, TaskFilter, TaskState, Trigger
from glancesync.regions.health import RegionHealth
from glancesync.tasks.handle import TaskHandle
from glancesync.tasks.worker import Worker
from tests.fixtures.queues import new_pairs, new_queue, pass_time

SETTINGS = WorkerSettings(max_tasks=8, max_tasks_per_region=4)


class Regions:
    """Two that take tasks; `errors` by region are what a run there ends in."""

    def __init__(self) -> None:
        self.database = Database("sqlite://")
        self.database.sync()
        self.clock = ManualClock()
        self.queue = new_queue(self.database, "one", SETTINGS)
        self.health = RegionHealth(settings=BreakerSettings(failures=3, pause_seconds=60, pause_max_seconds=60),
                                   clock=self.clock, source=lambda: "One")
        self.errors: dict[str, Exception] = {}
        self.ran: list[Pair] = []
        self.worker = Worker(queue=self.queue, run=self._run, settings=SETTINGS, clock=self.clock,
                             random=lambda: 0.5, gate=self.health)

    def _run(self, handle: TaskHandle) -> Outcome:
        self.ran.append(handle.task.pair)
        if handle.task.region in self.errors:
            raise self.errors[handle.task.region]
        return Outcome(code="in_sync", reason="nothing differs")

    def submit(self, *regions: str, images: int = 1) -> None:
        self.queue.submit(new_pairs(images, *regions), trigger=Trigger.EVENT)

    def work(self) -> list[Pair]:
        """One look at the queue; the pairs that ran."""
        self.ran = []
        self.clock.advance(2)
        self.worker.run_once()
        self.worker.drain()
        return self.ran

    def tasks(self, region: str) -> list[Task]:
        return self.queue.list_tasks(TaskFilter(regions=frozenset({region})), 100)


@pytest.fixture
def regions() -> Iterator[Regions]:
    made = Regions()
    yield made
    made.database.close()


def test_its_tasks_wait_with_their_reason_and_the_others_run(regions: Regions) -> None:
    regions.errors["Two"] = RegionUnavailableError("no answer", region="Two")
    regions.submit("Two", images=3)
    assert len(regions.work()) == 3
    regions.submit("Two", "Three", images=8)
    for _ in range(3):
        assert {pair.region for pair in regions.work()} <= {"Three"}
    assert {task.state for task in regions.tasks("Three")} == {TaskState.DONE}
    fresh = [task for task in regions.tasks("Two") if not task.attempts]
    assert len(fresh) == 8
    for task in fresh:
        assert (task.state, task.reason_code) == (TaskState.WAITING, "region_paused")
        assert "Two is left alone after 3 failures in a row; the last: no answer" in (task.reason or "")
        assert 50 < task.run_at - task.updated_at <= 60, "until the next probe"


def test_one_at_a_time_after_a_probe_then_as_before(regions: Regions) -> None:
    regions.errors["Two"] = RegionUnavailableError("no answer", region="Two")
    regions.submit("Two", images=6)
    regions.work()
    regions.work()
    assert regions.work() == []
    regions.errors.clear()
    regions.clock.advance(60)
    pass_time(regions.database, 1000)
    regions.health.probed("Two", None)
    assert len(regions.work()) == 1
    assert len(regions.work()) >= 4
    while regions.work():
        pass
    assert {task.state for task in regions.tasks("Two")} == {TaskState.DONE}


def test_a_failure_while_half_open_sends_it_back(regions: Regions) -> None:
    regions.errors["Two"] = RegionUnavailableError("no answer", region="Two")
    regions.submit("Two", images=6)
    regions.work()
    regions.clock.advance(60)
    pass_time(regions.database, 1000)
    regions.health.probed("Two", None)
    assert len(regions.work()) == 1
    pass_time(regions.database, 1000)
    assert regions.work() == []


def test_retry_after_holds_for_all_of_its_tasks(regions: Regions) -> None:
    regions.errors["Two"] = RegionBusyError("later", region="Two", retry_after_seconds=500)
    regions.submit("Two")
    regions.work()
    regions.submit("Two")
    assert regions.work() == []
    assert all(task.run_at - task.updated_at > 490 for task in regions.tasks("Two"))


def test_everything_waits_for_the_cascading_region(regions: Regions) -> None:
    regions.errors["Two"] = RegionUnavailableError("no answer", region="One")
    regions.submit("Two", images=3)
    regions.work()
    regions.submit("Two", "Three")
    assert regions.work() == []
    assert {task.reason_code for task in regions.tasks("Three")} == {"region_paused"}


def test_keystone_is_nobodys_fault(regions: Regions) -> None:
    regions.errors["Two"] = KeystoneUnavailableError("no token", region="Two")
    regions.submit("Two", images=8)
    regions.work()
    regions.work()
    assert regions.health.room("Two") is None


def test_asked_for_meanwhile_it_waits_again(regions: Regions) -> None:
    regions.errors["Two"] = RegionUnavailableError("no answer", region="Two")
    regions.submit("Two", images=3)
    regions.work()
    [task, *_] = regions.tasks("Two")
    regions.queue.submit([task.pair], trigger=Trigger.EVENT)
    assert regions.work() == []
    again = regions.queue.get_task(task.id)
    assert (again.reason_code, again.wanted) == ("region_paused", 2)
    assert again.run_at > again.updated_at
