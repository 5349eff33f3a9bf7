# SPDX-License-Identifier: Apache-2.0
"""A few named facts that outlive a process: who the cascading Glance is, whether the brake holds. Used by trust."""
from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa

from glancesync.db.schema import facts


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
