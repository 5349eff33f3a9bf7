# SPDX-License-Identifier: Apache-2.0
"""Which tasks are published: named in a message, so that some worker of a fleet claims them. Statements on the rows;
used by the publisher and by the queue.

A mark (`published_at`) says that a message was sent; the claim takes it away. A mark that is too old stands for a lost
message: its task is chosen again. Marks and what runs are counted against the room of the fleet, so only what a worker
can start now is ever under way, and priority and cancellation act until then.
"""
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import sqlalchemy as sa

from glancesync.db.clock import now
from glancesync.db.engine import Database
from glancesync.db.schema import facts, servers, tasks
from glancesync.model.server import SILENT_SECONDS, ServerState, worker_engine
from glancesync.model.task import TaskState
from glancesync.tasks import rows
from glancesync.tasks.claim import Allowed, Claim

_TURN = "publishing"


class Named(NamedTuple):
    """What a message carries: the task, and its fence when it was published. Whoever claims it raises the fence, so
    what names an older one is late or doubled."""

    task_id: str
    fence: int


class Message(NamedTuple):
    """`again`: one that was sent before seems to be lost."""

    region: str
    name: Named
    again: bool = False


@dataclass(frozen=True, kw_only=True)
class Fleet:
    """The workers that live, what they can run at once, how much runs, and by region what is on its way to them."""

    workers: int = 0
    capacity: int = 0
    running: int = 0
    sent: Mapping[str, int] = field(default_factory=dict)

    @property
    def room(self) -> int:
        return max(self.capacity - self.running - sum(self.sent.values()), 0)


class Publications:
    """`engine` is the name of the engine; by it are found the workers that tell of themselves (service.servers)."""

    def __init__(self, database: Database, engine: str) -> None:
        self._database = database
        self._engine = engine

    def mark(self, room: Callable[[str], int], lost_after_seconds: float) -> tuple[Fleet, list[Message]]:
        """Choose what the fleet has room for, `room(region)` in each region over all workers, and mark it: highest
        priority first, as a claim would take it. Only one process at a time does."""
        return self._database.run(self._mark_in, room, lost_after_seconds)

    def _mark_in(self, connection: sa.Connection, room: Callable[[str], int],
                 lost_after_seconds: float) -> tuple[Fleet, list[Message]]:
        at = now(connection)
        _take_turn(connection, at)
        lost = at - lost_after_seconds
        fleet = self._read_fleet(connection, at, lost)
        if not fleet.room:
            return fleet, []
        unmarked = tasks.c.published_at.is_(None) | (tasks.c.published_at <= lost)
        allowed = Allowed(lambda region: room(region) - fleet.sent.get(region, 0))
        return fleet, _mark(connection, Claim(connection, at, (), unmarked).choose(allowed, fleet.room).ids, at)

    def unmark(self, names: Sequence[Named]) -> None:
        """They were not sent, or nobody took them: they may be chosen again at once."""
        def work(connection: sa.Connection) -> None:
            for name in names:
                _unmark(connection, name)

        self._database.run(work)

    def list_regions(self) -> list[str]:
        """For which regions something is under way."""
        def work(connection: sa.Connection) -> list[str]:
            found = sa.select(tasks.c.region).where(tasks.c.published_at > 0).distinct().order_by(tasks.c.region)
            return list(connection.execute(found).scalars())

        return self._database.read(work)

    def _read_fleet(self, connection: sa.Connection, at: float, lost: float) -> Fleet:
        alive = connection.execute(sa.select(servers.c.name, servers.c.capacity).where(
            servers.c.engine == worker_engine(self._engine), servers.c.capacity > 0,
            servers.c.state == ServerState.SERVING.value, servers.c.heartbeat_at > at - SILENT_SECONDS)).all()
        running = connection.execute(sa.select(sa.func.count()).select_from(tasks).where(
            tasks.c.state == TaskState.RUNNING.value)).scalar_one()
        sent = connection.execute(sa.select(tasks.c.region, sa.func.count()).where(
            rows.WAITS_AMONG_FEW, tasks.c.published_at > lost).group_by(tasks.c.region))
        return Fleet(workers=len(alive), capacity=sum(row.capacity for row in alive), running=int(running),
                     sent={region: int(number) for region, number in sent})


def choose_named(claim: Claim, connection: sa.Connection, name: Named, allowed: Allowed, limit: int) -> list[str]:
    """The ids to claim for a message: its own first, then the image's other published ones; empty for a message that
    is late or doubled, or for which nothing is free."""
    wanted = (tasks.c.id == name.task_id) & (tasks.c.fence == name.fence)
    ids = claim.choose_one(wanted, tasks.c.published_at.is_not(None), allowed, limit)
    if not ids:
        _unmark(connection, name)
    return ids


def _take_turn(connection: sa.Connection, at: float) -> None:
    """Two processes that counted the same room would fill it twice."""
    turn = sa.update(facts).where(facts.c.name == _TURN).values(updated_at=at)
    if not connection.execute(turn).rowcount:
        connection.execute(sa.insert(facts).values(name=_TURN, value="null", updated_at=at))


def _mark(connection: sa.Connection, ids: Sequence[str], at: float) -> list[Message]:
    if not ids:
        return []
    # Chosen and locked a moment ago, in this transaction.
    rows = connection.execute(sa.select(tasks.c.id, tasks.c.region, tasks.c.fence, tasks.c.published_at).where(
        tasks.c.id.in_(ids)))
    found = {row.id: Message(row.region, Named(row.id, row.fence), row.published_at is not None) for row in rows}
    connection.execute(sa.update(tasks).where(tasks.c.id.in_(ids)).values(published_at=at))
    return [found[task_id] for task_id in ids]


def _unmark(connection: sa.Connection, name: Named) -> None:
    connection.execute(sa.update(tasks).where(
        tasks.c.id == name.task_id, tasks.c.fence == name.fence, rows.WAITS_AMONG_FEW).values(published_at=None))
