# SPDX-License-Identifier: Apache-2.0
"""The first tables."""
from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    _create_queue()
    _create_records()
    _create_sources()


def _exact(length: int) -> sa.String:
    text = sa.String(length)
    exact: sa.String = text.with_variant(mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin"),
                                         "mysql", "mariadb")
    return exact


def _create_queue() -> None:
    op.create_table("tasks",
        sa.Column("id", _exact(32), nullable=False),
        sa.Column("image_id", _exact(36), nullable=False),
        sa.Column("region", _exact(255), nullable=False),
        sa.Column("state", _exact(16), nullable=False),
        sa.Column("trigger", _exact(16), nullable=False),
        sa.Column("wanted", sa.BigInteger, nullable=False),
        sa.Column("seen", sa.BigInteger, nullable=False),
        sa.Column("priority", sa.Integer, nullable=False),
        sa.Column("run_at", sa.Double, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("step", sa.String(64)),
        sa.Column("bytes_done", sa.BigInteger),
        sa.Column("bytes_total", sa.BigInteger),
        sa.Column("cancel", sa.Boolean, nullable=False),
        sa.Column("owner", _exact(255)),
        sa.Column("fence", sa.BigInteger, nullable=False),
        sa.Column("lease_until", sa.Double),
        sa.Column("request_id", sa.String(255)),
        sa.Column("reason_code", sa.String(64)),
        sa.Column("reason", sa.String(1024)),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("started_at", sa.Double),
        sa.Column("finished_at", sa.Double),
        sa.Column("updated_at", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("image_id", "region", name="uq_tasks_pair"))
    op.create_index("ix_tasks_claim", "tasks", ["state", "region", "priority", "run_at"])
    op.create_index("ix_tasks_created", "tasks", ["created_at", "id"])
    op.create_table("runs",
        sa.Column("id", _exact(32), nullable=False),
        sa.Column("task_id", _exact(32), nullable=False),
        sa.Column("image_id", _exact(36), nullable=False),
        sa.Column("region", _exact(255), nullable=False),
        sa.Column("trigger", _exact(16), nullable=False),
        sa.Column("request_id", sa.String(255)),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("started_at", sa.Double, nullable=False),
        sa.Column("finished_at", sa.Double, nullable=False),
        sa.Column("outcome", sa.String(16), nullable=False),
        sa.Column("reason_code", sa.String(64)),
        sa.Column("reason", sa.String(1024)),
        sa.Column("bytes_moved", sa.BigInteger, nullable=False),
        sa.Column("server", sa.String(255)),
        sa.PrimaryKeyConstraint("id"))
    op.create_index("ix_runs_finished", "runs", ["finished_at"])
    op.create_index("ix_runs_task", "runs", ["task_id", "started_at"])


def _create_records() -> None:
    op.create_table("images",
        sa.Column("image_id", _exact(36), nullable=False),
        sa.Column("name", sa.String(255)),
        sa.Column("owner", _exact(255)),
        sa.Column("visibility", sa.String(16)),
        sa.Column("status", sa.String(32)),
        sa.Column("size", sa.BigInteger),
        sa.Column("updated_at", sa.Double),
        sa.Column("seen_at", sa.Double),
        sa.Column("removed_at", sa.Double),
        sa.Column("removed_event_id", _exact(255)),
        sa.Column("removed_request_id", sa.String(255)),
        sa.Column("removed_by_user", sa.String(255)),
        sa.PrimaryKeyConstraint("image_id"))
    op.create_table("replicas",
        sa.Column("image_id", _exact(36), nullable=False),
        sa.Column("region", _exact(255), nullable=False),
        sa.Column("replica_id", _exact(36)),
        sa.Column("id_reason", sa.String(32)),
        sa.Column("origin", sa.String(16)),
        sa.Column("state", _exact(16), nullable=False),
        sa.Column("reason_code", sa.String(64)),
        sa.Column("reason", sa.String(1024)),
        sa.Column("digest_algorithm", sa.String(32)),
        sa.Column("digest_value", sa.String(255)),
        sa.Column("size", sa.BigInteger),
        sa.Column("verified_at", sa.Double),
        sa.Column("source_updated_at", sa.Double),
        sa.Column("wanted_at", sa.Double),
        sa.Column("synced_at", sa.Double),
        sa.Column("lag_seconds", sa.Double),
        sa.Column("saving_since", sa.Double),
        sa.Column("bytes_done", sa.BigInteger),
        sa.Column("bytes_total", sa.BigInteger),
        sa.Column("rate_bytes_per_second", sa.Double),
        sa.Column("restores", sa.Integer, server_default="0", nullable=False),
        sa.Column("updated_at", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("image_id", "region"))
    op.create_index("ix_replicas_replica_id", "replicas", ["replica_id"])
    op.create_index("ix_replicas_state", "replicas", ["state"])


def _create_sources() -> None:
    op.create_table("events",
        sa.Column("id", _exact(255), nullable=False),
        sa.Column("image_id", _exact(36)),
        sa.Column("operation", sa.String(16), nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("received_at", sa.Double, nullable=False),
        sa.Column("request_id", sa.String(255)),
        sa.Column("user_id", sa.String(255)),
        sa.Column("project_id", sa.String(255)),
        sa.Column("roles", sa.Text),
        sa.Column("host", sa.String(255)),
        sa.PrimaryKeyConstraint("id"))
    op.create_index("ix_events_image", "events", ["image_id", "at"])
    op.create_index("ix_events_received", "events", ["received_at"])
    op.create_table("regions",
        sa.Column("name", _exact(255), nullable=False),
        sa.Column("endpoint", sa.String(1024)),
        sa.Column("cascading", sa.Boolean, nullable=False),
        sa.Column("seen_at", sa.Double),
        sa.Column("gone_at", sa.Double),
        sa.PrimaryKeyConstraint("name"))
