# SPDX-License-Identifier: Apache-2.0
"""What changed a moment ago, and how work went over time: for whoever watches. Called by the core; reads rows.

Both follow the ended runs by their time, for which there is an index: looking every second costs the same whatever the
number of images.
"""
from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from glancesync.clock import isoformat
from glancesync.db.clock import now as database_now
from glancesync.db.engine import Database
from glancesync.db.schema import replicas, runs, tasks
from glancesync.model.task import RunOutcome, TaskState
from glancesync.service.views import image_views

#: A run is committed a moment after the time that it ended at; so long it is looked for again.
_LATE_SECONDS = 2.0
#: Who looks for longer than this ago would be told of too much.
_LONGEST_SECONDS = 10.0
#: A run that brought a replica in sync ended this soon after.
_SETTLED_SECONDS = 5.0
_FAILURES = tuple(each.value for each in (RunOutcome.RETRY, RunOutcome.FAILED, RunOutcome.LOST))


class LiveViews:
    """Built by the core."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def list_changed_images(self, *, since: float | None, limit: int) -> tuple[list[dict[str, Any]], float]:
        """Images as the API shows them that are worked on now or whose work ended after `since` (None: now), at most
        `limit`, and the `since` of the next look. An image may come twice. Times are those of the database's clock."""
        def work(connection: sa.Connection) -> tuple[list[dict[str, Any]], float]:
            now = database_now(connection)
            begin = now - _LATE_SECONDS if since is None else max(since, now - _LONGEST_SECONDS)
            running = connection.scalars(sa.select(tasks.c.image_id).where(
                tasks.c.state == TaskState.RUNNING.value).limit(limit)).all()
            ended = connection.execute(sa.select(runs.c.image_id, runs.c.finished_at).where(
                runs.c.finished_at > begin).order_by(runs.c.finished_at).limit(limit)).all()
            left_over = len(ended) == limit
            after = ended[-1].finished_at if left_over else now - _LATE_SECONDS
            # What ended comes first: it is told once, what runs comes again.
            found = list(dict.fromkeys([*(row.image_id for row in ended), *running]))[:limit]
            return image_views(connection, found), after

        return self._database.read(work)

    def history(self, *, seconds: float, points: int, region: str | None) -> dict[str, Any]:
        """The last `seconds` in so many steps. A point is there for each step and region in which a run ended:
        `bytes` that were moved, runs that were `done` and that `failed`, and the longest lag of what came in sync."""
        def work(connection: sa.Connection) -> dict[str, Any]:
            step = seconds / points
            # Steps begin at whole multiples, so that a picture that is drawn again does not flicker.
            begin = database_now(connection) // step * step - (points - 1) * step
            query = _points(begin, step)
            if region is not None:
                query = query.where(runs.c.region == region)
            return {"begins_at": isoformat(begin), "step_seconds": step,
                    "points": [_point(row, begin, step) for row in connection.execute(query)]}

        return self._database.read(work)


def _points(begin: float, step: float) -> sa.Select[Any]:
    place = sa.func.floor((runs.c.finished_at - begin) / step).label("place")
    in_sync = sa.and_(runs.c.outcome == RunOutcome.DONE.value, replicas.c.synced_at >= runs.c.started_at,
                      replicas.c.synced_at <= runs.c.finished_at + _SETTLED_SECONDS)
    return sa.select(
        place, runs.c.region, sa.func.sum(runs.c.bytes_moved).label("bytes"),
        sa.func.sum(sa.case((runs.c.outcome == RunOutcome.DONE.value, 1), else_=0)).label("done"),
        sa.func.sum(sa.case((runs.c.outcome.in_(_FAILURES), 1), else_=0)).label("failed"),
        sa.func.max(sa.case((in_sync, replicas.c.lag_seconds))).label("lag"),
    ).select_from(runs.outerjoin(replicas, sa.and_(
        replicas.c.image_id == runs.c.image_id, replicas.c.region == runs.c.region))).where(
            runs.c.finished_at >= begin).group_by(place, runs.c.region).order_by(place, runs.c.region)


def _point(row: Any, begin: float, step: float) -> dict[str, Any]:
    return {"at": isoformat(begin + int(row.place) * step), "region": row.region, "bytes": int(row.bytes),
            "done": int(row.done), "failed": int(row.failed), "lag_seconds": row.lag}
