# SPDX-License-Identifier: Apache-2.0
"""What takes two comparisons far enough apart to be believed, as columns of `replicas`. Called by the service's
comparisons; `records` has one for images that were not listed, and one for replicas where they do not belong.

    WHAT_pass   the comparison that found it last       WHAT_since         when the first of them was settled
                                                        WHAT_confirmed_at  when a later one confirmed it

One page that lacks an image, or one wrong answer of Keystone, deletes nothing.
"""
from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from glancesync.clock import Clock
from glancesync.db.engine import Database
from glancesync.db.schema import replicas
from glancesync.model.replica import ReplicaState
from glancesync.sync.rows import pair_is


def new_pass_id(now: float) -> str:
    """A name for a comparison that begins now; names sort by the time of their beginning."""
    return f"{int(now * 1000):012x}{uuid.uuid4().hex[:20]}"


def began_at(pass_id: str) -> float:
    """When the comparison of that name began, to the millisecond."""
    return int(pass_id[:12], 16) / 1000


class TwoPasses:
    """`what` names the columns. `spares_deleted`: what is deleted keeps what was found of it."""

    def __init__(self, database: Database, clock: Clock, what: str, *, spares_deleted: bool = False) -> None:
        self._database = database
        self._clock = clock
        self._pass, self._since, self._confirmed = (
            replicas.c[f"{what}_{each}"] for each in ("pass", "since", "confirmed_at"))
        self._spared = replicas.c.state != ReplicaState.DELETED.value if spares_deleted else sa.true()

    @property
    def ended(self) -> dict[str, Any]:
        """Columns and values of a pair of which it is not so any more."""
        return dict.fromkeys((self._pass.name, self._since.name, self._confirmed.name))

    def mark(self, pass_id: str, pairs: Iterable[tuple[str, str]]) -> None:
        """A comparison found these (image id, region). Of two at the same time the one that began later has the say."""
        def work(connection: sa.Connection) -> None:
            for image_id, region in pairs:
                earlier = sa.func.coalesce(self._pass, "") < pass_id
                connection.execute(sa.update(replicas).where(pair_is(image_id, region), earlier).values(
                    {self._pass.name: pass_id}))

        self._database.run(work)

    def settle(self, pass_id: str, regions: Sequence[str], *, confirm_seconds: float, limit: int = 1000,
               first: Callable[[sa.Connection], None] = lambda _connection: None) -> list[tuple[str, str]]:
        """After a comparison that can be believed: begin, confirm or end it in the regions that it saw whole. Returns
        (image id, region) of those that are confirmed, at most `limit`: those first that were looked at longest ago,
        for some stay for ever. `first(connection)` in the same transaction: what it raises has nothing confirmed."""
        now, here = self._clock.now(), replicas.c.region.in_(regions)
        # By when it began: a comparison that ends late may have looked when the one before did.
        before = began_at(pass_id) - confirm_seconds
        found = sa.and_(self._pass == pass_id, here)

        def work(connection: sa.Connection) -> list[tuple[str, str]]:
            first(connection)
            connection.execute(sa.update(replicas).where(here, self._pass < pass_id, self._spared).values(self.ended))
            connection.execute(sa.update(replicas).where(found, self._since.is_(None)).values({self._since.name: now}))
            connection.execute(sa.update(replicas).where(
                found, self._confirmed.is_(None), self._since <= before).values(
                    {self._confirmed.name: now}))
            return [(row.image_id, row.region) for row in connection.execute(
                sa.select(replicas.c.image_id, replicas.c.region).where(found, self._confirmed.is_not(None))
                .order_by(replicas.c.updated_at).limit(limit))]

        return self._database.run(work)
