# SPDX-License-Identifier: Apache-2.0
"""How fast the queue is on SQLite, in a green process as the server is one.

Run it by hand: `python tests/benchmark/task_queue.py [folder for the database]`. It prints submits per second one by
one and in batches, the time of a claim with few and with many waiting, and submit to start with an idle worker.
"""
from __future__ import annotations

from glancesync import concurrency

concurrency.monkey_patch()

import random  # noqa: E402
import statistics  # noqa: E402
import sys  # noqa: E402
import tempfile  # noqa: E402
import time  # noqa: E402
import uuid  # noqa: E402
from collections.abc import Callable  # noqa: E402
from pathlib import Path  # noqa: E402

from glancesync.clock import SystemClock  # noqa: E402
from glancesync.conf.worker import WorkerSettings  # noqa: E402
from glancesync.db.engine import Database  # noqa: E402
from glancesync.model.task import Outcome, Pair, Trigger  # noqa: E402
from glancesync.tasks.handle import TaskHandle  # noqa: E402
from glancesync.tasks.queue import TaskQueue, new_owner  # noqa: E402
from glancesync.tasks.worker import Worker  # noqa: E402

SETTINGS = WorkerSettings(max_tasks=16, max_tasks_per_region=4)
REGIONS = [f"Region{number}" for number in range(10)]


def main(folder: Path) -> None:
    single(new_queue(folder))
    batches(new_queue(folder))
    base = 0.0
    for waiting in (1_000, 10_000, 100_000):
        seconds = claim(new_queue(folder), waiting)
        base = base or seconds
        print(f"claim of 16 with {waiting:>7} waiting: {seconds * 1000:6.2f} ms ({seconds / base:.2f} times the first)")
    throughput(new_queue(folder))
    latency(new_queue(folder))


def new_queue(folder: Path) -> TaskQueue:
    database = Database(f"sqlite:///{folder}/{uuid.uuid4().hex}.db")
    database.sync()
    return TaskQueue(database, new_owner("benchmark"), SETTINGS)


def pairs(images: int) -> list[Pair]:
    return [Pair(image_id, region) for image_id in (str(uuid.uuid4()) for _ in range(images)) for region in REGIONS]


def timed(function: Callable[[], object]) -> float:
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def single(queue: TaskQueue) -> None:
    some = pairs(200)
    seconds = timed(lambda: [queue.submit([pair], trigger=Trigger.EVENT) for pair in some])
    print(f"submit one by one:     {len(some) / seconds:8.0f}/s (aim 400)")


def batches(queue: TaskQueue) -> None:
    some = pairs(3_000)
    for attempt in ("new", "merged"):
        seconds = timed(lambda: [queue.submit(some[start:start + 100], trigger=Trigger.EVENT)
                                 for start in range(0, len(some), 100)])
        print(f"submit by 100, {attempt:>6}: {len(some) / seconds:8.0f}/s (aim 3000)")


def claim(queue: TaskQueue, waiting: int) -> float:
    some = pairs(waiting // len(REGIONS))
    for start in range(0, len(some), 1000):
        queue.submit(some[start:start + 1000], trigger=Trigger.EVENT)
    times = []
    for _ in range(20):
        claimed: list[object] = []
        times.append(timed(lambda found=claimed: found.extend(queue.claim(lambda _region: 4, 16))))
        assert len(claimed) == 16
    return statistics.median(times)


def throughput(queue: TaskQueue) -> None:
    queue.submit(pairs(200), trigger=Trigger.EVENT)
    ended: list[str] = []

    def run(handle: TaskHandle) -> Outcome:
        ended.append(handle.task.id)
        return Outcome(code="in_sync", reason="nothing to do")

    worker = new_worker(queue, run)
    running = concurrency.spawn(worker.run_forever)
    seconds = timed(lambda: wait_for(lambda: len(ended) == 2000))
    worker.stop(10)
    running.wait()
    print(f"claimed to done:       {2000 / seconds:8.0f}/s with empty runs, 16 at once")


def latency(queue: TaskQueue) -> None:
    started: list[float] = []

    def run(handle: TaskHandle) -> Outcome:
        started.append(time.perf_counter())
        return Outcome(code="in_sync", reason="nothing to do")

    worker = new_worker(queue, run)
    running = concurrency.spawn(worker.run_forever)
    delays = []
    for number, pair in enumerate(pairs(20)):
        asked = time.perf_counter()
        queue.submit([pair], trigger=Trigger.EVENT)
        worker.ring()
        wait_for(lambda wanted=number: len(started) > wanted)
        delays.append((started[-1] - asked) * 1000)
        wait_for(lambda: not worker.running)
    worker.stop(10)
    running.wait()
    delays.sort()
    print(f"submit to start:       p50 {delays[100]:.1f} ms, p95 {delays[190]:.1f} ms (aim 20 at p95)")


def new_worker(queue: TaskQueue, run: Callable[[TaskHandle], Outcome]) -> Worker:
    return Worker(queue=queue, run=run, settings=SETTINGS, clock=SystemClock(), random=random.random)


def wait_for(condition: Callable[[], bool]) -> None:
    with concurrency.Timeout(120):
        while not condition():
            concurrency.sleep(0.0005)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as name:
            main(Path(name))
