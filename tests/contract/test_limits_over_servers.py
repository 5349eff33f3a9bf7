# SPDX-License-Identifier: Apache-2.0
"""What holds over all servers that share a database, on SQLite; with --full on PostgreSQL, MariaDB and a Galera cluster
as well.

A server is a database of its own here (its own connections, to a node of its own) and a queue; all act at the same
moment, in native threads.
"""
from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import pytest
import sqlalchemy as sa

from glancesync.db.engine import Database
from glancesync.db.schema import source_reads, tasks
from glancesync.exceptions import SourcesBusyError
from glancesync.model.task import Outcome, Pair, Task, TaskState, Trigger
from glancesync.sync.readers import SharedReaders
from glancesync.tasks.queue import TaskQueue
from tests.fixtures.databases import BACKENDS, GALERA, Servers
from tests.fixtures.queues import new_pairs, new_queue, opened, pass_time

pytest_plugins = ["tests.fixtures.queues"]

Result = TypeVar("Result")
SERVERS = 6
DONE = Outcome(code="in_sync", reason="nothing differs")


class Fleet:
    """Servers that act at once."""

    def __init__(self, urls: Sequence[str]) -> None:
        self.databases = [Database(url) for url in urls]
        self.queues = [new_queue(each, f"server{number}") for number, each in enumerate(self.databases)]
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
        for each in self.databases:
            each.close()


@pytest.fixture(params=["sqlite", *(pytest.param(backend, marks=pytest.mark.full) for backend in (*BACKENDS, GALERA))])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    yield from opened(request, tmp_path)


@pytest.fixture
def fleet(database: Database, database_servers: Servers) -> Iterator[Fleet]:
    found = Fleet(database_servers.spread(database._url.render_as_string(hide_password=False), SERVERS))
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
    for _ in range(4):
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


@pytest.fixture
def readers(fleet: Fleet) -> list[SharedReaders]:
    return [SharedReaders(database, queue.owner) for database, queue in zip(fleet.databases, fleet.queues, strict=True)]


def run_image(fleet: Fleet, image_id: str) -> list[Task]:
    """Each server runs a task of the image, in a region of its own."""
    names = [f"R{number}" for number in range(SERVERS)]
    fleet.queues[0].submit([Pair(image_id, name) for name in names], trigger=Trigger.EVENT)
    return [queue.claim({name: 9}, 1)[0] for name, queue in zip(names, fleet.queues, strict=True)]


@pytest.mark.parametrize("most", [1, 3])
def test_no_more_reads_of_an_image_go_on_than_may(fleet: Fleet, readers: list[SharedReaders], most: int) -> None:
    """However many servers begin one at the same moment; and as many as may do go on."""
    run_image(fleet, "image")
    run_image(fleet, "another")
    assert readers[0].begin("another", "One", 1) is not None
    for _ in range(4):
        began = fleet.at_once(lambda each: readers[fleet.queues.index(each)].begin("image", "One", most))
        assert len([read for read in began if read is not None]) == most
        assert readers[0].counts("image") == {"One": most}
        assert readers[0].begin("image", "Two", most) is not None
        for each, read in zip(readers, began, strict=True):
            if read is not None:
                each.end(read)
        assert readers[0].counts("image").keys() == {"Two"}
        _end_all(fleet, "image", "Two")


def test_places_of_a_dead_server_are_free_when_its_tasks_are_taken_back(database: Database, fleet: Fleet,
                                                                       readers: list[SharedReaders]) -> None:
    tasks_here = run_image(fleet, "image")
    reads = [readers[0].begin("image", "One", 2) for _ in range(2)]
    assert None not in reads
    assert readers[1].begin("image", "One", 2) is None
    pass_time(database, 31)
    for queue in fleet.queues[1:]:
        queue.heartbeat()
    assert readers[1].begin("image", "One", 2) is None, "its tasks are still its own"
    assert [task.id for task in fleet.queues[1].sweep()] == [tasks_here[0].id]
    assert readers[1].counts("image") == {}
    began = fleet.at_once(lambda each: readers[fleet.queues.index(each)].begin("image", "One", 2)
                          if each is not fleet.queues[0] else None)
    assert len([read for read in began if read is not None]) == 2
    for read in reads:
        readers[0].end(read)  # type: ignore[arg-type]
    assert readers[1].counts("image") == {"One": 2}, "the places are not its own any more"


def test_a_smaller_limit_holds_from_the_next_read_on(fleet: Fleet, readers: list[SharedReaders]) -> None:
    run_image(fleet, "image")
    first, second, third = (readers[0].begin("image", "One", 3) for _ in range(3))
    assert third is not None
    readers[0].end(first)  # type: ignore[arg-type]
    assert readers[1].begin("image", "One", 1) is None
    readers[0].end(second)  # type: ignore[arg-type]
    assert readers[1].begin("image", "One", 1) is None
    readers[0].end(third)
    assert readers[1].begin("image", "One", 1) is not None


def test_who_waits_for_a_source_is_due_on_every_server_when_a_copy_ends(queue: TaskQueue, other: TaskQueue) -> None:
    pairs = [Pair("image", "R1"), Pair("image", "R2")]
    queue.submit(pairs, trigger=Trigger.EVENT)
    task, *_ = queue.claim({"R1": 1}, 1)
    queue.fail(task, SourcesBusyError("every region is read", retry_after_seconds=600))
    assert other.claim({"R1": 1}, 1) == []
    assert other.hasten("image", SourcesBusyError.code) == 1
    assert len(other.claim({"R1": 1}, 1)) == 1
    assert other.hasten("image", SourcesBusyError.code) == 0


def _end_all(fleet: Fleet, image_id: str, region: str) -> None:
    fleet.databases[0].run(lambda connection: connection.execute(sa.delete(source_reads).where(
        source_reads.c.image_id == image_id, source_reads.c.region == region)))
