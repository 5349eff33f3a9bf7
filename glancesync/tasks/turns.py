# SPDX-License-Identifier: Apache-2.0
"""Servers that give out tasks of one region do so in turns. Used by whatever claims, inside its transaction.

Two claims at the same moment see neither what the other is about to take; each would fill the region's free places.
Who has the turn counts what runs there, takes what still fits, commits: the next one counts that too. A turn is
written, not only locked: a Galera cluster sees locks of one node alone, and refuses the later of two writes.
"""
from __future__ import annotations

import functools
from collections.abc import Collection

import sqlalchemy as sa
from sqlalchemy.dialects import mysql, postgresql

from glancesync.db.schema import claim_turns


def are_needed(connection: sa.Connection) -> bool:
    """SQLite has one writer at a time: every transaction is a turn by itself."""
    return connection.dialect.name != "sqlite"


def take(connection: sa.Connection, regions: Collection[str]) -> None:
    """Wait for the regions' turns and keep them until the transaction ends. To be called once in it, with all."""
    # In one order everywhere, so that two claims do not wait for each other in a circle.
    values = [{"region": region, "turn": 1} for region in sorted(set(regions))]
    if values:
        connection.execute(_statement(connection.dialect.name), values)


@functools.cache
def _statement(dialect_name: str) -> sa.Executable:
    following = claim_turns.c.turn + sa.literal_column("1", sa.BigInteger)
    if dialect_name in ("mysql", "mariadb"):
        return mysql.insert(claim_turns).on_duplicate_key_update(turn=following)
    return postgresql.insert(claim_turns).on_conflict_do_update(index_elements=["region"], set_={"turn": following})
