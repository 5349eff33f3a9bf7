# SPDX-License-Identifier: Apache-2.0
"""Which servers share the database, each with its last sign of life. Told by the daemon, asked by the core.

Only how much of a region's limit each takes first is decided by it: whose task is whose says the task's lease alone.
"""
from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from glancesync.clock import isoformat
from glancesync.db.clock import now as database_now
from glancesync.db.engine import Database
from glancesync.db.following import DatabaseClock
from glancesync.db.schema import servers, tasks
from glancesync.exceptions import GlanceSyncError
from glancesync.model.server import SILENT_SECONDS, Power, ServerIdentity, ServerState
from glancesync.model.task import TaskState
from glancesync.tasks.rows import shorten

LOG = logging.getLogger(__name__)
BEAT_SECONDS = 3.0
#: After so long without a sign a server is shown no more.
FORGOTTEN_SECONDS = 3600.0
#: From here on a machine's clock is said to be wrong. Nothing is decided by it; tokens and certificates may fail.
WRONG_CLOCK_SECONDS = 5.0


class Presence:
    """One server's signs of life. Constructing it tells nobody; `guard` is the worker's, so that no error ends them;
    `power` is asked each time."""

    def __init__(self, *, database: Database, identity: ServerIdentity, clock: DatabaseClock,
                 guard: Callable[..., Any], power: Callable[[], Power] = lambda: Power()) -> None:
        self._database = database
        self._identity = identity
        self._clock = clock
        self._guard = guard
        self._power = power
        self._state = ServerState.SERVING
        self._clock_is_wrong = False
        self._serving = 1

    @property
    def serving(self) -> int:
        """How many servers took tasks when this one last gave a sign of life, with itself."""
        return self._serving

    def run_forever(self) -> None:
        while True:
            failed = self._guard("give a sign of life", self.run_once)
            if isinstance(failed, Exception):
                LOG.warning("could not give a sign of life, it is tried again: %s", failed)
            self._clock.sleep(BEAT_SECONDS)

    def run_once(self) -> None:
        """Give a sign of life, look at the database's clock, and forget servers that gave no sign for long. Raises
        NotReadyError."""
        self._serving = max(self._database.run(self._tell), 1)
        self._judge_clock()

    def stopping(self) -> None:
        """Say that this server takes no tasks any more; where the database does not answer, nobody is told."""
        self._state = ServerState.STOPPING
        self._try(self.run_once)

    def leave(self) -> None:
        """This server has ended in order; it is shown no more."""
        self._try(lambda: self._database.run(self._forget))

    def _try(self, tell: Callable[[], None]) -> None:
        try:
            tell()
        except GlanceSyncError as error:
            LOG.warning("the other servers are not told that this one stops: %s", error)

    def _judge_clock(self) -> None:
        ahead = self._clock.own_ahead_seconds
        is_wrong = abs(ahead) > WRONG_CLOCK_SECONDS
        if is_wrong and not self._clock_is_wrong:
            LOG.warning("the clock of this machine is %.0f s %s the database's, which is followed; tokens and "
                        "certificates may seem to have ended: have it set (NTP)", abs(ahead),
                        "ahead of" if ahead > 0 else "behind")
        if self._clock_is_wrong and not is_wrong:
            LOG.info("the clock of this machine agrees with the database's again")
        self._clock_is_wrong = is_wrong

    def _tell(self, connection: sa.Connection) -> int:
        now, me, power = self._clock.measure(connection), self._identity, self._power()
        sign = {"heartbeat_at": now, "state": self._state.value,
                "clock_ahead_seconds": self._clock.own_ahead_seconds, "capacity": power.capacity,
                "trouble": power.trouble and shorten(power.trouble)}
        mine = sa.update(servers).where(servers.c.name == me.name)
        if not connection.execute(mine.values(**sign)).rowcount:
            connection.execute(sa.insert(servers).values(
                name=me.name, host=me.host, pid=me.pid, version=me.version, engine=me.engine,
                started_at=now, **sign))
        connection.execute(sa.delete(servers).where(servers.c.heartbeat_at < now - FORGOTTEN_SECONDS))
        return connection.execute(sa.select(sa.func.count()).where(
            servers.c.state == ServerState.SERVING.value, servers.c.heartbeat_at >= now - SILENT_SECONDS,
            sa.func.coalesce(servers.c.capacity, 1) > 0)).scalar_one()

    def _forget(self, connection: sa.Connection) -> None:
        connection.execute(sa.delete(servers).where(servers.c.name == self._identity.name))


def list_servers(database: Database) -> list[dict[str, Any]]:
    """The servers that gave a sign of life in the last hour, by host and start, with how many tasks each holds."""
    def work(connection: sa.Connection) -> list[dict[str, Any]]:
        now = database_now(connection)
        held = {row.owner: int(row.number) for row in connection.execute(
            sa.select(tasks.c.owner, sa.func.count().label("number")).where(
                tasks.c.state == TaskState.RUNNING.value).group_by(tasks.c.owner))}
        rows = connection.execute(sa.select(servers).order_by(servers.c.host, servers.c.started_at, servers.c.name))
        return [_view(row, now, held.get(row.name, 0)) for row in rows]

    return database.read(work)


def _view(row: Any, now: float, held: int) -> dict[str, Any]:
    age = max(0.0, now - row.heartbeat_at)
    return {"name": row.name, "host": row.host, "pid": row.pid, "version": row.version, "engine": row.engine,
            "state": ServerState.SILENT.value if age > SILENT_SECONDS else row.state, "running_tasks": held,
            "capacity": row.capacity, "trouble": row.trouble,
            "started_at": isoformat(row.started_at), "heartbeat_at": isoformat(row.heartbeat_at),
            "heartbeat_age_seconds": round(age, 3),
            "clock_ahead_seconds": None if row.clock_ahead_seconds is None else round(row.clock_ahead_seconds, 3)}
