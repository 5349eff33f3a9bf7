# SPDX-License-Identifier: Apache-2.0
"""What became of each try to give a replica its bytes: rows of `attempts`. Written by execute and shortcut; read and
purged by the service."""
from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from glancesync.clock import Clock
from glancesync.db.engine import Database
from glancesync.db.schema import attempts
from glancesync.exceptions import GlanceSyncError, NotReadyError, SourcesBusyError
from glancesync.model.attempt import OK, Attempt
from glancesync.sync.meter import Meter
from glancesync.sync.run import Run

LOG = logging.getLogger(__name__)
_REASON_LENGTH = 1024
_AT_ONCE = 500
#: Of a task, the newest.
SHOWN = 100


class Attempts:
    """Reads and writes the table. A row tells what was; no decision rests on it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, attempt: Attempt) -> None:
        """Raises NotReadyError."""
        values = {**vars(attempt), "id": uuid.uuid4().hex, "reason": attempt.reason and attempt.reason[:_REASON_LENGTH]}
        self._database.run(lambda connection: connection.execute(sa.insert(attempts).values(**values)))

    def list(self, task_id: str, *, limit: int = SHOWN) -> list[Attempt]:
        """Those of a task, the newest first."""
        names = [name for name in Attempt.__dataclass_fields__]
        query = sa.select(*(attempts.c[name] for name in names)).where(attempts.c.task_id == task_id).order_by(
            attempts.c.began_at.desc(), attempts.c.id).limit(limit)

        def work(connection: sa.Connection) -> list[Attempt]:
            return [Attempt(**row._mapping) for row in connection.execute(query)]

        return self._database.read(work)

    def purge(self, before: float) -> int:
        """Forget those that began before that time, in seconds since the epoch, and of each task all but the newest
        that are ever shown: one that fails every few minutes makes thousands. How many."""
        total = 0
        while removed := self._database.run(_forget, attempts.c.began_at < before):
            total += removed
        for task_id in self._database.read(_list_crowded):
            while removed := self._database.run(_forget_oldest, task_id):
                total += removed
        return total


def _list_crowded(connection: sa.Connection) -> list[str]:
    return list(connection.scalars(sa.select(attempts.c.task_id).group_by(attempts.c.task_id).having(
        sa.func.count() > SHOWN)))


def _forget_oldest(connection: sa.Connection, task_id: str) -> int:
    mine = attempts.c.task_id == task_id
    last = connection.scalar(sa.select(attempts.c.began_at).where(mine).order_by(
        attempts.c.began_at.desc()).offset(SHOWN - 1).limit(1))
    return 0 if last is None else _forget(connection, sa.and_(mine, attempts.c.began_at < last))


def _forget(connection: sa.Connection, old: sa.ColumnElement[bool]) -> int:
    some = list(connection.scalars(sa.select(attempts.c.id).where(old).limit(_AT_ONCE)))
    if some:
        connection.execute(sa.delete(attempts).where(attempts.c.id.in_(some)))
    return len(some)


class AttemptWatch:
    """Sees attempts through, and writes down and counts how each ended. `update` sets columns of a pair's record."""

    def __init__(self, *, attempts: Attempts, clock: Clock, meter: Meter,
                 update: Callable[..., None] | None = None) -> None:
        self._attempts = attempts
        self._update = update
        self._clock = clock
        self._meter = meter

    @contextmanager
    def attempt(self, run: Run, *, driver: str, source_region: str) -> Iterator[None]:
        """One attempt; what it raises is raised again. A database that is away takes nothing down: the copy counts,
        not its history."""
        began_at, started = self._clock.now(), self._clock.monotonic()
        run.handle.report(bytes_done=0)

        def note(code: str, reason: str | None = None) -> None:
            self._note(Attempt(
                task_id=run.handle.task.id, image_id=run.image_id, region=run.region, source_region=source_region,
                driver=driver, began_at=began_at, seconds=self._clock.monotonic() - started,
                bytes_moved=run.handle.bytes_done or 0, code=code, reason=reason))

        try:
            yield
        except SourcesBusyError:  # nothing was tried
            raise
        except Exception as error:
            note(getattr(error, "code", GlanceSyncError.code), str(error))
            raise
        note(OK)

    def note_unverified(self, run: Run) -> None:
        """Before the image is usable it is written down that its bytes are not verified. Raises NotReadyError."""
        if self._update is not None:
            self._update(run.image_id, run.region, unverified_since=self._clock.now())

    def _note(self, attempt: Attempt) -> None:
        self._meter.attempted(driver=attempt.driver, source=attempt.source_region, target=attempt.region,
                              code=attempt.code)
        try:
            self._attempts.add(attempt)
        except NotReadyError as error:
            LOG.warning("an attempt to copy image %s to %s is not written down: %s", attempt.image_id, attempt.region,
                        error)
