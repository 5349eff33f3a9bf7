# SPDX-License-Identifier: Apache-2.0
"""Statements on the queue's rows that differ between databases, and rows as values. Used by the queue alone."""
from __future__ import annotations

import functools
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql, postgresql, sqlite

from glancesync.db.schema import runs, tasks
from glancesync.model.task import Pair, Run, RunOutcome, Submission, Task, TaskState, Trigger
from glancesync.model.text import storable
from glancesync.tasks.states import RESTING

#: A task waits, spelled so that rows are found by what else is asked (their id, image or mark) and not among all that
#: wait: SQLite, which counts no rows, would as soon take the state's index.
WAITS_AMONG_FEW = sa.func.coalesce(tasks.c.state, "") == TaskState.WAITING.value
_REASON_CHARACTERS = 1024
_PAIRS_PER_SELECT = 400


def to_task(row: sa.Row[Any]) -> Task:
    values = dict(row._mapping)
    values.update(state=TaskState(values["state"]), trigger=Trigger(values["trigger"]), cancel=bool(values["cancel"]))
    return Task(**values)


def to_run(row: sa.Row[Any]) -> Run:
    values = dict(row._mapping)
    return Run(**{**values, "trigger": Trigger(values["trigger"]), "outcome": RunOutcome(values["outcome"])})


def upsert(connection: sa.Connection, pairs: Sequence[Pair], submission: Submission, at: float) -> list[Task]:
    """One row per pair, new or merged, in the order of `pairs` (which holds each pair once)."""
    due = at + submission.delay_seconds
    new = {"state": TaskState.WAITING.value, "trigger": submission.trigger.value, "wanted": 1, "seen": 0,
           "priority": submission.priority, "run_at": due, "attempts": 0, "cancel": False,
           "fence": 0, "request_id": submission.request_id, "created_at": at, "updated_at": at}
    # In one order everywhere, so that two servers that ask for the same pairs do not wait for each other in a circle.
    values = [{**new, "id": uuid.uuid4().hex, "image_id": pair.image_id, "region": pair.region,
               "run_at": due - (len(pairs) - 1 - number) * submission.spacing_seconds}
              for pair, number in sorted((pair, number) for number, pair in enumerate(pairs))]
    found = _upserted(connection, values, pairs)
    return [found[pair] for pair in pairs]


def _upserted(connection: sa.Connection, values: list[dict[str, Any]], pairs: Sequence[Pair]) -> dict[Pair, Task]:
    result = connection.execute(_upsert_statement(connection.dialect.name), values)
    found = map(to_task, result) if result.returns_rows else _select_pairs(connection, pairs)
    return {task.pair: task for task in found}


@functools.cache
def _upsert_statement(dialect_name: str) -> sa.Executable:
    """Built once: building it takes longer than running it."""
    if dialect_name in ("mysql", "mariadb"):
        # MariaDB assigns from left to right, and sees what it assigned: `state`, which the others read, comes last.
        merging = mysql.insert(tasks)
        return merging.on_duplicate_key_update(_merged(merging.inserted))
    upserting = (sqlite.insert if dialect_name == "sqlite" else postgresql.insert)(tasks)
    return upserting.on_conflict_do_update(
        index_elements=["image_id", "region"], set_=dict(_merged(upserting.excluded))).returning(tasks)


def _merged(new: Any) -> list[tuple[str, Any]]:
    """What a request makes of a row that is there, in the order in which MariaDB must assign it.

    Without parameters: PyMySQL takes none behind the values of many rows.
    """
    old = tasks.c
    zero: sa.ColumnElement[int] = sa.literal_column("0", sa.Integer)
    one: sa.ColumnElement[int] = sa.literal_column("1", sa.Integer)
    resting = sa.or_(*(old.state == _literal(state) for state in sorted(RESTING)))
    running = old.state == _literal(TaskState.RUNNING)
    return [
        ("wanted", old.wanted + one),
        ("trigger", new.trigger),
        ("request_id", sa.case((resting, new.request_id), else_=sa.func.coalesce(new.request_id, old.request_id))),
        ("priority", sa.case((resting | (new.priority > old.priority), new.priority), else_=old.priority)),
        ("run_at", sa.case((running | (~resting & (old.run_at < new.run_at)), old.run_at), else_=new.run_at)),
        ("attempts", sa.case((resting, zero), else_=old.attempts)),
        ("reason_code", sa.case((resting, sa.null()), else_=old.reason_code)),
        ("reason", sa.case((resting, sa.null()), else_=old.reason)),
        ("updated_at", new.updated_at),
        # What was cancelled after it was published is published anew; its message names an old fence by then or not.
        ("published_at", sa.case((resting, sa.null()), else_=old.published_at)),
        ("state", sa.case((running, old.state), else_=_literal(TaskState.WAITING))),
    ]


def _literal(state: TaskState) -> sa.ColumnElement[str]:
    return sa.literal_column(f"'{state.value}'", sa.String)


def _select_pairs(connection: sa.Connection, pairs: Sequence[Pair]) -> Iterable[Task]:
    for start in range(0, len(pairs), _PAIRS_PER_SELECT):
        some = [tuple(pair) for pair in pairs[start:start + _PAIRS_PER_SELECT]]
        wanted = sa.tuple_(tasks.c.image_id, tasks.c.region).in_(some)
        yield from map(to_task, connection.execute(sa.select(tasks).where(wanted)))


def update(connection: sa.Connection, condition: sa.ColumnElement[bool], values: Mapping[str, Any]) -> list[Task]:
    """Change the rows that fulfil the condition; the rows as they are then."""
    changing = sa.update(tasks).where(condition).values(dict(values))
    if connection.dialect.update_returning:
        return [to_task(row) for row in connection.execute(changing.returning(tasks))]
    ids = list(connection.execute(sa.select(tasks.c.id).where(condition).with_for_update()).scalars())
    if ids:
        connection.execute(changing.where(tasks.c.id.in_(ids)))
    return [to_task(row) for row in connection.execute(sa.select(tasks).where(tasks.c.id.in_(ids)))] if ids else []


def add_run(connection: sa.Connection, task: Task, at: float, outcome: RunOutcome, **details: Any) -> None:
    """Keep a run for the record. `task` is the row as it was claimed; details are reason_code, reason, bytes_moved."""
    connection.execute(sa.insert(runs), {
        "id": uuid.uuid4().hex, "task_id": task.id, "image_id": task.image_id, "region": task.region,
        "trigger": task.trigger.value, "request_id": task.request_id, "attempt": task.attempts + 1,
        "started_at": task.started_at if task.started_at is not None else at, "finished_at": at,
        "outcome": outcome.value, "server": task.owner, "bytes_moved": 0, "reason_code": None, "reason": None,
        **details})


def shorten(reason: str) -> str:
    """A sentence that fits its column."""
    reason = storable(reason)
    return reason if len(reason) <= _REASON_CHARACTERS else reason[:_REASON_CHARACTERS - 3] + "..."
