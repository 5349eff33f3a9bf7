# SPDX-License-Identifier: Apache-2.0
"""How fast the queue is on SQLite, in a green process as the server is one.

    python -m tests.benchmark.task_queue [--quick] [--rounds 7] [--dir DIR]

Submits are compared with bare transactions of Python's sqlite3 into a table of as many columns, in a file of the same
settings: what the disk and SQLite alone allow. The rate by CPU time is what a machine that does nothing else would
give, but for the disk. Claims with many tasks waiting are compared with claims with few. DIR is
where the databases lie (a temporary folder).
"""
from __future__ import annotations

from glancesync import concurrency

concurrency.monkey_patch()

import random  # noqa: E402
import sqlite3  # noqa: E402
import tempfile  # noqa: E402
import time  # noqa: E402
import uuid  # noqa: E402
from collections.abc import Callable, Sequence  # noqa: E402
from contextlib import closing  # noqa: E402
from functools import partial  # noqa: E402
from pathlib import Path  # noqa: E402

from glancesync.clock import SystemClock  # noqa: E402
from glancesync.db.engine import Database  # noqa: E402
from glancesync.db.schema import tasks  # noqa: E402
from glancesync.model.task import Outcome, Pair, Trigger  # noqa: E402
from glancesync.tasks.handle import TaskHandle  # noqa: E402
from glancesync.tasks.queue import TaskQueue, new_owner  # noqa: E402
from glancesync.tasks.worker import Worker  # noqa: E402
from tests.benchmark.queue_load import BATCH, SETTINGS, pairs  # noqa: E402
from tests.benchmark.rounds import Sample, clocked, interleave, new_parser, parse, print_table, spread  # noqa: E402

BARE, ONE, NEW, MERGED = "bare sqlite3, one by one", "submit one by one", "submit by 100, new", "submit by 100, merged"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = new_parser(__doc__, rounds=7, quick_rounds=2)
    parser.add_argument("--dir", type=Path)
    options = parse(parser, arguments)
    with tempfile.TemporaryDirectory(dir=options.dir) as name:
        folder = Path(name)
        submits(folder, options.rounds, count=200 if options.quick else 1_000)
        claims(folder, options.rounds, (100, 1_000) if options.quick else (1_000, 10_000, 100_000))
        runs(folder, options.rounds, count=100 if options.quick else 1_000)


def submits(folder: Path, rounds: int, count: int) -> None:
    queue, bare = new_queue(folder), new_bare(folder)
    merged = pairs(count)
    submit(queue, merged, BATCH)
    sides = {BARE: partial(bare_inserts, bare, count), ONE: lambda: submit(queue, pairs(count), 1),
             NEW: lambda: submit(queue, pairs(count), BATCH), MERGED: lambda: submit(queue, merged, BATCH)}
    results = interleave({name: partial(per_second, work, count) for name, work in sides.items()}, rounds)
    bare.close()
    header = ("what", "pairs/s: median (spread)", "pairs/CPU s: median (spread)", "CPU ratio to bare (spread)", "aim")
    print_table(f"Submits, {count} pairs a round", header, [
        (name, results.values(name, "rate").text(0), results.values(name, "cpu_rate").text(0),
         results.ratio(name, BARE, "cpu_rate").text(), aim)
        for name, aim in ((BARE, ""), (ONE, "400/s"), (NEW, "3000/s"), (MERGED, "3000/s"))])


def claims(folder: Path, rounds: int, depths: Sequence[int]) -> None:
    """A round claims 16 tasks and hands them back, so that as many wait in the next one."""
    queues = {f"{depth} waiting": new_queue(folder) for depth in depths}
    for queue, depth in zip(queues.values(), depths, strict=True):
        submit(queue, pairs(depth), 1000)
    results = interleave({name: partial(one_claim, queue) for name, queue in queues.items()}, 3 * rounds)
    first = next(iter(queues))
    print_table("Claim of 16", ("with", "ms: median (spread)", "ratio to the first (spread)"), [
        (name, results.values(name, "ms").text(), results.ratio(name, first, "ms").text()) for name in queues])


def runs(folder: Path, rounds: int, count: int) -> None:
    results = interleave({"runs": partial(per_second, partial(throughput, new_queue(folder), count), count),
                          "latency": partial(latency, new_queue(folder), max(count // 10, 20))}, rounds)
    p50, p95 = results.values("latency", "p50"), results.values("latency", "p95")
    print_table("The worker, with runs that do nothing", ("what", "median (spread)", "aim"), [
        ("claimed to done, 16 at once", f"{results.values('runs', 'rate').text(0)} /s", ""),
        ("submit to start while idle, p50", f"{p50.text(1)} ms", ""),
        ("submit to start while idle, p95", f"{p95.text(1)} ms", "20 ms")])


def new_queue(folder: Path) -> TaskQueue:
    database = Database(f"sqlite:///{folder}/{uuid.uuid4().hex}.db")
    database.sync()
    return TaskQueue(database, new_owner("benchmark"), SETTINGS)


def submit(queue: TaskQueue, some: Sequence[Pair], at_once: int) -> None:
    for start in range(0, len(some), at_once):
        queue.submit(some[start:start + at_once], trigger=Trigger.EVENT)


def new_bare(folder: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(folder / "bare.db", isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    columns = ", ".join(column.name for column in tasks.columns if column.name != "id")
    connection.execute(f'CREATE TABLE tasks (id PRIMARY KEY, {columns.replace("trigger", "trigger_")})')
    return connection


def bare_inserts(connection: sqlite3.Connection, count: int) -> None:
    marks = ", ".join("?" * (len(tasks.columns) - 1))
    with closing(connection.cursor()) as cursor:
        for _ in range(count):
            cursor.execute("BEGIN IMMEDIATE")
            cursor.execute(f"INSERT INTO tasks VALUES (?, {marks})",
                           (uuid.uuid4().hex, *["0123456789"] * (len(tasks.columns) - 1)))
            cursor.execute("COMMIT")


def per_second(work: Callable[[], object], count: int) -> Sample:
    cpu = time.process_time()
    seconds = clocked(work)
    return {"rate": count / seconds, "cpu_rate": count / (time.process_time() - cpu)}


def one_claim(queue: TaskQueue) -> Sample:
    started = time.perf_counter()
    claimed = queue.claim(lambda _region: 4, 16)
    seconds = time.perf_counter() - started
    if len(claimed) != 16:
        raise RuntimeError(f"{len(claimed)} tasks were claimed instead of 16")
    for task in claimed:
        queue.release(task)
    return {"ms": seconds * 1000}


def throughput(queue: TaskQueue, count: int) -> None:
    submit(queue, pairs(count), count)
    ended: list[str] = []

    def run(handle: TaskHandle) -> Outcome:
        ended.append(handle.task.id)
        return Outcome(code="in_sync", reason="nothing to do")

    worker = new_worker(queue, run)
    running = concurrency.spawn(worker.run_forever)
    wait_for(lambda: len(ended) == count)
    worker.stop(10)
    running.wait()


def latency(queue: TaskQueue, count: int) -> Sample:
    started: list[float] = []

    def run(handle: TaskHandle) -> Outcome:
        started.append(time.perf_counter())
        return Outcome(code="in_sync", reason="nothing to do")

    worker = new_worker(queue, run)
    running = concurrency.spawn(worker.run_forever)
    delays = []
    for number, pair in enumerate(pairs(count)):
        asked = time.perf_counter()
        queue.submit([pair], trigger=Trigger.EVENT)
        worker.ring()
        wait_for(lambda wanted=number: len(started) > wanted)  # type: ignore[misc]
        delays.append((started[-1] - asked) * 1000)
        wait_for(lambda: not worker.running)
    worker.stop(10)
    running.wait()
    delays.sort()
    return {"p50": spread(delays).median, "p95": delays[len(delays) * 95 // 100]}


def new_worker(queue: TaskQueue, run: Callable[[TaskHandle], Outcome]) -> Worker:
    return Worker(queue=queue, run=run, settings=SETTINGS, clock=SystemClock(), random=random.random)


def wait_for(condition: Callable[[], bool]) -> None:
    with concurrency.Timeout(120):
        while not condition():
            concurrency.sleep(0.0005)


if __name__ == "__main__":
    main()
