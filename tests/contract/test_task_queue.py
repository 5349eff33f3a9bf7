# SPDX-License-Identifier: Apache-2.0
"""What the queue promises, on SQLite; with --full on PostgreSQL and MariaDB as well."""
from __future__ import annotations

import pytest

from glancesync.db.clock import now
from glancesync.db.engine import Database
from glancesync.exceptions import (
    GlanceSyncError,
    LeaseLostError,
    RegionBusyError,
    RegionForbiddenError,
    RegionUnavailableError,
    ReplicaSavingError,
    StateConflictError,
    TaskCancelledError,
    TaskNotFoundError,
)
from glancesync.model.task import Outcome, Pair, Progress, Submission, Task, TaskFilter, TaskState, Trigger
from glancesync.tasks.queue import TaskQueue, claim_key
from tests.fixtures.queues import SETTINGS, new_pairs, new_queue, pass_time, unlimited

pytest_plugins = ["tests.fixtures.queues"]

DONE = Outcome(code="in_sync", reason="nothing differs", bytes_moved=7)


def submit(queue: TaskQueue, *pairs: Pair, priority: int = 0, delay_seconds: float = 0) -> list[Task]:
    return queue.submit(pairs, trigger=Trigger.EVENT, request_id="req-1", priority=priority,
                        delay_seconds=delay_seconds)


def claim_one(queue: TaskQueue) -> Task:
    [task] = queue.claim(unlimited, 1)
    return task


def state(queue: TaskQueue, task: Task) -> TaskState:
    return queue.get_task(task.id).state


class TestSubmit:
    def test_one_row_per_pair_in_the_order_asked(self, queue: TaskQueue) -> None:
        first, second = new_pairs(2, "R1")
        found = submit(queue, second, first, second)
        assert [task.pair for task in found] == [second, first]
        assert [(task.state, task.wanted, task.seen) for task in found] == [(TaskState.WAITING, 1, 0)] * 2

    def test_nothing_asked(self, queue: TaskQueue) -> None:
        assert submit(queue) == []

    def test_a_waiting_one_merges(self, queue: TaskQueue) -> None:
        [pair] = new_pairs(1, "R1")
        [before], [after] = submit(queue, pair), submit(queue, pair, priority=3)
        assert (after.id, after.wanted, after.priority) == (before.id, 2, 3)
        assert after.run_at == before.run_at
        assert submit(queue, pair)[0].priority == 3

    def test_ends_a_backoff_and_keeps_its_count(self, queue: TaskQueue) -> None:
        [pair] = new_pairs(1, "R1")
        submit(queue, pair)
        queue.fail(claim_one(queue), RegionUnavailableError("down"))
        assert queue.claim(unlimited, 1) == []
        [task] = submit(queue, pair)
        assert (task.attempts, task.reason_code) == (1, "region_unavailable")
        assert claim_one(queue).id == task.id

    @pytest.mark.parametrize("ending", ["done", "failed", "cancelled"])
    def test_a_resting_one_starts_anew(self, queue: TaskQueue, ending: str) -> None:
        [pair] = new_pairs(1, "R1")
        submit(queue, pair, priority=5)
        task = claim_one(queue)
        if ending == "done":
            queue.finish(task, DONE)
        elif ending == "failed":
            queue.fail(task, RegionForbiddenError("no role"))
        else:
            queue.fail(task, TaskCancelledError("stop"))
        assert state(queue, task) == ending
        [again] = submit(queue, pair)
        assert (again.state, again.attempts, again.priority, again.reason_code) == (TaskState.WAITING, 0, 0, None)
        assert claim_one(queue).fence > task.fence

    def test_a_delay_holds_back_and_a_later_request_does_not_wait_for_it(self, queue: TaskQueue) -> None:
        [pair] = new_pairs(1, "R1")
        submit(queue, pair, delay_seconds=60)
        assert queue.claim(unlimited, 1) == []
        submit(queue, pair, delay_seconds=90)
        assert queue.claim(unlimited, 1) == []
        submit(queue, pair)
        assert claim_one(queue).pair == pair

    def test_in_a_transaction_that_fails_leaves_nothing(self, queue: TaskQueue, database: Database) -> None:
        def work(connection: object) -> None:
            queue.submit_in(connection, new_pairs(3, "R1"), Submission(trigger=Trigger.API))  # type: ignore[arg-type]
            raise GlanceSyncError("no")

        with pytest.raises(GlanceSyncError, match="no"):
            database.run(work)
        assert queue.counts()[TaskState.WAITING] == 0

    def test_names_are_compared_byte_by_byte(self, queue: TaskQueue) -> None:
        # But for spaces at the end, which MariaDB takes for none; a Keystone on it has no two such regions either.
        image_id = new_pairs(1, "R")[0].image_id
        names = ["Region", "region", "Région", " Region"]
        assert len({task.id for task in submit(queue, *(Pair(image_id, name) for name in names))}) == 4


class TestClaim:
    def test_leases_to_the_owner_by_the_databases_clock(self, queue: TaskQueue, database: Database) -> None:
        submit(queue, *new_pairs(1, "R1"))
        task = claim_one(queue)
        assert (task.state, task.fence, task.seen) == (TaskState.RUNNING, 1, 1)
        assert task.lease_until is not None
        assert task.lease_until - database.run(now) == pytest.approx(SETTINGS.lease_seconds, abs=5)

    def test_a_task_is_claimed_once(self, queue: TaskQueue, other: TaskQueue) -> None:
        submit(queue, *new_pairs(10, "R1"))
        mine, theirs = queue.claim(unlimited, 6), other.claim(unlimited, 6)
        assert (len(mine), len(theirs)) == (6, 4)
        assert not {task.id for task in mine} & {task.id for task in theirs}

    def test_priority_then_age(self, queue: TaskQueue) -> None:
        old, new, urgent = new_pairs(3, "R1")
        submit(queue, old)
        pass_time(queue._database, 1)
        submit(queue, new)
        submit(queue, urgent, priority=9)
        assert [task.pair for task in queue.claim(unlimited, 3)] == [urgent, old, new]

    def test_slots_of_each_region_and_the_limit(self, queue: TaskQueue) -> None:
        submit(queue, *new_pairs(5, "R1"), *new_pairs(5, "R2"), *new_pairs(5, "R3"))
        regions = [task.region for task in queue.claim({"R1": 2, "R2": 9}, 6)]
        assert sorted(regions) == ["R1"] * 2 + ["R2"] * 4
        assert queue.claim(unlimited, 0) == []

    def test_regions_take_turns(self, queue: TaskQueue) -> None:
        submit(queue, *new_pairs(50, "R1"))
        pass_time(queue._database, 10)
        submit(queue, *new_pairs(2, "R2"), *new_pairs(2, "R3"))
        regions = sorted(task.region for task in queue.claim(unlimited, 6))
        assert regions == ["R1", "R1", "R2", "R2", "R3", "R3"]

    def test_a_region_in_backoff_hides_nobody(self, queue: TaskQueue) -> None:
        submit(queue, *new_pairs(300, "R1"), priority=5, delay_seconds=300)
        [pair] = submit(queue, *new_pairs(1, "R2"))
        assert claim_one(queue).pair == pair.pair

    def test_an_images_other_regions_come_along(self, queue: TaskQueue) -> None:
        others = new_pairs(5, "R1", "R2", "R3")
        submit(queue, *others)
        pass_time(queue._database, 1)
        image_id = new_pairs(1, "R1")[0].image_id
        submit(queue, *(Pair(image_id, region) for region in ("R1", "R2", "R3")), priority=0)
        submit(queue, Pair(image_id, "R1"), priority=1)
        first, *siblings = (task.pair for task in queue.claim(unlimited, 3))
        assert first == Pair(image_id, "R1")
        assert set(siblings) == {Pair(image_id, "R2"), Pair(image_id, "R3")}
        found = queue.claim(unlimited, 6)
        assert len({task.image_id for task in found}) == 2

    def test_siblings_respect_the_slots(self, queue: TaskQueue) -> None:
        submit(queue, *new_pairs(1, "R1", "R2", "R3"))
        assert sorted(task.region for task in queue.claim({"R1": 1, "R3": 1}, 9)) == ["R1", "R3"]


class TestEndings:
    def test_done(self, queue: TaskQueue) -> None:
        [task] = submit(queue, *new_pairs(1, "R1"), priority=4)
        done = queue.finish(claim_one(queue), DONE)
        assert (done.state, done.owner, done.lease_until, done.priority) == (TaskState.DONE, None, None, 0)
        assert (done.reason_code, done.wanted, done.seen) == ("in_sync", 1, 1)
        [run] = queue.list_runs(task.id)
        assert (run.outcome, run.bytes_moved, run.request_id, run.attempt) == ("done", 7, "req-1", 1)
        assert run.finished_at >= run.started_at

    def test_asked_meanwhile_runs_once_more_however_often(self, queue: TaskQueue) -> None:
        [pair] = new_pairs(1, "R1")
        submit(queue, pair)
        task = claim_one(queue)
        for _ in range(100):
            assert submit(queue, pair)[0].state is TaskState.RUNNING
        assert queue.finish(task, DONE).state is TaskState.WAITING
        assert queue.finish(claim_one(queue), DONE).state is TaskState.DONE

    def test_asked_meanwhile_runs_again_after_a_final_error_too(self, queue: TaskQueue) -> None:
        [pair] = new_pairs(1, "R1")
        submit(queue, pair)
        task = claim_one(queue)
        submit(queue, pair)
        failed = queue.fail(task, RegionForbiddenError("no role"))
        assert failed is not None
        assert failed.state is TaskState.WAITING
        assert claim_one(queue).id == task.id

    def test_too_early_looks_again_without_a_failure(self, queue: TaskQueue) -> None:
        submit(queue, *new_pairs(1, "R1"))
        task = queue.finish(claim_one(queue), Outcome(code="source_not_ready", reason="queued", delay_seconds=20))
        assert (task.state, task.attempts) == (TaskState.WAITING, 0)
        pass_time(queue._database, 19)
        assert queue.claim(unlimited, 1) == []
        pass_time(queue._database, 1)
        again = queue.fail(claim_one(queue), ReplicaSavingError("saving"))
        assert again is not None
        assert (again.state, again.attempts, again.reason_code) == (TaskState.WAITING, 0, "replica_saving")
        assert queue.list_runs(task.id) == []

    def test_backoff_doubles_and_ends_with_a_success(self, queue: TaskQueue, database: Database) -> None:
        submit(queue, *new_pairs(1, "R1"))
        for delay in (1, 2, 4, 8, 16, 32, 60, 60):
            failed = queue.fail(claim_one(queue), RegionUnavailableError("down"))
            assert failed is not None
            assert failed.run_at - failed.updated_at == pytest.approx(delay, abs=0.001)
            pass_time(database, delay)
        assert [run.attempt for run in queue.list_runs(failed.id)] == [8, 7, 6, 5, 4, 3, 2, 1]
        assert queue.finish(claim_one(queue), DONE).attempts == 0

    def test_the_other_side_says_when(self, queue: TaskQueue) -> None:
        submit(queue, *new_pairs(1, "R1"))
        failed = queue.fail(claim_one(queue), RegionBusyError("busy", retry_after_seconds=40))
        assert failed is not None
        assert failed.run_at - failed.updated_at == pytest.approx(40, abs=0.001)

    def test_a_foreign_errors_text_is_not_kept(self, queue: TaskQueue) -> None:
        submit(queue, *new_pairs(1, "R1"))
        failed = queue.fail(claim_one(queue), ValueError("X-Auth-Token: gAAAA"), bytes_moved=5)
        assert failed is not None
        assert (failed.state, failed.reason_code) == (TaskState.WAITING, "internal_error")
        assert "gAAAA" not in str(failed)
        assert "ValueError" in str(failed.reason)

    def test_a_long_reason_fits(self, queue: TaskQueue) -> None:
        submit(queue, *new_pairs(1, "R1"))
        failed = queue.fail(claim_one(queue), RegionForbiddenError("é" * 5000))
        assert failed is not None
        assert len(failed.reason or "") == 1024

    def test_released_is_due_at_once(self, queue: TaskQueue, other: TaskQueue) -> None:
        submit(queue, *new_pairs(1, "R1"))
        queue.release(claim_one(queue))
        assert claim_one(other).attempts == 0


class TestCancel:
    def test_waiting(self, queue: TaskQueue) -> None:
        [task] = submit(queue, *new_pairs(1, "R1"))
        assert queue.cancel(task.id).state is TaskState.CANCELLED
        assert queue.claim(unlimited, 1) == []
        with pytest.raises(StateConflictError):
            queue.cancel(task.id)

    def test_running(self, queue: TaskQueue) -> None:
        [task] = submit(queue, *new_pairs(1, "R1"))
        claimed = claim_one(queue)
        assert queue.cancel(task.id).cancel
        assert queue.heartbeat(renew=False).cancelled == {claim_key(claimed)}
        with pytest.raises(TaskCancelledError):
            queue.ensure_lease(claimed)
        ended = queue.fail(claimed, TaskCancelledError("cancelled"))
        assert ended is not None
        assert (ended.state, ended.cancel) == (TaskState.CANCELLED, False)

    @pytest.mark.parametrize("how", ["failed", "too early", "released", "lost"])
    def test_does_not_go_on_when_the_run_ends_by_itself(self, queue: TaskQueue, other: TaskQueue, how: str) -> None:
        [task] = submit(queue, *new_pairs(1, "R1"))
        claimed = claim_one(queue)
        queue.cancel(task.id)
        if how == "failed":
            queue.fail(claimed, RegionUnavailableError("down"))
        elif how == "too early":
            queue.finish(claimed, Outcome(code="waiting", reason="", delay_seconds=1))
        elif how == "released":
            queue.release(claimed)
        else:
            pass_time(queue._database, 31)
            other.sweep()
        assert state(queue, task) is TaskState.CANCELLED

    def test_a_request_after_it_is_served(self, queue: TaskQueue) -> None:
        [task] = submit(queue, *new_pairs(1, "R1"))
        claimed = claim_one(queue)
        queue.cancel(task.id)
        submit(queue, task.pair)
        queue.fail(claimed, TaskCancelledError("cancelled"))
        assert claim_one(queue).id == task.id

    def test_retry_by_hand(self, queue: TaskQueue) -> None:
        [task] = submit(queue, *new_pairs(1, "R1"))
        queue.fail(claim_one(queue), RegionUnavailableError("down"))
        again = queue.retry(task.id)
        assert (again.state, again.attempts, again.trigger) == (TaskState.WAITING, 0, Trigger.RETRY)
        assert claim_one(queue).id == task.id
        with pytest.raises(TaskNotFoundError):
            queue.retry("nope")


class TestLease:
    def test_heartbeat_keeps_it(self, queue: TaskQueue, other: TaskQueue) -> None:
        submit(queue, *new_pairs(1, "R1"))
        task = claim_one(queue)
        for _ in range(5):
            pass_time(queue._database, 20)
            assert queue.heartbeat().lost == frozenset()
        assert other.sweep() == []
        queue.ensure_lease(task)

    def test_late_but_before_anybody_took_it_is_kept(self, queue: TaskQueue, other: TaskQueue) -> None:
        submit(queue, *new_pairs(1, "R1"))
        task = claim_one(queue)
        pass_time(queue._database, 300)
        assert queue.sweep() == []
        queue.ensure_lease(task)
        assert other.sweep() == []

    def test_takeover_refuses_the_zombie_everything(self, queue: TaskQueue, other: TaskQueue) -> None:
        submit(queue, *new_pairs(1, "R1"))
        zombie = claim_one(queue)
        pass_time(queue._database, 31)
        assert [task.id for task in other.sweep()] == [zombie.id]
        successor = claim_one(other)
        assert successor.fence > zombie.fence
        before = other.get_task(zombie.id)
        assert queue.heartbeat().lost == {claim_key(zombie)}
        for write in (lambda: queue.finish(zombie, DONE), lambda: queue.release(zombie),
                      lambda: queue.fail(zombie, RegionUnavailableError("x")), lambda: queue.ensure_lease(zombie)):
            with pytest.raises(LeaseLostError):
                write()
        queue.report([(zombie, Progress(step="copying", bytes_done=1))])
        assert queue.fail(zombie, LeaseLostError("lost")) is None
        assert other.get_task(zombie.id) == before
        assert other.finish(successor, DONE).state is TaskState.DONE
        assert [run.outcome for run in other.list_runs(zombie.id)].count("lost") == 1

    def test_what_still_runs_here_is_not_claimed_again_here(self, queue: TaskQueue, other: TaskQueue) -> None:
        submit(queue, *new_pairs(1, "R1"))
        zombie = claim_one(queue)
        pass_time(queue._database, 31)
        other.sweep()
        assert queue.claim(unlimited, 1) == []
        queue.fail(zombie, LeaseLostError("lost"))
        assert claim_one(queue).fence > zombie.fence

    def test_recover_takes_what_an_earlier_incarnation_left(self, queue: TaskQueue, database: Database) -> None:
        submit(queue, *new_pairs(2, "R1"))
        left = claim_one(queue)
        reborn = new_queue(database, "one")
        kept = claim_one(reborn)
        if not database.is_sqlite:  # `left` may be a living server's, on the same host
            assert reborn.recover() == []
            queue.ensure_lease(left)
            pass_time(database, 31)
            assert [task.id for task in reborn.sweep()] == [left.id]
            reborn.heartbeat()
        else:
            assert [task.id for task in reborn.recover()] == [left.id]
        assert claim_one(reborn).id == left.id
        reborn.ensure_lease(kept)
        with pytest.raises(LeaseLostError):
            queue.finish(left, DONE)

    def test_what_an_ended_process_ran_is_given_back_at_once(self, queue: TaskQueue, other: TaskQueue) -> None:
        submit(queue, *new_pairs(2, "R1"))
        left, kept = claim_one(queue), claim_one(other)
        assert [task.id for task in other.give_back(str(left.owner))] == [left.id]
        other.ensure_lease(kept)
        assert claim_one(other).id == left.id
        with pytest.raises(LeaseLostError):
            queue.finish(left, DONE)

    def test_progress_is_seen(self, queue: TaskQueue) -> None:
        submit(queue, *new_pairs(1, "R1"))
        task = claim_one(queue)
        queue.report([(task, Progress(step="copying", bytes_done=2**40, bytes_total=2**41))])
        seen = queue.get_task(task.id)
        assert (seen.step, seen.bytes_done, seen.bytes_total) == ("copying", 2**40, 2**41)


class TestListing:
    def test_pages_are_stable_while_tasks_come_and_go(self, queue: TaskQueue) -> None:
        wanted = {task.id for task in submit(queue, *new_pairs(25, "R1"))}
        seen: list[str] = []
        marker = None
        while page := queue.list_tasks(TaskFilter(), 10, marker):
            seen += [task.id for task in page]
            marker = seen[-1]
            submit(queue, *new_pairs(1, "R2"))
            queue.finish(claim_one(queue), DONE)
        assert len(seen) == len(set(seen))
        assert wanted <= set(seen)

    def test_filters(self, queue: TaskQueue) -> None:
        pair, *_rest = new_pairs(3, "R1", "R2")
        submit(queue, pair, *_rest)
        queue.cancel(queue.list_tasks(TaskFilter(image_id=pair.image_id, regions=frozenset(["R1"])), 9)[0].id)

        def count(**fields: object) -> int:
            return len(queue.list_tasks(TaskFilter(**fields), 100))  # type: ignore[arg-type]

        assert count() == 6
        assert count(states=frozenset([TaskState.CANCELLED])) == 1
        assert count(states=frozenset([TaskState.CANCELLED, TaskState.WAITING]), regions=frozenset(["R1"])) == 3
        assert count(image_id=pair.image_id) == 2
        assert count(reason_code="cancelled") == 1
        assert count(request_id="req-1") == 6
        assert count(request_id="other") == 0
        assert queue.counts()[TaskState.WAITING] == 5

    def test_unknown_marker(self, queue: TaskQueue) -> None:
        with pytest.raises(TaskNotFoundError):
            queue.list_tasks(TaskFilter(), 10, "nope")

    def test_history_is_forgotten_but_for_what_matters(self, queue: TaskQueue, database: Database) -> None:
        submit(queue, *new_pairs(3, "R1"))
        done, failed, waiting = (claim_one(queue) for _ in range(3))
        queue.finish(done, DONE)
        queue.fail(failed, RegionForbiddenError("no role"))
        queue.release(waiting)
        assert queue.purge_history(database.run(now) - 60) == 0
        assert queue.purge_history(database.run(now) + 60) == 4
        assert {task.id for task in queue.list_tasks(TaskFilter(), 10)} == {failed.id, waiting.id}
        assert queue.list_runs(failed.id) == []
