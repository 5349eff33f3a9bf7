# SPDX-License-Identifier: Apache-2.0
"""Room for JSON beyond the 64 KiB that a TEXT of MariaDB holds: facts of thousands of regions, long properties."""
from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    if op.get_bind().dialect.name not in ("mysql", "mariadb"):
        return  # a text has no end there
    for table, column, nullable in (("facts", "value", False), ("replicas", "differences", True)):
        op.alter_column(table, column, type_=mysql.MEDIUMTEXT(), existing_type=sa.Text(), existing_nullable=nullable)
