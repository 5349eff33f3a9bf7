# SPDX-License-Identifier: Apache-2.0
"""One run from its start to its recorded end. Used by the worker, in the run's green thread."""
from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from glancesync.clock import Clock
from glancesync.concurrency import Timeout
from glancesync.conf.worker import WorkerSettings
from glancesync.db.fence import fenced
from glancesync.exceptions import GlanceSyncError, LeaseLostError, NotReadyError, RunStoppedError, Verdict
from glancesync.model.about import about
from glancesync.model.task import Outcome, Task
from glancesync.tasks.gate import Gate
from glancesync.tasks.handle import TaskHandle
from glancesync.tasks.queue import TaskQueue
from glancesync.tasks.watch import RunWatch

LOG = logging.getLogger(__name__)

_QUICK_RETRY_SECONDS = 1.0

Result = TypeVar("Result")


class Runner:
    """`run` does the work: it returns how it ended, or raises."""

    def __init__(self, *, queue: TaskQueue, run: Callable[[TaskHandle], Outcome],
                 settings: WorkerSettings, clock: Clock, gate: Gate, watch: RunWatch) -> None:
        self._queue = queue
        self._run = run
        self._settings = settings
        self._clock = clock
        self._gate = gate
        self._watch = watch
        self.internal_errors = 0

    def guard(self, doing: str, function: Callable[..., Result], *args: object) -> Result | Exception:
        """What the function returns, or the error that it raises: neither a run nor a loop may end the worker."""
        try:
            return function(*args)
        except GlanceSyncError as error:
            if not isinstance(error, RunStoppedError):
                LOG.debug("could not %s: %s", doing, error)
            return error
        except (Exception, Timeout) as error:  # whatever it is, the other tasks must go on
            self.internal_errors += 1
            LOG.exception("unexpected error, could not %s", doing)
            return error if isinstance(error, Exception) else TimeoutError(str(error))

    def execute(self, handle: TaskHandle) -> None:
        """Run the task and record how it ended. Only what ends the thread itself gets out; the task is handed back
        then."""
        started_at = self._clock.monotonic()
        task = handle.task
        with about(task_id=task.id, image_id=task.image_id, region=task.region, request_id=task.request_id):
            try:
                result = self._attempt_watched(handle)
                settled = self._record(handle, result)
            except BaseException:
                self.hand_back(handle)
                raise
            self._tell(handle, result, settled, self._clock.monotonic() - started_at)

    def hand_back(self, handle: TaskHandle) -> None:
        """Give the task back to the queue, if it is still ours."""
        answer = self.guard(f"hand back task {handle.task.id}", self._queue.release, handle.task)
        if isinstance(answer, LeaseLostError):
            LOG.info("task %s had ended or was lost before it could be handed back", handle.task.id)
        elif isinstance(answer, Exception):
            LOG.warning("task %s could not be handed back, it starts again when its lease ends: %s",
                        handle.task.id, answer)
        else:
            LOG.info("task %s image %s region %s request %s: handed back to the queue", handle.task.id,
                     handle.task.image_id, handle.task.region, handle.task.request_id or "-")

    def _attempt_watched(self, handle: TaskHandle) -> Outcome | Exception:
        """The gate is told how it ended; of a run whose thread is killed, that nobody is to blame."""
        result: Outcome | Exception = RunStoppedError("the run was ended from outside")
        self._gate.begun(handle.task.region)
        try:
            result = self._attempt(handle)
        finally:
            self._gate.ended(handle.task.region, result if isinstance(result, Exception) else None)
        return result

    def _attempt(self, handle: TaskHandle) -> Outcome | Exception:
        """Run it, and again a few times after an error that may pass."""
        for _ in range(self._settings.task_retry_times):
            result = self._run_once(handle)
            if not isinstance(result, Exception) or getattr(result, "verdict", Verdict.RETRY) is not Verdict.RETRY:
                return result
            self._clock.sleep(_QUICK_RETRY_SECONDS)
            stopped = self.guard(f"go on with task {handle.task.id}", handle.check)
            if isinstance(stopped, Exception):
                return stopped
        return self._run_once(handle)

    def _run_once(self, handle: TaskHandle) -> Outcome | Exception:
        paused = self.guard(f"run task {handle.task.id} now", self._gate.check, handle.task.region)
        if paused is not None:
            return paused
        with fenced(self._queue.ensure_ours(handle.task)):
            return self.guard(f"run task {handle.task.id}", self._run, handle)

    def _record(self, handle: TaskHandle, result: Outcome | Exception) -> Task | Exception | None:
        settled = self._record_as(handle, result)
        if not isinstance(settled, Exception) or isinstance(settled, LeaseLostError):
            return settled
        # Its words do not fit the database, say. Unrecorded it would be held, and its lease renewed, for ever.
        return self._record_as(handle, GlanceSyncError("how the run ended could not be written down; this server's log "
                                                       "tells more"))

    def _record_as(self, handle: TaskHandle, result: Outcome | Exception) -> Task | Exception | None:
        """Write down how it ended, however long the database is away: the work is done, and still leased or lost."""
        while True:
            settled = self.guard(f"record task {handle.task.id}", self._settle, handle, result)
            if not isinstance(settled, NotReadyError):
                return settled
            LOG.warning("task %s ended, but that cannot be recorded yet: %s", handle.task.id, settled)
            self._clock.sleep(self._settings.poll_seconds)

    def _settle(self, handle: TaskHandle, result: Outcome | Exception) -> Task | None:
        if isinstance(result, Exception):
            return self._queue.fail(handle.reached(), result, bytes_moved=handle.bytes_done or 0)
        return self._queue.finish(handle.reached(), result)

    def _tell(self, handle: TaskHandle, result: Outcome | Exception, settled: Task | Exception | None,
              seconds: float) -> None:
        task = handle.task
        if isinstance(settled, LeaseLostError) or settled is None:
            state, code, why = "dropped", LeaseLostError.code, "it is not this server's any more"
        elif isinstance(settled, Exception):
            state, code, why = "not recorded", getattr(settled, "code", GlanceSyncError.code), str(settled)
        else:
            state, code, why = settled.state.value, settled.reason_code or "", settled.reason or ""
        failed = isinstance(result, Exception) and getattr(result, "verdict", Verdict.RETRY) in (
            Verdict.RETRY, Verdict.STOP)
        self._watch.ended(task, state=state, code=code, failed=failed, seconds=seconds)
        moved = (handle.bytes_done or 0) if isinstance(result, Exception) else result.bytes_moved
        LOG.info("task %s image %s region %s request %s: %s (%s) in %.3f s, %d bytes", task.id, task.image_id,
                 task.region, task.request_id or "-", f"{state}, {code}" if isinstance(settled, Task) else state, why,
                 seconds, moved)
