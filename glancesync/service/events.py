# SPDX-License-Identifier: Apache-2.0
"""Events as rows: what makes submitting idempotent, and the proof that a deletion needs. Called by the core."""
from __future__ import annotations

import json
from collections.abc import Sequence

import sqlalchemy as sa

from glancesync.db.schema import events as events_table
from glancesync.db.schema import images
from glancesync.model.event import Event, Operation


def store_events(connection: sa.Connection, events: Sequence[Event], now: float) -> list[Event]:
    """Write the events that were not seen before and return them; a removal is noted on its image."""
    seen = set(connection.scalars(sa.select(events_table.c.id).where(
        events_table.c.id.in_([event.id for event in events]))))
    fresh = list({event.id: event for event in events if event.id not in seen}.values())
    for event in fresh:
        connection.execute(sa.insert(events_table).values(
            id=event.id, image_id=event.image_id, operation=event.operation.value, at=event.at, received_at=now,
            request_id=event.request_id, user_id=event.user_id, project_id=event.project_id,
            roles=json.dumps(event.roles), host=event.host))
        if event.operation is Operation.REMOVE:
            _note_removal(connection, event, now)
    return fresh


def _note_removal(connection: sa.Connection, event: Event, now: float) -> None:
    values = {"removed_at": now, "removed_event_id": event.id, "removed_request_id": event.request_id,
              "removed_by_user": event.user_id}
    changed = connection.execute(sa.update(images).where(images.c.image_id == event.image_id).values(**values))
    if not changed.rowcount:
        connection.execute(sa.insert(images).values(image_id=event.image_id, seen_at=now, **values))


def purge_events(connection: sa.Connection, before: float) -> int:
    """Forget events that were received before; returns how many."""
    return connection.execute(sa.delete(events_table).where(events_table.c.received_at < before)).rowcount
