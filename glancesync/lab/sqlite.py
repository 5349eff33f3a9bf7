# SPDX-License-Identifier: Apache-2.0
"""A SQLAlchemy plugin that lets several threads write to one SQLite file. Named in the lab's database URLs.

oslo.db opens every transaction with a plain BEGIN. Two transactions that have read and then want to write cannot
both go on, and SQLite refuses the second at once ("database is locked") however long its timeout: a Glance with two
writers answers 500 to half of their requests. With BEGIN IMMEDIATE the second waits for the first, and the
services stay unmodified.

A thread that opens a transaction inside another (Glance 28 asks for an image's members so, where a member reads it)
would wait for itself: the inner one begins as oslo.db wants it, which lets it read.
"""
from __future__ import annotations

import threading
import weakref
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import URL, Connection, CreateEnginePlugin, Engine

PLUGIN = "glancesync_lab"


class ImmediateBegin(CreateEnginePlugin):
    """Entry point `sqlalchemy.plugins`: turns each outermost BEGIN of the engine into BEGIN IMMEDIATE."""

    def update_url(self, url: URL) -> URL:
        return url.difference_update_query(["plugin"])

    def engine_created(self, engine: Engine) -> None:
        begun = _Begun()
        event.listen(engine, "before_cursor_execute", begun.before, retval=True)
        event.listen(engine, "after_cursor_execute", begun.after)
        event.listen(engine, "commit", begun.end)
        event.listen(engine, "rollback", begun.end)


class _Begun(threading.local):
    """The connections on which this thread has a transaction open."""

    def __init__(self) -> None:
        self._open: weakref.WeakSet[Connection] = weakref.WeakSet()

    def before(self, _connection: Connection, _cursor: object, statement: str,
               parameters: Any, _context: object, _executemany: bool) -> tuple[str, Any]:
        return ("BEGIN IMMEDIATE" if statement == "BEGIN" and not self._open else statement), parameters

    def after(self, connection: Connection, _cursor: object, statement: str,
              _parameters: object, _context: object, _executemany: bool) -> None:
        if statement in ("BEGIN", "BEGIN IMMEDIATE"):
            self._open.add(connection)

    def end(self, connection: Connection) -> None:
        self._open.discard(connection)
