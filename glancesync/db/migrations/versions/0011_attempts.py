# SPDX-License-Identifier: Apache-2.0
"""Each try to give a replica its bytes: by which driver, from where, and what became of it."""
from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table("attempts",
        sa.Column("id", _exact(32), primary_key=True),
        sa.Column("task_id", _exact(32), nullable=False),
        sa.Column("image_id", _exact(36), nullable=False),
        sa.Column("region", _exact(255), nullable=False),
        sa.Column("source_region", _exact(255), nullable=False),
        sa.Column("driver", _exact(64), nullable=False),
        sa.Column("began_at", sa.Double, nullable=False),
        sa.Column("seconds", sa.Double, nullable=False),
        sa.Column("bytes_moved", sa.BigInteger, nullable=False),
        sa.Column("code", sa.String(64), nullable=False),
        sa.Column("reason", sa.String(1024)))
    op.create_index("ix_attempts_task", "attempts", ["task_id", "began_at"])
    op.create_index("ix_attempts_began", "attempts", ["began_at"])


def _exact(length: int) -> sa.String:
    text = sa.String(length)
    exact: sa.String = text.with_variant(mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin"),
                                         "mysql", "mariadb")
    return exact
