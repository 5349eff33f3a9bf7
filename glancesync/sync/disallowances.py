# SPDX-License-Identifier: Apache-2.0
"""Which replicas comparisons found where their image does not belong, as columns of `replicas`. Called by the service's
comparisons and converge.

Removal wants two comparisons far enough apart, as a vanished image does: one wrong answer of Keystone removes nothing.
"""
from __future__ import annotations

from collections.abc import Iterable, Sequence

import sqlalchemy as sa

from glancesync.clock import Clock
from glancesync.db.engine import Database
from glancesync.db.schema import replicas
from glancesync.sync.rows import pair_is

#: What a pair has of it; all of it goes when its image may be there again.
ALLOWED_AGAIN = dict.fromkeys(("disallowed_pass", "disallowed_since", "disallowed_confirmed_at"))


class Disallowances:
    """Reads and writes the columns."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def mark(self, pass_id: str, pairs: Iterable[tuple[str, str]]) -> None:
        """A comparison found these (image id, region). Of two at the same time the one that began later has the say."""
        def work(connection: sa.Connection) -> None:
            for image_id, region in pairs:
                earlier = sa.func.coalesce(replicas.c.disallowed_pass, "") < pass_id
                connection.execute(sa.update(replicas).where(pair_is(image_id, region), earlier).values(
                    disallowed_pass=pass_id))

        self._database.run(work)

    def settle(self, pass_id: str, regions: Sequence[str], *, confirm_seconds: float,
               limit: int = 1000) -> list[tuple[str, str]]:
        """After a comparison that can be believed: begin, confirm or end it in the regions that it saw whole. Returns
        (image id, region) of those that are confirmed, at most `limit`, those first that were looked at longest ago."""
        now = self._clock.now()
        found = sa.and_(replicas.c.disallowed_pass == pass_id, replicas.c.region.in_(regions))

        def work(connection: sa.Connection) -> list[tuple[str, str]]:
            connection.execute(sa.update(replicas).where(
                replicas.c.region.in_(regions), replicas.c.disallowed_pass < pass_id).values(**ALLOWED_AGAIN))
            connection.execute(sa.update(replicas).where(found, replicas.c.disallowed_since.is_(None)).values(
                disallowed_since=now))
            connection.execute(sa.update(replicas).where(
                found, replicas.c.disallowed_confirmed_at.is_(None), replicas.c.disallowed_since < now,
                replicas.c.disallowed_since <= now - confirm_seconds).values(disallowed_confirmed_at=now))
            return [(row.image_id, row.region) for row in connection.execute(
                sa.select(replicas.c.image_id, replicas.c.region).where(
                    found, replicas.c.disallowed_confirmed_at.is_not(None)).order_by(
                        replicas.c.updated_at).limit(limit))]

        return self._database.run(work)
