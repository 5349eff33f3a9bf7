# SPDX-License-Identifier: Apache-2.0
"""Reading the queue's rows, and forgetting old ones. Used by the queue, inside its transactions."""
from __future__ import annotations

from collections.abc import Iterator

import sqlalchemy as sa

from glancesync.db import paging
from glancesync.db.schema import runs, tasks
from glancesync.exceptions import TaskNotFoundError
from glancesync.model.sort import NEWEST_FIRST, Sort
from glancesync.model.task import Pair, Run, Task, TaskFilter, TaskState
from glancesync.tasks import rows

_PURGED_AT_ONCE = 1000
#: A failed task stays for somebody to look at.
_FORGETTABLE = (TaskState.DONE.value, TaskState.CANCELLED.value)


def get_task(connection: sa.Connection, task_id: str, for_update: bool = False) -> Task:
    """Raises TaskNotFoundError."""
    wanted = sa.select(tasks).where(tasks.c.id == task_id)
    row = connection.execute(wanted.with_for_update() if for_update else wanted).one_or_none()
    if row is None:
        raise TaskNotFoundError(f"there is no task {task_id[:64]}")
    return rows.to_task(row)


def list_tasks(connection: sa.Connection, task_filter: TaskFilter, limit: int, marker: str | None,
               sort: Sort = NEWEST_FIRST) -> list[Task]:
    """One page. Newest first a task's place never changes, so pages neither repeat nor miss one."""
    wanted = sa.select(tasks).where(*_conditions(task_filter))
    key = tasks.c[sort.key]
    if marker is not None:
        last = getattr(get_task(connection, marker), sort.key)
        wanted = wanted.where(paging.after(key, tasks.c.id, sort, last_key=last, last_identity=marker))
    wanted = wanted.order_by(*paging.order(key, tasks.c.id, sort)).limit(limit)
    return [rows.to_task(row) for row in connection.execute(wanted)]


def list_pairs(connection: sa.Connection, task_filter: TaskFilter, limit: int, after_id: str) -> list[tuple[str, Pair]]:
    """Ids and pairs of the tasks that pass the filter, by ascending id."""
    found = connection.execute(sa.select(tasks.c.id, tasks.c.image_id, tasks.c.region).where(
        *_conditions(task_filter), tasks.c.id > after_id).order_by(tasks.c.id).limit(limit))
    return [(row.id, Pair(row.image_id, row.region)) for row in found]


def _conditions(task_filter: TaskFilter) -> Iterator[sa.ColumnElement[bool]]:
    if task_filter.states:
        yield tasks.c.state.in_(sorted(task_filter.states))
    if task_filter.regions:
        yield tasks.c.region.in_(sorted(task_filter.regions))
    if task_filter.image_id is not None:
        yield tasks.c.image_id == task_filter.image_id
    if task_filter.reason_code is not None:
        yield tasks.c.reason_code == task_filter.reason_code
    if task_filter.request_id is not None:
        yield tasks.c.request_id == task_filter.request_id


def list_runs(connection: sa.Connection, task_id: str) -> list[Run]:
    """Newest first."""
    wanted = sa.select(runs).where(runs.c.task_id == task_id).order_by(runs.c.started_at.desc(), runs.c.id)
    return [rows.to_run(row) for row in connection.execute(wanted)]


def counts(connection: sa.Connection) -> dict[TaskState, int]:
    """All states, those without a task too."""
    found = connection.execute(sa.select(tasks.c.state, sa.func.count()).group_by(tasks.c.state))
    return dict.fromkeys(TaskState, 0) | {TaskState(state): count for state, count in found}


def purge_some(connection: sa.Connection, older_than: float) -> int:
    """Remove a part, so that nobody waits long for the transaction; 0 when nothing is left to remove."""
    old_tasks = (tasks.c.finished_at < older_than) & tasks.c.state.in_(_FORGETTABLE)
    return _purge(connection, runs, runs.c.finished_at < older_than) + _purge(connection, tasks, old_tasks)


def _purge(connection: sa.Connection, table: sa.Table, condition: sa.ColumnElement[bool]) -> int:
    some = list(connection.execute(sa.select(table.c.id).where(condition).limit(_PURGED_AT_ONCE)).scalars())
    if some:
        connection.execute(sa.delete(table).where(table.c.id.in_(some), condition))
    return len(some)
