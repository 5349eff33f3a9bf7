# SPDX-License-Identifier: Apache-2.0
"""Servers whose machines disagree about the time, on one database: SQLite, with --full PostgreSQL and MariaDB as well.
What one of them wrote down is judged by the others on the database's clock."""
from __future__ import annotations

import logging
import time
from collections.abc import Iterator

import pytest

from glancesync.clock import Clock
from glancesync.conf.deletion import DeletionSettings
from glancesync.db.engine import Database, now
from glancesync.db.following import DatabaseClock
from glancesync.exceptions import DeletionHeldError
from glancesync.model.server import ServerIdentity
from glancesync.service.servers import Presence, list_servers
from glancesync.sync.brake import Brake, Deletion
from glancesync.sync.records import ReplicaRecords
from glancesync.sync.rows import ensure_rows
from glancesync.sync.two_passes import new_pass_id
from tests.fixtures.queues import new_pairs

pytest_plugins = ["tests.fixtures.queues"]
HOUR = 3600.0


class Machine:
    """A machine's clock that is wrong by `ahead_seconds`; set as one likes."""

    def __init__(self, ahead_seconds: float) -> None:
        self.ahead_seconds = ahead_seconds

    def now(self) -> float:
        return time.time() + self.ahead_seconds

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        raise AssertionError("nobody sleeps here")


@pytest.fixture
def right(database: Database) -> DatabaseClock:
    return following(database, Machine(0))


@pytest.fixture
def ahead(database: Database) -> DatabaseClock:
    return following(database, Machine(HOUR))


def following(database: Database, machine: Machine) -> DatabaseClock:
    clock = DatabaseClock(machine)
    clock.follow(database)
    return clock


def compare(database: Database, clock: Clock, pair: tuple[str, str]) -> list[tuple[str, str]]:
    """A comparison that misses the pair; what is confirmed then."""
    records, pass_id = ReplicaRecords(database, clock), new_pass_id(clock.now())
    records.missing.mark(pass_id, [pair])
    return records.missing.settle(pass_id, [pair[1]], confirm_seconds=600)


@pytest.fixture
def pair(database: Database, right: DatabaseClock) -> tuple[str, str]:
    [new] = new_pairs(1, "R1")
    database.run(ensure_rows, [new], wanted_at=right.now())
    return new.image_id, new.region


def test_an_hour_between_servers_confirms_nothing(database: Database, right: DatabaseClock, ahead: DatabaseClock,
                                                  pair: tuple[str, str]) -> None:
    behind = following(database, Machine(-HOUR))
    for clock in (right, ahead, behind, ahead):
        assert compare(database, clock, pair) == []
    # The bare clock of such a machine would have: so the test can see it.
    assert compare(database, Machine(HOUR), pair) == [pair]


def test_a_clock_that_jumps_confirms_nothing(database: Database, pair: tuple[str, str]) -> None:
    machine = Machine(0)
    clock = following(database, machine)
    assert compare(database, clock, pair) == []
    machine.ahead_seconds = HOUR
    assert compare(database, clock, pair) == []
    clock.follow(database)
    assert compare(database, clock, pair) == []


def test_the_window_of_deletions_is_one_for_all(database: Database, right: DatabaseClock, ahead: DatabaseClock) -> None:
    settings = DeletionSettings(max_deletes=1, max_deletes_window_seconds=600)
    Brake(database=database, settings=settings, clock=right).reserve(deletion("one"))
    with pytest.raises(DeletionHeldError):
        Brake(database=database, settings=settings, clock=ahead).reserve(deletion("two"))


def deletion(image_id: str) -> Deletion:
    return Deletion(image_id=image_id, region="R1", replica_id=image_id, cause="source_removed",
                    trigger="event", request_id=None)


def test_it_tells_the_databases_time(database: Database, ahead: DatabaseClock) -> None:
    told, real = ahead.now(), database.read(now)
    assert abs(told - real) < 1
    assert abs(ahead.own_ahead_seconds - HOUR) < 1


def test_what_was_measured_slowly_does_not_move_it(database: Database) -> None:
    machine = Machine(0)
    clock = following(database, machine)
    before = clock.now() - time.monotonic()
    steps: Iterator[float] = iter((0.0, 30.0))
    machine.monotonic = lambda: next(steps)  # type: ignore[method-assign]
    clock.follow(database)
    machine.monotonic = time.monotonic  # type: ignore[method-assign]
    assert clock.now() - time.monotonic() == pytest.approx(before, abs=1)


def test_a_wrong_clock_is_told_once(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    machine = Machine(HOUR)
    presence = Presence(database=database, clock=following(database, machine), guard=lambda _doing, work: work(),
                        identity=ServerIdentity(name="wrong", host="one", pid=7, version="1.2"))
    caplog.set_level(logging.INFO)
    for _ in range(3):
        presence.run_once()
    [row] = list_servers(database)
    assert row["clock_ahead_seconds"] == pytest.approx(HOUR, abs=1)
    machine.ahead_seconds = 0
    presence.run_once()
    words = [record.getMessage() for record in caplog.records if "the clock of this machine" in record.getMessage()]
    assert len(words) == 2, words
    assert "is 3600 s ahead of the database's" in words[0]
    assert "agrees" in words[1]

