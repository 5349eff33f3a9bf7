# SPDX-License-Identifier: Apache-2.0
"""The border where errors of databases become ours. Used by the engine only."""
from __future__ import annotations

import sqlalchemy as sa
from oslo_db import exception as oslo_db_exception
from sqlalchemy import exc as sa_exc

from glancesync.exceptions import NotReadyError

#: What may come out of a transaction for the database's sake.
FOREIGN = (sa_exc.SQLAlchemyError, oslo_db_exception.DBError, OSError)

#: Another transaction wrote a row that must be the only one of its kind.
DuplicateError = oslo_db_exception.DBDuplicateEntry

_LOCKED = ("database is locked", "database table is locked", "could not serialize access")
#: MariaDB says "The table 'tasks' is full", and a number of the system's.
_FULL = ("database or disk is full", "no space left", "' is full", "disk full", "errno: 28", "could not extend file")
#: The first words that match the driver's own say what happened and what to do.
_KNOWN = (
    *((words, "its disk is full: free some space, the work goes on by itself") for words in _FULL),
    ("readonly database", "it is read-only: give the file and its folder to the user that runs this program"),
    ("permission denied", "this program may not use it: give the file and its folder to the user that runs it"),
    ("unable to open database file", "it cannot be opened: create its folder, owned by the user that runs this "
                                     "program"),
    ("no such file or directory", "its folder does not exist: create it, owned by the user that runs this program"),
    ("file is not a database", "the file is not an SQLite database: name another one in [database] connection"),
    ("malformed", "the file is damaged: restore it, or move it away and run glance-sync-manage db sync; a reconcile "
                  "fills it again"),
    ("no such table", "its tables are missing: run glance-sync-manage db sync"),
    ("no such column", "its tables are of another version: run glance-sync-manage db sync"),
    ("doesn't exist", "its tables are missing: run glance-sync-manage db sync"),
    ("does not exist", "the database, its tables or its user are missing: create them, then run "
                       "glance-sync-manage db sync"),
    ("unknown database", "it does not exist: create it, then run glance-sync-manage db sync"),
    ("password authentication failed", "it refuses the user or password of [database] connection"),
    ("access denied", "it refuses the user or password of [database] connection"),
    ("disk i/o error", "reading or writing its file failed: look at the disk's health and free space"),
    *((words, "another program holds its lock: end it, or wait") for words in _LOCKED),
)


def describe(url: sa.URL) -> str:
    """The database for a person to read, without user, password and options."""
    place = f" on {url.host}" + (f":{url.port}" if url.port else "") if url.host else ""
    return f"the {url.get_backend_name()} database {url.database or 'in memory'}{place}"


def may_pass(error: Exception) -> bool:
    """Whether trying again in a moment may help, beside the deadlocks and disconnects that oslo.db knows."""
    return isinstance(error, sa_exc.DBAPIError | oslo_db_exception.DBError) and \
        any(words in str(error).lower() for words in _LOCKED)


def translate(error: Exception, url: sa.URL) -> NotReadyError | None:
    """What a person can do about it, or None for an error that is a mistake of the program, not of the database."""
    text = _own_words(error)
    for words, advice in _KNOWN:
        if words in text:
            return NotReadyError(f"{describe(url)} cannot be used: {advice}")
    if isinstance(error, oslo_db_exception.DBConnectionError | sa_exc.TimeoutError):
        return NotReadyError(f"{describe(url)} does not answer: see that it runs and can be reached; the work goes on "
                             "by itself")
    if isinstance(error, oslo_db_exception.DBDeadlock):
        return NotReadyError(f"{describe(url)} is too busy: its transactions stand in each other's way; try again")
    if isinstance(error, sa_exc.OperationalError | OSError):
        return NotReadyError(f"{describe(url)} cannot be used ({type(error).__name__}): see the database's own log")
    return None


def _own_words(error: Exception) -> str:
    """What the driver said, without the statement and its values, which may hold words of anybody."""
    cause: object = error
    while True:
        inner = getattr(cause, "orig", None) or getattr(cause, "inner_exception", None)
        if inner is None or inner is cause:
            return str(cause).lower()
        cause = inner
