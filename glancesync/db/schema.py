# SPDX-License-Identifier: Apache-2.0
"""The tables, as the newest migration leaves them. Used by the queue (tasks, runs), the records and the service.

Times are seconds since the epoch as doubles, sizes are bytes. Ids compare by byte on every database.
"""
from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql

metadata = sa.MetaData()
#: JSON that may be longer than the 64 KiB which a TEXT of MariaDB holds.
_LONG = sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")


def _exact(length: int) -> sa.String:
    """Text of which MariaDB would otherwise ignore case and trailing spaces."""
    text = sa.String(length)
    exact: sa.String = text.with_variant(mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin"),
                                         "mysql", "mariadb")
    return exact


def _image_id(**options: Any) -> sa.Column[str]:
    return sa.Column("image_id", _exact(36), **options)


def _region(**options: Any) -> sa.Column[str]:
    return sa.Column("region", _exact(255), **options)


tasks = sa.Table(
    "tasks", metadata,
    sa.Column("id", _exact(32), primary_key=True),
    _image_id(nullable=False),
    _region(nullable=False),
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
    sa.Column("published_at", sa.Double),  # when a message that names it was sent, and nobody claimed it since
    sa.UniqueConstraint("image_id", "region", name="uq_tasks_pair"),
    # A claim reads the few oldest of each (region, priority); a running task is found by its state.
    sa.Index("ix_tasks_claim", "state", "region", "priority", "run_at"),
    sa.Index("ix_tasks_created", "created_at", "id"),
    # Counting all tasks reads the first of these and no row; the newest of a state, or of a region, are found without
    # looking at others.
    sa.Index("ix_tasks_kind", "state", "trigger", "region"),
    sa.Index("ix_tasks_state", "state", "created_at", "id"),
    sa.Index("ix_tasks_region", "region", "created_at", "id"),
    sa.Index("ix_tasks_published", "published_at"),
)

runs = sa.Table(
    "runs", metadata,
    sa.Column("id", _exact(32), primary_key=True),
    sa.Column("task_id", _exact(32), nullable=False),
    _image_id(nullable=False),
    _region(nullable=False),
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
    sa.Index("ix_runs_task", "task_id", "started_at"),
    sa.Index("ix_runs_finished", "finished_at"),
)

images = sa.Table(
    "images", metadata,
    _image_id(primary_key=True),
    sa.Column("name", sa.String(255)),
    sa.Column("owner", _exact(255)),
    sa.Column("visibility", sa.String(16)),
    sa.Column("status", sa.String(32)),
    sa.Column("size", sa.BigInteger),
    sa.Column("updated_at", sa.Double),  # as the cascading Glance tells it
    sa.Column("seen_at", sa.Double),
    sa.Column("removed_at", sa.Double),
    sa.Column("removed_event_id", _exact(255)),
    sa.Column("removed_request_id", sa.String(255)),
    sa.Column("removed_by_user", sa.String(255)),
)

replicas = sa.Table(
    "replicas", metadata,
    _image_id(primary_key=True),
    _region(primary_key=True),
    sa.Column("replica_id", _exact(36)),
    sa.Column("id_reason", sa.String(32)),
    sa.Column("origin", sa.String(16)),
    sa.Column("state", _exact(32), nullable=False),
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
    sa.Column("restores", sa.Integer, nullable=False, server_default="0"),
    sa.Column("updated_at", sa.Double, nullable=False),
    sa.Column("missing_pass", sa.String(32)),  # the last comparison that missed its image
    sa.Column("missing_since", sa.Double),  # when the first of them did
    sa.Column("missing_confirmed_at", sa.Double),  # when another did, long enough after
    sa.Column("disallowed_pass", sa.String(32)),  # the last comparison that found its image does not belong here
    sa.Column("disallowed_since", sa.Double),  # when the first of them did
    sa.Column("disallowed_confirmed_at", sa.Double),  # when another did, long enough after
    sa.Column("stranger_id", _exact(36)),  # the image that stands in the replica's way
    sa.Column("stranger_bytes", sa.String(16)),  # what reading it told
    sa.Column("differences", _LONG),  # a JSON list: what differs between the image and the stranger
    sa.Column("choice", sa.String(16)),
    sa.Column("choice_at", sa.Double),
    sa.Column("choice_by", sa.String(255)),
    sa.Column("choice_request_id", sa.String(255)),
    sa.Column("scrub_wanted", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("scrubbed_at", sa.Double),
    sa.Column("suspect_at", sa.Double),
    sa.Column("rotten_at", sa.Double),
    sa.Column("unverified_since", sa.Double),  # usable from the source's web server, not yet brought home and verified
    sa.Index("ix_replicas_replica_id", "replica_id"),
    sa.Index("uq_replicas_replica", "region", "replica_id", unique=True),  # nothing is the replica of two images
    sa.Index("ix_replicas_state", "state"),
    sa.Index("ix_replicas_count", "region", "state"),
    sa.Index("ix_replicas_missing", "region", "missing_since"),
    sa.Index("ix_replicas_disallowed", "region", "disallowed_since"),
)

facts = sa.Table(
    "facts", metadata,
    sa.Column("name", _exact(64), primary_key=True),
    sa.Column("value", _LONG, nullable=False),  # JSON; one names every region with a time
    sa.Column("updated_at", sa.Double, nullable=False),
)

deletions = sa.Table(
    "deletions", metadata,
    sa.Column("id", _exact(32), primary_key=True),
    _image_id(nullable=False),
    _region(nullable=False),
    sa.Column("replica_id", _exact(36), nullable=False),
    sa.Column("cause", sa.String(32), nullable=False),
    sa.Column("trigger", sa.String(16), nullable=False),
    sa.Column("request_id", sa.String(255)),
    sa.Column("at", sa.Double, nullable=False),
    sa.Column("done_at", sa.Double),  # when Glance confirmed it
    sa.Index("ix_deletions_at", "at"),
    sa.Index("ix_deletions_image", "image_id"),
    sa.Index("ix_deletions_replica", "region", "replica_id"),
)

events = sa.Table(
    "events", metadata,
    sa.Column("id", _exact(255), primary_key=True),
    _image_id(),
    sa.Column("operation", sa.String(16), nullable=False),
    sa.Column("at", sa.Double, nullable=False),
    sa.Column("received_at", sa.Double, nullable=False),
    sa.Column("request_id", sa.String(255)),
    sa.Column("user_id", sa.String(255)),
    sa.Column("project_id", sa.String(255)),
    sa.Column("roles", sa.Text),  # a JSON list
    sa.Column("host", sa.String(255)),
    sa.Index("ix_events_image", "image_id", "at"),
    sa.Index("ix_events_received", "received_at"),
)

regions = sa.Table(
    "regions", metadata,
    sa.Column("name", _exact(255), primary_key=True),
    sa.Column("endpoint", sa.String(1024)),
    sa.Column("cascading", sa.Boolean, nullable=False),
    sa.Column("seen_at", sa.Double),
    sa.Column("gone_at", sa.Double),
)

region_guards = sa.Table(
    "region_guards", metadata,
    _region(primary_key=True),
    sa.Column("canary_ids", sa.Text),  # a JSON list, the newest first
    sa.Column("canary_seen", sa.Boolean, nullable=False, server_default=sa.false()),  # whether the newest ever was
    sa.Column("canary_tried_at", sa.Double),  # when the newest was chosen
    sa.Column("problem", sa.String(1024)),  # why the region is not seen whole
    sa.Column("problem_at", sa.Double),
    sa.Column("held_at", sa.Double),  # since when no new ids are taken
    sa.Column("held_count", sa.Integer),
    sa.Column("released_at", sa.Double),  # when an operator released that
    sa.Column("frozen_at", sa.Double),  # since when an operator lets nothing be written there
    sa.Column("frozen_by", sa.String(255)),
    sa.Column("frozen_reason", sa.String(1024)),
)

new_ids = sa.Table(
    "new_ids", metadata,
    sa.Column("id", _exact(32), primary_key=True),
    _image_id(nullable=False),
    _region(nullable=False),
    sa.Column("old_id", _exact(36), nullable=False),
    sa.Column("new_id", _exact(36), nullable=False),
    sa.Column("reason", sa.String(32), nullable=False),
    sa.Column("at", sa.Double, nullable=False),
    sa.Index("ix_new_ids_region", "region", "at"),
)

births = sa.Table(
    "births", metadata,
    _image_id(primary_key=True),
    _region(nullable=False),  # of birth
    sa.Column("origin_id", _exact(36), nullable=False),  # the region's own image
    sa.Column("image_from", sa.String(16), nullable=False),
    sa.Column("asked_at", sa.Double, nullable=False),
    sa.Column("asked_by", sa.String(255)),
    sa.Column("request_id", sa.String(255)),
    sa.Column("waiting_since", sa.Double),
    sa.Column("filling_since", sa.Double),
    sa.Column("filled_at", sa.Double),
)

located = sa.Table(
    "located", metadata,
    _image_id(primary_key=True),
    sa.Column("asked_at", sa.Double, nullable=False),
)

registrations = sa.Table(
    "registrations", metadata,
    _image_id(primary_key=True),
    _region(primary_key=True),
    sa.Column("fingerprint", sa.String(64), nullable=False),  # of the URL, which may be signed
    sa.Column("at", sa.Double, nullable=False),
    sa.Column("refused", sa.String(1024)),
)

fills = sa.Table(
    "fills", metadata,
    _image_id(primary_key=True),
    _region(primary_key=True),
    sa.Column("created_at", sa.Double, nullable=False),  # the image
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("added_at", sa.Double, nullable=False),
    sa.Column("queued_at", sa.Double),
    sa.Column("done_at", sa.Double),
    sa.Column("failed", sa.Boolean, nullable=False),
    sa.Index("ix_fills_turn", "region", "done_at", "queued_at", "created_at"),
)

servers = sa.Table(
    "servers", metadata,
    sa.Column("name", _exact(255), primary_key=True),  # as in tasks.owner
    sa.Column("host", sa.String(255), nullable=False),
    sa.Column("pid", sa.Integer, nullable=False),
    sa.Column("version", sa.String(64), nullable=False),
    sa.Column("engine", sa.String(64), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("started_at", sa.Double, nullable=False),
    sa.Column("heartbeat_at", sa.Double, nullable=False),  # on the database's clock
    sa.Column("clock_ahead_seconds", sa.Double),  # of the machine's clock before the database's
    sa.Column("capacity", sa.Integer),  # how many tasks it runs at once; NULL where an older program wrote the row
    sa.Column("trouble", sa.String(1024)),  # what keeps tasks from being run
)

#: What one server at a time does for all (tasks.chores). Times are the database's.
chores = sa.Table(
    "chores", metadata,
    sa.Column("name", _exact(64), primary_key=True),
    sa.Column("wanted", sa.Integer, nullable=False),
    sa.Column("seen", sa.Integer, nullable=False),
    sa.Column("owner", _exact(255)),
    sa.Column("fence", sa.Integer, nullable=False),
    sa.Column("lease_until", sa.Double),
    sa.Column("began_at", sa.Double),
    sa.Column("ended_at", sa.Double),
    sa.Column("failures", sa.Integer, nullable=False),
    sa.Column("turns", sa.BigInteger, nullable=False, server_default="0"),  # raised by whoever makes others wait
)

attempts = sa.Table(
    "attempts", metadata,
    sa.Column("id", _exact(32), primary_key=True),
    sa.Column("task_id", _exact(32), nullable=False),
    _image_id(nullable=False),
    _region(nullable=False),
    sa.Column("source_region", _exact(255), nullable=False),
    sa.Column("driver", _exact(64), nullable=False),
    sa.Column("began_at", sa.Double, nullable=False),
    sa.Column("seconds", sa.Double, nullable=False),
    sa.Column("bytes_moved", sa.BigInteger, nullable=False),
    sa.Column("code", sa.String(64), nullable=False),
    sa.Column("reason", sa.String(1024)),
    sa.Index("ix_attempts_task", "task_id", "began_at"),
    sa.Index("ix_attempts_began", "began_at"),
)

claim_turns = sa.Table(
    "claim_turns", metadata,
    _region(primary_key=True),
    sa.Column("turn", sa.BigInteger, nullable=False),
)

source_reads = sa.Table(
    "source_reads", metadata,
    _image_id(primary_key=True),
    _region(primary_key=True),  # where it is read
    sa.Column("place", sa.Integer, primary_key=True, autoincrement=False),  # below the limit; each is taken by one
    sa.Column("read_id", _exact(32), nullable=False),
    sa.Column("owner", _exact(255), nullable=False),  # as in tasks: a read counts while its owner runs one of the image
    sa.Column("began_at", sa.Double, nullable=False),
)

breakers = sa.Table(
    "breakers", metadata,
    _region(primary_key=True),
    sa.Column("version", sa.BigInteger, nullable=False),  # of the row: each change raises it
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("since", sa.Double),
    sa.Column("failures", sa.Integer, nullable=False),
    sa.Column("successes", sa.Integer, nullable=False),
    sa.Column("pauses", sa.Integer, nullable=False),
    sa.Column("next_probe_at", sa.Double),
    sa.Column("reason", sa.String(1024)),
    sa.Column("prober", _exact(255)),  # which server probes the region now
    sa.Column("probe_until", sa.Double),  # and how long nobody else does
    sa.Column("updated_at", sa.Double, nullable=False),
)
