# SPDX-License-Identifier: Apache-2.0
"""Which images were born in a cascaded region, as rows of `births`. Called by the records, converge and the service.

The region's own image counts as the replica there: the pair's row has its id, and the origin `born`, which nothing ever
deletes or changes.
"""
from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa

from glancesync.clock import Clock
from glancesync.db.engine import Database
from glancesync.db.schema import births, replicas
from glancesync.exceptions import StateConflictError
from glancesync.model.birth import Birth, BirthClaim, ImageFrom
from glancesync.model.replica import IdReason, Origin, ReplicaState
from glancesync.sync.rows import pair_is

_AT_ONCE = 500
_NOT_OURS: Mapping[str, Any] = dict.fromkeys(("replica_id", "origin", "id_reason"))


class Births:
    """Reads and writes the table."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def find_all(self, image_ids: Iterable[str]) -> dict[str, Birth]:
        """Image id to its birth, for those of the images that have one."""
        wanted = sorted(image_ids)

        def work(connection: sa.Connection) -> dict[str, Birth]:
            found: dict[str, Birth] = {}
            for start in range(0, len(wanted), _AT_ONCE):
                found.update(_read(connection, births.c.image_id.in_(wanted[start:start + _AT_ONCE])))
            return found

        return self._database.read(work) if wanted else {}

    def note(self, image_id: str, **columns: float | None) -> None:
        """Set waiting_since, filling_since or filled_at."""
        def work(connection: sa.Connection) -> None:
            connection.execute(sa.update(births).where(births.c.image_id == image_id).values(**columns))

        self._database.run(work)

    def forget(self, image_id: str) -> None:
        """The claim turned out to be none: the region's image is any image from now on."""
        self._database.run(_forget, image_id)


def find_birth(connection: sa.Connection, image_id: str) -> Birth | None:
    return _read(connection, births.c.image_id == image_id).get(image_id)


def write_claim(connection: sa.Connection, claim: BirthClaim, now: float) -> None:
    """Write the claim down, and the region's image as the replica there; a second one begins the wait anew. Raises
    StateConflictError where the image has bytes from another claim, a replica of ours is in the region, or the region's
    image is another's replica."""
    before = find_birth(connection, claim.image_id)
    if before is not None and (before.region, before.origin_id) != (claim.region, claim.origin_id):
        if before.filled_at is not None:
            raise StateConflictError(f"image {claim.image_id} was made from image {before.origin_id} of "
                                     f"{before.region}; it cannot have been made from another")
        _forget(connection, claim.image_id)
        before = None
    _ensure_free(connection, claim)
    if before is not None:
        connection.execute(sa.update(births).where(births.c.image_id == claim.image_id).values(waiting_since=now))
    else:
        connection.execute(sa.insert(births).values(
            image_id=claim.image_id, region=claim.region, origin_id=claim.origin_id, asked_at=now, waiting_since=now,
            image_from=claim.image_from.value, asked_by=claim.user_id, request_id=claim.request_id))
    _write_pair(connection, claim, now)


def _write_pair(connection: sa.Connection, claim: BirthClaim, now: float) -> None:
    reason = IdReason.BORN.value if claim.origin_id != claim.image_id else None
    values = {"replica_id": claim.origin_id, "origin": Origin.BORN.value, "id_reason": reason, "updated_at": now}
    changed = connection.execute(sa.update(replicas).where(pair_is(claim.image_id, claim.region)).values(**values))
    if not changed.rowcount:
        connection.execute(sa.insert(replicas).values(
            image_id=claim.image_id, region=claim.region, state=ReplicaState.WAITING.value, **values))


def _ensure_free(connection: sa.Connection, claim: BirthClaim) -> None:
    row = connection.execute(sa.select(replicas.c.origin).where(pair_is(claim.image_id, claim.region))).first()
    if row is not None and row.origin not in (None, Origin.BORN.value):
        raise StateConflictError(f"image {claim.image_id} has a replica in {claim.region}; it was not born there")
    other = connection.scalar(sa.select(replicas.c.image_id).where(
        replicas.c.region == claim.region, replicas.c.replica_id == claim.origin_id,
        replicas.c.image_id != claim.image_id))
    if other is not None:
        raise StateConflictError(f"image {claim.origin_id} of {claim.region} stands for image {other} already")


def _forget(connection: sa.Connection, image_id: str) -> None:
    connection.execute(sa.update(replicas).where(
        replicas.c.image_id == image_id, replicas.c.origin == Origin.BORN.value).values(**_NOT_OURS))
    connection.execute(sa.delete(births).where(births.c.image_id == image_id))


def _read(connection: sa.Connection, condition: sa.ColumnElement[bool]) -> dict[str, Birth]:
    pair = sa.and_(replicas.c.image_id == births.c.image_id, replicas.c.region == births.c.region)
    rows = connection.execute(sa.select(births, replicas.c.reason_code, replicas.c.reason).select_from(
        births.outerjoin(replicas, pair)).where(condition))
    return {row.image_id: Birth(
        image_id=row.image_id, region=row.region, origin_id=row.origin_id, image_from=ImageFrom(row.image_from),
        waiting_since=row.waiting_since, filling_since=row.filling_since, filled_at=row.filled_at,
        reason_code=row.reason_code, reason=row.reason)
        for row in rows}
