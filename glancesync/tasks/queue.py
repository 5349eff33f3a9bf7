# SPDX-License-Identifier: Apache-2.0
"""The durable queue: one row per (image, region), merged, claimed, leased and fenced.

Built by cmd; the service submits and looks, the worker claims, reports and settles. The rows are the truth: what a
process remembers of them may be outdated, so each write of an owner names owner and fence, and changes nothing when
the row has moved on.
"""
from __future__ import annotations

import random as random_module
import uuid
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from glancesync.conf.worker import WorkerSettings
from glancesync.db.clock import now
from glancesync.db.engine import Database
from glancesync.db.schema import tasks
from glancesync.exceptions import LeaseLostError, TaskCancelledError
from glancesync.model.sort import NEWEST_FIRST, Sort
from glancesync.model.task import Outcome, Pair, Progress, Run, Submission, Task, TaskFilter, TaskState, Trigger
from glancesync.tasks import listing, publications, rows, settle
from glancesync.tasks.claim import Allowed, Claim
from glancesync.tasks.publications import Named
from glancesync.tasks.states import check

_RUNNING = tasks.c.state == TaskState.RUNNING.value
_RETRIED_AT_ONCE = 500
#: How often a claim looks that gets nothing because others took it at the same moment.
_LOOKS = 3

#: A claim by its task and fence; another claim of the same task has another fence.
ClaimKey = tuple[str, int]


def new_owner(server: str) -> str:
    """A name for this incarnation of a server, which no other and no later one has."""
    return f"{server}/{uuid.uuid4().hex[:12]}"


def claim_key(task: Task) -> ClaimKey:
    return task.id, task.fence


@dataclass(frozen=True, kw_only=True)
class Held:
    """What a heartbeat found out about the claims of this process."""

    lost: frozenset[ClaimKey] = frozenset()
    cancelled: frozenset[ClaimKey] = frozenset()


class TaskQueue:
    """`owner` is from `new_owner`. All methods raise NotReadyError when the database cannot answer."""

    def __init__(self, database: Database, owner: str, settings: WorkerSettings, *,
                 random: Callable[[], float] = random_module.random) -> None:
        self._database = database
        self._owner = owner
        self._settings = settings
        self._random = random
        self._held: dict[str, Task] = {}

    @property
    def owner(self) -> str:
        """Under which name this process holds tasks."""
        return self._owner

    # For whoever wants something to be done.

    def submit(self, pairs: Iterable[Pair], *, trigger: Trigger, request_id: str | None = None, priority: int = 0,
               delay_seconds: float = 0) -> list[Task]:
        """Ask for a run of each pair, in one transaction; the tasks, in the order of the pairs, each once.

        A pair that waits, rests or backs off is due after `delay_seconds` at the latest; one that runs now runs once
        more at its end, however often it is asked for. Ring the worker afterwards.
        """
        submission = Submission(trigger=trigger, request_id=request_id, priority=priority,
                                delay_seconds=delay_seconds)
        return self._database.run(self.submit_in, list(pairs), submission)

    def submit_in(self, connection: sa.Connection, pairs: Iterable[Pair], submission: Submission) -> list[Task]:
        """As `submit`, in the caller's transaction."""
        unique = list(dict.fromkeys(Pair(*pair) for pair in pairs))
        return rows.upsert(connection, unique, submission, now(connection)) if unique else []

    def retry(self, task_id: str) -> Task:
        """Ask for the task again, at once and with its failures forgotten; raises TaskNotFoundError."""
        def work(connection: sa.Connection) -> Task:
            task = listing.get_task(connection, task_id)
            self.submit_in(connection, [task.pair], Submission(trigger=Trigger.RETRY, priority=task.priority))
            return rows.update(connection, tasks.c.id == task_id, {"attempts": 0})[0]

        return self._database.run(work)

    def retry_all(self, task_filter: TaskFilter, request_id: str | None = None) -> int:
        """As `retry`, for every task that passes the filter; how many."""
        submission, total, last = Submission(trigger=Trigger.RETRY, request_id=request_id), 0, ""

        def work(connection: sa.Connection) -> list[tuple[str, Pair]]:
            found = listing.list_pairs(connection, task_filter, _RETRIED_AT_ONCE, last)
            self.submit_in(connection, [pair for _, pair in found], submission)
            rows.update(connection, tasks.c.id.in_([task_id for task_id, _ in found]), {"attempts": 0})
            return found

        while found := self._database.run(work):
            total, last = total + len(found), found[-1][0]
        return total

    def cancel(self, task_id: str) -> Task:
        """Withdraw all that was asked for so far. A waiting task is cancelled at once, a running one as soon as its
        run looks. Raises TaskNotFoundError, and StateConflictError for a task that neither waits nor runs."""
        def work(connection: sa.Connection) -> Task:
            task = listing.get_task(connection, task_id, for_update=True)
            check(task.state, TaskState.CANCELLED)
            at = now(connection)
            values: dict[str, Any] = {"seen": task.wanted, "updated_at": at}
            if task.state is TaskState.RUNNING:
                values["cancel"] = True
            else:
                values.update(state=TaskState.CANCELLED.value, finished_at=at, attempts=0,
                              reason_code=TaskCancelledError.code, reason="cancelled before it ran")
            return rows.update(connection, tasks.c.id == task_id, values)[0]

        return self._database.run(work)

    def get_task(self, task_id: str) -> Task:
        """Raises TaskNotFoundError."""
        return self._database.read(listing.get_task, task_id)

    def list_tasks(self, task_filter: TaskFilter, limit: int, marker: str | None = None,
                   sort: Sort = NEWEST_FIRST) -> list[Task]:
        """One page after the task `marker`; raises TaskNotFoundError for an unknown marker."""
        return self._database.read(listing.list_tasks, task_filter, limit, marker, sort)

    def list_runs(self, task_id: str) -> list[Run]:
        """The task's finished runs, newest first."""
        return self._database.read(listing.list_runs, task_id)

    def counts(self) -> dict[TaskState, int]:
        """How many tasks are in each state."""
        return self._database.read(listing.counts)

    def purge_history(self, older_than: float) -> int:
        """Forget runs and resting tasks (not failed ones) that ended before `older_than`; how many rows went."""
        removed = total = self._database.run(listing.purge_some, older_than)
        while removed:
            removed = self._database.run(listing.purge_some, older_than)
            total += removed
        return total

    # For the worker.

    def claim(self, most: Mapping[str, int] | Callable[[str], int], limit: int,
              share: Callable[[str], int] | None = None) -> list[Task]:
        """Take at most `limit` tasks that are due, leased to this owner, in the order in which to start them.

        `most` tells how many tasks of a region may run at once, in all servers together; never more do. A mapping has
        none for regions that it lacks. `share`: how many more this server takes, where it is not all that fits.
        """
        allowed = Allowed(most if callable(most) else _mapped(most), share)
        claimed: list[Task] = []
        for _ in range(_LOOKS if limit > 0 else 0):
            claimed, overtaken = self._database.run(self._claim_in, allowed, limit, frozenset(self._held))
            if claimed or not overtaken:
                break
        self._held.update((task.id, task) for task in claimed)
        return claimed

    def _claim_in(self, connection: sa.Connection, allowed: Allowed, limit: int,
                  held: Collection[str]) -> tuple[list[Task], bool]:
        at = now(connection)
        # What this process still runs is not taken again, not even after its lease was lost.
        ids, overtaken = Claim(connection, at, held).choose(allowed, limit)
        if not ids:
            return [], overtaken
        return self._take_in(connection, ids, at), overtaken

    def _take_in(self, connection: sa.Connection, ids: list[str], at: float) -> list[Task]:
        taken = rows.update(connection, tasks.c.id.in_(ids) & rows.WAITS_AMONG_FEW, {
            "state": TaskState.RUNNING.value, "owner": self._owner, "fence": tasks.c.fence + 1,
            "lease_until": at + self._settings.lease_seconds, "seen": tasks.c.wanted, "cancel": False,
            "started_at": at, "step": None, "bytes_done": None, "bytes_total": None, "published_at": None,
            "updated_at": at})
        return sorted(taken, key=lambda task: ids.index(task.id))

    def claim_named(self, name: Named, most: Callable[[str], int], limit: int) -> list[Task]:
        """Take the task that a message names, first in the list, and of the same image what was published too and fits,
        so that they share one read; `most` as for `claim`. Nothing where the message is late or doubled, or where
        nothing fits: then whoever publishes may send the task again at once."""
        claimed = self._database.run(self._claim_named_in, name, Allowed(most), limit, frozenset(self._held))
        self._held.update((task.id, task) for task in claimed)
        return claimed

    def _claim_named_in(self, connection: sa.Connection, name: Named, allowed: Allowed, limit: int,
                        held: Collection[str]) -> list[Task]:
        at = now(connection)
        ids = publications.choose_named(Claim(connection, at, held), connection, name, allowed, limit)
        return self._take_in(connection, ids, at) if ids else []

    def postpone(self, region: str | None, seconds: float, *, code: str, reason: str) -> int:
        """Have what is due in the region (None: everywhere) wait for so many seconds, for that reason; how many tasks.
        Whoever is asked for meanwhile is due again, and may be postponed again."""
        def work(connection: sa.Connection) -> int:
            at = now(connection)
            due = (tasks.c.state == TaskState.WAITING.value) & (tasks.c.run_at <= at)
            if region is not None:
                due &= tasks.c.region == region
            return connection.execute(sa.update(tasks).where(due).values(
                run_at=at + seconds, reason_code=code, reason=rows.shorten(reason), updated_at=at)).rowcount

        return self._database.run(work)

    def hasten(self, image_id: str, code: str) -> int:
        """Make the image's tasks due now that wait for that reason; how many. Where there is none nothing is written.
        """
        waiting = (tasks.c.image_id == image_id) & (tasks.c.state == TaskState.WAITING.value) \
            & (tasks.c.reason_code == code)

        def find(connection: sa.Connection) -> bool:
            return connection.execute(sa.select(tasks.c.id).where(waiting).limit(1)).first() is not None

        def work(connection: sa.Connection) -> int:
            at = now(connection)
            return connection.execute(sa.update(tasks).where(waiting, tasks.c.run_at > at).values(
                run_at=at, updated_at=at)).rowcount

        return self._database.run(work) if self._database.read(find) else 0

    def heartbeat(self, *, renew: bool = True) -> Held:
        """Renew the leases of all tasks that this process holds (also a lease that ran out while nobody took the
        task), or only look; which of them are lost, and which are to be cancelled."""
        held = dict(self._held)
        if not held:
            return Held()
        found = self._database.run(self._renew_in, held) if renew else self._database.read(_look_in, held)
        alive = {claim_key(task): task for task in found if self._is_ours(task)}
        return Held(lost=frozenset(claim_key(task) for task in held.values()) - alive.keys(),
                    cancelled=frozenset(key for key, task in alive.items() if task.cancel))

    def renew_here(self) -> None:
        """Renew all leases from one native thread, without the hub, which may be busy."""
        held = dict(self._held)
        if held:
            self._database.run_here(self._renew_in, held)

    def _renew_in(self, connection: sa.Connection, held: Collection[str]) -> list[Task]:
        mine = _RUNNING & (tasks.c.owner == self._owner) & tasks.c.id.in_(list(held))
        return rows.update(connection, mine, {"lease_until": now(connection) + self._settings.lease_seconds})

    def ensure_lease(self, task: Task) -> None:
        """To be called before each effect outside: afterwards the task is ours for a whole lease.

        Raises LeaseLostError when it is not ours any more, TaskCancelledError when it is to be cancelled.
        """
        def work(connection: sa.Connection) -> list[Task]:
            return rows.update(connection, self._mine(task),
                               {"lease_until": now(connection) + self._settings.lease_seconds})

        found = self._database.run(work)
        if not found:
            raise _lost(task)
        if found[0].cancel:
            raise TaskCancelledError(f"task {task.id} was cancelled")

    def ensure_ours(self, task: Task) -> Callable[[sa.Connection], None]:
        """For `fence.fenced`: raises LeaseLostError in a transaction of whoever has lost the task. It locks nothing, so
        that a server which stands still in a transaction holds up nobody."""
        mine = sa.select(tasks.c.id).where(self._mine(task))

        def check(connection: sa.Connection) -> None:
            if connection.scalar(mine) is None:
                raise _lost(task)

        return check

    def report(self, progress: Sequence[tuple[Task, Progress]]) -> None:
        """Write how far the tasks have come. Of a task that is lost nothing is written; the heartbeat tells."""
        def work(connection: sa.Connection) -> None:
            at = now(connection)
            for task, reached in progress:
                connection.execute(sa.update(tasks).where(self._mine(task)).values(
                    step=reached.step, bytes_done=reached.bytes_done, bytes_total=reached.bytes_total,
                    updated_at=at))

        if progress:
            self._database.run(work)

    def finish(self, task: Task, outcome: Outcome) -> Task:
        """The run ended without an error; the row as it is then. Raises LeaseLostError.

        The row keeps the bytes_done and bytes_total of the `task` given.
        """
        return self._settle(task, settle.of_outcome(outcome))

    def fail(self, task: Task, error: Exception, *, bytes_moved: int = 0) -> Task | None:
        """The run ended in an error, whose verdict decides; the row as it is then, None when nothing is to be written.

        Raises LeaseLostError when the row turns out not to be ours. An error that is not one of this package's counts
        as one to try again.
        """
        ending = settle.of_error(task, error, self._settings, self._random(), bytes_moved)
        if ending is None:
            self._held.pop(task.id, None)
            return None
        return self._settle(task, ending)

    def release(self, task: Task) -> Task:
        """Hand the task back, due at once, because this server cannot run it now; raises LeaseLostError."""
        return self._settle(task, settle.HANDED_BACK)

    def sweep(self) -> list[Task]:
        """Give tasks whose lease ran out back to the queue; their owners find their fence outdated."""
        held = list(self._held)

        def work(connection: sa.Connection) -> list[Task]:
            expired = (tasks.c.lease_until < now(connection)) & tasks.c.id.not_in(held)
            return settle.take_back(connection, expired)

        return self._database.run(work)

    def recover(self) -> list[Task]:
        """At the start: give back at once what an earlier incarnation of this server left running.

        SQLite serves one server, so everything that runs and is not ours is such a remainder (where it has several
        processes, their parent asks, before it starts them). Where several servers share a database nobody can tell a
        remainder from what a living server of the same host runs: its lease tells.
        """
        if not self._database.is_sqlite:
            return []
        return self._database.run(settle.take_back, tasks.c.owner != self._owner)

    def give_back(self, owner: str) -> list[Task]:
        """Give back at once what a process left running that is known to have ended; the tasks as they were."""
        return self._database.run(settle.take_back, tasks.c.owner == owner)

    def _mine(self, task: Task) -> sa.ColumnElement[bool]:
        return (tasks.c.id == task.id) & _RUNNING & (tasks.c.owner == self._owner) & (tasks.c.fence == task.fence)

    def _is_ours(self, task: Task) -> bool:
        return task.state is TaskState.RUNNING and task.owner == self._owner

    def _settle(self, task: Task, ending: settle.Ending) -> Task:
        def work(connection: sa.Connection) -> Task:
            settled = settle.end(connection, task, self._mine(task), ending)
            if settled is None:
                raise _lost(task)
            return settled

        try:
            settled = self._database.run(work)
        except LeaseLostError:
            self._held.pop(task.id, None)
            raise
        self._held.pop(task.id, None)
        return settled


def _look_in(connection: sa.Connection, held: Collection[str]) -> list[Task]:
    return [rows.to_task(row) for row in connection.execute(sa.select(tasks).where(tasks.c.id.in_(list(held))))]


def _mapped(most: Mapping[str, int]) -> Callable[[str], int]:
    return lambda region: most.get(region, 0)


def _lost(task: Task) -> LeaseLostError:
    return LeaseLostError(f"task {task.id} is not this server's any more: its lease ran out and it was given back")
