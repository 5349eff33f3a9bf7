# SPDX-License-Identifier: Apache-2.0
"""A SQLAlchemy plugin that lets several threads write to one SQLite file. Named in the lab's database URLs.

oslo.db opens every transaction with a plain BEGIN. Two transactions that have read and then want to write cannot
both go on, and SQLite refuses the second at once ("database is locked") however long its timeout: a Glance with two
writers answers 500 to half of their requests. With BEGIN IMMEDIATE the second waits for the first, and the
services stay unmodified.
"""
from __future__ import annotations

from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import URL, Connection, CreateEnginePlugin, Engine

PLUGIN = "glancesync_lab"


class ImmediateBegin(CreateEnginePlugin):
    """Entry point `sqlalchemy.plugins`: turns each BEGIN of the engine into BEGIN IMMEDIATE."""

    def update_url(self, url: URL) -> URL:
        return url.difference_update_query(["plugin"])

    def engine_created(self, engine: Engine) -> None:
        event.listen(engine, "before_cursor_execute", _begin_immediately, retval=True)


def _begin_immediately(_connection: Connection, _cursor: object, statement: str,  # noqa: PLR0913 - SQLAlchemy's
                       parameters: Any, _context: object, _executemany: bool) -> tuple[str, Any]:
    return ("BEGIN IMMEDIATE" if statement == "BEGIN" else statement), parameters
