# SPDX-License-Identifier: Apache-2.0
"""Servers that share a region's limit: nobody takes all of it at once, and nothing of it stays unused for long."""
from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from glancesync.clock import ManualClock
from glancesync.concurrency import Event
from glancesync.conf.worker import WorkerSettings
from glancesync.db.engine import Database
from glancesync.model.task import Outcome, Trigger
from glancesync.tasks.handle import TaskHandle
from glancesync.tasks.share import Share
from glancesync.tasks.worker import Worker
from tests.fixtures.queues import new_pairs, new_queue

SETTINGS = WorkerSettings(max_tasks=8, max_tasks_per_region=4, poll_seconds=2)


@pytest.mark.parametrize(("servers", "most", "part"), [(1, 4, 4), (2, 4, 2), (3, 4, 2), (9, 4, 1), (2, 1, 1),
                                                       (2, 0, 0), (0, 4, 4)])
def test_its_part_of_the_limit(servers: int, most: int, part: int) -> None:
    share = Share(servers=lambda: servers, settings=SETTINGS, clock=ManualClock())
    share.look()
    assert share.room("R1", most) == part


def test_what_runs_here_counts() -> None:
    share = Share(servers=lambda: 2, settings=SETTINGS, clock=ManualClock())
    share.begun("R1")
    assert (share.room("R1", 4), share.room("R2", 4)) == (1, 2)
    share.ended("R1")
    assert share.room("R1", 4) == 2


def test_what_nobody_took_in_time_is_taken_once() -> None:
    clock = ManualClock()
    share, rooms = Share(servers=lambda: 2, settings=SETTINGS, clock=clock), []
    for seconds in (0, 1, 0.5, 0.5, 0, 1, 1):
        clock.advance(seconds)
        share.look()
        rooms.append(share.room("R1", 4))
    assert rooms == [2, 2, 2, 4, 2, 2, 4]


class Two:
    """Workers of two servers on one queue, whose runs go on until the test ends them."""

    def __init__(self) -> None:
        self.database = Database("sqlite://")
        self.database.sync()
        self.clock = ManualClock()
        self.end = Event()
        self.workers = [Worker(queue=new_queue(self.database, name, SETTINGS), run=self._run, settings=SETTINGS,
                               clock=self.clock, random=lambda: 0.5, servers=lambda: 2) for name in ("one", "two")]
        new_queue(self.database, "asker").submit(new_pairs(9, "R1"), trigger=Trigger.EVENT)

    def _run(self, _handle: TaskHandle) -> Outcome:
        self.end.wait()
        return Outcome(code="in_sync", reason="nothing differs")

    def running(self) -> Counter[int]:
        return Counter({number: worker.running for number, worker in enumerate(self.workers)})


@pytest.fixture
def two() -> Iterator[Two]:
    made = Two()
    yield made
    made.end.send()
    for worker in made.workers:
        worker.drain()
    made.database.close()


def test_the_first_leaves_the_second_its_part(two: Two) -> None:
    one, other = two.workers
    assert [one.run_once(), one.run_once(), other.run_once(), other.run_once()] == [2, 0, 2, 0]
    two.clock.advance(2)
    assert [one.run_once(), other.run_once()] == [0, 0], "the limit holds for both together"
    assert two.running() == {0: 2, 1: 2}


def test_what_the_second_leaves_the_first_takes_after_a_while(two: Two) -> None:
    one, other = two.workers
    assert one.run_once() == 2
    two.clock.advance(2)
    assert one.run_once() == 2
    assert other.run_once() == 0
