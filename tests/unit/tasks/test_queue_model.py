# SPDX-License-Identifier: Apache-2.0
"""The queue against a model of a dozen lines, over whatever sequence of calls hypothesis thinks of."""
from __future__ import annotations

import functools
from collections import Counter
from dataclasses import dataclass

import sqlalchemy as sa
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from glancesync.db.engine import Database
from glancesync.db.schema import tasks
from glancesync.exceptions import (
    GlanceSyncError,
    LeaseLostError,
    RegionForbiddenError,
    RegionUnavailableError,
    ReplicaSavingError,
    StateConflictError,
    TaskCancelledError,
)
from glancesync.model.task import Outcome, Pair, Task, TaskFilter, TaskState, Trigger
from glancesync.tasks.queue import TaskQueue
from glancesync.tasks.states import is_allowed
from tests.fixtures.queues import new_queue, unlimited

PAIRS = [Pair("image-1", "R1"), Pair("image-1", "R2"), Pair("image-2", "R1")]
W, R, D, F, C = TaskState.WAITING, TaskState.RUNNING, TaskState.DONE, TaskState.FAILED, TaskState.CANCELLED
DONE = Outcome(code="in_sync", reason="")
EARLY = Outcome(code="source_not_ready", reason="", delay_seconds=1000)
ERRORS: dict[GlanceSyncError, TaskState] = {
    RegionUnavailableError("down"): W, RegionForbiddenError("no role"): F, ReplicaSavingError("saving"): W,
    TaskCancelledError("stop"): C}


@dataclass
class Row:
    """What the model knows of a pair: `pending` requests since the last claim, `due` unless it backs off, and that the
    holder's lease ran out."""

    state: TaskState = W
    pending: bool = True
    due: bool = True
    cancel: bool = False
    holder: Task | None = None
    expired: bool = False

    def end(self, state: TaskState, *, due: bool) -> None:
        if self.pending:
            state, due = W, True
        elif state is W and self.cancel:
            state = C
        self.state, self.due, self.cancel, self.holder = state, due, False, None


@functools.cache
def shared_database() -> Database:
    """In memory, for all examples: its tables take longer to make than an example to run."""
    database = Database("sqlite://")
    database.sync()
    return database


class QueueMachine(RuleBasedStateMachine):
    @initialize()
    def start(self) -> None:
        self.database = shared_database()
        self.database.run(lambda connection: connection.execute(sa.delete(tasks)))
        self.queues = [new_queue(self.database, name) for name in ("one", "two")]
        self.rows: dict[Pair, Row] = {}
        self.claims: list[tuple[TaskQueue, Task]] = []  # whose run has not ended, lost ones too

    @rule(pairs=st.lists(st.sampled_from(PAIRS), max_size=4), delay=st.sampled_from([0, 1000]))
    def submit(self, pairs: list[Pair], delay: float) -> None:
        found = self.queues[0].submit(pairs, trigger=Trigger.EVENT, delay_seconds=delay)
        assert [task.pair for task in found] == list(dict.fromkeys(pairs))
        for pair in set(pairs):
            row = self.rows.get(pair)
            if row is None or row.state not in (W, R):
                self.rows[pair] = Row(due=not delay)
            else:
                row.pending = True
                row.due = row.due or (row.state is W and not delay)

    @rule(which=st.integers(0, 1), limit=st.integers(0, 4), at_once=st.integers(0, 2))
    def claim(self, which: int, limit: int, at_once: int) -> None:
        queue = self.queues[which]
        running_here = {task.pair for owner, task in self.claims if owner is queue}
        can = [pair for pair, row in self.rows.items() if row.state is W and row.due and pair not in running_here]
        runs = Counter(pair.region for pair, row in self.rows.items() if row.state is R)
        most = sum(min(max(at_once - runs[region], 0), sum(pair.region == region for pair in can))
                   for region in ("R1", "R2"))
        claimed = queue.claim({"R1": at_once, "R2": at_once}, limit)
        assert len(claimed) == min(most, limit)
        for task in claimed:
            assert task.pair in can
            can.remove(task.pair)
            row = self.rows[task.pair]
            row.state, row.pending, row.cancel, row.holder, row.expired = R, False, False, task, False
            self.claims.append((queue, task))

    @precondition(lambda self: self.claims)
    @rule(data=st.data(), ending=st.sampled_from(["done", "early", "release", *ERRORS]))
    def end(self, data: st.DataObject, ending: str | GlanceSyncError) -> None:
        queue, task = self.claims.pop(data.draw(st.integers(0, len(self.claims) - 1)))
        row = self.rows[task.pair]
        ours = row.holder == task
        try:
            if ending == "done":
                queue.finish(task, DONE)
            elif ending == "early":
                queue.finish(task, EARLY)
            elif ending == "release":
                queue.release(task)
            else:
                assert isinstance(ending, GlanceSyncError)
                queue.fail(task, ending)
        except LeaseLostError:
            assert not ours
            return
        assert ours, "a run that had lost its task could end it"
        if isinstance(ending, GlanceSyncError):
            row.end(ERRORS[ending], due=False)
        else:
            row.end(D if ending == "done" else W, due=ending == "release")

    @precondition(lambda self: self.rows)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        pair = data.draw(st.sampled_from(sorted(self.rows)))
        row = self.rows[pair]
        task = self.row_of(pair)
        try:
            self.queues[0].cancel(task.id)
        except StateConflictError:
            assert row.state not in (W, R)
            return
        row.pending = False
        if row.state is W:
            row.state = C
        else:
            row.cancel = True

    @precondition(lambda self: self.claims)
    @rule(data=st.data())
    def lease_runs_out_and_another_sweeps(self, data: st.DataObject) -> None:
        queue, task = data.draw(st.sampled_from(self.claims))
        other = next(each for each in self.queues if each is not queue)
        self.shift(task.pair, lease_until=-1000)
        self.rows[task.pair].expired = True
        kept = {theirs.pair for owner, theirs in self.claims if owner is other}
        lost = {pair for pair, row in self.rows.items() if row.state is R and row.expired and pair not in kept}
        assert {each.pair for each in other.sweep()} == lost
        for pair in lost:
            self.rows[pair].end(W, due=True)

    @precondition(lambda self: self.claims)
    @rule(which=st.integers(0, 1), renew=st.booleans())
    def heartbeat(self, which: int, renew: bool) -> None:
        queue = self.queues[which]
        mine = [task for owner, task in self.claims if owner is queue]
        held = queue.heartbeat(renew=renew)
        for task in mine if renew else ():
            if self.rows[task.pair].holder == task:
                self.rows[task.pair].expired = False
        assert held.lost == {(task.id, task.fence) for task in mine if self.rows[task.pair].holder != task}
        assert held.cancelled == {(task.id, task.fence) for task in mine
                                  if self.rows[task.pair].holder == task and self.rows[task.pair].cancel}

    @rule()
    def backoffs_end(self) -> None:
        for pair, row in self.rows.items():
            if row.state is W:
                self.shift(pair, run_at=-2000)
                row.due = True

    @invariant()
    def rows_agree(self) -> None:
        found = {task.pair: task for task in self.queues[0].list_tasks(TaskFilter(), 100)}
        assert found.keys() == self.rows.keys()
        for pair, row in self.rows.items():
            task = found[pair]
            assert (task.state, task.cancel) == (row.state, row.cancel), pair
            assert (task.owner is not None) == (row.state is R)
            assert task.wanted >= task.seen
            if row.state is R:
                assert (task.wanted > task.seen) == row.pending
            if row.state in (D, C):
                assert task.wanted == task.seen

    def row_of(self, pair: Pair) -> Task:
        [task] = self.queues[0].list_tasks(TaskFilter(image_id=pair.image_id, regions=frozenset([pair.region])), 2)
        return task

    def shift(self, pair: Pair, **seconds: float) -> None:
        changes = {name: tasks.c[name] + by for name, by in seconds.items()}
        condition = (tasks.c.image_id == pair.image_id) & (tasks.c.region == pair.region)
        self.database.run(lambda connection: connection.execute(sa.update(tasks).where(condition).values(changes)))


QueueMachine.TestCase.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
TestQueueModel = QueueMachine.TestCase


def test_every_change_of_state_is_in_the_table() -> None:
    """The changes that the model allows are those that the table of states explains."""
    made = {(None, W), (W, W), (W, R), (W, C), (R, R), (R, W), (R, D), (R, F), (R, C), (D, W), (F, W), (C, W)}
    assert all(is_allowed(before, after) for before, after in made)
    assert not any(is_allowed(before, after) for before in (None, *TaskState) for after in TaskState
                   if (before, after) not in made)


def test_a_claim_takes_no_more_than_there_is() -> None:
    database = Database("sqlite://")
    database.sync()
    assert new_queue(database, "one").claim(unlimited, 10) == []
    database.close()
