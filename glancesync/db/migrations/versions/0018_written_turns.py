# SPDX-License-Identifier: Apache-2.0
"""Turns that are written, so that a Galera cluster sees them, and facts of more than 64 KiB on MariaDB."""
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
    if op.get_bind().dialect.name in ("mysql", "mariadb"):
        op.alter_column("facts", "value", existing_type=sa.Text(), type_=mysql.MEDIUMTEXT(), existing_nullable=False)
