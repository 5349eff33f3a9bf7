# SPDX-License-Identifier: Apache-2.0
"""Which images lie at external URLs, and in which regions theirs was registered: rows of `located` and
`registrations`. Called by the records, execute and the service.
"""
from __future__ import annotations

import sqlalchemy as sa

from glancesync.clock import Clock
from glancesync.db.engine import Database
from glancesync.db.schema import located, registrations
from glancesync.model.location import Located, Registration


class Locations:
    """Reads and writes the tables."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def note(self, image_id: str, region: str, fingerprint: str, *, refused: str | None = None) -> None:
        """The URL of this fingerprint is to be, or was refused as, the location of the replica in the region."""
        values = {"fingerprint": fingerprint, "at": self._clock.now(), "refused": refused and refused[:1000]}

        def work(connection: sa.Connection) -> None:
            pair = sa.and_(registrations.c.image_id == image_id, registrations.c.region == region)
            if not connection.execute(sa.update(registrations).where(pair).values(**values)).rowcount:
                connection.execute(sa.insert(registrations).values(image_id=image_id, region=region, **values))

        self._database.run(work)


    def refuse_registered(self, image_id: str, region: str, reason: str) -> None:
        """Where the replica's bytes were to be those at a URL, they are copied from now on."""
        def work(connection: sa.Connection) -> None:
            connection.execute(sa.update(registrations).where(
                registrations.c.image_id == image_id, registrations.c.region == region,
                registrations.c.refused.is_(None)).values(refused=reason))

        self._database.run(work)


def find_located(connection: sa.Connection, image_id: str, region: str) -> Located | None:
    if connection.execute(sa.select(located.c.image_id).where(located.c.image_id == image_id)).first() is None:
        return None
    row = connection.execute(sa.select(registrations).where(
        registrations.c.image_id == image_id, registrations.c.region == region)).first()
    return Located(registration=None if row is None else Registration(
        fingerprint=row.fingerprint, at=row.at, refused=row.refused))


def mark_located(connection: sa.Connection, image_id: str, now: float) -> None:
    """Somebody said that the image lies at an external URL: what was refused before is tried again."""
    connection.execute(sa.delete(registrations).where(
        registrations.c.image_id == image_id, registrations.c.refused.is_not(None)))
    if not connection.execute(sa.update(located).where(located.c.image_id == image_id).values(asked_at=now)).rowcount:
        connection.execute(sa.insert(located).values(image_id=image_id, asked_at=now))
