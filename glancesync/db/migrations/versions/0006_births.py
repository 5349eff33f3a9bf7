# SPDX-License-Identifier: Apache-2.0
"""Which images were made in a cascaded region, and from which image there; which lie at external URLs."""
from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table("births",
        sa.Column("image_id", _exact(36), primary_key=True),
        sa.Column("region", _exact(255), nullable=False),
        sa.Column("origin_id", _exact(36), nullable=False),
        sa.Column("image_from", sa.String(16), nullable=False),
        sa.Column("asked_at", sa.Double, nullable=False),
        sa.Column("asked_by", sa.String(255)),
        sa.Column("request_id", sa.String(255)),
        sa.Column("waiting_since", sa.Double),
        sa.Column("filled_at", sa.Double))
    op.create_table("located",
        sa.Column("image_id", _exact(36), primary_key=True),
        sa.Column("asked_at", sa.Double, nullable=False))
    op.create_table("registrations",
        sa.Column("image_id", _exact(36), primary_key=True),
        sa.Column("region", _exact(255), primary_key=True),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("refused", sa.String(1024)))


def _exact(length: int) -> sa.String:
    text = sa.String(length)
    exact: sa.String = text.with_variant(mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin"),
                                         "mysql", "mariadb")
    return exact
