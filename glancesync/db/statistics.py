# SPDX-License-Identifier: Apache-2.0
"""What the database knows of the queue's rows when it chooses how to find them. Called by a chore.

MariaDB counts anew by itself, but a table that is open goes on with what it was opened with: a queue that has grown
since from nothing to a hundred thousand would be read whole for each claim (45 ms instead of 0.5 ms). PostgreSQL's
counts hold at once, and SQLite's statements are spelled so that it needs none.
"""
from __future__ import annotations

import sqlalchemy as sa

from glancesync.db.schema import tasks


def are_needed(dialect_name: str) -> bool:
    return dialect_name in ("mysql", "mariadb")


def refresh(connection: sa.Connection) -> None:
    """Of the queue. A sample of pages is read, no row is locked; other nodes of a cluster have theirs."""
    if are_needed(connection.dialect.name):
        connection.execute(sa.text(f"ANALYZE NO_WRITE_TO_BINLOG TABLE {tasks.name}"))
