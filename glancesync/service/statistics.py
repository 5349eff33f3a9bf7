# SPDX-License-Identifier: Apache-2.0
"""How much there is of what, for metrics. Called by the core; one look at the database."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from glancesync.db.clock import now as database_now
from glancesync.db.engine import Database
from glancesync.db.schema import tasks
from glancesync.model.task import TaskState


@dataclass(frozen=True, kw_only=True)
class DueTasks:
    """Tasks of a region that could run now and do not yet: how many, and for how many seconds the oldest could."""

    count: int
    oldest_seconds: float


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """`tasks` is (state, trigger, region) to their number, `due` is by region, `replicas` by region and state."""

    tasks: Mapping[tuple[str, str, str], int]
    due: Mapping[str, DueTasks]
    replicas: Mapping[str, Mapping[str, int]]
    deletions_held: bool


def count_tasks(database: Database) -> tuple[dict[tuple[str, str, str], int], dict[str, DueTasks]]:
    """Tasks by (state, trigger, region), and those that are due by region."""
    def work(connection: sa.Connection) -> tuple[dict[tuple[str, str, str], int], dict[str, DueTasks]]:
        now = database_now(connection)
        kinds = (tasks.c.state, tasks.c.trigger, tasks.c.region)
        found = {(row.state, row.trigger, row.region): int(row.number) for row in connection.execute(
            sa.select(*kinds, sa.func.count().label("number")).group_by(*kinds))}
        due = {row.region: DueTasks(count=int(row.number), oldest_seconds=max(0.0, now - row.oldest))
               for row in connection.execute(sa.select(
                   tasks.c.region, sa.func.count().label("number"), sa.func.min(tasks.c.run_at).label("oldest")).where(
                       tasks.c.state == TaskState.WAITING.value, tasks.c.run_at <= now).group_by(tasks.c.region))}
        return found, due

    return database.read(work)
