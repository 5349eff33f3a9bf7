# SPDX-License-Identifier: Apache-2.0
"""What the server does by itself, mostly as chores that one server does for all (service.chores): compare everything
from time to time, fill, scrub, forget old history. Built by cmd.
"""
from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from glancesync.clock import Clock
from glancesync.conf.reconcile import ReconcileSettings
from glancesync.conf.sync import SyncSettings
from glancesync.conf.worker import WorkerSettings
from glancesync.db import statistics
from glancesync.db.engine import Database
from glancesync.exceptions import GlanceSyncError
from glancesync.model.chore import FILL, PURGE, RECONCILE, SCRUB, STATISTICS, Turn
from glancesync.service.chores import Chore
from glancesync.service.core import Service
from glancesync.service.events import purge_events
from glancesync.service.filling import Filling
from glancesync.service.history import History
from glancesync.service.regions import RegionWatch
from glancesync.sync.attempts import Attempts
from glancesync.sync.facts import find_fact, set_fact
from glancesync.sync.findings import PassReport
from glancesync.sync.rotation import Turns
from glancesync.tasks.queue import TaskQueue

LOG = logging.getLogger(__name__)
_PURGE_INTERVAL_SECONDS = 3600.0
_STATISTICS_SECONDS = 600.0
_AT_ONCE_SECONDS = 1e-3
_FILL_LOOK_SECONDS = 1.0
#: The fact that tells when a comparison began that last saw all of a region, by region.
_SEEN = "compared_at"
#: The worker's guard: gives the result or the error, so that a loop never ends by one.
Guard = Callable[..., Any]


class ReconcileChore:
    """A comparison when it is asked for, and one every `reconcile_interval_seconds`. These last ask for the members of
    some shared images only, so that each has its turn in `members_interval_seconds`."""

    def __init__(self, *, service: Service, settings: ReconcileSettings, database: Database, clock: Clock) -> None:
        self._service = service
        self._settings = settings
        self._database = database
        self._clock = clock

    def chore(self) -> Chore:
        return Chore(name=RECONCILE, run=self.run, interval_seconds=lambda: self._settings.reconcile_interval_seconds)

    def run(self, turn: Turn) -> bool:
        """Whether the comparison saw every region; one that did not is repeated soon."""
        report, began_at, started = PassReport(), self._clock.now(), self._clock.monotonic()
        # Whoever asks has a reason to look at everything.
        before = {} if turn.asked else self._database.read(find_fact, _SEEN) or {}
        turns = Turns(now=began_at, interval_seconds=self._settings.members_interval_seconds, before=before)
        try:
            self._service.reconcile(report, turns=turns, in_turn=True, turn=turn)
        except GlanceSyncError as error:
            LOG.warning("comparing all images broke off and is repeated soon: %s", error)
            return False
        self._tell(report, self._clock.monotonic() - started)
        seen = {name: began_at for name, each in report.regions.items() if each.error is None}
        self._database.run(set_fact, _SEEN, {**before, **seen}, began_at)
        return all(each.error is None for each in report.regions.values())

    def _tell(self, report: PassReport, seconds: float) -> None:
        for name, seen in sorted(report.regions.items()):
            LOG.info("compared %d images with %d of %s: %d to be looked at, %d replicas without an image, %d images "
                     "that are not ours%s", report.images, seen.images, name, seen.findings, seen.surplus, seen.foreign,
                     f"; broke off: {seen.error}" if seen.error else "")
        LOG.info("the comparison took %.1f s and submitted %d tasks%s", seconds, report.tasks,
                 f"; {report.lacking} replicas are made in their turn" if report.lacking else "")


class RegionTimer:
    """Looks at the catalog every `catalog_refresh_seconds`."""

    def __init__(self, *, watch: RegionWatch, settings: SyncSettings, clock: Clock, guard: Guard) -> None:
        self._watch = watch
        self._settings = settings
        self._clock = clock
        self._guard = guard

    def run_forever(self) -> None:
        while True:
            self._clock.sleep(self._settings.catalog_refresh_seconds)
            self.run_once()

    def run_once(self) -> None:
        failed = self._guard("look at the regions", self._watch.run_once)
        if isinstance(failed, Exception):
            LOG.warning("the regions could not be looked at, it is tried again: %s", failed)


class ScrubChore:
    """Has a sample of the verified replicas read again every `scrub_interval_seconds` (0: never)."""

    def __init__(self, *, service: Service, settings: ReconcileSettings) -> None:
        self._service = service
        self._settings = settings

    def chore(self) -> Chore:
        return Chore(name=SCRUB, run=self.run, interval_seconds=lambda: self._settings.scrub_interval_seconds)

    def run(self, _turn: Turn) -> bool:
        try:
            found = self._service.scrub(self._settings.scrub_fraction)
        except GlanceSyncError as error:
            LOG.warning("no replicas are read again this time: %s", error)
            return False
        if found:
            LOG.info("the stored bytes of %d replicas are read again", len(found))
        return True


class PurgeChore:
    """Forgets finished runs, attempts, handled events and what was deleted longer than `history_days` ago."""

    def __init__(self, *, database: Database, queue: TaskQueue, history: History, settings: WorkerSettings,
                 clock: Clock) -> None:
        self._database = database
        self._queue = queue
        self._history = history
        self._settings = settings
        self._clock = clock

    def chore(self) -> Chore:
        return Chore(name=PURGE, run=self.run, interval_seconds=lambda: _PURGE_INTERVAL_SECONDS)

    def run(self, _turn: Turn) -> bool:
        now = self._clock.now()
        before = now - self._settings.history_days * 86400
        try:
            runs = self._queue.purge_history(before)
            events = self._database.run(purge_events, before)
            deleted = self._history.forget(before, now)
            Attempts(self._database).purge(before)
        except GlanceSyncError as error:
            LOG.warning("old history could not be removed, it is tried again: %s", error)
            return False
        if runs or events or deleted:
            LOG.info("forgot %d finished runs, %d events and %d records of what was deleted older than %g days", runs,
                     events, deleted, self._settings.history_days)
        return True


class StatisticsChore:
    """Has the database count anew what its plans rest on, where it does not by itself (db.statistics)."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def chore(self) -> Chore:
        return Chore(name=STATISTICS, run=self.run, interval_seconds=lambda: _STATISTICS_SECONDS)

    def run(self, _turn: Turn) -> bool:
        try:
            self._database.run(statistics.refresh)
        except GlanceSyncError as error:
            LOG.warning("the database's statistics of the queue are as they were: %s", error)
            return False
        return True


class FillChore:
    """Lets what regions lack into the queue, once a second, for as long as it is this server's turn."""

    def __init__(self, *, filling: Filling, settings: ReconcileSettings, clock: Clock,
                 guard: Callable[..., Any]) -> None:
        self._filling = filling
        self._settings = settings
        self._clock = clock
        self._guard = guard

    def chore(self) -> Chore:
        return Chore(name=FILL, run=self.run, interval_seconds=lambda: _AT_ONCE_SECONDS)

    def run(self, turn: Turn) -> bool:
        while not turn.lost:
            failed = self._guard("fill regions", self._filling.run_once, self._settings.initial_sync_batch)
            if isinstance(failed, Exception):
                LOG.warning("the regions' fill pauses, it is tried again: %s", failed)
            self._clock.sleep(_FILL_LOOK_SECONDS)
        return True
