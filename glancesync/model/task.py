# SPDX-License-Identifier: Apache-2.0
"""One queued (image, region) and what became of its runs: the values that queue, worker, service and API share."""
from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from glancesync.model.meaning import Explained

_NOTHING = "Nothing."
_SAME = "The pair is looked at as for any other reason."


class Pair(NamedTuple):
    """What a task is about. The queue holds one row per pair."""

    image_id: str
    region: str


class TaskState(Explained):
    """Where a task stands; glancesync.tasks.states says which changes are allowed and why."""

    WAITING = ("waiting", "It is due now, or at its next try.", "A server claims it when it has room.", _NOTHING)
    RUNNING = ("running", "A server works on it and keeps its lease.",
               "It ends; a request meanwhile makes it run once more.", "POST /v1/tasks/{id}/cancel ends it.")
    DONE = ("done", "The last run ended well.", "The next request makes it wait again.", _NOTHING)
    FAILED = ("failed", "The last run ended in an error that does not pass by itself.",
              "The next event, comparison or retry makes it wait again.",
              "Remove the cause, then POST /v1/tasks/{id}/retry.")
    CANCELLED = ("cancelled", "An operator cancelled it.", "The next request makes it wait again.",
                 "POST /v1/tasks/{id}/retry.")


class Trigger(Explained):
    """Who asked."""

    EVENT = ("event", "The filter in glance-api, or the cascading Glance's notification, reported a change.", _SAME,
             _NOTHING)
    NOTIFICATION = ("notification", "A cascaded Glance's notification told of a change there.", _SAME, _NOTHING)
    RECONCILE = ("reconcile", "A comparison of both sides found a difference.", _SAME, _NOTHING)
    API = ("api", "An operator asked: POST /v1/sync, or a choice about a conflict.", _SAME, _NOTHING)
    ORIGINAL = ("original", "One of the original routes was called.", _SAME, _NOTHING)
    TIMER = ("timer", "A timer of this server: a sample of replicas is read again.", _SAME, _NOTHING)
    RETRY = ("retry", "An operator asked for this task again.", _SAME, _NOTHING)


class RunOutcome(Explained):
    """How a run ended, for the history."""

    DONE = ("done", "It ended well.", "The task rests.", _NOTHING)
    RETRY = ("retry", "It ended in an error that may pass.", "The task runs again after a growing delay.",
             "Read the reason if it comes again and again.")
    FAILED = ("failed", "It ended in an error that does not pass by itself.",
              "The next event, comparison or retry starts it again.", "Read the reason, remove its cause, retry.")
    WAITED = ("waited", "It moved bytes and then had to wait for something.", "It is looked at again soon.", _NOTHING)
    CANCELLED = ("cancelled", "An operator cancelled it.", "The next request starts it again.",
                 "POST /v1/tasks/{id}/retry.")
    RELEASED = ("released", "Its server stopped and handed it back.", "It starts again at once.", _NOTHING)
    LOST = ("lost", "Its server gave no sign of life for longer than the lease.",
            "Another server, or the same after its start, runs it again.", "Look why that server ended.")


class TaskReason(Explained):
    """Reason codes of tasks that no run gave."""

    RELEASED = ("released", "The task's server stopped.", "It starts again, here or on another server.", _NOTHING)
    SERVER_LOST = ("server_lost", "The task's server gave no sign of life.", "It starts again.",
                   "Look why that server ended.")


@dataclass(frozen=True, kw_only=True)
class Task:
    """One row of the queue. Times are seconds since the epoch on the database's clock, sizes are bytes.

    `wanted` counts the requests, `seen` is what `wanted` was when the last run was claimed (or the task cancelled):
    while wanted > seen another run is due. `attempts` counts the failures since the last success. `fence` grows with
    every change of owner; `reason_code` and `reason` tell how the last run ended, where it told something.
    """

    id: str
    image_id: str
    region: str
    state: TaskState
    trigger: Trigger
    wanted: int
    seen: int
    priority: int
    run_at: float
    attempts: int
    created_at: float
    updated_at: float
    fence: int = 0
    owner: str | None = None
    lease_until: float | None = None
    cancel: bool = False
    step: str | None = None
    bytes_done: int | None = None
    bytes_total: int | None = None
    request_id: str | None = None
    reason_code: str | None = None
    reason: str | None = None
    started_at: float | None = None
    finished_at: float | None = None
    published_at: float | None = None

    @property
    def pair(self) -> Pair:
        return Pair(self.image_id, self.region)


@dataclass(frozen=True, kw_only=True)
class Run:
    """One finished run, kept for the record. `attempt` counts from 1 since the last success."""

    id: str
    task_id: str
    image_id: str
    region: str
    trigger: Trigger
    attempt: int
    started_at: float
    finished_at: float
    outcome: RunOutcome
    request_id: str | None = None
    reason_code: str | None = None
    reason: str | None = None
    bytes_moved: int = 0
    server: str | None = None


@dataclass(frozen=True, kw_only=True)
class TaskFilter:
    """Which tasks a listing shows; an empty field filters nothing."""

    states: frozenset[TaskState] = frozenset()
    regions: frozenset[str] = frozenset()
    image_id: str | None = None
    reason_code: str | None = None
    request_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a run ended without an error. `delay_seconds` set: look again after that long, no failure is counted."""

    code: str
    reason: str
    bytes_moved: int = 0
    delay_seconds: float | None = None


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a running task has come, as its row shows it."""

    step: str | None = None
    bytes_done: int | None = None
    bytes_total: int | None = None


@dataclass(frozen=True, kw_only=True)
class Submission:
    """Who asks for some pairs, and how urgently. A higher priority runs first; `delay_seconds` holds the run back;
    of several pairs each counts as asked for `spacing_seconds` before the next, so that they run in their order."""

    trigger: Trigger
    request_id: str | None = None
    priority: int = 0
    delay_seconds: float = 0
    spacing_seconds: float = 0

