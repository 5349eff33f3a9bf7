# SPDX-License-Identifier: Apache-2.0
"""A few named facts that outlive a process: who the cascading Glance is, whether the brake holds; and what is known of
each cascaded region. Used by trust, the brakes and sight."""
from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from glancesync.db.schema import facts, region_guards


def find_fact(connection: sa.Connection, name: str) -> Any:
    """The JSON value, None where there is none."""
    value = connection.scalar(sa.select(facts.c.value).where(facts.c.name == name))
    return None if value is None else json.loads(value)


def set_fact(connection: sa.Connection, name: str, value: Any, now: float) -> None:
    """Write the JSON value; None removes the fact."""
    if value is None:
        connection.execute(sa.delete(facts).where(facts.c.name == name))
        return
    columns = {"value": json.dumps(value), "updated_at": now}
    if not connection.execute(sa.update(facts).where(facts.c.name == name).values(**columns)).rowcount:
        connection.execute(sa.insert(facts).values(name=name, **columns))


def take_turn(connection: sa.Connection, name: str, now: float) -> None:
    """Whoever else takes the turn of that name waits for the end of the transaction, and then sees what was written in
    it. Written, not only locked: one node of a Galera cluster does not see another's locks."""
    columns = {"value": "null", "updated_at": now}
    if not connection.execute(sa.update(facts).where(facts.c.name == name).values(**columns)).rowcount:
        connection.execute(sa.insert(facts).values(name=name, **columns))


def write_guard(connection: sa.Connection, region: str, columns: Mapping[str, Any]) -> None:
    """Set columns of the region's row, which is made when there is none."""
    if not connection.execute(sa.update(region_guards).where(region_guards.c.region == region)
                              .values(**columns)).rowcount:
        connection.execute(sa.insert(region_guards).values(region=region, **columns))
