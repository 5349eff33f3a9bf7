# SPDX-License-Identifier: Apache-2.0
"""Bulk-loads pairs for the scale benchmark: the database makes the rows itself, a million in less than a minute.

Images times regions, each pair with a task and a replica's record: of a hundred tasks nine wait and are due, one
failed, the others are done; each record is in sync.
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from glancesync.db.clock import now
from glancesync.db.engine import Database
from glancesync.db.schema import images, replicas, tasks
from tests.fixtures.fake_cloud import image_ids

_NUMBERS = sa.MetaData()
_IMAGES = sa.Table("scale_images", _NUMBERS, sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
                   sa.Column("id", tasks.c.image_id.type, nullable=False))
_REGIONS = sa.Table("scale_regions", _NUMBERS, sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
                    sa.Column("name", tasks.c.region.type, nullable=False),
                    sa.Column("code", sa.String(6), nullable=False))
_WAITING, _FAILED = 9, 1


class Load:
    """`regions` are all that there will be; images come with `bring_to`. `record` are the columns of each replica's
    record but for its ids and its region."""

    def __init__(self, database: Database, regions: Sequence[str], record: Mapping[str, Any] | None = None) -> None:
        self._database = database
        self._record = dict(record or {})
        self._images = 0
        database.run(_NUMBERS.create_all)
        database.run(lambda connection: connection.execute(sa.insert(_REGIONS), [
            {"number": number, "name": name, "code": f"{number:06}"} for number, name in enumerate(regions)]))

    def bring_to(self, count: int) -> None:
        """So many images, each in every region."""
        new = [{"number": number, "id": image_id} for number, image_id in enumerate(image_ids(count))][self._images:]
        self._database.run(lambda connection: connection.execute(sa.insert(_IMAGES), new))
        for first in range(self._images, count, 100):  # a transaction of all would fill a log of its own
            self._database.run(self._add, first, min(first + 100, count))
        self._images = count
        self._database.run(_analyse)

    def _add(self, connection: sa.Connection, first: int, end: int) -> None:
        at = now(connection)
        some = (_IMAGES.c.number >= first) & (_IMAGES.c.number < end)
        connection.execute(sa.insert(images).from_select(
            ["image_id", "name", "owner", "visibility", "status", "size", "updated_at", "seen_at"],
            sa.select(_IMAGES.c.id, *(sa.literal(value) for value in (
                "image", "demo", "private", "active", 20_000, at, at))).where(some)))
        pairs = sa.select(_IMAGES.c.id, _REGIONS.c.name).select_from(_IMAGES.join(_REGIONS, sa.true())).where(some)
        _insert(connection, replicas, pairs.add_columns(_IMAGES.c.id), ("image_id", "region", "replica_id"),
                {"id_reason": None, "origin": "created", "state": "in_sync", "reason_code": "in_sync", "restores": 0,
                 "size": 20_000, "updated_at": at, "scrub_wanted": sa.false(), **self._record})
        order = _IMAGES.c.number * 1000 + _REGIONS.c.number
        kind = (_IMAGES.c.number * 7 + _REGIONS.c.number) % 100
        state = sa.case((kind < _WAITING, "waiting"), (kind < _WAITING + _FAILED, "failed"), else_="done")
        task_id = sa.func.substr(sa.func.replace(_IMAGES.c.id, "-", ""), 1, 26) + _REGIONS.c.code
        _insert(connection, tasks, pairs.add_columns(task_id, state, at - 1e7 + order * 0.01, at - 1e6 + order * 0.01),
                ("image_id", "region", "id", "state", "created_at", "run_at"),
                {"trigger": "reconcile", "wanted": 1, "seen": 0, "priority": 0, "attempts": 0, "cancel": sa.false(),
                 "fence": 1, "reason_code": "in_sync", "reason": "same as the image, bytes verified",
                 "finished_at": at, "updated_at": at})


def _insert(connection: sa.Connection, table: sa.Table, pairs: sa.Select[Any], names: Sequence[str],
            constants: Mapping[str, Any]) -> None:
    values = {name: value for name, value in constants.items() if name not in names}
    found = pairs.add_columns(*(
        value if isinstance(value, sa.ColumnElement) else sa.cast(value, table.c[name].type)
        for name, value in values.items()))
    connection.execute(sa.insert(table).from_select([*names, *values], found))


def _analyse(connection: sa.Connection) -> None:
    """As the database does by itself after a while."""
    if connection.dialect.name in ("mysql", "mariadb"):
        connection.exec_driver_sql("ANALYZE TABLE tasks, replicas, images").fetchall()
    else:
        connection.exec_driver_sql("ANALYZE")
