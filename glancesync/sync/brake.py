# SPDX-License-Identifier: Apache-2.0
"""Counts deletions and stops them when there are too many: over a rolling window, all triggers and all servers.

Once it holds it holds until an operator releases it. What it counted is the record of every deletion. Called by
execute right before a deletion, by trust, the operator's commands and the API.
"""
from __future__ import annotations

import logging
import uuid
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from glancesync.clock import Clock, isoformat
from glancesync.conf.deletion import DeletionSettings
from glancesync.db.engine import Database
from glancesync.db.schema import deletions
from glancesync.exceptions import DeletionHeldError
from glancesync.sync.facts import find_fact, set_fact, take_turn

LOG = logging.getLogger(__name__)
_LATCH, _RELEASED, _TURN = "deletion_latch", "deletion_released_at", "deletion_turn"
#: How long a run that met the brake stays away.
HELD_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True)
class Deletion:
    """One deletion for the record: of what, why, on whose word."""

    image_id: str
    region: str
    replica_id: str
    cause: str
    trigger: str
    request_id: str | None


class Brake:
    """Its state lies in the database."""

    def __init__(self, *, database: Database, settings: DeletionSettings, clock: Clock) -> None:
        self._database = database
        self._settings = settings
        self._clock = clock

    def latch(self) -> str | None:
        """Why deletions are held, as a sentence; None when they are not."""
        latch = self._database.read(find_fact, _LATCH)
        return _sentence(latch) if latch else None

    def reserve(self, deletion: Deletion) -> None:
        """Count one deletion and write down its cause, right before it is done. Raises DeletionHeldError when the
        window is full; that holds until `release`."""
        now = self._clock.now()

        def work(connection: sa.Connection) -> tuple[dict[str, Any] | None, bool]:
            take_turn(connection, _TURN, now)  # two that counted the same window would fill its last place twice
            latch: dict[str, Any] | None = find_fact(connection, _LATCH)
            if latch is not None or _is_reserved(connection, deletion):
                return latch, False
            count = self._count(connection, now)
            if count >= self._settings.max_deletes:
                latch = {"at": now, "count": count}
                set_fact(connection, _LATCH, latch, now)
                return latch, True
            connection.execute(sa.insert(deletions).values(id=uuid.uuid4().hex, at=now, **vars(deletion)))
            return None, False

        latch, is_new = self._database.run(work)
        if is_new and latch:
            LOG.error("ALARM: %s", _sentence(latch))
        if latch is not None:
            raise DeletionHeldError(_sentence(latch), retry_after_seconds=HELD_SECONDS)

    def note_done(self, region: str, replica_ids: Collection[str]) -> None:
        """Glance confirmed that these are gone. Writes nothing where no deletion of them is open."""
        opened = sa.and_(deletions.c.region == region, deletions.c.replica_id.in_(replica_ids),
                         deletions.c.done_at.is_(None))

        def is_open(connection: sa.Connection) -> bool:
            return connection.execute(sa.select(deletions.c.id).where(opened).limit(1)).first() is not None

        def work(connection: sa.Connection) -> None:
            connection.execute(sa.update(deletions).where(opened).values(done_at=self._clock.now()))

        if not replica_ids:
            return
        if self._database.read(is_open):
            self._database.run(work)

    def release(self) -> bool:
        """The operator lets deletions go on; the window begins anew. Whether the brake held."""
        now = self._clock.now()

        def work(connection: sa.Connection) -> bool:
            take_turn(connection, _TURN, now)
            held = find_fact(connection, _LATCH) is not None
            set_fact(connection, _LATCH, None, now)
            set_fact(connection, _RELEASED, now, now)
            return held

        return self._database.run(work)

    def _count(self, connection: sa.Connection, now: float) -> int:
        since = max(now - self._settings.max_deletes_window_seconds, find_fact(connection, _RELEASED) or 0)
        return connection.scalar(sa.select(sa.func.count()).select_from(deletions).where(deletions.c.at > since)) or 0


def _undone(deletion: Deletion) -> sa.ColumnElement[bool]:
    return sa.and_(deletions.c.region == deletion.region, deletions.c.replica_id == deletion.replica_id,
                   deletions.c.cause == deletion.cause, deletions.c.done_at.is_(None))


def _is_reserved(connection: sa.Connection, deletion: Deletion) -> bool:
    """A deletion that is tried again, because its region did not answer, is one deletion."""
    return connection.execute(sa.select(deletions.c.id).where(_undone(deletion)).limit(1)).first() is not None


def _sentence(latch: dict[str, Any]) -> str:
    return (f"{latch['count']} replicas were deleted within the window, the most that max_deletes allows: deletions "
            f"are held since {isoformat(latch['at'])}; if they are right run `glance-sync-manage deletion release`")
