# SPDX-License-Identifier: Apache-2.0
"""Alembic without its files: upgrade and version over a connection that is already there. Used by the engine."""
from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory


def head() -> str:
    """The version that this program's tables have."""
    found = ScriptDirectory.from_config(config()).get_current_head()
    if found is None:
        raise RuntimeError("the package was installed without its migrations")
    return found


def current(connection: sa.Connection) -> str | None:
    """The version of the database's tables; None where there are none."""
    return MigrationContext.configure(connection).get_current_revision()


def upgrade(connection: sa.Connection) -> None:
    """Bring the tables to `head()`, in the caller's transaction where the database can do that."""
    settings = config()
    settings.attributes["connection"] = connection
    command.upgrade(settings, "head")


def config() -> Config:
    """Alembic's settings for the migrations that lie beside this file."""
    settings = Config()
    settings.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    settings.set_main_option("path_separator", "os")
    return settings
