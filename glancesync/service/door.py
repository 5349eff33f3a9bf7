# SPDX-License-Identifier: Apache-2.0
"""The one door through which images become tasks. Used by the core and its comparisons; it answers after the commit."""
from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from glancesync.db.engine import Database
from glancesync.exceptions import InvalidInputError
from glancesync.model.task import Pair, Submission, Task
from glancesync.sync.context import SyncContext
from glancesync.sync.rows import ensure_rows, regions_with_rows
from glancesync.sync.strategy import select_region_names
from glancesync.tasks.queue import TaskQueue


@dataclass(frozen=True, kw_only=True)
class Scope:
    """Looked up before a transaction, for within one neither Keystone nor a Glance is asked.

    `wanted`: the regions that images go to; `here`: those of the catalog; `at`: now, in seconds since the epoch.
    """

    wanted: frozenset[str]
    here: frozenset[str]
    at: float


class Door:
    """`ring` wakes the worker."""

    def __init__(self, *, database: Database, queue: TaskQueue, context: SyncContext, ring: Callable[[], None]) -> None:
        self._database = database
        self._queue = queue
        self._context = context
        self.ring = ring

    def look(self, regions: Collection[str] | None = None) -> Scope:
        """Never to be called in a transaction: Keystone may have to be asked. `regions` narrows it."""
        here = frozenset(each.name for each in self._context.directory.cascaded())
        wanted = select_region_names(self._context.settings.sync_strategy, here)
        if regions is not None:
            here, wanted = here & frozenset(regions), wanted & frozenset(regions)
        return Scope(wanted=wanted, here=here, at=self._context.clock.now())

    def submit_images(self, image_ids: Sequence[str], submission: Submission, *,
                      regions: Collection[str] | None = None,
                      write: Callable[[sa.Connection, float], None] | None = None) -> list[Task]:
        """The images, in the regions that have or should have them; `write(connection, now)` in the same transaction.
        Raises InvalidInputError for a canary."""
        self.refuse_canaries(image_ids)
        scope = self.look(regions)

        def work(connection: sa.Connection) -> list[Task]:
            if write is not None:
                write(connection, scope.at)
            return self.submit_in(connection, image_ids, scope, submission)

        tasks = self._database.run(work)
        self.ring()
        return tasks

    def submit_in(self, connection: sa.Connection, image_ids: Sequence[str], scope: Scope, submission: Submission, *,
                  wanted_at: float | None = None) -> list[Task]:
        """The regions that should have the image, and those that have a record of it (they may have to lose it). One
        that left the catalog gets nothing: when it comes back it is compared. `wanted_at`: since when something is to
        change, None: since the scope's time."""
        recorded = {image_id: names & scope.here
                    for image_id, names in regions_with_rows(connection, image_ids).items()}
        pairs = [Pair(image_id, region) for image_id in dict.fromkeys(image_ids)
                 for region in sorted(scope.wanted | recorded.get(image_id, set()))]
        ensure_rows(connection, pairs, wanted_at=scope.at if wanted_at is None else wanted_at)
        return self._queue.submit_in(connection, pairs, submission)

    def submit_pairs(self, pairs: Sequence[Pair], submission: Submission, *, wanted: bool = True) -> list[Task]:
        """`wanted` starts the clock of their lag: something is to change."""
        now = self._context.clock.now() if wanted else None
        tasks = self._database.run(self.submit_pairs_in, pairs, submission, wanted_at=now) if pairs else []
        if tasks:
            self.ring()
        return tasks

    def submit_pairs_in(self, connection: sa.Connection, pairs: Sequence[Pair], submission: Submission, *,
                        wanted_at: float | None) -> list[Task]:
        """As `submit_pairs`, in the caller's transaction; ring afterwards."""
        if wanted_at is not None:
            ensure_rows(connection, pairs, wanted_at=wanted_at)
        return self._queue.submit_in(connection, pairs, submission)

    def refuse_canaries(self, image_ids: Sequence[str]) -> None:
        """Raises InvalidInputError where one of the images is a canary."""
        for image_id in image_ids:
            if image_id == self._context.trust.canary_id() or self._context.sight.is_canary(image_id):
                raise InvalidInputError(f"image {image_id} is a canary of this server, which tells it whether it sees "
                                        "a region whole; it is never copied")
