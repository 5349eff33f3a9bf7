# SPDX-License-Identifier: Apache-2.0
"""What every engine promises, on SQLite; with --full on PostgreSQL and MariaDB as well. The broker of the engine
`celery` is scripted here, so that it can lose, double and delay; a real one is in tests/probe/test_fleet.py."""
from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from glancesync import concurrency
from glancesync.db.engine import Database
from glancesync.model.task import Task, TaskState
from tests.fixtures.engines import SETTINGS, Rig, until
from tests.fixtures.queues import new_pairs, new_queue, pass_time, unlimited

pytest_plugins = ["tests.fixtures.queues"]
NewRig = Callable[..., Rig]


@pytest.fixture
def rigs(database: Database) -> Iterator[list[Rig]]:
    made: list[Rig] = []
    yield made
    for rig in made:
        rig.work.held = False
        rig.stop(0)


@pytest.fixture(params=["local", "celery"])
def new_rig(request: pytest.FixtureRequest, database: Database, rigs: list[Rig]) -> NewRig:
    def new(*, start: bool = True, **options: object) -> Rig:
        rigs.append(Rig(request.param, database, **options))  # type: ignore[arg-type]
        if start:
            rigs[-1].start()
        return rigs[-1]

    return new


@pytest.fixture
def new_fleet(database: Database, rigs: list[Rig]) -> NewRig:
    def new(**options: object) -> Rig:
        rigs.append(Rig("celery", database, **options))  # type: ignore[arg-type]
        return rigs[-1]

    return new


def seen_is_wanted(rig: Rig, tasks: list[Task]) -> bool:
    found = [rig.queue.get_task(task.id) for task in tasks]
    return all(task.state is TaskState.DONE and task.seen == task.wanted for task in found)


def test_everything_runs_once(new_rig: NewRig) -> None:
    rig = new_rig(count=3)
    tasks = rig.submit(*new_pairs(20, "R1", "R2"))
    until(rig.all_rest)
    assert seen_is_wanted(rig, tasks)
    assert rig.work.ended == Counter({task.pair: 1 for task in tasks})


def test_requests_for_a_run_that_is_under_way_merge_into_one_more(new_rig: NewRig) -> None:
    rig = new_rig(count=2)
    rig.work.held = True
    [task] = rig.submit(*new_pairs(1, "R1"))
    until(lambda: rig.work.begun)
    for _ in range(30):
        rig.submit(task.pair)
    rig.work.held = False
    until(rig.all_rest)
    assert rig.work.ended == {task.pair: 2}
    assert seen_is_wanted(rig, [task])


def test_priority_acts_within_one_claim(new_rig: NewRig) -> None:
    rig = new_rig(settings=replace(SETTINGS, max_tasks=1))
    rig.work.held = True
    rig.submit(*new_pairs(1, "R1"))
    until(lambda: rig.work.begun)
    rig.submit(*new_pairs(10, "R1", "R2"))
    [urgent] = rig.submit(*new_pairs(1, "R3"), priority=9)
    rig.work.held = False
    until(lambda: len(rig.work.begun) > 1)
    assert rig.work.begun[1].pair == urgent.pair
    until(rig.all_rest)


def test_what_is_cancelled_while_it_waits_never_runs(new_rig: NewRig) -> None:
    rig = new_rig(settings=replace(SETTINGS, max_tasks=1))
    rig.work.held = True
    first, *others = rig.submit(*new_pairs(6, "R1"))
    until(lambda: rig.work.begun)
    waiting = [task for task in (first, *others) if task.id != rig.work.begun[0].id]
    rig.queue.cancel(waiting[0].id)
    rig.work.held = False
    until(rig.all_rest)
    assert waiting[0].pair not in rig.work.ended
    assert sum(rig.work.ended.values()) == 5
    rig.submit(waiting[0].pair)
    until(lambda: rig.work.ended[waiting[0].pair] == 1)


def test_what_is_cancelled_while_it_runs_ends(new_rig: NewRig) -> None:
    rig = new_rig()
    rig.work.held = True
    [task] = rig.submit(*new_pairs(1, "R1"))
    until(lambda: rig.work.begun)
    rig.queue.cancel(task.id)
    until(lambda: rig.queue.get_task(task.id).state is TaskState.CANCELLED)
    assert not rig.work.ended


def test_a_graceful_stop_lets_runs_end_and_takes_nothing_new(new_rig: NewRig) -> None:
    rig = new_rig()
    rig.work.held = True
    tasks = rig.submit(*new_pairs(10, "R1"))
    until(lambda: len(rig.work.begun) == SETTINGS.max_tasks)
    stopping = concurrency.spawn(rig.stop, 10)
    concurrency.sleep(0.2)
    rig.work.held = False
    stopping.wait()
    states = Counter(rig.queue.get_task(task.id).state for task in tasks)
    assert states == {TaskState.DONE: SETTINGS.max_tasks, TaskState.WAITING: 10 - SETTINGS.max_tasks}


def test_a_hard_stop_hands_back_and_others_go_on(new_rig: NewRig) -> None:
    rig = new_rig(count=2)
    rig.work.held = True
    tasks = rig.submit(*new_pairs(8, "R1"))
    until(lambda: len(rig.work.begun) == 8)
    rig.runners[0].stop(0)
    rig.work.held = False
    until(rig.all_rest)
    assert seen_is_wanted(rig, tasks)
    outcomes = Counter(run.outcome for task in tasks for run in rig.queue.list_runs(task.id))
    assert (outcomes["released"], outcomes["done"]) == (4, 8)


def test_what_a_dead_process_ran_starts_again_after_its_lease(new_rig: NewRig, database: Database) -> None:
    rig = new_rig(count=2, start=False)
    [task] = rig.submit(*new_pairs(1, "R1"))
    assert [claimed.id for claimed in new_queue(database, "dead").claim(unlimited, 1)] == [task.id]
    pass_time(database, 3600)
    rig.start()
    until(rig.all_rest)
    assert rig.work.ended == {task.pair: 1}


class TestFleet:
    """What messages may do to the engine `celery`."""

    def test_limits_of_a_region_hold_over_all_workers(self, new_fleet: NewRig) -> None:
        rig = new_fleet(count=3, settings=replace(SETTINGS, max_tasks_per_region=2))
        rig.work.held = True
        rig.start()
        rig.submit(*new_pairs(10, "R1"), *new_pairs(10, "R2"))
        until(lambda: len(rig.work.begun) >= 4)
        concurrency.sleep(0.3)
        assert Counter(task.region for task in rig.work.begun) == {"R1": 2, "R2": 2}
        rig.work.held = False
        until(rig.all_rest)

    def test_only_what_has_room_is_published(self, new_fleet: NewRig) -> None:
        rig = new_fleet(count=2, republish_seconds=60)
        rig.work.held = True
        rig.start()
        rig.submit(*new_pairs(50, "R1"))
        until(lambda: len(rig.work.begun) == 8)
        concurrency.sleep(0.3)
        assert len(rig.carrier.sent) == 8
        rig.work.held = False
        until(rig.all_rest)
        assert len(rig.carrier.sent) == 50

    def test_an_images_regions_are_taken_together(self, new_fleet: NewRig) -> None:
        rig = new_fleet(count=1)
        rig.start()
        tasks = rig.submit(*new_pairs(1, "R1", "R2", "R3"))
        until(rig.all_rest)
        assert len({rig.queue.get_task(task.id).started_at for task in tasks}) == 1

    def test_lost_messages_are_sent_again(self, new_fleet: NewRig) -> None:
        rig = new_fleet(count=2)
        lost = set()

        def fate(message: object) -> int:
            again = message.name in lost  # type: ignore[attr-defined]
            lost.add(message.name)  # type: ignore[attr-defined]
            return int(again)

        rig.carrier.fate = fate
        rig.start()
        tasks = rig.submit(*new_pairs(12, "R1"))
        until(rig.all_rest)
        assert rig.work.ended == Counter({task.pair: 1 for task in tasks})
        assert sum(message.again for message in rig.carrier.sent) >= 12

    def test_doubled_messages_run_once(self, new_fleet: NewRig) -> None:
        rig = new_fleet(count=3)
        rig.carrier.fate = lambda _message: 3
        rig.start()
        tasks = rig.submit(*new_pairs(20, "R1"))
        until(rig.all_rest)
        assert rig.work.ended == Counter({task.pair: 1 for task in tasks})

    def test_late_messages_do_nothing(self, new_fleet: NewRig) -> None:
        rig = new_fleet(count=2)
        rig.start()
        tasks = rig.submit(*new_pairs(5, "R1"))
        until(rig.all_rest)
        late = [message.name for message in rig.carrier.sent]
        for name in late:
            rig.carrier.deliver(name)
        concurrency.sleep(0.3)
        assert sum(rig.work.ended.values()) == 5
        rig.submit(*(task.pair for task in tasks))  # the old messages are of an older run now
        for name in late:
            rig.carrier.deliver(name)
        until(rig.all_rest)
        assert rig.work.ended == Counter({task.pair: 2 for task in tasks})

    def test_while_the_broker_is_away_requests_are_taken_and_wait(self, new_fleet: NewRig,
                                                                  caplog: pytest.LogCaptureFixture) -> None:
        rig = new_fleet(count=1)
        rig.carrier.away = True
        rig.start()
        tasks = rig.submit(*new_pairs(3, "R1"))
        until(lambda: rig.engines[0].trouble)
        assert "the message broker does not take messages" in str(rig.engines[0].trouble)
        assert "tasks wait in the database" in caplog.text
        assert {rig.queue.get_task(task.id).state for task in tasks} == {TaskState.WAITING}
        rig.carrier.away = False
        until(rig.all_rest)
        assert rig.engines[0].trouble is None

    def test_without_a_worker_nothing_is_published_and_that_is_told(self, new_fleet: NewRig) -> None:
        rig = new_fleet(count=0)
        rig.start()
        rig.submit(*new_pairs(3, "R1"))
        until(lambda: rig.engines[0].trouble)
        assert "glance-sync-worker" in str(rig.engines[0].trouble)
        assert rig.carrier.sent == []

    def test_a_message_for_a_worker_that_is_full_or_stops_is_left_to_others(self, new_fleet: NewRig) -> None:
        rig = new_fleet(count=2, republish_seconds=60)
        rig.work.held = True
        rig.start()
        tasks = rig.submit(*new_pairs(6, "R1"))
        until(lambda: len(rig.work.begun) == 6)
        rig.runners[0].stop(0)  # its presence still counts it in
        rig.work.held = False
        until(rig.all_rest)
        assert seen_is_wanted(rig, tasks)
