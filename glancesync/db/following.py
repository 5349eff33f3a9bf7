# SPDX-License-Identifier: Apache-2.0
"""The clock of a server whose database may serve others: it tells the database's time, whatever the machine's says.

What servers write down for one another (when an image was first found missing, when a window of deletions began) must
not depend on whose clock is wrong. Built by cmd; `service.servers` measures with each sign of life.
"""
from __future__ import annotations

import sqlalchemy as sa

from glancesync.clock import Clock
from glancesync.db.clock import now as database_now
from glancesync.db.engine import Database

#: An answer that took longer says too little about the moment it was given at.
_SLOW_SECONDS = 1.0


class DatabaseClock:
    """A Clock: the database's time when it was last measured, and what has passed since on this machine's steady clock,
    which nobody sets. Before the first measurement it is the machine's own."""

    def __init__(self, own: Clock) -> None:
        self._own = own
        self._offset_seconds: float | None = None

    def now(self) -> float:
        return self._own.now() if self._offset_seconds is None else self._own.monotonic() + self._offset_seconds

    def monotonic(self) -> float:
        return self._own.monotonic()

    def sleep(self, seconds: float) -> None:
        self._own.sleep(seconds)

    def follow(self, database: Database) -> None:
        """Measure now; raises NotReadyError."""
        database.read(self.measure)

    def measure(self, connection: sa.Connection) -> float:
        """The database's time, which is followed from now on."""
        before = self._own.monotonic()
        at = database_now(connection)
        after = self._own.monotonic()
        if self._offset_seconds is None or after - before <= _SLOW_SECONDS:
            self._offset_seconds = at - (before + after) / 2
        return at

    @property
    def own_ahead_seconds(self) -> float:
        """How far the machine's clock is ahead of the database's; behind it, where it is negative."""
        return self._own.now() - self.now()
