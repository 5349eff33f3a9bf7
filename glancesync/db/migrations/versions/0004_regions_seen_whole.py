# SPDX-License-Identifier: Apache-2.0
"""Whether each cascaded region is seen whole, which replicas took a new id, and that none belongs to two images."""
from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None
#: Older programs may give one replica to two images, which fails from here on.
contracts = "0004"


def upgrade() -> None:
    op.create_table("region_guards",
        sa.Column("region", _exact(255), primary_key=True),
        sa.Column("canary_ids", sa.Text),
        sa.Column("canary_seen", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("canary_tried_at", sa.Double),
        sa.Column("problem", sa.String(1024)),
        sa.Column("problem_at", sa.Double),
        sa.Column("held_at", sa.Double),
        sa.Column("held_count", sa.Integer),
        sa.Column("released_at", sa.Double))
    op.create_table("new_ids",
        sa.Column("id", _exact(32), primary_key=True),
        sa.Column("image_id", _exact(36), nullable=False),
        sa.Column("region", _exact(255), nullable=False),
        sa.Column("old_id", _exact(36), nullable=False),
        sa.Column("new_id", _exact(36), nullable=False),
        sa.Column("reason", sa.String(32), nullable=False),
        sa.Column("at", sa.Double, nullable=False))
    op.create_index("ix_new_ids_region", "new_ids", ["region", "at"])
    _let_go_of_shared_replicas()
    op.create_index("uq_replicas_replica", "replicas", ["region", "replica_id"], unique=True)


def _let_go_of_shared_replicas() -> None:
    """Of several images that claim one replica, the one whose id it has keeps it, else the first to have been verified.
    The others forget it and are decided anew at the next comparison."""
    replicas = sa.table("replicas", *(sa.column(name) for name in (
        "image_id", "region", "replica_id", "origin", "id_reason", "verified_at")))
    connection = op.get_bind()
    shared = connection.execute(
        sa.select(replicas.c.region, replicas.c.replica_id).where(replicas.c.replica_id.is_not(None))
        .group_by(replicas.c.region, replicas.c.replica_id).having(sa.func.count() > 1)).all()
    for region, replica_id in shared:
        rows = connection.execute(
            sa.select(replicas.c.image_id, replicas.c.verified_at)
            .where(replicas.c.region == region, replicas.c.replica_id == replica_id)).all()
        keeper = min(rows, key=lambda row: (row.image_id != replica_id, row.verified_at is None, row.verified_at or 0,
                                            row.image_id))
        connection.execute(sa.update(replicas).where(
            replicas.c.region == region, replicas.c.replica_id == replica_id, replicas.c.image_id != keeper.image_id,
        ).values(replica_id=None, origin=None, id_reason=None, verified_at=None))


def _exact(length: int) -> sa.String:
    text = sa.String(length)
    exact: sa.String = text.with_variant(mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin"),
                                         "mysql", "mariadb")
    return exact
