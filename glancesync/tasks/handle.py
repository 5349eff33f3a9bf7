# SPDX-License-Identifier: Apache-2.0
"""What a run is given of its task. Made by the worker; read and written by converge, the executor and the drivers."""
from __future__ import annotations

import dataclasses

from glancesync.concurrency import Place
from glancesync.exceptions import GlanceSyncError, RunStoppedError
from glancesync.model.task import Progress, Task
from glancesync.tasks.queue import TaskQueue


class TaskHandle:
    """`gathering` is this run's place among those of the same image that were claimed together; `begun_at` a moment
    of the worker's monotonic clock after the claim."""

    def __init__(self, task: Task, gathering: Place, queue: TaskQueue, begun_at: float) -> None:
        self.task = task
        self.begun_at = begun_at
        self.gathering = gathering
        self._queue = queue
        self._progress = Progress()
        self._unwritten = False
        self._stopped: GlanceSyncError | None = None

    def check(self) -> None:
        """Cheap, in memory; raises LeaseLostError, TaskCancelledError or RegionFrozenError when the run must end."""
        if self._stopped is not None:
            raise self._stopped

    def ensure_lease(self) -> None:
        """Asks the database; afterwards the task is ours for a whole lease. To be called before each outside effect.

        Raises LeaseLostError, TaskCancelledError, RegionFrozenError, and NotReadyError when the database cannot answer.
        """
        self.check()
        self._queue.ensure_lease(self.task)

    def report(self, step: str | None = None, bytes_done: int | None = None, bytes_total: int | None = None) -> None:
        """Remember how far the run is (what is None stays); the worker writes it down, once a second at most."""
        before = self._progress
        progress = Progress(step=before.step if step is None else step,
                            bytes_done=before.bytes_done if bytes_done is None else bytes_done,
                            bytes_total=before.bytes_total if bytes_total is None else bytes_total)
        self._unwritten = self._unwritten or progress != before
        self._progress = progress

    @property
    def bytes_done(self) -> int | None:
        return self._progress.bytes_done

    @property
    def bytes_total(self) -> int | None:
        return self._progress.bytes_total

    # For the worker.

    def stop(self, error: GlanceSyncError) -> None:
        """Make the run end at its next look. A task that is lost or cancelled stays so, whatever else is to end its
        run: nothing may be written down of it then."""
        if self._stopped is None or not isinstance(self._stopped, RunStoppedError):
            self._stopped = error

    def take_progress(self) -> Progress | None:
        """What is not written down yet, once."""
        unwritten, self._unwritten = self._unwritten, False
        return self._progress if unwritten else None

    def reached(self) -> Task:
        """The task as it was claimed, with the bytes that the run has told."""
        return dataclasses.replace(self.task, bytes_done=self.bytes_done, bytes_total=self.bytes_total)
