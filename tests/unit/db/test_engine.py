# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import sqlite3
import threading
import time
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from oslo_db import exception as oslo_db_exception

from glancesync.db import connections, migrate
from glancesync.db.engine import Database, now
from glancesync.db.schema import metadata, regions
from glancesync.exceptions import ConfigurationError, NotReadyError


def add_region(connection: sa.Connection, name: str = "R1") -> None:
    connection.execute(sa.insert(regions), {"name": name, "cascading": False})


def count(connection: sa.Connection) -> int:
    return int(connection.execute(sa.select(sa.func.count()).select_from(regions)).scalar_one())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.db"


@pytest.fixture
def database(path: Path) -> Database:
    database = Database(f"sqlite:///{path}")
    database.sync()
    return database


def test_migrations_lead_to_the_tables_of_the_schema(database: Database) -> None:
    assert database.read(lambda connection: compare_metadata(MigrationContext.configure(connection), metadata)) == []


def test_sync_twice_changes_nothing(database: Database) -> None:
    version = database.version()
    database.run(add_region)
    database.sync()
    database.open()
    assert (database.version(), database.read(count)) == (version, 1)


def test_without_tables_the_next_step_is_named(path: Path) -> None:
    database = Database(f"sqlite:///{path}")
    with pytest.raises(NotReadyError, match="glance-sync-manage db sync"):
        database.open()
    with pytest.raises(NotReadyError, match="tables are missing: run glance-sync-manage db sync"):
        database.run(add_region)


@pytest.mark.parametrize("exists", [False, True])
def test_the_file_is_for_its_owner_only(path: Path, exists: bool) -> None:
    if exists:
        path.touch(0o644)
    database = Database(f"sqlite:///{path}")
    database.sync()
    assert {each.name: each.stat().st_mode & 0o777 for each in path.parent.iterdir()} == {
        "state.db": 0o600, "state.db-wal": 0o600, "state.db-shm": 0o600}
    database.close()


def test_writes_ahead_and_waits_for_locks(database: Database) -> None:
    def pragmas(connection: sa.Connection) -> list[object]:
        return [connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
                for name in ("journal_mode", "synchronous", "busy_timeout")]

    assert database.read(pragmas) == ["wal", 1, 5000]


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


def test_a_deadlock_is_tried_again(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("oslo_db.api.time.sleep", lambda _seconds: None)
    tries: list[int] = []

    def work(connection: sa.Connection) -> int:
        add_region(connection, str(len(tries)))
        tries.append(1)
        if len(tries) < 3:
            raise oslo_db_exception.DBDeadlock
        return count(connection)

    assert database.run(work) == 1
    assert len(tries) == 3


def test_another_programs_lock_is_named(path: Path, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("oslo_db.api.time.sleep", lambda _seconds: None)
    monkeypatch.setattr(connections, "_BUSY_TIMEOUT_MS", 1)
    database.close()
    with sqlite3.connect(path, isolation_level=None) as blocker:
        blocker.execute("BEGIN IMMEDIATE")
        assert database.read(count) == 0
        with pytest.raises(NotReadyError, match="another program holds its lock"):
            database.run(add_region)
        blocker.execute("ROLLBACK")
    database.run(add_region)


def test_a_full_disk_is_named_and_passes(database: Database) -> None:
    def limit(connection: sa.Connection, pages: int) -> None:
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")

    def fill(connection: sa.Connection) -> None:
        connection.execute(sa.insert(regions), {"name": "big", "cascading": False, "endpoint": "x" * 10 ** 6})

    database.run(limit, 1)
    with pytest.raises(NotReadyError, match="its disk is full: free some space"):
        database.run(fill)
    database.run(limit, 10 ** 6)
    database.run(fill)
    assert database.read(count) == 1


def test_a_missing_folder_and_a_foreign_file_are_named(tmp_path: Path) -> None:
    with pytest.raises(NotReadyError, match="create it, owned by the user"):
        Database(f"sqlite:///{tmp_path}/none/state.db").sync()
    (tmp_path / "text").write_text("words, words, words" * 100)
    with pytest.raises(NotReadyError, match="not an SQLite database"):
        Database(f"sqlite:///{tmp_path}/text").sync()


@pytest.mark.parametrize("url", ["", "state.db", "oracle://u:secret@h/x", "postgresql+none://u:secret@h/x"])
def test_a_url_that_is_none_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"\[database\] connection") as refused:
        Database(url)
    assert "secret" not in str(refused.value)


def test_a_description_holds_no_secret() -> None:
    database = Database("mysql+pymysql://user:secret@db.example:3307/sync?ssl_key_password=secret")
    assert database.description == "the mysql database sync on db.example:3307"


def test_the_clock_is_the_databases(database: Database) -> None:
    assert database.read(now) == pytest.approx(time.time(), abs=5)


def test_closing_waits_for_who_is_in_a_statement(database: Database) -> None:
    """SQLite would free the connection under that thread, which ends the process."""
    inside, go_on, closed = threading.Event(), threading.Event(), threading.Event()
    answers: list[int] = []

    def work(connection: sa.Connection) -> int:
        inside.set()
        go_on.wait(10)
        return int(connection.execute(sa.text("select 7")).scalar_one())

    def close() -> None:
        database.close()
        closed.set()

    worker = threading.Thread(target=lambda: answers.append(database.run_here(work)))
    closer = threading.Thread(target=close)
    worker.start()
    assert inside.wait(10)
    closer.start()
    assert not closed.wait(0.1)
    go_on.set()
    worker.join(10)
    closer.join(10)
    assert answers == [7]
    assert closed.is_set()


def test_a_replica_that_two_images_claimed_stays_with_one(path: Path) -> None:
    """What an older version may have left: the image whose id it has keeps it, else the first to have been verified."""
    def claims(connection: sa.Connection) -> set[tuple[str, str | None, str | None]]:
        return {tuple(row) for row in connection.exec_driver_sql("SELECT image_id, replica_id, origin FROM replicas")}

    def upgrade(connection: sa.Connection, revision: str) -> None:
        settings = migrate.config()
        settings.attributes["connection"] = connection
        command.upgrade(settings, revision)

    def claim(connection: sa.Connection) -> None:
        for image_id, region, replica_id, verified_at in (
                ("a", "Two", "b", 1.0), ("b", "Two", "b", 9.0), ("c", "Two", "x", 5.0), ("d", "Two", "x", 4.0),
                ("e", "Two", "x", None), ("f", "Three", "x", 1.0), ("g", "Two", None, None), ("h", "Two", None, None)):
            connection.execute(sa.text(
                "INSERT INTO replicas (image_id, region, replica_id, verified_at, state, origin, updated_at)"
                " VALUES (:i, :r, :p, :v, 'in_sync', 'adopted', 1)"),
                {"i": image_id, "r": region, "p": replica_id, "v": verified_at})

    database = Database(f"sqlite:///{path}")
    database.run(upgrade, "0003")
    database.run(claim)
    database.sync()
    assert database.read(claims) == {
        ("a", None, None), ("b", "b", "adopted"), ("c", None, None), ("d", "x", "adopted"), ("e", None, None),
        ("f", "x", "adopted"), ("g", None, "adopted"), ("h", None, "adopted")}
    database.close()


@pytest.mark.parametrize("for_good", [False, True])
def test_a_row_that_another_server_inserted_meanwhile_is_seen_at_the_second_look(database: Database,
                                                                                 for_good: bool) -> None:
    looks: list[int] = []

    def work(connection: sa.Connection) -> None:
        looks.append(count(connection))
        add_region(connection)
        if for_good or len(looks) == 1:
            add_region(connection)  # as if the other one's had not been there before

    if for_good:
        with pytest.raises(oslo_db_exception.DBDuplicateEntry):
            database.run(work)
    else:
        database.run(work)
    assert (looks, database.read(count)) == ([0, 0], 0 if for_good else 1)


def test_what_has_ended_is_not_opened_again(tmp_path: Path) -> None:
    """A request that was being answered when the process began to stop; the file is left without companions."""
    database = Database(f"sqlite:///{tmp_path}/x.db")
    database.sync()
    database.end()
    for call in (database.run, database.read, database.run_here):
        with pytest.raises(NotReadyError, match="is closed: this process stops"):
            call(lambda connection: connection.exec_driver_sql("SELECT 1"))
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("x.db-")] == []
