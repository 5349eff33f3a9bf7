# SPDX-License-Identifier: Apache-2.0
"""Since when a replica is in a region that its image's owner may not use."""
from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("replicas", sa.Column("disallowed_pass", sa.String(32)))
    op.add_column("replicas", sa.Column("disallowed_since", sa.Double))
    op.add_column("replicas", sa.Column("disallowed_confirmed_at", sa.Double))
    op.create_index("ix_replicas_disallowed", "replicas", ["region", "disallowed_since"])
