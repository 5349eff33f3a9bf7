# SPDX-License-Identifier: Apache-2.0
"""Which servers share the database, each with its last sign of life. Told by the daemon, asked by the core.

Nothing is decided by it: whose task is whose says the task's lease alone.
"""
from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from glancesync.clock import Clock, isoformat
from glancesync.db.clock import now as database_now
from glancesync.db.engine import Database
from glancesync.db.schema import servers, tasks
from glancesync.exceptions import GlanceSyncError
from glancesync.model.server import ServerIdentity, ServerState
from glancesync.model.task import TaskState

LOG = logging.getLogger(__name__)
BEAT_SECONDS = 3.0
#: Without a sign for so long a server is shown as silent, and after an hour no more.
SILENT_SECONDS = 15.0
FORGOTTEN_SECONDS = 3600.0


class Presence:
    """One server's signs of life. Constructing it tells nobody; `guard` is the worker's, so that no error ends them."""

    def __init__(self, *, database: Database, identity: ServerIdentity, clock: Clock,
                 guard: Callable[..., Any]) -> None:
        self._database = database
        self._identity = identity
        self._clock = clock
        self._guard = guard
        self._state = ServerState.SERVING

    def run_forever(self) -> None:
        while True:
            failed = self._guard("give a sign of life", self.run_once)
            if isinstance(failed, Exception):
                LOG.warning("could not give a sign of life, it is tried again: %s", failed)
            self._clock.sleep(BEAT_SECONDS)

    def run_once(self) -> None:
        """Give a sign of life, and forget servers that gave none for long. Raises NotReadyError."""
        self._database.run(self._tell)

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

    def _tell(self, connection: sa.Connection) -> None:
        now, me = database_now(connection), self._identity
        mine = sa.update(servers).where(servers.c.name == me.name)
        if not connection.execute(mine.values(heartbeat_at=now, state=self._state.value)).rowcount:
            connection.execute(sa.insert(servers).values(
                name=me.name, host=me.host, pid=me.pid, version=me.version, engine=me.engine, state=self._state.value,
                started_at=now, heartbeat_at=now))
        connection.execute(sa.delete(servers).where(servers.c.heartbeat_at < now - FORGOTTEN_SECONDS))

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
            "started_at": isoformat(row.started_at), "heartbeat_at": isoformat(row.heartbeat_at),
            "heartbeat_age_seconds": round(age, 3)}
