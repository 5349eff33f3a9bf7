# SPDX-License-Identifier: Apache-2.0
"""All that servers know goes to another database, or nothing: between SQLite files, with --full to PostgreSQL and
MariaDB and back."""
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from glancesync.cmd.manage import main
from glancesync.db import copy as copying
from glancesync.db.copy import copy_database
from glancesync.db.engine import Database
from glancesync.db.schema import metadata, servers, tasks
from glancesync.exceptions import NotReadyError, StateConflictError
from glancesync.model.task import Outcome, TaskState, Trigger
from glancesync.sync.facts import set_fact
from glancesync.sync.rows import ensure_rows
from tests.fixtures.databases import BACKENDS
from tests.fixtures.queues import new_pairs, new_queue, unlimited

PAIRS = 1203


@pytest.fixture(params=["sqlite", *(pytest.param(backend, marks=pytest.mark.full) for backend in BACKENDS)])
def new_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/new.db"
    new_database: Callable[[str], str] = request.getfixturevalue("new_database")
    return new_database(request.param)


def filled(url: str) -> Database:
    """What servers leave: tasks that wait, ran, and ran when one was killed; names with all that a region may hold."""
    database = Database(url)
    database.sync()
    queue = new_queue(database, "one")
    pairs = new_pairs(PAIRS // 3, "R1", "Région-2", "R 3")
    queue.submit(pairs, trigger=Trigger.EVENT, request_id="req-1")
    database.run(ensure_rows, pairs, wanted_at=1_700_000_000.123456)
    claimed = queue.claim(unlimited, 20)
    for task in claimed[:10]:
        queue.finish(task, Outcome(code="in_sync", reason="it is as it should be \N{CHECK MARK}"))
    database.run(set_fact, "a fact", {"a": [1, None, "\N{SNOWMAN}"]}, 5.0)
    return database


def content(database: Database) -> dict[str, list[tuple[Any, ...]]]:
    def read(connection: sa.Connection) -> dict[str, list[tuple[Any, ...]]]:
        return {table.name: sorted((tuple(row) for row in connection.execute(sa.select(table))), key=repr)
                for table in metadata.sorted_tables}

    return database.read(read)


def test_everything_arrives_and_goes_back(tmp_path: Path, new_url: str) -> None:
    old, new, back = filled(f"sqlite:///{tmp_path}/old.db"), Database(new_url), Database(f"sqlite:///{tmp_path}/back.db")
    new.sync()
    back.sync()
    told: list[tuple[str, int, int]] = []
    rows = copy_database(old, new, told=lambda *each: told.append(each))
    assert (rows["tasks"], rows["replicas"], rows["runs"]) == (PAIRS, PAIRS, 10)
    assert [done for name, done, _total in told if name == "tasks"] == [500, 1000, 1203]
    assert content(new) == content(old)
    copy_database(new, back)
    assert content(back) == content(old)
    queue = new_queue(new, "two")
    counts = queue.counts()
    assert [counts[state] for state in (TaskState.WAITING, TaskState.RUNNING, TaskState.DONE)] == [PAIRS - 20, 10, 10]
    assert len(queue.claim(unlimited, 5)) == 5, "the next server goes on with it"
    for each in (old, new, back):
        each.close()


def test_what_breaks_off_leaves_the_new_one_empty(tmp_path: Path, new_url: str,
                                                 monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = filled(f"sqlite:///{tmp_path}/old.db"), Database(new_url)
    new.sync()
    empty = content(new)

    def broken(*given: Any) -> int:
        if given[0] is tasks:
            raise StateConflictError("the disk is full, say")
        return original(*given)

    original = copying._copy_table
    monkeypatch.setattr(copying, "_copy_table", broken)
    with pytest.raises(StateConflictError, match="the disk is full"):
        copy_database(old, new)
    assert content(new) == empty
    monkeypatch.undo()
    copy_database(old, new)
    with pytest.raises(StateConflictError, match="not empty"):
        copy_database(old, new)
    assert len(content(new)["tasks"]) == PAIRS


def test_no_server_may_work_meanwhile(tmp_path: Path) -> None:
    old, new = filled(f"sqlite:///{tmp_path}/old.db"), Database(f"sqlite:///{tmp_path}/new.db")
    new.sync()
    at = old.read(copying.now)

    def live(seconds_ago: float) -> None:
        old.run(lambda connection: connection.execute(sa.delete(servers)) and None)
        old.run(lambda connection: connection.execute(sa.insert(servers).values(
            name="one/1", host="controller", pid=17, version="1", engine="local", state="serving",
            started_at=at - 1000, heartbeat_at=at - seconds_ago)) and None)

    live(50)
    with pytest.raises(StateConflictError, match="the server 17 on controller works with the old database"):
        copy_database(old, new)
    live(70)
    assert "servers" not in copy_database(old, new)
    assert content(new)["servers"] == []


@pytest.fixture
def configuration(tmp_path: Path) -> Callable[[str], str]:
    def write(name: str) -> str:
        path = tmp_path / f"{name}.conf"
        path.write_text(f"[DEFAULT]\ncascading_region = R\n[database]\nconnection = sqlite:///{tmp_path}/{name}.db\n")
        return str(path)

    return write


def test_by_command(tmp_path: Path, configuration: Callable[[str], str], capsys: pytest.CaptureFixture[str]) -> None:
    old, new = configuration("old"), configuration("new")
    filled(f"sqlite:///{tmp_path}/old.db").close()
    assert main(["--config-file", old, "db", "copy", "--to-config-file", old]) == 2
    assert "names the database" in capsys.readouterr().err
    assert main(["--config-file", old, "db", "copy", "--to-config-file", new]) == 0
    assert f"{PAIRS} tasks, {PAIRS} replicas; start the servers with {new}" in capsys.readouterr().out
    assert main(["--config-file", old, "db", "copy", "--to-config-file", new]) == 1
    assert "not empty" in capsys.readouterr().err
    assert len(content(Database(f"sqlite:///{tmp_path}/new.db"))["replicas"]) == PAIRS


def test_an_old_database_of_another_version_is_refused(tmp_path: Path) -> None:
    old, new = Database(f"sqlite:///{tmp_path}/old.db"), Database(f"sqlite:///{tmp_path}/new.db")
    new.sync()
    with pytest.raises(NotReadyError, match="db sync"):
        copy_database(old, new)
