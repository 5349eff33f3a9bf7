# SPDX-License-Identifier: Apache-2.0
"""One of the processes that share a queue, for the benchmark that compares them. Run as a module by it.

Standard input is a socket: each line that comes is a command, each answered by one line, both JSON. The first
line holds the database's URL, as it may hold a password.
"""
from __future__ import annotations

from glancesync import concurrency

concurrency.monkey_patch()

import json  # noqa: E402
import os  # noqa: E402
import random  # noqa: E402
import socket  # noqa: E402
import time  # noqa: E402
import uuid  # noqa: E402
from typing import Any  # noqa: E402

from glancesync.clock import SystemClock  # noqa: E402
from glancesync.db.engine import Database  # noqa: E402
from glancesync.model.task import Outcome, Pair, Task, Trigger  # noqa: E402
from glancesync.tasks.handle import TaskHandle  # noqa: E402
from glancesync.tasks.queue import TaskQueue, new_owner  # noqa: E402
from glancesync.tasks.worker import Worker  # noqa: E402
from tests.benchmark.queue_load import REGIONS, SETTINGS, pairs  # noqa: E402

_ELSEWHERE_SECONDS = 0.5


class Process:
    """Its public methods are the commands."""

    def __init__(self, url: str) -> None:
        self._queue = TaskQueue(Database(url), new_owner(f"benchmark-{os.getpid()}"), SETTINGS)
        self._started: dict[str, float] = {}
        self._ended = 0
        self._worker: Worker | None = None

    def submit(self, *, count: int, at_once: int) -> None:
        some = pairs(count)
        for start in range(0, count, at_once):
            self._queue.submit(some[start:start + at_once], trigger=Trigger.EVENT)

    def work(self) -> None:
        """Begin to claim and run."""
        self._worker = Worker(queue=self._queue, run=self._run, settings=SETTINGS, clock=SystemClock(),
                              random=random.random, recovers=False)
        concurrency.spawn(self._worker.run_forever)

    def rest(self) -> None:
        """Claim nothing more; what runs ends first."""
        if self._worker is not None:
            self._worker.stop(10)
        self._worker = None

    def ended(self) -> int:
        """Runs since the process began."""
        return self._ended

    def delays(self, *, count: int) -> list[float]:
        """Milliseconds from asking for a task until its run begins; the worker is idle. Where another process that
        looked just then was first, the database's clock tells."""
        assert self._worker is not None
        found = []
        for _ in range(count):
            pair = Pair(str(uuid.uuid4()), REGIONS[0])
            asked = time.perf_counter()
            [task] = self._queue.submit([pair], trigger=Trigger.EVENT)
            self._worker.ring()
            with concurrency.Timeout(60):
                while pair.image_id not in self._started and time.perf_counter() - asked < _ELSEWHERE_SECONDS:
                    concurrency.sleep(0.0005)
                started = self._started.pop(pair.image_id, None)
                found.append((started - asked) * 1000 if started else self._delay_elsewhere(task))
                while self._worker.running:
                    concurrency.sleep(0.0005)
        return found

    def _delay_elsewhere(self, task: Task) -> float:
        while not (runs := self._queue.list_runs(task.id)):
            concurrency.sleep(0.01)
        return (runs[0].started_at - task.created_at) * 1000

    def _run(self, handle: TaskHandle) -> Outcome:
        self._started[handle.task.image_id] = time.perf_counter()
        self._ended += 1
        return Outcome(code="in_sync", reason="nothing to do")


def main() -> None:
    with socket.socket(fileno=0) as connection, connection.makefile("rwb") as lines:
        process = Process(json.loads(lines.readline())["url"])
        for line in lines:
            command: dict[str, Any] = json.loads(line)
            started = time.perf_counter()
            answer = getattr(process, command.pop("do"))(**command)
            lines.write(json.dumps({"answer": answer, "seconds": time.perf_counter() - started}).encode() + b"\n")
            lines.flush()


if __name__ == "__main__":
    main()
