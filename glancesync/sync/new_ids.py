# SPDX-License-Identifier: Apache-2.0
"""Counts replicas that are made again under a new id because theirs is used up, and stops it when there are too many.

Somebody who empties a region, or a region that only looks empty, must not make the whole cloud move to new ids. It
counts per region over a rolling window and all servers; once it holds it holds until an operator releases the region.
Called by execute right before a new id is taken, and by the operator's commands.
"""
from __future__ import annotations

import logging
import uuid
from dataclasses import dataclass

import sqlalchemy as sa

from glancesync.clock import Clock, isoformat
from glancesync.conf.sync import SyncSettings
from glancesync.db.engine import Database
from glancesync.db.schema import new_ids, region_guards
from glancesync.exceptions import NewIdsHeldError
from glancesync.sync.facts import take_turn, write_guard

LOG = logging.getLogger(__name__)
#: How long a run that met the brake stays away.
HELD_SECONDS = 60.0
_TURN = "new_ids_turn"


@dataclass(frozen=True, kw_only=True)
class NewId:
    """A replica's move from one id to another, and the code of its reason."""

    image_id: str
    region: str
    old_id: str
    new_id: str
    reason: str


class NewIdBrake:
    """Its state lies in the database."""

    def __init__(self, *, database: Database, settings: SyncSettings, clock: Clock) -> None:
        self._database = database
        self._settings = settings
        self._clock = clock

    def reserve(self, move: NewId) -> None:
        """Count one. Raises NewIdsHeldError when the region's window is full; that holds until `release`."""
        now = self._clock.now()

        def work(connection: sa.Connection) -> tuple[str | None, bool]:
            take_turn(connection, _TURN, now)  # two that counted the same window would fill its last place twice
            row = connection.execute(_guard(move.region)).first()
            if row is not None and row.held_at is not None:
                return _sentence(move.region, row.held_count, row.held_at), False
            released_at = row.released_at if row is not None and row.released_at is not None else 0.0
            since = max(now - self._settings.max_new_ids_window_seconds, released_at)
            count = connection.scalar(sa.select(sa.func.count()).select_from(new_ids).where(
                new_ids.c.region == move.region, new_ids.c.at > since)) or 0
            if count >= self._settings.max_new_ids:
                write_guard(connection, move.region, {"held_at": now, "held_count": count})
                return _sentence(move.region, count, now), True
            connection.execute(sa.insert(new_ids).values(id=uuid.uuid4().hex, at=now, **vars(move)))
            return None, False

        held, is_new = self._database.run(work)
        if held is not None and is_new:
            LOG.error("ALARM: %s", held)
        if held is not None:
            raise NewIdsHeldError(held, retry_after_seconds=HELD_SECONDS)

    def release(self, region: str) -> bool:
        """The operator lets new ids be taken again; the window begins anew. Whether the brake held."""
        now = self._clock.now()

        def work(connection: sa.Connection) -> bool:
            take_turn(connection, _TURN, now)
            row = connection.execute(_guard(region)).first()
            write_guard(connection, region, {"held_at": None, "held_count": None, "released_at": now})
            return row is not None and row.held_at is not None

        return self._database.run(work)


def region_problems(connection: sa.Connection) -> dict[str, list[str]]:
    """Region name to sentences: why it is not seen whole, why it takes no new ids. Regions without any are left out."""
    found: dict[str, list[str]] = {}
    for row in connection.execute(sa.select(region_guards)):
        held = _sentence(row.region, row.held_count, row.held_at) if row.held_at is not None else None
        problems = [each for each in (row.problem, held) if each is not None]
        if problems:
            found[row.region] = problems
    return found


def _guard(region: str) -> sa.Select[tuple[float | None, int | None, float | None]]:
    return sa.select(region_guards.c.held_at, region_guards.c.held_count, region_guards.c.released_at).where(
        region_guards.c.region == region)


def _sentence(region: str, count: int, since: float) -> str:
    return (f"{count} replicas in {region} took a new id within the window, the most that max_new_ids allows: no more "
            f"are made under a new id there since {isoformat(since)}; find out who deletes replicas there, then run "
            f"`glance-sync-manage region release {region}`")
