# SPDX-License-Identifier: Apache-2.0
"""The record of every deletion, as an operator reads it. Called by the core; written by the brake."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from glancesync.clock import isoformat
from glancesync.db import paging
from glancesync.db.engine import Database
from glancesync.db.schema import deletions
from glancesync.exceptions import InvalidInputError
from glancesync.model.sort import Sort

_NEWEST_FIRST = Sort(key="at", descending=True)


def list_deletions(database: Database, *, limit: int, marker: str | None,
                   filters: Mapping[str, str]) -> list[dict[str, Any]]:
    """Newest first, after the deletion `marker`; `filters`: image_id, region, cause. `done_at` is None while Glance
    has not confirmed it. Raises InvalidInputError for an unknown marker."""
    def work(connection: sa.Connection) -> list[dict[str, Any]]:
        query = sa.select(deletions).order_by(*paging.order(deletions.c.at, deletions.c.id, _NEWEST_FIRST)).limit(limit)
        if marker is not None:
            last = connection.scalar(sa.select(deletions.c.at).where(deletions.c.id == marker))
            if last is None:
                raise InvalidInputError(f"there is no deletion {marker[:64]} to begin after")
            query = query.where(paging.after(deletions.c.at, deletions.c.id, _NEWEST_FIRST, last_key=last,
                                             last_identity=marker))
        for name, value in filters.items():
            query = query.where(deletions.c[name] == value)
        return [_view(row) for row in connection.execute(query).mappings()]

    return database.read(work)


def _view(row: Mapping[Any, Any]) -> dict[str, Any]:
    plain = ("id", "image_id", "region", "replica_id", "cause", "trigger", "request_id")
    return {**{name: row[name] for name in plain}, "at": isoformat(row["at"]), "done_at": isoformat(row["done_at"])}
