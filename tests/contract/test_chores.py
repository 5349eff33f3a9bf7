# SPDX-License-Identifier: Apache-2.0
"""What one server does for all, on SQLite; with --full on PostgreSQL and MariaDB as well."""
from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
import sqlalchemy as sa

from glancesync.clock import ManualClock, SystemClock
from glancesync.concurrency import Doorbell
from glancesync.db.engine import Database
from glancesync.db.following import DatabaseClock
from glancesync.db.schema import chores
from glancesync.exceptions import NotReadyError
from glancesync.model.chore import LEASE_SECONDS, RECONCILE, Turn
from glancesync.model.server import ServerIdentity, worker_engine
from glancesync.service.chores import Chore, ChoreRunner, ask_at_start, list_chores
from glancesync.service.servers import Presence
from glancesync.tasks.chores import ask, claim, end, give_back, is_held, renew, take_back

pytest_plugins = ["tests.fixtures.queues"]
HOUR = 3600.0


def take(database: Database, owner: str = "one", name: str = RECONCILE, interval_seconds: float = HOUR) -> Turn | None:
    return database.run(claim, name, owner, interval_seconds=interval_seconds)


def taken(database: Database, owner: str = "one") -> Turn:
    turn = take(database, owner)
    assert turn is not None
    return turn


def pass_time(database: Database, seconds: float) -> None:
    database.run(lambda connection: connection.execute(sa.update(chores).values(
        lease_until=chores.c.lease_until - seconds, ended_at=chores.c.ended_at - seconds)) and None)


def test_the_first_turn_comes_after_an_interval_or_when_it_is_asked_for(database: Database) -> None:
    assert take(database) is None
    pass_time(database, HOUR)
    turn = taken(database)
    assert not turn.asked
    database.run(end, turn, "one", well=True)
    assert take(database, "two") is None
    database.run(ask, RECONCILE)
    assert taken(database, "two").asked


def test_it_is_one_servers_until_that_ends_it(database: Database) -> None:
    database.run(ask, RECONCILE)
    turn = taken(database)
    assert take(database, "two") is None
    assert database.read(is_held, RECONCILE)
    database.run(ask, RECONCILE)  # while it runs: once more
    assert take(database, "two") is None
    database.run(end, turn, "one", well=True)
    assert not database.read(is_held, RECONCILE)
    again = taken(database, "two")
    assert again.asked
    database.run(end, again, "two", well=True)
    assert take(database) is None


def test_a_server_that_was_killed_loses_it_with_its_lease(database: Database) -> None:
    database.run(ask, RECONCILE)
    lost = taken(database)
    pass_time(database, LEASE_SECONDS - 1)
    assert take(database, "two") is None
    assert database.run(renew, lost, "one")
    pass_time(database, LEASE_SECONDS + 1)
    assert not database.read(is_held, RECONCILE)
    turn = taken(database, "two")
    assert turn.asked, "nobody has done what was asked for"
    assert not database.run(renew, lost, "one")
    database.run(end, lost, "one", well=True)
    database.run(give_back, lost, "one")
    assert database.run(renew, turn, "two"), "the first one ended what is not its any more"


def test_what_did_not_go_well_is_tried_again_after_a_while(database: Database) -> None:
    database.run(ask, RECONCILE)
    for waits in (30, 60, 120):
        database.run(end, taken(database), "one", well=False)
        pass_time(database, waits - 2)
        assert take(database) is None
        pass_time(database, 3)
    database.run(end, taken(database), "one", well=False)
    database.run(ask, RECONCILE)
    assert taken(database).asked, "who asks now waits for no second try"


def test_what_is_given_back_is_due_at_once(database: Database) -> None:
    database.run(ask, RECONCILE)
    database.run(give_back, taken(database), "one")
    assert taken(database, "two").asked


def test_what_an_ended_process_held_is_due_at_once(database: Database) -> None:
    database.run(ask, RECONCILE)
    taken(database)
    database.run(take_back, "another")
    assert take(database, "two") is None
    database.run(take_back, "one")
    taken(database, "two")
    database.run(take_back)
    assert taken(database).asked


def test_a_server_that_has_the_database_alone_waits_for_no_lease_of_its_last_start(database: Database) -> None:
    """Where others share it, the holder may be one of them."""
    runners = Runners(database)
    database.run(ask, RECONCILE)
    taken(database, "killed")
    again = runners.new("one")
    again.recover()
    look(again)
    assert runners.did == (["one"] if database.is_sqlite else [])


def test_many_servers_at_once_do_it_once(database: Database) -> None:
    database.run(ask, RECONCILE)
    turns: list[Turn] = []
    ready = threading.Barrier(6)

    def server(number: int) -> None:
        ready.wait()
        for _ in range(5):
            try:
                turn = take(database, f"server-{number}")
            except NotReadyError:
                continue
            turns.extend([turn] if turn else [])

    threads = [threading.Thread(target=server, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(turns) == 1


class Runners:
    """Servers that count what they did."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.clock = ManualClock()
        self.did: list[str] = []

    def new(self, owner: str, run: Callable[[Turn], bool] | None = None) -> ChoreRunner:
        def work(_turn: Turn) -> bool:
            self.did.append(owner)
            return True

        return ChoreRunner(
            database=self.database, owner=owner, bell=Doorbell(), clock=self.clock,
            guard=lambda _doing, function, *given: function(*given),
            work=[Chore(name=RECONCILE, run=run or work, interval_seconds=lambda: HOUR)])


def look(*runners: ChoreRunner) -> None:
    for runner in runners:
        runner.run_once()
        runner.drain()


def test_an_interval_is_one_for_all_servers_and_their_restarts(database: Database) -> None:
    runners = Runners(database)
    look(runners.new("one"))
    pass_time(database, HOUR)
    look(runners.new("one"), runners.new("two"), runners.new("one again"))
    assert runners.did == ["one"]
    pass_time(database, HOUR)
    look(runners.new("two"), runners.new("one"))
    assert runners.did == ["one", "two"]
    [shown] = list_chores(database)
    assert (shown["name"], shown["server"], shown["asked"], shown["failures"]) == (RECONCILE, None, False, 0)
    assert shown["ended_at"] >= shown["began_at"]


def test_a_turn_that_another_server_took_is_told_to_who_does_it(database: Database,
                                                                caplog: pytest.LogCaptureFixture) -> None:
    runners, turns = Runners(database), []
    database.run(ask, RECONCILE)

    def stood_still(turn: Turn) -> bool:
        turns.append(turn)
        pass_time(database, LEASE_SECONDS + 1)
        look(other)
        runners.clock.advance(LEASE_SECONDS)
        one.run_once()
        return True

    one, other = runners.new("one", stood_still), runners.new("two")
    look(one)
    assert runners.did == ["two"]
    assert turns[0].lost
    assert "another server does reconcile" in caplog.text
    assert take(database) is None, "what the second one did counts"


def test_the_first_server_of_all_compares_at_its_start(database: Database) -> None:
    def tell(host: str, engine: str) -> None:
        Presence(database=database, clock=DatabaseClock(SystemClock()), guard=lambda _doing, work: work(),
                 identity=ServerIdentity(name=host, host=host, pid=7, version="1.2", engine=engine)).run_once()

    def start(host: str) -> None:
        ask_at_start(database, host)
        tell(host, "celery")

    def worker(host: str) -> None:
        tell(host, worker_engine("celery"))

    def asked() -> bool:
        turn = take(database)
        if turn is not None:
            database.run(end, turn, "one", well=True)
        return turn is not None

    start("one")
    assert asked()
    start("one")
    assert asked(), "it may have been down for hours"
    worker("three")
    start("one")
    assert asked(), "nobody tells a worker what happened"
    start("two")
    assert not asked(), "the other host's server heard all that happened"
