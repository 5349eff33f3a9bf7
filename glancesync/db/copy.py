# SPDX-License-Identifier: Apache-2.0
"""Takes everything that servers know from one database to another: from SQLite to the one that several servers share,
or back. Called by `glance-sync-manage db copy`.

All of it goes in one transaction of the new database, and is counted there before that is committed: what breaks off
leaves the new one as empty as it was, and the old one is only read.
"""
from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import sqlalchemy as sa

from glancesync.db.clock import now
from glancesync.db.connections import endure
from glancesync.db.engine import Database
from glancesync.db.schema import facts, metadata, servers
from glancesync.exceptions import StateConflictError

_AT_ONCE = 500
#: What tells of living processes, and goes with none of them.
_LEFT_OUT = frozenset({servers.name})
#: A server that gave a sign of life so recently may still work.
_LIVING_SECONDS = 60.0
#: (table, rows copied, rows in all)
Told = Callable[[str, int, int], object]


def copy_database(old: Database, new: Database, *, told: Told = lambda *_: None) -> dict[str, int]:
    """Rows by table. Both must be at this version's tables. Raises StateConflictError where servers still work with the
    old one, or the new one is not empty; NotReadyError where one does not answer."""
    old.open()
    new.open()

    def work(reader: sa.Connection) -> dict[str, int]:
        endure(reader)
        _refuse_living(reader)
        return new.run(_take, reader, told)

    return old.read(work)


def _take(writer: sa.Connection, reader: sa.Connection, told: Told) -> dict[str, int]:
    endure(writer)
    for table in _tables():
        if table is not facts and writer.execute(sa.select(sa.literal(1)).select_from(table).limit(1)).first():
            raise StateConflictError(f"the new database is not empty: {table.name} has rows; give an empty one")
    writer.execute(sa.delete(facts))
    return {table.name: _copy_table(table, reader, writer, told) for table in _tables()}


def _tables() -> Iterator[sa.Table]:
    return (table for table in metadata.sorted_tables if table.name not in _LEFT_OUT)


def _copy_table(table: sa.Table, reader: sa.Connection, writer: sa.Connection, told: Told) -> int:
    count = sa.select(sa.func.count()).select_from(table)
    total, done = int(reader.execute(count).scalar_one()), 0
    rows = reader.execution_options(yield_per=_AT_ONCE).execute(sa.select(table))
    for part in rows.mappings().partitions(_AT_ONCE):
        writer.execute(sa.insert(table), [dict(row) for row in part])
        done += len(part)
        told(table.name, done, total)
    arrived = int(writer.execute(count).scalar_one())
    if arrived != total:
        raise StateConflictError(f"{table.name} has {arrived} rows in the new database and {total} in the old one: "
                                 "something works with one of them; nothing was copied")
    return total


def _refuse_living(reader: sa.Connection) -> None:
    living: Any = reader.execute(sa.select(servers).where(
        servers.c.heartbeat_at > now(reader) - _LIVING_SECONDS).limit(1)).first()
    if living is not None:
        raise StateConflictError(f"the server {living.pid} on {living.host} works with the old database, or did within "
                                 f"the last minute: stop all of them first, and wait {_LIVING_SECONDS:.0f} s after a "
                                 "kill")
