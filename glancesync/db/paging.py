# SPDX-License-Identifier: Apache-2.0
"""Pages of a sorted listing by key, never by offset: a page costs the same wherever it is. Used by listings."""
from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from glancesync.model.sort import Sort


def order(key: sa.ColumnElement[Any], identity: sa.ColumnElement[str], sort: Sort) -> tuple[Any, ...]:
    """ORDER BY this; `identity` tells rows of the same key apart."""
    return tuple(column.desc() if sort.descending else column.asc() for column in (key, identity))


def after(key: sa.ColumnElement[Any], identity: sa.ColumnElement[str], sort: Sort, *, last_key: Any,
          last_identity: str) -> sa.ColumnElement[bool]:
    """Rows that come after the one with this key and identity."""
    def beyond(column: sa.ColumnElement[Any], value: Any) -> sa.ColumnElement[bool]:
        return column < value if sort.descending else column > value

    if key is identity:
        return beyond(identity, last_identity)
    # The first condition says nothing new; it is what an index can be searched by.
    within = key <= last_key if sort.descending else key >= last_key
    return sa.and_(within, sa.or_(beyond(key, last_key), beyond(identity, last_identity)))


def never_null(column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """The column with its nulls before everything else, on every database."""
    return sa.func.coalesce(column, null_value(column))


def null_value(column: sa.ColumnElement[Any]) -> str | int:
    """What stands for a null, and comes before every value."""
    return "" if isinstance(column.type, sa.String) else -1
