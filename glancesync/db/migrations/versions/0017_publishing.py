# SPDX-License-Identifier: Apache-2.0
"""Which tasks a message was sent for, how many tasks a server runs at once, and what keeps it from that."""
from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("tasks", sa.Column("published_at", sa.Double))
    op.create_index("ix_tasks_published", "tasks", ["published_at"])
    op.add_column("servers", sa.Column("capacity", sa.Integer))
    op.add_column("servers", sa.Column("trouble", sa.String(1024)))
