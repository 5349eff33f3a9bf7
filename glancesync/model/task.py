# SPDX-License-Identifier: Apache-2.0
"""One queued (image, region) and what became of its runs: the values that queue, worker, service and API share."""
from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import NamedTuple


class Pair(NamedTuple):
    """What a task is about. The queue holds one row per pair."""

    image_id: str
    region: str


class TaskState(enum.StrEnum):
    """Where a task stands; glancesync.tasks.states says which changes are allowed and why."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Trigger(enum.StrEnum):
    """Who asked."""

    EVENT = "event"          # the filter in glance-api reported a change
    RECONCILE = "reconcile"  # a comparison of both sides found a difference
    API = "api"              # POST /v1/sync
    ORIGINAL = "original"    # one of the original routes
    TIMER = "timer"          # a timer of this server
    RETRY = "retry"          # an operator asked for this task again


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

    @property
    def pair(self) -> Pair:
        return Pair(self.image_id, self.region)


@dataclass(frozen=True, kw_only=True)
class Run:
    """One finished run, kept for the record. `outcome` is done, retry (failed for now), failed, waited, cancelled,
    released (by a server that stopped) or lost (with its server). `attempt` counts from 1 since the last success."""

    id: str
    task_id: str
    image_id: str
    region: str
    trigger: Trigger
    attempt: int
    started_at: float
    finished_at: float
    outcome: str
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
    """Who asks for some pairs, and how urgently. A higher priority runs first; `delay_seconds` holds the run back."""

    trigger: Trigger
    request_id: str | None = None
    priority: int = 0
    delay_seconds: float = 0

