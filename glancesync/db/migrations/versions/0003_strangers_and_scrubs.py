# SPDX-License-Identifier: Apache-2.0
"""Images that stand in a replica's way and what was chosen about them; scrubs; which deletions were carried out."""
from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for column in (
            sa.Column("stranger_id", _exact(36)),
            sa.Column("stranger_bytes", sa.String(16)),
            sa.Column("differences", sa.Text),
            sa.Column("choice", sa.String(16)),
            sa.Column("choice_at", sa.Double),
            sa.Column("choice_by", sa.String(255)),
            sa.Column("choice_request_id", sa.String(255)),
            sa.Column("scrub_wanted", sa.Boolean, nullable=False, server_default=sa.false()),
            sa.Column("scrubbed_at", sa.Double),
            sa.Column("suspect_at", sa.Double),
            sa.Column("rotten_at", sa.Double)):
        op.add_column("replicas", column)
    op.add_column("deletions", sa.Column("done_at", sa.Double))
    op.create_index("ix_deletions_replica", "deletions", ["region", "replica_id"])


def _exact(length: int) -> sa.String:
    text = sa.String(length)
    exact: sa.String = text.with_variant(mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin"),
                                         "mysql", "mariadb")
    return exact
