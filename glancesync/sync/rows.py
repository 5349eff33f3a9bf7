# SPDX-License-Identifier: Apache-2.0
"""Rows of `replicas` and `images` as values and back, and what a submission needs of them in its own transaction.
Called by records and the service."""
from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa

from glancesync.db.schema import replicas
from glancesync.model.image import Digest
from glancesync.model.replica import (
    ConflictChoice,
    IdReason,
    Origin,
    Removal,
    ReplicaRecord,
    ReplicaState,
    StrangerBytes,
)
from glancesync.model.text import storable

#: Characters of a reason that are kept.
REASON_LIMIT = 1000


def ensure_rows(connection: sa.Connection, pairs: Iterable[tuple[str, str]], *, wanted_at: float) -> None:
    """Give every (image id, region) a row, and start the clock of its lag where it does not run yet."""
    for image_id, region in pairs:
        found = connection.execute(
            sa.select(replicas.c.wanted_at).where(pair_is(image_id, region))).first()
        if found is None:
            connection.execute(sa.insert(replicas).values(
                image_id=image_id, region=region, state=ReplicaState.WAITING.value, wanted_at=wanted_at,
                updated_at=wanted_at))
        elif found.wanted_at is None:
            connection.execute(sa.update(replicas).where(pair_is(image_id, region)).values(wanted_at=wanted_at))


def regions_with_rows(connection: sa.Connection, image_ids: Iterable[str]) -> dict[str, set[str]]:
    """Image id to the regions that have a row for it."""
    found: dict[str, set[str]] = {}
    for row in connection.execute(sa.select(replicas.c.image_id, replicas.c.region)
                                  .where(replicas.c.image_id.in_(list(image_ids)))):
        found.setdefault(row.image_id, set()).add(row.region)
    return found


def pair_is(image_id: str, region: str) -> sa.ColumnElement[bool]:
    return sa.and_(replicas.c.image_id == image_id, replicas.c.region == region)


def to_columns(values: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in values.items():
        if name == "digest":
            found["digest_algorithm"] = value.algorithm if value else None
            found["digest_value"] = value.value if value else None
        elif isinstance(value, str) and name == "reason":
            found[name] = storable(value)[:REASON_LIMIT]
        else:
            found[name] = value.value if isinstance(value, enum.Enum) else value
    return found


def to_record(row: Mapping[Any, Any]) -> ReplicaRecord:
    plain = ("image_id", "region", "replica_id", "reason_code", "reason", "size", "verified_at", "source_updated_at",
             "wanted_at", "synced_at", "lag_seconds", "saving_since", "rate_bytes_per_second", "missing_since",
             "missing_confirmed_at", "restores", "stranger_id", "scrubbed_at", "suspect_at",
             "rotten_at", "unverified_since", "disallowed_since", "disallowed_confirmed_at")
    digest = (Digest(algorithm=row["digest_algorithm"], value=row["digest_value"]) if row["digest_value"] else None)
    return ReplicaRecord(
        **{name: row[name] for name in plain}, digest=digest, state=ReplicaState(row["state"]),
        id_reason=IdReason(row["id_reason"]) if row["id_reason"] else None,
        origin=Origin(row["origin"]) if row["origin"] else None, scrub_wanted=bool(row["scrub_wanted"]),
        stranger_bytes=StrangerBytes(row["stranger_bytes"]) if row["stranger_bytes"] else None,
        choice=ConflictChoice(row["choice"]) if row["choice"] else None)


def to_removal(row: Mapping[Any, Any]) -> Removal | None:
    if row["removed_at"] is None:
        return None
    return Removal(image_id=row["image_id"], removed_at=row["removed_at"], event_id=row["removed_event_id"] or "",
                   request_id=row["removed_request_id"], user_id=row["removed_by_user"])
