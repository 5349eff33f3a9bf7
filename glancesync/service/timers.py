# SPDX-License-Identifier: Apache-2.0
"""What the server does by itself: compare everything from time to time, forget old history. Started by the daemon.

Intervals may change while a timer waits: the reload rings then.
"""
from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from glancesync.clock import Clock
from glancesync.concurrency import Doorbell
from glancesync.conf.reconcile import ReconcileSettings
from glancesync.conf.sync import SyncSettings
from glancesync.conf.worker import WorkerSettings
from glancesync.db.engine import Database
from glancesync.exceptions import GlanceSyncError
from glancesync.service.core import Service
from glancesync.service.events import purge_events
from glancesync.service.history import History
from glancesync.service.regions import RegionWatch
from glancesync.sync.attempts import Attempts
from glancesync.sync.findings import PassReport
from glancesync.sync.rotation import Turns
from glancesync.tasks.queue import TaskQueue

LOG = logging.getLogger(__name__)
_RETRY_SECONDS = 30.0
_RETRY_MOST_SECONDS = 3600.0
_PURGE_INTERVAL_SECONDS = 3600.0
_NEVER_SECONDS = 1e9
#: The worker's guard: gives the result or the error, so that a loop never ends by one.
Guard = Callable[..., Any]


class ReconcileTimer:
    """One pass at start, one whenever it is asked for, and one every `reconcile_interval_seconds`. These last ask for
    the members of some shared images only, so that each has its turn in `members_interval_seconds`."""

    def __init__(self, *, service: Service, settings: ReconcileSettings, clock: Clock, doorbell: Doorbell,
                 guard: Guard) -> None:
        self._guard = guard
        self._service = service
        self._settings = settings
        self._clock = clock
        self._doorbell = doorbell
        self._seen: dict[str, float] = {}

    def run_forever(self) -> None:
        self._run(0.0 if self._settings.reconcile_at_start else self._interval(), self._interval)

    def run_when_asked(self) -> None:
        """As `run_forever`, only when somebody asks: another process does the rest."""
        self._run(_NEVER_SECONDS, lambda: _NEVER_SECONDS)

    def _run(self, delay: float, interval: Callable[[], float]) -> None:
        soon = _RETRY_SECONDS
        while True:
            if self._doorbell.wait(delay):
                self._seen.clear()  # whoever rings has a reason to look at everything
            if self._guard("compare all images", self.run_once) is True:
                delay, soon = interval(), _RETRY_SECONDS
            else:  # a region that is away for days must not have all others listed again and again
                delay, soon = min(soon, self._interval()), min(2 * soon, _RETRY_MOST_SECONDS)

    def run_once(self) -> bool:
        """Whether the pass saw every region; a pass that did not is repeated soon."""
        report = PassReport()
        started = self._clock.monotonic()
        turns = Turns(now=started, interval_seconds=self._settings.members_interval_seconds, before=dict(self._seen))
        try:
            self._service.reconcile(report, turns=turns, in_turn=True)
        except GlanceSyncError as error:
            LOG.warning("comparing all images broke off and is repeated soon: %s", error)
            return False
        seconds = self._clock.monotonic() - started
        for name, seen in sorted(report.regions.items()):
            LOG.info("compared %d images with %d of %s: %d to be looked at, %d replicas without an image, %d images "
                     "that are not ours%s", report.images, seen.images, name, seen.findings, seen.surplus, seen.foreign,
                     f"; broke off: {seen.error}" if seen.error else "")
        self._seen.update((name, started) for name, seen in report.regions.items() if seen.error is None)
        LOG.info("the comparison took %.1f s and submitted %d tasks%s", seconds, report.tasks,
                 f"; {report.lacking} replicas are made in their turn" if report.lacking else "")
        return all(seen.error is None for seen in report.regions.values())

    def _interval(self) -> float:
        return float(self._settings.reconcile_interval_seconds or _NEVER_SECONDS)


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


class ScrubTimer:
    """Has a sample of the verified replicas read again every `scrub_interval_seconds` (0: never).

    The doorbell rings when the interval is another one; it counts from there.
    """

    def __init__(self, *, service: Service, settings: ReconcileSettings, doorbell: Doorbell, guard: Guard) -> None:
        self._service = service
        self._settings = settings
        self._doorbell = doorbell
        self._guard = guard

    def run_forever(self) -> None:
        while True:
            if not self._doorbell.wait(self._settings.scrub_interval_seconds or _NEVER_SECONDS):
                self.run_once()

    def run_once(self) -> None:
        found = self._guard("choose replicas to read again", self._service.scrub, self._settings.scrub_fraction)
        if isinstance(found, Exception):
            LOG.warning("no replicas are read again this time: %s", found)
        elif found:
            LOG.info("the stored bytes of %d replicas are read again", len(found))


class PurgeTimer:
    """Forgets finished runs, attempts, handled events and what was deleted longer than `history_days` ago."""

    def __init__(self, *, database: Database, queue: TaskQueue, history: History, settings: WorkerSettings,
                 clock: Clock, guard: Guard) -> None:
        self._guard = guard
        self._database = database
        self._queue = queue
        self._history = history
        self._settings = settings
        self._clock = clock

    def run_forever(self) -> None:
        while True:
            self._guard("forget old history", self.run_once)
            self._clock.sleep(_PURGE_INTERVAL_SECONDS)

    def run_once(self) -> None:
        now = self._clock.now()
        before = now - self._settings.history_days * 86400
        try:
            runs = self._queue.purge_history(before)
            events = self._database.run(purge_events, before)
            deleted = self._history.forget(before, now)
            Attempts(self._database).purge(before)
        except GlanceSyncError as error:
            LOG.warning("old history could not be removed, it is tried again in an hour: %s", error)
            return
        if runs or events or deleted:
            LOG.info("forgot %d finished runs, %d events and %d records of what was deleted older than %g days", runs,
                     events, deleted, self._settings.history_days)
