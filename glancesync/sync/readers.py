# SPDX-License-Identifier: Apache-2.0
"""Which reads of an image go on in a region now, and who may begin one more. Told by the tee and by shortcut, asked by
sources.

    places of (image, region):  0 .. most - 1, each a row, or none
    begin: the first that is free, or whose server has no run of the image any more -> a row of ours
    end:   the row goes

A place is taken by one, however many servers try: it is the row's key. So no more than `most` reads go on, and a server
that died holds its places as long as its tasks, which others take when their lease ends.
"""
from __future__ import annotations

import functools
import logging
import uuid
from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple, Protocol

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from glancesync.db.clock import now
from glancesync.db.engine import Database
from glancesync.db.fence import unfenced
from glancesync.db.schema import source_reads, tasks
from glancesync.exceptions import NotReadyError
from glancesync.model.task import TaskState

LOG = logging.getLogger(__name__)
_TRIES = 5


class Read(NamedTuple):
    """One that began: of the image, in a region, at a place of its own."""

    image_id: str
    region: str
    place: int
    id: str


class Readers(Protocol):
    """`image_id` is the image's own id, whatever its replicas are called."""

    def counts(self, image_id: str) -> Mapping[str, int]:
        """By region, how many reads of the image go on there. Raises NotReadyError."""

    def begin(self, image_id: str, region: str, most: int) -> Read | None:
        """Begin a read, None where `most` go on. Raises NotReadyError."""

    def end(self, read: Read) -> None:
        """It is over."""


class OwnReaders:
    """Those of this process alone, in memory."""

    def __init__(self) -> None:
        self._now: Counter[tuple[str, str]] = Counter()

    def counts(self, image_id: str) -> Mapping[str, int]:
        return {region: count for (image, region), count in self._now.items() if image == image_id}

    def begin(self, image_id: str, region: str, most: int) -> Read | None:
        if self._now[image_id, region] >= most:
            return None
        self._now[image_id, region] += 1
        return Read(image_id, region, 0, "")

    def end(self, read: Read) -> None:
        self._now[read.image_id, read.region] -= 1
        if not self._now[read.image_id, read.region]:
            del self._now[read.image_id, read.region]


class SharedReaders:
    """Those of all servers that share the database. `owner` is this process as in its tasks."""

    def __init__(self, database: Database, owner: str) -> None:
        self._database = database
        self._owner = owner

    def counts(self, image_id: str) -> Mapping[str, int]:
        """As Readers has it."""
        counted = sa.select(source_reads.c.region, sa.func.count()).where(
            source_reads.c.image_id == image_id, _GOES_ON).group_by(source_reads.c.region)

        def work(connection: sa.Connection) -> Mapping[str, int]:
            return {region: int(count) for region, count in connection.execute(counted)}

        return self._database.read(work)

    def begin(self, image_id: str, region: str, most: int) -> Read | None:
        """As Readers has it."""
        return self._database.run(self._begin_in, image_id, region, most)

    def end(self, read: Read) -> None:
        """Where the database is away the place is free again with the last run that this server has of the image."""
        try:
            with unfenced():
                self._database.run(lambda connection: connection.execute(sa.delete(source_reads).where(_is(read))))
        except NotReadyError as error:
            LOG.warning("that a read of image %s in %s is over is not written down: %s", read.image_id, read.region,
                        error)

    def _begin_in(self, connection: sa.Connection, image_id: str, region: str, most: int) -> Read | None:
        found = sa.select(source_reads.c.place, source_reads.c.read_id, _GOES_ON.label("goes_on")).where(
            source_reads.c.image_id == image_id, source_reads.c.region == region)
        for _ in range(_TRIES):
            rows = {row.place: row for row in connection.execute(found)}
            if sum(bool(row.goes_on) for row in rows.values()) >= most:
                return None
            place = next(each for each in range(most) if each not in rows or not rows[each].goes_on)
            read = Read(image_id, region, place, uuid.uuid4().hex)
            if self._take(connection, read, rows[place].read_id if place in rows else None):
                return read
        return None

    def _take(self, connection: sa.Connection, read: Read, dead: str | None) -> bool:
        """Whether the place is ours now: nobody's, or that of the dead one that was seen there."""
        values = {"read_id": read.id, "owner": self._owner, "began_at": now(connection)}
        if dead is not None:
            return connection.execute(sa.update(source_reads).where(
                _is(read._replace(id=dead))).values(**values)).rowcount == 1
        values |= {"image_id": read.image_id, "region": read.region, "place": read.place}
        return connection.execute(_insert(connection.dialect.name), values).rowcount == 1


@functools.cache
def _insert(dialect_name: str) -> sa.Executable:
    """Where the row is there by now it changes nothing, after waiting for whoever makes it."""
    if dialect_name in ("mysql", "mariadb"):
        return sa.insert(source_reads).prefix_with("IGNORE")
    return (sqlite.insert if dialect_name == "sqlite" else postgresql.insert)(source_reads).on_conflict_do_nothing()


def _is(read: Read) -> sa.ColumnElement[bool]:
    return sa.and_(source_reads.c.image_id == read.image_id, source_reads.c.region == read.region,
                   source_reads.c.place == read.place, source_reads.c.read_id == read.id)


_GOES_ON = sa.exists().where(tasks.c.image_id == source_reads.c.image_id, tasks.c.owner == source_reads.c.owner,
                             tasks.c.state == TaskState.RUNNING.value)
