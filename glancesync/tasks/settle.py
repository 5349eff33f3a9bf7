# SPDX-License-Identifier: Apache-2.0
"""How a run's end changes its row and the history. Used by the queue, inside its transactions."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from glancesync.conf.worker import WorkerSettings
from glancesync.db.clock import now
from glancesync.db.schema import tasks
from glancesync.exceptions import GlanceSyncError, TaskCancelledError, Verdict
from glancesync.model.task import Outcome, RunOutcome, Task, TaskReason, TaskState
from glancesync.tasks import rows
from glancesync.tasks.retry import plan_retry

_RUNNING = tasks.c.state == TaskState.RUNNING.value
_ASKED_MEANWHILE = tasks.c.wanted > tasks.c.seen
_NO_OWNER: Mapping[str, Any] = {"owner": None, "lease_until": None, "cancel": False, "step": None}


@dataclass(frozen=True, kw_only=True)
class Ending:
    """What becomes of a task when its run ends. `attempts` None leaves them; `run` is the history's word, None for a
    look that was too early and is not kept."""

    state: TaskState
    code: str
    reason: str
    run: RunOutcome | None
    attempts: int | None = None
    delay_seconds: float = 0
    bytes_moved: int = 0


HANDED_BACK = Ending(state=TaskState.WAITING, code=TaskReason.RELEASED, run=RunOutcome.RELEASED,
                     reason="its server stopped; it starts again")


def of_outcome(outcome: Outcome) -> Ending:
    if outcome.delay_seconds is None:
        return Ending(state=TaskState.DONE, code=outcome.code, reason=outcome.reason, run=RunOutcome.DONE,
                      attempts=0, bytes_moved=outcome.bytes_moved)
    return Ending(state=TaskState.WAITING, code=outcome.code, reason=outcome.reason,
                  run=RunOutcome.WAITED if outcome.bytes_moved else None, delay_seconds=outcome.delay_seconds,
                  bytes_moved=outcome.bytes_moved)


def of_error(task: Task, error: Exception, settings: WorkerSettings, random_value: float,
             bytes_moved: int) -> Ending | None:
    """None when nothing is to be written: the row is somebody else's."""
    # The text of a foreign error may hold anything, a token too.
    known = error if isinstance(error, GlanceSyncError) else GlanceSyncError(
        f"an unexpected error ({type(error).__name__}) ended the run; this server's log tells more")
    if isinstance(known, TaskCancelledError):
        return Ending(state=TaskState.CANCELLED, code=known.code, reason=known.message,
                      run=RunOutcome.CANCELLED, attempts=0, bytes_moved=bytes_moved)
    if known.verdict is Verdict.DROP:
        return None
    attempts = task.attempts + (known.verdict is not Verdict.WAIT)
    delay = plan_retry(known.verdict, attempts, settings, random_value, known.retry_after_seconds)
    waited = RunOutcome.WAITED if bytes_moved else None
    run = {Verdict.STOP: RunOutcome.FAILED, Verdict.WAIT: waited}.get(known.verdict, RunOutcome.RETRY)
    return Ending(state=TaskState.FAILED if delay is None else TaskState.WAITING, code=known.code,
                  reason=known.message, run=run, attempts=attempts, delay_seconds=delay or 0, bytes_moved=bytes_moved)


def end(connection: sa.Connection, task: Task, mine: sa.ColumnElement[bool], ending: Ending) -> Task | None:
    """The row as it is then, or None when it is not ours any more. `task` is the row as it was claimed, with the
    bytes_done and bytes_total to keep."""
    at = now(connection)
    changes = {**_NO_OWNER, **_next(ending, at), "bytes_done": task.bytes_done, "bytes_total": task.bytes_total}
    if ending.attempts is not None:
        changes["attempts"] = ending.attempts
    changed = rows.update(connection, mine, changes)
    if not changed:
        return None
    if ending.run is not None:
        rows.add_run(connection, task, at, ending.run, reason_code=ending.code, reason=rows.shorten(ending.reason),
                     bytes_moved=ending.bytes_moved)
    return changed[0]


def take_back(connection: sa.Connection, condition: sa.ColumnElement[bool]) -> list[Task]:
    """Make running tasks wait again and raise their fence, so that their owners' writes are refused; the rows as
    they were before."""
    at = now(connection)
    stale = [rows.to_task(row) for row in connection.execute(
        sa.select(tasks).where(_RUNNING & condition).with_for_update(skip_locked=True))]
    for task in stale:
        ending = Ending(state=TaskState.WAITING, code=TaskReason.SERVER_LOST, run=RunOutcome.LOST,
                        reason=f"the server {task.owner} gave no sign of life; the task starts again")
        unchanged = (tasks.c.id == task.id) & _RUNNING & (tasks.c.fence == task.fence)
        if rows.update(connection, unchanged, {**_NO_OWNER, **_next(ending, at), "fence": task.fence + 1}):
            rows.add_run(connection, task, at, RunOutcome.LOST, reason_code=ending.code,
                         reason=rows.shorten(ending.reason))
    return stale


def _next(ending: Ending, at: float) -> dict[str, Any]:
    """Asked for meanwhile: it waits, at once. Else it takes the ending's state, but for a cancelled one that would
    go on."""
    waiting, state = TaskState.WAITING.value, ending.state.value
    goes_on = ending.state is TaskState.WAITING
    cancelled = [(tasks.c.cancel, TaskState.CANCELLED.value)] if goes_on else []
    return {"state": sa.case((_ASKED_MEANWHILE, waiting), *cancelled, else_=state),
            "run_at": sa.case((_ASKED_MEANWHILE, at), else_=at + ending.delay_seconds),
            "priority": sa.case((_ASKED_MEANWHILE, tasks.c.priority), else_=tasks.c.priority if goes_on else 0),
            "reason_code": ending.code, "reason": rows.shorten(ending.reason), "finished_at": at, "updated_at": at}
