# SPDX-License-Identifier: Apache-2.0
"""What a deletion rests on: which comparisons missed an image, what is known of the source, what was deleted why."""
from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("replicas", sa.Column("missing_pass", sa.String(32)))
    op.add_column("replicas", sa.Column("missing_since", sa.Double))
    op.add_column("replicas", sa.Column("missing_confirmed_at", sa.Double))
    op.create_index("ix_replicas_missing", "replicas", ["region", "missing_since"])
    op.create_table("facts",
        sa.Column("name", _exact(64), primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
        sa.Column("updated_at", sa.Double, nullable=False))
    op.create_table("deletions",
        sa.Column("id", _exact(32), primary_key=True),
        sa.Column("image_id", _exact(36), nullable=False),
        sa.Column("region", _exact(255), nullable=False),
        sa.Column("replica_id", _exact(36), nullable=False),
        sa.Column("cause", sa.String(32), nullable=False),
        sa.Column("trigger", sa.String(16), nullable=False),
        sa.Column("request_id", sa.String(255)),
        sa.Column("at", sa.Double, nullable=False))
    op.create_index("ix_deletions_at", "deletions", ["at"])
    op.create_index("ix_deletions_image", "deletions", ["image_id"])


def _exact(length: int) -> sa.String:
    text = sa.String(length)
    exact: sa.String = text.with_variant(mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin"),
                                         "mysql", "mariadb")
    return exact
