# SPDX-License-Identifier: Apache-2.0
"""The database's clock, as an SQL expression. Leases and due times use it, so that servers need not agree on time."""
from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement


class database_now(FunctionElement[float]):  # reads as the SQL function that it is
    """Seconds since the epoch on the database's clock, as a double."""

    name = "database_now"
    type = sa.Double()
    inherit_cache = True


@compiles(database_now)
def _unknown(element: Any, compiler: Any, **_kwargs: Any) -> str:
    raise NotImplementedError(f"no clock is known for {compiler.dialect.name}")


@compiles(database_now, "sqlite")
def _sqlite(element: Any, compiler: Any, **_kwargs: Any) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiles(database_now, "postgresql")
def _postgresql(element: Any, compiler: Any, **_kwargs: Any) -> str:
    return "extract(epoch from clock_timestamp())::double precision"


@compiles(database_now, "mysql")
@compiles(database_now, "mariadb")
def _mysql(element: Any, compiler: Any, **_kwargs: Any) -> str:
    # Not UNIX_TIMESTAMP(NOW(6)): that goes by the session's local time, of which an hour comes twice a year.
    return "(TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) / 1e6)"


#: Built once: each of the queue's transactions asks, and building it takes longer than running it.
_SELECT_NOW = sa.select(database_now())


def now(connection: sa.Connection) -> float:
    """Seconds since the epoch on the database's clock."""
    return float(connection.execute(_SELECT_NOW).scalar_one())
