# SPDX-License-Identifier: Apache-2.0
"""Indices that hold all of what is counted, and tasks of one state or region by age: these read every row."""
from __future__ import annotations

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_tasks_kind", "tasks", ["state", "trigger", "region"])
    op.create_index("ix_tasks_state", "tasks", ["state", "created_at", "id"])
    op.create_index("ix_tasks_region", "tasks", ["region", "created_at", "id"])
    op.create_index("ix_replicas_count", "replicas", ["region", "state"])
