# SPDX-License-Identifier: Apache-2.0
"""The sender: brings what lies in the outbox to the sync server, in one process of this node at a time.

Used by `daemon`, which calls `run_once` for ever. Every process has one; whoever holds the lock delivers, the others
wait for its death. An event leaves the outbox when the server has committed it, and not before.
"""
from __future__ import annotations

import logging
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from glancesync.clock import Clock
from glancesync.exceptions import GlanceSyncError
from glancesync.filter import textfile
from glancesync.filter.backlog import Backlog, Batch, Depth
from glancesync.filter.complaints import Complaints
from glancesync.filter.delivery import Delivery, merge_events
from glancesync.filter.files import SENDER_LOCK, ProcessLock, ensure_directory
from glancesync.filter.outbox import Outbox
from glancesync.filter.status import Counters, StatusFile
from glancesync.model.event import Event

LOG = logging.getLogger(__name__)

BATCH_EVENTS = 200
#: How soon other processes' events are seen; also the pause between two deliveries, which shares a core with requests.
POLL_SECONDS = 0.1
#: How soon another process takes over from a dead one, and how often a full or deleted outbox is looked at.
IDLE_SECONDS = 1.0
BACKOFF_SECONDS = 0.5
BACKOFF_LIMIT_SECONDS = 30.0
RETRY_AFTER_LIMIT_SECONDS = 300.0


class Client(Protocol):
    """What the sender needs of SyncClient."""

    def submit_events(self, events: Sequence[Event]) -> list[str]: ...


@dataclass(frozen=True, kw_only=True)
class Pause:
    """How long to wait before the next run; `wakeable` if a new event ends it."""

    seconds: float
    wakeable: bool = False


class Sender:
    """One per process. The constructor touches neither disk nor network.

    :param connect: makes the client, in the process that uses it; may raise ConfigurationError
    :param jitter: a number in [0, 1) for each delay
    :param metrics_file: written for Prometheus as often as the status file
    """

    def __init__(self, *, outbox: Outbox, connect: Callable[[], Client], clock: Clock,
                 complaints: Complaints, jitter: Callable[[], float] = random.random,
                 metrics_file: Path | None = None) -> None:
        self.counters = Counters()
        self.leading = False
        self._outbox = outbox
        self._connect = connect
        self._clock = clock
        self._complaints = complaints
        self._jitter = jitter
        self._metrics_file = metrics_file
        self._delivery = Delivery(submit=self._submit, refused=self._refused)
        self._lock = ProcessLock(outbox.directory / SENDER_LOCK)
        self.forget()

    def forget(self) -> None:
        """Start anew in a forked child: connections and the lock stay the parent's."""
        self._lock.release()
        self.leading = False
        self._client: Client | None = None
        self._backlog = Backlog(self._outbox.directory)
        self._status = StatusFile(directory=self._outbox.directory, clock=self._clock)
        self._failed_since: float | None = None
        self._attempts = 0
        self._not_before = float("-inf")
        self._retire_at = float("-inf")

    def run_once(self) -> Pause:
        """Deliver at most one batch; returns how long to wait. Never raises OSError or GlanceSyncError."""
        self._outbox.mend()
        self.leading = self._lead()
        failed: GlanceSyncError | OSError
        try:
            pause = self._pause_of_backoff() or self._deliver()
        except (GlanceSyncError, OSError) as error:
            failed = error      # told below: oslo.log adds the exception to what is logged inside of an except clause
        else:
            self._keep_house()
            return pause
        pause = self._back_off(failed) if isinstance(failed, GlanceSyncError) else self._cannot_read(failed)
        self._keep_house()
        return pause

    def _lead(self) -> bool:
        """Whether this process delivers; True for one at a time."""
        turns = self._lock.turns
        try:
            ensure_directory(self._outbox.directory)
            if not self._lock.acquire():
                return False
            if self._lock.turns != turns:
                self._backlog.load()
        except OSError as error:
            self._complaints.warn("The outbox %s cannot be used (%s).", self._outbox.directory, error)
            return False
        return True

    def _deliver(self) -> Pause:
        batch = self._backlog.read(BATCH_EVENTS) if self.leading else Batch()
        if batch.damaged:
            # Before the damage is passed over, what stands for it must be on disk or on its way.
            self.counters.damaged += batch.damaged
            self._outbox.note_loss(batch.damaged)
            self._outbox.mend()
        events = merge_events(batch.events)
        owed = 0 if self._outbox.is_full else self._outbox.lost
        if owed:
            events.append(self._outbox.everything())
        if events:
            self._delivery.deliver(events)
            self._note_delivered(len(events))
            self._outbox.forgive(owed)
        if not batch:
            return Pause(seconds=POLL_SECONDS, wakeable=True) if self.leading else Pause(seconds=IDLE_SECONDS)
        self._acknowledge(batch)
        return Pause(seconds=0 if len(batch.events) >= BATCH_EVENTS else POLL_SECONDS)

    def _submit(self, events: Sequence[Event]) -> None:
        if self._client is None:
            self._client = self._connect()
        self._client.submit_events(events)

    def _refused(self, event: Event, error: GlanceSyncError) -> None:
        self.counters.refused += 1
        self._outbox.note_loss()
        self._complaints.warn("The sync server will not take the event %s (%s of image %s): %s. Everything will be "
                              "looked at instead.", event.id, event.operation, event.image_id, error)

    def _note_delivered(self, count: int) -> None:
        self.counters.delivered += count
        self.counters.last_delivered_at = self._clock.now()
        self._attempts = 0
        if self._failed_since is not None:
            LOG.info("Events reach the sync server again after %.0f s.", self._clock.monotonic() - self._failed_since)
            self._failed_since = None

    def _acknowledge(self, batch: Batch) -> None:
        try:
            self._backlog.acknowledge(batch)
        except OSError as error:
            self._complaints.warn("The outbox %s keeps no checkpoint (%s); its events will be sent again after a "
                                  "restart.", self._outbox.directory, error)

    def _pause_of_backoff(self) -> Pause | None:
        remaining = self._not_before - self._clock.monotonic()
        return Pause(seconds=min(remaining, IDLE_SECONDS)) if remaining > 0 else None

    def _back_off(self, error: GlanceSyncError) -> Pause:
        now = self._clock.monotonic()
        if self._failed_since is None:
            self._failed_since = now
        growing = BACKOFF_SECONDS * 2 ** min(self._attempts, 10)
        delay = min(BACKOFF_LIMIT_SECONDS, growing) * (0.5 + 0.5 * self._jitter())
        delay = max(delay, min(error.retry_after_seconds or 0.0, RETRY_AFTER_LIMIT_SECONDS))
        self._attempts += 1
        self._not_before = now + delay
        self.counters.failures += 1
        self.counters.last_error = error.code
        self.counters.last_error_at = self._clock.now()
        self._complaints.warn("Events wait in %s, for %.0f s now: %s (%s) They are kept and sent later.",
                              self._outbox.directory, now - self._failed_since, error, error.code)
        return Pause(seconds=min(delay, IDLE_SECONDS))

    def _cannot_read(self, error: OSError) -> Pause:
        self._complaints.warn("The outbox %s cannot be read (%s).", self._outbox.directory, error)
        return Pause(seconds=IDLE_SECONDS)

    def _keep_house(self) -> None:
        """Delete what is delivered, and tell how things stand."""
        if not self.leading:
            return
        try:
            now = self._clock.monotonic()
            if now >= self._retire_at:
                self._retire_at = now + IDLE_SECONDS
                self._backlog.retire()
            if self._status.is_due():
                self.counters.lost = self._outbox.lost_total
                depth = self._backlog.measure()
                self._status.write(self.counters, depth)
                self._write_metrics(depth)
        except OSError as error:
            self._complaints.warn("The outbox %s cannot be kept in order (%s).", self._outbox.directory, error)

    def _write_metrics(self, depth: Depth) -> None:
        if self._metrics_file is None:
            return
        try:
            textfile.write(self._metrics_file, textfile.render(self.counters, depth, now=self._clock.now()))
        except OSError as error:
            self._complaints.warn("The metrics file %s cannot be written (%s).", self._metrics_file, error)
