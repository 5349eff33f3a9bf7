# SPDX-License-Identifier: Apache-2.0
"""Fills regions with the images that they lack: new ones, and all of them at the first start. Built by the core, run by
its timer.

What a comparison finds to be missing altogether is written down, and goes to the queue a few at a time, newest image
first, after everything that somebody asked for:

    comparison -> rows of `fills` -> at most initial_sync_batch of a region in the queue -> done

The rows outlive the server, so a fill goes on where it was.
"""
from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager

import sqlalchemy as sa

from glancesync.clock import Clock
from glancesync.db.engine import Database
from glancesync.model.chore import FILL, RECONCILE
from glancesync.model.fill import FillProgress
from glancesync.model.task import Pair, Submission, Trigger
from glancesync.service.door import Door
from glancesync.sync import fills
from glancesync.sync.facts import find_fact, set_fact
from glancesync.sync.findings import Finding
from glancesync.tasks.chores import is_held, lock

LOG = logging.getLogger(__name__)
#: After all that users and operators ask for (0), before samples are read again.
FILL_PRIORITY = -5
_GATHERING = "gathering"
_SPACING_SECONDS = 1e-4
_TELL_SECONDS = 60.0
#: Counting that takes longer than this takes at most a tenth of the time.
_CHEAP_SECONDS = 0.02
_PROGRESS_SHARE = 10


class Filling:
    """`here`: names of the cascaded regions of the catalog; `is_frozen(region)`."""

    def __init__(self, *, database: Database, door: Door, clock: Clock, here: Callable[[], Collection[str]],
                 is_frozen: Callable[[str], bool]) -> None:
        self._database = database
        self._door = door
        self._clock = clock
        self._here = here
        self._is_frozen = is_frozen
        self._gathering: set[str] = set()
        self._told: dict[str, float] = {}
        self._known: Mapping[str, FillProgress] = {}
        self._known_until = 0.0

    @contextmanager
    def gather(self) -> Iterator[None]:
        """A comparison goes on, which lists images by their ids: no region's fill begins before it has found the
        newest of them. A fill that began before goes on."""
        self._gathering = set(self._here()) - self._database.read(fills.regions, self._here())
        self._database.run(set_fact, _GATHERING, sorted(self._gathering), self._clock.now())
        try:
            yield
        finally:
            self._gathering = set()
            self._database.run(set_fact, _GATHERING, None, self._clock.now())

    def add(self, findings: Sequence[Finding]) -> list[Pair]:
        """Write down what regions lack. Returns the pairs that had their turn and are to be submitted at once."""
        return self._database.run(fills.add, findings) if findings else []

    def progress(self) -> Mapping[str, FillProgress]:
        """By region, of those that are being filled. It counts all rows: what takes long is not asked for all the
        time."""
        began = self._clock.monotonic()
        if began >= self._known_until:
            self._known = self._database.read(fills.read_progress)
            took = self._clock.monotonic() - began
            self._known_until = began + (_PROGRESS_SHARE * took if took > _CHEAP_SECONDS else 0.0)
        return self._known

    def run_once(self, batch: int) -> None:
        """See what ended, and let the next ones into the queue: at most `batch` of each region are in it."""
        fed, gathering = [], self._gathering | self._database.read(_gathered_elsewhere)
        for region in sorted(self._database.read(fills.regions, self._here())):
            if self._database.run(fills.settle, region):
                self._end(region)
            elif region not in gathering and not self._is_frozen(region):
                fed.append(region)
        self._feed(fed, batch)
        for region in fed:
            self._tell(region)

    def _end(self, region: str) -> None:
        self._told.pop(region, None)
        self._known_until = 0.0
        reached = self.progress().get(region)
        self._database.run(fills.forget, region)
        self._known_until = 0.0
        if reached is not None:
            LOG.info("region %s is filled: %s", region, reached.sentence())

    def _feed(self, regions: Sequence[str], batch: int) -> None:
        """In one submission, so that an image's regions are claimed together and share one read of it."""
        submission = Submission(trigger=Trigger.RECONCILE, priority=FILL_PRIORITY, spacing_seconds=_SPACING_SECONDS)
        wanted_at = self._clock.now()

        def work(connection: sa.Connection) -> bool:
            lock(connection, FILL)  # what is counted stays so until it is marked
            begun, due = fills.choose(connection, regions, batch)
            if due:
                self._door.submit_pairs_in(connection, due, submission, wanted_at=wanted_at)
                fills.mark_queued(connection, due, begun)
            return bool(due)

        if regions and self._database.run(work):
            self._door.ring()

    def _tell(self, region: str) -> None:
        now, before = self._clock.monotonic(), self._told.get(region)
        reached = self.progress().get(region) if before is None or now - before >= _TELL_SECONDS else None
        if reached is not None:
            self._told[region] = now
            LOG.info("region %s is being filled, newest images first: %s", region, reached.sentence())


def _gathered_elsewhere(connection: sa.Connection) -> set[str]:
    """What a comparison of another server gathers; what one left that was killed counts no more."""
    return set(find_fact(connection, _GATHERING) or ()) if is_held(connection, RECONCILE) else set()
