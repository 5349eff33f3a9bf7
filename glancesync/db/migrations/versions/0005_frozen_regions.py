# SPDX-License-Identifier: Apache-2.0
"""Which regions an operator froze."""
from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("region_guards", sa.Column("frozen_at", sa.Double))
    op.add_column("region_guards", sa.Column("frozen_by", sa.String(255)))
    op.add_column("region_guards", sa.Column("frozen_reason", sa.String(1024)))
