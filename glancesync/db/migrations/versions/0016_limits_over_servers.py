# SPDX-License-Identifier: Apache-2.0
"""What holds limits over all servers: turns of claims, reads of a source as they happen, the breakers of regions."""
from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def _exact(length: int) -> sa.String:
    text = sa.String(length)
    exact: sa.String = text.with_variant(mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin"),
                                         "mysql", "mariadb")
    return exact


def upgrade() -> None:
    op.create_table(
        "claim_turns",
        sa.Column("region", _exact(255), primary_key=True),
        sa.Column("turn", sa.BigInteger, nullable=False))
    op.create_table(
        "source_reads",
        sa.Column("image_id", _exact(36), primary_key=True),
        sa.Column("region", _exact(255), primary_key=True),
        sa.Column("place", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("read_id", _exact(32), nullable=False),
        sa.Column("owner", _exact(255), nullable=False),
        sa.Column("began_at", sa.Double, nullable=False))
    op.create_table(
        "breakers",
        sa.Column("region", _exact(255), primary_key=True),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("since", sa.Double),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("successes", sa.Integer, nullable=False),
        sa.Column("pauses", sa.Integer, nullable=False),
        sa.Column("next_probe_at", sa.Double),
        sa.Column("reason", sa.String(1024)),
        sa.Column("prober", _exact(255)),
        sa.Column("probe_until", sa.Double),
        sa.Column("updated_at", sa.Double, nullable=False))
