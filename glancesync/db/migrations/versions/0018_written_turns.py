# SPDX-License-Identifier: Apache-2.0
"""Turns that are written, so that a Galera cluster sees them, and room on MariaDB for JSON beyond a TEXT's 64 KiB."""
from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("chores", sa.Column("turns", sa.BigInteger, nullable=False, server_default="0"))
    if op.get_bind().dialect.name not in ("mysql", "mariadb"):
        return  # a text has no end there
    for table, column, nullable in (("facts", "value", False), ("replicas", "differences", True)):
        op.alter_column(table, column, type_=mysql.MEDIUMTEXT(), existing_type=sa.Text(), existing_nullable=nullable)
