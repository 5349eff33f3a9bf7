# SPDX-License-Identifier: Apache-2.0
"""Alembic without its files: upgrade and version over a connection that is already there. Used by the engine."""
from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from glancesync.db import compat

FOLDER = Path(__file__).parent / "migrations"


def head() -> str:
    """The version that this program's tables have."""
    found = ScriptDirectory.from_config(config()).get_current_head()
    if found is None:
        raise RuntimeError("the package was installed without its migrations")
    return found


def current(connection: sa.Connection) -> str | None:
    """The version of the database's tables; None where there are none."""
    return MigrationContext.configure(connection).get_current_revision()


def upgrade(connection: sa.Connection, folder: Path = FOLDER) -> None:
    """Bring the tables to the newest version of the folder, and have them say which programs they serve; in the
    caller's transaction where the database can do that."""
    settings = config(folder)
    settings.attributes["connection"] = connection
    command.upgrade(settings, "head")
    compat.declare(connection, compat.steps_of(ScriptDirectory.from_config(settings)))


def steps() -> list[compat.Step]:
    """This program's migrations, the first one first."""
    return compat.steps_of(ScriptDirectory.from_config(config()))


def config(folder: Path = FOLDER) -> Config:
    """Alembic's settings for the migrations of a folder."""
    settings = Config()
    settings.set_main_option("script_location", str(folder).replace("%", "%%"))
    settings.set_main_option("path_separator", "os")
    return settings
