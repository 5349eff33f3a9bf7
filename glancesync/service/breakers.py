# SPDX-License-Identifier: Apache-2.0
"""The breakers of the regions as rows that all servers share, on the database's clock. Built by cmd for the health.

They outlive the servers. A change is made to the row as it is in that moment, locked, so that no server's verdict is
lost to another's. A probe is leased: whoever dies over it holds up nobody for longer.
"""
from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import sqlalchemy as sa

from glancesync.db.clock import now
from glancesync.db.engine import Database
from glancesync.db.schema import breakers, tasks
from glancesync.model.task import TaskState
from glancesync.regions.breaker import Breaker, BreakerState
from glancesync.regions.breakers import Change, Changed, Kept, is_free_to_probe

PROBE_LEASE_SECONDS = 15.0
_REASON_LENGTH = 1024


class SharedBreakers:
    """`owner` names this process as no other."""

    def __init__(self, database: Database, owner: str) -> None:
        self._database = database
        self._owner = owner

    def read(self) -> tuple[float, Mapping[str, Kept]]:
        """The database's moment, and every breaker that was ever needed."""
        def work(connection: sa.Connection) -> tuple[float, Mapping[str, Kept]]:
            return now(connection), {row.region: _kept(row) for row in connection.execute(sa.select(breakers))}

        return self._database.read(work)

    def change(self, region: str, change: Change, *, probe: bool = False) -> Changed:
        """As Breakers has it."""
        return self._database.run(self._change_in, region, change, probe)

    def begin_probe(self, region: str, *, whole: bool) -> bool:
        """As Breakers has it."""
        def work(connection: sa.Connection) -> bool:
            row = _find(connection, region)
            at = now(connection)
            if row is None or not is_free_to_probe(_kept(row), at):
                return False
            if row.state == BreakerState.HALF_OPEN.value and _is_busy(connection, None if whole else region):
                return False
            _update(connection, row, at, prober=self._owner, probe_until=at + PROBE_LEASE_SECONDS)
            return True

        return self._database.run(work)

    def keep_probes(self, regions: Collection[str]) -> None:
        """As Breakers has it."""
        def work(connection: sa.Connection) -> None:
            connection.execute(sa.update(breakers).where(
                breakers.c.prober == self._owner, breakers.c.region.in_(sorted(regions))).values(
                    probe_until=now(connection) + PROBE_LEASE_SECONDS))

        if regions:
            self._database.run(work)

    def _change_in(self, connection: sa.Connection, region: str, change: Change, probe: bool) -> Changed:
        row = _find(connection, region)
        at = now(connection)
        before = _kept(row) if row is not None else Kept()
        if probe and (row is None or row.prober != self._owner):
            return Changed(after=before, at=at)
        breaker = change(before.breaker, at)
        if breaker == before.breaker and not probe:
            return Changed(after=before, at=at)
        values = _columns(breaker) | ({"prober": None, "probe_until": None} if probe else {})
        if row is None:
            connection.execute(sa.insert(breakers).values(region=region, version=1, updated_at=at, **values))
        else:
            _update(connection, row, at, **values)
        after = Kept(breaker=breaker, version=before.version + 1, probe_until=None if probe else before.probe_until)
        return Changed(after=after, at=at)


def _find(connection: sa.Connection, region: str) -> Any:
    return connection.execute(sa.select(breakers).where(breakers.c.region == region).with_for_update()).first()


def _update(connection: sa.Connection, row: Any, at: float, **values: Any) -> None:
    connection.execute(sa.update(breakers).where(breakers.c.region == row.region).values(
        version=row.version + 1, updated_at=at, **values))


def _is_busy(connection: sa.Connection, region: str | None) -> bool:
    running = tasks.c.state == TaskState.RUNNING.value
    if region is not None:
        running &= tasks.c.region == region
    return connection.execute(sa.select(tasks.c.id).where(running).limit(1)).first() is not None


def _kept(row: Any) -> Kept:
    return Kept(version=row.version, probe_until=row.probe_until, breaker=Breaker(
        state=BreakerState(row.state), since=row.since, failures=row.failures, successes=row.successes,
        pauses=row.pauses, next_probe_at=row.next_probe_at, reason=row.reason))


def _columns(breaker: Breaker) -> dict[str, Any]:
    return {"state": breaker.state.value, "since": breaker.since, "failures": breaker.failures,
            "successes": breaker.successes, "pauses": breaker.pauses, "next_probe_at": breaker.next_probe_at,
            "reason": breaker.reason and breaker.reason[:_REASON_LENGTH]}
