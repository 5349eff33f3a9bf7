# SPDX-License-Identifier: Apache-2.0
"""Who shares the database, as each server tells it, on SQLite; with --full on PostgreSQL and MariaDB as well."""
from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from glancesync.clock import SystemClock
from glancesync.db.engine import Database
from glancesync.db.following import DatabaseClock
from glancesync.db.schema import servers
from glancesync.exceptions import NotReadyError
from glancesync.model.server import ServerIdentity
from glancesync.model.task import Trigger
from glancesync.service.servers import FORGOTTEN_SECONDS, SILENT_SECONDS, Presence, list_servers
from glancesync.tasks.queue import TaskQueue
from tests.fixtures.queues import new_pairs, unlimited

pytest_plugins = ["tests.fixtures.queues"]


def presence(database: Database, queue: TaskQueue, host: str) -> Presence:
    return Presence(database=database, clock=DatabaseClock(SystemClock()), guard=lambda _doing, function: function(),
                    identity=ServerIdentity(name=queue.owner, host=host, pid=7, version="1.2"))


def age(database: Database, name: str, seconds: float) -> None:
    def work(connection: sa.Connection) -> None:
        connection.execute(sa.update(servers).where(servers.c.name == name).values(
            heartbeat_at=servers.c.heartbeat_at - seconds))

    database.run(work)


def shown(database: Database, *names: str) -> list[tuple[Any, ...]]:
    return [tuple(row[name] for name in names) for row in list_servers(database)]


@pytest.fixture(autouse=True)
def left_empty(database: Database) -> Any:
    yield
    database.run(lambda connection: connection.execute(sa.delete(servers)) and None)


def test_each_tells_of_itself_and_what_it_holds(database: Database, queue: TaskQueue, other: TaskQueue) -> None:
    one, two = presence(database, queue, "one"), presence(database, other, "two")
    for each in (one, two, one):
        each.run_once()
    queue.submit(new_pairs(3, "R1"), trigger=Trigger.EVENT)
    assert len(queue.claim(unlimited, 2)) == 2
    assert shown(database, "host", "pid", "version", "engine", "state", "running_tasks") == [
        ("one", 7, "1.2", "local", "serving", 2), ("two", 7, "1.2", "local", "serving", 0)]
    assert {row["name"] for row in list_servers(database)} == {queue.owner, other.owner}
    assert all(row["heartbeat_age_seconds"] < SILENT_SECONDS for row in list_servers(database))


def test_who_gives_no_sign_is_silent_and_then_forgotten(database: Database, queue: TaskQueue,
                                                        other: TaskQueue) -> None:
    one, two = presence(database, queue, "one"), presence(database, other, "two")
    one.run_once()
    two.run_once()
    age(database, other.owner, SILENT_SECONDS + 1)
    assert shown(database, "host", "state") == [("one", "serving"), ("two", "silent")]
    two.run_once()
    assert shown(database, "host", "state") == [("one", "serving"), ("two", "serving")]
    age(database, other.owner, FORGOTTEN_SECONDS + 1)
    one.run_once()
    assert shown(database, "host") == [("one",)]


def test_how_many_share_the_work(database: Database, queue: TaskQueue, other: TaskQueue) -> None:
    """Who is silent, stops or has left takes nothing."""
    one, two = presence(database, queue, "one"), presence(database, other, "two")
    assert one.serving == 1, "before it asked"

    def seen() -> int:
        one.run_once()
        return one.serving

    assert seen() == 1
    two.run_once()
    assert (two.serving, seen()) == (2, 2)
    age(database, other.owner, SILENT_SECONDS + 1)
    assert seen() == 1
    two.run_once()
    assert seen() == 2
    two.stopping()
    assert seen() == 1
    two.leave()
    assert seen() == 1


def test_who_stops_says_so_and_leaves(database: Database, queue: TaskQueue) -> None:
    one = presence(database, queue, "one")
    one.run_once()
    one.stopping()
    one.run_once()
    assert shown(database, "state") == [("stopping",)]
    one.leave()
    assert list_servers(database) == []


def test_nobody_hears_it_while_the_database_is_away(database: Database, queue: TaskQueue,
                                                    monkeypatch: pytest.MonkeyPatch,
                                                    caplog: pytest.LogCaptureFixture) -> None:
    def fail(*_arguments: Any) -> None:
        raise NotReadyError("the database does not answer")

    one = presence(database, queue, "one")
    with monkeypatch.context() as patched:
        patched.setattr(database, "run", fail)
        with pytest.raises(NotReadyError):
            one.run_once()
        one.stopping()
        one.leave()
    assert "does not answer" in caplog.text
