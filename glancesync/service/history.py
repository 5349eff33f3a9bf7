# SPDX-License-Identifier: Apache-2.0
"""Forgets what was written down of images that are gone, once it is older than the history that is kept.

What goes: the records of replicas that were deleted with their image, images that have no record left, what was said of
the external URLs of either, deletions that Glance confirmed, and new ids that were taken. What stays however old it is:
what a brake still counts, deletions whose end is not known, records of pairs that a task works on and of regions that
are away, and the ids that live replicas have, with their reasons. An image that comes back under its old id after that
is met without a memory: where its id is used up in a region Glance answers 409 again, and its replica takes a new one.
A region that is put back to an older state than the history shows replicas that nobody remembers: they are listed as
not ours, and left alone.

Called by its timer.
"""
from __future__ import annotations

from collections.abc import Callable

import sqlalchemy as sa

from glancesync.conf.deletion import DeletionSettings
from glancesync.conf.sync import SyncSettings
from glancesync.db.engine import Database
from glancesync.db.schema import (
    deletions,
    images,
    located,
    new_ids,
    regions,
    registrations,
    replicas,
    source_reads,
    tasks,
)
from glancesync.model.replica import ReplicaState
from glancesync.model.task import TaskState

_AT_ONCE = 500
_LIVE = (TaskState.WAITING.value, TaskState.RUNNING.value)


class History:
    """Works in small transactions, so that nobody waits long for one."""

    def __init__(self, *, database: Database, deletion: DeletionSettings, sync: SyncSettings) -> None:
        self._database = database
        self._deletion = deletion
        self._sync = sync

    def forget(self, before: float, now: float) -> int:
        """Remove what ended before that time, in seconds since the epoch; how many rows went."""
        counted = {deletions: now - self._deletion.max_deletes_window_seconds,
                   new_ids: now - self._sync.max_new_ids_window_seconds}
        total = self._drain(_forget_rows, deletions, sa.and_(
            deletions.c.at < min(before, counted[deletions]), deletions.c.done_at.is_not(None)))
        total += self._drain(_forget_rows, new_ids, new_ids.c.at < min(before, counted[new_ids]))
        total += self._drain(_forget_replicas, before)
        total += self._drain(_forget_registrations, before)
        total += self._drain(_forget_located, before)
        total += self._drain(_forget_reads, before)
        return total + self._drain(_forget_images, before)

    def _drain(self, work: Callable[..., int], *args: object) -> int:
        removed = total = self._database.run(work, *args)
        while removed:
            removed = self._database.run(work, *args)
            total += removed
        return total


def _forget_rows(connection: sa.Connection, table: sa.Table, old: sa.ColumnElement[bool]) -> int:
    some = list(connection.scalars(sa.select(table.c.id).where(old).limit(_AT_ONCE)))
    if some:
        connection.execute(sa.delete(table).where(table.c.id.in_(some)))
    return len(some)


def _forget_replicas(connection: sa.Connection, before: float) -> int:
    """Those of images that were deleted, with their tasks."""
    same = sa.and_(tasks.c.image_id == replicas.c.image_id, tasks.c.region == replicas.c.region)
    old = sa.and_(
        replicas.c.state == ReplicaState.DELETED.value, replicas.c.updated_at < before,
        ~sa.exists().where(same, tasks.c.state.in_(_LIVE)),
        replicas.c.region.not_in(sa.select(regions.c.name).where(regions.c.gone_at.is_not(None))))
    some = connection.execute(sa.select(replicas.c.image_id, replicas.c.region).where(old).limit(_AT_ONCE)).all()
    for image_id, region in some:
        connection.execute(sa.delete(replicas).where(
            replicas.c.image_id == image_id, replicas.c.region == region,
            replicas.c.state == ReplicaState.DELETED.value))
    return len(some)


def _forget_registrations(connection: sa.Connection, before: float) -> int:
    """Those of pairs without a record."""
    pair = sa.and_(replicas.c.image_id == registrations.c.image_id, replicas.c.region == registrations.c.region)
    some = connection.execute(sa.select(registrations.c.image_id, registrations.c.region).where(
        registrations.c.at < before, ~sa.exists().where(pair)).limit(_AT_ONCE)).all()
    for image_id, region in some:
        connection.execute(sa.delete(registrations).where(
            registrations.c.image_id == image_id, registrations.c.region == region))
    return len(some)


def _forget_located(connection: sa.Connection, before: float) -> int:
    """Those of images without a record in any region."""
    some = list(connection.scalars(sa.select(located.c.image_id).where(
        located.c.asked_at < before, ~sa.exists().where(replicas.c.image_id == located.c.image_id)).limit(_AT_ONCE)))
    if some:
        connection.execute(sa.delete(located).where(located.c.image_id.in_(some)))
    return len(some)


def _forget_reads(connection: sa.Connection, before: float) -> int:
    """Those of servers that died over them, of images that nobody copied since."""
    some = list(connection.scalars(sa.select(source_reads.c.read_id).where(
        source_reads.c.began_at < before).limit(_AT_ONCE)))
    if some:
        connection.execute(sa.delete(source_reads).where(source_reads.c.read_id.in_(some)))
    return len(some)


def _forget_images(connection: sa.Connection, before: float) -> int:
    """Those without a record in any region, seen and removed long ago."""
    old = sa.and_(
        images.c.seen_at < before, sa.or_(images.c.removed_at.is_(None), images.c.removed_at < before),
        ~sa.exists().where(replicas.c.image_id == images.c.image_id))
    some = list(connection.scalars(sa.select(images.c.image_id).where(old).limit(_AT_ONCE)))
    if some:
        connection.execute(sa.delete(images).where(images.c.image_id.in_(some)))
    return len(some)
