# SPDX-License-Identifier: Apache-2.0
"""Since when the server fills an image that was born in a region: until it is verified nobody is to boot it."""
from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("births", sa.Column("filling_since", sa.Double))
