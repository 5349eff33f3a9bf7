# SPDX-License-Identifier: Apache-2.0
"""The worker over a real queue in memory, in an unpatched process; time is a manual clock."""
from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from glancesync import concurrency
from glancesync.clock import ManualClock
from glancesync.conf.worker import WorkerSettings
from glancesync.db.engine import Database
from glancesync.db.fence import unfenced
from glancesync.exceptions import (
    GlanceSyncError,
    LeaseLostError,
    NotReadyError,
    RegionForbiddenError,
    RegionUnavailableError,
    TaskCancelledError,
)
from glancesync.model.task import Outcome, Pair, Task, TaskFilter, TaskState, Trigger
from glancesync.sync.facts import find_fact, set_fact
from glancesync.tasks.handle import TaskHandle
from glancesync.tasks.queue import TaskQueue
from glancesync.tasks.worker import Worker, sweep_seconds
from tests.fixtures.queues import new_pairs, new_queue, pass_time

SETTINGS = WorkerSettings(max_tasks=4, max_tasks_per_region=2, task_retry_times=2)
DONE = Outcome(code="in_sync", reason="nothing differs", bytes_moved=3)

Run = Callable[[TaskHandle], Outcome]


class Bench:
    """A queue in memory and a worker whose runs do what the test says."""

    def __init__(self) -> None:
        self.database = Database("sqlite://")
        self.database.sync()
        self.queue = new_queue(self.database, "one", SETTINGS)
        self.clock = ManualClock()

    def worker(self, run: Run) -> Worker:
        return Worker(queue=self.queue, run=run, settings=SETTINGS, clock=self.clock, random=lambda: 0.5)

    def submit(self, *pairs: Pair) -> list[Task]:
        return self.queue.submit(pairs, trigger=Trigger.EVENT, request_id="req-9")

    def only_task(self) -> Task:
        [task] = self.queue.list_tasks(TaskFilter(), 2)
        return task

    def run_one(self, run: Run) -> Worker:
        self.submit(*new_pairs(1, "R1"))
        worker = self.worker(run)
        assert worker.run_once() == 1
        worker.drain()
        return worker


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.database.close()


def write_fact(database: Database, value: str) -> None:
    database.run(set_fact, "a fact", value, 0.0)


def test_a_run_writes_while_its_task_is_this_servers(bench: Bench) -> None:
    def run(_handle: TaskHandle) -> Outcome:
        write_fact(bench.database, "written")
        return DONE

    bench.run_one(run)
    assert bench.database.read(find_fact, "a fact") == "written"


def test_a_run_that_lost_its_task_writes_nothing_more(bench: Bench) -> None:
    """Not even what it does not know to be the task's: what it was told may be old, and its successor has begun."""
    write_fact(bench.database, "as it was")
    other, refused = new_queue(bench.database, "two", SETTINGS), []

    def run(handle: TaskHandle) -> Outcome:
        pass_time(bench.database, SETTINGS.lease_seconds + 1)
        with unfenced():  # what another server does
            assert [task.id for task in other.sweep()] == [handle.task.id]
            other.claim({"R1": 1}, 1)
        try:
            write_fact(bench.database, "written by a zombie")
        except LeaseLostError as error:
            refused.append(error)
        with unfenced():
            bench.database.run(set_fact, "its own", "given back", 0.0)
        return DONE

    bench.run_one(run)
    assert len(refused) == 1
    assert bench.database.read(find_fact, "a fact") == "as it was"
    assert bench.database.read(find_fact, "its own") == "given back"
    task = bench.only_task()
    assert (task.state, task.owner) == (TaskState.RUNNING, other.owner)
    write_fact(bench.database, "by somebody else")  # the fence is the run's alone


class Gate:
    """Runs that begin, then stand until the test opens."""

    def __init__(self) -> None:
        self.begun: list[TaskHandle] = []
        self._open = concurrency.Event()

    def __call__(self, handle: TaskHandle) -> Outcome:
        self.begun.append(handle)
        self._open.wait(20)
        handle.check()
        return DONE

    def open(self) -> None:
        self._open.send()


def test_an_outcome_is_recorded_and_logged_once(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "glancesync")
    bench.run_one(lambda _handle: DONE)
    task = bench.only_task()
    assert (task.state, task.reason_code) == (TaskState.DONE, "in_sync")
    [line] = [record.getMessage() for record in caplog.records]
    for part in (task.id, task.image_id, "R1", "req-9", "done, in_sync", "3 bytes"):
        assert part in line


def test_limits_of_each_region_and_over_all(bench: Bench) -> None:
    gate = Gate()
    worker = bench.worker(gate)
    bench.submit(*new_pairs(5, "R1"), *new_pairs(5, "R2"), *new_pairs(5, "R3"))
    assert worker.run_once() == 4
    concurrency.sleep(0)
    assert worker.run_once() == 0
    assert max(Counter(handle.task.region for handle in gate.begun).values()) <= 2
    gate.open()
    worker.drain()
    assert worker.running == 0
    while worker.run_once():
        worker.drain()
    assert bench.queue.counts()[TaskState.DONE] == 15


def test_a_full_region_leaves_room_for_others(bench: Bench) -> None:
    gate = Gate()
    worker = bench.worker(gate)
    bench.submit(*new_pairs(5, "R1"))
    assert worker.run_once() == 2
    bench.submit(*new_pairs(1, "R2"))
    assert worker.run_once() == 1
    concurrency.sleep(0)
    assert [handle.task.region for handle in gate.begun] == ["R1", "R1", "R2"]
    gate.open()
    worker.drain()


def test_runs_of_an_image_meet_and_the_absent_do_not_hold_them_up(bench: Bench) -> None:
    met: dict[str, bool] = {}

    def run(handle: TaskHandle) -> Outcome:
        if handle.task.region == "R3":
            raise RegionForbiddenError("no role")
        handle.gathering.arrive()
        met[handle.task.region] = handle.gathering.wait(20)
        return DONE

    worker = bench.worker(run)
    bench.submit(*new_pairs(1, "R1", "R2", "R3"))
    assert worker.run_once() == 3
    worker.drain()
    assert met == {"R1": True, "R2": True}


def test_quick_retries_are_for_what_may_pass(bench: Bench) -> None:
    answers: list[Outcome | Exception] = [RegionUnavailableError("down"), ValueError("bug"), DONE]
    started_at = bench.clock.now()

    def run(_handle: TaskHandle) -> Outcome:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    worker = bench.run_one(run)
    assert bench.only_task().state is TaskState.DONE
    assert (bench.clock.now() - started_at, worker.internal_errors) == (2, 1)


def test_what_will_not_pass_is_tried_once(bench: Bench) -> None:
    tried: list[str] = []

    def run(handle: TaskHandle) -> Outcome:
        tried.append(handle.task.id)
        raise RegionForbiddenError("no role")

    bench.run_one(run)
    assert (len(tried), bench.only_task().state) == (1, TaskState.FAILED)


def test_an_unforeseen_error_is_logged_counted_and_tried_again(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    def run(_handle: TaskHandle) -> Outcome:
        raise ZeroDivisionError("oops")

    worker = bench.run_one(run)
    task = bench.only_task()
    assert (task.state, task.reason_code, task.attempts) == (TaskState.WAITING, "internal_error", 1)
    assert worker.internal_errors == 3
    assert "ZeroDivisionError: oops" in caplog.text


def test_a_leaked_timeout_does_not_end_the_worker(bench: Bench) -> None:
    def run(_handle: TaskHandle) -> Outcome:
        raise concurrency.Timeout()

    bench.run_one(run)
    assert bench.only_task().attempts == 1


def test_progress_is_written_when_it_changed_and_kept_at_the_end(bench: Bench) -> None:
    gate = Gate()
    worker = bench.worker(gate)
    bench.submit(*new_pairs(1, "R1"))
    worker.run_once()
    concurrency.sleep(0)
    [handle] = gate.begun
    handle.report("copying", 10, 100)
    handle.report(bytes_done=50)
    worker.beat()
    task = bench.only_task()
    assert (task.step, task.bytes_done, task.bytes_total) == ("copying", 50, 100)
    worker.beat()
    assert bench.only_task().updated_at == task.updated_at
    handle.report(bytes_done=100)
    gate.open()
    worker.drain()
    task = bench.only_task()
    assert (task.step, task.bytes_done, task.bytes_total) == (None, 100, 100)


def test_the_heartbeat_renews_after_a_third_of_the_lease(bench: Bench) -> None:
    gate = Gate()
    worker = bench.worker(gate)
    bench.submit(*new_pairs(1, "R1"))
    worker.run_once()
    concurrency.sleep(0)
    pass_time(bench.database, 20)
    before = bench.only_task().lease_until
    bench.clock.advance(SETTINGS.lease_seconds / 3 - 0.1)
    worker.beat()
    assert bench.only_task().lease_until == before
    bench.clock.advance(0.2)
    worker.beat()
    after = bench.only_task().lease_until
    assert before is not None
    assert after is not None
    assert after - before > 15
    gate.open()
    worker.drain()


def test_a_cancelled_run_ends_at_its_next_look(bench: Bench) -> None:
    gate = Gate()
    worker = bench.worker(gate)
    [task] = bench.submit(*new_pairs(1, "R1"))
    worker.run_once()
    concurrency.sleep(0)
    bench.queue.cancel(task.id)
    gate.begun[0].check()
    worker.beat()
    with pytest.raises(TaskCancelledError):
        gate.begun[0].check()
    gate.open()
    worker.drain()
    assert bench.only_task().state is TaskState.CANCELLED


def test_a_run_that_lost_its_task_writes_nothing(bench: Bench) -> None:
    gate = Gate()
    worker = bench.worker(gate)
    bench.submit(*new_pairs(1, "R1"))
    worker.run_once()
    concurrency.sleep(0)
    pass_time(bench.database, 60)
    other = new_queue(bench.database, "two", SETTINGS)
    other.sweep()
    [theirs] = other.claim({"R1": 1}, 1)
    worker.beat()
    with pytest.raises(LeaseLostError):
        gate.begun[0].check()
    gate.open()
    worker.drain()
    assert bench.only_task() == theirs


def test_the_end_is_recorded_when_the_database_is_back(bench: Bench) -> None:
    class Flaky(TaskQueue):
        failures = 3

        def finish(self, task: Task, outcome: Outcome) -> Task:
            if self.failures:
                self.failures -= 1
                raise NotReadyError("the database is away")
            return super().finish(task, outcome)

    bench.queue = Flaky(bench.database, "one/1", SETTINGS)
    bench.run_one(lambda _handle: DONE)
    assert bench.only_task().state is TaskState.DONE


def test_an_end_that_cannot_be_written_down_does_not_hold_the_task_for_ever(bench: Bench) -> None:
    bench.run_one(lambda _handle: Outcome(code="in_sync", reason="moved what no column holds", bytes_moved=2**70))
    task = bench.only_task()
    assert (task.state, task.owner, task.attempts) == (TaskState.WAITING, None, 1)
    assert task.reason is not None
    assert "could not be written down" in task.reason
    assert bench.queue.heartbeat().lost == frozenset()


@pytest.mark.parametrize("words", ["an answer with \x00 in it", "an answer with \ud800 in it"])
def test_what_no_database_takes_is_shown_in_the_reason(bench: Bench, words: str) -> None:
    def run(_handle: TaskHandle) -> Outcome:
        raise GlanceSyncError(words)

    bench.run_one(run)
    reason = bench.only_task().reason
    assert reason in ("an answer with \\x00 in it", "an answer with \\ud800 in it")


def test_stop_hands_back_what_does_not_end_in_time(bench: Bench) -> None:
    gate = Gate()
    worker = bench.worker(gate)
    bench.submit(*new_pairs(2, "R1"))
    worker.run_once()
    worker.stop(0)
    assert bench.queue.counts()[TaskState.WAITING] == 2
    assert (worker.running, worker.run_once()) == (0, 0)


def test_stop_hands_back_what_is_in_the_middle(bench: Bench) -> None:
    gate = Gate()
    worker = bench.worker(gate)
    bench.submit(*new_pairs(2, "R1"))
    worker.run_once()
    concurrency.sleep(0)
    assert len(gate.begun) == 2
    worker.stop(0)
    assert bench.queue.counts()[TaskState.WAITING] == 2
    assert [run.outcome for run in bench.queue.list_runs(gate.begun[0].task.id)] == ["released"]


def test_run_forever_runs_what_is_rung_and_ends_when_stopped(bench: Bench) -> None:
    done = concurrency.Event()

    def run(_handle: TaskHandle) -> Outcome:
        done.send()
        return DONE

    worker = bench.worker(run)
    loop = concurrency.spawn(worker.run_forever)
    concurrency.sleep(0)
    bench.submit(*new_pairs(1, "R1"))
    worker.ring()
    with concurrency.Timeout(1):
        done.wait()
    worker.drain()
    worker.stop(0)
    with concurrency.Timeout(5):
        loop.wait()
    assert bench.queue.counts()[TaskState.DONE] == 1


@pytest.mark.parametrize("recovers", [True, False])
def test_what_another_process_runs_is_taken_back_by_who_may(bench: Bench, recovers: bool) -> None:
    """On SQLite whatever runs elsewhere counts as left over, unless other processes of this server may run it."""
    bench.submit(*new_pairs(1, "R1"))
    other = new_queue(bench.database, "other", SETTINGS)
    [task] = other.claim(lambda _region: 1, 1)
    ran: list[str] = []

    def run(handle: TaskHandle) -> Outcome:
        ran.append(handle.task.id)
        return DONE

    worker = Worker(queue=bench.queue, run=run, settings=SETTINGS, clock=bench.clock, random=lambda: 0.5,
                    recovers=recovers)
    loop = concurrency.spawn(worker.run_forever)
    concurrency.sleep(0.05)
    worker.stop(1)
    with concurrency.Timeout(5):
        loop.wait()
    assert ran == ([task.id] if recovers else [])


class Steps:
    """Runs that end one by one, when the test says."""

    def __init__(self) -> None:
        self.begun: list[TaskHandle] = []
        self._ends: dict[tuple[str, str], concurrency.Event] = {}

    def __call__(self, handle: TaskHandle) -> Outcome:
        self.begun.append(handle)
        end = self._ends[handle.task.pair] = concurrency.Event()
        end.wait(20)
        return DONE

    def end(self, *pairs: Pair) -> None:
        for pair in pairs:
            self._ends[pair].send()

    def of(self, image_id: str) -> list[TaskHandle]:
        return [handle for handle in self.begun if handle.task.image_id == image_id]


def pass_until(condition: Callable[[], bool]) -> None:
    with concurrency.Timeout(10):
        while not condition():
            concurrency.sleep(0.001)


@pytest.mark.parametrize("in_time", [True, False])
def test_the_next_image_begins_in_both_regions_at_once_unless_a_sibling_is_slow(bench: Bench, in_time: bool) -> None:
    """Two regions with two slots each, three images."""
    steps = Steps()
    worker = bench.worker(steps)
    images = ["a", "b", "c"]
    bench.submit(*(Pair(image_id, region) for image_id in images for region in ("R1", "R2")))
    loop = concurrency.spawn(worker.run_forever)
    pass_until(lambda: len(steps.begun) == 4)
    first, second = (handle.task.image_id for handle in steps.begun[::2])
    [last] = set(images) - {first, second}
    steps.end(Pair(first, "R1"))
    if in_time:
        concurrency.sleep(0.03)
        steps.end(Pair(first, "R2"))
    pass_until(lambda: len(steps.of(last)) == 1 + in_time)
    assert len({handle.begun_at for handle in steps.of(last)}) == 1
    rest = [handle.task.pair for handle in steps.begun if handle.task.image_id != first]
    steps.end(*rest, *([] if in_time else [Pair(first, "R2")]))
    if not in_time:
        pass_until(lambda: len(steps.of(last)) == 2)
        steps.end(steps.of(last)[1].task.pair)
    pass_until(lambda: worker.running == 0)
    worker.stop(1)
    loop.wait()


@pytest.mark.parametrize("lease_seconds", [3, 6, 30, 600])
@pytest.mark.parametrize("random", [0.0, 0.5, 1.0])
def test_a_dead_servers_tasks_are_swept_well_within_five_seconds_after_its_lease(lease_seconds, random):
    assert 0.5 < sweep_seconds(lease_seconds, random) <= 2.5
    assert sweep_seconds(lease_seconds, random) < lease_seconds / 2
