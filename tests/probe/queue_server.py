# SPDX-License-Identifier: Apache-2.0
"""A server that only has a queue and a worker, for the probes to kill. Run as a module by them.

The URL of its database comes in the variable DATABASE, as it may hold a password. Each run appends lines to the log
file: `time pid word image_id region fence`, the time of the machine's steady clock. A run takes `--steps` steps; each
looks at the lease, has its effect outside (the line `effect`), then takes `--step-seconds`.
"""
from __future__ import annotations

from glancesync import concurrency

concurrency.monkey_patch()

import argparse  # noqa: E402
import logging  # noqa: E402
import os  # noqa: E402
import random  # noqa: E402
import signal  # noqa: E402
import time  # noqa: E402

from glancesync.clock import SystemClock  # noqa: E402
from glancesync.conf.worker import WorkerSettings  # noqa: E402
from glancesync.db.engine import Database  # noqa: E402
from glancesync.exceptions import RunStoppedError  # noqa: E402
from glancesync.model.task import Outcome, Task  # noqa: E402
from glancesync.tasks.handle import TaskHandle  # noqa: E402
from glancesync.tasks.queue import TaskQueue, new_owner  # noqa: E402
from glancesync.tasks.worker import Worker  # noqa: E402


class SharedQueue(TaskQueue):
    """As on a database that serves several servers: what another one runs is not taken before its lease ends."""

    def recover(self) -> list[Task]:
        return []


class Log:
    """Appended line by line, so that nothing is lost when the process is killed."""

    def __init__(self, path: str) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def write(self, word: str, task: Task) -> None:
        line = f"{time.monotonic():.6f} {os.getpid()} {word} {task.image_id} {task.region} {task.fence}\n"
        os.write(self._descriptor, line.encode())


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("log")
    parser.add_argument("--lease", type=float, default=30)
    parser.add_argument("--steps", type=int, default=1)
    parser.add_argument("--step-seconds", type=float, default=0.05)
    parser.add_argument("--per-region", type=int, default=4)
    parser.add_argument("--busy", action="store_true", help="compute instead of sleeping")
    parser.add_argument("--shared", action="store_true")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO)
    settings = WorkerSettings(max_tasks=8, max_tasks_per_region=arguments.per_region, lease_seconds=arguments.lease,
                              poll_seconds=0.1)
    queue = (SharedQueue if arguments.shared else TaskQueue)(
        Database(os.environ["DATABASE"]), new_owner(f"probe-{os.getpid()}"), settings)
    log = Log(arguments.log)

    def run(handle: TaskHandle) -> Outcome:
        log.write("start", handle.task)
        try:
            for step in range(arguments.steps):
                handle.report(f"step {step}", step, arguments.steps)
                handle.ensure_lease()
                log.write("effect", handle.task)
                pause(arguments.step_seconds, busy=arguments.busy)
        except RunStoppedError as error:
            log.write(error.code, handle.task)
            raise
        log.write("end", handle.task)
        return Outcome(code="in_sync", reason="the probe's work is done")

    worker = Worker(queue=queue, run=run, settings=settings, clock=SystemClock(), random=random.random)
    signal.signal(signal.SIGTERM, lambda *_: concurrency.spawn(worker.stop, 2))
    worker.run_forever()


def pause(seconds: float, *, busy: bool) -> None:
    """Sleep in small parts, or compute, so that the hub stands still."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not busy:
            time.sleep(min(0.05, max(end - time.monotonic(), 0)))


if __name__ == "__main__":
    main()
