# SPDX-License-Identifier: Apache-2.0
"""Which changes of state a task may make, and why. Pure; the queue and its tests check against this table."""
from __future__ import annotations

from types import MappingProxyType

from glancesync.exceptions import StateConflictError
from glancesync.model.task import TaskState

WAITING, RUNNING, DONE = TaskState.WAITING, TaskState.RUNNING, TaskState.DONE
FAILED, CANCELLED = TaskState.FAILED, TaskState.CANCELLED

#: Nothing runs and nothing will, until somebody asks again.
RESTING = frozenset({DONE, FAILED, CANCELLED})

#: (before, after): the reason. None before is a pair that was never asked for.
ALLOWED = MappingProxyType({
    (None, WAITING): "asked for the first time",
    (WAITING, WAITING): "asked again (merged), which also ends its backoff",
    (WAITING, RUNNING): "claimed by a server",
    (WAITING, CANCELLED): "cancelled before it ran",
    (RUNNING, RUNNING): "asked again: runs once more at its end; or its lease renewed, its cancellation asked for",
    (RUNNING, WAITING): "asked again meanwhile, too early, failed for now, handed back, or its server died",
    (RUNNING, DONE): "the run reached its end and nobody asked meanwhile",
    (RUNNING, FAILED): "the run met an error that time does not heal",
    (RUNNING, CANCELLED): "the run stopped because it was cancelled",
    (DONE, WAITING): "asked again",
    (FAILED, WAITING): "asked again",
    (CANCELLED, WAITING): "asked again",
})


def is_allowed(before: TaskState | None, after: TaskState) -> bool:
    return (before, after) in ALLOWED


def check(before: TaskState | None, after: TaskState) -> None:
    """Raises StateConflictError when a task in the one state cannot become the other."""
    if not is_allowed(before, after):
        raise StateConflictError(f"a task that is {before} cannot become {after}")
