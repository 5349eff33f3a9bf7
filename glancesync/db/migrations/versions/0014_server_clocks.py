# SPDX-License-Identifier: Apache-2.0
"""How far each server's own clock is from the database's."""
from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("servers", sa.Column("clock_ahead_seconds", sa.Double))
