# SPDX-License-Identifier: Apache-2.0
"""The breakers of regions as several servers see and change them: on SQLite, with --full on PostgreSQL and MariaDB."""
from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from glancesync.clock import ManualClock, SystemClock
from glancesync.conf.breaker import BreakerSettings
from glancesync.db.clock import now
from glancesync.db.engine import Database
from glancesync.db.schema import breakers
from glancesync.exceptions import RegionUnavailableError
from glancesync.model.task import Outcome, Trigger
from glancesync.regions.breaker import BreakerState
from glancesync.regions.health import RegionHealth
from glancesync.service.breakers import PROBE_LEASE_SECONDS, SharedBreakers
from glancesync.tasks.queue import TaskQueue
from tests.fixtures.queues import new_pairs

pytest_plugins = ["tests.fixtures.queues"]

SETTINGS = BreakerSettings(failures=3, pause_seconds=10, pause_max_seconds=35, probe_successes=2)
DOWN = RegionUnavailableError("no answer", region="Two")
AT_ONCE = 6


class Server:
    """One of several, with connections of its own; its clock is an hour off, as only the database's counts."""

    def __init__(self, database: Database, name: str, settings: BreakerSettings = SETTINGS) -> None:
        self.database = Database(database._url.render_as_string(hide_password=False))
        clock = ManualClock(SystemClock().now() + 3600)
        self.health = RegionHealth(settings=settings, clock=clock, source=lambda: "One",
                                   breakers=SharedBreakers(self.database, name))
        self.health.refresh()

    def fail(self, times: int = 1) -> None:
        for _ in range(times):
            self.health.begun("Two")
            self.health.ended("Two", DOWN)

    def state(self) -> BreakerState:
        """As it is known after the look that each server has every second."""
        self.health.refresh()
        return self.health.breaker("Two").state


@pytest.fixture
def servers(database: Database) -> Iterator[list[Server]]:
    found = [Server(database, f"server/{number}") for number in range(AT_ONCE)]
    yield found
    for each in found:
        each.database.close()


def pass_time(database: Database, seconds: float) -> None:
    """As if so much time had passed for the breakers."""
    database.run(lambda connection: connection.execute(sa.update(breakers).values(
        since=breakers.c.since - seconds, next_probe_at=breakers.c.next_probe_at - seconds,
        probe_until=breakers.c.probe_until - seconds)))


def test_failures_that_several_servers_see_open_it_for_all(servers: list[Server]) -> None:
    one, two, three, *_ = servers
    one.fail()
    two.fail()
    assert (one.state(), two.state()) == (BreakerState.CLOSED, BreakerState.CLOSED)
    three.fail()
    assert three.health.breaker("Two").state is BreakerState.OPEN, "whoever opens it knows at once"
    assert {each.state() for each in servers} == {BreakerState.OPEN}
    assert {each.health.room("Two") for each in servers} == {0}
    assert {each.health.breaker("Two").reason for each in servers} == {"no answer"}


def test_no_verdict_is_lost_to_another(database: Database) -> None:
    """The first ones find no row, and all come at the same moment."""
    found = [Server(database, f"server/{number}", BreakerSettings(failures=1000)) for number in range(AT_ONCE)]
    with ThreadPoolExecutor(AT_ONCE) as threads:
        list(threads.map(lambda each: each.fail(10), found))
    found[0].health.refresh()
    assert found[0].health.breaker("Two").failures == 10 * AT_ONCE
    for each in found:
        each.database.close()


def test_a_success_ends_the_failures_that_others_counted(servers: list[Server]) -> None:
    one, two, *_ = servers
    one.fail(2)
    two.health.refresh()
    two.health.ended("Two", None)
    one.fail()
    assert one.health.breaker("Two").failures == 1


def test_times_are_the_databases(database: Database, servers: list[Server]) -> None:
    one, two, *_ = servers
    one.fail(3)
    two.health.refresh()
    breaker = two.health.breaker("Two")
    assert breaker.since == pytest.approx(database.run(now), abs=5)
    paused = two.health.find_pause("Two")
    assert paused is not None
    assert paused.retry_after_seconds == pytest.approx(10, abs=5)
    assert two.health.due_probes() == []
    pass_time(database, 10)
    two.health.refresh()
    assert two.health.due_probes() == ["Two"]


def test_one_server_probes(database: Database, servers: list[Server]) -> None:
    servers[0].fail(3)
    assert not any(each.health.begin_probe("Two") for each in servers), "it is not time"
    pass_time(database, 10)
    with ThreadPoolExecutor(AT_ONCE) as threads:
        began = list(threads.map(lambda each: each.health.begin_probe("Two"), servers))
    assert began.count(True) == 1
    prober, other = servers[began.index(True)], servers[began.index(False)]
    other.health.refresh()
    assert other.health.due_probes() == [], "while it is being probed"
    other.health.probed("Two", None)
    assert other.state() is BreakerState.OPEN, "who does not probe has no say"
    prober.health.probed("Two", None)
    assert {each.state() for each in servers} == {BreakerState.HALF_OPEN}
    assert {each.health.room("Two") for each in servers} == {1}


def test_a_prober_that_died_holds_up_nobody_for_long(database: Database, servers: list[Server]) -> None:
    one, two, *_ = servers
    one.fail(3)
    pass_time(database, 10)
    assert one.health.begin_probe("Two")
    pass_time(database, PROBE_LEASE_SECONDS - 1)
    one.health.keep_probes(["Two"])
    pass_time(database, PROBE_LEASE_SECONDS - 1)
    assert not two.health.begin_probe("Two"), "it hangs, and lives"
    pass_time(database, 1)
    assert two.health.begin_probe("Two")
    two.health.probed("Two", DOWN)
    one.health.probed("Two", None)
    assert one.state() is BreakerState.OPEN, "its word came too late"
    assert one.health.breaker("Two").pauses == 2


def test_half_open_a_task_of_any_server_proves_it(database: Database, queue: TaskQueue, servers: list[Server]) -> None:
    one, two, *_ = servers
    one.fail(3)
    pass_time(database, 10)
    assert one.health.begin_probe("Two")
    one.health.probed("Two", None)
    pass_time(database, 60)
    queue.submit(new_pairs(1, "Two", "Three"), trigger=Trigger.EVENT)
    tasks = {task.region: task for task in queue.claim({"Two": 1, "Three": 1}, 9)}
    two.health.refresh()
    assert two.health.due_probes() == ["Two"], "it knows of no task"
    assert not two.health.begin_probe("Two")
    queue.finish(tasks["Two"], Outcome(code="in_sync", reason="nothing differs"))
    assert two.health.begin_probe("Two")
    two.health.probed("Two", None)
    assert {each.state() for each in servers} == {BreakerState.CLOSED}


def test_half_open_the_cascading_region_is_proved_by_any_task(database: Database, queue: TaskQueue,
                                                              servers: list[Server]) -> None:
    one, two, *_ = servers
    for _ in range(3):
        one.health.ended("Two", RegionUnavailableError("no answer", region="One"))
    pass_time(database, 10)
    assert one.health.begin_probe("One")
    one.health.probed("One", None)
    pass_time(database, 60)
    queue.submit(new_pairs(1, "Three"), trigger=Trigger.EVENT)
    [task] = queue.claim({"Three": 1}, 9)
    assert not two.health.begin_probe("One")
    queue.finish(task, Outcome(code="in_sync", reason="nothing differs"))
    assert two.health.begin_probe("One")


def test_it_outlives_the_servers(database: Database, servers: list[Server]) -> None:
    servers[0].fail(3)
    known = servers[0].health.breaker("Two")
    reborn = Server(database, "server/reborn")
    assert reborn.health.breaker("Two") == known
    assert reborn.health.room("Two") == 0
    reborn.database.close()


def test_a_region_that_moved_is_met_without_prejudice_by_all(servers: list[Server]) -> None:
    one, two, *_ = servers
    one.fail(3)
    assert two.state() is BreakerState.OPEN
    two.health.forget("Two")
    assert {each.state() for each in servers} == {BreakerState.CLOSED}
    one.fail(2)
    assert one.state() is BreakerState.CLOSED


def test_a_long_reason_fits(servers: list[Server]) -> None:
    servers[0].health.ended("Two", RegionUnavailableError("é" * 5000, region="Two"))
    servers[1].health.refresh()
    assert len(servers[1].health.breaker("Two").reason or "") == 1024
