# SPDX-License-Identifier: Apache-2.0
"""Images that a region lacks and that wait for their turn."""
from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table("fills",
        sa.Column("image_id", _exact(36), primary_key=True),
        sa.Column("region", _exact(255), primary_key=True),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("added_at", sa.Double, nullable=False),
        sa.Column("queued_at", sa.Double),
        sa.Column("done_at", sa.Double),
        sa.Column("failed", sa.Boolean, nullable=False))
    op.create_index("ix_fills_turn", "fills", ["region", "done_at", "queued_at", "created_at"])


def _exact(length: int) -> sa.String:
    text = sa.String(length)
    exact: sa.String = text.with_variant(mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin"),
                                         "mysql", "mariadb")
    return exact
