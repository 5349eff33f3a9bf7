# SPDX-License-Identifier: Apache-2.0
"""Does what is to be done once for all servers that share the database: compares, fills, scrubs, forgets. Started by
the daemon; `timers` says what each chore is, `tasks.chores` whose turn it is.

Every server looks at what is due, and whoever comes first does it; another one takes over what a server that was killed
had begun, once its lease is over.
"""
from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from glancesync.clock import Clock, isoformat
from glancesync.concurrency import Doorbell, GreenThread, kill, spawn
from glancesync.db.engine import Database
from glancesync.db.schema import chores, servers
from glancesync.exceptions import GlanceSyncError
from glancesync.model.chore import LEASE_SECONDS, RECONCILE, Turn, is_due
from glancesync.model.server import SILENT_SECONDS, is_worker
from glancesync.tasks import chores as rows

LOG = logging.getLogger(__name__)
_LOOK_SECONDS = 2.0
_NEVER_SECONDS = 1e9


@dataclass(frozen=True, kw_only=True)
class Chore:
    """`run(turn)` does it and says whether all went well; it ends early once `turn.lost`. `interval_seconds()` is from
    the end of one turn to the next one's begin; 0: only when somebody asks."""

    name: str
    run: Callable[[Turn], bool]
    interval_seconds: Callable[[], float]


class ChoreRunner:
    """One per server process. `guard` is the worker's, so that no error ends it; whoever asked for a chore rings."""

    def __init__(self, *, database: Database, owner: str, work: Sequence[Chore], bell: Doorbell, clock: Clock,
                 guard: Callable[..., Any]) -> None:
        self._database = database
        self._owner = owner
        self._chores = work
        self._bell = bell
        self._clock = clock
        self._guard = guard
        self._running: dict[str, tuple[Turn, GreenThread]] = {}
        self._renewed_at = clock.monotonic()

    def recover(self) -> None:
        """At the start of a server whose database serves no other one: what its last start held is due at once.
        Elsewhere the lease tells. Raises NotReadyError."""
        if self._database.is_sqlite:
            self._database.run(rows.take_back)

    def run_forever(self) -> None:
        """Until the thread is killed: what it does then is left to other servers."""
        try:
            while True:
                failed = self._guard("see to the chores", self.run_once)
                if isinstance(failed, Exception):
                    LOG.warning("nobody compares, fills or forgets while the chores cannot be read: %s", failed)
                self._bell.wait(_LOOK_SECONDS)
        finally:
            self._leave()

    def run_once(self) -> None:
        """Keep what this server does, and begin what is due. Raises NotReadyError."""
        self._renew()
        at, known = self._database.read(rows.read)
        for chore in self._chores:
            row, seconds = known.get(chore.name), chore.interval_seconds() or _NEVER_SECONDS
            if chore.name in self._running or not (row is None or is_due(row, at, seconds)):
                continue
            turn = self._database.run(rows.claim, chore.name, self._owner, interval_seconds=seconds)
            if turn is not None:
                self._running[chore.name] = turn, spawn(self._do, chore, turn)

    def drain(self) -> None:
        """Wait until no chore runs here."""
        for _turn, thread in list(self._running.values()):
            thread.wait()

    def _renew(self) -> None:
        """Before a third of the lease is over. What is lost is told to those who do it."""
        asked_at = self._clock.monotonic()
        if not self._running or asked_at - self._renewed_at < LEASE_SECONDS / 3:
            return
        for turn, _thread in list(self._running.values()):
            if not turn.lost and not self._database.run(rows.renew, turn, self._owner):
                turn.lost = True
                LOG.warning("another server does %s: this one gave no sign of life for %d s", turn.name, LEASE_SECONDS)
        self._renewed_at = asked_at

    def _do(self, chore: Chore, turn: Turn) -> None:
        try:
            well = self._guard(f"do the chore {chore.name}", chore.run, turn) is True
            failed = self._guard("end a chore", self._end, turn, well)
            if isinstance(failed, Exception):
                LOG.warning("that %s was done cannot be written down, it is done again: %s", chore.name, failed)
        finally:
            del self._running[chore.name]

    def _end(self, turn: Turn, well: bool) -> None:
        self._database.run(rows.end, turn, self._owner, well=well)

    def _leave(self) -> None:
        for turn, thread in list(self._running.values()):
            kill(thread)
            try:
                self._database.run(rows.give_back, turn, self._owner)
            except GlanceSyncError as error:
                LOG.warning("%s is not handed over at once, but when its lease ends: %s", turn.name, error)


def ask_at_start(database: Database, host: str) -> None:
    """Have everything compared, because what happened while no server ran was told to nobody. Where another host's
    server gives signs of life there was one."""
    def work(connection: sa.Connection) -> None:
        at, _rows = rows.read(connection)
        elsewhere = sa.select(servers.c.engine).where(
            servers.c.host != host, servers.c.heartbeat_at > at - SILENT_SECONDS)
        # Nobody tells a worker what happened.
        if all(is_worker(engine) for engine in connection.execute(elsewhere).scalars()):
            rows.ask(connection, RECONCILE)

    database.run(work)


def ask_now(database: Database, ring: Callable[[], None]) -> None:
    """Have everything compared soon, by whichever server; where the database is away that is only said."""
    try:
        database.run(rows.ask, RECONCILE)
    except GlanceSyncError as error:
        LOG.warning("everything should be compared now, but nobody can be asked: %s", error)
    ring()


def list_chores(database: Database) -> list[dict[str, Any]]:
    """By name: which server does it since when, when it was last done, and whether it is asked for."""
    found = database.read(lambda connection: connection.execute(sa.select(chores).order_by(chores.c.name)).all())
    return [{"name": row.name, "server": row.owner, "asked": row.wanted > row.seen, "failures": row.failures,
             "began_at": isoformat(row.began_at), "ended_at": isoformat(row.ended_at if row.began_at else None)}
            for row in found]
