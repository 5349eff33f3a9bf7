# SPDX-License-Identifier: Apache-2.0
"""The rows of `chores`: what one server at a time does for all that share the database. For service.chores.

    rests ──asked for, or its time has come──► held by a server, until it ended or the server's lease runs out ──► rests

A chore that is asked for while it runs runs once more. All functions work in the caller's transaction; times are the
database's. That two servers do a chore at once, because one stood still for longer than its lease, harms nothing: each
effect is guarded where it is made: by `confirm`, or by `lock`. It is work done twice.
"""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from glancesync.db.clock import now
from glancesync.db.schema import chores
from glancesync.exceptions import LeaseLostError
from glancesync.model.chore import LEASE_SECONDS, Turn, is_due


def ask(connection: sa.Connection, name: str) -> None:
    """Have it done soon, by whichever server, also when the asking one is no more."""
    asked = {"wanted": chores.c.wanted + 1, "failures": 0}
    if not connection.execute(sa.update(chores).where(chores.c.name == name).values(**asked)).rowcount:
        _insert(connection, name, wanted=1)


def read(connection: sa.Connection) -> tuple[float, dict[str, Any]]:
    """Now, and the rows by name."""
    return now(connection), {row.name: row for row in connection.execute(sa.select(chores))}


def is_held(connection: sa.Connection, name: str) -> bool:
    """Whether a server does it now."""
    held = chores.c.owner.is_not(None) & (chores.c.lease_until >= now(connection))
    return connection.execute(sa.select(chores.c.name).where(chores.c.name == name, held)).first() is not None


def claim(connection: sa.Connection, name: str, owner: str, *, interval_seconds: float) -> Turn | None:
    """Its turn, where it is due and nobody holds it. A chore nobody has seen yet waits for its first interval."""
    at, rows = read(connection)
    row = rows.get(name)
    if row is None:
        _insert(connection, name, wanted=0)
        return claim(connection, name, owner, interval_seconds=interval_seconds)
    if not is_due(row, at, interval_seconds):
        return None
    turn = Turn(name=name, fence=row.fence + 1, wanted=row.wanted, asked=row.wanted > row.seen)
    taken = sa.update(chores).where(chores.c.name == name, chores.c.fence == row.fence).values(
        owner=owner, fence=turn.fence, lease_until=at + LEASE_SECONDS, began_at=at)
    return turn if connection.execute(taken).rowcount else None


def renew(connection: sa.Connection, turn: Turn, owner: str) -> bool:
    """Whether it is still ours; then for a whole lease."""
    until = now(connection) + LEASE_SECONDS
    return bool(connection.execute(sa.update(chores).where(_is(turn, owner)).values(lease_until=until)).rowcount)


def end(connection: sa.Connection, turn: Turn, owner: str, *, well: bool) -> None:
    """It was done; where it was not done well it is tried again soon. Nothing is written of one that was lost."""
    done: Mapping[str, Any] = {"seen": turn.wanted, "failures": 0} if well else {"failures": chores.c.failures + 1}
    connection.execute(sa.update(chores).where(_is(turn, owner)).values(
        owner=None, lease_until=None, ended_at=now(connection), **done))


def give_back(connection: sa.Connection, turn: Turn, owner: str) -> None:
    """It was not done: another server may begin at once."""
    connection.execute(sa.update(chores).where(_is(turn, owner)).values(owner=None, lease_until=None))


def lock(connection: sa.Connection, name: str) -> None:
    """Whoever else locks, claims or confirms the chore waits for the end of the transaction: for what two servers must
    not do at the same moment, whosever turn it is."""
    if not connection.execute(_touch().where(chores.c.name == name)).rowcount:
        _insert(connection, name, wanted=0)


def confirm(connection: sa.Connection, turn: Turn) -> None:
    """In the transaction of a write that matters, before it: nobody takes the turn over until that ends. Raises
    LeaseLostError where somebody did before."""
    ours = (chores.c.name == turn.name) & (chores.c.fence == turn.fence) & chores.c.owner.is_not(None)
    if not connection.execute(_touch().where(ours)).rowcount:
        turn.lost = True
        raise LeaseLostError(f"another server does {turn.name} now: this one's lease ran out")


def take_back(connection: sa.Connection, owner: str | None = None) -> None:
    """What a process held that is known to have ended is due at once; None: every process has."""
    whose = chores.c.owner.is_not(None) if owner is None else chores.c.owner == owner
    connection.execute(sa.update(chores).where(whose).values(owner=None, lease_until=None))


def _touch() -> sa.Update:
    """Written, not only locked: a Galera cluster sees locks of one node alone, and refuses the later of two writes."""
    return sa.update(chores).values(turns=chores.c.turns + 1)


def _is(turn: Turn, owner: str) -> sa.ColumnElement[bool]:
    return (chores.c.name == turn.name) & (chores.c.owner == owner) & (chores.c.fence == turn.fence)


def _insert(connection: sa.Connection, name: str, *, wanted: int) -> None:
    connection.execute(sa.insert(chores).values(name=name, wanted=wanted, seen=0, fence=0, failures=0,
                                                ended_at=now(connection)))
