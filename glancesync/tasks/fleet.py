# SPDX-License-Identifier: Apache-2.0
"""The engine of servers and workers that share the work by messages. Made by an engine's module with its carrier.

The same object in every process: each publishes what the fleet has room for, gives back what dead processes left, and
in a worker runs what messages name, with the leases, heartbeats, progress and drain of `Worker`. The message only says
where to look; the claim decides, so lost, doubled and late ones do no harm.
"""
from __future__ import annotations

import logging

from glancesync.concurrency import Semaphore
from glancesync.exceptions import GlanceSyncError
from glancesync.model.server import worker_engine
from glancesync.tasks.engine import EngineParts
from glancesync.tasks.publications import Named, Publications
from glancesync.tasks.publisher import Carrier, Publisher
from glancesync.tasks.worker import Worker

LOG = logging.getLogger(__name__)


class FleetWorker(Worker):
    """`name` is the engine's, by which servers find workers. A process whose parts say that it runs no tasks only
    publishes."""

    def __init__(self, name: str, parts: EngineParts, carrier: Carrier) -> None:
        super().__init__(queue=parts.queue, run=parts.run, settings=parts.settings, clock=parts.clock,
                         random=parts.random, gate=parts.gate, watch=parts.watch, recovers=parts.recovers)
        self._name = name
        self._runs_tasks = parts.runs_tasks
        self.publications = Publications(parts.database, name)
        self._publisher = Publisher(publications=self.publications, carrier=carrier, room=self._most,
                                    lost_after_seconds=lambda: parts.celery.republish_seconds, clock=parts.clock)
        self._turn = Semaphore(1)

    @property
    def name(self) -> str:
        return worker_engine(self._name) if self._runs_tasks else self._name

    @property
    def capacity(self) -> int:
        return self._settings.max_tasks if self._runs_tasks else 0

    @property
    def trouble(self) -> str | None:
        return self._publisher.trouble

    def run_once(self) -> int:
        """Tell workers of what they have room for; of how many tasks."""
        if self._stopping.ready():
            return 0
        self._postpone_paused()
        return self._publisher.run_once()

    def take(self, name: Named) -> None:
        """A message arrived: run what it names, and return when that has ended. Raises nothing: what cannot be run
        here, or not any more, is left to the rows."""
        taken = self._runner.guard(f"take task {name.task_id}", self._take, name)
        if isinstance(taken, GlanceSyncError):
            LOG.warning("task %s was named by a message and is not run here: %s", name.task_id, taken)

    def _take(self, name: Named) -> None:
        with self._turn:  # so that two messages do not fill the same slot
            if self._free() <= 0:
                self.publications.unmark([name])
                self.ring()
                return
            threads = self._start_claimed(lambda room: self._queue.claim_named(name, self._most, room))
        if threads:
            threads[0].wait()
