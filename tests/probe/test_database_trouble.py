# SPDX-License-Identifier: Apache-2.0
"""Two servers at work on one PostgreSQL or MariaDB, which ends their transactions: those of others stand in the way, or
it finds no order for them. Nothing is lost, nothing doubled, and they go on by themselves."""
from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.error import HTTPError

import pytest
import sqlalchemy as sa

from tests.fixtures.daemon import Daemon
from tests.fixtures.databases import BACKENDS
from tests.fixtures.fake_cloud import FakeCloud, image_ids
from tests.fixtures.polling import eventually
from tests.fixtures.several import Several
from tests.probe.test_queue_probe import new_chance

pytestmark = [pytest.mark.full, pytest.mark.parametrize("backend", BACKENDS)]

IMAGES = 60
#: What both write while images are copied: the queue's rows and the pairs' records.
TABLES = ("tasks", "replicas")


class Foe:
    """Locks rows in any order and keeps each for a while, until it is told to stop. Wherever it and a server wait for
    one another, the database ends the server's transaction."""

    def __init__(self, url: str, chance: random.Random) -> None:
        self._engine = sa.create_engine(url, isolation_level="READ COMMITTED")
        self._chance = chance
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.own_ends = 0
        self._before = self._deadlocks()

    def __enter__(self) -> Foe:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stop.set()
        self._thread.join(60)
        self._engine.dispose()

    def theirs(self) -> int:
        """How many transactions of others were ended."""
        return self._deadlocks() - self._before - self.own_ends

    def _deadlocks(self) -> int:
        question = ("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
                    if self._engine.dialect.name == "postgresql" else
                    "SELECT variable_value FROM information_schema.global_status "
                    "WHERE variable_name = 'innodb_deadlocks'")
        with self._engine.connect() as connection:
            return int(connection.exec_driver_sql(question).scalar_one())

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                with self._engine.begin() as connection:
                    self._stand_in_the_way(connection)
            except sa.exc.DBAPIError as error:
                if "deadlock" not in str(error.orig).lower():
                    raise
                self.own_ends += 1

    def _stand_in_the_way(self, connection: sa.Connection) -> None:
        if connection.dialect.name == "postgresql":
            # Who looks first is ended. Each looks once, so that this one has to look where it was the last to wait.
            connection.exec_driver_sql("SET LOCAL deadlock_timeout = '3s'")
        for _ in range(3):
            table = self._chance.choice(TABLES)
            named = [row.image_id for row in connection.exec_driver_sql(f"SELECT image_id FROM {table}")]
            image_ids = self._chance.sample(named, min(20, len(named)))
            for image_id in image_ids:
                # Who changed more is not the one that MariaDB ends.
                connection.execute(sa.text(f"UPDATE {table} SET image_id = image_id "
                                           "WHERE image_id = :image_id"), {"image_id": image_id})
                time.sleep(0.005)


_REFUSING = {"postgresql": """
    CREATE SEQUENCE refused;
    CREATE FUNCTION refuse() RETURNS trigger AS $$ BEGIN
        IF random() < 0.033 THEN
            PERFORM nextval('refused');
            RAISE EXCEPTION 'could not serialize access' USING ERRCODE = 'serialization_failure';
        END IF;
        RETURN NEW;
    END $$ LANGUAGE plpgsql;
    CREATE TRIGGER refusing BEFORE UPDATE ON tasks FOR EACH ROW EXECUTE FUNCTION refuse()""",
             "mariadb": """
    CREATE SEQUENCE refused;
    CREATE TRIGGER refusing BEFORE UPDATE ON tasks FOR EACH ROW
    IF rand() < 0.033 THEN
        DO nextval(refused)@
        SIGNAL SQLSTATE '40001' SET MYSQL_ERRNO = 1213,
            MESSAGE_TEXT = 'Deadlock found when trying to get lock'@
    END IF"""}


class Refusals:
    """While it lasts the database refuses changes of the queue's rows with the error of a lost order (SQLSTATE 40001).
    Its count is a sequence's, which no rollback takes back."""

    def __init__(self, url: str, backend: str) -> None:
        self._engine = sa.create_engine(url)
        self._statements = [_REFUSING[backend]] if backend == "postgresql" else [
            each.replace("@", ";") for each in _REFUSING[backend].split(";")]

    def __enter__(self) -> Refusals:
        with self._engine.begin() as connection:
            for statement in self._statements:
                connection.exec_driver_sql(statement.replace("%", "%%"))
        return self

    def __exit__(self, *_error: object) -> None:
        with self._engine.begin() as connection:
            on = " ON tasks" if connection.dialect.name == "postgresql" else ""
            connection.exec_driver_sql(f"DROP TRIGGER refusing{on}")
        self._engine.dispose()

    def count(self) -> int:
        with self._engine.connect() as connection:
            return int(connection.exec_driver_sql("SELECT nextval('refused')"
                                                  if connection.dialect.name == "postgresql" else
                                                  "SELECT nextval(refused)").scalar_one()) - 1


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[FakeCloud]:
    started = FakeCloud(tmp_path, regions=3, images=IMAGES, seconds=0.3)
    yield started
    started.stop()


@pytest.fixture
def servers(tmp_path: Path, cloud: FakeCloud, backend: str,
            new_database: Callable[[str], str]) -> Iterator[list[Several]]:
    url = new_database(backend)
    if backend == "postgresql":
        _demand_serializable(url)
    made = [Several(tmp_path, cloud, workers=1, url=url) for _ in range(2)]
    yield made
    for each in made:
        each.end()


def _demand_serializable(url: str) -> None:
    """What an administrator may have set, and what this program does not rely on."""
    engine = sa.create_engine(url)
    name = sa.make_url(url).database
    with engine.begin() as connection:
        connection.exec_driver_sql(f'ALTER DATABASE "{name}" SET default_transaction_isolation = \'serializable\'')
    engine.dispose()


def all_done(server: Several) -> bool:
    found = Counter(task["state"] for task in server.call("GET", "/v1/tasks?limit=1000")["tasks"])
    assert found == {"done": 3 * IMAGES}
    return True


def ask_for(server: Several, some: list[str]) -> None:
    """It does it, or says that it cannot now."""
    try:
        server.call("POST", "/v1/sync", {"image_ids": some})
    except HTTPError as error:
        if error.code != 503:
            raise


def check_well(cloud: FakeCloud, daemons: list[Daemon]) -> None:
    cloud.check_no_two_at_once()
    assert Counter((each.region, each.image_id) for each in cloud.uploads("end")) == Counter(
        (region, image_id) for region in cloud.names for image_id in image_ids(IMAGES))
    assert not [line for daemon in daemons for line in daemon.lines("Traceback")]
    assert [daemon.stop() for daemon in daemons] == [0, 0]


def test_transactions_ended_by_the_database_are_tried_again(
        servers: list[Several], cloud: FakeCloud, tell: Callable[..., None]) -> None:
    daemons = [server.start() for server in servers]
    chance = new_chance()
    with Foe(servers[0].url, chance) as foe:
        def met() -> bool:
            ask_for(chance.choice(servers), chance.sample(image_ids(IMAGES), 20))
            return foe.theirs() >= 5

        eventually(met, 120, every_seconds=0.3, what="deadlocks")
        early = len(cloud.uploads("end"))
    assert early < 3 * IMAGES, "the deadlocks came too late to show anything"
    tell(f"{foe.theirs()} transactions of the servers were ended, {foe.own_ends} of the other's")
    eventually(lambda: all_done(servers[0]), 120)
    check_well(cloud, daemons)


def test_transactions_without_an_order_are_tried_again(servers: list[Several], cloud: FakeCloud, backend: str,
                                                       tell: Callable[..., None]) -> None:
    """The database refuses one change of the queue's rows in thirty as it does where it finds no order for it."""
    with Refusals(servers[0].url, backend) as refusals:
        daemons = [server.start() for server in servers]
        eventually(lambda: all_done(servers[0]), 180)
        refused = refusals.count()
    tell(f"{refused} changes were refused")
    assert refused >= 10
    check_well(cloud, daemons)
