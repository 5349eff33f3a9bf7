# SPDX-License-Identifier: Apache-2.0
"""How SQLite finds the rows of a claim: never by reading all that wait. It keeps no counts that would tell it."""
from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from glancesync.db.engine import Database
from glancesync.model.task import Trigger
from glancesync.tasks.queue import TaskQueue
from tests.fixtures.queues import new_pairs, new_queue

#: Indexes by which all tasks of a state, or of a region, would be read.
_WIDE = ("ix_tasks_state", "ix_tasks_kind", "ix_tasks_region", "ix_tasks_created", "SCAN tasks")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path}/queue.db")
    database.sync()
    yield database
    database.close()


@pytest.fixture
def queue(database: Database) -> TaskQueue:
    return new_queue(database, "one")


@contextmanager
def statements() -> Iterator[list[tuple[str, Any]]]:
    """What any engine executes meanwhile."""
    found: list[tuple[str, Any]] = []

    def note(_connection: sa.Connection, _cursor: object, statement: str, values: Any, *_more: object) -> None:
        found.append((statement, values))

    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", note)


def wide_plans(database: Database, executed: list[tuple[str, Any]]) -> list[str]:
    """Steps of the statements' plans that read more than they need."""
    def explain(connection: sa.Connection) -> list[str]:
        return [step.detail for statement, values in executed
                if " tasks" in statement and statement.startswith(("SELECT", "WITH", "UPDATE"))
                for step in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)]

    steps = database.read(explain)
    assert any("ix_tasks_claim" in step or "uq_tasks" in step or "autoindex" in step for step in steps), steps
    return [step for step in steps if any(wide in step for wide in _WIDE)]


def test_of_a_claim(database: Database, queue: TaskQueue) -> None:
    queue.submit(new_pairs(50, "R1", "R2", "R3"), trigger=Trigger.EVENT)
    assert queue.claim(lambda _region: 2, 3), "some are held meanwhile"
    with statements() as executed:
        assert queue.claim(lambda _region: 9, 8)
    assert any("image_id = " in statement for statement, _values in executed), "it looked for other regions of an image"
    assert wide_plans(database, executed) == []


def test_the_judge_is_not_blind(database: Database) -> None:
    with statements() as executed:
        database.read(lambda connection: connection.exec_driver_sql(
            "SELECT id FROM tasks WHERE state = 'waiting' AND image_id = 'x' ORDER BY run_at").all())
        database.read(lambda connection: connection.exec_driver_sql("SELECT id FROM tasks WHERE id = 'x'").all())
    assert wide_plans(database, executed)
