# SPDX-License-Identifier: Apache-2.0
"""Images in a replica's way: listed with what differs, and what an operator chose about each. Called by the core."""
from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from glancesync.clock import Clock, isoformat
from glancesync.db.engine import Database
from glancesync.db.schema import images, replicas
from glancesync.exceptions import ImageNotFoundError, StateConflictError
from glancesync.model.replica import ConflictChoice, Origin, ReplicaState

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """A choice and who made it. `stranger_id` is the image in the way that was looked at, None for whichever it is."""

    choice: ConflictChoice
    stranger_id: str | None
    user_id: str | None
    request_id: str | None


class Conflicts:
    """Reads and decides rows of `replicas` that are in conflict."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def list(self, *, limit: int, marker: str | None, filters: Mapping[str, str]) -> list[dict[str, Any]]:
        """By ascending image id and region, after `marker` (an id of this listing); `filters`: image_id, region."""
        def work(connection: sa.Connection) -> list[dict[str, Any]]:
            query = sa.select(replicas, images.c.name, images.c.owner).select_from(replicas.outerjoin(
                images, images.c.image_id == replicas.c.image_id)).where(
                    replicas.c.state == ReplicaState.CONFLICT.value).order_by(
                        replicas.c.image_id, replicas.c.region).limit(limit)
            if marker is not None:
                query = query.where(_after(marker))
            for name, value in filters.items():
                query = query.where(replicas.c[name] == value)
            return [_view(row) for row in connection.execute(query).mappings()]

        return self._database.read(work)

    def choose(self, image_id: str, region: str, chosen: Chosen) -> None:
        """Write the choice down. Raises ImageNotFoundError, and StateConflictError where there is no conflict, or one
        with another image than the one looked at."""
        pair = sa.and_(replicas.c.image_id == image_id, replicas.c.region == region)

        def work(connection: sa.Connection) -> None:
            row = connection.execute(sa.select(replicas.c.state, replicas.c.stranger_id).where(pair)).one_or_none()
            if row is None:
                raise ImageNotFoundError(f"no image {image_id} is known in a region {region[:64]!r}")
            if row.state != ReplicaState.CONFLICT.value:
                raise StateConflictError(f"image {image_id} is {row.state} in {region}; there is nothing to choose")
            if chosen.stranger_id not in (None, row.stranger_id):
                raise StateConflictError(f"another image stands in the way of {image_id} in {region} by now: "
                                         f"{row.stranger_id}; look again")
            if chosen.choice is ConflictChoice.REPLACE:
                _refuse_origin(connection, region, row.stranger_id)
            connection.execute(sa.update(replicas).where(pair).values(
                choice=chosen.choice.value, choice_at=self._clock.now(), choice_by=chosen.user_id,
                choice_request_id=chosen.request_id))

        self._database.run(work)
        LOG.warning("conflict of image %s in %s: user %s chose %s (request %s)", image_id, region, chosen.user_id,
                    chosen.choice.value, chosen.request_id)


def _refuse_origin(connection: sa.Connection, region: str, stranger_id: str | None) -> None:
    image_id = connection.scalar(sa.select(replicas.c.image_id).where(
        replicas.c.region == region, replicas.c.replica_id == stranger_id, replicas.c.origin == Origin.BORN.value))
    if image_id is not None:
        raise StateConflictError(f"image {image_id} was made from image {stranger_id} of {region}, which is never "
                                 "deleted; choose new_id or skip")


def _after(marker: str) -> sa.ColumnElement[bool]:
    image_id, _, region = marker.partition(":")
    return sa.or_(replicas.c.image_id > image_id,
                  sa.and_(replicas.c.image_id == image_id, replicas.c.region > region))


def _view(row: Mapping[Any, Any]) -> dict[str, Any]:
    plain = ("image_id", "region", "name", "owner", "reason_code", "reason", "choice", "choice_by")
    return {"id": f"{row['image_id']}:{row['region']}", **{name: row[name] for name in plain},
            "replica_id": row["stranger_id"], "differences": json.loads(row["differences"] or "[]"),
            "choices": [choice.value for choice in ConflictChoice], "choice_at": isoformat(row["choice_at"])}
