# SPDX-License-Identifier: Apache-2.0
"""How this program connects to each kind of database. Used by the engine alone."""
from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from oslo_db.sqlalchemy import exc_filters
from sqlalchemy import event
from sqlalchemy.pool import NullPool, StaticPool

from glancesync.exceptions import ConfigurationError

_BUSY_TIMEOUT_MS = 5000
READ_ONLY = "glancesync_read_only"
#: A server that stands still in a transaction, or whose host is gone without a word, would keep what it locked for as
#: long as its connection seems to live: two hours by TCP. No work of ours pauses so long between two statements.
_IDLE_SECONDS = 15
#: A database host that is gone without a word, as in a failover, is noticed after 25 s instead of two hours; libpq's
#: names, milliseconds in the last.
_LIVELY = {"keepalives": "1", "keepalives_idle": "10", "keepalives_interval": "5", "keepalives_count": "3",
           "tcp_user_timeout": "25000"}
_POOL: Mapping[str, Any] = {"pool_pre_ping": True, "pool_recycle": 3600, "pool_size": 10, "max_overflow": 20,
                            "pool_timeout": 30}


def server_engine(url: sa.URL, *, pool: bool = True) -> sa.Engine:
    """Of PostgreSQL or MariaDB; raises ConfigurationError where the driver is not installed."""
    if url.get_backend_name() in ("mysql", "mariadb"):
        url = url.update_query_dict({"charset": "utf8mb4"})
    elif url.get_driver_name().startswith("psycopg"):
        url = url.update_query_dict({name: text for name, text in _LIVELY.items() if name not in url.query})
    try:
        engine = sa.create_engine(url, isolation_level="READ COMMITTED", hide_parameters=True,
                                  **(_POOL if pool else {"poolclass": NullPool}))
    except ModuleNotFoundError as error:
        raise ConfigurationError(f"[database] connection names {url.drivername}, whose Python module {error.name} is "
                                 "not installed: pip install it beside this program") from error
    exc_filters.register_engine(engine)
    if engine.dialect.name == "postgresql":
        event.listen(engine, "connect", _prepare_postgresql)
    else:
        event.listen(engine, "connect", _prepare_mariadb)
    return engine


def _prepare_postgresql(connection: Any, _record: Any) -> None:
    # The planner thinks a claim's recursion costly, and compiles it for 20 ms each time; without, it takes 1 ms.
    with connection.cursor() as cursor:
        cursor.execute("SET jit = off")
        cursor.execute(f"SET idle_in_transaction_session_timeout = '{_IDLE_SECONDS}s'")
    connection.commit()


def _prepare_mariadb(connection: Any, _record: Any) -> None:
    if (own := getattr(connection, "_sock", None)) is not None:
        keep_alive(own)  # PyMySQL has no option for it
    with connection.cursor() as cursor:
        cursor.execute("SELECT VERSION()")
        if "mariadb" in str(cursor.fetchone()[0]).lower():  # MySQL has nothing like it
            cursor.execute(f"SET SESSION idle_transaction_timeout = {_IDLE_SECONDS}")
        cursor.execute("SHOW VARIABLES LIKE 'wsrep_on'")
        if (found := cursor.fetchone()) is not None and found[1] == "ON":
            # A node of Galera answers from what it has applied so far: what another server promised would be unknown
            # here for a moment. So each transaction begins with what every node has committed.
            cursor.execute("SET SESSION wsrep_sync_wait = 1")


def endure(connection: sa.Connection) -> None:
    """Let the transaction stand still for as long as another database takes; for work that nobody waits for."""
    match connection.dialect.name, getattr(connection.dialect, "is_mariadb", False):
        case "postgresql", _:
            connection.execute(sa.text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        case _, True:
            connection.execute(sa.text("SET SESSION idle_transaction_timeout = 0"))


def keep_alive(connection: Any) -> None:
    """As _LIVELY, for a socket; one that leads to no other host stays as it is."""
    if connection.family in (socket.AF_INET, socket.AF_INET6):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, name in ((socket.TCP_KEEPIDLE, "keepalives_idle"), (socket.TCP_KEEPINTVL, "keepalives_interval"),
                             (socket.TCP_KEEPCNT, "keepalives_count"), (socket.TCP_USER_TIMEOUT, "tcp_user_timeout")):
            connection.setsockopt(socket.IPPROTO_TCP, option, int(_LIVELY[name]))


def sqlite_engine(url: sa.URL) -> sa.Engine:
    """Of a file, which only this user may read, or `:memory:`; one connection, for native threads too."""
    if url.database and url.database != ":memory:":
        _create_private(url.database)
    engine = sa.create_engine(url, poolclass=StaticPool, hide_parameters=True,
                              connect_args={"check_same_thread": False, "timeout": _BUSY_TIMEOUT_MS / 1000})
    exc_filters.register_engine(engine)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _create_private(path: str) -> None:
    """The file holds who may see which image: its owner's eyes only. SQLite gives the same mode to -wal and -shm."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if os.fstat(descriptor).st_mode & 0o077:
            os.fchmod(descriptor, 0o600)
    finally:
        os.close(descriptor)


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # the driver must not begin transactions by itself
    connection.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_MS}")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")


def _begin_sqlite(connection: sa.Connection) -> None:
    # A transaction that reads first and then writes fails at once when another process wrote in between.
    read_only = connection.get_execution_options().get(READ_ONLY)
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")
