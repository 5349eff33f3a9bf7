# SPDX-License-Identifier: Apache-2.0
"""What holds over all servers that share a database, on SQLite; with --full on PostgreSQL and MariaDB as well.

A server is a database of its own here (its own connections) and a queue; all act at the same moment, in native threads.
"""
from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import pytest
import sqlalchemy as sa

from glancesync.db.engine import Database
from glancesync.db.schema import tasks
from glancesync.model.task import Outcome, Task, TaskState, Trigger
from glancesync.tasks.queue import TaskQueue
from tests.fixtures.queues import new_pairs, new_queue, pass_time

pytest_plugins = ["tests.fixtures.queues"]

Result = TypeVar("Result")
SERVERS = 6
DONE = Outcome(code="in_sync", reason="nothing differs")


class Fleet:
    """Servers that act at once."""

    def __init__(self, database: Database) -> None:
        url = database._url.render_as_string(hide_password=False)
        self._databases = [Database(url) for _ in range(SERVERS)]
        self.queues = [new_queue(each, f"server{number}") for number, each in enumerate(self._databases)]
        self._threads = ThreadPoolExecutor(SERVERS)

    def at_once(self, act: Callable[[TaskQueue], Result]) -> list[Result]:
        """What each returned, in the servers' order."""
        start = threading.Barrier(SERVERS)

        def begin(queue: TaskQueue) -> Result:
            start.wait(30)
            return act(queue)

        return list(self._threads.map(begin, self.queues))

    def end(self) -> None:
        self._threads.shutdown()
        for each in self._databases:
            each.close()


@pytest.fixture
def fleet(database: Database) -> Iterator[Fleet]:
    found = Fleet(database)
    yield found
    found.end()


def running(database: Database) -> Counter[str]:
    def work(connection: sa.Connection) -> Counter[str]:
        return Counter(connection.scalars(sa.select(tasks.c.region).where(tasks.c.state == TaskState.RUNNING.value)))

    return database.read(work)


@pytest.mark.parametrize("most", [1, 5], ids=["half open", "some"])
def test_a_region_never_runs_more_than_its_limit(database: Database, queue: TaskQueue, fleet: Fleet, most: int) -> None:
    """However many servers claim at the same moment; and what it may run it does run. With images in all of the
    regions each claim is about several of them, in another order."""
    queue.submit([*new_pairs(40, "R1", "R2", "R3"), *new_pairs(40, "R2"), *new_pairs(40, "R3", "R1")],
                 trigger=Trigger.EVENT)
    for _ in range(8):
        claimed = fleet.at_once(lambda each: each.claim(lambda _region: most, 16))
        assert running(database) == Counter({"R1": most, "R2": most, "R3": most})
        assert sum(map(len, claimed)) == 3 * most
        for each, found in zip(fleet.queues, claimed, strict=True):
            for task in found:
                each.finish(task, DONE)


def test_regions_that_others_fill_hide_nobody(database: Database, queue: TaskQueue, fleet: Fleet) -> None:
    """Who was overtaken in one region finds what waits in another in the same claim."""
    for _ in range(5):
        queue.submit([*new_pairs(1, "R1"), *new_pairs(SERVERS, "R2")], trigger=Trigger.EVENT)
        claimed = fleet.at_once(lambda each: each.claim({"R1": 1, "R2": SERVERS}, 1))
        assert [len(found) for found in claimed] == [1] * SERVERS
        for each, found in zip(fleet.queues, claimed, strict=True):
            each.finish(found[0], DONE)
        [last] = queue.claim({"R1": 1, "R2": SERVERS}, 9)
        queue.finish(last, DONE)


def test_a_dead_servers_tasks_count_until_their_lease_ends(database: Database, queue: TaskQueue,
                                                          other: TaskQueue) -> None:
    queue.submit(new_pairs(4, "R1"), trigger=Trigger.EVENT)
    assert len(queue.claim({"R1": 2}, 9)) == 2
    assert other.claim({"R1": 2}, 9) == []
    pass_time(database, 31)
    assert other.claim({"R1": 2}, 9) == [], "not before somebody gave them back"
    other.sweep()
    assert len(other.claim({"R1": 2}, 9)) == 2


def test_what_waits_in_a_full_region_is_taken_as_places_become_free(queue: TaskQueue, other: TaskQueue) -> None:
    queue.submit(new_pairs(3, "R1"), trigger=Trigger.EVENT)
    [first] = queue.claim({"R1": 1}, 9)
    assert other.claim({"R1": 1}, 9) == []
    found: list[Task] = []
    queue.finish(first, DONE)
    found += other.claim({"R1": 1}, 9)
    assert len(found) == 1
    assert queue.claim({"R1": 1}, 9) == []
    assert len(queue.claim({"R1": 2}, 9)) == 1, "each server has the limit of its own configuration"
