# SPDX-License-Identifier: Apache-2.0
"""The rows of `fills`: images that a region lacks and that wait for their turn, newest first. For service.filling.

A row lives from the comparison that found it until its region has all of them:

    found -> queued: its task is in the queue -> done: the task rests, whatever came of it -> gone, with the last one

All functions work in the caller's transaction; times are the database's.
"""
from __future__ import annotations

from collections.abc import Collection, Sequence

import sqlalchemy as sa

from glancesync.db.clock import now
from glancesync.db.schema import fills, tasks
from glancesync.model.fill import RATE_SECONDS, FillProgress
from glancesync.model.task import Pair, TaskState
from glancesync.sync.findings import Finding

_AT_ONCE = 400
_OPEN = fills.c.done_at.is_(None)
_ITS_TASK = (tasks.c.image_id == fills.c.image_id) & (tasks.c.region == fills.c.region)


def add(connection: sa.Connection, findings: Sequence[Finding]) -> list[Pair]:
    """Give each that lacks something a row. Returns those that had their turn in this fill and are missing again."""
    at, again = now(connection), []
    known = _known(connection, findings)
    fresh = []
    for each in findings:
        pair = Pair(each.image_id, each.region)
        if pair not in known and each.lacks is not None:
            fresh.append({"image_id": pair.image_id, "region": pair.region, "created_at": each.lacks.created_at,
                          "size": each.lacks.size, "added_at": at, "failed": False})
        elif known.get(pair):
            again.append(pair)
    if fresh:
        connection.execute(sa.insert(fills), fresh)
    return again


def _known(connection: sa.Connection, findings: Sequence[Finding]) -> dict[Pair, bool]:
    """Whether each that has a row is done."""
    found: dict[Pair, bool] = {}
    for start in range(0, len(findings), _AT_ONCE):
        some = [(each.image_id, each.region) for each in findings[start:start + _AT_ONCE]]
        found.update((Pair(row.image_id, row.region), row.done_at is not None) for row in connection.execute(
            sa.select(fills).where(sa.tuple_(fills.c.image_id, fills.c.region).in_(some))))
    return found


def regions(connection: sa.Connection, names: Collection[str]) -> set[str]:
    """Those of the names that are being filled. A look along the index for each, however many rows there are."""
    return {name for name in names
            if connection.execute(sa.select(fills.c.image_id).where(fills.c.region == name).limit(1)).first()}


def settle(connection: sa.Connection, region: str) -> bool:
    """Mark those as done whose task rests; whether that was the region's last. One that failed and is tried again by
    itself is not done."""
    its_states = sa.select(tasks.c.id).where(_ITS_TASK)
    moving = its_states.where(tasks.c.state.in_([TaskState.WAITING.value, TaskState.RUNNING.value])).exists()
    failed = its_states.where(tasks.c.state == TaskState.FAILED.value).exists()
    connection.execute(sa.update(fills).where(
        fills.c.region == region, _OPEN, fills.c.queued_at.is_not(None), ~moving).values(
            done_at=now(connection), failed=sa.case((failed, sa.true()), else_=sa.false())))
    return not _has_open(connection, region)


def outstanding(connection: sa.Connection, region: str) -> int:
    """How many are in the queue and are due, have not run yet, or run now. One that ran and waits for something, or is
    tried again later, keeps no place from the others."""
    unrun = (tasks.c.state == TaskState.WAITING.value) & (
        tasks.c.started_at.is_(None) | (tasks.c.started_at < fills.c.queued_at) | (tasks.c.run_at <= now(connection)))
    running = tasks.c.state == TaskState.RUNNING.value
    return connection.scalar(sa.select(sa.func.count()).select_from(fills.join(tasks, _ITS_TASK)).where(
        fills.c.region == region, fills.c.queued_at.is_not(None), _OPEN, unrun | running)) or 0


def newest(connection: sa.Connection, region: str, limit: int) -> list[Pair]:
    """Those whose turn is next."""
    found = connection.scalars(sa.select(fills.c.image_id).where(
        fills.c.region == region, _OPEN, fills.c.queued_at.is_(None)).order_by(
            fills.c.created_at.desc(), fills.c.image_id).limit(limit))
    return [Pair(image_id, region) for image_id in found]


def choose(connection: sa.Connection, names: Sequence[str], batch: int) -> tuple[float, list[Pair]]:
    """Now, and what may be let into the queue, so that at most `batch` of each region are in it: the newest of each
    region first, then the second of each."""
    begun, turns = now(connection), []
    for region in names:
        room = batch - outstanding(connection, region)
        if room > 0:
            turns += list(enumerate(newest(connection, region, room)))
    return begun, [pair for _turn, pair in sorted(turns)]


def mark_queued(connection: sa.Connection, pairs: Sequence[Pair], at: float) -> None:
    """`at`: before they were submitted, so that a run of theirs began later."""
    for start in range(0, len(pairs), _AT_ONCE):
        some = [tuple(pair) for pair in pairs[start:start + _AT_ONCE]]
        connection.execute(sa.update(fills).where(
            sa.tuple_(fills.c.image_id, fills.c.region).in_(some)).values(queued_at=at))


def read_progress(connection: sa.Connection) -> dict[str, FillProgress]:
    """By region, of those that are being filled."""
    at, moved = now(connection), _running_bytes(connection)
    ended = fills.c.done_at.is_not(None)
    recent = sa.func.coalesce(fills.c.done_at, 0) >= at - RATE_SECONDS
    return {row.region: FillProgress(
        images=row.images, done=int(row.done), failed=int(row.failed), bytes_total=int(row.bytes_total),
        bytes_done=int(row.bytes_done) + moved.get(row.region, 0), since=row.since, at=at,
        recent_images=int(row.recent_images), recent_bytes=int(row.recent_bytes)) for row in connection.execute(
            sa.select(fills.c.region, sa.func.count().label("images"), _sum(ended, 1).label("done"),
                      _sum(fills.c.failed, 1).label("failed"), sa.func.sum(fills.c.size).label("bytes_total"),
                      _sum(ended, fills.c.size).label("bytes_done"), sa.func.min(fills.c.added_at).label("since"),
                      _sum(recent, 1).label("recent_images"), _sum(recent, fills.c.size).label("recent_bytes"))
            .group_by(fills.c.region))}


def _running_bytes(connection: sa.Connection) -> dict[str, int]:
    """What the copies that are on their way have moved."""
    return {row.region: int(row.moved) for row in connection.execute(
        sa.select(fills.c.region, sa.func.sum(sa.func.coalesce(tasks.c.bytes_done, 0)).label("moved"))
        .select_from(fills.join(tasks, _ITS_TASK))
        .where(_OPEN, tasks.c.state == TaskState.RUNNING.value).group_by(fills.c.region))}


def forget(connection: sa.Connection, region: str) -> None:
    """The region has had all of them, but for what a comparison has added since."""
    if not _has_open(connection, region):
        connection.execute(sa.delete(fills).where(fills.c.region == region, ~_OPEN))


def _has_open(connection: sa.Connection, region: str) -> bool:
    return connection.execute(sa.select(fills.c.image_id).where(
        fills.c.region == region, _OPEN).limit(1)).first() is not None


def _sum(condition: sa.ColumnElement[bool], value: object) -> sa.ColumnElement[int]:
    return sa.func.sum(sa.case((condition, value), else_=0))
