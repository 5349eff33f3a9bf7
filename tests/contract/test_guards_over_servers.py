# SPDX-License-Identifier: Apache-2.0
"""What guards the images themselves where several servers share a database: the brake on deletions, what two
comparisons prove, turns, the clock. On SQLite, with --full on PostgreSQL, MariaDB and a Galera cluster as well."""
from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from oslo_db.exception import DBError

from glancesync.clock import SystemClock
from glancesync.conf.deletion import DeletionSettings
from glancesync.conf.sync import SyncSettings
from glancesync.db import connections
from glancesync.db.engine import Database, database_now
from glancesync.db.schema import chores, tasks
from glancesync.exceptions import DeletionHeldError, NewIdsHeldError
from glancesync.model.chore import FILL, RECONCILE
from glancesync.model.task import Trigger
from glancesync.sync.brake import Brake, Deletion
from glancesync.sync.facts import find_fact, set_fact
from glancesync.sync.new_ids import NewId, NewIdBrake
from glancesync.sync.records import ReplicaRecords
from glancesync.sync.rows import ensure_rows
from glancesync.sync.two_passes import new_pass_id
from glancesync.tasks import chores as chore_rows
from glancesync.tasks.queue import TaskQueue
from tests.fixtures.databases import BACKENDS, GALERA, PrivateMariadb, Servers
from tests.fixtures.memory_cloud import SYNC
from tests.fixtures.polling import eventually
from tests.fixtures.queues import SETTINGS, new_pairs, new_queue, opened, pass_time, unlimited

pytest_plugins = ["tests.fixtures.queues"]
SERVERS, DELETIONS, ALLOWED = 4, 24, 10


@pytest.fixture(params=["sqlite", *(pytest.param(backend, marks=pytest.mark.full) for backend in (*BACKENDS, GALERA))])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    yield from opened(request, tmp_path)


@pytest.fixture
def others(database: Database, database_servers: Servers) -> Iterator[list[Database]]:
    """Connections of several servers to the same database; of a cluster each has a node of its own."""
    url = database._url.render_as_string(hide_password=False)
    made = [Database(each) for each in database_servers.spread(url, SERVERS)]
    yield made
    for each in made:
        each.close()


def test_deletions_at_once_are_no_more_than_allowed(database: Database, others: list[Database]) -> None:
    settings, barrier = DeletionSettings(max_deletes=ALLOWED), threading.Barrier(SERVERS)
    brakes = [Brake(database=each, settings=settings, clock=SystemClock()) for each in others]

    def reserve(number: int) -> int:
        barrier.wait()
        allowed = 0
        for each in range(number, DELETIONS, SERVERS):
            try:
                brakes[number].reserve(Deletion(image_id=f"i{each}", region="R1", replica_id=f"i{each}",
                                                cause="source_removed", trigger="event", request_id=None))
                allowed += 1
            except DeletionHeldError:
                pass
        return allowed

    for _ in range(5):
        with ThreadPoolExecutor(SERVERS) as pool:
            assert sum(pool.map(reserve, range(SERVERS))) == ALLOWED
        assert brakes[0].latch() is not None
        brakes[0].release()
        database.run(lambda connection: connection.execute(sa.text("DELETE FROM deletions")) and None)


def test_new_ids_at_once_are_no_more_than_allowed(database: Database, others: list[Database]) -> None:
    barrier = threading.Barrier(SERVERS)
    settings = SyncSettings(**{**SYNC, "max_new_ids": ALLOWED, "max_new_ids_window_seconds": 3600})  # type: ignore[arg-type]
    brakes = [NewIdBrake(database=each, settings=settings, clock=SystemClock()) for each in others]

    def reserve(number: int) -> int:
        barrier.wait()
        allowed = 0
        for each in range(number, DELETIONS, SERVERS):
            try:
                brakes[number].reserve(NewId(image_id=f"i{each}", region="R1", old_id=f"i{each}", new_id=f"n{each}",
                                             reason="burned"))
                allowed += 1
            except NewIdsHeldError:
                pass
        return allowed

    for _ in range(5):
        with ThreadPoolExecutor(SERVERS) as pool:
            assert sum(pool.map(reserve, range(SERVERS))) == ALLOWED
        assert brakes[0].release("R1")
        database.run(lambda connection: connection.execute(sa.text("DELETE FROM new_ids")) and None)


@pytest.fixture
def impatient(database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """Another server's connections, of which a transaction may stand still for a second."""
    if database.is_sqlite:
        pytest.skip("the file of a process that stands still is no one else's")
    monkeypatch.setattr(connections, "_IDLE_SECONDS", 1)
    made = Database(database._url.render_as_string(hide_password=False))
    yield made
    made.close()


def test_who_stands_still_in_a_transaction_holds_up_others_for_a_moment(
        database: Database, impatient: Database, other: TaskQueue) -> None:
    """As a server that was stopped, or whose host lost its power, right after it locked its task's row."""
    [pair] = new_pairs(1, "R1")
    dying = new_queue(impatient, "dying")
    [task] = dying.submit([pair], trigger=Trigger.EVENT)
    assert dying.claim(unlimited, 1)
    pass_time(database, SETTINGS.lease_seconds + 1)
    locked, looked = threading.Event(), threading.Event()

    def stand_still() -> None:
        assert impatient._engine is not None
        with impatient._engine.connect() as connection:
            connection.execute(sa.update(tasks).values(step="so far"))
            locked.set()
            looked.wait(30)
            with pytest.raises((sa.exc.DBAPIError, DBError)):
                connection.execute(sa.update(tasks).values(step="further"))

    with ThreadPoolExecutor(1) as pool:
        standing = pool.submit(stand_still)
        assert locked.wait(10)
        try:
            assert other.sweep() == []
            eventually(lambda: [each.id for each in other.sweep()] == [task.id], 10)
        finally:
            looked.set()
        standing.result()
    assert database.read(lambda connection: connection.scalar(sa.select(tasks.c.step))) is None


def test_who_stood_still_in_a_transaction_does_it_again(impatient: Database) -> None:
    pauses = [2.0, 0.0]

    def work(connection: sa.Connection) -> None:
        set_fact(connection, "slow", len(pauses), 1.0)
        time.sleep(pauses.pop(0))
        set_fact(connection, "slow", len(pauses), 2.0)

    impatient.run(work)
    assert impatient.read(find_fact, "slow") == 0


class Hands:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.at = 1e9

    def now(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.at

    def sleep(self, seconds: float) -> None:
        raise AssertionError("nobody sleeps here")


def test_comparisons_that_ran_side_by_side_prove_nothing_together(database: Database) -> None:
    """Both looked in the same second; that one of them took long tells nothing about later."""
    clock, confirm = Hands(), 600
    missing = ReplicaRecords(database, clock).missing
    [pair] = new_pairs(1, "R1")
    database.run(ensure_rows, [pair], wanted_at=clock.now())
    quick = new_pass_id(clock.now())
    clock.at += 1
    slow = new_pass_id(clock.now())
    missing.mark(quick, [pair])
    assert missing.settle(quick, ["R1"], confirm_seconds=confirm) == []
    missing.mark(slow, [pair])
    clock.at += 2 * confirm
    assert missing.settle(slow, ["R1"], confirm_seconds=confirm) == []
    later = new_pass_id(clock.now())
    missing.mark(later, [pair])
    assert missing.settle(later, ["R1"], confirm_seconds=confirm) == [pair]


@pytest.mark.parametrize("guard", ["lock", "confirm"])
def test_what_guards_a_write_is_written_itself(database: Database, guard: str) -> None:
    """A lock is seen by one node of a Galera cluster alone; of two that write the same row it refuses the later."""
    name = FILL if guard == "lock" else RECONCILE
    database.run(chore_rows.ask, name)
    turn = database.run(chore_rows.claim, name, "one", interval_seconds=60)
    assert turn is not None
    use = partial(chore_rows.lock, name=name) if guard == "lock" else partial(chore_rows.confirm, turn=turn)
    before = _row(database, name)
    database.run(use)
    after = _row(database, name)
    assert after != before
    kept = ("wanted", "seen", "owner", "fence", "began_at", "ended_at", "failures", "lease_until")
    assert [after[each] for each in kept] == [before[each] for each in kept]


def _row(database: Database, name: str) -> dict[str, Any]:
    return database.read(lambda connection: dict(connection.execute(
        sa.select(chores).where(chores.c.name == name)).one()._mapping))


def test_a_fact_of_every_region_of_a_large_cloud_is_kept(database: Database) -> None:
    times = {f"Region-of-the-north-{number:04d}": 1.8e9 + number / 7 for number in range(1800)}
    database.run(set_fact, "compared_at", times, 1.0)
    assert database.read(find_fact, "compared_at") == times


@pytest.mark.full
def test_mariadbs_clock_does_not_jump_when_summer_ends(database_servers: Servers,
                                                       new_database: Callable[[str], str]) -> None:
    """2026-10-25 01:00 UTC is 02:00 in Berlin for the second time."""
    database = Database(new_database("mariadb"))
    server = database_servers.get("mariadb")
    assert isinstance(server, PrivateMariadb)
    zone = subprocess.run(["mariadb-tzinfo-to-sql", "/usr/share/zoneinfo/Europe/Berlin", "Europe/Berlin"],
                          capture_output=True, check=True, text=True)
    assert server._query(f"USE mysql;\n{zone.stdout}").returncode == 0
    change = 1792890000.25

    def work(connection: sa.Connection) -> list[float]:
        connection.execute(sa.text("SET time_zone = 'Europe/Berlin'"))
        found = []
        for at in range(-5400, 5401, 1800):
            connection.execute(sa.text(f"SET timestamp = {change + at}"))
            found.append(connection.execute(sa.select(database_now())).scalar_one() - change)
        connection.execute(sa.text("SET timestamp = DEFAULT"))
        connection.execute(sa.text("SET time_zone = DEFAULT"))
        return found

    try:
        assert database.run(work) == list(range(-5400, 5401, 1800))
    finally:
        database.close()


def test_what_one_server_committed_another_reads_at_once(others: list[Database]) -> None:
    """A task that was promised is there, whichever server is asked for it."""
    one, *rest = others
    for number in range(100):
        one.run(set_fact, "seen", number, 1.0)
        assert [each.read(find_fact, "seen") for each in rest] == [number] * len(rest)
