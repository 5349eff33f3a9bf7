# SPDX-License-Identifier: Apache-2.0
"""Since when a replica is usable from its source's web server, unverified; and room for the name of that state."""
from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("replicas", sa.Column("unverified_since", sa.Double))
    with op.batch_alter_table("replicas") as batch:
        batch.alter_column("state", existing_type=_exact(16), type_=_exact(32), existing_nullable=False)


def _exact(length: int) -> sa.String:
    text = sa.String(length)
    exact: sa.String = text.with_variant(mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin"),
                                         "mysql", "mariadb")
    return exact
