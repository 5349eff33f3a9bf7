# SPDX-License-Identifier: Apache-2.0
"""The engine and its migrations on real database servers. SQLite's part is tests/unit/db/test_engine.py."""
from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from oslo_db import exception as oslo_db_exception

from glancesync.db import migrate
from glancesync.db.connections import server_engine
from glancesync.db.engine import Database, now
from glancesync.db.schema import facts, metadata, regions, replicas
from glancesync.exceptions import NotReadyError
from glancesync.model.chore import STATISTICS, Turn
from glancesync.model.task import Trigger
from glancesync.service.timers import StatisticsChore
from glancesync.tasks.claim import GROUP_LANES
from tests.fixtures.databases import BACKENDS, Servers
from tests.fixtures.queues import new_pairs, new_queue

pytestmark = [pytest.mark.full, pytest.mark.parametrize("backend", BACKENDS)]


@pytest.fixture
def url(backend: str, new_database: Callable[[str], str]) -> str:
    return new_database(backend)


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    database = Database(url)
    database.sync()
    yield database
    database.close()


def add_region(connection: sa.Connection, name: str = "R1") -> None:
    connection.execute(sa.insert(regions), {"name": name, "cascading": False})


def count(connection: sa.Connection) -> int:
    return int(connection.execute(sa.select(sa.func.count()).select_from(regions)).scalar_one())


def differences(connection: sa.Connection) -> object:
    return compare_metadata(MigrationContext.configure(connection), metadata)


def test_migrations_lead_to_the_tables_of_the_schema(database: Database) -> None:
    assert database.read(differences) == []


def test_sync_twice_changes_nothing(database: Database) -> None:
    database.run(add_region)
    version = database.version()
    database.sync()
    database.open()
    assert (database.version(), database.read(count)) == (version, 1)


def test_tables_of_the_first_version_are_brought_up_with_their_rows(url: str) -> None:
    database = Database(url)
    database.run(_upgrade_to, "0001")
    with pytest.raises(NotReadyError, match="is at version 0001"):
        database.open()
    database.run(add_region)
    database.sync()
    assert database.read(differences) == []
    assert database.read(count) == 1
    database.close()


def _upgrade_to(connection: sa.Connection, revision: str) -> None:
    settings = migrate.config()
    settings.attributes["connection"] = connection
    command.upgrade(settings, revision)


def test_a_host_that_is_gone_without_a_word_is_noticed(url: str, backend: str) -> None:
    """Each connection asks after 10 s of silence, and gives up after 25."""
    engine = server_engine(sa.make_url(url))
    with engine.connect() as connection:
        driver = connection.connection.dbapi_connection
        if backend == "postgresql":
            told = driver.get_dsn_parameters()  # it is reached by a socket file here
            assert (told["keepalives_idle"], told["tcp_user_timeout"]) == ("10", "25000")
        else:
            own = driver._sock
            assert [own.getsockopt(socket.IPPROTO_TCP, option) for option in (
                socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT, socket.TCP_USER_TIMEOUT)] \
                == [10, 5, 3, 25000]
            assert own.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    engine.dispose()


def test_a_database_that_would_refuse_names_is_refused(url: str, backend: str) -> None:
    name = sa.make_url(url).database
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        if backend == "postgresql":
            name = f"{name}_narrow"
            connection.exec_driver_sql(
                f"CREATE DATABASE {name} ENCODING 'LATIN1' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'")
        else:
            connection.exec_driver_sql(f"ALTER DATABASE {name} CHARACTER SET utf8mb3")
    engine.dispose()
    database = Database(sa.make_url(url).set(database=name).render_as_string(hide_password=False))
    with pytest.raises(NotReadyError, match="keeps text as (LATIN1|utf8mb3), which cannot hold every image's name"):
        database.sync()
    assert database.version() is None
    database.close()


def test_an_error_rolls_back(database: Database) -> None:
    def work(connection: sa.Connection) -> None:
        add_region(connection)
        raise KeyError("no")

    with pytest.raises(KeyError):
        database.run(work)
    assert database.read(count) == 0


def test_the_programs_own_mistakes_stay_what_they_are(database: Database) -> None:
    database.run(add_region)
    with pytest.raises(oslo_db_exception.DBDuplicateEntry):
        database.run(add_region)


def test_the_clock_is_the_databases(database: Database) -> None:
    assert database.read(now) == pytest.approx(time.time(), abs=5)


def test_a_claim_jumps_over_what_waits_also_in_a_queue_that_grew(database: Database, backend: str) -> None:
    """The table was opened when it was empty. MariaDB's plan went by that until the chore."""
    queue = new_queue(database, "one")
    assert queue.claim(lambda _region: 1, 1) == []
    for _ in range(20):
        queue.submit(new_pairs(100, *(f"R{number}" for number in range(10))), trigger=Trigger.EVENT)
    assert StatisticsChore(database).run(Turn(name=STATISTICS, fence=1, wanted=0, asked=False))
    if backend == "postgresql":
        return  # it has no other plan: the recursion reads one row for each lane
    [plan] = database.read(lambda connection: connection.exec_driver_sql(
        "EXPLAIN " + str(GROUP_LANES.compile(connection, compile_kwargs={"literal_binds": True}))).mappings().all())
    assert "Using index for group-by" in plan["Extra"]


def test_texts_of_any_length_are_kept_whole(database: Database) -> None:
    """Facts of thousands of regions; two values of a property that differ."""
    long = "ü" * 200_000

    def write(connection: sa.Connection) -> None:
        connection.execute(sa.insert(facts), {"name": "long", "value": long, "updated_at": 0})
        connection.execute(sa.insert(replicas), {"image_id": "i", "region": "R1", "state": "conflict", "updated_at": 0,
                                                 "differences": long})

    database.run(write)
    for stored in (sa.select(facts.c.value).where(facts.c.name == "long"), sa.select(replicas.c.differences)):
        assert database.read(lambda connection, stored=stored: connection.scalar(stored)) == long


def test_of_two_in_each_others_way_both_end_well(database: Database) -> None:
    """The database ends one of them; it is tried again."""
    for name in ("a", "b"):
        database.run(lambda connection, name=name: connection.execute(
            sa.insert(facts), {"name": name, "value": "", "updated_at": 0}))
    met = threading.Barrier(2)
    tries: list[str] = []

    def append(connection: sa.Connection, first: str, second: str) -> None:
        tries.append(first)
        for name in (first, second):
            found = connection.execute(sa.select(facts.c.value).where(facts.c.name == name).with_for_update())
            connection.execute(sa.update(facts).where(facts.c.name == name), {"value": found.scalar_one() + first})
            if len(tries) <= 2 and name == first:
                met.wait(20)

    threads = [threading.Thread(target=database.run, args=(append, *names)) for names in (("a", "b"), ("b", "a"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    values = database.read(lambda connection: connection.execute(
        sa.select(facts.c.value).where(facts.c.name.in_(["a", "b"]))).scalars().all())
    assert [sorted(value) for value in values] == [["a", "b"]] * 2
    assert len(tries) == 3


def test_transactions_are_as_this_program_needs_them_whatever_the_default(backend: str, url: str) -> None:
    """An administrator may have set another isolation level for all; MariaDB's users may set it for each connection."""
    parsed = sa.make_url(url)
    if backend == "postgresql":
        with sa.create_engine(url).begin() as connection:
            connection.exec_driver_sql(
                f'ALTER DATABASE "{parsed.database}" SET default_transaction_isolation = \'serializable\'')
    else:
        parsed = parsed.update_query_dict({"init_command": "SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE"})
    question = "SHOW transaction_isolation" if backend == "postgresql" else "SELECT @@tx_isolation"

    def ask(connection: sa.Connection) -> str:
        return str(connection.exec_driver_sql(question).scalar_one()).lower().replace("-", " ")

    with sa.create_engine(parsed).begin() as connection:
        assert ask(connection) == "serializable"
    ours = Database(parsed.render_as_string(hide_password=False))
    assert (ours.run(ask), ours.run_here(ask)) == ("read committed", "read committed")
    ours.close()


def test_what_could_not_be_put_in_order_is_tried_again(backend: str, database: Database, url: str) -> None:
    """A real serialisation failure, and a real lock wait that takes too long."""
    database.run(lambda connection: connection.execute(
        sa.insert(facts), {"name": "a", "value": "", "updated_at": 0}))
    change = sa.update(facts).where(facts.c.name == "a").values(value=facts.c.value + "x")
    tries: list[int] = []
    other = sa.create_engine(url).connect()

    def work(connection: sa.Connection) -> None:
        tries.append(1)
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE" if backend == "postgresql"
                                   else "SET innodb_lock_wait_timeout = 1")
        connection.execute(sa.select(facts.c.updated_at)).all()
        if len(tries) == 1:
            other.execute(change)
            if backend == "postgresql":
                other.commit()
        elif backend == "mariadb":
            other.commit()
        connection.execute(change)

    database.run(work)
    other.close()
    assert len(tries) == 2
    assert database.read(lambda connection: connection.execute(
        sa.select(facts.c.value).where(facts.c.name == "a")).scalar_one()) == "xx"


def test_without_tables_or_database_the_next_step_is_named(backend: str, url: str,
                                                           new_database: Callable[[str], str]) -> None:
    with pytest.raises(NotReadyError, match="glance-sync-manage db sync"):
        Database(url).run(add_region)
    missing = Database(sa.make_url(url).set(database="nowhere").render_as_string(hide_password=False))
    with pytest.raises(NotReadyError) as told:
        missing.run(add_region)
    assert "create" in str(told.value) or "refuses the user" in str(told.value)


def test_a_server_that_died_and_came_back(backend: str, database: Database, database_servers: Servers) -> None:
    database.run(add_region)
    server = database_servers.get(backend)
    server.kill()
    with pytest.raises(NotReadyError):
        database.read(count)
    database_servers.get(backend)
    assert database.read(count) == 1


def test_nothing_is_compiled_by_the_server(database: Database, backend: str) -> None:
    """PostgreSQL would compile each claim anew, for longer than it runs."""
    if backend != "postgresql":
        pytest.skip("MariaDB compiles no statements")
    assert database.read(lambda connection: connection.exec_driver_sql("SHOW jit").scalar_one()) == "off"
